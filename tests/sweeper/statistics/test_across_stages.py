"""Declared stages: alpha is split, each is tested on its own seeds, estimates pool them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from sweeper.statistics.across_stages import Stage, across_stages
from sweeper.statistics.contrasts import compare
from sweeper.statistics.errors import StatisticsError
from sweeper.statistics.verdicts import Verdict


def draw_stage(seed: int, **gains: float) -> Stage:
    """Draw 30 seeds of a control at 70 and 10 of each treatment at 70 + gain, sd 0.4."""
    random = np.random.default_rng(seed)
    control = random.normal(70, 0.4, 30)
    return control, {name: random.normal(70 + gain, 0.4, 10) for name, gain in gains.items()}


FIRST, SECOND = draw_stage(1, kd=0.0, rdd=1.0, cwd=-1.0), draw_stage(2, kd=0.0, rdd=1.0, cwd=-1.0)


def both(names: Sequence[str] = ("kd", "rdd", "cwd")) -> Stage:
    control = np.r_[FIRST[0], SECOND[0]]
    return control, {name: np.r_[FIRST[1][name], SECOND[1][name]] for name in names}


def test_a_single_stage_is_the_plain_comparison() -> None:
    assert across_stages([FIRST]) == compare(*FIRST)


def test_estimates_come_from_all_seeds() -> None:
    found, pooled = across_stages([FIRST, SECOND]), compare(*both())
    for name, contrast in pooled.items():
        assert found[name].difference == pytest.approx(contrast.difference)
        assert found[name].largest_gain == pytest.approx(contrast.largest_gain)
        assert found[name].n == 20
    assert [found[n].verdict for n in ("rdd", "cwd")] == [Verdict.BETTER, Verdict.WORSE]


def test_each_stage_is_tested_on_its_own_seeds_with_its_part_of_alpha() -> None:
    found = across_stages([FIRST, SECOND])
    assert [stage.alpha for stage in found.stages] == [0.025, 0.025]
    for name, contrast in found.items():
        alone = [compare(*stage)[name].p_holm for stage in (FIRST, SECOND)]
        assert contrast.p_holm == pytest.approx(min(1.0, 2 * min(alone)))


def test_one_significant_stage_is_enough() -> None:
    found = across_stages([draw_stage(3, kd=1.0), draw_stage(4, kd=0.0)])
    assert [stage["kd"].verdict for stage in found.stages][0] is Verdict.BETTER
    assert found["kd"].verdict is Verdict.BETTER


def test_stages_that_contradict_each_other_decide_nothing() -> None:
    found = across_stages([draw_stage(3, kd=1.5), draw_stage(4, kd=-1.5)], delta=0.1)
    assert found["kd"].p_holm < 0.05
    assert found["kd"].verdict is Verdict.UNDECIDED


def test_a_planned_stage_takes_its_part_of_alpha_before_it_is_run() -> None:
    found = across_stages([FIRST], planned=2)
    assert found["kd"].p_holm == pytest.approx(min(1.0, 2 * compare(*FIRST)["kd"].p_holm))
    assert found["rdd"].detectable > compare(*FIRST)["rdd"].detectable


def test_a_treatment_may_be_in_one_stage_alone() -> None:
    found = across_stages([FIRST, draw_stage(5, kd=0.0, late=1.0)])
    assert [*found] == ["kd", "rdd", "cwd", "late"]
    assert [found[name].n for name in found] == [20, 10, 10, 10]
    assert found["late"].verdict is Verdict.BETTER


def test_pairs_stay_within_their_stage() -> None:
    control, treatments = both()
    aligned = {
        name: np.r_[values[:10], np.full(20, np.nan), values[10:]]
        for name, values in treatments.items()
    }
    found = across_stages([FIRST, SECOND], paired=True)["kd"]
    assert found.se == pytest.approx(compare(control, aligned, paired=True)["kd"].se)


def test_two_looks_find_nothing_more_often_than_one_where_nothing_is() -> None:
    nothing = {f"method {i}": 0.0 for i in range(5)}
    draws = [[draw_stage(2 * i, **nothing), draw_stage(2 * i + 1, **nothing)] for i in range(250)]
    spurious = {Verdict.BETTER, Verdict.WORSE}
    wrong = [any(c.verdict in spurious for c in across_stages(d).values()) for d in draws]
    assert np.mean(wrong) < 0.06 + 2 * np.sqrt(0.06 * 0.94 / 250)


def test_no_stage_is_refused() -> None:
    with pytest.raises(StatisticsError, match="0 stages were given; at least one is needed"):
        across_stages([])
