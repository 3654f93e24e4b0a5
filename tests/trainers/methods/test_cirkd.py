"""CIRKD and CIRKDv2 as methods: what their active terms build and need."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trainers.contract.sample_steps import STUDENT, TEACHER
from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.terms.relation_memory import RelationMemory

MakeMethod = Callable[..., Method]
MakeStep = Callable[..., Step]


def test_inactive_terms_have_no_queue_and_no_projection(make_method: MakeMethod) -> None:
    method = make_method("cirkdv2", **dict.fromkeys(("memory_pixel", "memory_channel"), 0.0))
    memory = method.memory_bank()
    assert isinstance(memory, RelationMemory)
    assert memory.pixels is memory.maps is None
    alone = make_method("cirkd", **dict.fromkeys(("memory_pixel", "memory_region"), 0.0))
    assert alone.memory_bank() is None
    assert not list(alone.parameters())


def test_a_term_on_a_memory_refuses_a_step_without(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    with pytest.raises(MethodError, match="needs its memory"):
        make_method("cirkd").losses(make_step())


@pytest.mark.parametrize("name", ["cirkd", "rdd+cirkd", "term:memory_pixel"])
def test_a_value_out_of_bounds_is_said_to_be_cirkds(name: str) -> None:
    values = {**resolve("cirkd", {}), **resolve(name, {}), "pixel_sample": 0}
    with pytest.raises(MethodError, match=r"^method cirkd: pixel_sample must be > 0, got 0$"):
        load_method(name)(values, STUDENT, TEACHER)
