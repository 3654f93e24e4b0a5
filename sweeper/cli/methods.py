"""`sweeper methods`: what can be tuned, and where its published values come from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

import search_spaces
from sweeper.cli import methods_markdown
from sweeper.cli.method_path import method_path_option
from sweeper.cli.tables import echo_table
from trainers.contract.template import write_pair
from trainers.method_api.registry import MethodSpace, all_names, read_space

EXAMPLES = """\b
Examples:
  sweeper methods
  sweeper methods rdd
  sweeper methods new mine --folder my_methods
  sweeper methods --method-path my_methods check mine
"""


class MethodsGroup(click.Group):
    """A group whose unknown commands are names of methods, to be explained."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand, or one that explains the method of that name."""
        found = super().get_command(ctx, cmd_name)
        if found is not None:
            return found
        return click.Command(cmd_name, callback=lambda: _explain(read_space(cmd_name)))


@click.group(
    name="methods",
    cls=MethodsGroup,
    invoke_without_command=True,
    epilog=EXAMPLES,
    subcommand_metavar="[NAME | new NAME | check NAME]",
)
@method_path_option
@click.option("--markdown", is_flag=True, help="Print METHODS.md: every method and every term.")
@click.pass_context
def command(context: click.Context, markdown: bool) -> None:
    """List the distillation methods, explain the one called NAME, make or check one of your own.

    NAME may be a combination, WEIGHTING+METHOD, or one term, term:TERM.
    """
    if context.invoked_subcommand is not None:
        return
    if markdown:
        click.echo("".join(methods_markdown.markdown()), nl=False)
        return
    _list()


@command.command(name="new")
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("methods"),
    show_default=True,
    help="Where its two files are written.",
)
def new(name: str, folder: Path) -> None:
    """Write a pair of files that works, to begin a method with."""
    code, space = write_pair(name, folder)
    click.echo(f"{code}: the terms\n{space}: published values and ranges")
    click.echo(f"check it:  sweeper methods --method-path {folder} check {name}")
    click.echo(f"tune it:   sweeper launch --method-path {folder} --method {name} --budget 16")


@command.command(name="check")
@click.argument("name")
def check(name: str) -> None:
    """Review a method: what each has to do, and what this one costs; exit code 1 on faults."""
    from sweeper.cli.method_review import review  # loads torch

    sys.exit(review(name))


def _list() -> None:
    headers = (
        "method",
        "terms",
        "own",
        "needs",
        "baseline",
        "gradient_ratio",
        "cost",
        "year",
        "venue",
    )
    measured = search_spaces.measured()
    figures = measured.get("methods", {})
    rows = [_row(read_space(each), figures.get(each, {})) for each in all_names()]
    echo_table((*headers, "paper"), rows)
    click.echo(
        "\nown: how many hyperparameters of its own it has, of which one is in the primary space.\n"
        "baseline: yes where the method can act as the baseline does, somewhere in its space.\n"
        "Each is tuned over the shared hyperparameters, one multiplier on the weights of its\n"
        "terms, and its first own one; the others in --space full only. * unverified: no public\n"
        "code has confirmed its numbers.\n"
        "gradient_ratio: gradient of its terms at published weights over that of the task loss;\n"
        f"cost: time of a step over the baseline's. {measured.get('about', 'Not measured yet.')}"
    )


def _row(space: MethodSpace, figures: Mapping[str, float]) -> tuple[object, ...]:
    weighting = [f"({space.weighting})"] if space.weighting else []
    return (
        space.name + ("*" if space.unverified else ""),
        ", ".join([*space.terms, *weighting]),
        len(space.own),
        ", ".join(space.needs),
        space.contains_baseline,
        *(f"{figures[name]:.3g}" if name in figures else "" for name in ("gradient_ratio", "cost")),
        str(space.year),
        space.venue,
        space.paper,
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
            "\nmultiplier on all weights: 0.01 to 10 times the one at which the gradient of the\n"
            "terms is as long as that of the task loss; measured once, at the method's first launch"
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
