"""Channel-wise distillation against published code and plain re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.methods.cwd import channel_kl
from trainers.models.resampling import resize_bilinear

Reference = Callable[[str, str], dict[str, Tensor]]


def by_loops(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return the divergence channel by channel."""
    values = []
    for image, other in zip(student, teacher, strict=True):
        for channel, target in zip(image, other, strict=True):
            p = (target.flatten() / temperature).softmax(0)
            q = (channel.flatten() / temperature).softmax(0)
            values.append(temperature**2 * (p * (p / q).log()).sum())
    return torch.stack(values).mean()


@pytest.mark.parametrize("temperature", [1, 4])
def test_the_authors_code_agrees_in_value_and_gradient(
    temperature: int, reference: Reference
) -> None:
    case = reference("channel_kl", f"temperature_{temperature}")
    loss = channel_kl(case["student"], case["teacher"], temperature)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)


def test_a_port_for_features_agrees_but_for_the_number_it_divides_by(reference: Reference) -> None:
    case = reference("channel_kl", "cirkd_feature")
    weight = case["w_conv"].requires_grad_()
    wide = nn.functional.conv2d(case["student"], weight)
    loss = channel_kl(wide, case["teacher"], 4.0) * 8 / 6  # of its 8 channels it counts 6
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(weight.grad, case["grad_w_conv"], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (3, 21, 4, 3), (2, 1, 3, 3)])
@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_any_shape_and_temperature_agree_with_loops(
    shape: tuple[int, ...], temperature: float
) -> None:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    expected = by_loops(student, teacher, temperature)
    torch.testing.assert_close(
        channel_kl(student, teacher, temperature), expected, rtol=1e-9, atol=0
    )


def test_one_channel_is_worth_its_divergence_in_nats() -> None:
    student = torch.tensor([0.5, 0.5]).log().view(1, 1, 1, 2)
    teacher = torch.tensor([0.8, 0.2]).log().view(1, 1, 1, 2)
    expected = 0.8 * torch.tensor(1.6).log() + 0.2 * torch.tensor(0.4).log()
    torch.testing.assert_close(channel_kl(student, teacher), expected)


def test_a_map_shifted_as_a_whole_looks_the_same() -> None:
    student = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    shifted = student + torch.randn(2, 3, 1, 1, dtype=torch.float64)
    assert channel_kl(student, shifted).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_maps_give_finite_gradients(scale: float) -> None:
    student = (scale * torch.randn(2, 3, 4, 5)).requires_grad_()
    loss = channel_kl(student, scale * torch.randn(2, 3, 4, 5))
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_maps_of_two_sizes_are_compared_at_the_larger() -> None:
    student, teacher = torch.randn(1, 3, 2, 5), torch.randn(1, 3, 4, 3)
    first, second = (resize_bilinear(x, (4, 5)) for x in (student, teacher))
    assert torch.equal(channel_kl(student, teacher), channel_kl(first, second))


def test_features_of_another_width_go_through_a_convolution_that_learns(
    make_method: Callable[..., Method], make_step: Callable[..., Step]
) -> None:
    method, step = make_method("cwd", features="head"), make_step()
    torch.autograd.backward(method.losses(step)["channel_kl"])
    weight = dict(method.named_parameters())["align.weight"]
    assert weight.shape == (8, 6, 1, 1)
    assert weight.grad is not None
    assert step.student.logits.grad is None
    assert step.student.features["head"].grad is not None


def test_logits_need_no_convolution(make_method: Callable[..., Method]) -> None:
    assert not list(make_method("cwd").parameters())


def test_an_unknown_feature_is_refused_with_the_near_miss(
    make_method: Callable[..., Method],
) -> None:
    with pytest.raises(MethodError, match="features = 'heads'; did you mean 'head'"):
        make_method("cwd", features="heads")
