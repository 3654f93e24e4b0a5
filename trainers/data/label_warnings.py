"""Warnings about labels that can be read but look wrong: shown at launch, not refused.

The evidence is gathered file by file as labels are decoded, and weighed over train and selection
together. The report is decoded long after a launch, in the workers, so it gives no warnings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Colours = Sequence[tuple[int, int, int]]

# Of void on CamVid: it touches 0.97 of the classes beside it, and 0.23 of its pixels lie at an
# edge, 2.4 times the median of the classes. The class nearest to that, building, has 0.84 and 0.5.
TOUCHED = 0.9
EDGES = 1.5
FEW_LABELS = 5  # under which the pattern of a class is chance
FEW_OTHERS = 3  # numbers beside 0, under which touching them all means nothing
UNUSED = 1e-4  # of all pixels: specks, not a class


@dataclass(frozen=True, kw_only=True)
class LabelFacts:
    """What one label file shows."""

    file: Path
    pixels: Mapping[int, int]  # of each number as stored, before any resizing
    present: frozenset[int]  # the classes left at the size trained on
    edges: Mapping[int, int]  # pixels of each class, void among them, that touch another
    others: int  # how many numbers there are beside class 0
    touched: int  # how many of those class 0 touches
    palette: bytes = b""  # red, green, blue of each number; empty without a palette

    def colour(self, number: int) -> bytes:
        """Return the palette's colour of a number, nothing where it has none."""
        return self.palette[3 * number : 3 * number + 3]


def count_numbers(numbers: NDArray[Any]) -> dict[int, int]:
    """Return how often each of some whole numbers from 0 occurs in an array of any shape."""
    counts = np.bincount(numbers.ravel())
    return {int(number): int(counts[number]) for number in np.flatnonzero(counts)}


def observe(
    file: Path, pixels: Mapping[int, int], classes: Bytes, resized: Bytes, palette: bytes
) -> LabelFacts:
    """Return the facts of a label, from its pixels of each number and its classes (H, W).

    `resized` is what is left of the classes at the size trained on.
    """
    edge = np.zeros(classes.shape, dtype=bool)
    touched: set[int] = set()
    for first, second in (
        ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ):
        differ = classes[first] != classes[second]
        edge[first] |= differ
        edge[second] |= differ
        one, other = classes[first][differ], classes[second][differ]
        touched |= {*count_numbers(other[one == 0]), *count_numbers(one[other == 0])}
    edges = count_numbers(classes[edge])
    return LabelFacts(
        file=file,
        pixels=pixels,
        present=frozenset(count_numbers(resized)),
        edges=edges,
        others=len(edges.keys() - {0}),  # two of them meet somewhere, or there is but one
        touched=len(touched),
        palette=palette,
    )


def label_warnings(
    splits: Mapping[str, Sequence[LabelFacts]], class_names: Sequence[str], palette: Colours
) -> tuple[str, ...]:
    """Return what is suspicious about the labels of some splits, one line each.

    `palette` is the data set's, a colour a class. Splits without facts were not read from files,
    and are not judged.
    """
    known = {name: facts for name, facts in splits.items() if facts}
    together = [each for facts in known.values() for each in facts]
    lines: list[str | None] = [_absent(name, facts, class_names) for name, facts in known.items()]
    if together:
        lines += [_shifted(together, class_names), *_palettes(together, class_names, palette)]
    return tuple(line for line in lines if line is not None)


def _absent(split: str, facts: Sequence[LabelFacts], names: Sequence[str]) -> str | None:
    present = frozenset[int]().union(*(each.present for each in facts))
    absent = [f"{name} ({number})" for number, name in enumerate(names) if number not in present]
    if not absent:
        return None
    return f"{split}: none of its {len(facts)} labels has a pixel of {', '.join(absent)}"


def _shifted(facts: Sequence[LabelFacts], names: Sequence[str]) -> str | None:
    """Return what suggests that the classes are numbered from 1, and void is 0."""
    pixels = _sum(each.pixels for each in facts)
    wanted = f"here classes are 0 to {len(names) - 1}, and 0 is {names[0]}"
    zero, others = pixels.get(0, 0), [pixels.get(number, 0) for number in range(1, len(names))]
    rare = zero <= UNUSED * sum(pixels.values()) and 10 * zero <= min(others, default=0)
    if rare and len(others) > 1 and min(others) > 0:
        share = f"{100 * zero / sum(pixels.values()):.2g} % of the pixels"
        return (
            f"labels look numbered from 1: value 0 has {share}, and every other class has more; "
            f"{wanted}"
        )
    # Shifted by one, the last class would have the number that follows it, which may mean void.
    if max(pixels) <= len(names) and _is_void_like(facts, pixels, len(names)):
        return (
            "labels look numbered from 1, with 0 for void: 0 lies between the other classes and "
            f"touches nearly all of them, and nothing else is void; {wanted}"
        )
    return None


def _is_void_like(facts: Sequence[LabelFacts], pixels: Mapping[int, int], num_classes: int) -> bool:
    """Return whether class 0 lies as void does: in most labels, thin, beside every other class."""
    telling = [each for each in facts if 0 in each.pixels and each.others >= FEW_OTHERS]
    if len(telling) < max(FEW_LABELS, len(facts) / 2):
        return False
    touched = sum(each.touched / each.others for each in telling) / len(telling)
    edges = _sum(each.edges for each in facts)
    shares = [edges.get(k, 0) / pixels[k] for k in range(1, num_classes) if pixels.get(k)]
    usual = float(np.median(shares)) if shares else 1.0
    return touched >= TOUCHED and edges.get(0, 0) / pixels[0] >= EDGES * usual


def _palettes(facts: Sequence[LabelFacts], names: Sequence[str], palette: Colours) -> Iterator[str]:
    """Yield where the colours of palette labels suggest that their indices are no class numbers."""
    coloured = [each for each in facts if each.palette]
    disagreement = _disagreement(coloured)
    if disagreement:
        yield f"{disagreement}; the index alone is taken for the class, whatever its colour"
    known = [bytes(colour) for colour in palette]
    used = {
        (number, each.colour(number))
        for each in coloured
        for number in each.pixels
        if number < len(names)
    }
    astray = sorted((k, colour) for k, colour in used if colour in known and colour != known[k])
    # A palette of another origin may share a colour by chance, hardly all that it uses.
    if astray and len(used) > 1 and all(colour in known for _, colour in used):
        number, colour = astray[0]
        yield (
            f"palette labels give index {number} the colour of {names[known.index(colour)]}, class "
            f"{known.index(colour)}; the index alone is taken for the class: {names[number]}"
        )


def _disagreement(facts: Sequence[LabelFacts]) -> str | None:
    """Return where two files differ in what colour has which index, among those they use."""
    indices: dict[bytes, tuple[int, LabelFacts]] = {}
    colours: dict[int, LabelFacts] = {}
    for each in facts:
        for number in each.pixels:
            colour = each.colour(number)
            index, first = indices.setdefault(colour, (number, each))
            if first.colour(number) != colour:
                return (
                    f"palettes disagree: colour {_text(colour)} is index {index} in {first.file} "
                    f"and {number} in {each.file}"
                )
            other = colours.setdefault(number, each)
            if other.colour(number) != colour:
                return (
                    f"palettes disagree: index {number} is colour {_text(other.colour(number))} in "
                    f"{other.file} and {_text(colour)} in {each.file}"
                )
    return None


def _text(colour: bytes) -> str:
    return f"({', '.join(map(str, colour))})"


def _sum(counts: Iterable[Mapping[int, int]]) -> dict[int, int]:
    total: dict[int, int] = {}
    for each in counts:
        for number, count in each.items():
            total[number] = total.get(number, 0) + count
    return total
