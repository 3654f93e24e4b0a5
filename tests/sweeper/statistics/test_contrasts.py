"""Treatments against a control: by hand, by scipy, and under all that must change nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sweeper.statistics.contrasts import Contrast, compare
from sweeper.statistics.errors import StatisticsError
from sweeper.statistics.samples import Values
from sweeper.statistics.shrinkage import Floats, moderate
from sweeper.statistics.verdicts import Verdict

RANDOM = np.random.default_rng(7)
CONTROL = RANDOM.normal(70.0, 0.4, 30)
GAINS = {"up": 1.0, "same": 0.0, "down": -1.0, "bit": 0.3, "little": 0.1}
TREATMENTS: dict[str, Values] = {
    name: RANDOM.normal(70 + gain, 0.4, 10) for name, gain in GAINS.items()
}
ALONE = {"up": TREATMENTS["up"]}


def numbers(contrast: Contrast) -> list[float]:
    return [contrast.t, contrast.p, contrast.p_holm, contrast.dof]


def test_a_lone_treatment_gets_welchs_t_with_no_more_freedom_than_scipys() -> None:
    found, scipys = (
        compare(CONTROL, ALONE)["up"],
        stats.ttest_ind(ALONE["up"], CONTROL, equal_var=False),
    )
    assert found.t == pytest.approx(scipys.statistic)
    share = found.sd**2 / 10 / found.se**2
    assert found.dof == pytest.approx(1 / ((1 - share) ** 2 / 29 + share / 9))
    assert 9 < found.dof < scipys.df
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.t), found.dof))


def test_a_lone_pairing_is_scipys() -> None:
    found = compare(CONTROL, ALONE, paired=True)["up"]
    scipys = stats.ttest_rel(ALONE["up"], CONTROL[:10])
    assert [found.t, found.p, found.dof] == pytest.approx([scipys.statistic, scipys.pvalue, 9])
    assert [found.low, found.high] == pytest.approx([*scipys.confidence_interval()])


def test_errors_come_from_moderated_treatments_and_the_controls_own_variance() -> None:
    found = compare(CONTROL, TREATMENTS)
    own = np.array([np.var(values, ddof=1) for values in TREATMENTS.values()])
    moderated = moderate(own, np.full(5, 9.0))
    ses = np.sqrt(np.var(CONTROL, ddof=1) / 30 + moderated.variances / 10)
    assert [c.se for c in found.values()] == pytest.approx(ses)
    assert found.prior.dof == pytest.approx(moderated.prior.dof)


def test_limits_are_the_difference_and_the_ts_of_the_test() -> None:
    for contrast in compare(CONTROL, TREATMENTS).values():
        for level, high in ((0.05, contrast.high), (0.05 / 5, contrast.largest_gain)):
            limit = contrast.difference + stats.t.isf(level / 2, contrast.dof) * contrast.se
            assert high == pytest.approx(limit)
        assert contrast.low + contrast.high == pytest.approx(2 * contrast.difference)


def test_p_values_are_stepped_down_as_by_hand() -> None:
    found = compare(CONTROL, TREATMENTS)
    highest = 0.0
    for rank, contrast in enumerate(sorted(found.values(), key=lambda c: c.p)):
        highest = max(highest, min(1.0, (5 - rank) * contrast.p))
        assert contrast.p_holm == pytest.approx(highest)


def test_verdicts_are_as_planted() -> None:
    found = compare(CONTROL, TREATMENTS)
    assert found["up"].verdict is Verdict.BETTER
    assert found["down"].verdict is Verdict.WORSE
    assert compare(CONTROL, TREATMENTS, delta=2.0)["same"].verdict is Verdict.NO_GAIN
    assert compare(CONTROL, TREATMENTS, delta=0.01)["bit"].verdict is not Verdict.NO_GAIN


def test_an_interval_of_all_without_zero_is_significant() -> None:
    for size in np.linspace(-1, 1, 41):
        found = compare(CONTROL, {**TREATMENTS, "shifted": CONTROL[:10] + size})["shifted"]
        if found.low_simultaneous > 0 or found.high_simultaneous < 0:
            assert found.p_holm < 0.05


def test_the_order_of_treatments_is_kept_and_changes_nothing() -> None:
    found = compare(CONTROL, TREATMENTS)
    turned = compare(CONTROL, dict(reversed(TREATMENTS.items())))
    assert [*found] == [*TREATMENTS] == [*reversed([*turned])]
    for name in TREATMENTS:
        assert numbers(found[name]) == pytest.approx(numbers(turned[name]))


@pytest.mark.parametrize("paired", [False, True])
def test_shift_and_scale_change_no_test(paired: bool) -> None:
    moved = {name: 3 * np.asarray(values) - 20 for name, values in TREATMENTS.items()}
    found = compare(CONTROL, TREATMENTS, paired=paired)
    other = compare(3 * CONTROL - 20, moved, delta=1.5, paired=paired)
    for name in TREATMENTS:
        assert numbers(found[name]) == pytest.approx(numbers(other[name]))
        assert found[name].verdict is other[name].verdict
        assert other[name].detectable == pytest.approx(3 * found[name].detectable)


@pytest.mark.parametrize("paired", [False, True])
def test_the_order_of_seeds_matters_to_pairs_alone(paired: bool) -> None:
    turned = {name: values[::-1] for name, values in TREATMENTS.items()}
    found = compare(CONTROL, TREATMENTS, paired=paired)["up"]
    other = compare(CONTROL, turned, paired=paired)["up"]
    assert (found.se == pytest.approx(other.se)) is not paired


def test_pairs_cancel_what_seeds_share() -> None:
    shared = RANDOM.normal(0, 2, 30)
    follower = (shared + RANDOM.normal(0.5, 0.1, 30))[:10]
    found = compare(shared, {"follower": follower}, paired=True)
    assert found["follower"].verdict is Verdict.BETTER
    assert compare(shared, {"follower": follower})["follower"].verdict is Verdict.UNDECIDED
    assert found.seed_correlation == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("paired", [False, True])
def test_a_seed_without_a_value_is_left_out(paired: bool) -> None:
    holed = {"up": [*ALONE["up"][:4], math.nan, *ALONE["up"][5:]]}
    without = {"up": np.delete(np.asarray(ALONE["up"]), 4)}
    control = np.delete(CONTROL, 4) if paired else CONTROL
    found = compare(CONTROL, holed, paired=paired)["up"]
    assert found.n == 9
    assert numbers(found) == pytest.approx(numbers(compare(control, without, paired=paired)["up"]))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("gap", [0.0, 3.0])
def test_without_any_noise_nothing_is_concluded(gap: float, paired: bool) -> None:
    same = {name: [71.3 + gap] * 10 for name in TREATMENTS}
    found = compare([71.3] * 30, same, paired=paired)["up"]
    assert (found.p, found.verdict, found.largest_gain) == (1.0, Verdict.UNDECIDED, math.inf)
    assert found.difference == pytest.approx(gap)


def test_one_treatment_without_noise_is_judged_by_the_others_noise() -> None:
    found = compare(CONTROL, {**TREATMENTS, "flat": [70.0] * 10})["flat"]
    assert found.sd == 0 < found.se < math.inf
    assert all(map(math.isfinite, numbers(found)))


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize(
    ("control", "treatments", "words"),
    [
        (CONTROL, {}, "0 treatments were given; a comparison needs at least one"),
        (
            CONTROL,
            {"kd": [70.0]},
            r"'kd' has 1 values: \[70.0\]; at least 2, all finite, are needed",
        ),
        (CONTROL, {"kd": [70.0, math.nan]}, "'kd' has 1 values"),
        ([70.0], {"kd": [70.0, 71.0]}, "the control has 1 values"),
        (CONTROL, {"kd": [70.0, math.inf, 71.0]}, r"'kd' has 3 values: \[70.0, inf, 71.0\]"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    control: Floats, treatments: dict[str, Values], words: str, paired: bool
) -> None:
    with pytest.raises(StatisticsError, match=words):
        compare(control, treatments, paired=paired)


def test_pairs_need_seeds_in_common() -> None:
    with pytest.raises(StatisticsError, match="'kd' has 1 pairs"):
        compare([70.0, math.nan, 71.0], {"kd": [70.0, 70.5, math.nan]}, paired=True)
