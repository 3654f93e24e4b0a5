"""Augmentation-free dense contrastive distillation: made features know their place and channels.

Source: Fan et al., "Augmentation-free Dense Contrastive Knowledge Distillation for Efficient
Semantic Segmentation", NeurIPS 2023 (Af-DCD); code: https://github.com/OSVAI/Af-DCD. B images, C
channels in M groups, h w positions; a patch has p x p of them.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_positive
from trainers.methods.mgd import Generator, masked_generation, random_mask
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.pixel_kl import pixel_kl

PATCHES = 64  # compared at a time: 17 MB of distances at 16 groups in patches of 4x4


def omni_contrast(  # noqa: PLR0913
    made_BChw: Tensor,
    teacher_BChw: Tensor,
    temperature: float = 0.07,
    groups: int = 16,
    pool: int = 4,
    patch: int = 4,
) -> Tensor:
    """Return how hard it is to tell a group of channels of the teacher from others in its patch.

    In nats, summed over groups, mean over positions and images. Both maps are max-pooled by `pool`
    (1 leaves them) and cut into patches. Each group of channels at each position of the student's
    is to find the teacher's of the same group and position among all other groups at all positions
    of the patch; logits are minus the L1 distance / temperature. Where released code wants sizes
    that divide by 16, the last cells, patches and groups here are smaller: what is not there is
    compared with nothing. Never 0: the negatives remain. Maps of two sizes are compared at the
    larger.
    """
    maps = on_one_grid(made_BChw, teacher_BChw.detach())
    student, teacher = (_patches(_pooled(x, pool), groups, patch) for x in maps)
    there = _patches(_pooled(torch.ones_like(maps[0][:, :1]), pool), 1, patch)[..., 0]
    num_groups = student.shape[1] // there.shape[1]
    there = there.repeat_interleave(num_groups, 1)
    total = made_BChw.new_zeros(())
    splits = (torch.split(x, PATCHES) for x in (student, teacher, there))
    for part in zip(*splits, strict=True):
        total = total + checkpoint(_contrast, *part, num_groups, temperature, use_reentrant=False)
    return total * num_groups / there.sum()


def _contrast(
    student_PnC: Tensor, teacher_PnC: Tensor, there_Pn: Tensor, groups: int, temperature: float
) -> Tensor:
    """Return the summed loss of some patches; entries are positions times groups, groups inmost."""
    logits_Pnn = -torch.cdist(student_PnC, teacher_PnC, p=1.0) / temperature
    entry_n = torch.arange(logits_Pnn.shape[1], device=logits_Pnn.device)
    own_nn = entry_n[:, None] == entry_n
    rival_nn = (entry_n[:, None] - entry_n) % groups != 0
    # a large number in place of infinity, which would leave NaN where nothing is compared
    compared_Pnn = own_nn | (rival_nn & (there_Pn[:, None] > 0))
    logits_Pnn = logits_Pnn.masked_fill(~compared_Pnn, torch.finfo(logits_Pnn.dtype).min / 2)
    losses_Pn = -logits_Pnn.log_softmax(2).diagonal(dim1=1, dim2=2)
    return (losses_Pn * there_Pn).sum()


def _pooled(maps: Tensor, pool: int) -> Tensor:
    """Return maps max-pooled in cells of pool x pool, the last perhaps smaller."""
    return functional.max_pool2d(maps, pool, ceil_mode=True) if pool > 1 else maps


def _patches(maps_BChw: Tensor, groups: int, patch: int) -> Tensor:
    """Return (patches, p p M, C / M): vectors of each group at each position, 0 beyond the edges.

    There are no more than `groups` groups; where they do not divide C, the last is filled up.
    """
    width = -(-maps_BChw.shape[1] // groups)
    num_groups = -(-maps_BChw.shape[1] // width)
    missing = num_groups * width - maps_BChw.shape[1]
    filled = functional.pad(maps_BChw, (0, 0, 0, 0, 0, missing))
    cells = _cells(filled, patch)
    cells = cells.reshape(len(cells), num_groups, width, *cells.shape[2:])
    # (B, M, C / M, rows, p, columns, p) -> (B, rows, columns, p, p, M, C / M)
    return cells.permute(0, 3, 5, 4, 6, 1, 2).reshape(-1, patch * patch * num_groups, width)


def _cells(maps_BChw: Tensor, size: int) -> Tensor:
    """Return maps as (B, C, rows, size, columns, size), filled up with 0."""
    height, width = maps_BChw.shape[-2:]
    filled = functional.pad(maps_BChw, (0, -width % size, 0, -height % size))
    rows, columns = filled.shape[2] // size, filled.shape[3] // size
    return filled.reshape(*filled.shape[:2], rows, size, columns, size)


class DenseContrastiveDistillation(Method):
    """Masked generation as in `mgd`, the contrast on what is made, and the logits as in `kd`.

    Each of the two feature terms draws a mask of its own; the released code has one for both. Its
    scripts turn on a larger generator with two outlets, and it clips the generator's gradients at
    15; both left out. `feature` is the head's by default, the publication's is `stage4`.
    """

    terms = ("pixel_kl", "masked_generation", "omni_contrast")
    vanishing = ("pixel_kl",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        numbers = ("temperature", "contrast_temperature", "groups", "pool", "patch")
        require_positive("afdcd", values, *numbers)
        if not 0 <= float(values["masked_share"]) < 1:
            given = values["masked_share"]
            raise MethodError(f"method afdcd: masked_share must lie in [0, 1), got {given!r}")
        self.feature = str(values["feature"])
        if {"masked_generation", "omni_contrast"} & set(self.active):
            widths = [channels_of(net, self.feature) for net in (student, teacher)]
            self.generator = Generator(*widths)

    def pixel_kl(self, step: Step) -> Tensor:
        """Return the divergence between the logits, as in `kd`."""
        temperature = float(self.values["temperature"])
        return pixel_kl(step.student.logits, step.teacher_outputs.logits, temperature)

    def masked_generation(self, step: Step) -> Tensor:
        """Return the distance of the generated feature from the teacher's, with a new mask."""
        student, teacher, kept = self._masked(step)
        return masked_generation(self.generator, student, teacher, kept)

    def omni_contrast(self, step: Step) -> Tensor:
        """Return the contrast of the generated feature with the teacher's, with a new mask."""
        student, teacher, kept = self._masked(step)
        numbers = (int(self.values[name]) for name in ("groups", "pool", "patch"))
        temperature = float(self.values["contrast_temperature"])
        return omni_contrast(self.generator(student, kept), teacher, temperature, *numbers)

    def _masked(self, step: Step) -> tuple[Tensor, Tensor, Tensor]:
        student = step.student.features[self.feature]
        teacher = step.teacher_outputs.features[self.feature]
        sizes = zip(student.shape[2:], teacher.shape[2:], strict=True)
        height, width = (max(pair) for pair in sizes)
        kept = random_mask(student, (height, width), float(self.values["masked_share"]))
        return student, teacher, kept
