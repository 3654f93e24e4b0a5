"""Nets: torchvision backbones made dilated, with DeepLabV3 and PSPNet heads."""

from __future__ import annotations

import torch

from trainers.models.outputs import Outputs, Shape
from trainers.models.segmentation import SegmentationNet
from trainers.models.weights import load_backbone_weights
from trainers.tasks.schema import Net

__all__ = ["Outputs", "SegmentationNet", "Shape", "build_net"]


def build_net(net: Net, num_classes: int) -> SegmentationNet:
    """Return the net in training mode, on the CPU; seed torch first, for its weights are drawn.

    Then the backbone takes those that `net.weights` names; TaskError or CheckpointError where
    they cannot be had. Weights lie in memory channels last: a quarter faster on a CPU.
    """
    model = SegmentationNet(net, num_classes)
    if net.weights != "none":
        load_backbone_weights(model.backbone, net)
    return model.to(memory_format=torch.channels_last)
