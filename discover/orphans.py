"""What is kept of customers whom core banking doesn't know: counted at the end of every refresh."""

from __future__ import annotations

from pathlib import Path

from lakehouse.duck import connect_published

MART = "fct_unknown_customers"
_COUNTS = {
    "customers": "count(*)",
    "credit_records": "count(*) FILTER (credit_record_status IN ('present', 'quarantined'))",
    "loans": "coalesce(sum(loan_count), 0)::BIGINT",
    "transactions": "coalesce(sum(atm_transaction_count), 0)::BIGINT",
}
_WORDS = {"credit_records": "credit record", "loans": "loan", "transactions": "transaction"}


def count(marts_file: Path) -> dict[str, int]:
    """Orphans of a version: ``customers``, and their credit records, loans and transactions.

    Empty for a version from before they were counted.
    """
    with connect_published(marts_file) as connection:
        if (MART,) not in connection.execute("SHOW TABLES").fetchall():
            return {}
        counts = ", ".join(_COUNTS.values())
        found = connection.execute(f"SELECT {counts} FROM {MART}").fetchall()[0]
    return dict(zip(_COUNTS, found, strict=True))


def sentence(orphans: dict[str, int]) -> str:
    """Such as "12 transactions, 1 loan of 3 customers unknown to core banking"; "" without any."""
    customers = orphans.get("customers", 0)
    if not customers:
        return ""
    kept = [
        f"{orphans[name]:,} {word}{'' if orphans[name] == 1 else 's'}"
        for name, word in _WORDS.items()
        if orphans[name]
    ]
    whose = f"{customers:,} customer{'' if customers == 1 else 's'}"
    return f"{', '.join(kept)} of {whose} unknown to core banking"
