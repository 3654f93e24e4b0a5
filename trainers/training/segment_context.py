"""What all members of a cohort are trained under: one segment, one device, one data set."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainers.training.segment import Segment


@dataclass(frozen=True, kw_only=True)
class SegmentContext:
    """What the members of a cohort have in common for the length of a segment."""

    segment: Segment
    device: torch.device
    num_classes: int
    data: str  # the data set's fingerprint
