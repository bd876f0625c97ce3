"""A refused credit record, through the command line: it never reads as "no loans"."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse import services

DISCOVER = Path(sys.executable).with_name("discover")
SERVICES = ["seaweedfs", "ministack"]
CUSTOMERS = range(1, 31)


def record(customer: int | str) -> str:
    return (
        f'{{"customer_id": {customer}, "credit_score": 620, "delinquencies": 1,'
        ' "outstanding_loans": [{"type": "car", "amount": 100.5}]}'
    )


def delivered(changed: dict[int, str | None]) -> str:
    """Everybody's records, some of them changed, one that is None left out."""
    found = {customer: record(customer) for customer in CUSTOMERS} | changed
    return "[\n" + ",\n".join(text for text in found.values() if text) + "\n]\n"


class Bank:
    """Thirty customers in a home of their own; somebody types commands."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *words: str, code: int = 0) -> Any:
        done = subprocess.run(
            # A document is JSON anyway.
            [str(DISCOVER), *words, *([] if words[0] == "document" else ["--json"])],
            env=os.environ | {"DISCOVER_HOME": str(self.home), "DISCOVER_USER": "analyst"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    def refresh(self, changed: dict[int, str | None]) -> Any:
        file = self.home / "credit.json"
        file.write_text(delivered(changed))
        sources = (f"core_banking={self.home / 'customers.csv'}", f"credit_bureau={file}")
        return self.run("refresh", "--source", sources[0], "--source", sources[1])

    def ask(self, question: str) -> Any:
        return self.run("chat", "ask", question)

    def sql(self, query: str) -> list[list[Any]]:
        return [list(row.values()) for row in self.run("sql", query)["rows"]]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    home = tmp_path_factory.mktemp("home")
    customers = home / "customers.csv"
    customers.write_text(
        "customer_id,name,email,city\n"
        + "".join(f"{n},Person {n},p{n}@example.com,Toronto\n" for n in CUSTOMERS)
    )
    services.up(home, SERVICES)
    try:
        yield Bank(home)
    finally:
        services.down(home, SERVICES)


CREDIT = (
    "SELECT credit_record_status, credit_score, delinquencies, loan_count, loan_total,"
    " car_loan_total FROM fct_customers WHERE customer_id IN (20, 21) ORDER BY customer_id"
)


def test_a_refused_record_is_unknown_everywhere_until_a_clean_file_comes(bank: Bank) -> None:
    broken = record(20).replace("100.5", "NaN")
    report = bank.refresh({20: broken, 21: None})
    assert (report["state"], report["quarantined"]) == ("published", 1)
    (reject,) = bank.run("quarantine")
    assert (reject["line"], reject["reason"], reject["customer_id"]) == (21, "NaN is not JSON", 20)

    # Nobody else is in doubt: 21 has no record.
    nothing = ["absent", None, None, 0, "0.00", "0.00"]
    assert bank.sql(CREDIT) == [["quarantined", *[None] * 5], nothing]
    answer = bank.ask("How many customers have no loans?")
    assert answer["rows"] == [[1]]
    assert "1 customer isn't counted: the bureau's record was refused." in answer["answer"]
    answer = bank.ask("What is the loan total of customer 20?")
    assert answer["rows"] == [[None]]
    assert "1 customer's credit isn't known" in answer["answer"]
    document = bank.run("document", "20")
    assert (document["credit"]["record_status"], document["loans"]) == ("quarantined", None)

    # A record that names nobody may be 20's or 21's.
    report = bank.refresh({20: record("20.5"), 21: None})
    assert (report["state"], report["quarantined"]) == ("published", 1)
    assert bank.sql(CREDIT) == [["unknown", *[None] * 5]] * 2
    document = bank.run("document", "21")
    assert (document["credit"]["record_status"], document["loans"]) == ("unknown", None)
    answer = bank.ask("How many customers have no loans?")
    assert answer["rows"] == [[0]]
    assert (
        "2 customers aren't counted: refused records that name nobody may be theirs."
        in answer["answer"]
    )
    moved = {metric["metric"]: metric for metric in bank.run("diff")["metrics"]}
    assert moved["uncounted_credit_count"]["change"] == 1

    # More bad records than the limit still stop the batch, whatever they name.
    file = bank.home / "credit.json"
    file.write_text(delivered({n: record(n).replace("100.5", "NaN") for n in (1, 2, 3)}))
    stopped = bank.run("land", "credit_bureau", str(file), code=3)
    assert stopped["stopped"].startswith("3 of 30 records are bad")
    assert stopped["batch_id"] is None

    bank.refresh({21: None})
    assert bank.sql(CREDIT) == [["present", 620, 1, 1, "100.50", "100.50"], nothing]
    assert "counted" not in bank.ask("How many customers have no loans?")["answer"]
    history = (
        "SELECT credit_record_status, loan_total FROM fct_credit_history"
        " WHERE customer_id = 20 ORDER BY valid_from_utc"
    )
    assert bank.sql(history) == [["quarantined", None], ["unknown", None], ["present", "100.50"]]
