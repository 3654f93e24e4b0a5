"""The rules together: a sound sweep breaks none, and a void comparison is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from sweeper.audit.rules import RULES
from sweeper.audit.run import require_sound
from sweeper.core.errors import SweeperError
from tests.sweeper.audit.breaches import audit, spoil, states


def test_a_sound_sweep_breaks_no_rule_and_needs_no_stamp(sound: Engine) -> None:
    found = audit(sound)
    assert states(found) == {}, [f.evidence for f in found.findings]
    assert (found.is_void, found.stamps) == (False, ())
    require_sound(found, allow_unequal=False)


def test_every_rule_is_checked_in_a_module_whose_tests_break_it() -> None:
    files = Path(__file__).parent.glob("test_*_rules.py")
    tested = {f"sweeper.audit.{file.stem.removeprefix('test_')}" for file in files}
    assert {rule.check.__module__ for rule in RULES} == tested


def test_a_void_comparison_is_refused_unless_it_is_asked_for(sound: Engine) -> None:
    spoil(sound, "UPDATE sweeper.bracket SET planned_steps = 999 WHERE study_id = 2 AND index = 1")
    found = audit(sound)
    with pytest.raises(SweeperError, match=r"rule 3 budget\): see `sweeper audit demo`"):
        require_sound(found, allow_unequal=False)
    require_sound(found, allow_unequal=True)
    assert found.stamps[0].startswith("void: rule 3 budget is broken: kd")
