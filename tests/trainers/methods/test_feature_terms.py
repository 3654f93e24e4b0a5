"""The plain terms on features: imitation, attention, similarity, normalised imitation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from trainers.errors import MethodError
from trainers.method_api.method import Method, Step
from trainers.methods.at import attention
from trainers.methods.fitnet import feature_mse
from trainers.methods.nfd import normalised_feature
from trainers.methods.sp import batch_similarity
from trainers.models.resampling import resize_bilinear

Reference = Callable[[str, str], dict[str, Tensor]]
MakeStep = Callable[..., Step]
MakeMethod = Callable[..., Method]
Term = Callable[[Tensor, Tensor], Tensor]
SIZES = [(1, 1), (3, 5), (4, 4), (7, 2)]


def similarity(student: Tensor, teacher: Tensor) -> Tensor:
    return batch_similarity(student, teacher, group=64)


TERMS = [feature_mse, attention, similarity, normalised_feature]
every_term = pytest.mark.parametrize("term", TERMS)


def pair(batch: int, channels: tuple[int, int], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = (
        torch.randn(batch, c, *size, generator=generator, dtype=torch.float64) for c in channels
    )
    return first, second


def plain_attention(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for one, other in zip(student, teacher, strict=True):
        a, b = (
            [sum(v**2 for v in p) / len(p) for p in x.flatten(1).T.tolist()] for x in (one, other)
        )
        lengths = [sum(v**2 for v in x) ** 0.5 for x in (a, b)]
        total += sum((p / lengths[0] - q / lengths[1]) ** 2 for p, q in zip(a, b, strict=True))
    return total / (student.shape[0] * student.shape[2] * student.shape[3])


def plain_similarity(student: Tensor, teacher: Tensor, group: int) -> float:
    values = []
    for start in range(0, len(student), group):
        part = [x[start : start + group].flatten(1) for x in (student, teacher)]
        if len(part[0]) < 2:
            continue
        total = 0.0
        for i in range(len(part[0])):
            rows = [torch.stack([(x[i] * other).sum() for other in x]) for x in part]
            total += float((rows[0] / rows[0].norm() - rows[1] / rows[1].norm()).square().sum())
        values.append(total / len(part[0]) ** 2)
    return sum(values) / len(values)


def plain_normalised(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for one, other in zip(student.flatten(0, 1), teacher.flatten(0, 1), strict=True):
        first, second = ((x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() for x in (one, other))
        total += float((first - second).square().mean())
    return total / (student.shape[0] * student.shape[1])


def test_published_imitation_agrees_in_value_and_gradients(reference: Reference) -> None:
    case = reference("features", "fitnet")
    kernel = case["w_conv"].requires_grad_()
    loss = feature_mse(conv2d(case["student"], kernel), case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(kernel.grad, case["grad_w_conv"], rtol=1e-9, atol=1e-12)


def test_published_attention_agrees_in_value_and_gradient(reference: Reference) -> None:
    case = reference("features", "at")
    loss = attention(case["student"], case["teacher"])
    torch.autograd.backward(loss)
    torch.testing.assert_close(loss, case["loss"], rtol=1e-12, atol=0)
    torch.testing.assert_close(case["student"].grad, case["grad_student"], rtol=1e-9, atol=1e-14)


def test_one_image_has_no_similarities_where_published_code_returns_0(reference: Reference) -> None:
    case = reference("features", "sp")
    assert case["loss"] == 0
    with pytest.raises(MethodError, match="got 1: it needs 2 in a batch"):
        similarity(case["student"], case["teacher"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 3])
def test_attention_is_what_its_definition_says(batch: int, size: tuple[int, int]) -> None:
    student, teacher = pair(batch, (5, 3), size)
    assert attention(student, teacher).item() == pytest.approx(
        plain_attention(student, teacher), rel=1e-9, abs=1e-15
    )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("batch", "group"), [(2, 2), (3, 2), (5, 2), (5, 3), (4, 64), (3, 3)])
def test_similarities_are_those_within_each_group(
    batch: int, group: int, size: tuple[int, int]
) -> None:
    student, teacher = pair(batch, (5, 3), size)
    expected = plain_similarity(student, teacher, group)
    assert batch_similarity(student, teacher, group).item() == pytest.approx(expected, rel=1e-9)


def test_two_images_have_the_similarity_of_their_angle() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 2, 1, 1)  # Gram = identity
    teacher = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(2, 2, 1, 1)  # Gram = ones
    expected = 2 * ((1 - 0.5**0.5) ** 2 + 0.5) / 4
    assert similarity(student, teacher).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch", [1, 3])
def test_normalised_features_are_compared_channel_by_channel(
    batch: int, size: tuple[int, int]
) -> None:
    student, teacher = pair(batch, (4, 4), size)
    expected = plain_normalised(student, teacher)
    assert normalised_feature(student, teacher).item() == pytest.approx(expected, rel=1e-9)


def test_strength_and_offset_of_a_channel_do_not_count() -> None:
    student, teacher = pair(2, (4, 4), (8, 8))
    changed = 3 * teacher + torch.arange(4.0).view(1, 4, 1, 1)
    torch.testing.assert_close(
        normalised_feature(student, changed),
        normalised_feature(student, teacher),
        rtol=1e-4,
        atol=0,
    )


def test_opposite_channels_are_as_far_apart_as_can_be() -> None:
    student, _ = pair(1, (3, 3), (8, 8))
    assert normalised_feature(student, -student).item() == pytest.approx(4, rel=1e-4)


@pytest.mark.parametrize("term", [feature_mse, attention, normalised_feature])
def test_maps_of_two_sizes_are_compared_at_the_larger(term: Term) -> None:
    small, large = pair(2, (3, 3), (3, 4))[0], pair(2, (3, 3), (5, 7))[1]
    for first, second in ((small, large), (large, small)):
        assert term(first, second).isfinite()
    if term is not attention:
        expected = term(resize_bilinear(small, (5, 7)), large)
        assert torch.equal(term(small, large), expected)


@every_term
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4])
@pytest.mark.parametrize("constant", [False, True])
def test_extreme_features_have_finite_values_and_gradients(
    term: Term, scale: float, constant: bool
) -> None:
    student, teacher = (x.detach().float() for x in pair(2, (4, 4), (16, 16)))
    values = torch.ones_like(student) if constant else student
    leaf = (scale * values).requires_grad_()
    loss = term(leaf, scale * teacher)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", ["fitnet", "nfd"])
def test_a_projection_is_built_for_an_active_term_alone(name: str, make_method: MakeMethod) -> None:
    assert list(make_method(name).parameters())
    assert not list(make_method(name, multiplier=0).parameters())


def test_equal_channels_need_no_projection_to_be_normalised(make_peer: MakeMethod) -> None:
    assert not list(make_peer("nfd").parameters())


def test_a_projection_that_learns_brings_the_feature_closer(
    make_step: MakeStep, make_method: MakeMethod
) -> None:
    step, method = make_step(), make_method("fitnet")
    optimizer = torch.optim.SGD(method.parameters(), lr=1.0)
    before = method.losses(step)["feature_mse"]
    torch.autograd.backward(before)
    optimizer.step()
    assert isinstance(method.projection, nn.Conv2d)
    assert method.losses(step)["feature_mse"] < before


def test_a_group_holds_two_images_at_least(make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match="group must be at least 2, got 1"):
        make_method("sp", group=1)


def test_a_method_that_needs_the_teachers_channels_asks_for_them(make_method: MakeMethod) -> None:
    with pytest.raises(MethodError, match="needs the teacher's shape"):
        make_method("fitnet", teacher=None)
