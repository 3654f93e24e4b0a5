"""What was spent so far, for plans: time of steps, bytes of trials, noise of seeds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sqlalchemy import Connection, text

from trainers.tasks import Task
from trainers.tasks.identity import NOT_TRAINING

ENOUGH_TRIALS = 500  # for a mean of what a trial takes in the database: an empty one has its size
MOST_FILES = 50  # of checkpoints that are looked at

# Of a task counts what can change a training: `:search` names the rest.
SAME_TASK = "(s.protocol -> 'task') - CAST(:search AS text[]) = CAST(:task AS jsonb)"
SPENT = text(f"""
    SELECT y.method, c.size, sum(m.reached_step - g.start_step) AS steps, sum(m.seconds) AS seconds
    FROM sweeper.segment g
    JOIN sweeper.sweep s ON s.id = g.sweep_id
    JOIN sweeper.segment_member m ON m.segment_id = g.id
    JOIN sweeper.study y ON y.id = m.study_id
    JOIN LATERAL (SELECT count(*) AS size FROM sweeper.segment_member
                  WHERE segment_id = g.id) c ON true
    WHERE m.ending = 'reached' AND g.device_name = :device AND {SAME_TASK}
    GROUP BY y.method, c.size HAVING sum(m.reached_step - g.start_step) > 0
""")
LAST_DEVICE = text(f"""
    SELECT g.device_name FROM sweeper.segment g JOIN sweeper.sweep s ON s.id = g.sweep_id
    WHERE g.device_name IS NOT NULL AND {SAME_TASK}
    ORDER BY s.name <> :sweep, g.ended_at DESC NULLS LAST LIMIT 1
""")
SEED_NOISE = text(f"""
    SELECT sum((n - 1) * variance) / sum(n - 1) AS variance, sum(n) AS runs
    FROM (SELECT count(c.score) AS n, var_samp(c.score) AS variance
          FROM sweeper.confirmations c JOIN sweeper.sweep s ON s.name = c.sweep
          WHERE c.state = 'COMPLETE' AND {SAME_TASK}
          GROUP BY c.study_id, c.configuration HAVING count(c.score) > 1) a
""")
FILES = text(f"""
    SELECT t.checkpoint FROM sweeper.trial t
    JOIN sweeper.study y ON y.id = t.study_id JOIN sweeper.sweep s ON s.id = y.sweep_id
    WHERE t.state = 'COMPLETE' AND t.checkpoint IS NOT NULL AND {SAME_TASK}
    ORDER BY t.finished_at DESC LIMIT :most
""")
TRIAL_BYTES = text("""
    SELECT CASE WHEN n >= :enough THEN pg_database_size(current_database()) / n END
    FROM (SELECT count(*) AS n FROM sweeper.trial) a
""")


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the students of a method took, in cohorts of one size."""

    method: str
    cohort: int
    steps: int  # of single students
    seconds: float  # their own, and their equal shares of what was common

    @property
    def a_step(self) -> float:
        """Seconds of one step of one student."""
        return self.seconds / self.steps


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How much mIoU differs between seeds, as confirmations have shown."""

    sd: float  # mIoU in percent, pooled over configurations
    runs: int


def read_spent(connection: Connection, task: Task, device: str) -> list[Spent]:
    """Return what students of the task took on devices of that name, a row a cohort's size."""
    rows = connection.execute(SPENT, {"device": device, **_same(task)})
    return [
        Spent(method=r.method, cohort=r.size, steps=int(r.steps), seconds=r.seconds) for r in rows
    ]


def last_device(connection: Connection, task: Task, sweep: str) -> str | None:
    """Return the name of the device that trained the task last: in that sweep, else in any."""
    found: str | None = connection.scalar(LAST_DEVICE, {"sweep": sweep, **_same(task)})
    return found


def read_noise(connection: Connection, task: Task) -> Noise | None:
    """Return the seeds' noise in all confirmations of the task; None where there is none yet."""
    row = connection.execute(SEED_NOISE, _same(task)).one()
    return None if row.variance is None else Noise(sd=row.variance**0.5, runs=int(row.runs))


def checkpoint_bytes(connection: Connection, task: Task) -> float | None:
    """Return the mean size of finished trials' checkpoints, where this machine sees any."""
    names = connection.scalars(FILES, {"most": MOST_FILES, **_same(task)})
    sizes = [file.stat().st_size for file in map(Path, names) if file.is_file()]
    return fmean(sizes) if sizes else None


def trial_bytes(connection: Connection) -> float | None:
    """Return what a trial takes in this database on average; None where there are too few."""
    found = connection.scalar(TRIAL_BYTES, {"enough": ENOUGH_TRIALS})
    return None if found is None else float(found)


def _same(task: Task) -> dict[str, Any]:
    content = {key: value for key, value in task.identity().items() if key not in NOT_TRAINING}
    return {"task": json.dumps(content), "search": sorted(NOT_TRAINING)}
