"""Digests that bind what was recorded to the event that was noted with it, row by row.

Whoever changes a row later has to find and change its event as well: an audit compares the two.
The server computes both, from the same expressions, so that a digest is the same wherever a dump
is restored. Columns that may change once a row is complete (paths, wasted steps, what Optuna's
tables show) are left out.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, text

DIGEST = "digest"  # kind of these events

# what -> where it comes from, its key, when it is complete, what is digested. Aliases are fixed:
# y is its study (null: it belongs to the sweep alone), s the sweep that the event is noted with.
_TIME = "extract(epoch FROM {})"
_SOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "sweep": (
        "sweeper.sweep s LEFT JOIN sweeper.study y ON false",
        "s.id",
        "true",
        (
            *("s.name", "s.seed", "s.protocol", "s.protocol_hash", "s.confirms", "s.stage"),
            *("s.equal_cost", _TIME.format("s.created_at")),
        ),
    ),
    "teacher": (
        "sweeper.sweep s LEFT JOIN sweeper.study y ON false LEFT JOIN LATERAL ("
        "SELECT * FROM sweeper.artifact WHERE kind = 'teacher' AND weights_hash = s.teacher_hash"
        " ORDER BY hash = s.protocol ->> 'teacher_recipe' DESC, hash LIMIT 1) a ON true",
        "s.id",
        "s.teacher_hash IS NOT NULL",
        ("s.teacher_hash", "a.hash", "a.kind", "a.origin", "a.identity", "a.metrics"),
    ),
    "launch": (
        "sweeper.launch l JOIN sweeper.sweep s ON s.id = l.sweep_id"
        " LEFT JOIN sweeper.study y ON false",
        "l.id",
        "true",
        ("l.who", "l.command", "l.provenance", _TIME.format("l.at")),
    ),
    "study": (
        "sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id",
        "y.id",
        "true",
        (
            *("y.method", "y.repeat", "y.space", "y.space_hash", "y.code_hash"),
            *("y.needs_teacher", "y.preparation", _TIME.format("y.created_at")),
        ),
    ),
    "calibration": (
        "sweeper.study y JOIN sweeper.sweep s ON s.id = y.sweep_id",
        "y.id",
        "y.calibration IS NOT NULL",
        ("y.calibration",),
    ),
    "trial": (
        "sweeper.trial t JOIN sweeper.study y ON y.id = t.study_id"
        " JOIN sweeper.sweep s ON s.id = y.sweep_id",
        "concat_ws('/', t.study_id, t.number)",
        "t.state <> 'RUNNING'",
        (
            *("t.bracket", "t.origin", "t.seed", "t.params", "t.state", "t.diverged", "t.rung"),
            *("t.step", "t.score", "t.reason", "t.trained_steps", "t.device_seconds"),
            *(_TIME.format("t.created_at"), _TIME.format("t.finished_at")),
        ),
    ),
    "segment": (
        "sweeper.segment g JOIN sweeper.segment_member m ON m.segment_id = g.id"
        " JOIN sweeper.study y ON y.id = m.study_id JOIN sweeper.sweep s ON s.id = y.sweep_id"
        " LEFT JOIN sweeper.rung r ON r.segment_id = g.id AND r.study_id = m.study_id"
        " AND r.number = m.number"
        " LEFT JOIN sweeper.confusion c ON c.study_id = r.study_id AND c.number = r.number",
        "concat_ws('/', g.id, m.study_id, m.number)",
        "g.state IN ('done', 'interrupted')",
        (
            *("g.sweep_id", "g.epoch", "g.seed", "g.start_step", "g.stop_step", "g.state"),
            *(
                "g.device_name",
                "g.code_hash",
                "g.wall_seconds",
                "g.notes",
                _TIME.format("g.started_at"),
            ),
            *(_TIME.format("g.ended_at"), "m.ordinal", "m.ending", "m.reached_step", "m.seconds"),
            *("m.weights_hash", "m.losses", "m.reason", "r.index", "r.step", "r.score"),
            *("r.class_iou", "r.weights_hash", _TIME.format("r.recorded_at")),
            *("encode(sha256(c.content), 'hex')", _TIME.format("c.recorded_at")),
        ),
    ),
}

# One digest is of a JSON array: it tells null from empty, and how a server prints it is fixed.
ROWS = {
    what: (
        f"SELECT s.id AS sweep_id, y.id AS study_id, '{what}' AS what, ({key})::text AS key,"
        f" encode(sha256(convert_to(jsonb_build_array({', '.join(columns)})::text, 'UTF8')),"
        f" 'hex') AS digest FROM {source} WHERE {complete}"
    )
    for what, (source, key, complete, columns) in _SOURCES.items()
}
_OF = {  # how one call names the rows that it is about
    "sweep": "s.id = :id",
    "teacher": "s.id = :id",
    "launch": "l.id = :id",
    "study": "y.id = :id",
    "calibration": "y.id = :id",
    "trial": "t.study_id = :id AND t.number = :number",
    "segment": "g.id = :id",
}
_ADD = {
    what: text(
        "INSERT INTO sweeper.event (sweep_id, study_id, kind, detail)"
        f" SELECT sweep_id, study_id, '{DIGEST}',"
        " jsonb_build_object('what', what, 'key', key, 'digest', digest)"
        f" FROM ({rows} AND {_OF[what]}) AS digests"
    )
    for what, rows in ROWS.items()
}
_FAMILY = (
    "(SELECT f.id FROM sweeper.sweep f LEFT JOIN sweeper.sweep p ON p.id = f.confirms"
    " WHERE :sweep IN (f.id, f.confirms, p.confirms))"
)
_BROKEN = text(
    f"WITH found AS ({' UNION ALL '.join(f'{r} AND s.id IN {_FAMILY}' for r in ROWS.values())}),"
    " noted AS (SELECT detail ->> 'what' AS what, detail ->> 'key' AS key,"
    " detail ->> 'digest' AS digest FROM sweeper.event"
    f" WHERE kind = '{DIGEST}' AND sweep_id IN {_FAMILY})"
    " SELECT what, key, found.digest IS NULL AS is_gone, noted.digest IS NULL AS is_new"
    " FROM found FULL JOIN noted USING (what, key)"
    " WHERE found.digest IS DISTINCT FROM noted.digest ORDER BY what, key"
)


def add_digest(
    connection: Connection, what: str, identifier: int, number: int | None = None
) -> None:
    """Note the digest of a row that is complete; of what is not complete yet, nothing.

    `what` is sweep, teacher (of a sweep), launch, study, calibration (of a study), trial (with its
    `number`) or segment (with its members, their rungs and confusion matrices).
    """
    connection.execute(_ADD[what], {"id": identifier, "number": number})


def broken_digests(connection: Connection, sweep_id: int) -> list[Row[Any]]:
    """Return what is not as it was recorded, of a sweep and all that confirms it.

    Rows of what, key, is_gone (only the event is left) and is_new (there is no event).
    """
    return list(connection.execute(_BROKEN, {"sweep": sweep_id}))
