"""`sweeper methods`: what can be tuned, and where its published values come from."""

from __future__ import annotations

import click

from sweeper.cli.tables import echo_table
from trainers.methods import MethodSpace, method_names, read_space

EXAMPLES = """\b
Examples:
  sweeper methods
  sweeper methods rdd
"""


@click.command(name="methods", epilog=EXAMPLES)
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the distillation methods, or explain the one called NAME."""
    if name is not None:
        _explain(read_space(name))
        return
    headers = ("method", "terms", "own hyperparameters", "baseline", "year", "paper", "venue")
    echo_table(headers, [_row(read_space(each)) for each in method_names()])
    click.echo(
        "\nbaseline: yes where the method can act as the baseline does, somewhere in its space.\n"
        "Each is tuned over the shared hyperparameters, one multiplier on the weights of its\n"
        "terms, and its first own one; the others in --space full only."
    )


def _row(space: MethodSpace) -> tuple[object, ...]:
    return (
        space.name,
        ", ".join(space.terms),
        ", ".join(space.own),
        space.contains_baseline,
        str(space.year),
        space.paper,
        space.venue,
    )


def _explain(space: MethodSpace) -> None:
    click.echo(f"{space.name}: {space.paper}\n{space.venue}, {space.year}")
    click.echo(f"terms: {', '.join(space.terms) or 'none, the task loss alone'}")
    contains = "contains" if space.contains_baseline else "does not contain"
    click.echo(f"its space {contains} the baseline")
    if space.publication is not None:
        setting = space.publication.model_dump(exclude_none=True).items()
        click.echo("published for: " + ", ".join(f"{key} {value}" for key, value in setting))
    if space.published:
        rows = [
            (n, repr(v), _range(space, n), space.sources[n]) for n, v in space.published.items()
        ]
        click.echo()
        echo_table(("hyperparameter", "published", "range", "source"), rows)
    if space.terms:
        click.echo(
            "\nmultiplier on all weights: 0.01 to 10 times the one at which the terms pull at the\n"
            "student as strongly as the task loss; measured once, at the method's first launch"
        )
    if space.unverified:
        click.echo(f"unverified: {space.unverified}")
    if space.note:
        click.echo(f"note: {space.note}")
    for name, why in space.beyond.items():
        click.echo(f"{name}: published outside its range: {why}")


def _range(space: MethodSpace, name: str) -> str:
    limits = space.own.get(name)
    if limits is None:
        return "fixed" if name not in space.terms else "by the multiplier"
    primary = "" if name == space.primary else ", full space only"
    return f"{limits.low:g} to {limits.high:g}{', log' if limits.log else ''}{primary}"
