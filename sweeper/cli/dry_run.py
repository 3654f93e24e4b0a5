"""`launch --dry-run`: the plan, how many GPUs it can use, and the time it should take."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from sweeper.cli.launch import Options
from sweeper.cli.live import duration
from sweeper.cli.tables import echo_table
from sweeper.declaring import MethodPlan, num_searches
from sweeper.launching import check
from sweeper.progress import allowed_steps
from sweeper.search.plan import Plan
from trainers.cohort import Trainer
from trainers.devices import choose_device
from trainers.segment import Control, Member, Segment

PROBE_STEPS = 5
PROBE_SEED = 0


def show_plan(options: Options) -> None:
    """Print what a launch would do; nothing is stored, no database is asked."""
    request = options.request
    plans = check(request)
    plan = request.plan
    searches = sum(num_searches(m.space.method, request.repeats) for m in plans)
    steps = plan.allowed_steps(request.budget) * searches
    _echo_spaces(plans)
    click.echo(_brackets(plan, request.budget))
    click.echo(
        f"{searches} studies x {request.budget} trials: {steps:,} student steps; at most "
        f"{searches * plan.bracket} trials can train side by side, at the end of a bracket "
        f"{searches * plan.width(1)}"
    )
    click.echo(_estimate(options, steps))


def _echo_spaces(plans: Sequence[MethodPlan]) -> None:
    rows = [
        (
            method.space.method if place == 0 else "",
            d.name,
            d.limits,
            "log" if d.log else "linear",
            f"{d.published:g}",
        )
        for method in plans
        for place, d in enumerate(method.space.dimensions)
    ]
    headings = ("method", "dimension", "range", "scale", "trial 0")
    echo_table(headings, rows, title="search spaces")


def _brackets(plan: Plan, budget: int) -> str:
    rungs = ", ".join(map(str, plan.rung_steps))
    lines = [f"rungs at steps {rungs}; brackets of {plan.bracket}:"]
    for index in range(min(budget // plan.bracket, 2)):
        places = " -> ".join(str(plan.places(index, rung)) for rung in range(len(plan.keep)))
        anchors = sum(plan.is_anchor(number) for number in plan.numbers(index))
        which = "first bracket" if index == 0 else "each later one"
        also = f"{anchors} anchors to the end, " if anchors else ""
        lines.append(f"  {which}: {also}{places} judged; {plan.planned_steps(index):,} steps")
    return "\n".join(lines)


def _estimate(options: Options, steps: int) -> str:
    """Time a few steps of the recipe; the teacher's share is not in it, so it is a lower bound."""
    request, device = options.request, choose_device(options.device)
    members = tuple(
        Member(key=f"probe-{place}", method="baseline", params={})
        for place in range(options.cohort)
    )
    marks: list[float] = []
    scratch = TemporaryDirectory(prefix="sweeper-probe-")
    segment = Segment(
        task=request.task,
        seed=PROBE_SEED,
        start=0,
        stop=PROBE_STEPS,
        evaluate=False,
        members=members,
        folder=Path(scratch.name),
        data_root=request.data_root,
        device=device,
    )
    control = Control(
        on_progress=lambda step: marks.append(time.monotonic()),  # noqa: ARG005
        should_stop=lambda: len(marks) >= PROBE_STEPS,
    )
    with scratch:
        Trainer().run(segment, control)
    per_step = (marks[-1] - marks[0]) / (len(marks) - 1) / len(members)
    return (
        f"about {duration(per_step * steps)} on one {device} worker at {per_step * 1000:.1f} ms a "
        f"student step (measured now, {len(members)} together; teacher and evaluation not counted)"
    )
