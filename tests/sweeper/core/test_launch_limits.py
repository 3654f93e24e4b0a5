"""What a deadline may look like, and when a limit is reached."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sweeper.core.errors import ConfigError
from sweeper.core.launch_limits import NO_LIMITS, Limits, parse_limits

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90min", timedelta(minutes=90)),
        ("8h", timedelta(hours=8)),
        ("1d12h", timedelta(hours=36)),
        ("1.5h", timedelta(minutes=90)),
        ("45s", timedelta(seconds=45)),
    ],
)
def test_a_length_is_counted_from_now(text: str, length: timedelta) -> None:
    assert parse_limits(None, text, NOW).deadline == NOW + length


def test_a_time_has_the_local_zone_unless_it_names_one() -> None:
    local = datetime(2027, 1, 1, 8, 0).astimezone()
    assert parse_limits(None, "2027-01-01T08:00", NOW).deadline == local
    named = parse_limits(None, "2027-01-01T08:00+05:00", NOW).deadline
    assert named == datetime(2027, 1, 1, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("text", ["soon", "", "8", "h", "12h1d", "2026-13-01", "9" * 20 + "d"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError, match="2026-11-21T08:00.* 90min, 8h or 1d12h"):
        parse_limits(None, text, NOW)


@pytest.mark.parametrize("text", ["2026-11-20T11:59Z", "2020-01-01", "0h"])
def test_a_deadline_that_is_past_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is not in the future"):
        parse_limits(None, text, NOW)


@pytest.mark.parametrize("hours", [0.0, -1.0, float("nan")])
def test_device_hours_must_be_more_than_none(hours: float) -> None:
    with pytest.raises(ConfigError, match="a number above 0"):
        parse_limits(hours, None, NOW)


def test_a_limit_is_reached_when_it_is_met() -> None:
    limits = Limits(device_hours=2.0, deadline=NOW)
    before = NOW - timedelta(seconds=1)
    assert limits.reached(7199.0, before) is None
    used, late = limits.reached(7200.0, before), limits.reached(0.0, NOW)
    assert used is not None
    assert used.why == "2 device-hours are used, --max-device-hours is 2"
    assert late is not None
    assert late.why.startswith("--deadline is reached")
    assert NO_LIMITS.reached(1e9, NOW) is None
