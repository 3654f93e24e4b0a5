"""Methods without files: combinations `A+B`, and single terms `term:NAME` on top of the baseline.

A combination takes A's weighting of the task loss and all of B's terms. A single term takes one
term, or one weighting, with its own hyperparameters out of the first method that published it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from trainers.errors import MethodError, near_miss
from trainers.method_api.space_file import MethodSpace

COMBINATIONS = ("rdd+at", "rdd+cirkd", "rdd+dsd")  # published ones; any other can be named
TERM = "term:"
JOINT = "+"


def combined_space(weighting: MethodSpace, distilling: MethodSpace) -> MethodSpace:
    """Return the space of `weighting+distilling`; MethodError where they do not go together."""
    name = f"{weighting.name}{JOINT}{distilling.name}"
    if weighting.weighting is None:
        raise MethodError(f"method {name}: {weighting.name} weights no task loss; put one first")
    if distilling.weighting is not None or not distilling.terms:
        raise MethodError(f"method {name}: {distilling.name} must have terms and no weighting")
    renamed = weighting_names(weighting, distilling)
    primary = distilling.primary or renamed.get(weighting.primary or "")
    own = {**distilling.own, **_renamed(weighting.own, renamed)}
    return MethodSpace(
        name=name,
        paper=f"{weighting.paper}; with the terms of {distilling.paper}, {distilling.year}",
        venue=weighting.venue,
        year=weighting.year,
        terms=distilling.terms,
        weighting=weighting.weighting,
        primary=primary,
        needs=tuple(dict.fromkeys([*distilling.needs, *weighting.needs])),
        contains_baseline=weighting.contains_baseline and distilling.contains_baseline,
        published={**distilling.published, **_renamed(weighting.published, renamed)},
        sources={**distilling.sources, **_renamed(weighting.sources, renamed)},
        of={**distilling.of, **_renamed(weighting.of, renamed)},
        unverified="; ".join(filter(None, (distilling.unverified, weighting.unverified))),
        note=distilling.note,
        publication=distilling.publication,
        own={**({primary: own[primary]} if primary else {}), **own},
        beyond={**distilling.beyond, **_renamed(weighting.beyond, renamed)},
    )


def weighting_names(weighting: MethodSpace, distilling: MethodSpace) -> dict[str, str]:
    """Return the names of the weighting's hyperparameters, and those in the combination.

    One that the other method has as well gets the weighting method's name as a prefix.
    """
    names = [name for name in weighting.published if weighting.of.get(name) == weighting.weighting]
    return {n: f"{weighting.name}_{n}" if n in distilling.published else n for n in names}


def origin_of(part: str, spaces: Sequence[MethodSpace]) -> MethodSpace:
    """Return the method that a term or weighting is from: the earliest, then the plainest."""
    known = [space for space in spaces if part in (*space.terms, space.weighting)]
    if not known:
        raise MethodError(f"no term {part!r}{near_miss(part, all_parts(spaces))}")
    return min(known, key=lambda space: (space.year, len(space.terms), space.name))


def term_space(part: str, origin: MethodSpace) -> MethodSpace:
    """Return the space of one term, or one weighting, of a method on top of the baseline."""
    is_term = part in origin.terms
    kept = [name for name in origin.published if name == part or origin.of.get(name) == part]
    own = _only(origin.own, kept)
    primary = origin.primary if origin.primary in own else next((n for n in own if n != part), None)
    return MethodSpace(
        name=f"{TERM}{part}",
        paper=origin.paper,
        venue=origin.venue,
        year=origin.year,
        terms=(part,) if is_term else (),
        weighting=None if is_term else part,
        primary=primary,
        needs=origin.needs,
        contains_baseline=is_term,
        published=_only(origin.published, kept),
        sources=_only(origin.sources, kept),
        of=_only(origin.of, kept),
        unverified=origin.unverified,
        note=origin.note,
        publication=origin.publication if is_term else None,
        own={**({primary: own[primary]} if primary else {}), **own},
        beyond=_only(origin.beyond, kept),
    )


def all_parts(spaces: Iterable[MethodSpace]) -> set[str]:
    """Return the names of all terms and weightings of these methods."""
    return {part for space in spaces for part in (*space.terms, space.weighting) if part}


def _only(table: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: table[name] for name in table if name in set(names)}


def _renamed(table: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names[name]: value for name, value in table.items() if name in names}
