"""What is said of a method in two words."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What a comparison with the control concludes."""

    BETTER = "better"
    WORSE = "worse"
    NO_GAIN = "no gain above delta"
    UNDECIDED = "undecided"


def judge(direction: float, largest_gain: float, delta: float) -> Verdict:
    """Return the verdict from a significant difference's sign, else from the largest gain.

    `direction` is above 0 for a significant gain, below 0 for a significant loss, and 0 where
    nothing is significant. Significance comes first: a significant loss stays `worse` though
    a gain above delta is excluded as well, and a significant gain is `better` even where its upper
    limit is under delta (better, but by less than delta).
    """
    if direction > 0:
        return Verdict.BETTER
    if direction < 0:
        return Verdict.WORSE
    return Verdict.NO_GAIN if largest_gain < delta else Verdict.UNDECIDED
