"""What a memory bank of relations keeps: by hand, and against published code."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainers.errors import MethodError
from trainers.models.outputs import Outputs
from trainers.terms.map_labels import labels_on_map
from trainers.terms.relation_memory import Queue, RelationMemory

Reference = Callable[[str, str], dict[str, Tensor]]


def agree(actual: Tensor | None, expected: Tensor) -> None:
    assert actual is not None
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def test_stored_regions_are_those_of_released_code(reference: Reference) -> None:
    case = reference("cirkd", "memory")
    memory = RelationMemory(classes=4, channels=6, pixels=8, regions=9, sampled_pixels=2).double()
    memory.update(
        Outputs(logits=case["teacher"], features={"head": case["teacher"]}), case["labels"]
    )
    assert memory.regions is not None
    assert memory.regions.filled_K.tolist() == [1, 1, 1, 1]
    agree(memory.regions.vectors[:-1].view(4, 9, 6)[:, 0], case["new_regions"])


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
