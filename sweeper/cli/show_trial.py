"""How `sweeper show` prints one trial."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from sweeper.cli.tables import echo_table, parameter_order, short_number, sparkline
from sweeper.store.trial_details import TrialDetails
from trainers.errors import UserError
from trainers.method_api.registry import read_space, resolve
from trainers.tasks.schema import METRIC


def echo_trial(details: TrialDetails) -> None:
    """Print everything about a trial, section by section."""
    click.echo(f"{details.reference}: {_verdict(details)}")
    if details.reason:
        click.echo(f"reason: {details.reason.rstrip()}")
    _echo_parameters(details)
    _echo_curves(details)
    _echo_costs(details)
    _echo_events(details)
    _echo_files(details)
    click.echo(f"\nto repeat it without sweeper:\n  {repeat_command(details)}")


def repeat_command(details: TrialDetails) -> str:
    """Return the shell command that trains the trial again, to the same digits."""
    words = ["python", "-m", "trainers", "--task", details.task]
    words += ["--method", str(details.reference.method)]
    for name in sorted(details.params, key=parameter_order):
        words += ["--set", f"{name}={_exact(details.params[name])}"]
    words += ["--seed", str(details.seed)]
    if details.is_longer:
        words += ["--steps", str(details.last_step)]
    if details.data_root is not None:
        words += ["--data-root", details.data_root]
    if details.deterministic:
        words += ["--deterministic"]
    if details.teacher is not None and _learns_from_teacher(str(details.reference.method)):
        words += ["--teacher", details.teacher]
    return shlex.join(words)


def _exact(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else str(value)


def _learns_from_teacher(method: str) -> bool:
    try:
        return bool(read_space(method).terms)
    except UserError:  # a method that is not installed here
        return True


def _verdict(details: TrialDetails) -> str:
    if details.state == "RUNNING":
        return f"undecided, at step {details.step} of {details.last_step}"
    if details.diverged:
        return f"diverged at step {details.step} of {details.last_step}"
    value = "" if details.score is None else f", mIoU {details.score:.2f}"
    return f"{details.state}{value} at step {details.step} of {details.last_step}"


def _echo_parameters(details: TrialDetails) -> None:
    effective = _effective(details)
    names = sorted(details.params, key=parameter_order)
    rows = [
        (name, short_number(details.params[name]), short_number(details.published.get(name, "")))
        for name in names
    ]
    click.echo(f"\nhyperparameters ({details.origin}, bracket {details.bracket})")
    echo_table(("name", "value", "published"), rows)
    fixed = {name: value for name, value in effective.items() if name not in details.params}
    if fixed:
        pairs = (f"{name}={short_number(value)}" for name, value in fixed.items())
        click.echo("in effect besides: " + ", ".join(pairs))


def _effective(details: TrialDetails) -> Mapping[str, object]:
    """Return what the method makes of the values; nothing for a method that is not here."""
    try:
        return resolve(str(details.reference.method), details.params)
    except UserError as error:
        click.echo(f"hyperparameters in effect: unknown here ({error})", err=True)
        return {}


def _echo_curves(details: TrialDetails) -> None:
    if details.rungs:
        click.echo("\nevaluations")
        rows = [(r.index, r.step, r.score, r.weights_hash[:12]) for r in details.rungs]
        echo_table(("rung", "step", METRIC, "weights"), rows)
        ious = ("-" if iou is None else f"{iou:.1f}" for iou in details.rungs[-1].class_iou)
        click.echo(f"IoU of each class at the last: {' '.join(ious) or 'not recorded'}")
    if details.losses:
        (first, start), (last, end) = details.losses[0], details.losses[-1]
        line = sparkline([loss for _, loss in details.losses])
        click.echo(f"\ntraining loss, steps {first} to {last}: {start:.3g} {line} {end:.3g}")


def _echo_costs(details: TrialDetails) -> None:
    click.echo(
        f"\ncost: {details.trained_steps} steps trained in {details.device_seconds:.1f} device "
        f"seconds; wasted {details.wasted_steps} steps, {details.wasted_seconds:.1f} s"
    )
    rows = [
        (s.segment, s.start_step, s.reached_step, s.stop_step, s.ending, s.seconds, s.device)
        for s in details.stretches
    ]
    if rows:
        echo_table(("segment", "from step", "to", "of", "ending", "seconds", "device"), rows)


def _echo_events(details: TrialDetails) -> None:
    if not details.events:
        return
    click.echo("\nevents")
    for at, kind, detail in details.events:
        pairs = (f"{key}={_brief(value)}" for key, value in detail.items())
        click.echo(f"  {at}  {kind}  {' '.join(pairs)}")


def _brief(value: object) -> str:
    if isinstance(value, str):
        return value.partition("\n")[0]
    return json.dumps(value)


def _echo_files(details: TrialDetails) -> None:
    click.echo(f"\nweights: {details.weights_hash or 'none evaluated'}")
    if details.checkpoint is not None:
        there = "" if Path(details.checkpoint).is_file() else "  (not on this machine)"
        click.echo(f"checkpoint: {details.checkpoint}{there}")
    for stretch in details.stretches:
        click.echo(f"log of segment {stretch.segment}: {stretch.log}")
