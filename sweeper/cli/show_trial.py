"""How `sweeper show` prints one trial."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from sweeper.cli.tables import echo_table, parameter_order, short_number, sparkline
from sweeper.store.trial_details import Dossier
from trainers.errors import UserError
from trainers.method_api.registry import read_space, resolve


def echo_trial(dossier: Dossier) -> None:
    """Print everything about a trial, section by section."""
    click.echo(f"{dossier.target}: {_verdict(dossier)}")
    if dossier.reason:
        click.echo(f"reason: {dossier.reason.rstrip()}")
    _echo_parameters(dossier)
    _echo_curves(dossier)
    _echo_costs(dossier)
    _echo_events(dossier)
    _echo_files(dossier)
    click.echo(f"\nto repeat it without sweeper:\n  {repeat_command(dossier)}")


def repeat_command(dossier: Dossier) -> str:
    """Return the shell command that trains the trial again, to the same digits."""
    words = ["python", "-m", "trainers", "--task", dossier.task]
    words += ["--method", str(dossier.target.method)]
    for name in sorted(dossier.params, key=parameter_order):
        words += ["--set", f"{name}={_exact(dossier.params[name])}"]
    words += ["--seed", str(dossier.seed)]
    if dossier.is_longer:
        words += ["--steps", str(dossier.last_step)]
    if dossier.data_root is not None:
        words += ["--data-root", dossier.data_root]
    if dossier.deterministic:
        words += ["--deterministic"]
    if dossier.teacher is not None and _learns_from_teacher(str(dossier.target.method)):
        words += ["--teacher", dossier.teacher]
    return shlex.join(words)


def _exact(value: object) -> str:
    return repr(value) if isinstance(value, int | float) else str(value)


def _learns_from_teacher(method: str) -> bool:
    try:
        return bool(read_space(method).terms)
    except UserError:  # a method that is not installed here
        return True


def _verdict(dossier: Dossier) -> str:
    if dossier.state == "RUNNING":
        return f"undecided, at step {dossier.step} of {dossier.last_step}"
    if dossier.diverged:
        return f"diverged at step {dossier.step} of {dossier.last_step}"
    value = "" if dossier.miou is None else f", mIoU {dossier.miou:.2f}"
    return f"{dossier.state}{value} at step {dossier.step} of {dossier.last_step}"


def _echo_parameters(dossier: Dossier) -> None:
    effective = _effective(dossier)
    names = sorted(dossier.params, key=parameter_order)
    rows = [
        (name, short_number(dossier.params[name]), short_number(dossier.published.get(name, "")))
        for name in names
    ]
    click.echo(f"\nhyperparameters ({dossier.origin}, bracket {dossier.bracket})")
    echo_table(("name", "value", "published"), rows)
    fixed = {name: value for name, value in effective.items() if name not in dossier.params}
    if fixed:
        pairs = (f"{name}={short_number(value)}" for name, value in fixed.items())
        click.echo("in effect besides: " + ", ".join(pairs))


def _effective(dossier: Dossier) -> Mapping[str, object]:
    """Return what the method makes of the values; nothing for a method that is not here."""
    try:
        return resolve(str(dossier.target.method), dossier.params)
    except UserError as error:
        click.echo(f"hyperparameters in effect: unknown here ({error})", err=True)
        return {}


def _echo_curves(dossier: Dossier) -> None:
    if dossier.rungs:
        click.echo("\nevaluations")
        rows = [(r.index, r.step, r.miou, r.weights_hash[:12]) for r in dossier.rungs]
        echo_table(("rung", "step", "mIoU", "weights"), rows)
        ious = ("-" if iou is None else f"{iou:.1f}" for iou in dossier.rungs[-1].class_iou)
        click.echo(f"IoU of each class at the last: {' '.join(ious) or 'not recorded'}")
    if dossier.losses:
        (first, start), (last, end) = dossier.losses[0], dossier.losses[-1]
        line = sparkline([loss for _, loss in dossier.losses])
        click.echo(f"\ntraining loss, steps {first} to {last}: {start:.3g} {line} {end:.3g}")


def _echo_costs(dossier: Dossier) -> None:
    click.echo(
        f"\ncost: {dossier.trained_steps} steps trained in {dossier.device_seconds:.1f} device "
        f"seconds; wasted {dossier.wasted_steps} steps, {dossier.wasted_seconds:.1f} s"
    )
    rows = [
        (s.segment, s.start_step, s.reached_step, s.stop_step, s.ending, s.seconds, s.device)
        for s in dossier.stretches
    ]
    if rows:
        echo_table(("segment", "from step", "to", "of", "ending", "seconds", "device"), rows)


def _echo_events(dossier: Dossier) -> None:
    if not dossier.events:
        return
    click.echo("\nevents")
    for at, kind, detail in dossier.events:
        pairs = (f"{key}={_brief(value)}" for key, value in detail.items())
        click.echo(f"  {at}  {kind}  {' '.join(pairs)}")


def _brief(value: object) -> str:
    if isinstance(value, str):
        return value.partition("\n")[0]
    return json.dumps(value)


def _echo_files(dossier: Dossier) -> None:
    click.echo(f"\nweights: {dossier.weights_hash or 'none evaluated'}")
    if dossier.checkpoint is not None:
        there = "" if Path(dossier.checkpoint).is_file() else "  (not on this machine)"
        click.echo(f"checkpoint: {dossier.checkpoint}{there}")
    for stretch in dossier.stretches:
        click.echo(f"log of segment {stretch.segment}: {stretch.log}")
