"""Sweeper's commands as processes of their own: started, waited for, and read to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from sweeper.store.database import Store
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
TASK = Path(__file__).parent / "tasks" / "tiny.toml"
RETRY_S = 120.0
Process = subprocess.Popen[str]


def sweeper(store: Store, *arguments: str) -> Process:
    """Start a command on a store; what it says on both streams is one text."""
    return subprocess.Popen(
        [sys.executable, "-m", "sweeper.cli.main", *arguments, "--database", store.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


def loaded(modules: Iterable[str], url: str, *arguments: str) -> str:
    """Return which of some modules a command loads, by what a process that ran it has imported."""
    code = "import sys; from sweeper.cli.main import main\ntry: main()\n"
    code += f"finally: print(*{set(modules)!r} & sys.modules.keys(), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"SWEEPER_DATABASE_URL": url},
        check=True,
    )
    return done.stderr.splitlines()[-1]


def finish(process: Process, code: int = 0) -> str:
    """Return all that a process has said once it has ended with this exit code."""
    output, _ = process.communicate(timeout=300)
    assert process.returncode == code, output
    return output


def wait_until(condition: Callable[[], bool], process: Process) -> None:
    """Wait for something that a running process is to bring about."""

    def holds() -> bool:
        if condition():
            return True
        assert process.poll() is None, process.communicate()
        return False

    assert eventually(holds, RETRY_S)
