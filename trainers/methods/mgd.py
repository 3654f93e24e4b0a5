"""Masked generative distillation: make the teacher's feature from a part of the student's.

Source: Yang et al., "Masked Generative Distillation", ECCV 2022, eq. 4 to 6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_positive
from trainers.methods.cwd import channel_kl
from trainers.models.outputs import Shape
from trainers.terms.autocast import like_nets
from trainers.terms.grid import on_one_grid


class Generator(nn.Module):
    """Aligns a feature of `incoming` channels to `outgoing`, and makes the teacher's from it.

    A 1x1 convolution (only where the channels differ in number), a mask, two 3x3 convolutions with
    a ReLU between; all have a bias.
    """

    def __init__(self, incoming: int, outgoing: int) -> None:
        super().__init__()
        self.align: nn.Module = nn.Identity()
        if incoming != outgoing:
            self.align = nn.Conv2d(incoming, outgoing, 1)
        self.generation = nn.Sequential(
            nn.Conv2d(outgoing, outgoing, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(outgoing, outgoing, 3, padding=1),
        )

    def forward(self, student_BChw: Tensor, kept_B1hw: Tensor) -> Tensor:
        """Return what is made from the positions that are kept, at the mask's size.

        The mask is 1 where a position is kept, else 0; a feature of another size is resized to it.
        """
        with like_nets(student_BChw):
            aligned_BChw, kept_B1hw = on_one_grid(self.align(student_BChw), kept_B1hw)
            generated: Tensor = self.generation(aligned_BChw * kept_B1hw)
        return generated.to(student_BChw.dtype)


def masked_generation(
    generator: Generator, student_BChw: Tensor, teacher_BChw: Tensor, kept_B1hw: Tensor
) -> Tensor:
    """Return the mean squared difference of what is made and the teacher's feature.

    The publication has the sum over channels and positions, a mean over the batch: this times
    C x h x w. Maps of two sizes are compared at the larger, at which the mask has to be.
    """
    generated_BChw, teacher_BChw = on_one_grid(
        generator(student_BChw, kept_B1hw), teacher_BChw.detach()
    )
    return functional.mse_loss(generated_BChw, teacher_BChw)


def random_mask(like_BChw: Tensor, size: tuple[int, int], masked_share: float) -> Tensor:
    """Return (B, 1, *size): 0 at about that share of each image's positions, 1 elsewhere."""
    draws_B1hw = torch.rand((like_BChw.shape[0], 1, *size), device=like_BChw.device)
    return (draws_B1hw <= 1 - masked_share).to(like_BChw.dtype)


class MaskedGenerativeDistillation(Method):
    """Masked generation of a feature, and the channels of the logits as in `cwd`.

    `feature` is the head's by default: the generator of the publication's, `stage4` with 2048
    channels, has 75 million parameters.
    """

    terms = ("masked_generation", "channel_kl")
    vanishing = ("channel_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("mgd", values, "temperature")
        if not 0 <= float(values["masked_share"]) < 1:
            given = values["masked_share"]
            raise MethodError(f"method mgd: masked_share must lie in [0, 1), got {given!r}")
        self.feature = str(values["feature"])
        if "masked_generation" in self.active:
            widths = [channels_of(net, self.feature) for net in (student, teacher)]
            self.generator = Generator(*widths)

    def masked_generation(self, step: Step) -> Tensor:
        """Return the distance of the generated feature from the teacher's, with a new mask."""
        student = step.student.features[self.feature]
        teacher = step.teacher_outputs.features[self.feature]
        sizes = zip(student.shape[2:], teacher.shape[2:], strict=True)
        height, width = (max(pair) for pair in sizes)
        kept = random_mask(student, (height, width), float(self.values["masked_share"]))
        return masked_generation(self.generator, student, teacher, kept)

    def channel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits' channels at the values' temperature."""
        temperature = float(self.values["temperature"])
        return channel_kl(step.student.logits, step.teacher_outputs.logits, temperature)
