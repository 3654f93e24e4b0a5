"""The optimiser of one member and its learning rate at every step.

There is no scheduler object. Its counter would be state to store and restore, and could disagree
with the step; the rate is a function of the step alone and is set before every update.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from trainers.errors import MethodError
from trainers.method_api.space_file import Hyperparameters
from trainers.tasks import Schedule


def with_params(schedule: Schedule, params: Hyperparameters) -> Schedule:
    """Return the schedule with the trial's own values of its fields, where it has any.

    MethodError where one of them is out of bounds.
    """
    own = {name: params[name] for name in Schedule.model_fields if name in params}
    try:
        return Schedule.model_validate({**schedule.model_dump(), **own})
    except ValidationError as error:
        faults = [f"{e['loc'][0]}: {e['msg']}, got {e['input']!r}" for e in error.errors()]
        raise MethodError("; ".join(faults)) from error


def build_optimizer(parameters: Iterable[nn.Parameter], schedule: Schedule) -> Optimizer:
    """Return the schedule's optimiser over one group of parameters.

    Fused kernels: for nets of many small tensors they take a third of the time of the others.
    """
    chosen = [parameter for parameter in parameters if parameter.requires_grad]
    rate, decay = schedule.learning_rate, schedule.weight_decay
    if schedule.optimizer == "adamw":
        return AdamW(chosen, lr=rate, weight_decay=decay, fused=True)
    return SGD(chosen, lr=rate, momentum=schedule.momentum, weight_decay=decay, fused=True)


def set_learning_rate(optimizer: Optimizer, schedule: Schedule, step: int) -> None:
    """Give the optimiser the rate of step `step` (counted from 0), before its update."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(schedule, step)


def clip(optimizer: Optimizer, schedule: Schedule) -> None:
    """Scale the gradients to the schedule's norm where theirs, taken together, is greater.

    Shorter gradients keep every bit: they are multiplied by 1.
    """
    if schedule.gradient_norm is not None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(parameters, schedule.gradient_norm)


def rate_left(schedule: Schedule, step: int) -> float:
    """Return which part of a rate is left at `step` (counted from 0): polynomial, 0 at the end."""
    return float((1 - step / schedule.steps) ** schedule.power)


def learning_rate(schedule: Schedule, step: int) -> float:
    """Return the rate of step `step` (counted from 0)."""
    return float(schedule.learning_rate * rate_left(schedule, step))
