"""What is asked of every registered method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trainers.errors import MethodError
from trainers.methods import load_method, method_names, read_space, resolve
from trainers.methods.base import Method, Step
from trainers.models.outputs import Outputs

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]
Total = Callable[[Method, Step], torch.Tensor]
Remember = Callable[[Method, Step], Step]
METHODS = method_names()
MOST_SHARE = 0.03  # of the baseline's gradient, that terms may add at their least weight
every_method = pytest.mark.parametrize("name", METHODS)
every_stage = pytest.mark.parametrize("progress", [0.0, 0.05, 0.5])


def leaves(outputs: Outputs) -> list[torch.Tensor]:
    auxiliary = [] if outputs.aux_logits is None else [outputs.aux_logits]
    return [outputs.logits, *auxiliary, *outputs.features.values()]


def squared_gradient(outputs: Outputs) -> float:
    return sum(float(x.grad.square().sum()) for x in leaves(outputs) if x.grad is not None)


@every_method
def test_the_class_and_the_file_name_the_same_terms(name: str) -> None:
    assert load_method(name).terms == read_space(name).terms


@every_method
@every_stage
def test_losses_are_finite_scalars_under_the_terms_names(
    name: str, progress: float, make_step: MakeStep, make_method: MakeMethod, remember: Remember
) -> None:
    method = make_method(name)
    losses = method.losses(remember(method, make_step(progress=progress)))
    assert tuple(losses) == load_method(name).terms
    assert all(value.shape == () and value.isfinite() for value in losses.values())


@every_method
@every_stage
def test_the_gradient_reaches_the_student_and_never_the_teacher(
    name: str, progress: float, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    step = make_step(progress=progress)
    torch.autograd.backward(total(make_method(name), step))
    assert squared_gradient(step.student) > 0
    assert squared_gradient(step.teacher_outputs) == 0


@every_method
def test_every_term_has_a_gradient_of_its_own(
    name: str, make_step: MakeStep, make_method: MakeMethod, remember: Remember
) -> None:
    for term in load_method(name).terms:
        step, method = make_step(), make_method(name)
        torch.autograd.backward(method.losses(remember(method, step))[term])
        assert squared_gradient(step.student) > 0, term


@every_method
@every_stage
def test_a_batch_of_ignored_pixels_alone_is_finite(
    name: str, progress: float, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    step = make_step(progress=progress, ignored=1.1)
    loss = total(make_method(name), step)
    torch.autograd.backward(loss)
    gradients = [x.grad for x in leaves(step.student) if x.grad is not None]
    assert loss.isfinite()
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@every_method
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("sizes", [((5, 7), (5, 7)), ((3, 4), (6, 9)), ((7, 9), (4, 5))])
def test_any_sizes_of_batch_and_maps_will_do(
    name: str,
    batch: int,
    sizes: tuple[tuple[int, int], tuple[int, int]],
    make_step: MakeStep,
    make_method: MakeMethod,
    total: Total,
) -> None:
    if batch < load_method(name).least_batch:
        pytest.skip("a term of it compares images: at batch 1 it raises")
    step = make_step(batch=batch, student_size=sizes[0], teacher_size=sizes[1])
    assert total(make_method(name), step).isfinite()


@every_method
def test_terms_vanish_where_they_promise_to_when_student_and_teacher_agree(
    name: str, make_step: MakeStep, make_peer: MakeMethod, remember: Remember
) -> None:
    step, method = make_step(), make_peer(name)
    losses = method.losses(remember(method, replace(step, teacher=step.student)))
    for term in load_method(name).vanishing:
        assert losses[term].item() == pytest.approx(0, abs=1e-12), term


@every_method
@every_stage
def test_the_same_step_gives_the_same_bits(
    name: str, progress: float, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    first, second = make_step(progress=progress), make_step(progress=progress)
    losses = [total(make_method(name), step) for step in (first, second)]
    for loss in losses:
        torch.autograd.backward(loss)
    assert torch.equal(*losses)
    assert first.student.logits.grad is not None
    assert second.student.logits.grad is not None
    assert torch.equal(first.student.logits.grad, second.student.logits.grad)


@every_method
@every_stage
def test_the_gradient_is_the_slope_of_the_loss(
    name: str, progress: float, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    method = make_method(name)
    for term in method.held:
        method.values[term] = 0.0
    step = make_step(progress=progress)
    torch.autograd.backward(total(method, step))
    ahead, behind = _moved(step.student, 1e-6), _moved(step.student, -1e-6)
    triples = zip(leaves(step.student), leaves(ahead), leaves(behind), strict=True)
    expected = sum(float((x.grad * (a - b)).sum()) for x, a, b in triples if x.grad is not None)
    risen = [total(method, replace(step, student=student)).item() for student in (ahead, behind)]
    assert risen[0] - risen[1] == pytest.approx(expected, rel=1e-4, abs=1e-12)


def _moved(outputs: Outputs, distance: float) -> Outputs:
    generator = torch.Generator().manual_seed(1)

    def move(x: torch.Tensor) -> torch.Tensor:
        direction = torch.randn(x.shape, dtype=x.dtype, generator=generator)
        return (x + distance * direction).detach()

    return Outputs(
        logits=move(outputs.logits),
        aux_logits=None if outputs.aux_logits is None else move(outputs.aux_logits),
        features={name: move(feature) for name, feature in outputs.features.items()},
    )


@pytest.mark.parametrize("name", [name for name in METHODS if not load_method(name).needs_teacher])
def test_a_method_without_need_of_a_teacher_takes_none(
    name: str, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    assert make_method(name).total(replace(make_step(), teacher=None), 0.4).isfinite()


@every_method
def test_a_student_without_an_auxiliary_head_can_learn(
    name: str, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    step = make_step()
    student = replace(step.student, aux_logits=None)
    assert total(make_method(name), replace(step, student=student)).isfinite()


@pytest.mark.parametrize(
    "name", [name for name in METHODS if "temperature" in read_space(name).published]
)
@pytest.mark.parametrize("temperature", [0, -1])
def test_a_temperature_is_above_0(name: str, temperature: int, make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match=f"temperature must be > 0, got {temperature}"):
        make_method(name, temperature=temperature)


@every_method
def test_the_last_switch_is_a_share_of_training(name: str) -> None:
    assert 0 <= load_method(name).last_switch(resolve(name, {})) <= 1


@pytest.mark.parametrize("name", [name for name in METHODS if read_space(name).contains_baseline])
def test_a_method_that_contains_the_baseline_comes_close_to_it(
    name: str, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    params = {"multiplier": 1e-4} if read_space(name).terms else {}

    def gradient(method: Method) -> torch.Tensor:
        step = make_step()
        torch.autograd.backward(total(method, step))
        given = ((x, x.grad) for x in leaves(step.student))
        return torch.cat([(x * 0 if g is None else g).flatten() for x, g in given])

    baseline = gradient(make_method("baseline"))
    share = (gradient(make_method(name, **params)) - baseline).norm() / baseline.norm()
    assert share < MOST_SHARE


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_method
@every_stage
def test_a_gpu_repeats_every_bit_in_deterministic_mode(
    name: str, progress: float, make_step: MakeStep, make_method: MakeMethod, total: Total
) -> None:
    def gradient() -> torch.Tensor:
        step, method = make_step(progress=progress), make_method(name).float().cuda()
        logits = step.student.logits.detach().float().cuda().requires_grad_()
        moved = [_on_gpu(outputs) for outputs in (step.student, step.teacher_outputs)]
        student = replace(moved[0], logits=logits)
        step = replace(step, student=student, teacher=moved[1], labels=step.labels.cuda())
        torch.autograd.backward(total(method, step))
        assert logits.grad is not None
        return logits.grad

    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(gradient(), gradient())
    finally:
        torch.use_deterministic_algorithms(False)


def _on_gpu(outputs: Outputs) -> Outputs:
    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.detach().float().cuda().requires_grad_()

    return Outputs(
        logits=moved(outputs.logits),
        aux_logits=None if outputs.aux_logits is None else moved(outputs.aux_logits),
        features={name: moved(feature) for name, feature in outputs.features.items()},
    )
