"""`sweeper tasks`: under which data, nets and schedules methods can be compared."""

from __future__ import annotations

import click

from sweeper.cli.tables import echo_table
from sweeper.search.brackets import BracketPlan
from trainers.tasks import Net, Schedule, Task, load_task, task_names

EXAMPLES = """\b
Examples:
  sweeper tasks
  sweeper tasks camvid-tiny
"""


@click.command(name="tasks", epilog=EXAMPLES)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the tasks, or explain the one called NAME (a TOML file of your own will do)."""
    if name is not None:
        _explain(load_task(name))
        return
    headers = ("task", "data", "student", "teacher", "steps", "rungs", "kept of a bracket")
    tasks = [load_task(each) for each in task_names()]
    echo_table(headers, [_row(task) for task in tasks])
    click.echo()
    for task in tasks:
        click.echo(f"{task.name}: {task.description}")


def _row(task: Task) -> tuple[object, ...]:
    return (
        task.name,
        _data(task),
        _net(task.student),
        _net(task.teacher.net) if task.teacher else None,
        task.schedule.steps,
        _list(task.rung_steps),
        _list(task.search.keep),
    )


def _explain(task: Task) -> None:
    plan = BracketPlan.of(task)
    click.echo(f"{task.name}: {task.description}")
    lines = {
        "data": f"{_data(task)}, crops {task.augmentation.crop[0]}x{task.augmentation.crop[1]}",
        "student": f"{_details(task.student)}; {_schedule(task.schedule)}",
        "bracket": f"{plan.bracket} trials; a budget is a multiple of it",
        "rungs": f"steps {_list(plan.rung_steps)}; of a bracket {_list(plan.keep)} train to them",
        "anchors": f"trials 0 to {plan.anchors - 1} always train to the end"
        if plan.anchors
        else "none",
        "first bracket": f"{plan.planned_steps(0)} training steps, a later one "
        f"{plan.planned_steps(plan.anchors // plan.bracket + 1)}",
    }
    if task.teacher is not None:
        lines["teacher"] = f"{_details(task.teacher.net)}; {_schedule(task.teacher.schedule)}"
    for key, line in lines.items():
        click.echo(f"  {key}: {line}")


def _data(task: Task) -> str:
    height, width = task.data.size
    return f"{task.data.reader} {height}x{width}"


def _net(net: Net) -> str:
    width = "" if net.backbone_width == 1 else f" x{net.backbone_width:g}"
    return f"{net.backbone}{width} {net.head}"


def _details(net: Net) -> str:
    auxiliary = "with" if net.auxiliary else "without"
    return (
        f"{_net(net)}, head of {net.head_width} channels, output stride {net.output_stride}, "
        f"{auxiliary} auxiliary head, initial weights {net.weights}"
    )


def _schedule(schedule: Schedule) -> str:
    return (
        f"{schedule.steps} steps of {schedule.image_batch} images, {schedule.optimizer}, learning "
        f"rate {schedule.learning_rate:g}, weight decay {schedule.weight_decay:g}"
    )


def _list(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
