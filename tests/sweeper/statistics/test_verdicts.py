"""Which verdict goes before which."""

from __future__ import annotations

import pytest

from sweeper.statistics.verdicts import Verdict, judge


@pytest.mark.parametrize(
    ("direction", "largest_gain", "verdict"),
    [
        (1.0, 2.0, Verdict.BETTER),
        (1.0, 0.3, Verdict.BETTER),  # by less than delta, but better
        (-1.0, 0.3, Verdict.WORSE),
        (-1.0, 2.0, Verdict.WORSE),
        (0.0, 0.3, Verdict.NO_GAIN),
        (0.0, -0.3, Verdict.NO_GAIN),
        (0.0, 0.5, Verdict.UNDECIDED),
        (0.0, 2.0, Verdict.UNDECIDED),
    ],
)
def test_significance_goes_before_what_is_excluded(
    direction: float, largest_gain: float, verdict: Verdict
) -> None:
    assert judge(direction, largest_gain, delta=0.5) is verdict


def test_verdicts_read_as_they_are_written() -> None:
    assert [str(v) for v in Verdict] == ["better", "worse", "no gain above delta", "undecided"]
