"""Methods without files: combinations and single terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import (
    COMBINATIONS,
    all_names,
    all_terms,
    code_hash,
    method_names,
    read_space,
    resolve,
)
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


def test_a_combination_has_at_most_one_primary_hyperparameter_and_it_comes_first() -> None:
    space = read_space("rdd+kd")
    assert space.primary == "temperature" == next(iter(space.own))
    assert "threshold" in space.own
    assert not space.contains_baseline
    assert load_method("rdd+kd").last_switch(resolve("rdd+kd", {})) == 0.1


@pytest.mark.parametrize("name", COMBINATIONS)
def test_a_combination_appeared_where_its_weighting_did(name: str) -> None:
    both, weighting = read_space(name), read_space("rdd")
    assert (both.venue, both.year) == (weighting.venue, weighting.year)
    assert both.paper.startswith(weighting.paper)
    assert read_space(name.partition("+")[2]).paper in both.paper


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kd+rdd", "kd weights no task loss"),
        ("rdd+rdd", "rdd must have terms and no weighting"),
        ("rdd+baseline", "baseline must have terms"),
        ("rdd+kdd", "no method 'kdd'; did you mean 'kd'"),
        ("rdd+kd+at", "a combination is WEIGHTING\\+METHOD"),
        ("term:pixel_k", "no term 'pixel_k'; did you mean 'pixel_kl'"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, said: str) -> None:
    with pytest.raises(MethodError, match=said):
        read_space(name)


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


def test_a_single_term_takes_its_own_hyperparameters_from_the_earliest_publication() -> None:
    space = read_space("term:pixel_kl")
    assert (space.year, space.primary, tuple(space.own)) == (2015, "temperature", ("temperature",))


def test_a_weighting_can_be_studied_without_the_terms(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step = make_step()
    alone = make_method("term:relative_difficulty", threshold=0.8)
    assert alone.losses(step) == {}
    expected = make_method("rdd", threshold=0.8).task_loss(step, 0.4)
    assert torch.equal(alone.total(step, 0.4), expected)
    assert torch.equal(alone.total(replace(step, progress=0.9), 0.4), expected)


def test_names_and_hashes_are_each_methods_own() -> None:
    assert set(method_names()) < set(all_names()) <= {*method_names(), *COMBINATIONS}
    assert code_hash("rdd+kd") not in (code_hash("rdd"), code_hash("kd"))
