"""What a comparison at equal cost is made of: what a step costs, and searches cut at one cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

PLAIN = "kd"  # the plainest method with a teacher: others are measured and compared with it
TUNING = "tuning"
LENGTHS: Mapping[str, float] = MappingProxyType({"training-1.5x": 1.5, "training-2x": 2.0})


@dataclass(frozen=True, kw_only=True)
class StepCosts:
    """Seconds of a method's training step alone, all measured on one device after another."""

    device: str
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The best trial that a search had brought to its end at the common cost."""

    number: int
    seconds: float  # what the search had cost when that trial ended


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Every search cut at one cost; one that had no trial at its end by then is absent."""

    common: float  # seconds
    chosen: Mapping[str, Cut]  # by the search's name
