"""Refused records that name nobody: whose credit isn't known is never counted as nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chat.answer import ask
from chat.plan import Scope
from lakehouse.settings import load
from tests.unit.conftest import publish_bank

Say = Callable[..., dict[str, Any]]

ONE = "1 customer isn't counted: the bureau's record was refused."
TWO = "2 customers aren't counted: refused records that name nobody may be theirs."


@pytest.fixture(scope="module")
def unsure_home(tmp_path_factory: pytest.TempPathFactory, semantic_manifest: Path) -> Path:
    """The bank of the other tests. 6's record was refused; 7 and 8 have none, or a refused one."""
    home = tmp_path_factory.mktemp("unsure")
    unknown = (
        "credit_record_status = 'unknown', credit_score = NULL, credit_band = NULL,"
        " delinquencies = NULL, loan_count = NULL, loan_total = NULL WHERE customer_id IN (7, 8)"
    )

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        for table in ("fct_customers", "dim_customers"):
            connection.execute(f"UPDATE {table} SET {unknown}")
        connection.execute(f"UPDATE fct_credit_history SET {unknown} AND valid_to_date IS NULL")
        connection.execute("DELETE FROM fct_loans WHERE customer_id = 8")

    publish_bank(home, semantic_manifest, change)
    return home


@pytest.fixture
def say(unsure_home: Path) -> Say:
    def asked(question: str, **scope: Any) -> dict[str, Any]:
        narrowed = Scope.model_validate(scope)
        return ask(load(unsure_home, "local"), question, user="analyst", scope=narrowed)

    return asked


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("How many customers have no loans?", [[1]]),
        ("How many customers have a loan?", [[4]]),
        ("How many borrowers are there?", [[4]]),
        ("What is the total loan amount?", [["299000.75"]]),
        ("What is the average credit score?", [["679.60"]]),
        ("How many delinquencies are there?", [[3]]),
        ("How many customers have no delinquencies?", [[3]]),
        ("How many customers have a score above 700?", [[2]]),
        ("How many customers are in the Good band?", [[1]]),
        ("customers without loans", [[3, "Ana Silva · #3", 0]]),
        # Customer 99, whom core banking doesn't know, withdrew 80.00.
        ("total withdrawals of customers with no loans", [["0.00"]]),
    ],
)
def test_a_figure_says_how_many_customers_it_does_not_count(
    say: Say, question: str, rows: list[list[Any]]
) -> None:
    answer = say(question)
    assert answer["rows"] == rows
    assert ONE in answer["answer"]
    assert TWO in answer["answer"]


def test_the_fewest_loans_are_not_those_of_unknown_customers(say: Say) -> None:
    answer = say("Which 8 customers have the fewest loans?")
    assert {6, 7, 8}.isdisjoint(row[0] for row in answer["rows"])
    assert TWO in answer["answer"]


@pytest.mark.parametrize(
    "question",
    [
        "What is the loan total of customer 8?",
        "How many loans does customer 8 have?",
        "How many delinquencies does customer 8 have?",
        "What is the credit score of customer 8?",
        "what share of loans is customer 8's",
    ],
)
def test_of_one_customer_there_is_no_figure(say: Say, question: str) -> None:
    answer = say(question)
    assert answer["rows"] == [[None]]
    assert "no figure" in answer["answer"]
    assert (
        "1 customer's credit isn't known: a refused record that names nobody may be theirs."
        in answer["answer"]
    )


def test_a_profile_shows_no_zero_for_what_is_unknown(say: Say) -> None:
    answer = say("profile of customer 8")
    assert answer["rows"][0][2:5] == [None, None, None]
    assert "loans no figure" in answer["answer"]
    assert "1 customer's credit isn't known" in answer["answer"]


def test_a_group_without_a_band_says_whose_credit_is_unknown(say: Say) -> None:
    answer = say("customers by credit band")
    assert answer["rows"][-1] == ["No score", 3]
    assert "2 customers' credit isn't known" in answer["answer"]


@pytest.mark.parametrize(
    ("question", "bands"),
    [
        ("How many customers have no score?", []),
        ("Which customers have no score?", []),
        ("How many customers are not in the Good band?", []),
        ("How many customers are there?", ["No score"]),
        ("total deposits", ["No score"]),
    ],
)
def test_who_has_no_score_includes_unknown_credit(
    say: Say, question: str, bands: list[str]
) -> None:
    answer = say(question, credit_bands=bands or None)
    assert "2 customers' credit isn't known" in answer["answer"]
    assert "counted" not in answer["answer"]


def test_delinquencies_of_nobody_with_a_record_are_no_figure(say: Say) -> None:
    answer = say("How many delinquencies are there?", credit_bands=["No score"])
    assert answer["rows"] == [[None]]
    assert "no figure" in answer["answer"]
    assert say("What is the total loan amount?", customers=[3])["rows"] == [["0.00"]]


def test_a_share_of_everyone_says_whose_credit_is_unknown(say: Say) -> None:
    answer = say("What percentage of customers have no loans?")
    assert answer["rows"] == [["12.50"]]
    assert "2 customers' credit isn't known" in answer["answer"]


def test_the_dashboards_filters_narrow_who_is_not_counted(say: Say) -> None:
    hamilton = say("What is the total loan amount?", cities=["Hamilton"])
    assert hamilton["rows"] == [[None]]
    toronto = say("What is the total loan amount?", cities=["Toronto"])
    assert "counted" not in toronto["answer"]
    two = say("What is the total loan amount?", customers=[1, 7])
    assert "1 customer isn't counted: a refused record" in two["answer"]


def test_unknown_credit_may_hold_any_loan(say: Say) -> None:
    """The dashboard's filter on loan types narrows the loans, not those who may have some."""
    cars = say("What is the total loan amount?", loan_types=["car"])
    assert cars["rows"] == [["35000.50"]]
    assert TWO in cars["answer"]
    tile = say("How many credit records are not counted?", loan_types=["car"])
    assert tile["rows"] == [[3]]
    band = say("How many credit records are not counted?", credit_bands=["Good"])
    assert band["rows"] == [[0]]


def test_the_metric_counts_both_kinds(say: Say) -> None:
    assert say("How many credit records are not counted?")["rows"] == [[3]]
    assert say("credit records not counted as of 2026-10-31")["rows"] == [[2]]
    answer = say("How many customers have an unknown record?")
    assert answer["rows"] == [[2]]
    assert TWO not in answer["answer"]


def test_what_does_not_touch_credit_says_nothing_of_it(say: Say) -> None:
    for question in ("How many customers are there?", "total deposits", "customers by city"):
        assert "refused" not in say(question)["answer"]


def test_an_earlier_day_says_who_was_not_counted_then(say: Say) -> None:
    answer = say("How did scores move since 2026-10-31?")
    assert "On 2026-10-31, 2 customers weren't counted" in answer["answer"]
    assert TWO in answer["answer"]
