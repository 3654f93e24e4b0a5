"""Backbone weights from outside: torchvision's ImageNet weights, or a file of the same layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torchvision
from torch import Tensor

from trainers.errors import CheckpointError, TaskError
from trainers.models.backbones import Backbone
from trainers.runtime.torch_files import load, one_line
from trainers.tasks.schema import Net

TOPS = ("fc.", "classifier.", "18.")  # what we leave out; 18 is MobileNetV2's last convolution


def load_backbone_weights(backbone: Backbone, net: Net) -> None:
    """Load what `net.weights` names, "imagenet" or a file; the classifier's weights are left out.

    TaskError where ImageNet weights are wanted for another width; CheckpointError where they
    cannot be had, or where the names or shapes in the file are not the backbone's.
    """
    if net.weights == "imagenet":
        state, origin = _imagenet_state(net), f"torchvision's {net.backbone}"
    else:
        state, origin = _file_state(Path(net.weights)), net.weights
    wanted = backbone.trunk.state_dict()
    given = {str(name).removeprefix("features."): value for name, value in state.items()}
    faults = _faults(wanted, given)
    if faults:
        raise CheckpointError(
            f"{origin}: not the weights of a {net.backbone} of width {net.backbone_width:g}: "
            f"{faults}; give torchvision's state dict of that backbone"
        )
    backbone.trunk.load_state_dict({name: given.get(name, wanted[name]) for name in wanted})


def _imagenet_state(net: Net) -> Mapping[str, Tensor]:
    """Return torchvision's first ImageNet weights, those that published results start from."""
    if net.backbone_width != 1.0:
        raise TaskError(
            f'backbone_width = {net.backbone_width:g} with weights = "imagenet": they exist at '
            'width 1 only; set backbone_width = 1.0 or weights = "none"'
        )
    weights = torchvision.models.get_model_weights(net.backbone)["IMAGENET1K_V1"]
    name = str(weights.url).rsplit("/", 1)[-1]
    place = Path(torch.hub.get_dir()) / "checkpoints" / name

    def message(why: str) -> str:
        return (
            f'weights = "imagenet": cannot get {name} ({why}); put {weights.url} at {place} by '
            'hand, or set weights = "none"'
        )

    with one_line(message):
        state: Mapping[str, Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    return state


def _file_state(file: Path) -> Mapping[str, Tensor]:
    try:
        state = load(file.expanduser(), is_ours=False)
    except CheckpointError as error:
        raise CheckpointError(
            f'weights = "{file}": not a readable file of weights ({error}); '
            'give "imagenet", "none" or a file that torch.save wrote'
        ) from error
    if not isinstance(state, Mapping):
        raise CheckpointError(f"{file}: holds a {type(state).__name__}, not a state dict")
    return state


def _faults(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Return what keeps `given` from being loaded, in words; empty where nothing does.

    The counts of batches that old files lack are no fault: nothing reads them.
    """
    counts = "num_batches_tracked"
    missing = [name for name in wanted if name not in given and not name.endswith(counts)]
    foreign = [name for name in given if name not in wanted and not name.startswith(TOPS)]
    reshaped = [
        f"{name} {tuple(given[name].shape)} instead of {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    described = [("missing", missing), ("unknown", foreign), ("other shapes", reshaped)]
    return "; ".join(f"{kind}: {_some(names)}" for kind, names in described if names)


def _some(names: list[str], most: int = 3) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
