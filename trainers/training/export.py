"""Trained weights in a file of their own, with what they are, for use outside of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainers.errors import CheckpointError
from trainers.runtime.torch_files import write
from trainers.training.checkpoints import read, weights_hash


def export_weights(
    checkpoint: Path, target: Path, about: Mapping[str, Any], expected_hash: str | None = None
) -> str:
    """Write the student's weights of a checkpoint and `about` to `target`; return their hash.

    The file holds {"weights": state dict, "weights_hash": sha256, **about}, and appears only when
    it is complete. CheckpointError where the checkpoint is not there, damaged, or holds other
    weights than expected, and where `target` cannot be written.
    """
    weights = read(checkpoint).get("student")
    if not isinstance(weights, dict):
        raise CheckpointError(f"{checkpoint}: holds no weights of a student")
    digest = weights_hash(weights)
    if expected_hash is not None and digest != expected_hash:
        raise CheckpointError(
            f"{checkpoint}: its weights have the hash {digest[:12]}, those that were evaluated "
            f"{expected_hash[:12]}; it was changed or damaged since"
        )
    try:
        write(target, {"weights": weights, "weights_hash": digest, **about})
    except (OSError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{target} cannot be written: {reason}") from error
    return digest
