"""The embedded PostgreSQL server: it starts at first need and outlives the command that needed it.

Every start and stop happens under one file lock. Whether the server lives is a second lock, which
its own processes hold: that is seen from another container, and over NFS from another host.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection

from sweeper.core.errors import DatabaseError
from sweeper.postgres.cluster import START_S, USER, Cluster, Layout, open_cluster, prepare
from sweeper.postgres.file_locks import is_held, locked

DATABASE = "sweeper"
NAME = "sweeper supervisor"  # of connections that do not count as use
GRACE_S = 1.0  # how long a client that has just left may still be seen
IDLE_S = 600.0
LOCK_S = 2.0 * START_S
FRESH_S = 60.0  # a state touched more recently than this belongs to a living server
CLIENTS = """
SELECT application_name FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name <> 'sweeper supervisor'
"""


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Where the embedded server was last started."""

    host: str
    pid: int | None  # of its first process, on that host; None once it has stopped
    started: datetime
    idle_s: float  # after so long without a client it is stopped


class Embedded:
    """The embedded server under one home folder; started here, it stops after `idle_s` unused."""

    def __init__(self, home: Path, runtime: Path = Path("/tmp"), idle_s: float = IDLE_S) -> None:
        self.layout = Layout(home, runtime)
        self.idle_s = idle_s

    @property
    def url(self) -> str:
        """URL of its database, for any program of the same user; nothing is started."""
        host = quote(str(self.layout.socket), safe="/")
        return f"postgresql+psycopg2://{USER}@/{DATABASE}?host={host}"

    @property
    def is_running(self) -> bool:
        """Whether a process of the server lives, on this host or on another one."""
        return is_held(self.layout.alive)

    def ensure_running(self) -> str:
        """Return the URL of the running server, started if need be.

        Raises DatabaseError where it cannot be started, or runs on another host.
        """
        prepare(self.layout)
        with locked(self.layout.lock, LOCK_S):
            os.utime(self.layout.lock)  # in use: the watcher counts from here
            if not self._outcomes():
                self._bring_up()
            if not is_held(self.layout.watcher):
                self._start_watcher()
        return self.url

    def stop(self, force: bool = False) -> bool:
        """Stop the server; returns whether it was running.

        Raises DatabaseError where programs are connected, unless `force` disconnects them.
        """
        if not self.is_running:
            return False
        with locked(self.layout.lock, LOCK_S):
            self.refuse_other_host()
            users = self._lasting_clients() if self._outcomes() and not force else []
            if users:
                raise DatabaseError(
                    f"{len(users)} connections are open ({', '.join(sorted(set(users)))}); end"
                    " those programs first, or disconnect them with `sweeper db stop --force`"
                )
            open_cluster(self.layout).stop()
        return True

    def stop_if_unused(self, since: float) -> bool:
        """Stop the server unless a client is there or `ensure_running` was called after `since`.

        `since` is in seconds of the clock that dates the lock's file. Returns whether it stopped.
        """
        with locked(self.layout.lock, LOCK_S):
            if self.last_use() > since or self.clients():
                return False
            open_cluster(self.layout).stop()
        return True

    def last_use(self) -> float:
        """Return when `ensure_running` was last called, in seconds since 1970."""
        return self.layout.lock.stat().st_mtime

    def state(self) -> ServerState | None:
        """Return where and when the server was last started, None if never."""
        try:
            found = json.loads(self.layout.state.read_text(encoding="utf-8"))
            started = datetime.fromisoformat(found["started"])
        except FileNotFoundError:
            return None
        return ServerState(
            host=found["host"], pid=self._pid(), started=started, idle_s=found["idle_s"]
        )

    def _pid(self) -> int | None:
        try:
            text = (self.layout.data / "postmaster.pid").read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        return int(text.splitlines()[0])

    def clients(self) -> list[str]:
        """Return the names of the programs that are connected now."""
        with closing(self.connect("postgres")) as session, session.cursor() as cursor:
            cursor.execute(CLIENTS)
            return [name for (name,) in cursor.fetchall()]

    def _lasting_clients(self) -> list[str]:
        deadline = time.monotonic() + GRACE_S
        while (found := self.clients()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def connect(self, database: str, name: str = NAME) -> Connection:
        """Return a plain connection in autocommit; raises psycopg2.OperationalError."""
        session = psycopg2.connect(
            host=str(self.layout.socket),
            port=5432,
            user=USER,
            dbname=database,
            application_name=name,
            connect_timeout=10,
        )
        session.autocommit = True
        return session

    def _outcomes(self) -> bool:
        try:
            self.connect("postgres").close()
        except psycopg2.OperationalError:
            return False
        return True

    def _bring_up(self) -> None:
        """Start the server, or wait for one that is starting or ending just now."""
        deadline = time.monotonic() + START_S
        while not self._outcomes():
            if not self.is_running:
                self._start()
                return
            self.refuse_other_host()
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"the embedded database lives but has not answered for {START_S} s; look in"
                    f" {self.layout.log}, or stop it with `sweeper db stop`"
                )
            time.sleep(0.1)

    def _start(self) -> None:
        self._refuse_fresh_other_host()
        cluster = open_cluster(self.layout)
        cluster.create()
        self._write_state(cluster)
        with locked(self.layout.alive, 1.0) as alive:
            cluster.start(alive)
        self._create_database()

    def refuse_other_host(self) -> None:
        """Raise DatabaseError where the server was started on another host than this one."""
        state = self.state()
        if state is not None and state.host != socket.gethostname():
            raise DatabaseError(
                f"the embedded database in {self.layout.folder} runs on host {state.host!r} since"
                f" {state.started:%Y-%m-%d %H:%M} UTC, this is {socket.gethostname()!r}; stop it"
                " there with `sweeper db stop`, or use another SWEEPER_HOME here"
            )

    def _refuse_fresh_other_host(self) -> None:
        """Refuse where locks do not reach another host but its watcher's heartbeat does."""
        pid_file = self.layout.data / "postmaster.pid"
        if not pid_file.exists() or not self.layout.state.exists():
            return
        # Both times are the file system's, so that the hosts' clocks do not matter.
        if self.last_use() - self.layout.state.stat().st_mtime < FRESH_S:
            self.refuse_other_host()

    def _write_state(self, cluster: Cluster) -> None:
        state = {
            "host": socket.gethostname(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "major": cluster.binaries.major,
            "socket": str(self.layout.socket),
            "idle_s": self.idle_s,
        }
        aside = self.layout.state.with_suffix(".partial")
        aside.write_text(json.dumps(state, indent=2), encoding="utf-8")
        aside.rename(self.layout.state)

    def _create_database(self) -> None:
        with closing(self.connect("postgres")) as session, session.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {DATABASE}")

    def _start_watcher(self) -> None:
        """Start the process that stops an idle server; a shell between makes it nobody's child."""
        detached = '"$@" </dev/null >>"$0" 2>&1 &'
        log = self.layout.folder / "watcher.log"
        module = [sys.executable, "-m", "sweeper.postgres.idle_shutdown"]
        places = [str(self.layout.home), str(self.layout.runtime)]
        subprocess.run(
            ["/bin/sh", "-c", detached, str(log), *module, *places],
            cwd=Path(__file__).parents[2],  # where `-m` finds the package
            start_new_session=True,
            check=True,
        )
