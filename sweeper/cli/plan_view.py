"""Showing a plan: its brackets, its cost on so many workers, its disk, what its seeds can show."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sweeper.cli.tables import byte_size, decimals, duration, echo_table
from sweeper.core.constants import BASELINE, USUAL_SD
from sweeper.estimate.forecast import Forecast, Search, finished, width
from sweeper.estimate.plan import SweepPlan
from sweeper.estimate.simulation import forecast
from sweeper.search.brackets import BracketPlan

TRIAL_BYTES = 40_000  # of a trial in the database, where too few were stored to say
STATES = {"sgd": 2, "adamw": 3}  # weights and what their optimiser keeps of each
SECONDS_PER_HOUR = 3600
PACE_HEADERS = ("method", "ms a step alone", "ms a step of {}", "rests on")


def echo_plan(sweep_plan: SweepPlan, workers: int) -> None:
    """Print what a plan takes on that many workers, and what it can show."""
    plan, searches = sweep_plan.plan, sweep_plan.searches
    trials = sum(len(s.brackets) * plan.bracket for s in searches) + _open(searches)
    many = "es" if len(searches) > 1 else ""
    click.echo(
        f"task {sweep_plan.task.name}: {len(searches)} search{many}, {trials} trials to train"
    )
    click.echo(_brackets(plan, searches))
    click.echo()
    _echo_paces(sweep_plan)
    click.echo()
    _echo_parts(sweep_plan, workers)
    click.echo()
    for line in (
        *_widths(sweep_plan),
        _disk(sweep_plan, trials),
        *_power(sweep_plan),
        *_notes(sweep_plan),
    ):
        click.echo(line)


def _open(searches: Sequence[Search]) -> int:
    return sum(sum((search.open or {}).values()) for search in searches)


def _brackets(plan: BracketPlan, searches: Sequence[Search]) -> str:
    rungs = ", ".join(map(str, plan.rung_steps))
    lines = [f"rungs at steps {rungs}; brackets of {plan.bracket}:"]
    last = max((search.brackets.stop for search in searches), default=0)
    for index in range(min(last, 2)):
        places = " -> ".join(str(plan.places(index, rung)) for rung in range(len(plan.keep)))
        anchors = sum(plan.is_anchor(number) for number in plan.numbers(index))
        which = "first bracket" if index == 0 else "each later one"
        also = f"{anchors} anchors to the end, " if anchors else ""
        lines.append(f"  {which}: {also}{places} judged; {plan.planned_steps(index):,} steps")
    return "\n".join(lines)


def _echo_paces(sweep_plan: SweepPlan) -> None:
    rows = [
        (
            method,
            1000 * step_time.alone,
            1000 * (step_time.own + step_time.common / sweep_plan.cohort),
            step_time.basis,
        )
        for method, step_time in sweep_plan.step_times.items()
    ]
    headers = [header.format(sweep_plan.cohort) for header in PACE_HEADERS]
    echo_table(headers, rows, title=f"times on {sweep_plan.device}")


def _echo_parts(sweep_plan: SweepPlan, workers: int) -> None:
    """Print a row for what is made once, the searches, the confirmation, and their sum."""
    parts = {"search": sweep_plan.searches, "confirmation": sweep_plan.confirmations}
    counts = sorted({1, workers, _most(sweep_plan)})
    rows = (
        {"teacher, calibration": [sweep_plan.setup for _ in counts]}
        if sweep_plan.setup.trials
        else {}
    )
    for name, searches in parts.items():
        rows[name] = [forecast(searches, workers=n, cohort=sweep_plan.cohort) for n in counts]
    rows["all"] = [_sum(column) for column in zip(*rows.values(), strict=True)]
    headers = ["", "trainings", "steps", "device-hours", *map(_on, counts)]
    echo_table(headers, [_row(name, row, counts.index(workers)) for name, row in rows.items()])


def _on(workers: int) -> str:
    return f"on {workers} worker{'s' * (workers > 1)}"


def _row(name: str, row: Sequence[Forecast], asked: int) -> tuple[object, ...]:
    chosen = row[asked]
    hours = decimals(chosen.device_seconds / SECONDS_PER_HOUR)
    walls = [duration(each.wall_seconds) for each in row]
    return (name, chosen.trials, f"{chosen.steps:,}", hours, *walls)


def _sum(parts: Sequence[Forecast]) -> Forecast:
    total = Forecast()
    for part in parts:
        total = total.then(part)
    return total


def _most(sweep_plan: SweepPlan) -> int:
    return max(width(sweep_plan.searches), 1)


def _widths(sweep_plan: SweepPlan) -> list[str]:
    """Say how many trials of all searches can train side by side on the way to each rung."""
    plan, searches = sweep_plan.plan, [s for s in sweep_plan.searches if s.brackets or s.open]
    if not searches:
        return []
    index = max(search.brackets.stop for search in searches) - 1
    anchors = sum(plan.is_anchor(number) for number in plan.numbers(index))
    rungs = [
        f"{(anchors + plan.places(index, rung)) * len(searches)} to step {step}"
        for rung, step in enumerate(plan.rung_steps)
    ]
    which = "later brackets" if index else "the first brackets"
    return [
        f"width: in {which} {', '.join(rungs)} can train side by side; of more than "
        f"{_most(sweep_plan)} workers some always wait"
    ]


def _disk(sweep_plan: SweepPlan, trials: int) -> str:
    confirmed = finished(sweep_plan.confirmations)
    kept = finished(sweep_plan.searches) + confirmed
    rows = (sweep_plan.trial_bytes or TRIAL_BYTES) * (trials + confirmed)
    basis = "as there so far" if sweep_plan.trial_bytes else "assumed"
    database = f"database about {byte_size(round(rows))} more ({basis})"
    if sweep_plan.checkpoint_bytes is None:
        return f"disk: {kept} finished trials are kept, their size is not known here; {database}"
    size = sweep_plan.checkpoint_bytes
    on_the_way = width(sweep_plan.searches) * size * STATES[sweep_plan.task.schedule.optimizer]
    return (
        f"disk: checkpoints {byte_size(round(kept * size))} ({kept} finished trials of "
        f"{byte_size(round(size))}), on the way {byte_size(round(on_the_way))} more; {database}"
    )


def _power(sweep_plan: SweepPlan) -> list[str]:
    """Say what the confirmation's seeds can show."""
    if not sweep_plan.rivals:
        lack = (
            "no method beside the baseline" if BASELINE in sweep_plan.step_times else "no baseline"
        )
        return [f"shows: nothing, there is {lack} to compare with"]
    repetition, noise = sweep_plan.repetition, sweep_plan.noise
    sd = USUAL_SD if noise is None else noise.sd
    gain = repetition.detectable(sweep_plan.rivals, sd)
    basis = "assumed" if noise is None else f"of {noise.runs} confirmations of this task"
    lower = " or more, since the noise of searching comes on top" if repetition.repeats > 1 else ""
    seeds = repetition.seeds
    return [
        f"shows: a gain of {gain:.2f} mIoU{lower}, with 80 % power (Welch, Holm over "
        f"{sweep_plan.rivals} method{'s' * (sweep_plan.rivals > 1)}; {seeds.method} seeds a "
        f"configuration, the baseline's {seeds.baseline}; sd of a seed {sd:.2f}, {basis})"
    ]


def _notes(sweep_plan: SweepPlan) -> list[str]:
    lines = ["every trial is counted in full: one that diverges or fails costs less"]
    if not any(step_time.is_split for step_time in sweep_plan.step_times.values()):
        lines.append(
            "only cohorts of one size were seen: on more workers they are smaller, and steps slower"
        )
    if sweep_plan.unprepared:
        lines.append(f"not counted: preparations of {', '.join(sweep_plan.unprepared)}")
    return lines
