"""The dashboard's filters: what each one narrows, decided here for the dashboard and the chat.

A filter that doesn't narrow a figure leaves it as it is, on the tile and in the answer alike; the
answer says so. ``docs/filters.md`` is this table for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Narrows = Literal["customers", "loans", "days"]
"""What a filter chooses among. It narrows every figure that is made of these, and no other."""

DATASETS: Mapping[Narrows, tuple[str, ...]] = {
    "customers": ("customers", "loans", "atm_transactions"),
    "loans": ("loans",),
    "days": ("atm_transactions", "complaints"),
}
"""The dashboard's datasets whose figures each kind of filter narrows."""

NO_SCORE = "No score"
"""The credit band of a customer of core banking who has no score. Whoever core banking doesn't know
has no band and no city: every filter on customers leaves out their loans and transactions."""


@dataclass(frozen=True)
class DashboardFilter:
    """One filter of the dashboard, and the fields of the chat's scope that it sets."""

    key: str
    title: str
    narrows: Narrows
    fields: tuple[str, ...]
    """In the chat's scope."""
    dataset: str | None = None
    """Where its choices come from; None for days."""
    column: str | None = None


FILTERS = (
    DashboardFilter(
        "customer", "Customer", "customers", ("customers",), "customers", "customer_label"
    ),
    DashboardFilter("city", "City", "customers", ("cities",), "customers", "city"),
    DashboardFilter(
        "credit_band",
        "Credit band",
        "customers",
        ("credit_bands",),
        "credit_bands",
        "credit_band",
    ),
    DashboardFilter("loan_type", "Loan type", "loans", ("loan_types",), "loans", "loan_type"),
    DashboardFilter("date", "Dates", "days", ("start", "end")),
)
