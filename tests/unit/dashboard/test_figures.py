"""The second opinion on every chart, and what counts as agreement."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pytest

from dashboard.check import chat_rows
from dashboard.figures import agree, charts, keyed, mart_rows, same
from lakehouse.business_calendar import Days

BY_KEY = {chart.key: chart for chart in charts()}


def figures(marts: duckdb.DuckDBPyConnection, key: str, user: str = "analyst") -> dict[str, str]:
    rows = mart_rows(marts, BY_KEY[key], user)
    return {" ".join(group): str(figure) for group, figure in rows.items()}


def test_single_figures_by_hand(marts: duckdb.DuckDBPyConnection) -> None:
    assert figures(marts, "customers") == {"": "3"}
    assert figures(marts, "average_credit_score") == {"": "750.5"}
    assert figures(marts, "amount_lent") == {"": "330000.05"}
    assert figures(marts, "borrowers") == {"": "2"}
    assert figures(marts, "credit_not_counted") == {"": "1"}
    assert figures(marts, "loans_not_counted", "calgary") == {"": "0"}
    assert figures(marts, "net_flow") == {"": "44.50"}


def test_groups_by_hand(marts: duckdb.DuckDBPyConnection) -> None:
    assert figures(marts, "customers_by_credit_band") == {
        "660–724 Good": "1",
        "760–900 Excellent": "1",
        "No score": "1",
    }
    assert figures(marts, "loans_by_credit_band_and_type") == {
        "660–724 Good car": "1",
        "660–724 Good house": "1",
        "760–900 Excellent car": "1",
    }
    assert figures(marts, "transactions_by_hour_and_weekday") == {"9 6": "2", "23 7": "2"}
    # Customer 99 is not known to core banking: counted, in no city.
    assert figures(marts, "transactions_by_city") == {"Calgary": "2", "Toronto": "1", "—": "1"}


def test_a_user_sees_granted_customers_and_anonymous_complaints(
    marts: duckdb.DuckDBPyConnection,
) -> None:
    assert figures(marts, "customers", "calgary") == {"": "2"}
    assert figures(marts, "transactions", "third") == {"": "1"}
    assert figures(marts, "complaints", "third") == {"": "2"}


def test_a_user_without_a_grant_sees_nothing(marts: duckdb.DuckDBPyConnection) -> None:
    for key in ("customers", "loans", "transactions", "complaints"):
        assert figures(marts, key, "stranger") == {"": "0"}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("404.10", "404.1", True),
        ("404.10", "404.11", False),
        ("692.0895140664961", "692.09", True),
        ("692.0895140664961", "692.08", False),
        ("36435208.520000003", "36435208.52", True),
        ("400", "401", False),
        (None, "0", False),
        (None, "1", False),
        (None, None, True),
    ],
)
def test_figures_are_the_same_as_far_as_both_are_written_out(
    one: str | None, other: str | None, equal: bool
) -> None:
    def figure(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    assert same(figure(one), figure(other)) is equal
    assert same(figure(other), figure(one)) is equal


def test_one_wrong_group_is_a_difference() -> None:
    rows = keyed([["Calgary", 2], ["Toronto", 1]])
    assert agree(rows, keyed([["Toronto", 1], ["Calgary", 2]]))
    assert not agree(rows, keyed([["Calgary", 2], ["Toronto", 2]]))
    assert not agree(rows, keyed([["Calgary", 2]]))


def test_a_limited_chart_must_show_the_greatest_groups() -> None:
    everything = keyed([["a", 5], ["b", 3], ["c", 3], ["d", 1]])
    assert agree(keyed([["a", 5], ["c", 3]]), everything, limit=2)
    assert not agree(keyed([["a", 5], ["d", 1]]), everything, limit=2)
    assert not agree(keyed([["a", 5]]), everything, limit=2)


def test_a_refused_question_has_no_figures() -> None:
    assert chat_rows({"status": "refused", "rows": []}) is None
    assert chat_rows({"status": "answered", "rows": [["7"]]}) == {(): Decimal(7)}


@pytest.mark.parametrize(
    ("chart", "chosen", "days", "figure"),
    [
        ("customers", {"credit_band": ["No score"]}, (None, None), "1"),
        # Customer 99 has no band: core banking doesn't know them.
        ("transactions", {"credit_band": ["No score"]}, (None, None), "1"),
        ("transactions", {"city": ["Calgary"]}, (None, None), "2"),
        ("transactions", {}, ("2026-11-01", "2026-11-01"), "2"),
        ("transactions", {"loan_type": ["car"]}, (None, None), "4"),
        ("loans", {"loan_type": ["car"]}, (None, None), "2"),
        ("borrowers", {"loan_type": ["house"], "customer": ["Ana Roy · #1"]}, (None, None), "1"),
        ("customers", {"loan_type": ["house"]}, ("2030-01-01", None), "3"),
        ("complaints", {"city": ["Calgary"]}, ("2026-10-31", None), "1"),
    ],
)
def test_each_filter_narrows_its_figures_and_no_others(
    marts: duckdb.DuckDBPyConnection,
    chart: str,
    chosen: dict[str, list[str]],
    days: tuple[str | None, str | None],
    figure: str,
) -> None:
    first, last = (date.fromisoformat(day) if day else None for day in days)
    rows = mart_rows(marts, BY_KEY[chart], "analyst", chosen, Days(first, last))
    assert str(rows[()]) == figure
