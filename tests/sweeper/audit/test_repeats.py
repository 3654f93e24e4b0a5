"""Several searches a method: the baseline has three times as many, and each is confirmed."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text

from sweeper.audit.finding import State
from sweeper.audit.run import Audit, run_audit
from sweeper.comparison.evidence import read_evidence
from tests.sweeper.confirmed import confirm
from tests.sweeper.digested import add_all_digests
from tests.sweeper.synthetic import copy_search, fill

BASELINE, KD = 1, 2  # studies


@pytest.fixture
def repeated(engine: Engine) -> Engine:
    """A sweep with six searches of the baseline and two of kd, confirmed."""
    fill(engine, methods=("baseline", "kd"))
    for repeat in range(2, 7):
        copy_search(engine, BASELINE, repeat)
    copy_search(engine, KD, 2)
    confirm(engine, {"baseline": [41.0, 41.5, 42.0], "kd": [43.0, 42.5, 43.5]})
    return engine


def states(engine: Engine) -> dict[str, State]:
    found: Audit = run_audit(read_evidence(engine, "demo"), replay=True)
    # Where the best of other start-up points lie in their ranges is not what is tested here.
    names = [f for f in found.findings if f.rule.name != "room"]
    return {f.rule.name: f.state for f in names if f.state is not State.HOLDS}


def test_several_searches_a_method_break_no_rule(repeated: Engine) -> None:
    assert states(repeated) == {}


def test_the_second_search_of_a_method_is_held_to_its_incumbent(repeated: Engine) -> None:
    spoil = "UPDATE sweeper.trial SET params = params || '{\"temperature\"\\: 2}' "
    where = "FROM sweeper.study y WHERE y.id = study_id AND y.sweep_id = 2 AND y.repeat = 2"
    with repeated.begin() as connection:
        connection.execute(text(f"{spoil} {where} AND y.method = 'kd'"))
        add_all_digests(connection)
    assert states(repeated) == {"published and tuned": State.BROKEN}


def test_a_baseline_with_fewer_searches_is_no_fair_opponent(repeated: Engine) -> None:
    with repeated.begin() as connection:
        connection.execute(text("DELETE FROM sweeper.study WHERE id = 16"))
    assert states(repeated)["baseline"] is State.BROKEN
