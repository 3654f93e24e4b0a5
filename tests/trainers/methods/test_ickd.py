"""Inter-channel correlation against the authors' code and plain re-computation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.methods.ickd import gram, icc

Reference = Callable[[str, str], dict[str, Tensor]]
MakeMethod = Callable[..., Method]
MakeStep = Callable[..., Step]


def by_loops(student: Tensor, teacher: Tensor, patch: int) -> Tensor:
    """Return the distance patch by patch and row by row, for patches of `patch` x `patch`."""
    values = []
    for s, t in zip(student, teacher, strict=True):
        for y in range(0, s.shape[1], patch):
            for x in range(0, s.shape[2], patch):
                a, b = (z[:, y : y + patch, x : x + patch].flatten(1) for z in (s, t))
                for k in range(len(a)):
                    row, other = a @ a[k], b @ b[k]
                    values.append((row / row.norm() - other / other.norm()).square().sum())
    return torch.stack(values).mean()


@pytest.mark.parametrize(("name", "num_images"), [("authors", 2), ("aicsd", 1)])
def test_published_code_agrees_but_for_a_second_division_by_the_images(
    name: str, num_images: int, reference: Reference
) -> None:
    case = reference("icc", name)
    loss = icc(case["student"], case["teacher"]) / num_images
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "grid", "patch"),
    [((1, 2, 6, 6), 1, 6), ((3, 5, 6, 6), 3, 2), ((2, 4, 5, 5), 2, 3), ((2, 3, 5, 5), 4, 2)],
)
def test_patches_agree_with_loops(shape: tuple[int, ...], grid: int, patch: int) -> None:
    student, teacher = torch.randn(2, *shape, dtype=torch.float64)
    expected = by_loops(student, teacher, patch)
    torch.testing.assert_close(icc(student, teacher, grid), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("size", "patches"), [((8, 12), 16), ((5, 9), 9), ((3, 2), 6), ((1, 1), 1)]
)
def test_a_grid_finer_than_the_map_has_no_empty_patch(size: tuple[int, int], patches: int) -> None:
    matrices = gram(torch.ones(1, 2, *size), 4)
    assert matrices.shape == (1, patches, 2, 2)
    assert matrices.min() > 0
    assert matrices[0, :, 0, 0].sum() == size[0] * size[1]


def test_opposite_channels_are_as_far_as_can_be() -> None:
    teacher = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 2, 1, 2)
    student = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(1, 2, 1, 2)
    rows = torch.tensor([[0.5**0.5, 0.5**0.5]])  # of the student's matrix, both alike
    expected = ((rows - torch.eye(2)).square().sum(-1)).mean()
    torch.testing.assert_close(icc(student, teacher), expected)


def test_the_scale_of_a_feature_does_not_matter() -> None:
    student, teacher = torch.randn(2, 2, 4, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(icc(7 * student, teacher, 2), icc(student, teacher, 2))
    assert icc(3 * teacher, teacher, 2).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("scale", [0.0, 1e-4, 1e4])
def test_silent_and_loud_features_give_finite_gradients(scale: float) -> None:
    student = (scale * torch.randn(2, 4, 6, 6)).requires_grad_()
    loss = icc(
        student * torch.tensor([1.0, 1.0, 1.0, 0.0]).view(4, 1, 1), torch.randn(2, 4, 6, 6), 2
    )
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.abs().max() < 1e5


def test_the_convolution_of_the_matrix_is_that_of_the_map(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    method, step = make_method("ickd"), make_step()
    weight = dict(method.named_parameters())["embed.weight"]
    wide = nn.functional.conv2d(step.student.features["head"], weight)
    expected = icc(wide, step.teacher_outputs.features["head"], 4)
    actual = method.losses(step)["icc"]
    torch.testing.assert_close(actual, expected)
    pairs = [torch.autograd.grad(loss, weight)[0] for loss in (actual, expected)]
    torch.testing.assert_close(*pairs)


def test_the_released_code_normalises_the_convolved_map(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    method, step = make_method("ickd", embedding="normalised", grid=1), make_step()
    wide = nn.functional.conv2d(step.student.features["head"], method.get_parameter("embed.weight"))
    centred = wide - wide.mean((0, 2, 3), keepdim=True)
    scaled = centred / (wide.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = icc(scaled, step.teacher_outputs.features["head"])
    torch.testing.assert_close(method.losses(step)["icc"], expected)


def test_logits_are_compared_as_they_are(make_method: MakeMethod, make_step: MakeStep) -> None:
    method, step = make_method("ickd", features="logits"), make_step()
    assert not list(method.parameters())
    expected = icc(step.student.logits, step.teacher_outputs.logits, 4)
    assert torch.equal(method.losses(step)["icc"], expected)


def test_an_empty_grid_is_refused(make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match="grid must be > 0, got 0"):
        make_method("ickd", grid=0)
