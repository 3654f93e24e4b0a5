"""The operating-system user that runs the embedded server: oneself, or for root somebody lesser.

PostgreSQL refuses to run as root, and so a file that it could overwrite is never root's.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sweeper.core.errors import DatabaseError

CANDIDATES = ("sweeper", "postgres", "nobody")
# The caller's PG* and LD_* variables must not steer the server.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True)
class Owner:
    """A user who runs the server and owns its data."""

    uid: int
    gid: int
    name: str

    @property
    def is_caller(self) -> bool:
        """Whether this process runs as that user already."""
        return self.uid == os.geteuid()

    def run(
        self, command: Sequence[str | Path], log: Path | None = None, keep: Sequence[int] = ()
    ) -> str:
        """Run a command as this user and return its output; raises DatabaseError where it fails.

        A server would hold a pipe open for ever: with `log` the output goes there instead.
        """
        try:
            done = subprocess.run(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if log else subprocess.PIPE,
                stderr=subprocess.DEVNULL if log else subprocess.STDOUT,
                env=ENVIRONMENT,
                cwd="/",
                umask=0o077,
                pass_fds=tuple(keep),
                user=None if self.is_caller else self.uid,
                group=None if self.is_caller else self.gid,
                extra_groups=None if self.is_caller else (),
                check=False,
            )
        except OSError as error:
            raise DatabaseError(self._unreachable(Path(command[0]), error)) from error
        output = "" if done.stdout is None else done.stdout.decode(errors="replace")
        if done.returncode != 0:
            raise DatabaseError(self._failure(Path(command[0]), output or _tail(log)))
        return output

    def _unreachable(self, program: Path, error: OSError) -> str:
        return (
            f"user {self.name!r}, who runs the embedded database, cannot run {program}"
            f" ({error.strerror}); every folder above it must be open to that user: choose another"
            " SWEEPER_HOME, for example /var/lib/sweeper, or give a server with --database"
        )

    def _failure(self, program: Path, output: str) -> str:
        said = " ".join(output.split()) or "no output"
        return f"{program.name} failed for the embedded database: {said}"


def _tail(log: Path | None, num_lines: int = 4) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-num_lines:]
    return f"{' | '.join(lines)} (all of it in {log})"


def owner_of(path: Path) -> Owner:
    """Return the user who owns an existing folder; raises DatabaseError for a nameless one."""
    return _owner(path.stat().st_uid)


def chosen_owner() -> Owner:
    """Return who is to own a new server: oneself, or for root the first candidate that exists."""
    if os.geteuid() != 0:
        return _owner(os.geteuid())
    for name in CANDIDATES:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Owner(entry.pw_uid, entry.pw_gid, name)
    raise DatabaseError(
        "the embedded database cannot run as root, and none of the users"
        f" {', '.join(CANDIDATES)} exists; create one, or give a server with --database"
    )


def _owner(uid: int) -> Owner:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError as error:
        raise DatabaseError(
            f"user id {uid} has no name on this host, which the embedded database needs; add it to"
            " /etc/passwd, or give a server with --database"
        ) from error
    return Owner(entry.pw_uid, entry.pw_gid, entry.pw_name)
