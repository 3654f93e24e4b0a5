"""The critic and the losses around it, against published code and by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.terms.critic import (
    LEAST_SIZE,
    Critic,
    SelfAttention,
    critic_loss,
    critic_module,
    gradient_penalty,
    holistic,
    separation,
)

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]
Reference = Callable[[str, str], dict[str, Tensor]]


def normal(seed: int, shape: torch.Size | tuple[int, ...]) -> Tensor:
    """Return numbers of a generator that NumPy promises never to change."""
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(tuple(shape)))


def fill_spectral(convolution: nn.Module, seeds: Iterator[int]) -> None:
    """Set bias, vectors and weight as the reference has them, after its one power iteration."""
    assert isinstance(convolution, nn.Conv2d)
    convolution.bias = nn.Parameter(0.05 * normal(next(seeds), convolution.weight.shape[:1]))
    state = convolution.parametrizations.weight  # type: ignore[union-attr]
    u = functional.normalize(normal(next(seeds), state[0]._u.shape), dim=0)
    next(seeds)  # the code's other vector follows from this one
    with torch.no_grad():
        state.original.copy_(0.05 * normal(next(seeds), state.original.shape))
        matrix = state.original.flatten(1)
        state[0]._v.copy_(functional.normalize(matrix.T @ u, dim=0))
        state[0]._u.copy_(functional.normalize(matrix @ state[0]._v, dim=0))


def reference_critic() -> Critic:
    """Return the critic with the numbers of the reference case, in its order, held there."""
    critic = Critic(3).double().eval()
    layers, seeds = critic.layers, count()
    for place in (7, 0, 2, 4):
        fill_spectral(layers[place], seeds)
    with torch.no_grad():
        for parameter in critic.score.parameters():
            parameter.copy_(0.05 * normal(next(seeds), parameter.shape))
        for place in (6, 9):
            attention = layers[place]
            assert isinstance(attention, SelfAttention)
            attention.share.fill_(0.5 + 0 * next(seeds))
            for projection in (attention.query, attention.key, attention.value):
                for parameter in projection.parameters():
                    parameter.copy_(0.05 * normal(next(seeds), parameter.shape))
    return critic


def logits_of_reference() -> tuple[Tensor, Tensor]:
    student, teacher = (3 * normal(seed, (2, 3, 65, 65)) for seed in (100, 101))
    return student.requires_grad_(), teacher


def test_the_published_critic_agrees_in_score_and_gradient(reference: Reference) -> None:
    case = reference("holistic", "holistic")
    critic = reference_critic()
    student, teacher = logits_of_reference()
    torch.testing.assert_close(critic(student), case["scores"], rtol=1e-9, atol=0)
    loss = holistic(critic, student, teacher)
    torch.autograd.backward(loss)
    assert student.grad is not None
    torch.testing.assert_close(loss, case["loss"], rtol=1e-9, atol=0)
    gradient = student.grad[:, :, ::4, ::4]
    torch.testing.assert_close(gradient, case["grad_student"], rtol=1e-6, atol=1e-12)


def test_the_published_penalty_agrees_through_both_derivatives(reference: Reference) -> None:
    case = reference("holistic", "penalty")
    critic = reference_critic()
    student, teacher = logits_of_reference()
    share = torch.tensor([0.25, 0.75], dtype=torch.float64).view(2, 1, 1, 1)
    penalty = gradient_penalty(critic, share * teacher + (1 - share) * student)
    torch.autograd.backward(penalty)
    torch.testing.assert_close(penalty, case["loss"], rtol=1e-9, atol=0)
    last = critic.score.weight.grad
    first = critic.layers[0].parametrizations.weight.original.grad  # type: ignore[union-attr]
    assert last is not None
    torch.testing.assert_close(last[0, ::16], case["grad_last"], rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(first[::8], case["grad_first"], rtol=1e-6, atol=1e-12)


def test_published_losses_of_scores_agree_in_value_and_gradient(reference: Reference) -> None:
    fake_case, both = reference("holistic", "g_wgan-gp"), reference("holistic", "d_wgan-gp")
    torch.testing.assert_close(-fake_case["in_d_out_student"].mean(), fake_case["loss"])
    real, fake = (both[f"in_d_out_{net}"].requires_grad_() for net in ("teacher", "student"))
    loss = separation(real, fake)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, both["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(real.grad, both["grad_d_out_teacher"], rtol=1e-9, atol=0)
    torch.testing.assert_close(fake.grad, both["grad_d_out_student"], rtol=1e-9, atol=0)


@pytest.mark.parametrize(("form", "expected"), [("wgan-gp", -3.5), ("hinge", 0.25)])
def test_scores_that_part_teacher_and_student_cost_little(form: str, expected: float) -> None:
    real, fake = torch.tensor([3.0, 1.0]), torch.tensor([-2.5, -0.5])
    assert separation(real, fake, form).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("batch", "size", "scale"),
    [(1, (1, 1), 1.0), (3, (3, 90), 1.0), (1, (65, 70), 1e4), (2, (4, 6), 0.0)],
)
def test_maps_of_any_size_have_finite_scores_and_gradients(
    batch: int, size: tuple[int, int], scale: float
) -> None:
    torch.manual_seed(0)
    critic, student = Critic(2), (scale * torch.randn(batch, 2, *size)).requires_grad_()
    torch.autograd.backward(holistic(critic, student, student))
    penalty = gradient_penalty(critic, student)
    torch.autograd.backward(penalty)
    given = [student.grad, *(parameter.grad for parameter in critic.parameters())]
    assert penalty.isfinite()
    assert all(gradient.isfinite().all() for gradient in given if gradient is not None)


def test_small_maps_are_seen_with_zeros_around_them() -> None:
    torch.manual_seed(0)
    critic = Critic(2).eval()
    small = torch.randn(1, 2, 5, 8)
    normal = (small - small.mean((2, 3), keepdim=True)) / (
        small.var((2, 3), correction=0, keepdim=True) + 1e-5
    ).sqrt()
    large = torch.zeros(1, 2, LEAST_SIZE, LEAST_SIZE)
    large[:, :, 29:34, 28:36] = normal
    expected = critic.score(critic.layers(large)).view(1)
    torch.testing.assert_close(critic(small), expected)


def test_the_students_loss_leaves_no_mark_on_the_critic(make_step: MakeStep) -> None:
    critic, step = Critic(5).double(), make_step()
    before = {name: value.clone() for name, value in critic.state_dict().items()}
    loss = holistic(critic, step.student.logits, step.teacher_outputs.logits)
    torch.autograd.backward(loss)
    assert all(parameter.grad is None for parameter in critic.parameters())
    assert all(torch.equal(before[name], value) for name, value in critic.state_dict().items())
    assert step.teacher_outputs.logits.grad is None


@pytest.mark.parametrize("form", ["wgan-gp", "hinge"])
def test_the_critics_loss_reaches_the_critic_alone(form: str, make_step: MakeStep) -> None:
    critic, step = Critic(5).double(), make_step(student_size=(3, 5))
    loss = critic_loss(critic, step, resolve("skd", {"critic_loss": form}))
    torch.autograd.backward(loss)
    assert all(parameter.grad is not None for parameter in critic.parameters())
    assert step.student.logits.grad is None
    assert step.teacher_outputs.logits.grad is None


def test_a_critic_that_learns_tells_teacher_from_student(make_step: MakeStep) -> None:
    torch.manual_seed(0)
    critic, step = Critic(5).double(), make_step()
    values = resolve("skd", {"critic_optimizer": "adam", "critic_loss": "hinge"})
    auxiliary = critic_module(critic, values)
    for _ in range(4):
        auxiliary.optimizer.zero_grad()
        torch.autograd.backward(critic_loss(critic, step, values))
        auxiliary.optimizer.step()
    critic.eval()
    student, teacher = step.student.logits, step.teacher_outputs.logits
    assert (critic(teacher).mean() - critic(student).mean()).item() > 0


@pytest.mark.parametrize(("name", "kind"), [("sgd", SGD), ("adam", Adam)])
def test_the_critic_has_the_published_optimiser(name: str, kind: type) -> None:
    auxiliary = critic_module(Critic(2), resolve("skd", {"critic_optimizer": name}))
    assert isinstance(auxiliary.optimizer, kind)
    assert auxiliary.optimizer.param_groups[0]["lr"] == 4e-4
    assert auxiliary.decays


def test_a_critic_is_built_only_where_its_term_counts(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    silent, speaking = make_method("skd", holistic=0.0), make_method("skd")
    assert not list(silent.parameters())
    assert not silent.auxiliary_modules()
    assert not silent.auxiliary_losses(make_step())
    assert (
        set(speaking.auxiliary_modules())
        == set(speaking.auxiliary_losses(make_step()))
        == {"critic"}
    )


def test_unknown_choices_are_refused_with_the_near_miss(make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match="'adma'; did you mean 'adam'"):
        make_method("skd", critic_optimizer="adma")
