"""METHODS.md: every method and every term in tables, made from their files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import search_spaces
from trainers.method_api.registry import COMBINATIONS, MethodSpace, all_names, all_terms, read_space

BEGINNING = """# Methods

Made by `make methods` from the files in [search_spaces](search_spaces); a test holds it to them.
{counts}

Every method is tuned over the shared hyperparameters (learning rate, weight decay), one multiplier
on the weights of all its terms at their published ratios, and at most one hyperparameter of its
own; `--space full` frees the others. `sweeper methods NAME` says where each value was read.
"""
LEGEND = """
* *own*: hyperparameters of its own with a range; the one in the primary space is named.
* *needs*: beside the teacher's logits. The second optimiser is a critic's, or a transform's of the
  teacher; a preparation is trained once per teacher.
* *baseline*: whether its space contains the baseline: with small weights it trains as that does.
* \\* unverified: no public code has confirmed its numbers; the reason stands below.
"""
MEASURED = """
*gradient_ratio*: gradient of its terms at published weights over that of the task loss, at the
student's head features; *cost*: time of a training step over the baseline's, teacher included.
{about}
"""


def markdown() -> Iterator[str]:
    """Yield the page, a paragraph or table at a time."""
    spaces = [read_space(name) for name in all_names()]
    measured = search_spaces.measured()
    yield BEGINNING.format(counts=_counts(spaces))
    yield "\n## The methods\n\n"
    yield _table(*_methods(spaces, measured))
    yield LEGEND
    if measured:
        yield MEASURED.format(about=measured["about"])
    yield "\n## The terms\n\n"
    yield _table(("term", "published", "in", "source"), (_term(name) for name in all_terms()))
    yield from _remarks("What could not be verified", {s.name: s.unverified for s in spaces})
    yield from _remarks("Departures", {s.name: s.note for s in spaces})


def _counts(spaces: Sequence[MethodSpace]) -> str:
    papers = {space.paper for space in spaces if space.terms and space.name not in COMBINATIONS}
    return (
        f"There are {len(spaces)} methods with {len(all_terms())} terms and weightings, from "
        f"{len(papers)} publications."
    )


def _methods(
    spaces: Iterable[MethodSpace], measured: Mapping[str, Any]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    heads = ("method", "terms", "own", "needs", "baseline", "publication")
    rows = [_method(space) for space in spaces]
    if not measured:
        return heads, rows
    figures = [measured["methods"].get(row[0].strip("`*\\"), {}) for row in rows]
    more = [(_figure(f, "gradient_ratio"), _figure(f, "cost")) for f in figures]
    return (*heads, "gradient_ratio", "cost"), [
        (*row, *two) for row, two in zip(rows, more, strict=True)
    ]


def _figure(figures: Mapping[str, float], name: str) -> str:
    return f"{figures[name]:.3g}" if name in figures else ""


def _method(space: MethodSpace) -> tuple[str, ...]:
    terms = [*space.terms, *([f"({space.weighting})"] if space.weighting else [])]
    own = f"{len(space.own)}" + (f" ({space.primary})" if space.primary else "")
    return (
        f"`{space.name}`" + ("\\*" if space.unverified else ""),
        ", ".join(terms),
        own,
        ", ".join(space.needs),
        "yes" if space.contains_baseline else "no",
        f"{space.paper.partition('; with the terms')[0]}. {space.venue}, {space.year}",
    )


def _term(name: str) -> tuple[str, ...]:
    home = read_space(f"term:{name}")
    users = [each for each in all_names() if name in (*_terms(each), read_space(each).weighting)]
    weight = home.published.get(name)
    published = "weights the task loss" if weight is None else f"{weight:g}"
    return f"`{name}`", published, ", ".join(users), home.sources.get(name, "")


def _terms(name: str) -> tuple[str, ...]:
    return read_space(name).terms


def _remarks(title: str, remarks: Mapping[str, str]) -> Iterator[str]:
    yield f"\n## {title}\n\n"
    for name, remark in remarks.items():
        if remark and name not in COMBINATIONS:
            yield f"* `{name}`: {remark}\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)
