"""Cross-image relational distillation: pixels relate to those of other images as the teacher's do.

Source: Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic Segmentation", CVPR
2022; code: https://github.com/winycg/CIRKD.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, MemoryBank, Method, Step
from trainers.method_api.value_checks import channels_of, require_positive
from trainers.models.outputs import Shape
from trainers.terms.cross_image import Projection, StoredVectors, cross_image_pixel, memory_relation
from trainers.terms.pixel_kl import pixel_kl
from trainers.terms.relation_memory import Queue, RelationMemory


class CrossImageDistillation(Method):
    """Relations of head features within pairs of images, and to stored pixels and regions.

    Bank and terms follow the paper: a queue of 20,000 pixels and one of 2,000 regions a class, to
    which every image gives random pixels of each of its classes; anchors are all valid pixels of
    the batch; what they are compared with is drawn apart for each class. The released code differs
    where nothing is gained by following it: it queues the first pixels of the image under every
    class, begins with random vectors, draws one set of places for all classes, and returns to the
    start of a queue that is almost full.
    """

    terms: ClassVar[tuple[str, ...]] = (
        "pixel_kl",
        "cross_image_pixel",
        "memory_pixel",
        "memory_region",
    )
    vanishing = ("pixel_kl", "cross_image_pixel")
    label: ClassVar[str] = "cirkd"  # in messages; classes made from this one have no name of use
    above_zero: ClassVar[tuple[str, ...]] = (
        *("temperature", "contrast_temperature", "group", "pixel_memory", "region_memory"),
        *("pixels_per_class", "pixel_sample", "region_sample"),
    )

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive(self.label, values, *self.above_zero)
        self.channels = (channels_of(student, "head"), channels_of(teacher, "head"))
        if {"memory_pixel", "memory_region"} & set(self.active):
            self.projection = Projection(*self.channels)

    def memory_bank(self) -> MemoryBank | None:
        """Return empty queues for the active terms."""
        queues = self.queues()
        if not any(queues.values()):
            return None
        return RelationMemory(
            classes=self.student_shape.num_classes,
            channels=self.channels[1],
            sampled_pixels=int(self.values["pixels_per_class"]),
            sampled_channels=int(self.values.get("channels_per_batch", 0)),
            **queues,
        )

    def queues(self) -> dict[str, int]:
        """Return the size of each queue of the bank, 0 where no active term needs it."""
        return {
            "pixels": self.size_of("pixel_memory", "memory_pixel"),
            "regions": self.size_of("region_memory", "memory_region"),
        }

    def size_of(self, queue: str, term: str) -> int:
        """Return the size of a queue, 0 where its term is not active."""
        return int(self.values[queue]) if term in self.active else 0

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits, as in `kd`."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def cross_image_pixel(self, step: Step) -> Tensor:
        """Return the divergence of relations between pixels of the images of a group."""
        student, teacher = step.student.features["head"], step.teacher_outputs.features["head"]
        return cross_image_pixel(student, teacher, self.contrast, int(self.values["group"]))

    def memory_pixel(self, step: Step) -> Tensor:
        """Return the divergence of relations to stored pixels."""
        return self._memory_relation(step, relation_memory_of(step).pixels, "pixel_sample")

    def memory_region(self, step: Step) -> Tensor:
        """Return the divergence of relations to stored regions."""
        return self._memory_relation(step, relation_memory_of(step).regions, "region_sample")

    @property
    def contrast(self) -> float:
        """The temperature of similarities."""
        return float(self.values["contrast_temperature"])

    def _memory_relation(self, step: Step, queue: Queue | None, sample: str) -> Tensor:
        projected = self.projection(step.student.features["head"])
        teacher = step.teacher_outputs.features["head"]
        each = int(self.values[sample]) // self.student_shape.num_classes + 1
        vectors = drawn(queue, each)
        return memory_relation(projected, teacher, step.labels, vectors, self.contrast)


def relation_memory_of(step: Step) -> RelationMemory:
    """Return the step's memory bank; MethodError where it has none of this kind."""
    if not isinstance(step.memory_bank, RelationMemory):
        raise MethodError(f"the method needs its memory bank, the step has {step.memory_bank!r}")
    return step.memory_bank


def drawn(queue: Queue | None, count: int) -> StoredVectors:
    """Return `count` vectors of each class from a queue; MethodError where there is no queue."""
    if queue is None:
        raise MethodError("the bank has no queue for this term: its weight was 0 at the start")
    return queue.sample(count)
