"""Every method keeps the contract of one step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainers.contract import checks
from trainers.contract.checks import CHECKS
from trainers.contract.sample_steps import Fault, MethodUnderTest
from trainers.contract.template import write_pair
from trainers.method_api.registry import all_names
from trainers.method_api.sources import VARIABLE


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", all_names())
def test_a_method_keeps_the_contract(name: str, check: Callable[[MethodUnderTest], str]) -> None:
    assert check(MethodUnderTest(name))


ORIGINAL = "return (student_BKhw - teacher_BKhw).square().mean() / temperature**2"


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., MethodUnderTest]:
    """Return a maker of a new method from the template, one line of its term perhaps another."""

    def make(name: str, line: str = ORIGINAL) -> MethodUnderTest:
        code, _ = write_pair(name, tmp_path)
        assert ORIGINAL in code.read_text()
        code.write_text(code.read_text().replace(ORIGINAL, line))
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        return MethodUnderTest(name)

    return make


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
