"""How far a sweep is, read from the log: the same numbers for every display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from sweeper.core.names import search_name
from sweeper.search.brackets import Plan


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """How far one study is."""

    method: str
    repeat: int
    state: str
    reason: str | None
    target: int
    planned: int
    complete: int
    pruned: int
    diverged: int
    failed: int
    undecided: int
    best: float | None  # mIoU in percent
    trained_steps: int
    wasted_steps: int
    device_seconds: float

    @property
    def name(self) -> str:
        """METHOD, or METHOD@R for a later search."""
        return search_name(self.method, self.repeat)

    @property
    def decided(self) -> int:
        """Trials that will not change any more."""
        return self.complete + self.pruned + self.diverged + self.failed


@dataclass(frozen=True, kw_only=True)
class SweepProgress:
    """How far a sweep is."""

    studies: Sequence[StudyProgress]
    total_steps: int  # that the targets allow; of a study that is not active, what it trained
    segment_steps: int  # member steps of segments in flight, as last heard

    @property
    def trained_steps(self) -> int:
        """Member steps whose result is kept, and those in flight."""
        return sum(study.trained_steps for study in self.studies) + self.segment_steps

    @property
    def decided(self) -> int:
        """Trials that will not change any more."""
        return sum(study.decided for study in self.studies)

    @property
    def target(self) -> int:
        """Trials that all studies together are to have."""
        return sum(study.target for study in self.studies)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that a driver could run."""
        return all(s.state != "active" or s.decided >= s.target for s in self.studies)

    @property
    def left_steps(self) -> int:
        """Steps still to be trained, if no trial ends early by itself.

        A bracket's allowance counts whole once it is decided, whatever it really used.
        """
        return 0 if self.is_done else max(self.total_steps - self.trained_steps, 0)


IN_FLIGHT = text("""
    SELECT coalesce(sum((g.progress_step - g.start_step) * m.members), 0)::bigint
    FROM sweeper.segment g
    JOIN LATERAL (SELECT count(*) AS members FROM sweeper.segment_member
                  WHERE segment_id = g.id) m ON true
    WHERE g.sweep_id = :sweep AND g.state = 'in flight'
""")
STUDIES = text("""
    SELECT * FROM sweeper.progress
    WHERE sweep = (SELECT name FROM sweeper.sweep WHERE id = :sweep) ORDER BY study_id
""")


def read_progress(engine: Engine, sweep_id: int, plan: Plan) -> SweepProgress:
    """Return how far a sweep is."""
    with engine.connect() as connection:
        rows = list(connection.execute(STUDIES, {"sweep": sweep_id}).mappings())
        in_flight = connection.scalar(IN_FLIGHT, {"sweep": sweep_id})
    names = StudyProgress.__dataclass_fields__
    return SweepProgress(
        studies=[StudyProgress(**{name: row[name] for name in names}) for row in rows],
        total_steps=sum(
            plan.allowed_steps(row["target"]) if row["state"] == "active" else row["trained_steps"]
            for row in rows
        ),
        segment_steps=int(in_flight or 0),
    )
