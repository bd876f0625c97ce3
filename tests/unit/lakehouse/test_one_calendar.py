"""Days are computed in one place: a scan of the source for clocks and UTC days elsewhere."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable

import pytest

from lakehouse.settings import REPOSITORY

PRODUCT = (
    *("chat", "dashboard", "dbt_project", "discover", "expectations", "ingest"),
    *("kb_export", "lakehouse", "streaming"),
)
SUFFIXES = {".py", ".sql", ".yml", ".yaml", ".js"}
CLOCKS = (
    # A day by a machine's clock, or of a moment in another zone than the bank's.
    r"\bdate\.today\(",
    r"\bdatetime\.today\(",
    r"\b(?:datetime\.now|utc_now|utcnow)\([^)]*\)+\.(?:date|replace\(h)",
    r"\butc\w*\.date\(|_utc\.date\(|_at\.date\(",
    r"\b(?:published|ingested|landed|occurred|received)_at\[:10\]",
    r"\bcurrent_(?:date|timestamp)\b",
    r"\b(?:today|getdate|curdate)\(\)",
    r"(?<![\w.])now\(\)",
    r"\bcast\(\s*\w*(?:_utc|_at)\s+as\s+date\s*\)",
    r"\w+(?:_utc|_at)\s*::\s*date\b",
    r"\bdate_trunc\(\s*'day'\s*,\s*\w*_utc\b",
    r"\bnew Date\(\)\.(?:toISOString|getDate)|\.toISOString\(\)\.slice",
    # Spans of days: the calendar's own work.
    r"timedelta\([^)]*weekday\(\)|\bmonthrange\(",
)
ALLOWED = {
    "lakehouse/business_calendar.py": "the one place",
    # The key of an index in DynamoDB, documented as UTC; no figure is made of it.
    "streaming/table.py": "complaint.occurred_at_utc.date()",
}


def findings(lines: Iterable[tuple[str, str]]) -> list[str]:
    """``file: line`` of each computation of a day that isn't the calendar's."""
    clock = re.compile("|".join(CLOCKS), re.IGNORECASE)
    return [
        f"{name}: {line.strip()}"
        for name, line in lines
        if clock.search(line)
        and ALLOWED.get(name) != "the one place"
        and ALLOWED.get(name, "\0") not in line
    ]


def source() -> Iterable[tuple[str, str]]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PRODUCT],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    for name in listed:
        path = REPOSITORY / name
        if path.suffix in SUFFIXES and "vendor" not in path.parts and path.exists():
            for line in path.read_text().splitlines():
                yield name, line


def test_no_day_is_computed_outside_the_calendar() -> None:
    assert findings(source()) == []


def test_each_exception_is_still_needed() -> None:
    used = {name for name, line in source() if ALLOWED.get(name, "\0") in line}
    assert used | {"lakehouse/business_calendar.py"} == ALLOWED.keys()


@pytest.mark.parametrize(
    "line",
    [
        "today = date.today()",
        "day = datetime.now(UTC).date()",
        "day = datetime.now(ZoneInfo(settings.timezone)).date()",
        "last = utc_now().date() - timedelta(days=1)",
        "return manifest.published_at[:10]",
        "cast(occurred_at_utc as date) as complaint_date",
        "where transaction_date = current_date",
        "where at > now() - interval 1 day",
        "occurred_at_utc::date",
        "monday = day - timedelta(days=day.weekday())",
    ],
)
def test_the_scan_sees_each_kind(line: str) -> None:
    assert findings([("chat/answer.py", line)])
    assert not findings([("lakehouse/business_calendar.py", line)])
