"""`launch --dry-run`: the search spaces, and what `sweeper plan` says of the same launch."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sweeper.cli.launch import Options
from sweeper.cli.prospect import echo_prospect
from sweeper.cli.reading import opened
from sweeper.cli.tables import echo_table
from sweeper.declaring import MethodPlan
from sweeper.launching import check
from sweeper.planning import Repetition
from sweeper.prospect import of_request
from sweeper.survey import Place


def show_plan(options: Options) -> None:
    """Print what a launch would do; no sweep is stored."""
    request = options.request
    _echo_spaces(check(request))
    click.echo()
    with opened(options.database) as store:
        place = Place(
            engine=store.engine,
            device=options.device,
            data_root=request.data_root,
            cohort=options.cohort,
        )
        repetition = Repetition.of(request.repeats, None, None)
        prospect = of_request(request, place, repetition)
        echo_prospect(prospect, options.staff.workers if options.staff else 1)


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
