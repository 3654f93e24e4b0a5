"""From a method's name to its class: of a file, of two, or of one part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trainers.contract.template import write_pair
from trainers.errors import MethodError
from trainers.method_api.loading import load_method, preparation_name
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import (
    all_terms,
    method_names,
    read_space,
)
from trainers.method_api.sources import VARIABLE
from trainers.method_api.task_loss import cross_entropy

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


def test_a_combination_is_the_terms_of_one_and_the_task_loss_of_the_other(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step()
    both, weighting, terms = (make_method(name) for name in ("rdd+kd", "rdd", "kd"))
    assert both.losses(step) == terms.losses(step)
    assert torch.equal(both.task_loss(step, 0.4), weighting.task_loss(step, 0.4))
    assert both.needs_teacher_aux


def test_a_combinations_values_reach_the_part_they_belong_to(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step()
    both = make_method("rdd+kd", threshold=0.9, temperature=2.0, multiplier=3.0)
    assert torch.equal(
        both.task_loss(step, 0.4), make_method("rdd", threshold=0.9).task_loss(step, 0.4)
    )
    assert both.losses(step) == make_method("kd", temperature=2.0).losses(step)
    assert both.values["pixel_kl"] == 3.0


@pytest.mark.parametrize("term", all_terms())
def test_every_term_can_be_studied_alone(
    term: str, make_step: MakeStep, make_method: MakeMethod, with_memory_bank: Callable[..., Step]
) -> None:
    name = f"term:{term}"
    space, method = read_space(name), make_method(name)
    step = with_memory_bank(method, make_step())
    assert set(space.published) - {term} == set(space.of)
    assert method.terms == space.terms
    assert tuple(method.losses(step)) == space.terms
    if space.terms:
        plain = cross_entropy(step.student, step.labels, 0.4)
        assert torch.equal(method.task_loss(step, 0.4), plain)


def test_a_weighting_can_be_studied_without_the_terms(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step()
    alone = make_method("term:relative_difficulty", threshold=0.8)
    assert alone.losses(step) == {}
    expected = make_method("rdd", threshold=0.8).task_loss(step, 0.4)
    assert torch.equal(alone.total(step, 0.4), expected)
    assert torch.equal(alone.total(replace(step, progress=0.9), 0.4), expected)


@pytest.mark.parametrize("name", method_names())
def test_a_method_file_defines_exactly_one_method(name: str) -> None:
    assert load_method(name).__module__ == f"trainers.methods.{name}"


@pytest.mark.parametrize("name", ["rdddd", "base", "../methods/kd", ""])
def test_an_unknown_method_is_refused_with_the_near_miss_or_the_list(name: str) -> None:
    with pytest.raises(MethodError, match=f"no method '{name}'; (did you mean|known: )"):
        load_method(name)


def test_a_terms_name_alone_is_refused_with_the_way_to_study_it() -> None:
    with pytest.raises(MethodError, match="no method 'pixel_kl'; did you mean 'term:pixel_kl'"):
        load_method("pixel_kl")


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("", r"must define exactly one Method, got \[\]"),
        ("class One(Method): ...\n\n\nclass Two(Method): ...\n", r"got \['One', 'Two'\]"),
        ("raise ValueError('no luck')\n", r"odd\.py: ValueError: no luck"),
    ],
)
def test_a_file_without_exactly_one_method_that_can_be_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, added: str, said: str
) -> None:
    code, _ = write_pair("odd", tmp_path)
    code.write_text(f"from trainers.method_api.method import Method\n\n\n{added}")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(MethodError, match=said):
        load_method("odd")


@pytest.mark.parametrize(("name", "prepared"), [("ka", "ka"), ("rdd+ka", "ka"), ("kd", None)])
def test_a_preparation_has_the_name_of_the_method_that_defines_it(
    name: str, prepared: str | None
) -> None:
    assert preparation_name(load_method(name)) == prepared
