"""Methods that are not treated alike: searches, budgets, spaces, ranges, starts."""

from __future__ import annotations

import json

from sweeper.audit import treatment_rules
from sweeper.search.space import Space
from tests.sweeper.audit.breaches import Breach, FurtherBreachTests
from tests.sweeper.synthetic import space_of


def copied(table: str, column: str, **more: int) -> str:
    """Return a statement that gives the baseline's rows a second search, number 99."""
    changed = json.dumps({column: 99, **more})
    record = f"(jsonb_populate_record(t, '{changed}')).*"
    return f"INSERT INTO sweeper.{table} SELECT {record} FROM sweeper.{table} t WHERE {column} = 1"


def respaced(space: Space) -> str:
    """Return a statement that gives kd, wherever it stands, another space, hash and all."""
    content = json.dumps(space.model_dump(mode="json"))
    values = f"space = '{content}', space_hash = '{space.hash}'"
    return f"UPDATE sweeper.study SET {values} WHERE method = 'kd'"


def changed_space(place: int, **values: object) -> Space:
    dimensions = list(space_of("kd").dimensions)
    dimensions[place] = dimensions[place].model_copy(update=values)
    return Space(method="kd", dimensions=tuple(dimensions))


BROKEN = [
    Breach(
        "baseline",
        "; ".join(
            (
                copied("study", "id", repeat=2),
                *(copied(table, "study_id") for table in ("bracket", "trial", "rung")),
            )
        ),
        "baseline: 2 searches instead of 1",
        seen_by=("segments", "proposals"),
    ),
    Breach(
        "budget",
        "UPDATE sweeper.bracket SET planned_steps = 999 WHERE study_id = 2 AND index = 1",
        "kd: bracket 1 was allowed 999 steps, not 370",
        is_digested=False,
    ),
    Breach(
        "dimensions",
        respaced(changed_space(0, high=0.5)),
        "kd: another range of learning_rate",
        seen_by=("proposals",),
    ),
    Breach(
        "ranges",
        "UPDATE sweeper.study SET calibration = calibration || '{\"equal\": 3}' WHERE id = 2",
        "kd: m1 = 3, but its gradient-norm ratios give 1",
        seen_by=("proposals",),
    ),
    Breach(
        "start",
        "UPDATE sweeper.trial SET params = params || '{\"learning_rate\": 0.01}' "
        "WHERE study_id = 2 AND number = 6",
        "demo/kd#6 starts elsewhere",
        seen_by=("proposals",),
    ),
]
FURTHER = [  # ways to break a rule as well; some break others too
    Breach(
        "baseline", "DELETE FROM sweeper.study WHERE id = 1", "baseline: 0 searches instead of 1"
    ),
    Breach(
        "budget",
        "UPDATE sweeper.trial SET state = 'RUNNING' WHERE study_id = 3 AND number = 15",
        "rdd: 15 of 16 trials are decided",
    ),
    Breach(
        "budget",
        "UPDATE sweeper.trial SET trained_steps = 500 WHERE study_id = 3 AND number = 12",
        "rdd: trained ",
    ),
    Breach(
        "dimensions",
        respaced(changed_space(2, name="second")),
        "kd: 2 hyperparameters of its own (second, temperature)",
    ),
    Breach(
        "ranges",
        "UPDATE sweeper.trial SET params = params || '{\"multiplier\": 50}' "
        "WHERE study_id = 2 AND number = 12",
        "demo/kd#12 lies outside its ranges",
    ),
    Breach(
        "ranges",
        "UPDATE sweeper.study SET calibration = NULL WHERE id = 2",
        "kd: searched without a calibration",
    ),
    Breach(
        "ranges",
        respaced(changed_space(2, low=0.1)),
        "kd: its range of m is not 0.01 to 10 x equal effect",
    ),
    Breach(
        "start",
        "UPDATE sweeper.trial SET params = params || '{\"temperature\": 2.5}' "
        "WHERE study_id = 2 AND number = 0",
        "demo/kd#0 starts elsewhere",
    ),
]


class TestTreatmentRules(FurtherBreachTests):
    """Each rule of the module, broken in the sound store."""

    module = treatment_rules
    broken = BROKEN
    further = FURTHER
