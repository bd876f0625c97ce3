"""Global options stand anywhere; values print as the contract says."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from discover.commands.batch import parse_interval, plain
from discover.context import take_global_options
from lakehouse.errors import UsageError


def test_global_options_are_taken_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVER_HOME", "")
    monkeypatch.setenv("DISCOVER_PROFILE", "")
    arguments = ["sql", "SELECT 1", "--home", "/tmp/a", "--json", "--profile=local"]
    assert take_global_options(arguments) == ["sql", "SELECT 1", "--json"]


def test_what_follows_two_dashes_belongs_to_dbt() -> None:
    assert take_global_options(["build", "--", "--profile", "x"]) == [
        "build",
        "--",
        "--profile",
        "x",
    ]


def test_decimals_print_as_exact_strings() -> None:
    row = [Decimal("1234567890123456.70"), date(2026, 1, 2), None, True, 3, [Decimal("0.10")]]
    assert [plain(value) for value in row] == [
        "1234567890123456.70",
        "2026-01-02",
        None,
        True,
        3,
        ["0.10"],
    ]


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("6h", 6), ("1d", 24)])
def test_intervals(text: str, hours: float) -> None:
    assert parse_interval(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "1", "d", "0d", "-1d", "1w", "1.5h"])
def test_an_unreadable_interval_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_interval(text)
