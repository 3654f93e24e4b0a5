"""The sections on how a comparison came about: what it cost, and where it comes from."""

from __future__ import annotations

import re

from sqlalchemy import Engine, text

from sweeper.report.provenance import SHORT
from tests.sweeper.confirmed import confirm
from tests.sweeper.recorded import DEVICE, PROVENANCE, TEACHER_MIOU
from tests.sweeper.report.pages import Written
from tests.sweeper.synthetic import COMMAND, fill

SEEDS = {"baseline": [40.0, 40.2, 40.4], "kd": [42.0, 42.3]}
DIRTY = """UPDATE sweeper.launch SET provenance = jsonb_set(provenance, '{git,dirty}', 'true')
           WHERE sweep_id = 1"""


def shown(section: str) -> str:
    """Return what a section says without its markup, a blank between any two pieces."""
    return " ".join(re.sub(r"<[^>]+>", " ", section).split())


def test_costs_and_launches_are_those_of_the_log(engine: Engine, written: Written) -> None:
    fill(engine, methods=tuple(SEEDS))
    confirm(engine, SEEDS)
    with engine.begin() as connection:
        connection.execute(text(DIRTY))
    page = written()
    ledger = shown(page.section("costs"))
    assert "baseline 1 16 950 3 95 0 0.1000 measured" in ledger
    found = shown(page.section("provenance"))
    commit = PROVENANCE["git"]["commit"][:SHORT]
    for part in (
        f"trained, {TEACHER_MIOU:.2f} mIoU, teacher",
        "Trials compared 16 a search",
        "not deterministic",
        f"somebody@somewhere {commit} (changed)",
        COMMAND,
        f"somebody@somewhere {commit} {PROVENANCE['python']} {PROVENANCE['packages']['torch']}",
        "sweeper confirm demo",
        "demo:confirm-1",
    ):
        assert part in found, part
    assert DEVICE not in found  # it says which processor launched, not what trained


def test_a_launch_that_left_no_record_is_shown_with_dashes(
    engine: Engine, written: Written
) -> None:
    fill(engine, methods=tuple(SEEDS))
    with engine.begin() as connection:
        connection.execute(text("UPDATE sweeper.launch SET provenance = '{}'"))
        connection.execute(text("UPDATE sweeper.sweep SET teacher_hash = NULL"))
    found = shown(written().section("provenance"))
    assert "somebody@somewhere - - - - sweeper launch" in found
    assert "Teacher none" in found
    assert "Confirmation Declared" not in found
