"""Heads: from the backbone's last stage to the feature that a 1x1 convolution classifies.

The published sizes (CIRKD, CVPR 2022, 19 classes) follow from this design: a 3x3 convolution after
the ASPP's projection, ASPP branches as wide as the head (128 on ResNet-18 and MobileNetV2, 256 on
ResNet-101), PSPNet's branches a quarter of the backbone's channels, an auxiliary head a quarter as
wide as its input and counted in. What is left, 0.15 M on ResNet-18 and 0.12 M on ResNet-101, is the
stem: CIRKD's has three 3x3 convolutions, ours the 7x7 that torchvision has weights for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainers.models.resampling import adaptive_average, resize_bilinear


def convolution_block(
    incoming: int, outgoing: int, kernel: int = 1, rate: int = 1
) -> nn.Sequential:
    """Return convolution (dilated by `rate`), batch norm, ReLU; maps keep their size."""
    padding = rate * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(incoming, outgoing, kernel, padding=padding, dilation=rate, bias=False),
        nn.BatchNorm2d(outgoing),
        nn.ReLU(inplace=True),
    )


class DeepLabV3Head(nn.Module):
    """Atrous spatial pyramid pooling and a 3x3 convolution; Chen et al., arXiv:1706.05587.

    Rates 12, 24, 36 at output stride 8 and proportionally less beyond. Dropout stands before the
    classifier only; CIRKD's code has another of 0.5 after the projection, left out here.
    """

    def __init__(self, incoming: int, width: int, output_stride: int, dropout: float) -> None:
        super().__init__()
        rates = [multiple * 96 // output_stride for multiple in (1, 2, 3)]
        self.local = nn.ModuleList([convolution_block(incoming, width)])
        self.local.extend(convolution_block(incoming, width, 3, rate) for rate in rates)
        self.pooled = convolution_block(incoming, width)
        self.project = convolution_block(5 * width, width)
        self.refine = convolution_block(width, width, kernel=3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the feature before the classifier, (B, width, h, w), after dropout."""
        branches = [branch(maps) for branch in self.local]
        pooled = self.pooled(adaptive_average(maps, 1)).expand(-1, -1, *maps.shape[2:])
        joined: Tensor = self.project(torch.cat([*branches, pooled], dim=1))
        feature: Tensor = self.dropout(self.refine(joined))
        return feature


class PSPHead(nn.Module):
    """Pyramid pooling to 1, 2, 3 and 6 bins and a 3x3 convolution; Zhao et al., CVPR 2017."""

    BINS = (1, 2, 3, 6)

    def __init__(self, incoming: int, width: int, dropout: float) -> None:
        super().__init__()
        quarter = max(1, incoming // 4)
        self.branches = nn.ModuleList(convolution_block(incoming, quarter) for _ in self.BINS)
        self.refine = convolution_block(incoming + 4 * quarter, width, kernel=3)
        self.dropout = nn.Dropout(dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the feature before the classifier, (B, width, h, w), after dropout."""
        levels = [maps]
        for bins, branch in zip(self.BINS, self.branches, strict=True):
            levels.append(resize_bilinear(branch(adaptive_average(maps, bins)), maps.shape[2:]))
        feature: Tensor = self.dropout(self.refine(torch.cat(levels, dim=1)))
        return feature


class FCNHead(nn.Sequential):
    """The auxiliary classifier on stage3: a 3x3 convolution to a quarter, dropout, the classes."""

    def __init__(self, incoming: int, num_classes: int, dropout: float) -> None:
        quarter = max(1, incoming // 4)
        super().__init__(
            convolution_block(incoming, quarter, kernel=3),
            nn.Dropout(dropout),
            nn.Conv2d(quarter, num_classes, 1),
        )
