"""The documents about all customers together, for broad questions. Pure, like ``document``.

Only those entitled to every customer may retrieve them: their sidecars carry no ``customer_id``, so
a filter on customers never lets one through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from kb_export.document import SCHEMA_VERSION, counted, money, sidecar, table
from lakehouse.unknown_credit import not_counted

MONTHS_LISTED = 24
PLACES_LISTED = 20
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Rows = Sequence[tuple[Any, ...]]


class PortfolioFacts(NamedTuple):
    """Totals over all customers; rows in the order in which they are told."""

    customer_count: int
    provinces: Rows
    """(province, customers)"""
    cities: Rows
    """(city, customers), the largest ``PLACES_LISTED``"""
    record_statuses: Rows
    """(credit_record_status, customers)"""
    bands: Rows
    """(credit_band, customers, sum of scores, delinquencies), customers with a score only"""
    loan_types: Rows
    """(loan_type, loans, borrowers, total)"""
    borrower_count: int
    months: Rows
    """(YYYY-MM, deposits, deposited, withdrawals, withdrawn), newest first"""
    hours: Rows
    """(hour, transactions, amount)"""
    weekdays: Rows
    """(1 = Monday, transactions, amount)"""
    complaint_categories: Rows
    """(category, complaints)"""
    complaint_months: Rows
    """(YYYY-MM or 'no date', complaints), newest first"""


def build_all(facts: PortfolioFacts) -> dict[str, dict[str, Any]]:
    """Every portfolio document by name."""
    return {name: _document(name, title, body(facts)) for name, (title, body) in _TOPICS.items()}


def to_markdown(document: dict[str, Any]) -> str:
    """The rendition that Bedrock embeds."""
    lines = [f"# {document['title']}", ""]
    for section in document["sections"]:
        lines += [f"## {section['heading']}", "", section["sentence"], ""]
        if section["rows"]:
            lines += [*_lines(section), ""]
    lines += ["Amounts in Canadian dollars; dates and times are the bank's local ones."]
    return "\n".join(lines) + "\n"


def to_sidecar(document: dict[str, Any]) -> str:
    """The ``.metadata.json``; without a ``customer_id``."""
    return sidecar(
        {
            "document_type": "portfolio",
            "schema_version": document["schema_version"],
            "topic": document["topic"],
        }
    )


def _document(name: str, title: str, sections: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "document_type": "portfolio",
        "topic": name,
        "title": title,
        "sections": sections,
        "currency": "CAD",
    }


def _section(
    heading: str, sentence: str, columns: dict[str, str], rows: Iterable[Sequence[Any]]
) -> dict[str, Any]:
    """``columns`` maps a column's name to its unit: text, count, CAD or points."""
    return {
        "heading": heading,
        "sentence": sentence,
        "columns": [{"name": name, "unit": unit} for name, unit in columns.items()],
        "rows": [
            [str(cell) if isinstance(cell, Decimal) else cell for cell in row] for row in rows
        ],
    }


def _lines(section: dict[str, Any]) -> list[str]:
    columns = section["columns"]
    return table(
        [column["name"] for column in columns],
        [
            [_cell(value, column["unit"]) for value, column in zip(row, columns, strict=True)]
            for row in section["rows"]
        ],
    )


def _cell(value: Any, unit: str) -> str:
    if unit == "text":
        return str(value)
    return f"{value:,}" if unit == "count" else money(value)


def _customers(facts: PortfolioFacts) -> list[dict[str, Any]]:
    listed = sum(row[1] for row in facts.cities)
    cities = list(facts.cities)
    if listed < facts.customer_count:
        cities.append(("other cities", facts.customer_count - listed))
    return [
        _section(
            "By province",
            f"{counted(facts.customer_count, 'customer')} in all.",
            {"Province": "text", "Customers": "count"},
            facts.provinces[:PLACES_LISTED],
        ),
        _section(
            "By city",
            "The largest cities.",
            {"City": "text", "Customers": "count"},
            cities,
        ),
    ]


def _credit(facts: PortfolioFacts) -> list[dict[str, Any]]:
    scored = sum(row[1] for row in facts.bands)
    points = sum(int(row[2]) for row in facts.bands)
    late = sum(int(row[3] or 0) for row in facts.bands)
    average = f"average score {_average(points, scored)}" if scored else "no scores"
    return [
        _section(
            "By credit band",
            f"{counted(scored, 'customer')} with a score: {average}, delinquencies {late:,}."
            f"{_left_out(facts)}",
            {
                "Band": "text",
                "Customers": "count",
                "Average score": "points",
                "Delinquencies": "count",
            },
            [
                (band, count, _average(int(score), count), int(band_late or 0))
                for band, count, score, band_late in facts.bands
            ],
        ),
        _section(
            "By state of the credit record",
            "Of customers whose record is quarantined or unknown, no score and no loan is in any"
            " total.",
            {"Credit record": "text", "Customers": "count"},
            facts.record_statuses,
        ),
    ]


def _loans(facts: PortfolioFacts) -> list[dict[str, Any]]:
    count = sum(row[1] for row in facts.loan_types)
    total = sum((row[3] for row in facts.loan_types), Decimal(0))
    average = f", {money(_average(total, count))} on average" if count else ""
    return [
        _section(
            "By loan type",
            f"{counted(count, 'loan')} of {counted(facts.borrower_count, 'customer')}:"
            f" {money(total)} in all{average}.{_left_out(facts)}",
            {
                "Loan type": "text",
                "Loans": "count",
                "Borrowers": "count",
                "Total": "CAD",
                "Average": "CAD",
            },
            [(*row, _average(row[3], row[1])) for row in facts.loan_types],
        )
    ]


def _atm(facts: PortfolioFacts) -> list[dict[str, Any]]:
    deposits, withdrawals = (sum(row[i] for row in facts.months) for i in (1, 3))
    deposited, withdrawn = (sum((row[i] for row in facts.months), Decimal(0)) for i in (2, 4))
    return [
        _section(
            "By month",
            f"{counted(deposits, 'deposit')} of {money(deposited)},"
            f" {counted(withdrawals, 'withdrawal')} of {money(withdrawn)};"
            f" net flow {money(deposited - withdrawn)}. The newest {MONTHS_LISTED} months at most.",
            {
                "Month": "text",
                "Deposits": "count",
                "Deposited": "CAD",
                "Withdrawals": "count",
                "Withdrawn": "CAD",
            },
            facts.months[:MONTHS_LISTED],
        ),
        _section(
            "By weekday",
            "All transactions.",
            {"Weekday": "text", "Transactions": "count", "Amount": "CAD"},
            [(WEEKDAYS[day - 1], count, amount) for day, count, amount in facts.weekdays],
        ),
        _section(
            "By hour of the day",
            "All transactions, by the hour in which they began.",
            {"Hour": "text", "Transactions": "count", "Amount": "CAD"},
            [(f"{hour:02d}:00", count, amount) for hour, count, amount in facts.hours],
        ),
    ]


def _complaints(facts: PortfolioFacts) -> list[dict[str, Any]]:
    total = sum(row[1] for row in facts.complaint_categories)
    return [
        _section(
            "By category",
            f"{counted(total, 'complaint')}, all anonymous.",
            {"Category": "text", "Complaints": "count"},
            facts.complaint_categories,
        ),
        _section(
            "By month",
            f"The newest {MONTHS_LISTED} months at most.",
            {"Month": "text", "Complaints": "count"},
            facts.complaint_months[:MONTHS_LISTED],
        ),
    ]


def _left_out(facts: PortfolioFacts) -> str:
    sentences = not_counted({status: int(count) for status, count in facts.record_statuses})
    return "".join(f" {sentence}" for sentence in sentences)


def _average(total: Decimal | int, count: int) -> Decimal:
    return (Decimal(total) / count).quantize(Decimal("0.01"))


_TOPICS: dict[str, tuple[str, Callable[[PortfolioFacts], list[dict[str, Any]]]]] = {
    "customers": ("All customers: where they live", _customers),
    "credit": ("All customers: credit scores and delinquencies", _credit),
    "loans": ("All customers: loans", _loans),
    "atm_activity": ("All customers: ATM activity", _atm),
    "complaints": ("Complaints of all customers (anonymous)", _complaints),
}
