"""`launch --dry-run`: the search spaces, and what `sweeper plan` says of the same launch."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sweeper.cli.plan_view import echo_plan
from sweeper.cli.store_access import opened
from sweeper.cli.tables import echo_table
from sweeper.driver.options import LaunchOptions
from sweeper.estimate.forecast import Repetition
from sweeper.estimate.plan import of_request
from sweeper.estimate.step_times import TrainingSite
from sweeper.scheduler.declaration import MethodPlan
from sweeper.scheduler.launch_request import check


def show_plan(options: LaunchOptions) -> None:
    """Print what a launch would do; no sweep is stored."""
    request = options.request
    _echo_spaces(check(request))
    click.echo()
    with opened(options.database) as store:
        site = TrainingSite(
            engine=store.engine,
            device=options.device,
            data_root=request.data_root,
            cohort=options.cohort,
        )
        repetition = Repetition.of(request.repeats, None, None)
        sweep_plan = of_request(request, site, repetition)
        echo_plan(sweep_plan, options.worker_options.workers if options.worker_options else 1)


def _echo_spaces(plans: Sequence[MethodPlan]) -> None:
    rows = [
        (
            method.space.method if site == 0 else "",
            d.name,
            d.limits,
            "log" if d.log else "linear",
            f"{d.published:g}",
        )
        for method in plans
        for site, d in enumerate(method.space.dimensions)
    ]
    headings = ("method", "dimension", "range", "scale", "trial 0")
    echo_table(headings, rows, title="search spaces")
