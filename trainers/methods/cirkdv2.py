"""CIRKDv2: CIRKD, a hint on the feature, and the same relations between channels.

Source: Yang et al., CVPR 2022 (CIRKD), extended; code: https://github.com/winycg/CIRKD, its
`train_cirkdv2.py` and `losses/cirkd_channel.py`.
"""

from __future__ import annotations

from torch import Tensor, nn

from trainers.method_api.method import Hyperparameters, Step
from trainers.methods.cirkd import CrossImageDistillation, drawn, relation_memory_of
from trainers.methods.fitnet import feature_mse
from trainers.models.outputs import Shape
from trainers.models.resampling import resize_bilinear
from trainers.terms.cross_image import Projection, channel_mse, cross_image_channel, memory_channel
from trainers.terms.relation_memory import channel_vectors, pooled

CHANNEL_TERMS = ("cross_image_channel", "memory_channel", "channel_mse")


class CrossImageDistillationV2(CrossImageDistillation):
    """The terms of `cirkd`, `feature_mse`, and three terms on channels.

    Channels are maps pooled by 4x4; the student's are projected after pooling. The bank of
    channels is one queue of 10,000, to which every batch gives 256 random channels, empty at first
    (random vectors in the released code). The released code sends the student's feature through a
    block of large convolutions before all of its feature terms if `feature_mse` is on: left out.
    """

    terms = (
        *("pixel_kl", "feature_mse"),
        *("cross_image_pixel", "memory_pixel", "memory_region"),
        *CHANNEL_TERMS,
    )
    label = "cirkdv2"
    above_zero = (
        *CrossImageDistillation.above_zero,
        *("channel_group", "channel_memory", "channels_per_batch", "channel_sample"),
    )

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        if "feature_mse" in self.active:
            self.hint = nn.Conv2d(*self.channels, kernel_size=1, bias=False)
        if set(CHANNEL_TERMS) & set(self.active):
            self.channel_projection = Projection(*self.channels)

    def queues(self) -> dict[str, int]:
        """Return the size of each queue of the bank, 0 where no active term needs it."""
        return {**super().queues(), "maps": self.size_of("channel_memory", "memory_channel")}

    def feature_mse(self, step: Step) -> Tensor:
        """Return the distance of the projected head feature from the teacher's, as in `fitnet`."""
        projected = self.hint(step.student.features["head"])
        return feature_mse(projected, step.teacher_outputs.features["head"])

    def cross_image_channel(self, step: Step) -> Tensor:
        """Return the divergence of relations between channels of the images of a group."""
        group = int(self.values["channel_group"])
        return cross_image_channel(*self._channels(step), self.contrast, group)

    def memory_channel(self, step: Step) -> Tensor:
        """Return the divergence of relations to stored channels."""
        vectors = drawn(relation_memory_of(step).maps, int(self.values["channel_sample"]))
        return memory_channel(*self._channels(step), vectors, self.contrast)

    def channel_mse(self, step: Step) -> Tensor:
        """Return the distance between the channels at length 1."""
        return channel_mse(*self._channels(step))

    def _channels(self, step: Step) -> tuple[Tensor, Tensor]:
        teacher_BDhw = step.teacher_outputs.features["head"]
        student_BChw = resize_bilinear(step.student.features["head"], teacher_BDhw.shape[-2:])
        projected = self.channel_projection(pooled(student_BChw))
        return channel_vectors(projected), channel_vectors(pooled(teacher_BDhw.detach()))
