"""Edges and bodies, by hand and with loops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.methods.bpkd import class_edges, edge_kl, part_kl
from trainers.terms.map_labels import labels_on_map

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]


def test_an_edge_is_where_a_class_meets_another() -> None:
    labels = torch.tensor([[[0, 0, 0, 1, 1, 255, 2]]])
    edges = class_edges(labels, 3, 3)[0, :, 0].int()
    assert edges[0].tolist() == [0, 0, 1, 1, 0, 0, 0]
    assert edges[1].tolist() == [0, 0, 1, 1, 0, 0, 0]  # what is ignored is no other class
    assert not edges[2].any()


@pytest.mark.parametrize("width", [1, 3, 5])
def test_edges_agree_with_windows_looked_at_one_by_one(width: int) -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 6, 7)).where(torch.rand(2, 6, 7) > 0.2, 255)
    edges, reach = class_edges(labels, 3, width), width // 2
    for b, y, x in torch.cartesian_prod(*(torch.arange(n) for n in labels.shape)).tolist():
        around = labels[b, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        kinds = set(around.flatten().tolist()) - {255}
        here = {k for k in kinds if len(kinds) > 1 and labels[b, y, x] != 255}
        assert set(edges[b, :, y, x].nonzero().flatten().tolist()) == here


def plain_edge(student: Tensor, teacher: Tensor, edges: Tensor, temperature: float) -> Tensor:
    """Return the edges' divergence, class by class; every image has an edge."""
    p, q = ((x / temperature).softmax(1) for x in (student, teacher))
    divergence = (q * (q / p).log()).sum(1)
    images = [
        torch.stack([d[mask].mean() for mask in masks if mask.any()]).mean()
        for d, masks in zip(divergence, edges, strict=True)
    ]
    return temperature**2 * torch.stack(images).mean()


def plain_part(student: Tensor, teacher: Tensor, part: Tensor, temperature: float) -> Tensor:
    """Return the divergence of each channel over its part, channel by channel."""
    losses = []
    for s, t, mask in zip(
        student.flatten(0, 1), teacher.flatten(0, 1), part.flatten(0, 1), strict=True
    ):
        p, q = ((x[mask] / temperature).softmax(0) for x in (s, t))
        losses.append((q * (q / p).log()).sum())
    return temperature**2 * torch.stack(losses).mean()


@pytest.mark.parametrize(("term", "plain"), [(edge_kl, plain_edge), (part_kl, plain_part)])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("batch", "num_classes"), [(1, 2), (3, 21)])
def test_a_plain_computation_agrees_in_value_and_gradient(
    term: Callable[..., Tensor],
    plain: Callable[..., Tensor],
    temperature: float,
    batch: int,
    num_classes: int,
) -> None:
    torch.manual_seed(0)
    student = torch.randn(batch, num_classes, 5, 7, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(batch, num_classes, 5, 7, dtype=torch.float64)
    part = class_edges(torch.randint(0, num_classes, (batch, 5, 7)), num_classes, 3)
    values = [each(student, teacher, part, temperature) for each in (term, plain)]
    slopes = [torch.autograd.grad(value, student)[0] for value in values]
    torch.testing.assert_close(values[0], values[1], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("edge", ["pixel", "channel"])
def test_the_term_is_bodies_plus_the_ratio_times_edges(
    edge: str, make_method: MakeMethod, make_step: MakeStep
) -> None:
    step = make_step()
    method = make_method("bpkd", edge=edge, edge_ratio=3.0, temperature=2.0)
    logits = (step.student.logits, step.teacher_outputs.logits)
    edges = class_edges(labels_on_map(step.labels, logits[0].shape[-2:]), 5, 3)
    at_edges = edge_kl if edge == "pixel" else part_kl
    expected = part_kl(*logits, ~edges, 2.0) + 3 * at_edges(*logits, edges, 2.0)
    torch.testing.assert_close(method.losses(step)["boundary_body"], expected)


@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("part", [True, False])
def test_extremes_are_finite(scale: float, part: bool) -> None:
    student = (scale * torch.randn(2, 3, 4, 5)).requires_grad_()
    mask = torch.full(student.shape, part)
    teacher = scale * torch.randn(2, 3, 4, 5)
    loss = part_kl(student, teacher, mask) + edge_kl(student, teacher, mask)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert part or loss.item() == 0


@pytest.mark.parametrize("params", [{"edge": "pixels"}, {"edge_width": 4}, {"edge_width": 0}])
def test_values_out_of_range_are_refused(
    params: dict[str, int | str], make_method: MakeMethod
) -> None:
    with pytest.raises(MethodError, match="must be|did you mean"):
        make_method("bpkd", **params)
