"""A segmentation net: backbone, head, classifier and perhaps an auxiliary head."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trainers.models.backbones import Backbone, build_backbone
from trainers.models.heads import DeepLabV3Head, FCNHead, PSPHead
from trainers.models.outputs import Outputs, Shape
from trainers.tasks.schema import Net


class SegmentationNet(nn.Module):
    """What `net` describes, for `num_classes` classes; features stage1 .. stage4 and head.

    Weights come from torch's global generator: the order backbone, head, classifier, auxiliary
    head is part of what a seed means.
    """

    def __init__(self, net: Net, num_classes: int) -> None:
        super().__init__()
        self.backbone: Backbone = build_backbone(net)
        self.num_classes = num_classes
        self.head_width = net.head_width
        channels = self.backbone.channels
        self.head = _build_head(net, channels["stage4"])
        self.classifier = nn.Conv2d(net.head_width, num_classes, 1)
        self.auxiliary_head: FCNHead | None = None
        if net.auxiliary:
            self.auxiliary_head = FCNHead(channels["stage3"], num_classes, net.dropout)

    @property
    def shape(self) -> Shape:
        """What a method may know of the net."""
        return Shape(
            num_classes=self.num_classes,
            channels={**self.backbone.channels, "head": self.head_width},
            auxiliary=self.auxiliary_head is not None,
        )

    def forward(self, images: Tensor, auxiliary: bool = True) -> Outputs:
        """Return logits and features of (B, 3, H, W) images at head resolution.

        `auxiliary=False` leaves the auxiliary head out.
        """
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        features["head"] = self.head(features["stage4"])
        wanted = self.auxiliary_head if auxiliary else None
        return Outputs(
            logits=self.classifier(features["head"]),
            aux_logits=None if wanted is None else wanted(features["stage3"]),
            features=features,
        )


def _build_head(net: Net, incoming: int) -> nn.Module:
    if net.head == "pspnet":
        return PSPHead(incoming, net.head_width, net.dropout)
    return DeepLabV3Head(incoming, net.head_width, net.output_stride, net.dropout)
