"""A gate that stops a refresh says which rows, how old, and what allows it, and names nobody."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import discover.build
from discover.refresh import Report, refresh
from expectations import raw
from lakehouse.business_calendar import today
from lakehouse.versions import Versions
from tests.conftest import LAST_DAY

if TYPE_CHECKING:
    from tests.conftest import Published


def stopped(published: Published, report: Report, stage: str) -> tuple[str, dict[str, str]]:
    """What a refresh that a gate stopped said, and the pages that it left, by name."""
    assert (report.state, report.exit_code) == ("stopped", 4), report
    assert report.stages[-1].name == stage
    folder = published.settings.home / "quality" / report.run_id / stage.replace(" ", "-")
    assert str(folder / "index.html") in report.failures[0]
    return report.failures[0], {path.name: path.read_text() for path in folder.iterdir()}


def personal(published: Published) -> set[str]:
    """Every name, address and city of every customer, as delivered."""
    with (published.delivered / "core_banking" / "customers.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row[column] for row in rows for column in ("name", "email", "city")}


def nobody_stands_in(published: Published, said: str, pages: dict[str, str]) -> None:
    secrets = personal(published)
    assert len(secrets) > 100
    for text in (said, *pages.values()):
        assert [value for value in secrets if value in text] == []


def test_faults_in_the_marts_are_named_by_key_and_a_lost_month_by_its_days(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = discover.build.build
    gone: list[str] = []

    def plants(settings: Any, *, marts_file: Path, **options: Any) -> discover.build.BuildReport:
        built = build(settings, marts_file=marts_file, **options)
        with duckdb.connect(str(marts_file)) as marts:
            marts.execute("UPDATE dim_customers SET customer_name = 'Zed' WHERE customer_id = 17")
            newest = "transaction_date = (SELECT max(transaction_date) FROM fct_atm_transactions)"
            gone.extend(
                key
                for (key,) in marts.execute(
                    f"DELETE FROM fct_atm_transactions WHERE {newest} RETURNING transaction_id"
                ).fetchall()
            )
        return built

    monkeypatch.setattr(discover.build, "build", plants)
    before = Versions(published.settings.home).require_current()
    strict = published.settings.model_copy(update={"freshness_limits": {"atm": 2}})
    said, pages = stopped(published, refresh(strict, published.inputs, force=True), "check marts")
    assert Versions(published.settings.home).require_current() == before
    assert f"newest day 2026-06-19, of the published version {LAST_DAY}" in said
    assert "DISCOVER_DAYS_BACK_LIMIT=1 discover refresh" in said
    assert f"atm: newest day {LAST_DAY}, DISCOVER_FRESHNESS_LIMITS is 2" in said
    index = pages["index.html"]
    assert said.count("DISCOVER_") == 2
    assert "customers that differ from core banking" in index
    assert "1 row at fault:" in index
    assert "<tr><td>17</td></tr>" in index
    assert f"{len(gone)} rows at fault" in index
    assert f"<td>{min(gone)}</td>" in index
    nobody_stands_in(published, said, pages)
    assert "Zed" not in index


def test_faults_in_the_raw_tables_are_named_by_key_and_place(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Callable[..., Any] = raw._Raw._table
    first = "CASE WHEN customer_id = 17 THEN"
    faults = {
        "customers": [f"{first} -17 ELSE customer_id END AS customer_id"],
        "credit_profiles": [f"{first} 12345 ELSE credit_score END AS credit_score"],
    }

    def planted(self: raw._Raw, table: Any) -> Any:
        rows = read(self, table)
        changed = {fault.rpartition(" ")[2]: fault for fault in faults.get(table.name, [])}
        return rows.selectExpr(*(changed.get(name, name) for name in rows.columns))

    monkeypatch.setattr(raw._Raw, "_table", planted)
    said, pages = stopped(
        published, refresh(published.settings, published.inputs, force=True), "check raw"
    )
    index = pages["index.html"]
    assert "customer_id is positive" in index
    assert "<th>customer_id</th><th>_source_file</th><th>_source_row</th>" in index
    assert "<tr><td>-17</td><td>postgres:customers</td>" in index
    assert f"<tr><td>17</td><td>{published.inputs['credit_bureau'][0]}</td>" in index
    assert all("12345" not in page for page in pages.values())
    nobody_stands_in(published, said, pages)


def test_a_source_that_brings_nothing_new_any_more_stops_where_its_age_has_a_limit(
    published: Published,
) -> None:
    old = (today(published.settings.timezone) - LAST_DAY).days
    limited = {"freshness_limit": old, "freshness_limits": {"feedback": None}}
    fresh = published.settings.model_copy(update=limited)
    report = refresh(fresh, published.inputs)
    assert report.state == "unchanged"
    assert report.stages[-1].name == "check freshness"
    strict = published.settings.model_copy(update=limited | {"freshness_limit": old - 1})
    said, _ = stopped(published, refresh(strict, published.inputs), "check freshness")
    assert said.startswith(
        "1 expectations failed: raw_atm.transactions: days since the newest record"
        f" (found {old}; atm: newest day {LAST_DAY}, DISCOVER_FRESHNESS_LIMIT is {old - 1})"
    )
