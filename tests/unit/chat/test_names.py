"""Customers and cities are found by the rule of the marts, whatever the spelling of a question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chat.answer import ask
from chat.plan import Scope
from lakehouse.settings import Settings, load
from lakehouse.text import key_sql
from lakehouse.users import add_user
from tests.unit.conftest import publish_bank

# id, name, city
PEOPLE = [
    (1, "Sammy Davis Jr.", "Toronto"),
    (2, "J. R. Hart", "Toronto"),
    (3, "Siobhán O’Neil", "Montreal"),
    (4, "Maria de la Cruz", "St. John's"),
    (5, "Jean-Luc Picard", "Trois-Rivières"),
    (6, "Toronto City", "Toronto City"),
    (7, "Agent 47", "Toronto"),
    (8, "Zoé St. Pierre", "Toronto"),
    (9, "Loan Nguyễn", "Toronto"),
    (10, "Zoe St Pierre-Roy", "Toronto"),
    (11, None, None),
    (12, "Ann Ray", None),
]
Say = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, semantic_manifest: Path) -> Path:
    """A bank of awkward names: each customer has one loan, of a thousand times the id."""
    home = tmp_path_factory.mktemp("names")

    def change(connection: duckdb.DuckDBPyConnection) -> None:
        for table in ("fct_customers", "fct_loans", "fct_atm_transactions", "fct_credit_history"):
            connection.execute(f"DELETE FROM {table}")
        for number, name, city in PEOPLE:
            connection.execute(
                "INSERT INTO fct_customers BY NAME SELECT ? AS customer_id, ? AS customer_name,"
                " coalesce(customer_name || ' · ', '') || '#' || customer_id AS customer_label,"
                " ? AS city, 'present' AS credit_record_status, 1 AS loan_count,"
                " 0 AS atm_transaction_count",
                [number, name, city],
            )
            connection.execute(
                "INSERT INTO fct_loans VALUES (?, 1, 'car', ?)", [number, number * 1000]
            )
        connection.execute(
            f"CREATE OR REPLACE TABLE dim_customers AS SELECT *, {key_sql('customer_name')}"
            " AS customer_name_key FROM fct_customers"
        )

    publish_bank(home, semantic_manifest, change)
    add_user(home, "analyst", "all")
    return home


@pytest.fixture
def names(home: Path) -> Say:
    settings: Settings = load(home, "local")

    def asked(question: str, user: str = "analyst", **scope: Any) -> dict[str, Any]:
        return ask(settings, question, user=user, scope=Scope.model_validate(scope))

    return asked


FOUND = {
    "loan total of Sammy Davis Jr.": 1,
    "What is the loan total of Sammy Davis Jr?": 1,
    "SAMMY DAVIS JR.'s loan total": 1,
    "loan total of J. R. Hart.": 2,
    "loan total of J R Hart": 2,
    "loan total of Siobhan O'Neil": 3,
    "loan total of siobhán o’neil": 3,
    "loan total of Maria de la Cruz": 4,
    "loan total of de la Cruz": 4,
    "Jean-Luc Picard’s loan total": 5,
    "Toronto City's loan total": 6,
    "loan total of customer Toronto City": 6,
    "loan total of Agent 47": 7,
    "loan total of Zoe St. Pierre": 8,
    "loan total of Zoé St Pierre": 8,
    "loan total of Zoé St Pierre-Roy": 10,
    "loan total of Loan Nguyen": 9,
    "What is customer 12's loan total?": 12,
    "What is customer 12’s loan total?": 12,
    "What is customer #12's loan total?": 12,
    "loan total of customers 12's": 12,
    "loan total of client no. 12": 12,
    "loan total of customer 11": 11,
}


@pytest.mark.parametrize("question", FOUND)
def test_one_customer_is_found(names: Say, question: str) -> None:
    answer = names(question)
    assert answer["rows"] == [[f"{FOUND[question] * 1000}.00"]], answer["answer"]
    assert f"#{FOUND[question]}" in answer["reading"]


@pytest.mark.parametrize(
    "question",
    [
        "loan total of Sammy Davis Sr.",
        "loan total of Ann Ray Jr.",
        "loan total of Ann Ray-Smith",
        "loan total of Ann Hart",
        "loan total of Jean Luc Picard",
        "Show customer 12 loans",
        "customer 12 deposits last month",
        "Ann Ray's loans",
        "customers 12 loans",
        "loan total of customer 12.5",
    ],
)
def test_what_is_not_clear_gives_no_figure(names: Say, question: str) -> None:
    answer = names(question)
    assert (answer["status"] in ("refused", "needs_clarification"), answer["rows"]) == (True, [])


def test_a_number_of_loans_is_not_a_customer(names: Say) -> None:
    assert names("How many customers with 12 loans?")["rows"] == [[0]]
    assert names("How many customers with 1 loan?")["rows"] == [[12]]


CITIES = {
    "How many customers are in TORONTO?": 6,
    "How many customers are in Toronto City?": 1,
    "How many customers are in Montréal?": 1,
    "How many customers are in St. John's?": 1,
    "How many customers are in St. John’s?": 1,
    "How many customers are in St Johns?": 1,
    "How many customers are in Trois Rivieres?": 1,
    "How many of Toronto's customers have a loan?": 6,
}


@pytest.mark.parametrize("question", CITIES)
def test_a_city_is_found(names: Say, question: str) -> None:
    answer = names(question)
    assert answer["rows"] == [[CITIES[question]]], answer["answer"]


@pytest.mark.parametrize("city", ["St. John", "St John", "Saint John's"])
def test_another_city_is_not_taken_for_one_that_is_there(names: Say, city: str) -> None:
    assert names(f"How many customers are in {city}?")["rows"] == []


def test_two_cities_that_differ_by_punctuation_are_two(home: Path, names: Say) -> None:
    from chat.phrases import _cities_as_spelled

    john, johns = (("VALUE", ("city", (name,))) for name in ("St. John", "St. John's"))
    for text, meant in (
        ("in st. john's and st. john", [johns, john]),
        ("in st. john and st. john's", [john, johns]),
        ("in st johns", [johns]),
        ("st. john's score", [johns]),
    ):
        at, found = 0, []
        for _ in meant:
            (city,), at = _cities_as_spelled([john, johns], text, at)
            found.append(city)
        assert found == meant, text
    assert _cities_as_spelled([john], "st. john's score", 0)[0] == [john]
    assert _cities_as_spelled([john], "customers in st. john's", 0)[0] == []


def test_a_filter_means_the_city_in_any_spelling(names: Say) -> None:
    answer = names("How many customers?", cities=["  MONTRÉAL", "st. john’s"])
    assert answer["rows"] == [[2]]
    assert answer["scope"]["cities"] == ["Montreal", "St. John's"]


def test_a_filter_on_a_city_that_nobody_lives_in_is_named(names: Say) -> None:
    answer = names("How many customers?", cities=["Atlantis"])
    assert (answer["status"], answer["rows"]) == ("refused", [])
    assert "no customer in city Atlantis" in answer["answer"]
    answer = names("How many customers?", cities=["Atlantis", "montreal"])
    assert answer["rows"] == [[1]]
    assert "no customer in city Atlantis" in answer["answer"]
    assert "no loan of type boat" in names("total loans", loan_types=["boat"])["answer"]


def test_a_grant_means_the_city_in_any_spelling(home: Path, names: Say) -> None:
    add_user(home, "east", "city: MONTRÉAL")
    assert names("How many customers?", user="east")["rows"] == [[1]]


def test_a_customer_without_name_or_city_counts_and_is_in_no_city(names: Say) -> None:
    assert names("How many customers?")["rows"] == [[12]]
    assert [None, 2] in names("How many customers by city?")["rows"]
