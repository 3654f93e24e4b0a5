"""What may end a launch before its sweep is done: device-hours, or a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sweeper.core.errors import ConfigError

LENGTH = re.compile(
    r"(?:(?P<days>\d+(?:\.\d+)?)d)?(?:(?P<hours>\d+(?:\.\d+)?)h)?"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)min)?(?:(?P<seconds>\d+(?:\.\d+)?)s)?"
)
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class End:
    """Why a driver ends before its sweep is done, and what goes on then."""

    why: str
    then: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one launch; None where there is none."""

    device_hours: float | None = None  # of the whole sweep: kept, wasted and in flight
    deadline: datetime | None = None  # with a time zone

    def reached(self, device_seconds: float, now: datetime) -> End | None:
        """Return the end where a limit is reached; None while there is room."""
        if self.deadline is not None and now >= self.deadline:
            why = f"--deadline is reached, it is {_shown(self.deadline)}"
            return End(why, "the same command with a later --deadline goes on")
        used = device_seconds / SECONDS_PER_HOUR
        if self.device_hours is not None and used >= self.device_hours:
            why = f"{used:.3g} device-hours are used, --max-device-hours is {self.device_hours:g}"
            return End(why, "the same command with a higher --max-device-hours goes on")
        return None


NO_LIMITS = Limits()


def parse_limits(device_hours: float | None, deadline: str | None, now: datetime) -> Limits:
    """Return the limits as the command line gives them; ConfigError for one that cannot be."""
    if device_hours is not None and not device_hours > 0:
        raise ConfigError(f"--max-device-hours {device_hours:g}: give a number above 0, such as 2")
    end = None if deadline is None else parse_deadline(deadline, now)
    return Limits(device_hours=device_hours, deadline=end)


def parse_deadline(text: str, now: datetime) -> datetime:
    """Return the moment that a time or a length of time means; ConfigError where it is past.

    A time without a zone is the local one; `now` has a zone.
    """
    try:
        deadline = _after(text, now) or _moment(text)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"--deadline {text!r}: give a time such as 2026-11-21T08:00 (the local time zone, "
            "unless it ends in Z or +01:00), or a length such as 90min, 8h or 1d12h"
        ) from error
    if deadline <= now:
        raise ConfigError(
            f"--deadline {text} is not in the future: it means {_shown(deadline)}, and it is "
            f"{_shown(now)}"
        )
    return deadline


def _after(text: str, now: datetime) -> datetime | None:
    match = LENGTH.fullmatch(text)
    if match is None or not text:
        return None
    return now + timedelta(**{unit: float(n) for unit, n in match.groupdict(default="0").items()})


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    # The local offset that holds then, not now: the clocks may change between.
    return moment.astimezone() if moment.tzinfo is None else moment


def _shown(moment: datetime) -> str:
    return moment.astimezone().isoformat(timespec="seconds")
