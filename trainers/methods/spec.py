"""What a method's TOML file may say, read and checked without torch, and its trials' values."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, StrictStr, ValidationError, model_validator

from search_spaces import shared_file, space_file, space_names
from trainers.errors import MethodError, near_miss
from trainers.tasks.schema import Frozen, Range, Schedule

MULTIPLIER = "multiplier"
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Value = Annotated[int, Field(strict=True)] | Number | StrictStr


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
    primary: str | None = None  # the one own hyperparameter in the primary space
    contains_baseline: bool  # can it act as the baseline does, somewhere in its space
    published: dict[str, Value] = {}  # weights of terms under the terms' names, and the rest
    sources: dict[str, str] = {}  # where each published value was read
    publication: Publication | None = None
    multiplier: Range | None = None  # on all weights at their published ratios; logarithmic
    own: dict[str, Range] = {}  # in the file's order, which is the order of the Sobol columns
    beyond: dict[str, str] = {}  # why a published value lies outside its range

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *_reserved_names(self.published),
            *self._faults_of_terms(),
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
        for part, value in (("multiplier", self.multiplier), ("publication", self.publication)):
            if bool(self.terms) != (value is not None):
                faults.append(f"[{part}] must be there exactly when there are terms")
        return faults

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
        ranges = dict(self.own)
        if self.multiplier is not None:
            ranges[MULTIPLIER] = self.multiplier
        values = {MULTIPLIER: 1.0, **self.published}
        faults = [
            f"published {name} = {values[name]!r} must lie in [{range_.low}, {range_.high}], "
            f"or [beyond] say why not"
            for name, range_ in ranges.items()
            if name not in self.beyond and not _is_inside(values[name], range_)
        ]
        if self.multiplier is not None and not self.multiplier.log:
            faults.append("[multiplier] is always logarithmic, got log = false")
        return [*faults, *_unmatched("beyond", self.beyond, ranges)]


def read_space(name: str) -> MethodSpace:
    """Return the space of that method; MethodError names the file and lists every fault."""
    if name not in space_names():
        raise MethodError(f"no method {name!r}{near_miss(name, space_names())}")
    return parse_space(space_file(name))


def parse_space(file: Path) -> MethodSpace:
    """Return the space in that TOML file, named after it; MethodError lists every fault."""
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MethodError(f"{file}: not valid TOML: {error}") from error
    fields, unknown = _arranged(raw)
    faults = [f"{key}: unknown key{near_miss(key, _known_keys(raw))}" for key in unknown]
    try:
        space = MethodSpace.model_validate({"name": file.stem, **fields})
    except ValidationError as error:
        faults += [_fault(details) for details in error.errors()]
    if faults:
        raise MethodError(f"{file}: {'; '.join(faults)}")
    return space


def resolve(name: str, params: Mapping[str, float | int | str]) -> dict[str, float | int | str]:
    """Return a value for every published name: `params` laid over, weights times the multiplier.

    Shared dimensions (learning rate, weight decay) are accepted and left to the schedule.
    MethodError lists every name that is unknown and every value that is not of its kind.
    """
    space = read_space(name)
    elsewhere = {MULTIPLIER: 1.0, **dict.fromkeys(_shared_names(), 1.0)}
    faults = [_fault_of_param(*item, {**elsewhere, **space.published}) for item in params.items()]
    if any(faults):
        raise MethodError(f"method {name}: {'; '.join(fault for fault in faults if fault)}")
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
    if isinstance(raw.get(MULTIPLIER), dict):
        fields[MULTIPLIER] = {"log": True, **raw[MULTIPLIER]}
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
        section = Range if details["loc"][0] in ("own", MULTIPLIER) else Publication
        return f"{where}: unknown key{near_miss(str(details['loc'][-1]), section.model_fields)}"
    if not where or details["type"] == "missing":
        return f"{where}: {message}".removeprefix(": ")
    return f"{where}: {message}, got {details['input']!r}"
