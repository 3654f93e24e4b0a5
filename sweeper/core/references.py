"""What a person names on the command line: a sweep, one of its studies, or a trial."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sweeper.core.errors import SweeperError
from sweeper.core.names import study_name, trial_name

PATTERN = re.compile(
    r"(?P<sweep>[A-Za-z0-9._-]{1,64}(?::[a-z][a-z0-9.-]*)?)"
    r"(?:/(?P<method>[A-Za-z0-9._+-]+)(?:@(?P<repeat>[1-9]\d{0,8}))?(?:#(?P<number>\d{1,9}))?)?"
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A sweep; with a method one of its studies; with a number one of that study's trials."""

    sweep: str
    method: str | None = None
    repeat: int = 1
    number: int | None = None

    def __str__(self) -> str:
        if self.method is None:
            return self.sweep
        if self.number is None:
            return study_name(self.sweep, self.method, self.repeat)
        return trial_name(self.sweep, self.method, self.repeat, self.number)


def parse_target(text: str) -> Target:
    """Return what `text` names; SweeperError where it is not of the form."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise SweeperError(
            f"{text!r} is no name of a sweep, method or trial: write SWEEP, SWEEP/METHOD or"
            " SWEEP/METHOD#N (for the second search SWEEP/METHOD@2#N)"
        )
    number = match["number"]
    return Target(
        sweep=match["sweep"],
        method=match["method"],
        repeat=int(match["repeat"] or 1),
        number=None if number is None else int(number),
    )
