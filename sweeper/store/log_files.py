"""Where the folders of a sweep's segments and its log files lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, text

FOLDER = "logs"
ROOTS = text("""
SELECT folder, NULL AS checkpoints FROM sweeper.segment WHERE sweep_id = :sweep_id AND folder <> ''
UNION
SELECT NULL, provenance ->> 'checkpoints' FROM sweeper.launch
WHERE sweep_id = :sweep_id AND provenance ->> 'checkpoints' IS NOT NULL
""")
LAST_FAULT = text("""
SELECT s.id, s.folder FROM sweeper.segment s
JOIN sweeper.segment_member m ON m.segment_id = s.id
JOIN sweeper.study y ON y.id = m.study_id
WHERE s.sweep_id = :sweep_id AND y.method = :method AND y.repeat = :repeat
      AND m.ending IN ('failed', 'lost')
ORDER BY s.id DESC LIMIT 1
""")


def folder_name(identifier: int) -> str:
    """Return the name of a segment's folder: no other attempt has it."""
    return f"segment-{identifier}"


def sweep_file(root: Path) -> Path:
    """Return the log of the sweep whose checkpoints lie below `root`."""
    return root / FOLDER / "sweep.jsonl"


def segment_file(root: Path, identifier: int) -> Path:
    """Return the log of a segment."""
    return root / FOLDER / f"{folder_name(identifier)}.jsonl"


def segment_file_beside(folder: str, identifier: int) -> Path:
    """Return the log of a segment whose checkpoints lie in `folder`."""
    return segment_file(Path(folder).parent, identifier)


def roots(connection: Connection, sweep_row: Row[Any]) -> list[Path]:
    """Return the folders that hold a sweep's checkpoints and logs: one, unless it has moved."""
    rows = connection.execute(ROOTS, {"sweep_id": sweep_row.id})
    return sorted(
        {Path(r.folder).parent if r.folder else Path(r.checkpoints, sweep_row.folder) for r in rows}
    )


def last_fault(connection: Connection, sweep_id: int, method: str, repeat: int) -> Path | None:
    """Return the log of the last segment that a method failed or was lost in."""
    values = {"sweep_id": sweep_id, "method": method, "repeat": repeat}
    row = connection.execute(LAST_FAULT, values).one_or_none()
    return None if row is None else segment_file_beside(row.folder, row.id)
