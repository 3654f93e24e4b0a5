"""Every method keeps the contract of one step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trainers.contract import checks
from trainers.contract.checks import CHECKS
from trainers.contract.sample_steps import Fault, MethodUnderTest
from trainers.method_api.registry import all_names


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", all_names())
def test_a_method_keeps_the_contract(name: str, check: Callable[[MethodUnderTest], str]) -> None:
    assert check(MethodUnderTest(name))


@pytest.mark.parametrize(
    ("check", "line", "said"),
    [
        (checks.terms_vanish_at_equality, "return student_BKhw.square().mean()", "where student"),
        (checks.losses_are_finite_scalars, "return student_BKhw.mean(0)", "logit_mse at 0%"),
        (checks.every_term_has_a_gradient, "return student_BKhw.detach().mean()", "no gradient"),
        (checks.any_sizes_will_do, "return (student_BKhw[1:] ** 2).mean()", "not finite at batch"),
        (
            checks.the_same_step_repeats_every_bit,
            "return student_BKhw.mean() * __import__('random').random()",
            "another loss or gradient",
        ),
        (
            checks.the_gradient_is_the_slope,
            "return (student_BKhw * student_BKhw.detach()).mean()",
            "differences say",
        ),
    ],
)
def test_the_contract_notices_what_is_wrong(
    check: Callable[[MethodUnderTest], str],
    line: str,
    said: str,
    begin: Callable[..., MethodUnderTest],
) -> None:
    name = f"wrong_{check.__name__}"[:32]
    with pytest.raises(Fault, match=said):
        check(begin(name, line))
