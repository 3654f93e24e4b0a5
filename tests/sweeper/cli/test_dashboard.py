"""The dashboard answers, changes nothing, and ends cleanly."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from sweeper.store.database import Store
from tests.sweeper.browser import CHROMIUM, QUIET
from tests.sweeper.cli.conftest import Run
from tests.sweeper.cli.test_main import start

FLAGS = ("--headless", *QUIET, "--virtual-time-budget=15000")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def address(store: Store) -> Iterator[str]:
    """Address of a running dashboard over one study; it must end quietly on Ctrl-C."""
    optuna.create_study(study_name="demo/kd", storage=store.storage)
    process = start("dashboard", "--port", "0", url=store.url)
    assert process.stdout is not None
    yield process.stdout.readline().split()[0]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_the_dashboard_shows_the_studies_and_refuses_changes(address: str) -> None:
    with OPENER.open(f"{address}api/studies", timeout=30) as answer:
        names = {study["study_name"] for study in json.load(answer)["study_summaries"]}
    assert names == {"demo/kd"}
    request = urllib.request.Request(f"{address}api/studies/1", method="DELETE")
    with pytest.raises(urllib.error.HTTPError, match="403") as refusal:
        OPENER.open(request, timeout=30)
    assert json.load(refusal.value)["reason"].startswith("read only")
    refusal.value.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_studies(address: str, tmp_path: Path) -> None:
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path}", "--dump-dom", address]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "demo/kd" in page


def test_a_port_that_is_taken_is_one_line(look: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = look("dashboard", "--port", str(port))
    assert result.exit_code == 2
    assert f"127.0.0.1:{port} cannot be listened on: another program" in result.stderr
