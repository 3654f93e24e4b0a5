"""Relations across images: against published code, a plain re-computation, and by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.contract.sample_steps import STUDENT, TEACHER
from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method, Step
from trainers.method_api.registry import resolve
from trainers.models.outputs import Outputs
from trainers.terms import similarity
from trainers.terms.cross_image import (
    Projection,
    channel_mse,
    cross_image_channel,
    cross_image_pixel,
    memory_channel,
    memory_relation,
)
from trainers.terms.map_labels import labels_on_map
from trainers.terms.relation_memory import Queue, RelationMemory, channel_vectors, pooled

Reference = Callable[[str, str], dict[str, Tensor]]
MakeMethod = Callable[..., Method]
MakeStep = Callable[..., Step]


def agree(actual: Tensor | None, expected: Tensor) -> None:
    assert actual is not None
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def published_projection(case: dict[str, Tensor]) -> Projection:
    projection = Projection(5, 6).double()
    names = ("0.weight", "1.weight", "1.bias", "3.weight")
    weights = {name: case[f"w_{name.replace('.', '_')}"] for name in names}
    projection.load_state_dict(weights, strict=False)
    return projection


def check_gradients(loss: Tensor, name: str, case: dict[str, Tensor], module: Projection) -> None:
    agree(loss, case[name])
    torch.autograd.backward(loss)
    agree(case["student"].grad, case[f"grad_{name}_student"])
    for key, parameter in module.named_parameters():
        agree(parameter.grad, case[f"grad_{name}_w_{key.replace('.', '_')}"])


def plain(student: Tensor, teacher: Tensor, temperature: float, group: int) -> Tensor:
    """Return `cross_image_pixel` pair by pair."""
    student, teacher = (functional.normalize(x, dim=1).flatten(2) for x in (student, teacher))
    batch, total = len(student), student.new_zeros(())
    for start in range(0, batch, group):
        members = range(start, min(batch, start + group))
        for i in members:
            for j in members:
                logits = student[i].T @ student[j] / temperature
                targets = (teacher[i].T @ teacher[j] / temperature).softmax(1)
                rows = (targets * (targets.log() - logits.log_softmax(1))).sum(1)
                total = total + rows.mean() / len(members) / batch
    return total


def test_pixels_of_released_code_agree(reference: Reference) -> None:
    case = reference("cirkd", "pixel")
    loss = cross_image_pixel(case["student"], case["teacher"])
    torch.autograd.backward(loss)
    agree(loss, case["loss"])
    agree(case["student"].grad, case["grad_student"])


def test_pooled_pixels_of_three_images_agree_with_released_code(reference: Reference) -> None:
    case = reference("cirkd", "pixel_pooled")
    student, teacher = (functional.avg_pool2d(case[net], 2) for net in ("student", "teacher"))
    loss = cross_image_pixel(student, teacher, group=3)
    torch.autograd.backward(loss)
    agree(loss, case["loss"])
    agree(case["student"].grad, case["grad_student"])


@pytest.mark.parametrize("name", ["pixel", "region"])
def test_relations_to_stored_vectors_agree_with_released_code(
    name: str, reference: Reference
) -> None:
    case = reference("cirkd", "memory")
    module = published_projection(case)
    vectors = case[f"{name}s"]
    present = torch.ones(len(vectors), dtype=torch.bool)
    student = module(case["student"])
    loss = memory_relation(student, case["teacher"], case["labels"], (vectors, present))
    check_gradients(loss, name, case, module)


def test_stored_regions_are_those_of_released_code(reference: Reference) -> None:
    case = reference("cirkd", "memory")
    memory = RelationMemory(classes=4, channels=6, pixels=8, regions=9, sampled_pixels=2).double()
    memory.update(
        Outputs(logits=case["teacher"], features={"head": case["teacher"]}), case["labels"]
    )
    assert memory.regions is not None
    assert memory.regions.filled_K.tolist() == [1, 1, 1, 1]
    agree(memory.regions.vectors[:-1].view(4, 9, 6)[:, 0], case["new_regions"])


@pytest.mark.parametrize("name", ["minibatch", "memory", "mse"])
def test_channels_of_released_code_agree(name: str, reference: Reference) -> None:
    case = reference("cirkd", "channel")
    module = published_projection(case)
    student = channel_vectors(module(pooled(case["student"])))
    teacher = channel_vectors(pooled(case["teacher"]))
    vectors = case["remembered"]
    losses = {
        "minibatch": lambda: cross_image_channel(student, teacher),
        "memory": lambda: memory_channel(student, teacher, (vectors, vectors.any(1))),
        "mse": lambda: channel_mse(student, teacher),
    }
    check_gradients(losses[name](), name, case, module)


@pytest.mark.parametrize("chunk", [1, 7, 2**20])
@pytest.mark.parametrize(("batch", "group"), [(1, 2), (2, 2), (3, 2), (5, 3), (4, 1)])
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_streaming_changes_nothing(
    chunk: int, batch: int, group: int, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "CHUNK_CPU", chunk)
    student = torch.randn(batch, 3, 3, 5, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(batch, 7, 3, 5, dtype=torch.float64)
    losses = [f(student, teacher, temperature, group) for f in (cross_image_pixel, plain)]
    gradients = [torch.autograd.grad(loss, student)[0] for loss in losses]
    agree(losses[0], losses[1])
    agree(gradients[0], gradients[1])


def test_two_pixels_by_hand() -> None:
    student = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(1, 2, 1, 2)  # at right angles
    teacher = torch.ones(1, 1, 1, 2)  # the same: each pixel relates to both alike
    share = 1 / (1 + math.exp(-1))
    expected = -math.log(2) - 0.5 * math.log(share) - 0.5 * math.log(1 - share)
    assert cross_image_pixel(student, teacher, 1.0).item() == pytest.approx(expected)


def test_absent_vectors_have_no_share() -> None:
    student, teacher = torch.randn(2, 1, 4, 3, 3, dtype=torch.float64)
    vectors, labels = torch.randn(6, 4, dtype=torch.float64), torch.zeros(1, 9, 9).long()
    present = torch.tensor([True, False, True, True, False, True])
    some = memory_relation(student, teacher, labels, (vectors, present))
    few = memory_relation(student, teacher, labels, (vectors[present], present[present]))
    agree(some, few)


def test_ignored_pixels_are_no_anchors() -> None:
    student, teacher = torch.randn(2, 1, 4, 1, 2, dtype=torch.float64)
    vectors = torch.randn(6, 4, dtype=torch.float64), torch.ones(6, dtype=torch.bool)
    some = memory_relation(student, teacher, torch.tensor([[[0, 255]]]), vectors)
    first = (student[..., :1], teacher[..., :1])
    agree(some, memory_relation(*first, torch.tensor([[[0]]]), vectors))


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e4])
def test_extreme_features_have_finite_losses_and_gradients(scale: float) -> None:
    student = (scale * torch.randn(2, 4, 3, 3)).requires_grad_()
    teacher, labels = scale * torch.randn(2, 4, 3, 3), torch.full((2, 5, 5), 255)
    nothing = torch.zeros(6, 4), torch.zeros(6, dtype=torch.bool)
    loss = cross_image_pixel(student, teacher)
    loss = loss + memory_relation(student, teacher, labels, nothing)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("scale", [0.0, 1e-9])
def test_a_position_without_a_feature_has_a_gradient_like_others(scale: float) -> None:
    student, teacher = torch.randn(2, 2, 4, 3, 3)
    student[1, :, 2, 1] *= scale
    student.requires_grad_()
    [gradient] = torch.autograd.grad(cross_image_pixel(student, teacher), student)
    assert gradient[1, :, 2, 1].norm() < 100 * gradient[0].norm()


def painted(labels: Tensor, classes: int) -> Outputs:
    """Return outputs whose feature at each pixel says its class, and nothing where ignored."""
    shown = functional.one_hot(labels.where(labels != 255, classes), classes + 1)
    feature = 3.0 * shown.permute(0, 3, 1, 2).float()
    return Outputs(logits=feature, features={"head": feature})


def test_each_class_keeps_its_own_pixels_alone() -> None:
    labels = torch.randint(0, 4, (3, 6, 7))
    labels[labels == 2] = 255
    memory = RelationMemory(classes=4, channels=5, pixels=10, regions=4, sampled_pixels=2)
    for _ in range(3):
        memory.update(painted(labels, 4), labels)
    for queue, held in ((memory.pixels, 10), (memory.regions, 4)):
        assert queue is not None
        assert queue.filled_K.tolist() == [held, held, 0, held]
        vectors, present = queue.sample(3)
        assert present.tolist() == [each != 2 for each in range(4) for _ in range(3)]
        expected = functional.one_hot(torch.arange(4).repeat_interleave(3), 5).float()
        assert torch.equal(vectors[present], expected[present])


def test_an_image_gives_no_more_pixels_of_a_class_than_it_has() -> None:
    labels = torch.tensor([[[0, 1, 1, 255]], [[1, 1, 1, 1]]])
    memory = RelationMemory(classes=2, channels=3, pixels=99, regions=0, sampled_pixels=3)
    memory.update(painted(labels, 2), labels)
    assert memory.pixels is not None
    assert memory.pixels.filled_K.tolist() == [1, 5]


def numbers(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1)


@pytest.mark.parametrize("count", [2, 3, 7, 8])
def test_a_queue_holds_the_newest(count: int) -> None:
    queue = Queue(1, 3, 1)
    for start in range(1, 3 * count, count):
        coming = numbers(*range(start, start + count))
        queue.put(coming, torch.ones(1, count, dtype=torch.bool))
    newest = [3.0 * count - 2, 3.0 * count - 1, 3.0 * count]
    assert sorted(queue.vectors[:-1].flatten().tolist()) == newest


def test_what_is_not_there_is_not_queued() -> None:
    queue = Queue(1, 4, 1)
    queue.put(numbers(1, 2, 3), torch.tensor([[True, False, True]]))
    assert queue.vectors[:2].flatten().tolist() == [1, 3]
    assert queue.vectors[-1].item() == 0


def test_vectors_are_drawn_without_repetition_and_apart_for_each_class() -> None:
    queue = Queue(2, 50, 1)
    coming = torch.arange(50.0).expand(2, 50)[..., None]
    queue.put(coming, torch.ones(2, 50, dtype=torch.bool))
    drawn = queue.sample(20)[0].view(2, 20)
    assert all(len(set(each.tolist())) == 20 for each in drawn)
    assert set(drawn[0].tolist()) != set(drawn[1].tolist())


def test_a_memory_of_channels_comes_back_from_its_state() -> None:
    settings = {"classes": 2, "channels": 3, "pixels": 0, "regions": 5, "sampled_pixels": 0}
    first, second = (RelationMemory(**settings, maps=9, sampled_channels=4) for _ in range(2))
    feature = torch.randn(2, 3, 8, 9)
    first.update(Outputs(logits=feature, features={"head": feature}), torch.zeros(2, 8, 9).long())
    second.load_state_dict(first.state_dict())
    assert second.maps is not None
    assert second.maps.filled_K.tolist() == [4]
    assert torch.equal(first.state_dict()["maps.vectors"], second.maps.vectors)


def test_a_memory_of_channels_keeps_to_one_size() -> None:
    memory = RelationMemory(
        classes=2, channels=3, pixels=0, regions=0, sampled_pixels=0, maps=9, sampled_channels=4
    )
    for size in (8, 16):
        feature = torch.randn(1, 3, 8, size)
        outputs = Outputs(logits=feature, features={"head": feature})
        if size == 8:
            memory.update(outputs, torch.zeros(1, 8, 8).long())
    with pytest.raises(MethodError, match="holds maps of 4 positions, the teacher's has 8"):
        memory.update(outputs, torch.zeros(1, 8, 8).long())


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (16, 24), (20, 30)])
def test_labels_are_resized_as_torch_does(size: tuple[int, int]) -> None:
    labels = torch.randint(0, 9, (2, 16, 24))
    expected = functional.interpolate(labels[:, None].double(), size, mode="nearest")
    assert torch.equal(labels_on_map(labels, torch.Size(size)), expected[:, 0].long())


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
