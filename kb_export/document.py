"""One customer's document, built from rows: canonical JSON, Markdown and the Bedrock sidecar.

Pure: no clock, no network, no environment. The same rows give the same bytes, so a document changes
only when what it says about the customer changes. Money stays exact: decimals become strings.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from lakehouse.unknown_credit import NOT_KNOWN

SCHEMA_VERSION = 1
CHARACTER_LIMIT = 6000
"""One document is one chunk of the knowledge base: it must fit into one embedding."""

MONTHS_LISTED = 12
LOAN_TYPES_LISTED = 10
LOANS_LISTED = 5
TRANSACTIONS_LISTED = 5

_ESCAPES = str.maketrans({character: f"\\{character}" for character in "\\|`*[]<>"})

TEXT_LIMIT = 100
"""Longest text taken over from the data (a name): what core banking can hold."""


class Customer(NamedTuple):
    """One row of ``fct_customers``, in this order of columns."""

    customer_id: int
    customer_name: str | None
    customer_label: str | None
    city: str | None
    province: str | None
    credit_record_status: str
    credit_score: int | None
    credit_band: str | None
    delinquencies: int | None
    loan_count: int | None
    loan_total: Decimal | None
    atm_transaction_count: int
    deposit_count: int
    deposit_total: Decimal
    withdrawal_count: int
    withdrawal_total: Decimal
    net_flow: Decimal
    first_transaction_date: date | None
    last_transaction_date: date | None


class LoanTypeTotal(NamedTuple):
    """A customer's loans of one type."""

    loan_type: str
    loan_count: int
    loan_total: Decimal


class Loan(NamedTuple):
    """One loan."""

    loan_number: int
    loan_type: str
    amount: Decimal


class MonthTotal(NamedTuple):
    """A customer's ATM activity in one month, ``YYYY-MM`` of the bank's local date."""

    month: str
    deposit_count: int
    deposit_total: Decimal
    withdrawal_count: int
    withdrawal_total: Decimal


class Transaction(NamedTuple):
    """One ATM transaction, at the bank's local time."""

    transacted_at_local: datetime
    transaction_type: str
    amount: Decimal
    atm_id: int


class CustomerFacts(NamedTuple):
    """What a document is built from. The sequences hold what is listed, not all there is."""

    customer: Customer
    loan_types: Sequence[LoanTypeTotal] = ()
    """Largest total first, at most ``LOAN_TYPES_LISTED``."""
    largest_loans: Sequence[Loan] = ()
    """Largest first, at most ``LOANS_LISTED``."""
    months: Sequence[MonthTotal] = ()
    """Newest first, at most ``MONTHS_LISTED``."""
    largest_transactions: Sequence[Transaction] = ()
    """Largest first, at most ``TRANSACTIONS_LISTED``."""


def build(facts: CustomerFacts) -> dict[str, Any]:
    """The canonical document: fixed key order, decimals as strings, dates as ISO text.

    ``loans`` is None when the customer's credit isn't known: unknown is not "no loans". Every list
    that shows only the top of what there is comes with the exact count and total of the rest.
    """
    customer = facts.customer
    return {
        "schema_version": SCHEMA_VERSION,
        "document_type": "customer",
        "customer_id": customer.customer_id,
        "customer_name": _text(customer.customer_name),
        "customer_label": _text(customer.customer_label),
        "location": {"city": _text(customer.city), "province": _text(customer.province)},
        "credit": {
            "record_status": customer.credit_record_status,
            "score": customer.credit_score,
            "band": _text(customer.credit_band),
            "delinquencies": customer.delinquencies,
        },
        "loans": _loans(facts),
        "atm_activity": _atm_activity(facts),
        "currency": "CAD",
    }


def to_json(document: dict[str, Any]) -> str:
    """The document's canonical bytes as text; ends in a newline."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


def to_markdown(document: dict[str, Any]) -> str:
    """The rendition that Bedrock embeds: sentences and tables, one chunk."""
    lines = [f"# {_plain(document['customer_label'] or document['customer_id'])}", ""]
    lines += [_who(document), "", "## Credit", "", _credit_sentence(document["credit"]), ""]
    lines += ["## Loans", "", *_loan_lines(document["loans"]), ""]
    lines += ["## ATM activity", "", *_atm_lines(document["atm_activity"]), ""]
    lines += ["Amounts in Canadian dollars; dates and times are the bank's local ones."]
    return "\n".join(lines) + "\n"


def to_sidecar(document: dict[str, Any]) -> str:
    """The ``.metadata.json`` that retrieval filters on; snake_case keys, at most 1 KB.

    A key without a value is left out: the knowledge base knows no null.
    """
    loans = document["loans"]
    return sidecar(
        {
            "document_type": "customer",
            "schema_version": document["schema_version"],
            "customer_id": document["customer_id"],
            "city": document["location"]["city"],
            "province": document["location"]["province"],
            "credit_record_status": document["credit"]["record_status"],
            "credit_score": document["credit"]["score"],
            "credit_band": document["credit"]["band"],
            "loan_count": loans["count"] if loans else None,
            "loan_types": [row["loan_type"] for row in loans["by_type"]] if loans else None,
        }
    )


def sidecar(attributes: dict[str, Any]) -> str:
    """A sidecar of these attributes, without the empty ones."""
    kept = {key: value for key, value in attributes.items() if value is not None and value != []}
    return (
        json.dumps({"metadataAttributes": kept}, ensure_ascii=False, separators=(",", ":")) + "\n"
    )


def money(value: Decimal | str) -> str:
    """``1,234.50`` for people; the JSON document keeps ``1234.50``."""
    return f"{Decimal(value):,.2f}"


def counted(count: int, noun: str) -> str:
    """``1 loan``, ``2,000 loans``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """A Markdown table's lines; the first column is text, the others stand right."""
    align = ["---", *["---:"] * (len(header) - 1)]
    return [
        "| " + " | ".join(_plain(cell) for cell in row) + " |" for row in (header, align, *rows)
    ]


def _loans(facts: CustomerFacts) -> dict[str, Any] | None:
    customer = facts.customer
    if customer.credit_record_status in NOT_KNOWN or customer.loan_count is None:
        return None
    total = customer.loan_total or Decimal(0)
    return {
        "count": customer.loan_count,
        "total": _exact(total),
        "by_type": [
            {"loan_type": row.loan_type, "count": row.loan_count, "total": _exact(row.loan_total)}
            for row in facts.loan_types
        ],
        "other_types": {
            "count": customer.loan_count - sum(row.loan_count for row in facts.loan_types),
            "total": _exact(total - _sum(row.loan_total for row in facts.loan_types)),
        },
        "largest": [
            {
                "loan_number": row.loan_number,
                "loan_type": row.loan_type,
                "amount": _exact(row.amount),
            }
            for row in facts.largest_loans
        ],
        "not_listed": {
            "count": customer.loan_count - len(facts.largest_loans),
            "total": _exact(total - _sum(row.amount for row in facts.largest_loans)),
        },
    }


def _atm_activity(facts: CustomerFacts) -> dict[str, Any]:
    customer, months = facts.customer, facts.months
    return {
        "transaction_count": customer.atm_transaction_count,
        "deposit_count": customer.deposit_count,
        "deposit_total": _exact(customer.deposit_total),
        "withdrawal_count": customer.withdrawal_count,
        "withdrawal_total": _exact(customer.withdrawal_total),
        "net_flow": _exact(customer.net_flow),
        "first_transaction_date": _iso(customer.first_transaction_date),
        "last_transaction_date": _iso(customer.last_transaction_date),
        "by_month": [
            {
                "month": row.month,
                "deposit_count": row.deposit_count,
                "deposit_total": _exact(row.deposit_total),
                "withdrawal_count": row.withdrawal_count,
                "withdrawal_total": _exact(row.withdrawal_total),
            }
            for row in months
        ],
        "earlier": {
            "deposit_count": customer.deposit_count - sum(row.deposit_count for row in months),
            "deposit_total": _exact(
                customer.deposit_total - _sum(row.deposit_total for row in months)
            ),
            "withdrawal_count": customer.withdrawal_count
            - sum(row.withdrawal_count for row in months),
            "withdrawal_total": _exact(
                customer.withdrawal_total - _sum(row.withdrawal_total for row in months)
            ),
        },
        "largest": [
            {
                "transacted_at_local": row.transacted_at_local.isoformat(sep=" "),
                "transaction_type": row.transaction_type,
                "amount": _exact(row.amount),
                "atm_id": row.atm_id,
            }
            for row in facts.largest_transactions
        ],
    }


def _who(document: dict[str, Any]) -> str:
    place = [_plain(part) for part in document["location"].values() if part]
    where = f"lives in {', '.join(place)}" if place else "has no known city"
    name = _plain(document["customer_name"] or "(no name)")
    return f"Customer {document['customer_id']}, {name}, {where}."


def _credit_sentence(credit: dict[str, Any]) -> str:
    if credit["record_status"] == "quarantined":
        return "The credit bureau's record was refused: score and loans are unknown."
    if credit["record_status"] == "unknown":
        return (
            "Score and loans are unknown: a refused record of the credit bureau that names nobody"
            " may be this customer's."
        )
    if credit["record_status"] == "absent":
        return "The credit bureau has no record of this customer."
    score = "unknown" if credit["score"] is None else credit["score"]
    band = f" ({_plain(credit['band'])})" if credit["band"] else ""
    late = credit["delinquencies"]
    history = "delinquencies unknown" if late is None else _delinquencies(late)
    return f"Credit score {score}{band}, {history}."


def _delinquencies(count: int) -> str:
    return "1 delinquency" if count == 1 else f"{count:,} delinquencies"


def _loan_lines(loans: dict[str, Any] | None) -> list[str]:
    if loans is None:
        return ["Unknown."]
    if loans["count"] == 0:
        return ["No loans."]
    lines = [f"{counted(loans['count'], 'loan')}, {money(loans['total'])} in all.", ""]
    rows = [
        [row["loan_type"], f"{row['count']:,}", money(row["total"])] for row in loans["by_type"]
    ]
    others = loans["other_types"]
    if others["count"]:
        rows.append(["other types", f"{others['count']:,}", money(others["total"])])
    lines += table(["Loan type", "Loans", "Total"], rows)
    largest = ", ".join(f"{row['loan_type']} {money(row['amount'])}" for row in loans["largest"])
    lines += ["", f"Largest: {_plain(largest)}."]
    rest = loans["not_listed"]
    if rest["count"]:
        lines += [f"{counted(rest['count'], 'other loan')}: {money(rest['total'])}."]
    return lines


def _atm_lines(activity: dict[str, Any]) -> list[str]:
    if activity["transaction_count"] == 0:
        return ["No ATM activity."]
    summary = (
        f"{counted(activity['transaction_count'], 'transaction')} from"
        f" {activity['first_transaction_date']} to {activity['last_transaction_date']}:"
        f" {counted(activity['deposit_count'], 'deposit')} of {money(activity['deposit_total'])},"
        f" {counted(activity['withdrawal_count'], 'withdrawal')} of"
        f" {money(activity['withdrawal_total'])}; net flow {money(activity['net_flow'])}."
    )
    rows = [[row["month"], *_month_cells(row)] for row in activity["by_month"]]
    earlier = activity["earlier"]
    if earlier["deposit_count"] or earlier["withdrawal_count"]:
        rows.append(["earlier", *_month_cells(earlier)])
    lines = [summary, ""]
    lines += table(["Month", "Deposits", "Deposited", "Withdrawals", "Withdrawn"], rows)
    lines += ["", "Largest transactions:"]
    lines += [
        f"- {row['transacted_at_local']}: {_plain(row['transaction_type'])} of"
        f" {money(row['amount'])} at ATM {row['atm_id']}"
        for row in activity["largest"]
    ]
    return lines


def _month_cells(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['deposit_count']:,}",
        money(row["deposit_total"]),
        f"{row['withdrawal_count']:,}",
        money(row["withdrawal_total"]),
    ]


def _sum(values: Any) -> Decimal:
    return sum(values, Decimal(0))


def _exact(value: Decimal) -> str:
    return str(value.quantize(Decimal("0.01")))


def _iso(value: date | None) -> str | None:
    return value.isoformat() if value else None


def _text(value: str | None) -> str | None:
    if value is None:
        return None
    return value if len(value) <= TEXT_LIMIT else value[: TEXT_LIMIT - 1] + "…"


def _plain(value: Any) -> str:
    """Text from the data as one harmless line: a name can't draw tables, links or headings."""
    return " ".join(str(value).split()).translate(_ESCAPES)
