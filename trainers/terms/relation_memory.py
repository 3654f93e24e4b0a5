"""A memory bank of the teacher's earlier pixels and regions of each class, and whole channels.

Source: Yang et al., "Cross-Image Relational Knowledge Distillation for Semantic Segmentation", CVPR
2022 (CIRKD), and its extension to channels (CIRKDv2). B images, K classes, C channels of the
teacher, N positions of its map; 255 = ignore.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.data.dataset import IGNORE
from trainers.errors import MethodError
from trainers.method_api.method import MemoryBank
from trainers.models.outputs import Outputs
from trainers.terms.map_labels import labels_on_map
from trainers.terms.similarity import unit


class Queue(nn.Module):
    """The last `size` unit vectors that came, of each of some classes; new ones replace the oldest.

    `vectors` is (classes x size + 1, C): the last row takes what is not to be kept, so that a step
    needs not know how many vectors there are. C may be 0, to be set by the first vectors.
    """

    vectors: Tensor
    total_K: Tensor  # vectors that came so far

    def __init__(self, classes: int, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("vectors", torch.zeros(classes * size + 1, channels))
        self.register_buffer("total_K", torch.zeros(classes, dtype=torch.long))

    @property
    def filled_K(self) -> Tensor:
        """The number of vectors held, of each class."""
        return self.total_K.clamp(max=self.size)

    def put(self, vectors_KnC: Tensor, present_Kn: Tensor) -> None:
        """Take in the vectors where `present_Kn` is true, in their order."""
        if self.vectors.shape[1] == 0:
            self.vectors = self.vectors.new_zeros(len(self.vectors), vectors_KnC.shape[2])
        rank_Kn = present_Kn.cumsum(1)
        coming_K = rank_Kn[:, -1]
        kept_Kn = present_Kn & (rank_Kn > coming_K[:, None] - self.size)
        place_Kn = (self.total_K[:, None] + rank_Kn - 1) % self.size
        first_K1 = self.size * torch.arange(len(coming_K), device=coming_K.device)[:, None]
        index = (first_K1 + place_Kn).where(kept_Kn, len(self.vectors) - 1).flatten()
        coming = (vectors_KnC * kept_Kn[..., None]).flatten(0, 1).to(self.vectors.dtype)
        self.vectors[index] = coming
        self.total_K += coming_K

    def sample(self, count: int) -> tuple[Tensor, Tensor]:
        """Return (K x count, C) vectors, `count` of each class, and which of them there really are.

        Drawn without repetition, apart for each class; all of a class that has fewer than `count`.
        """
        classes = len(self.total_K)
        keys = torch.rand(classes, self.size, device=self.vectors.device)
        empty = torch.arange(self.size, device=keys.device) >= self.filled_K[:, None]
        drawn = keys.masked_fill_(empty, -1).topk(min(count, self.size))
        first_K1 = self.size * torch.arange(classes, device=keys.device)[:, None]
        index = (first_K1 + drawn.indices).flatten()
        return self.vectors[index], (drawn.values >= 0).flatten()

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take the stored number of channels where ours is still to be set."""
        stored = state.get(f"{prefix}vectors")
        if stored is not None and self.vectors.shape[1] == 0:
            self.vectors = self.vectors.new_zeros(stored.shape)
        super()._load_from_state_dict(state, prefix, *args)


class RelationMemory(MemoryBank):
    """Queues of the teacher's pixels, regions and channels; those of size 0 are left out.

    Of every image, `sampled_pixels` random pixels of each class are kept, a class's mean as
    one region, and of every batch `sampled_channels` random channels of 4x4-pooled maps. All are
    kept at length 1; a region is the mean of unit vectors. Released code takes other pixels
    than the class's own (the first of the image) and begins with random vectors;
    here a queue is empty at first. Its name seeds its random numbers: see `MemoryBank.key`.
    """

    def __init__(  # noqa: PLR0913
        self,
        *,
        classes: int,
        channels: int,
        pixels: int,
        regions: int,
        sampled_pixels: int,
        maps: int = 0,
        sampled_channels: int = 0,
    ) -> None:
        super().__init__(
            classes=classes,
            channels=channels,
            pixels=pixels,
            regions=regions,
            sampled_pixels=sampled_pixels,
            maps=maps,
            sampled_channels=sampled_channels,
        )
        self.sampled_pixels, self.sampled_channels = sampled_pixels, sampled_channels
        self.pixels = Queue(classes, pixels, channels) if pixels else None
        self.regions = Queue(classes, regions, channels) if regions else None
        self.maps = Queue(1, maps, 0) if maps else None

    @torch.no_grad()
    def update(self, teacher: Outputs, labels_BHW: Tensor) -> None:
        """Store samples of the teacher's head feature."""
        feature_BChw = teacher.features["head"]
        if self.maps is not None:
            self._store_maps(self.maps, channel_vectors(pooled(feature_BChw)))
        if self.pixels is None and self.regions is None:
            return
        vectors_BNC = unit(feature_BChw, 1).flatten(2).transpose(1, 2)
        labels_BN = labels_on_map(labels_BHW, feature_BChw.shape[-2:]).flatten(1)
        if self.pixels is not None:
            self._store_pixels(self.pixels, vectors_BNC, labels_BN)
        if self.regions is not None:
            self._store_regions(self.regions, vectors_BNC, labels_BN)

    def _store_pixels(self, queue: Queue, vectors_BNC: Tensor, labels_BN: Tensor) -> None:
        classes, batch = len(queue.total_K), len(labels_BN)
        shuffle = torch.randperm(labels_BN.numel(), device=labels_BN.device)
        image_B1 = torch.arange(batch, device=labels_BN.device)[:, None]
        # by class, then image; ignored pixels come last, and are never asked for
        group = (labels_BN.where(labels_BN != IGNORE, classes) * batch + image_B1).flatten()
        groups, sorting = group[shuffle].sort(stable=True)
        bounds = torch.searchsorted(groups, torch.arange(classes * batch + 1, device=group.device))
        slot = torch.arange(self.sampled_pixels, device=group.device)
        place_Gs = bounds[:-1, None] + slot
        present_Gs = place_Gs < bounds[1:, None]
        picked_Gs = shuffle[sorting][place_Gs.clamp(max=len(group) - 1)]
        vectors = vectors_BNC.flatten(0, 1)[picked_Gs]
        queue.put(
            vectors.view(classes, batch * self.sampled_pixels, -1), present_Gs.view(classes, -1)
        )

    def _store_regions(self, queue: Queue, vectors_BNC: Tensor, labels_BN: Tensor) -> None:
        classes = len(queue.total_K)
        member_BKN = labels_BN[:, None] == torch.arange(classes, device=labels_BN.device)[:, None]
        means_BKC = unit(member_BKN.to(vectors_BNC.dtype) @ vectors_BNC, 2)
        queue.put(means_BKC.transpose(0, 1), member_BKN.any(2).T)

    def _store_maps(self, queue: Queue, maps_BCn: Tensor) -> None:
        known = queue.vectors.shape[1]
        if known not in (0, maps_BCn.shape[2]):
            raise MethodError(
                f"the memory bank of channels holds maps of {known} positions, the teacher's has "
                f"{maps_BCn.shape[2]}: all batches must have one size"
            )
        maps = maps_BCn.flatten(0, 1)
        chosen = torch.randperm(len(maps), device=maps.device)[: self.sampled_channels]
        queue.put(maps[None, chosen], torch.ones_like(chosen, dtype=torch.bool)[None])


def pooled(maps_BChw: Tensor) -> Tensor:
    """Return maps averaged over cells of 4x4 positions (CIRKDv2).

    Where 4 does not divide the size, the last cells average over what there is.
    """
    return functional.avg_pool2d(maps_BChw, 4, ceil_mode=True)


def channel_vectors(maps_BChw: Tensor) -> Tensor:
    """Return each channel's map as a vector of length 1, (B, C, h x w)."""
    return unit(maps_BChw.flatten(2), 2)
