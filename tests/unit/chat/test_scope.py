"""Scope = entitlement ∩ filter: a filter narrows and is named, only entitlement refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.answer import read_scope
from lakehouse.errors import UsageError
from lakehouse.users import add_user

Say = Callable[..., dict[str, Any]]


@pytest.fixture
def users(bank_home: Path) -> Iterator[None]:
    add_user(bank_home, "calgary", "city:Calgary")
    add_user(bank_home, "few", "1,2")
    add_user(bank_home, "nowhere", "city:Atlantis")
    add_user(bank_home, "analyst", "all")
    yield
    (bank_home / "users.json").unlink()


@pytest.mark.parametrize("user", [None, "", "stranger", "nowhere"])
def test_nobody_sees_nothing(say: Say, users: None, user: str | None) -> None:
    for question in ("How many customers do we have?", "How many complaints are there?"):
        answer = say(question, user=user)
        assert (answer["status"], answer["rows"]) == ("refused", [])
        assert (answer["scope"]["customers"], answer["scope"]["customer_count"]) == ([], 0)


def test_a_user_sees_their_customers_only(say: Say, users: None) -> None:
    assert say("How many customers do we have?", user="calgary")["rows"] == [[2]]
    answer = say("total loans", user="few")
    assert answer["rows"] == [["285000.50"]]
    assert answer["scope"]["customers"] == [1, 2]
    assert "the 2 customers you may see" in answer["answer"]
    # Transactions of people unknown to core banking belong to nobody's group.
    assert say("How many transactions were there?", user="few")["rows"] == [[5]]


@pytest.mark.parametrize("question", ["total loans of customer 8", "loan total of customer 999"])
def test_a_customer_outside_looks_like_one_who_does_not_exist(
    say: Say, users: None, question: str
) -> None:
    answer = say(question, user="few")
    assert answer["status"] == "refused"
    assert "among those you may see" in answer["answer"]
    assert "Victor" not in str(answer)


def test_a_name_outside_is_not_known(say: Say, users: None) -> None:
    answer = say("total loans of Victor Hamilton", user="few")
    assert answer["status"] == "refused"
    assert answer["citations"][1:] == []
    # Two people have the name; one asks about the one whom they may see.
    assert say("how many customers are named Liam Roy", user="few")["status"] == "refused"
    assert say("How many withdrawals has Liam Roy made?", user="calgary")["rows"] == [[0]]


def test_history_does_not_lead_out_of_the_entitlement(say: Say, users: None) -> None:
    plan = {"metric": "loan_total", "filters": [{"field": "customer", "values": [8]}]}
    answer = say("and the average?", user="few", history=[{"question": "x", "plan": plan}])
    assert answer["status"] == "refused"


SCOPED = [
    ({"customers": [1, 3]}, "How many customers are there?", [[2]]),
    ({"customers": [1, 3]}, "total loan amount", [["270000.50"]]),
    ({"cities": ["toronto"]}, "average credit score", [["676.00"]]),
    ({"credit_bands": ["Fair"]}, "How many loans are there?", [[3]]),
    ({"credit_bands": ["560–659 Fair"]}, "How many customers are there?", [[3]]),
    ({"loan_types": ["car"]}, "total loan amount", [["35000.50"]]),
    ({"from_": "2026-11-01", "to": "2026-11-22"}, "how many withdrawals", [[2]]),
    ({"customers": [1, 3], "cities": ["Calgary"]}, "How many customers are there?", [[1]]),
    ({"customers": []}, "How many customers are there?", [[0]]),
]


@pytest.mark.parametrize(("scope", "question", "rows"), SCOPED)
def test_a_filter_narrows_and_is_named(
    say: Say, scope: dict[str, Any], question: str, rows: list[Any]
) -> None:
    answer = say(question, **scope)
    assert (answer["status"], answer["rows"]) == ("answered", rows), answer["answer"]
    assert "Narrowed by the dashboard's filters to" in answer["answer"]
    assert "ask without" in answer["answer"]


def test_a_filter_that_leaves_out_the_customer_says_so(say: Say) -> None:
    answer = say("total loans of customers 1 and 3", customers=[3])
    assert "The dashboard's filter leaves out customer #1." in answer["answer"]


def test_complaints_are_the_banks_whatever_the_customers(say: Say, users: None) -> None:
    for answer in (
        say("How many complaints are there?", customers=[1]),
        say("How many complaints are there?", user="few"),
    ):
        assert answer["rows"] == [[4]]
        assert "Complaints are anonymous" in answer["answer"]


def test_a_refusal_restates_the_scope(say: Say) -> None:
    answer = say("What is the median loan?", cities=["Toronto"])
    assert answer["status"] == "refused"
    assert answer["scope"]["cities"] == ["Toronto"]
    assert answer["scope"]["customer_count"] == 2
    assert "cities Toronto" in answer["answer"]


def test_days_do_not_narrow_what_has_no_date_and_the_answer_says_so(say: Say) -> None:
    answer = say("total loan amount", from_="2026-11-01")
    assert answer["rows"] == [["399000.75"]]
    assert "carries no date" in answer["answer"]


@pytest.mark.parametrize(
    "raw",
    [
        {"customer": [1]},
        {"customers": ["1 OR 1=1"]},
        {"from": "yesterday"},
        {"from": "2026-11-02", "to": "2026-11-01"},
        [],
    ],
)
def test_a_scope_that_is_off_is_wrong_usage(raw: Any) -> None:
    with pytest.raises(UsageError):
        read_scope(raw)


def test_a_filter_on_customers_outside_the_entitlement_opens_nothing(say: Say, users: None) -> None:
    answer = say("How many customers are there?", user="few", customers=[1, 8])
    assert (answer["rows"], answer["scope"]["customers"]) == ([[1]], [1])
    answer = say("How many customers are there?", user="few", customers=[8])
    assert (answer["rows"], answer["scope"]["customers"]) == ([], [])
    assert "no customer #8 that you may see" in answer["answer"]
    # Without the right to see them, they are refused as customers who don't exist.
    answer = say("total loans of customer 8", user="few", customers=[8])
    assert answer["status"] == "refused"
    assert "that you may see" in answer["answer"]
    assert "Victor" not in str(answer)
