"""The embedded server's life: started once by whoever comes first, stopped by nobody's absence."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from sweeper.core.errors import DatabaseError
from sweeper.postgres.embedded import Embedded
from sweeper.postgres.file_locks import is_held, locked
from tests.waiting import eventually

CLIENT = "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]); c.cursor().execute(sys.argv[2])"
STARTER = """
import sys
from pathlib import Path
from sweeper.postgres.embedded import Embedded
print(Embedded(Path(sys.argv[1])).ensure_running())
"""


def start_client(server: Embedded, sql: str) -> subprocess.Popen[bytes]:
    place = f"host={server.layout.socket} user=sweeper_owner dbname=sweeper application_name=test"
    client = subprocess.Popen([sys.executable, "-c", CLIENT, place, sql])
    assert eventually(lambda: server.clients() == ["test"])
    return client


def kill(client: subprocess.Popen[bytes]) -> None:
    client.kill()
    client.wait()


def pretend_host(server: Embedded, age_s: float = 0.0) -> None:
    state = json.loads(server.layout.state.read_text()) | {"host": "elsewhere"}
    server.layout.state.write_text(json.dumps(state))
    then = time.time() - age_s
    os.utime(server.layout.state, (then, then))


def test_two_commands_that_start_together_share_one_server(home: Path, server: Embedded) -> None:
    command = [sys.executable, "-c", STARTER, str(home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    urls = {starter.communicate()[0].strip() for starter in both}
    assert urls == {server.url}
    assert server.is_running and server.clients() == []


def test_starting_again_finds_the_running_server(server: Embedded) -> None:
    server.ensure_running()
    before = server.state()
    server.ensure_running()
    assert before is not None and server.state() == before
    assert before.host == socket.gethostname() and before.pid is not None


def test_it_stops_by_itself_when_nobody_is_connected(home: Path, server: Embedded) -> None:
    Embedded(home, idle_s=0.5).ensure_running()
    assert eventually(lambda: not server.is_running)
    assert eventually(lambda: not is_held(server.layout.watcher))


def test_it_stays_while_somebody_is_connected(home: Path, server: Embedded) -> None:
    idle_s = 0.5
    Embedded(home, idle_s=idle_s).ensure_running()
    with closing(server.connect("sweeper", "somebody")):
        long_idle = time.time() + 2 * idle_s
        state = server.layout.state  # touched whenever it is looked whether anybody is connected
        assert eventually(lambda: state.stat().st_mtime > long_idle)
        assert server.is_running
    assert eventually(lambda: not server.is_running)


def test_stopping_names_the_programs_that_would_be_cut_off(server: Embedded) -> None:
    server.ensure_running()
    with closing(server.connect("sweeper", "a dashboard")):
        with pytest.raises(DatabaseError, match=r"a dashboard.*--force"):
            server.stop()
        assert server.stop(force=True)
    assert not server.stop()


def test_a_client_killed_during_a_query_is_noticed(server: Embedded) -> None:
    server.ensure_running()
    kill(start_client(server, "SELECT pg_sleep(600)"))
    assert eventually(lambda: server.clients() == [])


def test_a_killed_server_is_started_again_with_its_data(server: Embedded) -> None:
    server.ensure_running()
    with closing(server.connect("sweeper")) as session:
        session.cursor().execute("CREATE TABLE IF NOT EXISTS kept (a int)")
    state = server.state()
    assert state is not None and state.pid is not None
    os.kill(state.pid, signal.SIGKILL)
    server.ensure_running()
    with closing(server.connect("sweeper")) as session:
        session.cursor().execute("SELECT * FROM kept")


def test_a_leftover_of_a_process_that_now_is_another_one_is_ignored(server: Embedded) -> None:
    server.ensure_running()
    pid_file = server.layout.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server.ensure_running()
    assert server.is_running


def test_a_server_of_another_host_is_left_alone(server: Embedded) -> None:
    server.ensure_running()
    pretend_host(server)
    with pytest.raises(DatabaseError, match="'elsewhere'"):
        server.stop()
    server.layout.state.unlink()


def test_another_host_is_believed_alive_while_its_lock_is_held(server: Embedded) -> None:
    server.ensure_running()
    server.stop()
    pretend_host(server, age_s=3600)
    with (
        locked(server.layout.alive, 1.0),
        pytest.raises(DatabaseError, match=r"'elsewhere'.*sweeper db stop"),
    ):
        server.ensure_running()


@pytest.mark.parametrize(("age_s", "refused"), [(5, True), (3600, False)])
def test_without_locks_another_host_is_believed_alive_while_its_heart_beats(
    server: Embedded, age_s: float, refused: bool
) -> None:
    server.ensure_running()
    server.stop()
    pretend_host(server, age_s)
    (server.layout.data / "postmaster.pid").write_text("1\n")
    if refused:
        with pytest.raises(DatabaseError, match="'elsewhere'"):
            server.ensure_running()
        (server.layout.data / "postmaster.pid").unlink()
    else:
        server.ensure_running()
