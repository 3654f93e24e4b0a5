"""Texture distillation: edges by scale and direction, and how often each intensity occurs.

Source: Ji et al., "Structural and Statistical Texture Knowledge Distillation for Semantic
Segmentation", CVPR 2022 (arXiv 2305.03944). No code of the authors is public. B images, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_positive
from trainers.models.outputs import Shape
from trainers.models.resampling import resize_bilinear
from trainers.terms.class_means import safe_length
from trainers.terms.grid import on_one_grid

LEAST_RANGE = 1e-3  # of intensities: narrower ones are taken for this wide
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))  # rows and columns from a position to a neighbour
SMOOTHING = (1, 4, 6, 4, 1)  # the binomial filter of Burt and Adelson's pyramid


def structural_texture(student_BChw: Tensor, teacher_BChw: Tensor, num_scales: int = 2) -> Tensor:
    """Return the mean squared difference of directional bands, mean over scales; 0 if equal.

    A band is what smoothing and halving loses (a Laplacian pyramid), filtered in four directions.
    Both nets' maps have equally many channels. All of it is linear, so the difference of the maps
    is taken apart. Maps of two sizes are compared at the larger.
    """
    student_BChw, teacher_BChw = on_one_grid(student_BChw, teacher_BChw.detach())
    difference = student_BChw - teacher_BChw
    loss = difference.new_zeros(())
    for _ in range(num_scales):
        smaller = _halved(difference)
        loss = loss + _ridges(difference - resize_bilinear(smaller, difference.shape[-2:]))
        difference = smaller
    return loss / num_scales


def statistical_texture(student_BChw: Tensor, teacher_BDhw: Tensor, num_levels: int = 32) -> Tensor:
    """Return the mean squared difference of levels and of their shares, over images; 0 if equal.

    The intensity of a position is its cosine to the mean feature of its image. Levels lie evenly
    between the least and the greatest; a position's share is split between the two next to it. No
    widths nor sizes of maps have to agree.
    """
    student, teacher = (_statistics(x, num_levels) for x in (student_BChw, teacher_BDhw.detach()))
    losses = [functional.mse_loss(*pair) for pair in zip(student, teacher, strict=True)]
    return torch.stack(losses).sum()


class TextureDistillation(Method):
    """Structural and statistical texture of the first stage, read from the paper's summary.

    Departures: fixed ridge filters stand for the paper's directional filter bank; intensities are
    counted over the whole map, neither sampled nor denoised; the paper's response and adversarial
    terms are left out. The student's map goes through a learnt 1x1 convolution for the structure.
    """

    terms = ("structural_texture", "statistical_texture")
    vanishing = ("statistical_texture",)
    align: nn.Module  # there only where `structural_texture` is active

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("sstkd", values, "num_scales", "num_levels")
        if "structural_texture" in self.active:
            channels = channels_of(student, "stage1"), channels_of(teacher, "stage1")
            self.align = nn.Conv2d(*channels, kernel_size=1)

    def structural_texture(self, step: Step) -> Tensor:
        """Return the difference of both nets' directional bands."""
        student_BChw = self.align(step.student.features["stage1"])
        teacher_BChw = step.teacher_outputs.features["stage1"]
        return structural_texture(student_BChw, teacher_BChw, int(self.values["num_scales"]))

    def statistical_texture(self, step: Step) -> Tensor:
        """Return the difference of both nets' statistics of intensities."""
        maps = (step.student.features["stage1"], step.teacher_outputs.features["stage1"])
        return statistical_texture(*maps, int(self.values["num_levels"]))


def _halved(maps: Tensor) -> Tensor:
    """Return maps smoothed along both axes, zeros around them, at every second position."""
    rows, columns = (_smoothing(side, maps) for side in maps.shape[-2:])
    return rows @ (maps @ columns.T)


def _smoothing(length: int, like: Tensor) -> Tensor:
    """Return the matrix (half the length, length) of the smoothing filter."""
    weights = like.new_tensor((*SMOOTHING, 0)) / sum(SMOOTHING)
    position = torch.arange(length, device=like.device)
    distance = (position[::2, None] - position + 2).clamp(-1, 5)  # -1 and 5: the 0 at the end
    return weights[distance]


def _ridges(maps: Tensor) -> Tensor:
    """Return the mean square of a position against its two neighbours, over four directions.

    Zeros lie around the maps. Each filter (-1, 2, -1) is divided by its length.
    """
    height, width = maps.shape[-2:]
    padded = functional.pad(maps, (1, 1, 1, 1))
    total = maps.new_zeros(())
    for down, right in DIRECTIONS:
        before, after = (
            padded[..., 1 + sign * down :, 1 + sign * right :][..., :height, :width]
            for sign in (-1, 1)
        )
        total = total + torch.add(before + after, maps, alpha=-2).square().mean()
    return total / (6 * len(DIRECTIONS))


def _statistics(map_BChw: Tensor, num_levels: int) -> tuple[Tensor, Tensor]:
    """Return the levels of intensity (B, L) and the share of positions at each (B, L)."""
    features_BCN = map_BChw.flatten(2)
    mean_BC1 = features_BCN.mean(2, keepdim=True)
    directions_BCN = features_BCN / safe_length(features_BCN, 1)
    intensity_BN = (directions_BCN * (mean_BC1 / safe_length(mean_BC1, 1))).sum(1)
    least_B1, most_B1 = intensity_BN.amin(1, keepdim=True), intensity_BN.amax(1, keepdim=True)
    range_B1 = (most_B1 - least_B1).clamp(min=LEAST_RANGE)
    steps_L = torch.arange(num_levels, dtype=map_BChw.dtype, device=map_BChw.device)
    spacing_B1 = range_B1 / max(num_levels - 1, 1)
    places_BN1 = ((intensity_BN - least_B1) / spacing_B1).unsqueeze(2)
    shares_BL = (1 - (places_BN1 - steps_L).abs()).relu().mean(1)
    return least_B1 + spacing_B1 * steps_L, shares_BL
