"""Phrasings and what they must say, counted by hand from the eight customers of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Say = Callable[..., dict[str, Any]]

FIGURES = [
    ("How many customers do we have?", 8),
    ("number of customers", 8),
    ("how many customers do we have in total?", 8),
    ("customer count", 8),
    ("How many customers are in Toronto?", 2),
    ("how many customers are not in Toronto", 6),
    ("How many customers live in Québec City?", 1),
    ("how many customers are there in Nova Scotia", 1),
    ("How many customers have at least one loan?", 5),
    ("How many customers have a house loan?", 1),
    ("how many customers have a student loan or a car loan", 3),
    ("how many customers have a car loan and a house loan", 1),
    ("how many customers have a credit score above 650 and live in Toronto?", 1),
    ("how many customers with a score of 700 or more", 3),
    ("how many customers have an excellent credit score", 1),
    ("how many Fair customers", 3),
    ("how many customers have a score over 700 and no delinquencies", 3),
    ("How many customers have no loans?", 2),
    ("how many customers have made a deposit", 3),
    ("How many customers have total deposits over $600?", 2),
    ("how many borrowers are there", 5),
    ("how many customers do not have a car loan", 5),
    ("how many customers have no car or house loans", 5),
    ("how many customers have a loan but no deposits", 3),
    ("how many customers do not live in Toronto or Calgary", 4),
    ("how many customers with a mortgage", 1),
    ("What is the average credit score?", "688.50"),
    ("avg score of customers in Ontario", "695.00"),
    ("average credit score excluding Toronto", "694.75"),
    ("average credit score of customers with a car loan", "676.00"),
    ("What is the total number of delinquencies?", 3),
    ("What is the total loan amount?", "399000.75"),
    ("How much do customers owe?", "399000.75"),
    ("what's the total outstanding loan balance for Toronto?", "285000.50"),
    ("total car loans", "35000.50"),
    ("total loan amount excluding mortgages", "149000.75"),
    ("How many loans are there?", 6),
    ("how many mortgages", 1),
    ("What is the average loan amount?", "66500.125"),
    ("average loan amount for house loans", "250000.00"),
    ("How many ATM transactions were there?", 9),
    ("how many ATM transactions happened on Mondays", 4),
    ("how many transactions between 2026-11-01 and 2026-11-30", 5),
    ("how many withdrawals yesterday", 1),
    ("How much was withdrawn in October?", "140.00"),
    ("total withdrawals last month", "140.00"),
    ("What is the total amount deposited?", "4000.10"),
    ("what was the total deposited on 2026-11-23", "2500.00"),
    ("sum of deposits since November 1, 2026", "3500.10"),
    ("what is the average withdrawal on weekends", "50.125"),
    ("What is the net flow?", "3399.85"),
    ("net flow in Toronto", "1299.85"),
    ("What is Wendy Zhao's credit score?", "712.00"),
    ("How much did Wendy Zhao withdraw in October?", "100.00"),
    ("what are the total deposits of customer 2?", "1000.10"),
    ("how many loans does customer #5 have?", 1),
    ("Mia O'Neil's total loans", "9000.25"),
    ("total loans of Zoé Côté", "0.00"),
    ("total loans of zoe cote", "0.00"),
    ("How many complaints are there?", 4),
    ("number of complaints about ATMs in November", 1),
    ("how many card complaints", 1),
    ("What percentage of customers have a loan?", "62.50"),
    ("what percentage of loans are car loans", "33.333333"),
    ("What share of transactions are withdrawals?", "66.666667"),
    ("What proportion of customers in Ontario have a credit score above 700?", "66.666667"),
]


@pytest.mark.parametrize(("question", "figure"), FIGURES)
def test_a_question_for_one_figure_gets_one_row(say: Say, question: str, figure: Any) -> None:
    answer = say(question)
    assert (answer["status"], answer["rows"]) == ("answered", [[figure]]), answer["answer"]


TABLES = [
    (
        "average credit score by province",
        [
            ["Alberta", "801.00"],
            ["Ontario", "695.00"],
            ["Quebec", "655.00"],
            ["Nova Scotia", "590.00"],
        ],
    ),
    (
        "What is the total loan amount by loan type?",
        [
            ["house", "250000.00"],
            ["business", "100000.00"],
            ["car", "35000.50"],
            ["student", "9000.25"],
            ["personal", "5000.00"],
        ],
    ),
    (
        "How many customers are in each credit band?",
        [
            ["560–659 Fair", 3],
            ["660–724 Good", 1],
            ["725–759 Very Good", 1],
            ["760–900 Excellent", 1],
            ["No score", 2],
        ],
    ),
    (
        "monthly deposit totals",
        [["2026-09-01", "0.00"], ["2026-10-01", "500.00"], ["2026-11-01", "3500.10"]],
    ),
    (
        "compare Toronto and Calgary by average credit score",
        [["Calgary", "801.00"], ["Toronto", "676.00"]],
    ),
    ("which cities have more than 1 customer", [["Calgary", 2], ["Toronto", 2]]),
    (
        "Which 3 customers withdrew the most?",
        [
            [8, "Victor Hamilton · #8", "300.00"],
            [1, "Wendy Zhao · #1", "160.25"],
            [99, "#99 (not in core banking)", "80.00"],
        ],
    ),
    ("top 2 cities by total loan amount", [["Toronto", "285000.50"], ["Hamilton", "100000.00"]]),
    ("who has the lowest credit score", [[4, "Mia O'Neil · #4", "590.00"]]),
    ("which loan type is the most common", [["car", 2]]),
    ("which category gets the most complaints", [["ATM Issue", 2]]),
    (
        "Which customers have a score above 600 and at least one loan?",
        [
            [1, "Wendy Zhao · #1", "712.00", 2],
            [2, "Omar Haddad · #2", "640.00", 1],
            [5, "Liam Roy · #5", "655.00", 1],
            [8, "Victor Hamilton · #8", "733.00", 1],
        ],
    ),
    (
        "List customers with a credit score between 600 and 700",
        [[2, "Omar Haddad · #2", "640.00"], [5, "Liam Roy · #5", "655.00"]],
    ),
    ("customers without loans", [[3, "Ana Silva · #3", 0], [7, "Zoé Côté · #7", 0]]),
    ("which customers withdrew at least 100 in October?", [[1, "Wendy Zhao · #1", "100.00"]]),
    ("which city does Ana Silva live in?", [[3, "Ana Silva · #3", "Calgary"]]),
    (
        "share of complaints by category",
        [["ATM Issue", 2, "50.00"], ["Card Issue", 1, "25.00"], ["Service Feedback", 1, "25.00"]],
    ),
]


@pytest.mark.parametrize(("question", "rows"), TABLES)
def test_groupings_rankings_and_lists(say: Say, question: str, rows: list[Any]) -> None:
    answer = say(question)
    assert answer["status"] == "answered", answer["answer"]
    assert answer["rows"] == rows


REFUSED = [
    "What's the weather today?",
    "how many active customers are there",
    "how many customers are in Paris",
    "how many customers aged over 40",
    "how many customers joined last month",
    "how many customers were there in October",
    "What is the median loan amount?",
    "what is the largest loan",
    "biggest withdrawal",
    "highest credit score by city",
    "average deposit amount",
    "average number of loans per customer",
    "how many loans are over 50000",
    "withdrawals made at 9",
    "total loans over 10000",
    "what is the email of Wendy Zhao",
    "customer 999 total loans",
    "which customers complained?",
    "how many complaints did Wendy Zhao file",
    "how many complaints were there in Toronto",
    "how many customers have a score over 700 or a house loan",
    "total withdrawals on 2026-02-30",
    "total loans 北京",
    "customers with score != 600",
    "total loans for customers in Toronto' OR '1'='1",
    "'; DROP TABLE fct_customers; --",
    "how many customers in Toronto who are millionaires",
    "total deposits in euros",
    "customers with only a car loan",
    "how many business customers do we have",
    "total deposits of student customers",
    "which customer made the largest deposit?",
    "average withdrawals per customer",
    "breakdown of customers",
    "how many customers do not live in Toronto and aren't in Calgary",
    "customers who don't live in Toronto",
    "average score and total loans in Toronto",
    "how many loans and how many deposits",
    "distribution of credit scores",
    "how many distinct loan types",
    "more customers in Toronto than in Calgary",
    "total deposits in Toronto's downtown branch",
    "fraudulent transactions in October",
]


@pytest.mark.parametrize("question", REFUSED)
def test_what_is_not_covered_is_refused_and_never_answered_in_part(say: Say, question: str) -> None:
    answer = say(question)
    assert answer["status"] in ("refused", "needs_clarification"), answer["answer"]
    assert answer["rows"] == []
    assert answer["plan"] is None


UNCLEAR = [
    "deposits in October",
    "loans",
    "How many loans does Liam Roy have?",
    "top customers",
    "and in Calgary?",
    "what is their average score?",
    "CAD?",
    "",
]


@pytest.mark.parametrize("question", UNCLEAR)
def test_several_readings_are_asked_back(say: Say, question: str) -> None:
    answer = say(question)
    assert answer["status"] == "needs_clarification", answer["answer"]
    assert answer["answer"].endswith(("?", "time.", "from.")) or "?" in answer["answer"]


FOLLOWING = [
    (["total withdrawals in Toronto in October"], "and in Calgary?", [["0.00"]]),
    (["total withdrawals in October"], "and deposits?", [["500.00"]]),
    (["total withdrawals in October"], "and last month in Toronto?", [["140.00"]]),
    (["How many customers are in Toronto?"], "what about Calgary?", [[2]]),
    (["How many customers are in Toronto?"], "and their average credit score?", [["676.00"]]),
    (["which customers have a score above 600?"], "how many of them have a loan?", [[4]]),
    (["average credit score in Toronto"], "how many of them have a loan?", [[2]]),
    (["How many loans are there?"], "how many of those customers are in Toronto", [[2]]),
    (["how many deposits in October"], "by city", [["Toronto", 1]]),
    (
        ["top 5 customers by withdrawals"],
        "only the top 1",
        [[8, "Victor Hamilton · #8", "300.00"]],
    ),
    (["total loans in Toronto", "and in Halifax?"], "and in Montreal?", [["5000.00"]]),
    (
        ["What is the total loan amount?"],
        "how much did they withdraw in Toronto last month?",
        [["140.00"]],
    ),
]


@pytest.mark.parametrize(("earlier", "question", "rows"), FOLLOWING)
def test_a_follow_up_goes_on_from_plain_questions_or_from_plans(
    say: Say, earlier: list[str], question: str, rows: list[Any]
) -> None:
    assert say(question, history=earlier)["rows"] == rows
    plans: list[dict[str, Any]] = []
    for step in earlier:
        plans.append({"question": step, "plan": say(step, history=plans)["plan"]})
    assert say(question, history=plans)["rows"] == rows


def test_the_reading_says_everything_that_was_done(say: Say) -> None:
    reading = say("Which customers in Ontario have a score above 600 and at least one loan?")[
        "reading"
    ]
    assert reading == "customers, province Ontario, with credit score > 600 and at least one loan"
    reading = say("total withdrawals by city last month")["reading"]
    assert reading == "Withdrawal total by city, 2026-10-01 to 2026-10-31"


def test_a_tie_for_the_first_place_names_both(say: Say) -> None:
    answer = say("which city has the most customers")
    assert answer["rows"] == [["Calgary", 2], ["Toronto", 2]]
    answer = say("bottom 3 customers by total withdrawals")
    assert len(answer["rows"]) == 3
    assert "More have the same figure" in answer["answer"]


def test_a_quarantined_record_never_looks_like_no_loans(say: Say) -> None:
    answer = say("customers without loans")
    assert 6 not in [row[0] for row in answer["rows"]]
    assert "1 customer isn't counted: the bureau's record was refused." in answer["answer"]
    assert "refused" not in say("how many customers in Toronto have a loan")["answer"]


def test_the_loans_of_a_quarantined_record_are_no_figure(say: Say) -> None:
    answer = say("total loans of customer 6")
    assert answer["rows"] == [[None]]
    assert "no figure" in answer["answer"]
    assert "1 customer's credit isn't known: the bureau's record was refused." in answer["answer"]


def test_how_many_of_them_asks_back_where_the_earlier_figure_counts_nothing(say: Say) -> None:
    answer = say("how many of them have a loan?", history=["What is the net flow?"])
    assert (answer["status"], answer["rows"]) == ("needs_clarification", [])
    assert answer["answer"].startswith("Of what")


def test_thanks_do_not_ask_the_last_question_again(say: Say) -> None:
    answer = say("thanks", history=["What is the average credit score?"])
    assert (answer["status"], answer["rows"]) == ("needs_clarification", [])


def test_the_document_has_all_that_the_contract_names(say: Say) -> None:
    answer = say("top 2 customers by loan amount")
    assert list(answer) == [
        *("question", "status", "answer", "reading", "plan", "columns", "rows", "citations"),
        *("scope", "ledger"),
    ]
    assert answer["columns"] == [
        {"name": "customer_id", "type": "integer", "unit": None},
        {"name": "customer", "type": "string", "unit": None},
        {"name": "loan_total", "type": "decimal", "unit": "CAD"},
    ]
    assert [(c["kind"], c["id"]) for c in answer["citations"]] == [
        ("metric", "loan_total"),
        ("run", "20261124T060000.000000Z"),
        ("document", "documents/customers/1.json"),
        ("document", "documents/customers/8.json"),
    ]
    assert answer["scope"] == {
        "customers": "all",
        "customer_count": 8,
        "cities": None,
        "credit_bands": None,
        "loan_types": None,
        "from": None,
        "to": None,
        "timezone": "America/Toronto",
    }
    ledger = answer["ledger"]
    assert (ledger["warehouse_queries"], ledger["model_tokens"], ledger["cost_usd"]) == (0, 0, 0)


def test_a_second_question_is_answered_within_a_tenth_of_a_second(say: Say) -> None:
    say("total deposits in Toronto in October")
    times = [
        say(f"total deposits in Calgary on 2026-10-{day}")["ledger"]["ms"] for day in range(10, 20)
    ]
    assert sorted(times)[len(times) // 2] < 100
