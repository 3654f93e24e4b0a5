"""Methods without files: combinations and single terms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import (
    COMBINATIONS,
    all_names,
    code_hash,
    method_names,
    read_space,
    resolve,
)

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


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


def test_a_single_term_takes_its_own_hyperparameters_from_the_earliest_publication() -> None:
    space = read_space("term:pixel_kl")
    assert (space.year, space.primary, tuple(space.own)) == (2015, "temperature", ("temperature",))


def test_names_and_hashes_are_each_methods_own() -> None:
    assert set(method_names()) < set(all_names()) <= {*method_names(), *COMBINATIONS}
    assert code_hash("rdd+kd") not in (code_hash("rdd"), code_hash("kd"))
