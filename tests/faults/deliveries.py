"""Deliveries that tell which of them a row came from, so that a mix of two is seen at once.

Delivery ``k`` says its number in every source: all scores are ``300 + k``, each loan is of ``k``
dollars, the customer ``LEAVER`` is there when ``k`` is even, and ATM file ``k`` has ``ROWS`` rows.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from lakehouse.duck import connect_published
from lakehouse.versions import Manifest, Versions

CUSTOMERS, LEAVER, ROWS = 24, 24, 15
FIRST_DAY = datetime.fromisoformat("2026-01-05 00:00:00")
CITIES = ("Toronto", "Montreal", "Halifax")


@dataclass(frozen=True)
class Figures:
    """What a reader sees of one version; of a whole one all fields are of one delivery."""

    customers: int
    scores: list[int]
    history_scores: list[int]
    loan_amounts: list[Decimal]
    wide_loan_total: Decimal
    transactions: int
    amount: Decimal
    wide_amount: Decimal
    daily_amount: Decimal


def write(folder: Path, number: int) -> dict[str, list[str]]:
    """Write delivery ``number`` (from 1) and give all files that are there by then, by source."""
    people = [one for one in range(1, CUSTOMERS + 1) if one != LEAVER or number % 2 == 0]
    customers = folder / "core_banking" / f"{number:03}.csv"
    credit = folder / "credit_bureau" / f"{number:03}.json"
    atm = folder / "atm" / f"{number:03}.csv"
    for file in (customers, credit, atm):
        file.parent.mkdir(parents=True, exist_ok=True)
    with customers.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["customer_id", "name", "email", "city"])
        for one in people:
            city = CITIES[(one + number) % len(CITIES)]
            rows.writerow([one, f"Customer Number{one}", f"c{one}@example.com", city])
    records = [
        {
            "customer_id": one,
            "credit_score": 300 + number,
            "delinquencies": 0,
            "outstanding_loans": [{"type": "car", "amount": number}],
        }
        for one in people
    ]
    credit.write_text(json.dumps(records))
    # Three weeks apart, so that there are months that a delivery doesn't touch.
    day = FIRST_DAY + timedelta(days=21 * (number % 9), hours=number // 9)
    with atm.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["atm_id", "timestamp", "amount", "transaction_type", "customer_id"])
        for row in range(ROWS):
            kind = "deposit" if row % 3 else "withdrawal"
            at = day + timedelta(minutes=row)
            rows.writerow([row % 4 + 1, at.isoformat(sep=" "), f"{number}.25", kind, row + 1])
    return {
        "core_banking": [str(customers)],
        "credit_bureau": [str(credit)],
        "atm": [str(path) for path in sorted(atm.parent.glob("*.csv"))],
    }


def expected(number: int) -> Figures:
    """What a version of delivery ``number`` holds."""
    people = CUSTOMERS if number % 2 == 0 else CUSTOMERS - 1
    amount = sum((ROWS * (one + Decimal("0.25")) for one in range(1, number + 1)), Decimal(0))
    return Figures(
        customers=people,
        scores=[300 + number],
        history_scores=[300 + number],
        loan_amounts=[Decimal(number)],
        wide_loan_total=Decimal(people * number),
        transactions=ROWS * number,
        amount=amount,
        wide_amount=amount,
        daily_amount=amount,
    )


def number_of(figures: Figures) -> int | None:
    """The delivery that a version is of; None for a mix of several."""
    number = figures.scores[0] - 300 if figures.scores else 0
    return number if number > 0 and figures == expected(number) else None


def read(home: Path) -> tuple[Manifest, Figures] | None:
    """What a reader of the published version sees now; None before the first."""
    versions = Versions(home)
    manifest = versions.current()
    if manifest is None:
        return None
    with connect_published(versions.marts_file(manifest.run_id)) as marts:
        row = marts.execute(
            "SELECT (SELECT count(*) FROM dim_customers),"
            " (SELECT list(DISTINCT credit_score) FROM fct_customers),"
            " (SELECT list(DISTINCT credit_score) FROM fct_credit_history"
            " WHERE valid_to_utc IS NULL),"
            " (SELECT list(DISTINCT amount) FROM fct_loans),"
            " (SELECT sum(loan_total) FROM fct_customers),"
            " (SELECT count(*) FROM fct_atm_transactions),"
            " (SELECT sum(amount) FROM fct_atm_transactions),"
            " (SELECT sum(deposit_total + withdrawal_total) FROM fct_customers),"
            " (SELECT sum(amount_total) FROM fct_atm_daily)"
        ).fetchone()
    assert row is not None
    return manifest, Figures(*row)


def business_rows(home: Path, marts: Iterator[str] | tuple[str, ...]) -> dict[str, list[tuple]]:
    """All rows of the published marts, in one order: what two equal runs have in common."""
    versions = Versions(home)
    with connect_published(versions.marts_file(versions.require_current().run_id)) as connection:
        return {mart: connection.execute(f"FROM {mart} ORDER BY ALL").fetchall() for mart in marts}
