"""Where an embedded server keeps its files, and who may enter, read and change them."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from sweeper.core.errors import DatabaseError
from sweeper.postgres.cluster import MAX_SOCKET_PATH, SOCKET_NAME, Layout
from sweeper.postgres.embedded import Embedded
from tests.servers import end, home_in

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="about the server of root")


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
