"""Knowledge adaptation: imitate a compact code of the teacher's feature, and its affinities.

Source: He et al., "Knowledge Adaptation for Efficient Semantic Segmentation", CVPR 2019 (arXiv
1903.04688). No code was published. B images, C and D channels, m = h w positions of the maps.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Optimizer

from trainers.errors import MethodError
from trainers.method_api.method import Classify, Hyperparameters, Method, Preparation, Step
from trainers.method_api.value_checks import channels_of
from trainers.models.heads import convolution_block
from trainers.models.outputs import Outputs, Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.similarity import unit

SPARSITY = 1e-7  # weight of the code's absolute values


def adaptation(adapted_BDhw: Tensor, code_BDhw: Tensor) -> Tensor:
    """Return the L1 distance of L2-normalised vectors, mean over positions; 0 for equal maps.

    The student's feature is adapted before. Maps of two sizes are compared at the larger.
    """
    student, teacher = (unit(x, 1) for x in on_one_grid(adapted_BDhw, code_BDhw.detach()))
    return (student - teacher).abs().sum(1).mean()


def affinity(adapted_BChw: Tensor, code_BDhw: Tensor) -> Tensor:
    """Return the distance between the nets' affinities, mean over images; 0 for equal maps.

    Affinities are cosines of all pairs of positions, divided by m; the distance is the sum over
    rows of their L2 distances. (As a mean of squares, the 1/m makes the term vanish.) Channels
    need not agree; maps of two sizes are compared at the larger.

    The m x m matrices are never made. With z = (s, t) and w = (s, -t) the vectors of both nets at
    a position, the difference of two cosines is <w_i, z_j>, and the squared length of row i is
    w_i' (sum_j z_j z_j') w_i. Sums are in float64: what is left of them where nets agree is small.
    """
    maps = on_one_grid(adapted_BChw, code_BDhw.detach())
    student, teacher = (unit(x, 1).flatten(2).transpose(1, 2).double() for x in maps)
    both = torch.cat([student, teacher], 2)
    signs = torch.cat([student.new_ones(student.shape[2]), -student.new_ones(teacher.shape[2])])
    products = both.transpose(1, 2) @ both * signs * signs[:, None]
    squares_Bm = (both @ products * both).sum(2)
    # under the bound a row is equal up to rounding, and the root has no slope to speak of
    distances_Bm = squares_Bm.clamp(min=1e-14).sqrt().where(squares_Bm > 1e-14, 0)
    return distances_Bm.mean(1).mean().to(adapted_BChw.dtype)


class AutoEncoder(Preparation):
    """Three convolutions of stride 2 to a code of half the channels, and three back.

    Trained on the teacher's head feature for one epoch: the squared distance of the reconstruction
    plus 1e-7 times the code's absolute values, both summed and divided by the feature's elements.
    The paper's widths and strides could not be read: these are ours.
    """

    def __init__(self, teacher: Shape) -> None:
        super().__init__(teacher)
        whole = channels_of(teacher, "head")
        half = code_channels(teacher)
        self.encoder = nn.Sequential(_halving(whole, half), *(_halving(half, half) for _ in "23"))
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(half, outgoing, 3, stride=2, padding=1)
            for outgoing in (half, half, whole)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(half) for _ in "12")

    def encode(self, feature_BChw: Tensor) -> Tensor:
        """Return the code (B, C / 2, h / 8, w / 8), rounded up, of features."""
        code: Tensor = self.encoder(feature_BChw)
        return code

    def decode(self, code: Tensor, size: torch.Size) -> Tensor:
        """Return the features (B, C, h, w) of `size` = (h, w) that a code stands for."""
        sizes = [size]
        for _ in self.decoder[1:]:
            sizes.append(torch.Size((length + 1) // 2 for length in sizes[-1]))
        maps: Tensor = self.decoder[0](code, output_size=sizes[2])
        for norm, layer, wanted in zip(self.norms, self.decoder[1:], sizes[1::-1], strict=True):
            maps = layer(functional.relu(norm(maps)), output_size=wanted)
        return maps

    def loss(self, teacher: Outputs, labels_BHW: Tensor, classify: Classify) -> Tensor:
        """Return the error of the reconstruction, with a slight preference for sparse codes."""
        del labels_BHW, classify
        feature = teacher.features["head"].detach()
        code = self.encode(feature)
        error = functional.mse_loss(self.decode(code, feature.shape[-2:]), feature)
        return error + SPARSITY * code.abs().sum() / feature.numel()

    def build_optimizer(self) -> Optimizer:
        """Return SGD with the paper's rate and weight decay, and the momentum of its training."""
        return SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)


class KnowledgeAdaptation(Method):
    """Adapters on the student's head feature, 3x3 convolution, batch norm, ReLU, one for each term.

    They meet the code of the teacher's feature that the auto-encoder gives.
    """

    terms = ("adaptation", "affinity")
    preparation: ClassVar[type[Preparation] | None] = AutoEncoder

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        if teacher is None:
            raise MethodError("method ka needs the teacher's shape, got none: give it one")
        channels = (channels_of(student, "head"), code_channels(teacher))
        self.adapters = nn.ModuleDict(
            {term: convolution_block(*channels, kernel=3) for term in self.active}
        )

    def adaptation(self, step: Step) -> Tensor:
        """Return the distance of the adapted feature from the teacher's code."""
        return adaptation(*self._pair("adaptation", step))

    def affinity(self, step: Step) -> Tensor:
        """Return the distance of the adapted feature's affinities from the code's."""
        return affinity(*self._pair("affinity", step))

    def _pair(self, term: str, step: Step) -> tuple[Tensor, Tensor]:
        encoder = self.prepared
        if not isinstance(encoder, AutoEncoder):
            raise MethodError(f"method ka needs an AutoEncoder, got {type(encoder).__name__}")
        with torch.no_grad():
            code = encoder.encode(step.teacher_outputs.features["head"])
        return self.adapters[term](step.student.features["head"]), code


def code_channels(teacher: Shape) -> int:
    """Return the channels of the code: half of those of the teacher's head feature."""
    return max(1, channels_of(teacher, "head") // 2)


def _halving(incoming: int, outgoing: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(outgoing),
        nn.ReLU(),
    )
