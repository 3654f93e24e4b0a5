"""Masked generative distillation against the released code, and its masks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import read_space
from trainers.methods.mgd import Generator, masked_generation, random_mask
from trainers.models.resampling import resize_bilinear

Reference = Callable[[str, str], dict[str, Tensor]]
MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


def test_the_released_code_agrees_in_value_and_gradients(reference: Reference) -> None:
    case = reference("features", "mgd")
    generator = Generator(6, 8).double()
    parameters = dict(generator.named_parameters())
    for name, parameter in parameters.items():
        parameter.data.copy_(case[f"w_{name.replace('.', '_')}"])
    kept = (case["x_rand"] <= 1 - 0.75).double()
    loss = masked_generation(generator, case["student"], case["teacher"], kept)
    published = 2e-5 * case["teacher"][0].numel() * loss
    torch.autograd.backward(published)
    torch.testing.assert_close(published, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-14)
    for name, parameter in parameters.items():
        expected = case[f"grad_w_{name.replace('.', '_')}"]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-14)


def test_the_weight_is_the_published_one_for_a_mean_over_elements() -> None:
    space = read_space("mgd")
    assert space.publication is not None
    assert space.publication.map is not None
    elements = (space.publication.channels or 0) * space.publication.map[0] ** 2
    assert space.published["masked_generation"] == pytest.approx(2e-5 * elements)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75, 0.99])
def test_about_the_given_share_of_each_image_is_masked(share: float) -> None:
    torch.manual_seed(0)
    kept = random_mask(torch.zeros(3, 5, 1, 1), (100, 100), share)
    assert kept.shape == (3, 1, 100, 100)
    assert ((kept == 0) | (kept == 1)).all()
    assert kept.mean((1, 2, 3)).tolist() == pytest.approx([1 - share] * 3, abs=0.02)
    assert share == 0 or not torch.equal(kept[0], kept[1])


def test_nothing_is_learnt_at_masked_positions_alone() -> None:
    generator = Generator(3, 3)
    student = torch.randn(1, 3, 8, 8, requires_grad=True)
    kept = torch.ones(1, 1, 8, 8)
    kept[..., :4] = 0
    torch.autograd.backward(masked_generation(generator, student, torch.randn(1, 3, 8, 8), kept))
    assert student.grad is not None
    assert not student.grad[..., :4].any()
    assert student.grad[..., 4:].any()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("small", "large"), [((3, 4), (5, 7)), ((2, 5), (6, 5))])
def test_maps_of_two_sizes_are_compared_at_the_larger(
    batch: int, small: tuple[int, int], large: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    generator, kept = Generator(3, 3), torch.ones(batch, 1, *large)
    student, teacher = torch.randn(batch, 3, *small), torch.randn(batch, 3, *large)
    expected = masked_generation(generator, resize_bilinear(student, large), teacher, kept)
    assert torch.equal(masked_generation(generator, student, teacher, kept), expected)
    assert masked_generation(generator, teacher, student, kept).isfinite()


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_features_have_finite_values_and_gradients(scale: float) -> None:
    student = (scale * torch.randn(2, 4, 9, 9)).requires_grad_()
    teacher, kept = scale * torch.randn(2, 4, 9, 9), torch.ones(2, 1, 9, 9)
    loss = masked_generation(Generator(4, 4), student, teacher, kept)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_each_step_has_a_mask_of_its_own(make_step: MakeStep, make_method: MakeMethod) -> None:
    step, method = make_step(), make_method("mgd")
    first, second = (method.losses(step)["masked_generation"] for _ in range(2))
    assert first != second


def test_any_feature_may_be_generated(make_step: MakeStep, make_method: MakeMethod) -> None:
    method = make_method("mgd", feature="stage4")
    torch.autograd.backward(method.losses(make_step())["masked_generation"])
    assert all(parameter.grad is not None for parameter in method.parameters())
    with pytest.raises(MethodError, match=r"no feature 'stage5'.*did you mean 'stage"):
        make_method("mgd", feature="stage5")


def test_nothing_is_built_for_a_weight_of_0(make_method: MakeMethod) -> None:
    assert not list(make_method("mgd", masked_generation=0).parameters())


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_masks_everything_is_refused(share: float, make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match=f"masked_share must lie in \\[0, 1\\), got {share}"):
        make_method("mgd", masked_share=share)
