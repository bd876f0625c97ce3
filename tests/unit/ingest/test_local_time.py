"""Clock changes, against Python's own conversion of every quarter of an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ingest.local_time import clock_changes, offset_on

at = datetime.fromisoformat


def test_toronto_changes_twice_a_year() -> None:
    spring, autumn = clock_changes("America/Toronto", [2026])[2:4]
    assert (spring.starts, spring.ends) == (at("2026-03-08 02:00"), at("2026-03-08 03:00"))
    assert spring.skips
    assert (autumn.starts, autumn.ends) == (at("2026-11-01 01:00"), at("2026-11-01 02:00"))
    assert (autumn.before, autumn.after) == (-4 * 3600, -5 * 3600)
    assert not autumn.skips


@pytest.mark.parametrize(
    "zone", ["America/Toronto", "America/St_Johns", "Australia/Lord_Howe", "UTC", "Asia/Kolkata"]
)
def test_offsets_are_those_of_the_zone_database(zone: str) -> None:
    changes = clock_changes(zone, [2026])
    moment = at("2026-01-01 00:00")
    while moment < at("2027-01-01 00:00"):
        skipped = any(c.starts <= moment < c.ends for c in changes if c.skips)
        aware = moment.replace(tzinfo=ZoneInfo(zone))
        back = aware.astimezone(ZoneInfo("UTC")).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert skipped == (back != moment)
        if not skipped:
            offset = next((c.before for c in changes if moment < c.ends), None)
            if offset is None:
                offset = changes[-1].after if changes else offset_on(zone, moment)
            assert timedelta(seconds=offset) == aware.utcoffset()
        moment += timedelta(minutes=15)
