"""What a net returns, named: the interface between nets, methods and the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """One forward pass over a batch, at head resolution (B images, K classes, h x w positions)."""

    logits: Tensor  # (B, K, h, w)
    aux_logits: Tensor | None = None  # (B, K, h', w'); None where the net has no auxiliary head
    features: Mapping[str, Tensor] = field(default_factory=dict)  # name -> (B, C, h, w)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a method may know of a net when it is built."""

    num_classes: int
    channels: Mapping[str, int]  # of each named feature: stage1 .. stage4, head
    auxiliary: bool
