"""The embedded server's life: started once by whoever comes first, stopped by nobody's absence."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from sweeper.core.errors import DatabaseError
from sweeper.postgres.cluster import MAX_SOCKET_PATH, SOCKET_NAME, Layout
from sweeper.postgres.embedded import Embedded
from sweeper.postgres.file_locks import is_held, locked
from tests.servers import end, home_in

CLIENT = "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]); c.cursor().execute(sys.argv[2])"
STARTER = """
import sys
from pathlib import Path
from sweeper.postgres.embedded import Embedded
print(Embedded(Path(sys.argv[1])).ensure_running())
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="about the server of root")


@pytest.fixture(scope="module")
def home(open_folder: Path) -> Iterator[Path]:
    """A home of this module's own, so that others keep their server."""
    home = home_in(open_folder, "life")
    yield home
    end(Embedded(home))


@pytest.fixture
def server(home: Path) -> Iterator[Embedded]:
    """The server of that home, stopped before and after."""
    server = Embedded(home)
    end(server)
    yield server
    end(server)


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


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
    Embedded(home, idle_s=1.0).ensure_running()
    with closing(server.connect("sweeper", "somebody")):
        time.sleep(2.5)
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


def test_data_of_another_major_version_are_refused(server: Embedded) -> None:
    server.ensure_running()
    server.stop()
    marker = server.layout.data / "PG_VERSION"
    marker.write_text("12\n")
    with pytest.raises(DatabaseError, match=r"need PostgreSQL 12.*brings \[18\].*db dump"):
        server.ensure_running()
    marker.write_text("18\n")


def test_data_and_socket_are_closed_to_all_others(server: Embedded) -> None:
    server.ensure_running()
    for folder in (server.layout.data, server.layout.socket, server.layout.cluster):
        assert folder.stat().st_mode & 0o077 == 0


def test_the_server_is_not_reachable_over_the_network(server: Embedded) -> None:
    server.ensure_running()
    with closing(server.connect("sweeper")) as session, session.cursor() as cursor:
        cursor.execute("SELECT current_setting('listen_addresses'), current_setting('fsync')")
        assert cursor.fetchone() == ("", "on")


def test_another_role_is_not_admitted_by_the_socket(server: Embedded) -> None:
    server.ensure_running()
    with pytest.raises(psycopg2.OperationalError, match=r"[Pp]eer authentication failed"):
        psycopg2.connect(host=str(server.layout.socket), user="postgres", dbname="sweeper")


def test_a_long_home_has_its_socket_elsewhere(open_folder: Path) -> None:
    server = Embedded(home_in(open_folder, "long" * 25), runtime=open_folder)
    server.ensure_running()
    try:
        assert len(str(server.layout.socket / SOCKET_NAME)) <= MAX_SOCKET_PATH
        assert server.layout.socket.parent == open_folder
    finally:
        end(server)


def test_a_strangers_folder_in_the_sockets_place_is_refused(open_folder: Path) -> None:
    server = Embedded(home_in(open_folder, "evil" * 25), runtime=open_folder)
    server.layout.socket.mkdir()
    server.layout.socket.chmod(0o777)
    with pytest.raises(DatabaseError, match="closed to all others"):
        server.ensure_running()


@needs_root
def test_roots_server_needs_a_home_that_its_user_may_enter(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="cannot run.*SWEEPER_HOME"):
        Embedded(tmp_path / "home").ensure_running()


@needs_root
def test_roots_server_cannot_change_its_programs_or_settings(server: Embedded) -> None:
    server.ensure_running()
    assert server.layout.cluster.stat().st_uid != 0
    for folder in (server.layout.config, server.layout.folder / "programs"):
        assert folder.stat().st_uid == 0 and folder.stat().st_mode & 0o022 == 0


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(DatabaseError, match="SWEEPER_HOME"):
        Embedded(tmp_path / "home").ensure_running()


def test_the_layout_of_a_home_is_below_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path, Path("/tmp"))
    assert all(path.is_relative_to(tmp_path) for path in (layout.data, layout.lock, layout.config))
