"""Backbones: torchvision's classifiers without their tops, in four stages, dilated, any width."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torchvision
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from trainers.tasks.schema import Net

STAGES = ("stage1", "stage2", "stage3", "stage4")
STRIDES = (4, 8, 16, 32)  # of the stages before dilation


class Backbone(nn.Module):
    """A trunk of named layers, some of which end a stage.

    `trunk` keeps torchvision's names, so that its state dict is a part of torchvision's.
    `ends` names the last layer of each stage, `channels` the number of channels there.
    """

    def __init__(self, trunk: nn.Sequential, ends: Sequence[str], channels: Sequence[int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.ends = dict(zip(ends, STAGES, strict=True))
        self.channels: Mapping[str, int] = dict(zip(STAGES, channels, strict=True))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the output of each stage, (B, C, h, w), under stage1 .. stage4."""
        features: dict[str, Tensor] = {}
        values = images
        for name, layer in self.trunk.named_children():
            values = layer(values)
            if name in self.ends:
                features[self.ends[name]] = values
        return features

    def dilate(self, output_stride: int) -> None:
        """Trade the strides beyond `output_stride` for dilation: same weights, larger maps."""
        stage = 0
        for name, layer in self.trunk.named_children():
            if STRIDES[stage] > output_stride:
                _dilate(layer, dilation=STRIDES[stage] // output_stride)
            stage += name in self.ends


def build_backbone(net: Net) -> Backbone:
    """Return the backbone of that name, width and output stride, its weights freshly drawn."""
    backbone = BUILDERS[net.backbone](net.backbone_width)
    backbone.dilate(net.output_stride)
    return backbone


def _dilate(layer: nn.Module, dilation: int) -> None:
    """Take the stride out of a layer; its strided convolution still sees the map before it.

    That one therefore keeps half the dilation, as in torchvision's `replace_stride_with_dilation`,
    which does not exist for ResNet-18 and the MobileNets.
    """
    for conv in layer.modules():
        if not isinstance(conv, nn.Conv2d):
            continue
        spacing = dilation // 2 if conv.stride == (2, 2) else dilation
        conv.stride = (1, 1)
        if conv.kernel_size != (1, 1):
            conv.dilation = (spacing, spacing)
            conv.padding = tuple(spacing * (kernel // 2) for kernel in conv.kernel_size)


class _Block(Protocol):
    """What the two residual blocks of torchvision have in common."""

    expansion: int

    def __call__(
        self, inplanes: int, planes: int, stride: int, downsample: nn.Module | None
    ) -> nn.Module: ...


def _resnet(block: _Block, depths: tuple[int, ...], width: float) -> Backbone:
    """Return a ResNet of torchvision's blocks; torchvision's own class has one width only."""
    planes = [max(1, round(width * channels)) for channels in (64, 128, 256, 512)]
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(3, planes[0], 7, stride=2, padding=3, bias=False),
        bn1=nn.BatchNorm2d(planes[0]),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, stride=2, padding=1),
    )
    incoming = planes[0]
    for number, (plane, depth) in enumerate(zip(planes, depths, strict=True), start=1):
        layers[f"layer{number}"] = _residual_stage(block, incoming, plane, depth, 1 + (number > 1))
        incoming = plane * block.expansion
    trunk = nn.Sequential(layers)
    _initialise(trunk)
    channels = tuple(plane * block.expansion for plane in planes)
    return Backbone(trunk, ("layer1", "layer2", "layer3", "layer4"), channels)


def _residual_stage(
    block: _Block, incoming: int, planes: int, depth: int, stride: int
) -> nn.Sequential:
    outgoing = planes * block.expansion
    shortcut = None
    if stride != 1 or incoming != outgoing:
        shortcut = nn.Sequential(
            nn.Conv2d(incoming, outgoing, 1, stride=stride, bias=False), nn.BatchNorm2d(outgoing)
        )
    rest = [block(outgoing, planes, 1, None) for _ in range(depth - 1)]
    return nn.Sequential(block(incoming, planes, stride, shortcut), *rest)


def _initialise(trunk: nn.Module) -> None:
    """Draw convolution weights as torchvision's ResNets do (He et al., ICCV 2015, fan out)."""
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _mobilenet_v2(width: float) -> Backbone:
    """Return MobileNetV2 without its last 1x1 convolution to 1280 channels, as CIRKD uses it."""
    whole = torchvision.models.mobilenet_v2(width_mult=width, num_classes=1)
    trunk: nn.Sequential = whole.features[:18]
    return _mobilenet(trunk, ("3", "6", "13", "17"))


def _mobilenet_v3_large(width: float) -> Backbone:
    """Return MobileNetV3-Large with its last 1x1 convolution, as torchvision's DeepLabV3 has it."""
    whole = torchvision.models.mobilenet_v3_large(width_mult=width, num_classes=1)
    trunk: nn.Sequential = whole.features
    return _mobilenet(trunk, ("3", "6", "12", "16"))


def _mobilenet(trunk: nn.Sequential, ends: Sequence[str]) -> Backbone:
    layers: dict[str, Any] = dict(trunk.named_children())
    return Backbone(trunk, ends, [layers[end].out_channels for end in ends])


BUILDERS: Mapping[str, Callable[[float], Backbone]] = {
    "resnet18": lambda width: _resnet(BasicBlock, (2, 2, 2, 2), width),
    "resnet50": lambda width: _resnet(Bottleneck, (3, 4, 6, 3), width),
    "resnet101": lambda width: _resnet(Bottleneck, (3, 4, 23, 3), width),
    "mobilenet_v2": _mobilenet_v2,
    "mobilenet_v3_large": _mobilenet_v3_large,
}
