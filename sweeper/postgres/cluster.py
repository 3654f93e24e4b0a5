"""The embedded server's folders, settings and programs; who may call what when is `embedded.py`."""

from __future__ import annotations

import hashlib
import os
import pwd
import shlex
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweeper.core.errors import DatabaseError
from sweeper.postgres.binaries import Binaries, bundled, readable_copy
from sweeper.postgres.owner import Owner, chosen_owner, owner_of

USER = "sweeper_owner"  # not `sweeper`: a schema of the user's name comes before `public`
READER = "sweeper_reader"
CLUSTER_NAME = "sweeper embedded"
SOCKET_NAME = ".s.PGSQL.5432"
MAX_SOCKET_PATH = 107  # bytes: the kernel's limit for the address of a local socket
MAX_LOG_BYTES = 10_000_000
START_S = 60

SETTINGS = """\
cluster_name = '{name}'
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
hba_file = '{config}/pg_hba.conf'
ident_file = '{config}/pg_ident.conf'
max_connections = 100
shared_buffers = 64MB
max_wal_size = 256MB
max_parallel_workers_per_gather = 0
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %a '
client_connection_check_interval = 2s
"""


@dataclass(frozen=True)
class Layout:
    """Where everything of one embedded server lies."""

    home: Path
    runtime: Path

    @property
    def folder(self) -> Path:
        """The caller's folder, below which the other ones lie."""
        return self.home / "postgresql"

    @property
    def lock(self) -> Path:
        """Held while somebody starts or stops the server; touched at every use."""
        return self.folder / "lock"

    @property
    def alive(self) -> Path:
        """Held by the server's own processes, for as long as one of them lives."""
        return self.folder / "alive"

    @property
    def watcher(self) -> Path:
        """Held by the process that stops an idle server."""
        return self.folder / "watcher"

    @property
    def state(self) -> Path:
        """Says on which host the server runs, and since when; touched by the watcher."""
        return self.folder / "state.json"

    @property
    def config(self) -> Path:
        """The server's settings, written anew at each start; the server cannot change them."""
        return self.folder / "config"

    @property
    def cluster(self) -> Path:
        """The owner's folder: closed to all others."""
        return self.folder / "cluster"

    @property
    def data(self) -> Path:
        """PostgreSQL's data."""
        return self.cluster / "data"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.cluster / "server.log"

    @property
    def socket(self) -> Path:
        """Folder of the server's socket, elsewhere where its path would be too long."""
        near = self.cluster / "socket"
        if len(os.fsencode(near / SOCKET_NAME)) <= MAX_SOCKET_PATH:
            return near
        digest = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:12]
        return self.runtime / f"sweeper-{os.geteuid()}-{digest}"


@dataclass(frozen=True)
class Cluster:
    """The embedded server's data together with the programs and the user that run them."""

    layout: Layout
    binaries: Binaries
    owner: Owner

    def create(self) -> None:
        """Make the data folder where it is absent; a half-made one never gets its name."""
        data = self.layout.data
        if data.exists():
            return
        aside = data.with_name("data.partial")
        if aside.exists():
            shutil.rmtree(aside)
        initdb = self.binaries.program("initdb")
        how = ["--auth=peer", "--encoding=UTF8", "--locale=C"]
        if self.binaries.major >= 17:  # the same sorting and case rules on every system
            how += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self.owner.run([initdb, f"--username={USER}", *how, "--pgdata", aside])
        aside.rename(data)

    def start(self, alive: int) -> None:
        """Start the server and wait until it answers; it inherits the lock `alive`.

        The lock proves that no process of this server lives, so what names one is a leftover.
        """
        _private_folder(self.layout.socket, self.owner)
        self._write_settings()
        for leftover in (self.layout.data / "postmaster.pid", self._socket_lock):
            leftover.unlink(missing_ok=True)
        log = self.layout.log
        if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
            log.unlink()
        options = f"-c config_file={shlex.quote(str(self.layout.config / 'postgresql.conf'))}"
        flags = ["--wait", f"--timeout={START_S}", f"--log={log}", f"--options={options}"]
        self._control("start", *flags, log=log, keep=[alive])

    def stop(self) -> None:
        """Disconnect every client, write everything out and wait until the server has ended."""
        self._control("stop", "--mode=fast", "--wait", f"--timeout={START_S}")

    @property
    def _socket_lock(self) -> Path:
        return self.layout.socket / f"{SOCKET_NAME}.lock"

    def _control(
        self, verb: str, *flags: str, log: Path | None = None, keep: Sequence[int] = ()
    ) -> None:
        program = self.binaries.program("pg_ctl")
        self.owner.run([program, verb, "--pgdata", self.layout.data, *flags], log, keep)

    def _write_settings(self) -> None:
        config = self.layout.config
        config.mkdir(exist_ok=True)
        config.chmod(0o755)
        quoted = {
            "socket": str(self.layout.socket).replace("'", "''"),
            "config": str(config).replace("'", "''"),
            "name": CLUSTER_NAME,
        }
        callers = dict.fromkeys([self.owner.name, pwd.getpwuid(os.geteuid()).pw_name])
        mapped = [f'owner "{who}" {role}\n' for who in callers for role in (USER, READER)]
        _write(config / "postgresql.conf", SETTINGS.format(**quoted))
        _write(config / "pg_hba.conf", "local all all peer map=owner\n")
        _write(config / "pg_ident.conf", "".join(mapped))


def prepare(layout: Layout) -> None:
    """Make the caller's own folders; raises DatabaseError where that is not allowed."""
    mode = 0o755 if os.geteuid() == 0 else 0o700  # for root another user runs the server
    for folder in (layout.home, layout.folder):
        try:
            folder.mkdir(parents=True)
            folder.chmod(mode)
        except FileExistsError:
            continue
        except OSError as error:
            raise DatabaseError(
                f"the folder {folder} of the embedded database cannot be made ({error.strerror});"
                " choose another one with SWEEPER_HOME"
            ) from error
    owner = layout.folder.stat().st_uid
    if owner != os.geteuid():
        raise DatabaseError(
            f"{layout.folder} belongs to user id {owner}, not to you; choose another folder with"
            " SWEEPER_HOME, or share a server with --database"
        )


def open_cluster(layout: Layout) -> Cluster:
    """Return the cluster under `layout`, with the programs that fit its data, if it has any."""
    marker = layout.data / "PG_VERSION"
    major = int(marker.read_text()) if marker.exists() else None
    owner = owner_of(layout.cluster) if layout.cluster.exists() else chosen_owner()
    binaries = bundled(major)
    if not owner.is_caller:
        binaries = readable_copy(binaries, layout.folder / "programs")
    _private_folder(layout.cluster, owner)
    return Cluster(layout, binaries, owner)


def _private_folder(folder: Path, owner: Owner) -> None:
    """Make a folder of the owner's alone; one that a stranger laid there is refused."""
    try:
        folder.mkdir(mode=0o700)
        if not owner.is_caller:
            os.chown(folder, owner.uid, owner.gid)
    except FileExistsError:
        pass
    except OSError as error:
        raise DatabaseError(f"the folder {folder} cannot be made: {error.strerror}") from error
    found = folder.lstat()
    closed = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not closed or found.st_uid != owner.uid:
        raise DatabaseError(
            f"{folder} must be a folder of user {owner.name!r} closed to all others, but it is"
            f" {stat.filemode(found.st_mode)} of user id {found.st_uid}; remove it"
        )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
