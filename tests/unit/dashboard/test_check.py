"""The comparison of Superset, mart and chat notices what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

import dashboard.check
from dashboard.check import check
from dashboard.figures import Rows, charts, mart_rows
from dashboard.guest import GuestTokens
from dashboard.load import Loaded, fingerprint, read_assets
from dashboard.scopes import CheckedScope, scopes
from lakehouse.business_calendar import Days
from lakehouse.duck import connect_published
from lakehouse.settings import Settings
from lakehouse.versions import Versions

QUESTIONS = {chart.question: chart for chart in charts()}


@pytest.fixture
def superset(bank: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Rows]:
    """What Superset would give: the marts' figures, which a test may then change."""
    names = read_assets("charts")
    datasets = read_assets("datasets/*")
    loaded = Loaded(
        superset=bank.superset_url,
        embedded="e",
        dashboard=1,
        datasets=dict.fromkeys(datasets, 1),
        charts=dict.fromkeys(names, 1),
        assets=fingerprint(bank),
    )
    given = figures(bank)
    monkeypatch.setattr(dashboard.check, "ensure_loaded", lambda settings: loaded)
    monkeypatch.setattr(GuestTokens, "mint", lambda self, user, now: "token")
    monkeypatch.setattr(
        dashboard.check, "superset_rows", lambda guest, now, chart, scope: given[chart.key]
    )
    return given


def figures(bank: Settings) -> dict[str, Rows]:
    versions = Versions(bank.home)
    file = versions.marts_file(versions.require_current().run_id)
    with connect_published(file) as marts:
        return {chart.key: mart_rows(marts, chart, "analyst") for chart in charts()}


def chat_of(bank: Settings) -> Any:
    true = figures(bank)

    def ask(question: str, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        rows = true[QUESTIONS[question].key]
        listed = [[*key, None if value is None else str(value)] for key, value in rows.items()]
        return {"status": "answered", "rows": listed}

    return ask


def differing(report: dict[str, Any]) -> list[str]:
    return [chart["chart"] for chart in report["charts"] if not chart["equal"]]


def test_all_three_agree(bank: Settings, superset: dict[str, Rows]) -> None:
    report = check(bank, chat_of(bank), quick=True)
    assert differing(report) == []
    lent = next(chart for chart in report["charts"] if chart["chart"] == "Amount lent")
    assert lent == {
        "scope": "everything",
        "tab": "Loans",
        "chart": "Amount lent",
        "superset": "330000.05",
        "mart": "330000.05",
        "chat": "330000.05",
        "equal": True,
    }
    json.dumps(report)


def test_a_cent_of_difference_in_superset_shows(bank: Settings, superset: dict[str, Rows]) -> None:
    superset["amount_lent"] = {(): Decimal("330000.06")}
    assert differing(check(bank, chat_of(bank), quick=True)) == ["Amount lent"]


def test_a_missing_group_in_superset_shows(bank: Settings, superset: dict[str, Rows]) -> None:
    superset["customers_by_credit_band"].popitem()
    assert differing(check(bank, chat_of(bank), quick=True)) == ["Customers by credit band"]


def test_a_wrong_or_refused_answer_of_the_chat_shows(
    bank: Settings, superset: dict[str, Rows]
) -> None:
    true = chat_of(bank)

    def ask(question: str, scope: Mapping[str, Any]) -> Mapping[str, Any]:
        if question == "How many loans are there?":
            return {"status": "refused", "rows": []}
        if question == "How many complaints are there?":
            return {"status": "answered", "rows": [["3"]]}
        answer: Mapping[str, Any] = true(question, scope)
        return answer

    assert differing(check(bank, ask, quick=True)) == ["Loans", "Complaints"]


def test_a_filter_that_one_side_ignores_shows(bank: Settings, superset: dict[str, Rows]) -> None:
    # Superset and the chat answer as without filters.
    report = check(bank, chat_of(bank))
    different = {
        (chart["scope"], chart["chart"]) for chart in report["charts"] if not chart["equal"]
    }
    assert {
        ("city", "Customers"),
        ("last week", "Transactions"),
        ("loan type", "Loans"),
    } <= different
    assert ("city", "Complaints") not in different
    assert ("loan type", "Customers") not in different
    assert not any(scope == "everything" for scope, _ in different)


def test_at_least_ten_scopes_come_from_the_data(bank: Settings) -> None:
    versions = Versions(bank.home)
    manifest = versions.require_current()
    with connect_published(versions.marts_file(manifest.run_id)) as marts:
        found = {one.name: one for one in scopes(marts, "analyst", manifest.last_business_day)}
        few = scopes(marts, "third", manifest.last_business_day)
    assert len(found) >= 10
    assert found["city"].chosen == {"city": ["Calgary"]}
    assert found["No score"].chosen == {"credit_band": ["No score"]}
    assert found["no customer"].chosen == {"customer": ["Cy Chen · #3"], "city": ["Calgary"]}
    # A user is offered no customer whom they may not see.
    assert {label for one in few for label in one.chosen.get("customer", ())} == {"Cy Chen · #3"}


def test_a_filter_reaches_the_query_of_the_tabs_that_it_narrows() -> None:
    scope = CheckedScope("s", {"customer": ["a · #1"], "loan_type": ["car"]}, "Last week")
    extra = {chart.key: scope.extra_form_data(chart) for chart in charts()}
    customer = {"col": "customer_label", "op": "IN", "val": ["a · #1"]}
    loan_type = {"col": "loan_type", "op": "IN", "val": ["car"]}
    assert extra["customers"] == {"filters": [customer]}
    assert extra["loans"] == {"filters": [customer, loan_type]}
    assert extra["transactions"] == {"filters": [customer], "time_range": "Last week"}
    assert extra["complaints"] == {"time_range": "Last week"}
    days = Days(date(2026, 10, 19), None)
    assert scope.of_the_chat(days) == {
        "customers": [1],
        "loan_types": ["car"],
        "from": "2026-10-19",
    }
