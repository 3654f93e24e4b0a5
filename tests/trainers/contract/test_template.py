"""A user's own methods: found in a folder, begun from the template, reviewed by the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trainers.contract import checks
from trainers.contract.sample_steps import MethodUnderTest
from trainers.contract.template import write_pair
from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.registry import code_hash, method_names, read_space


@pytest.mark.parametrize("check", checks.CHECKS)
def test_the_template_keeps_the_contract(
    check: Callable[[MethodUnderTest], str], begin: Callable[..., MethodUnderTest]
) -> None:
    assert check(begin("plain"))


def test_an_own_method_is_one_like_the_others(begin: Callable[..., MethodUnderTest]) -> None:
    begin("own")
    assert "own" in method_names()
    assert read_space("own").terms == load_method("own").terms == ("logit_mse",)
    assert read_space("rdd+own").terms == ("logit_mse",)
    assert read_space("term:logit_mse").primary == "temperature"
    assert len(code_hash("own")) == 64


@pytest.mark.parametrize("name", ["Own", "1st", "kd", "class", "a-b", "x" * 33])
def test_a_name_that_will_not_do_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(MethodError, match=name):
        write_pair(name, tmp_path)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_pair("twice", tmp_path)
    with pytest.raises(MethodError, match="would be overwritten"):
        write_pair("twice", tmp_path)


def test_code_that_cannot_be_imported_is_one_line(begin: Callable[..., MethodUnderTest]) -> None:
    begin("broken", "return 1 +")
    with pytest.raises(MethodError, match=r"broken\.py: SyntaxError"):
        load_method("broken")
