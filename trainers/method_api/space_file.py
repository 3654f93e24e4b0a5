"""A method's TOML file, read and checked without torch, and the values of its trials."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictStr, ValidationError, model_validator

from search_spaces import shared_file
from trainers.errors import MethodError, near_miss
from trainers.tasks.schema import Frozen, Range, Schedule

MULTIPLIER = "multiplier"
Need = Literal["features", "auxiliary head", "preparation", "second optimiser", "memory bank"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = Annotated[int, Field(strict=True)] | Number | StrictStr
Hyperparameters = Mapping[str, float | int | str]  # by name, as a trial or a method has them


class Publication(Frozen):
    """The setting a method's weights were published for; conversions are arithmetic from it."""

    images_per_gpu: int | None = Field(default=None, ge=1)
    channels: int | None = Field(default=None, ge=1)  # of the features compared
    classes: int | None = Field(default=None, ge=2)
    map: tuple[int, int] | None = None  # height, width of the logits or features


class MethodSpace(Frozen):
    """A method's published values, their sources, and the ranges of its own dimensions."""

    name: str
    paper: str
    venue: str
    year: int
    terms: tuple[str, ...] = ()
    weighting: str | None = None  # name of what weights the task loss, where the method does
    primary: str | None = None  # the one own hyperparameter in the primary space
    contains_baseline: bool  # can it act as the baseline does, somewhere in its space
    published: dict[str, Value] = {}  # weights of terms under the terms' names, and the rest
    sources: dict[str, str] = {}  # where each published value was read
    of: dict[str, str] = {}  # hyperparameter -> the term, or the weighting, that it belongs to
    needs: tuple[Need, ...] = ()  # beside a teacher's logits
    unverified: str = ""  # why no public code could confirm the numbers
    note: str = ""  # what a reader should know: departures from paper or released code
    publication: Publication | None = None
    own: dict[str, Range] = {}  # in the file's order, which is the order of the Sobol columns
    beyond: dict[str, str] = {}  # why a published value lies outside its range

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *_reserved_names(self.published),
            *self._faults_of_terms(),
            *self._faults_of_owners(),
            *self._faults_of_primary(),
            *self._faults_of_ranges(),
            *_unmatched("sources", self.sources, self.published),
            *(f"published.{n} has no source" for n in self.published if n not in self.sources),
        ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _faults_of_terms(self) -> list[str]:
        faults = [
            f"term {term!r} needs a published weight > 0, got {self.published.get(term)!r}"
            for term in self.terms
            if not _is_positive(self.published.get(term))
        ]
        if len(set(self.terms)) != len(self.terms):
            faults.append(f"terms must differ, got {list(self.terms)}")
        if bool(self.terms) != (self.publication is not None):
            faults.append("[publication] must be there exactly when there are terms")
        return faults

    def _faults_of_owners(self) -> list[str]:
        owners = [*self.terms, *([self.weighting] if self.weighting else [])]
        faults = [
            f"[of] {name} = {owner!r} is no term nor the weighting{near_miss(owner, owners)}"
            for name, owner in self.of.items()
            if owner not in owners
        ]
        wanted = [name for name in self.published if name not in self.terms]
        faults += [
            f"[of] must say what {name} belongs to" for name in wanted if name not in self.of
        ]
        return [*faults, *_unmatched("of", self.of, dict.fromkeys(wanted))]

    def _faults_of_primary(self) -> list[str]:
        if self.primary is None:
            return []
        if self.primary not in self.own:
            return [f"primary {self.primary!r} needs a range{near_miss(self.primary, self.own)}"]
        if self.primary in self.terms:
            return [f"primary must be no weight (the multiplier is), got {self.primary!r}"]
        first = next(iter(self.own))
        return [] if first == self.primary else [f"[{self.primary}] must stand before [{first}]"]

    def _faults_of_ranges(self) -> list[str]:
        faults = [
            f"published {name} = {self.published.get(name)!r} must lie in "
            f"[{range_.low}, {range_.high}], or [beyond] say why not"
            for name, range_ in self.own.items()
            if name not in self.beyond and not _is_inside(self.published.get(name), range_)
        ]
        return [*faults, *_unmatched("beyond", self.beyond, self.own)]


def parse_space(file: Path) -> MethodSpace:
    """Return the space in that TOML file, named after it; MethodError lists every fault."""
    try:
        return _parse(file, file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MethodError(f"{file}: not valid TOML: {error}") from error


@lru_cache(maxsize=256)  # a near miss reads the files of all methods
def _parse(file: Path, text: str) -> MethodSpace:
    raw = tomllib.loads(text)
    fields, unknown = _arranged(raw)
    faults = [f"{key}: unknown key{near_miss(key, _known_keys(raw))}" for key in unknown]
    try:
        space = MethodSpace.model_validate({"name": file.stem, **fields})
    except ValidationError as error:
        faults += [_fault(details) for details in error.errors()]
    if faults:
        raise MethodError(f"{file}: {'; '.join(faults)}")
    return space


def values_of(
    space: MethodSpace, params: Mapping[str, float | int | str]
) -> dict[str, float | int | str]:
    """Return a value for every published name: `params` laid over, weights times the multiplier.

    Shared dimensions (learning rate, weight decay) are accepted and left to the schedule.
    MethodError lists every name that is unknown and every value that is not of its kind.
    """
    elsewhere = {MULTIPLIER: 1.0, **dict.fromkeys(_shared_names(), 1.0)}
    faults = [_fault_of_param(*item, {**elsewhere, **space.published}) for item in params.items()]
    if any(faults):
        raise MethodError(f"method {space.name}: {'; '.join(fault for fault in faults if fault)}")
    values = {key: params.get(key, value) for key, value in space.published.items()}
    multiplier = float(params.get(MULTIPLIER, 1.0))
    return {**values, **{term: multiplier * float(values[term]) for term in space.terms}}


def _arranged(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the fields of a MethodSpace that a file gives, and the keys that are none."""
    named = MethodSpace.model_fields.keys() - {"name", "own"}
    published = raw.get("published")
    ranges = published.keys() - named if isinstance(published, dict) else set()
    fields = {key: value for key, value in raw.items() if key in named}
    fields["own"] = {key: value for key, value in raw.items() if key in ranges}
    return fields, [key for key in raw if key not in named and key not in ranges]


def _known_keys(raw: Mapping[str, Any]) -> list[str]:
    published = raw.get("published")
    names = list(published) if isinstance(published, dict) else []
    return [*(MethodSpace.model_fields.keys() - {"name", "own"}), *names]


def _reserved_names(published: Mapping[str, object]) -> list[str]:
    reserved = MethodSpace.model_fields.keys() | Schedule.model_fields.keys()
    return [f"published.{name}: the name is reserved" for name in published if name in reserved]


def _shared_names() -> list[str]:
    return list(tomllib.loads(shared_file().read_text(encoding="utf-8")))


def _unmatched(table: str, names: Mapping[str, str], known: Mapping[str, object]) -> list[str]:
    return [
        f"{table}.{n}: nothing has that name{near_miss(n, known)}" for n in names - known.keys()
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_inside(value: Any, range_: Range) -> bool:
    return _is_number(value) and range_.low <= value <= range_.high


def _fault_of_param(key: str, value: float | int | str, known: Mapping[str, object]) -> str | None:
    if key not in known:
        return f"no hyperparameter {key!r}{near_miss(key, known)}"
    if isinstance(known[key], str) != isinstance(value, str):
        return f"{key} must be of the kind of {known[key]!r}, got {value!r}"
    if isinstance(value, str):
        return None
    if not _is_number(value):
        return f"{key} must be a finite number, got {value!r}"
    if key == MULTIPLIER and value < 0:
        return f"{key} must be at least 0, got {value!r}"
    return None


def _fault(details: Any) -> str:
    where = ".".join(str(part) for part in details["loc"])
    message = str(details["msg"]).removeprefix("Value error, ")
    if details["type"] == "extra_forbidden":
        section = Range if details["loc"][0] == "own" else Publication
        return f"{where}: unknown key{near_miss(str(details['loc'][-1]), section.model_fields)}"
    if not where or details["type"] == "missing":
        return f"{where}: {message}".removeprefix(": ")
    return f"{where}: {message}, got {details['input']!r}"
