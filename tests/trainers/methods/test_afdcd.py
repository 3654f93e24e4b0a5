"""The contrast of channel groups: published code, a plain re-computation, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.methods import afdcd
from trainers.methods.afdcd import omni_contrast
from trainers.methods.mgd import Generator, masked_generation

Reference = Callable[[str, str], dict[str, Tensor]]
NAMES = {"align": "align", "generation.0": "projetor_0", "generation.2": "projetor_2"}


def published_generator(case: dict[str, Tensor]) -> Generator:
    generator = Generator(3, 8).double()
    generator.load_state_dict(
        {
            f"{ours}.{kind}": case[f"w_{theirs}_{kind}"]
            for ours, theirs in NAMES.items()
            for kind in ("weight", "bias")
        }
    )
    return generator


def plain(made: Tensor, teacher: Tensor, temperature: float, groups: int, patch: int) -> Tensor:
    """Return `omni_contrast` without pooling, vector by vector."""
    width = math.ceil(made.shape[1] / groups)
    losses = []
    for ours, theirs in zip(made, teacher, strict=True):
        height, length = ours.shape[1:]
        first, second = ours.split(width), theirs.split(width)
        for y, x in torch.cartesian_prod(torch.arange(height), torch.arange(length)).tolist():
            rows = range(y // patch * patch, min(height, (y // patch + 1) * patch))
            columns = range(x // patch * patch, min(length, (x // patch + 1) * patch))
            for g, group in enumerate(first):
                logits = [
                    -(group[:, y, x] - other[:, v, u]).abs().sum() / temperature
                    for v in rows
                    for u in columns
                    for k, other in enumerate(second)
                    if k != g and len(other) == len(group)
                ]
                own = -(group[:, y, x] - second[g][:, y, x]).abs().sum() / temperature
                losses.append(torch.stack([own, *logits]).logsumexp(0) - own)
    return torch.stack(losses).sum() / (len(made) * height * length)


def test_released_code_agrees_in_value_and_gradients(reference: Reference) -> None:
    case = reference("af_dcd", "authors")
    generator = published_generator(case)
    kept = (case["rand"] <= 0.25).double()
    made = generator(case["student"], kept)
    loss = omni_contrast(made, case["teacher"], groups=4, pool=2)
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["contrast"], rtol=1e-9, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-8, atol=1e-10)
    for ours, theirs in NAMES.items():
        grad = generator.get_submodule(ours).weight.grad
        torch.testing.assert_close(grad, case[f"grad_w_{theirs}_weight"], rtol=1e-8, atol=1e-10)


def test_the_reconstruction_of_released_code_is_masked_generation(reference: Reference) -> None:
    case = reference("af_dcd", "authors")
    kept = (case["rand"] <= 0.25).double()
    loss = masked_generation(published_generator(case), case["student"], case["teacher"], kept)
    torch.testing.assert_close(8 * 8 * 16 * loss, case["distance"], rtol=1e-9, atol=0)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (1, 1)])
@pytest.mark.parametrize(("channels", "groups"), [(6, 3), (2, 16), (1, 4)])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_a_plain_computation_agrees(
    batch: int, size: tuple[int, int], channels: int, groups: int, temperature: float
) -> None:
    made, teacher = torch.randn(2, batch, channels, *size, dtype=torch.float64)
    made.requires_grad_()
    losses = (
        omni_contrast(made, teacher, temperature, groups, pool=1, patch=3),
        plain(made, teacher, temperature, min(groups, channels), 3),
    )
    gradients = [torch.autograd.grad(loss, made)[0] for loss in losses]
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-8, atol=1e-10)


def test_two_groups_by_hand() -> None:
    made, teacher = torch.tensor([[1.0, 4.0], [1.0, 2.0]]).view(2, 1, 2, 1, 1)
    first, second = math.log1p(math.exp(-1.0)), math.log1p(math.exp(2.0 - 3.0))
    loss = omni_contrast(made, teacher, 1.0, groups=2, pool=1)
    assert loss.item() == pytest.approx(first + second)


def test_pooling_keeps_the_largest_also_at_the_edges() -> None:
    made, teacher = torch.randn(2, 2, 6, 6, 7)
    pools = (torch.nn.functional.max_pool2d(x, 4, ceil_mode=True) for x in (made, teacher))
    torch.testing.assert_close(omni_contrast(made, teacher), omni_contrast(*pools, pool=1))


@pytest.mark.parametrize("size", [(8, 8), (1, 2)])
def test_of_equally_large_positions_the_pooled_gradient_goes_to_one(size: tuple[int, int]) -> None:
    made = torch.ones(1, 4, *size).requires_grad_()
    loss = omni_contrast(made, torch.randn(1, 4, *size), groups=2)
    [gradient] = torch.autograd.grad(loss, made)
    cells = 4 if size == (8, 8) else 1
    assert (gradient != 0).any(1).sum() == cells


def test_patches_taken_in_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made, teacher = torch.randn(2, 2, 6, 9, 9)
    whole = omni_contrast(made, teacher, pool=1)
    monkeypatch.setattr(afdcd, "PATCHES", 4)
    torch.testing.assert_close(omni_contrast(made, teacher, pool=1), whole)


def test_a_width_that_groups_do_not_divide_is_filled_up() -> None:
    made, teacher = torch.randn(2, 1, 5, 4, 4, dtype=torch.float64)
    filled = [torch.cat([x, torch.zeros(1, 1, 4, 4).double()], 1) for x in (made, teacher)]
    narrow = omni_contrast(made, teacher, groups=3, pool=1)
    torch.testing.assert_close(narrow, omni_contrast(*filled, groups=3, pool=1))


@pytest.mark.parametrize("scale", [0.0, 1e4])
def test_extreme_features_are_finite(scale: float) -> None:
    made = (scale * torch.randn(2, 6, 5, 9)).requires_grad_()
    loss = omni_contrast(made, scale * torch.randn(2, 6, 5, 9), pool=2)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert made.grad is not None
    assert made.grad.isfinite().all()
