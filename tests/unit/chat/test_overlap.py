"""A question within the dashboard's filters: what is in both is answered, an empty rest is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Say = Callable[..., dict[str, Any]]

NOVEMBER = {"from_": "2026-11-01", "to": "2026-11-22"}

APART = [
    (NOVEMBER, "How many withdrawals in October?", "no day is in both"),
    (NOVEMBER, "how many complaints in october", "no day is in both"),
    (NOVEMBER, "Which customers made at least one deposit in October?", "no day is in both"),
    (
        {"from_": "2026-11-23", "to": "2026-11-23"},
        "how many withdrawals last week",
        "no day is in both",
    ),
    ({"cities": ["Calgary"]}, "How many customers are in Toronto?", "nothing is in both"),
    ({"cities": ["CALGARY"]}, "total loans in Toronto", "nothing is in both"),
    ({"cities": ["Calgary"]}, "How many customers are not in Calgary?", "nothing is in both"),
    ({"cities": ["Calgary"]}, "How many customers are in Ontario?", "leave out all"),
    ({"cities": ["Calgary"]}, "total loans of Wendy Zhao", "leave out all"),
    ({"customers": [3]}, "total loans of customer 1", "nothing is in both"),
    ({"customers": [3]}, "How many withdrawals in Toronto?", "leave out all"),
    (
        {"credit_bands": ["Fair"]},
        "How many customers have an excellent credit score?",
        "nothing is in both",
    ),
    (
        {"credit_bands": ["No score"]},
        "How many customers have a good credit score?",
        "nothing is in both",
    ),
    ({"credit_bands": ["Good"]}, "total loans of Victor Hamilton", "leave out all"),
    ({"loan_types": ["car"]}, "How many house loans are there?", "nothing is in both"),
    ({"loan_types": ["car"]}, "Which customers have a student loan?", "nothing is in both"),
]


@pytest.mark.parametrize(("scope", "question", "why"), APART)
def test_an_empty_overlap_is_said_and_never_zero(
    say: Say, scope: dict[str, Any], question: str, why: str
) -> None:
    answer = say(question, **scope)
    assert (answer["status"], answer["rows"]) == ("refused", []), answer["answer"]
    assert why in answer["answer"]
    assert "ask without" in answer["answer"]
    assert "0.00" not in answer["answer"]


TOGETHER = [
    # Days of both are counted, and said.
    (NOVEMBER, "How many withdrawals since October 31?", [[2]], "2026-11-01 to 2026-11-22"),
    (NOVEMBER, "how many complaints in november", [[2]], "2026-11-01 to 2026-11-22"),
    (
        {"cities": ["Toronto"]},
        "How many customers are in Toronto or Calgary?",
        [[2]],
        "city Toronto:",
    ),
    ({"loan_types": ["car", "house"]}, "How many car loans are there?", [[2]], "car"),
    ({"customers": [1, 3]}, "total loans of customers 1 and 2", [["270000.50"]], "Wendy Zhao"),
]


@pytest.mark.parametrize(("scope", "question", "rows", "said"), TOGETHER)
def test_the_overlap_is_answered_and_restated(
    say: Say, scope: dict[str, Any], question: str, rows: list[Any], said: str
) -> None:
    answer = say(question, **scope)
    assert (answer["status"], answer["rows"]) == ("answered", rows), answer["answer"]
    assert said in answer["answer"].split(" Narrowed")[0]


NARROWED = [
    # The filter on loan types: loans and who holds them, nothing else.
    ({"loan_types": ["car"]}, "How many loans are there?", [[2]], True),
    ({"loan_types": ["car"]}, "total loan amount", [["35000.50"]], True),
    ({"loan_types": ["car"]}, "How many borrowers are there?", [[2]], True),
    ({"loan_types": ["car"]}, "How many customers have at least one loan?", [[2]], True),
    ({"loan_types": ["house"]}, "How many customers have no loans?", [[6]], True),
    ({"loan_types": ["car"]}, "How many customers are there?", [[8]], False),
    ({"loan_types": ["car"]}, "average credit score", [["688.50"]], False),
    ({"loan_types": ["car"]}, "How many withdrawals were there?", [[6]], False),
    ({"loan_types": ["car"]}, "How many complaints are there?", [[4]], False),
    # The filter on days: what has a day, in conditions too.
    (NOVEMBER, "How many customers made at least one withdrawal?", [[1]], True),
    (NOVEMBER, "How many complaints are there?", [[2]], True),
    (NOVEMBER, "How many loans are there?", [[6]], False),
    # Customers without a score.
    ({"credit_bands": ["No score"]}, "How many customers are there?", [[2]], True),
    ({"credit_bands": ["no score"]}, "How many withdrawals were there?", [[0]], True),
    ({"credit_bands": ["No score", "Good"]}, "How many customers are there?", [[3]], True),
    ({"credit_bands": ["No score"]}, "How many customers have no score?", [[2]], True),
]


@pytest.mark.parametrize(
    ("band", "question"),
    [
        ("Good", "How many customers have a score below 600?"),
        ("No score", "How many customers have a score above 300?"),
        ("No score", "What is the total loan amount of customers with a score above 300?"),
    ],
)
def test_scores_outside_of_the_filters_bands_have_no_figure(
    say: Say, band: str, question: str
) -> None:
    answer = say(question, credit_bands=[band])
    assert answer["rows"] == []
    assert "nobody is in both, so there is no figure" in answer["answer"]
    assert say(question)["status"] == "answered"


def test_complaints_say_nothing_of_the_customers_in_scope(say: Say) -> None:
    answer = say("How many complaints are there?", customers=[1])
    assert "you may see" not in answer["answer"]


@pytest.mark.parametrize(("scope", "question", "rows", "narrows"), NARROWED)
def test_a_filter_narrows_its_own_figures_and_says_so_of_others(
    say: Say, scope: dict[str, Any], question: str, rows: list[Any], narrows: bool
) -> None:
    answer = say(question, **scope)
    assert (answer["status"], answer["rows"]) == ("answered", rows), answer["answer"]
    assert ("Narrowed by the dashboard's filters" in answer["answer"]) is narrows
    assert ("doesn't narrow it" in answer["answer"] or "so it doesn't" in answer["answer"]) is not (
        narrows
    )


def test_no_score_is_a_band_of_customers_and_none_of_strangers(say: Say) -> None:
    bands = say("How many withdrawals are there by credit band?")["rows"]
    # Customer 99 is in no core banking, so in no band either.
    assert [None, 1] in bands
    assert "No score" not in [band for band, _ in bands]
    people = say("How many customers are in each credit band?")["rows"]
    assert ["No score", 2] in people
    top = say("Which credit band has the fewest customers?")["rows"]
    assert "No score" not in [row[0] for row in top]


def test_filters_that_leave_nobody_say_so_beside_the_zero(say: Say) -> None:
    answer = say("How many customers are there?", customers=[1], cities=["Calgary"])
    assert answer["rows"] == [[0]]
    assert "The dashboard's filters together leave no customer." in answer["answer"]


def test_days_after_the_data_have_no_figure_yet(say: Say) -> None:
    for scope, question in (
        ({}, "How many withdrawals in 2027?"),
        ({"from_": "2026-12-01"}, "How many withdrawals were there?"),
    ):
        answer = say(question, **scope)
        assert answer["status"] == "refused"
        assert "The data ends on 2026-11-23" in answer["answer"]
    answer = say("How many withdrawals in 2026?")
    assert answer["rows"] == [[6]]
    assert "The data ends on 2026-11-23." in answer["answer"]
