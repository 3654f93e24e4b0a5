"""Prototypes against published code, by hand and with loops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.methods.apd import AdaptivePerspectiveDistillation
from trainers.models.outputs import Outputs, Shape
from trainers.models.resampling import resize_bilinear
from trainers.terms.pixel_kl import pixel_kl
from trainers.terms.prototypes import find_prototypes, prototype_align, prototype_kl

MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]
Reference = Callable[[str, str], dict[str, Tensor]]


def of_reference(case: dict[str, Tensor]) -> tuple[AdaptivePerspectiveDistillation, Step]:
    shape = Shape(num_classes=4, channels={"head": 6}, auxiliary=False)
    values = resolve("apd", {"transform_ratio": 7 / 6})
    method = AdaptivePerspectiveDistillation(values, shape, shape).double()
    for transform, net in ((method.transform, "s"), (method.teacher_transform, "t")):
        stored = {"0.weight", "0.bias", "2.weight", "2.bias"}
        transform.load_state_dict({k: case[f"w_{net}_{k.replace('.', '_')}"] for k in stored})
    logits = torch.zeros(1, 4, 5, 7, dtype=torch.float64)
    student = Outputs(logits=logits, features={"head": case["student"]})
    teacher = Outputs(logits=logits, features={"head": case["teacher"]})
    return method, Step(student=student, teacher=teacher, labels=case["labels"], progress=0.5)


def assert_gradients(module: nn.Module, case: dict[str, Tensor], name: str) -> None:
    for key, parameter in module.named_parameters():
        expected = case[f"grad_{name}_{key.replace('.', '_')}"]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("term", "name"), [("prototype_kl", "loss_pred_kl"), ("prototype_align", "loss_proto")]
)
def test_published_code_agrees_in_value_and_gradient(
    term: str, name: str, reference: Reference
) -> None:
    case = reference("apd", "apd")
    method, step = of_reference(case)
    loss = method.losses(step)[term]
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case[name], rtol=1e-9, atol=0)
    gradient = case["student"].grad
    torch.testing.assert_close(gradient, case[f"grad_{name}_student"], rtol=1e-6, atol=1e-12)
    assert_gradients(method.transform, case, f"{name}_w_s")
    assert all(parameter.grad is None for parameter in method.teacher_transform.parameters())


def test_the_teachers_transform_learns_as_published(reference: Reference) -> None:
    case = reference("apd", "apd")
    method, step = of_reference(case)
    loss = method.auxiliary_losses(step)["teacher_transform"]
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss_soft"], rtol=1e-9, atol=0)
    assert_gradients(method.teacher_transform, case, "loss_soft_w_t")
    assert case["student"].grad is None
    assert all(parameter.grad is None for parameter in method.transform.parameters())


def plainly(maps: tuple[Tensor, Tensor], labels: Tensor, scale: float) -> tuple[float, float]:
    """Return both terms of one group, class by class; labels are of the maps' size."""
    present = [k for k in labels.unique() if k != 255]
    if not present:
        return 0.0, 0.0
    vectors, logs = [], []
    for map_ in maps:
        directions = functional.normalize(map_, dim=1).permute(0, 2, 3, 1)
        means = torch.stack([directions[labels == k].mean(0) for k in present])
        vectors.append(functional.normalize(means, dim=1))
        logs.append((scale * directions @ vectors[-1].T).log_softmax(-1))
    align = 0.5 * (1 - (vectors[0] * vectors[1]).sum(1)).mean()
    kl = (logs[1].exp() * (logs[1] - logs[0])).mean()
    return float(kl), float(align)


@pytest.mark.parametrize("group", [1, 2, 5])
@pytest.mark.parametrize("num_classes", [2, 21])
@pytest.mark.parametrize("scale", [10.0, 2.5])
def test_each_group_agrees_with_a_plain_computation(
    group: int, num_classes: int, scale: float
) -> None:
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 5, 4, 3, 5, dtype=torch.float64)
    labels = torch.randint(0, num_classes, (5, 3, 5))
    labels[:, 0], labels[4] = 255, 255
    found = [find_prototypes(x, labels, num_classes, group) for x in (student, teacher)]
    parts = [slice(start, start + group) for start in range(0, 5, group)]
    expected = [plainly((student[p], teacher[p]), labels[p], scale) for p in parts]
    sizes = [len(student[p]) / 5 for p in parts]
    kl, align = (sum(n * e[i] for n, e in zip(sizes, expected, strict=True)) for i in (0, 1))
    assert prototype_kl(found[0], found[1], scale).item() == pytest.approx(kl)
    assert prototype_align(found[0], found[1]).item() == pytest.approx(align)


def test_prototypes_by_hand() -> None:
    features = torch.tensor([[2.0, 0.0], [0.0, 5.0], [-1.0, 0.0]]).T.reshape(1, 2, 1, 3)
    found = find_prototypes(features, torch.tensor([[[0, 0, 255]]]), 2, 1)
    half = 0.5**0.5
    torch.testing.assert_close(found.vectors_BKC, torch.tensor([[[half, half], [0.0, 0.0]]]))
    torch.testing.assert_close(
        found.cosines_BKhw, torch.tensor([[half, half, -half], [0.0] * 3]).view(1, 2, 1, 3)
    )
    opposite = replace(found, vectors_BKC=-found.vectors_BKC)
    assert prototype_align(found, found).item() == pytest.approx(0, abs=1e-6)
    assert prototype_align(opposite, found).item() == pytest.approx(1)
    assert prototype_kl(found, found, 10.0).item() == 0


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e15])
@pytest.mark.parametrize("label", [1, 255])
def test_extremes_are_finite(scale: float, label: int) -> None:
    student = (scale * torch.randn(2, 3, 4, 5)).requires_grad_()
    labels = torch.full((2, 7, 9), label)
    found, target = (find_prototypes(x, labels, 3, 2) for x in (student, torch.randn(2, 3, 4, 5)))
    loss = prototype_kl(found, target, 10.0) + prototype_align(found, target)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_logits_may_be_compared_at_the_labels_size(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    step, method = make_step(), make_method("apd", pixel_size="labels", temperature=2.0)
    logits = (step.student.logits, step.teacher_outputs.logits)
    student, teacher = (resize_bilinear(x, step.labels.shape[1:]) for x in logits)
    assert torch.equal(method.losses(step)["pixel_kl"], pixel_kl(student, teacher, 2.0))


def test_every_term_alone_is_what_it_is_among_all(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    step, method = make_step(), make_method("apd")
    for name, value in method.losses(step).items():
        assert torch.equal(getattr(method, name)(step), value)


def test_transforms_are_built_only_where_a_term_needs_them(
    make_method: MakeMethod, make_step: MakeStep
) -> None:
    silent = make_method("apd", prototype_kl=0.0, prototype_align=0.0)
    assert not list(silent.parameters())
    assert not silent.auxiliary_modules()
    assert not silent.auxiliary_losses(make_step())
    assert set(silent.losses(make_step())) == {"pixel_kl"}
    speaking = make_method("apd", prototype_kl=0.0)
    assert set(speaking.losses(make_step())) == {"pixel_kl", "prototype_align"}
    assert speaking.auxiliary_modules()["teacher_transform"].optimizer.param_groups[0]["lr"] == 1e-5


@pytest.mark.parametrize("params", [{"pixel_size": "image"}, {"group": 0}])
def test_values_out_of_range_are_refused(
    params: dict[str, int | str], make_method: MakeMethod
) -> None:
    with pytest.raises(MethodError, match="must be|did you mean|known"):
        make_method("apd", **params)
