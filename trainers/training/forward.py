"""A net's outputs as losses want them: computed in bfloat16 on a GPU, handed on as float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from trainers.models import SegmentationNet
from trainers.models.outputs import Outputs


class Float32(Mapping[str, Tensor]):
    """Features as float32, each converted at its first use: most methods use few."""

    def __init__(self, features: Mapping[str, Tensor]) -> None:
        self._features = features
        self._seen: dict[str, tuple[Tensor, int]] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._seen:
            feature = self._features[name].float()
            self._seen[name] = (feature, feature._version)
        return self._seen[name][0]

    def versions(self) -> list[tuple[Tensor, int]]:
        """Return each feature used so far, with its count of writes when it was made."""
        return list(self._seen.values())

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)


def forward(net: SegmentationNet, images: Tensor, auxiliary: bool) -> Outputs:
    """Return the net's outputs as float32, computed in bfloat16 on a GPU.

    Losses are left outside of autocast: a method's sums over positions need the full mantissa.
    """
    return in_float32(forward_raw(net, images, auxiliary))


def forward_raw(net: SegmentationNet, images: Tensor, auxiliary: bool) -> Outputs:
    """Return the net's outputs as they were computed: in bfloat16 on a GPU."""
    with torch.autocast("cuda", torch.bfloat16, enabled=images.is_cuda):
        outputs: Outputs = net(images, auxiliary=auxiliary)
    return outputs


def in_float32(outputs: Outputs) -> Outputs:
    """Return the outputs as float32; gradients flow back to those given."""
    return Outputs(
        logits=outputs.logits.float(),
        aux_logits=None if outputs.aux_logits is None else outputs.aux_logits.float(),
        features=Float32(outputs.features),
    )
