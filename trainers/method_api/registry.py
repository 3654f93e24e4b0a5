"""The registry of methods: a method is a pair of files, a combination `A+B`, or one `term:NAME`.

It reads names, spaces and code hashes, and imports neither torch nor any method: that does
`trainers.method_api.loading`.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainers.errors import MethodError, near_miss
from trainers.method_api.code_hash import file_hash
from trainers.method_api.derived import (
    COMBINATIONS,
    JOINT,
    TERM,
    all_parts,
    combined_space,
    origin_of,
    term_space,
)
from trainers.method_api.sources import Pair, pairs
from trainers.method_api.space_file import MethodSpace, parse_space, values_of

__all__ = [
    "COMBINATIONS",
    "MethodSpace",
    "all_names",
    "all_terms",
    "code_hash",
    "combined_spaces",
    "method_names",
    "origin_of_part",
    "pair_of",
    "parse_space",
    "read_space",
    "resolve",
]


def method_names() -> list[str]:
    """Return the names of all methods that have files, in alphabetical order."""
    return list(pairs())


def all_names() -> list[str]:
    """Return the names of all methods that a comparison holds: with files, then combinations."""
    names = method_names()
    return [*names, *(name for name in COMBINATIONS if set(name.split(JOINT)) <= set(names))]


def all_terms() -> list[str]:
    """Return the names of all terms and weightings, in alphabetical order."""
    return sorted(all_parts(_spaces()))


def read_space(name: str) -> MethodSpace:
    """Return the space of that method; MethodError names the file and lists every fault."""
    if name.startswith(TERM):
        part = name.removeprefix(TERM)
        return term_space(part, origin_of_part(part))
    if JOINT in name:
        return combined_space(*combined_spaces(name))
    return parse_space(pair_of(name).space)


def resolve(name: str, params: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    """Return a value for every published name of that method; see `values_of`."""
    return values_of(read_space(name), params)


def code_hash(name: str) -> str:
    """Return the hash of all code that the method consists of; MethodError where it has none."""
    if name.startswith(TERM):
        return code_hash(origin_of_part(name.removeprefix(TERM)).name)
    if JOINT in name:
        return "".join(code_hash(space.name)[:32] for space in combined_spaces(name))
    return file_hash(pair_of(name).code)


def pair_of(name: str) -> Pair:
    """Return the files of that method; MethodError names the closest one where there is none."""
    known = pairs()
    if name not in known:
        terms = [f"{TERM}{part}" for part in all_parts(_spaces())]
        miss = f"; did you mean '{TERM}{name}'?" if f"{TERM}{name}" in terms else ""
        raise MethodError(f"no method {name!r}{miss or near_miss(name, [*known, *COMBINATIONS])}")
    return known[name]


def _spaces() -> list[MethodSpace]:
    return [parse_space(pair.space) for pair in pairs().values()]


def origin_of_part(part: str) -> MethodSpace:
    """Return the space of the method that a term or weighting is from; MethodError: of none."""
    return origin_of(part, _spaces())


def combined_spaces(name: str) -> tuple[MethodSpace, MethodSpace]:
    """Return the spaces of a combination's two methods; MethodError where it names not two."""
    parts = name.split(JOINT)
    if len(parts) != 2:
        raise MethodError(f"method {name!r}: a combination is WEIGHTING+METHOD, of two methods")
    return read_space(parts[0]), read_space(parts[1])
