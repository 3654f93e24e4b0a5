"""What a sound sweep has on record besides its trials: teacher, calibration, provenance."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from trainers.runtime.processor import processor

DEVICE = "processor A"
CODE = "c0de" * 16  # of every launch and segment
TEACHER_MIOU = 55.0
TEACHER: dict[str, Any] = {
    "hash": "recipe",
    "kind": "teacher",
    "origin": "trained",
    "identity": {},
    "path": "/teacher.pt",
    "weights_hash": "teacher",
    "metrics": {"score": TEACHER_MIOU},
}
PROVENANCE: dict[str, Any] = {
    "python": "3.11.9",
    "packages": {"sweeper": "1.0", "torch": "2.15.0"}
    | {name: version(name) for name in ("optuna", "numpy", "scipy")},  # so proposals are replayed
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "processor": processor(),
    "code_hash": CODE,
}
CALIBRATION: dict[str, Any] = {
    "equal": 1.0,
    "gradient_ratio": 1.0,
    "gradient_ratios": [1.0] * 16,
    "feature": "head",
    "step": 26,
}
