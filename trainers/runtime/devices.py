"""What a device calls itself: values repeat bit by bit only on the same kind."""

from __future__ import annotations

import torch

from trainers.errors import UserError
from trainers.runtime.processor import processor


class DeviceError(UserError):
    """A device is named that this machine, or this build of torch, does not have."""


def choose_device(name: str | None) -> str:
    """Return the device of that name, or of None the best there is; DeviceError if it is not."""
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    check_device(name)
    return name


def check_device(name: str) -> None:
    """Raise DeviceError unless this machine has a device of that name."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise DeviceError(f"no device {name!r} here; there is {', '.join(known)}") from error


def device_name(device: torch.device) -> str:
    """Return a GPU's model, or the processor's with the instructions that torch uses there."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"{processor()} ({torch.backends.cpu.get_cpu_capability()})"


def model_of(name: str | None) -> str:
    """Return what the device of that name, or of None the best there is, calls itself."""
    return device_name(torch.device(choose_device(name)))
