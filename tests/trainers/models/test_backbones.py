"""Backbones made dilated: sizes of their maps, and the undilated values at more places."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from trainers.models import SegmentationNet, build_net
from trainers.models.backbones import STAGES, STRIDES, build_backbone
from trainers.tasks.schema import Net

BACKBONES = get_args(Net.model_fields["backbone"].annotation)
WIDTHS = {"resnet50": 0.125, "resnet101": 0.125}  # the deep ones narrow, for speed


def small(backbone: str, **changes: object) -> Net:
    fields = {"backbone": backbone, "backbone_width": WIDTHS.get(backbone, 0.25), "head_width": 8}
    return Net.model_validate({**fields, **changes})


def build(net: Net, num_classes: int = 5) -> SegmentationNet:
    torch.manual_seed(0)
    return build_net(net, num_classes)


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("head", ["deeplabv3", "pspnet"])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_maps_have_the_size_of_the_output_stride_and_the_channels_of_the_shape(
    backbone: str, head: str, stride: int
) -> None:
    model = build(small(backbone, head=head, output_stride=stride))
    outputs = model(torch.randn(2, 3, 45, 61))
    for stage, own in zip(STAGES, STRIDES, strict=True):
        reached = min(own, stride)
        expected = (math.ceil(45 / reached), math.ceil(61 / reached))
        assert outputs.features[stage].shape[2:] == expected
    channels = {name: maps.shape[1] for name, maps in outputs.features.items()}
    assert channels == model.shape.channels
    assert outputs.logits.shape == (2, 5, *outputs.features["head"].shape[2:])
    assert outputs.aux_logits.shape == (2, 5, *outputs.features["stage3"].shape[2:])
    every_map = [outputs.logits, outputs.aux_logits, *outputs.features.values()]
    torch.autograd.backward([maps.square().mean() for maps in every_map])
    assert all(weight.grad is not None for weight in model.parameters())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_dilated_backbone_gives_the_undilated_values_at_more_places(backbone: str) -> None:
    torch.manual_seed(0)
    plain = build_backbone(small(backbone, output_stride=32)).eval().double()
    dilated = build_backbone(small(backbone, output_stride=8)).eval().double()
    if backbone == "mobilenet_v3_large":  # its squeeze averages over more places: leave it out
        for layer in (*plain.modules(), *dilated.modules()):
            if type(layer).__name__ == "SqueezeExcitation":
                layer.forward = lambda values: values
    dilated.load_state_dict(plain.state_dict())
    images = torch.randn(2, 3, 90, 120, dtype=torch.float64)
    expected, found = plain(images), dilated(images)
    for stage, stride in zip(STAGES, STRIDES, strict=True):
        step = max(1, stride // 8)
        torch.testing.assert_close(found[stage][:, :, ::step, ::step], expected[stage])
