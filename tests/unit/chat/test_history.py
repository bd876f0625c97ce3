"""What was known on an earlier day, and how it moved since: `HISTORY` of the eight customers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chat.answer import explain
from chat.plan import NotCovered, Plan, Population, compose, from_json
from chat.published import opened
from chat.registry import describe
from lakehouse.settings import Settings

Say = Callable[..., dict[str, Any]]

# Today is 2026-11-23, a Monday; the history begins on 2026-09-01.
FIGURES = [
    ("What was the average credit score as of 2026-10-31?", [["663.666667"]]),
    ("average credit score as of October 19, 2026", [["662.666667"]]),
    ("average credit score last month", [["663.666667"]]),
    ("average credit score at the end of October", [["663.666667"]]),
    ("average credit score as of today", [["688.50"]]),
    # The last business day is no "today": news of a state may have landed since.
    ("average credit score as of 2026-11-23", [["688.00"]]),
    ("average credit score on November 23", [["688.00"]]),
    ("average credit score in November", [["688.50"]]),
    ("how did scores move after 2026-11-21", [["688.00", "688.50", "0.50"]]),
    ("how did scores move since 2026-11-23", [["688.00", "688.50", "0.50"]]),
    ("how did scores move this month", [["663.666667", "688.50", "24.833333"]]),
    (
        "how did scores move between 2026-10-20 and 2026-10-31",
        [["663.666667", "663.666667", "0.00"]],
    ),
    ("average credit score as of 2026-11-24", [["688.50"]]),
    ("average credit score this month", [["688.50"]]),
    ("What was customer 1's credit score on 2026-10-25?", [["706.00"]]),
    ("average credit score in Calgary as of 2026-10-19", [["750.50"]]),
    ("average credit score in Calgary as of 2026-10-20", [["801.00"]]),
    ("total loans as of 2026-10-31", [["384800.75"]]),
    ("how many loans were there as of 2026-10-31", [[6]]),
    ("average loan as of 2026-10-31", [["64133.458333"]]),
    ("delinquencies as of 2026-10-31", [[4]]),
    ("How did scores move since last month?", [["663.666667", "688.50", "24.833333"]]),
    (
        "how did the average credit score change since 2026-10-31",
        [["663.666667", "688.50", "24.833333"]],
    ),
    ("how did scores change last month", [["662.666667", "663.666667", "1.00"]]),
    ("average credit score compared to last month", [["663.666667", "688.50", "24.833333"]]),
    ("how did customer 1's score move since October 25", [["706.00", "712.00", "6.00"]]),
    ("how has the loan total grown since last month", [["384800.75", "399000.75", "14200.00"]]),
    (
        "how did scores move by province since 2026-10-19",
        [
            ["Alberta", "750.50", "801.00", "50.50"],
            ["Nova Scotia", "590.00", "590.00", "0.00"],
            ["Ontario", "730.00", "695.00", "-35.00"],
            ["Quebec", "577.50", "655.00", "77.50"],
        ],
    ),
]


@pytest.mark.parametrize(("question", "rows"), FIGURES)
def test_a_state_is_told_as_of_a_day_and_compared(say: Say, question: str, rows: Any) -> None:
    answer = say(question)
    assert answer["status"] == "answered", answer["answer"]
    assert answer["rows"] == rows, answer["answer"]


REFUSED = {
    "average credit score as of 2026-08-31": "the history begins on 2026-09-01",
    "average credit score as of 2026-11-25": "isn't known yet",
    "how did scores move since 2025": "the history begins on 2026-09-01",
    "how many customers were there as of 2026-10-31": "who leaves is forgotten",
    "which customers had a loan as of 2026-10-31": "who leaves is forgotten",
    "how did withdrawals change since last month": "",
    "how did the total withdrawals change since last month": "can't be compared",
    "which city's score moved most since last month": "",
    "total loans by loan type as of 2026-10-31": "isn't known by loan type",
}


@pytest.mark.parametrize("question", REFUSED)
def test_what_no_history_tells_is_refused(say: Say, question: str) -> None:
    answer = say(question)
    assert answer["status"] in ("refused", "needs_clarification"), answer["answer"]
    assert REFUSED[question] in answer["answer"]
    assert answer["rows"] == []


def test_since_when_is_asked_back(say: Say) -> None:
    answer = say("how did the average credit score change?")
    assert answer["status"] == "needs_clarification"
    assert "The history begins on 2026-09-01" in answer["answer"]


def test_the_answer_names_both_days_and_whom_it_covers(say: Say) -> None:
    answer = say("How did scores move since last month?")
    assert answer["reading"] == "change of average credit score, from 2026-10-31 to now"
    assert "663.67 points before, 688.50 points after, up 24.83 points." in answer["answer"]
    assert "those who are customers now" in answer["answer"]
    assert answer["plan"] == {"metric": "average_credit_score", "since": "2026-10-31"}
    assert [column["name"] for column in answer["columns"]] == [
        "average_credit_score_before",
        "average_credit_score",
        "change",
    ]


def test_whose_record_was_quarantined_then_is_said(say: Say) -> None:
    assert (
        "2 customers aren't counted: the bureau's records were refused."
        in (say("total loans as of 2026-10-31")["answer"])
    )
    assert (
        "1 customer isn't counted: the bureau's record was refused."
        in (say("What is the total loan amount?")["answer"])
    )


def test_a_quarantined_record_is_unknown_on_its_day_and_never_zero(say: Say) -> None:
    lowest = say("which customer had the lowest loan total as of 2026-10-31", customers=[1, 2])
    assert lowest["rows"] == [[1, "Wendy Zhao · #1", "270000.50"]]
    moved = say("how did the loan total of customer 2 change since 2026-10-31")
    assert moved["rows"] == [[None, "15000.00", None]]
    assert "no change to tell" in moved["answer"]
    by_customer = say("total loans by customer as of 2026-10-31", customers=[1, 2])
    assert by_customer["rows"][1] == [2, "Omar Haddad · #2", None]
    total = say("how did the loan total change since 2026-10-31")
    assert (
        "On 2026-10-31, 2 customers weren't counted: the bureau's records were refused."
        in total["answer"]
    )


def test_what_is_known_as_of_the_versions_day_is_what_is_known_now(bank: Settings) -> None:
    version = opened(bank.home)
    everyone, past = Population(everyone=True), version.registry.past
    assert past is not None
    for name in past.metrics:
        now, as_of = (
            version.rows(compose(plan, everyone, version.registry, version.renderer))[1]
            for plan in (Plan(metric=name), Plan(metric=name, as_of=past.through))
        )
        assert now == as_of, name


def test_a_follow_up_stays_at_its_day(say: Say) -> None:
    earlier = ["average credit score as of 2026-10-19"]
    assert say("and in Calgary?", history=earlier)["rows"] == [["750.50"]]
    assert say("and as of 2026-10-20?", history=["average score in Calgary as of 2026-10-19"])[
        "rows"
    ] == [["801.00"]]
    assert say("and now?", history=earlier)["rows"] == [["688.50"]]
    change = ["How did scores move since last month?"]
    assert say("and in Toronto?", history=change)["rows"] == [["706.00", "676.00", "-30.00"]]


def test_the_dashboards_filter_and_the_entitlement_narrow_the_past_too(say: Say) -> None:
    assert say("average credit score as of 2026-10-31", customers=[1, 2])["rows"] == [["706.00"]]
    assert say("average credit score as of 2026-10-31", user="nobody")["status"] == "refused"
    refused = say("total loans as of 2026-10-31", loan_types=["car"])
    assert refused["status"] == "refused"
    assert "loans of all types together" in refused["answer"]
    refused = say(
        "average credit score of customers with at least 2 loans as of 2026-10-31",
        loan_types=["car"],
    )
    assert "loans of all types together" in refused["answer"]
    answer = say("average credit score as of 2026-10-31", cities=["Toronto"])
    assert "what is known of them now" in answer["answer"]


@pytest.mark.parametrize(
    "plan",
    [
        {"metric": "deposit_total", "as_of": "2026-10-31"},
        {"metric": "customer_count", "as_of": "2026-10-31"},
        {"metric": "average_credit_score", "as_of": "2026-08-31"},
        {"metric": "average_credit_score", "since": "2026-10-31", "as_of": "2026-10-31"},
        {"metric": "loan_total", "since": "2026-10-31", "show": "share", "group_by": ["city"]},
        {"metric": "loan_total", "since": "2026-10-31", "rank": "highest", "group_by": ["city"]},
        {"metric": "loan_total", "as_of": "2026-10-31", "from": "2026-10-01"},
        {
            "metric": "loan_total",
            "as_of": "2026-10-31",
            "conditions": [{"metric": "withdrawal_total", "op": ">", "value": 1}],
        },
    ],
)
def test_a_plan_of_the_past_is_validated(bank: Settings, plan: dict[str, Any]) -> None:
    with pytest.raises(NotCovered):
        from_json(plan, opened(bank.home).registry)


def test_rankings_shares_and_conditions_hold_as_of_a_day(bank: Settings, say: Say) -> None:
    highest = say("Which city had the highest average credit score as of 2026-10-19?")
    assert highest["rows"] == [["Calgary", "750.50"]]
    several = say("average credit score of customers with at least 2 loans as of 2026-10-31")
    assert several["rows"] == [["706.00"]]


def test_an_earlier_figure_is_explained_by_the_rows_of_its_day(bank: Settings) -> None:
    found = explain(bank, "average credit score in Toronto as of 2026-10-31", user="analyst")
    assert found["mart"].endswith("fct_credit_history")
    assert {row[0] for row in found["mart_rows"]["rows"]} == {1, 2}
    assert {row[3] for row in found["mart_rows"]["rows"]} == {"2026-09-01", "2026-10-20"}


def test_the_metrics_say_from_when_on_they_are_known(bank: Settings) -> None:
    begins = {
        metric["name"]: metric["history_from"]
        for metric in describe(opened(bank.home).registry)["metrics"]
    }
    assert begins["average_credit_score"] == begins["loan_total"] == "2026-09-01"
    assert begins["customer_count"] is None
    assert begins["deposit_total"] is None
