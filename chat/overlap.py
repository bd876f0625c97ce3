"""A question and the dashboard's filters together: which filters narrow it, and what is in both.

An empty overlap has no figure: 0 would read as a fact about the question alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from chat import wording
from chat.plan import Condition, Filter, Plan, Scope
from chat.registry import CUSTOMER, Metric, Registry
from lakehouse.business_calendar import Days
from lakehouse.filters import FILTERS, DashboardFilter, Narrows

_FIELDS = {
    CUSTOMER: "customers",
    "city": "cities",
    "credit_band": "credit_bands",
    "loan_type": "loan_types",
}
"""Dimensions that a question and a filter can both choose, and the scope's field."""


class NothingInBoth(Exception):
    """Question and filters exclude each other; the message says how."""


def chosen(scope: Scope) -> list[DashboardFilter]:
    """The filters that are set."""
    return [
        found
        for found in FILTERS
        if any(getattr(scope, field) is not None for field in found.fields)
    ]


def narrowed_kinds(plan: Plan, registry: Registry) -> set[Narrows]:
    """The kinds of filter that narrow the plan's figure, or a condition or column of it."""
    metric = registry.metrics[plan.metric]
    named = [*(part.metric for part in plan.conditions), *plan.columns]
    metrics = [metric, *(registry.metrics[name] for name in named)]
    kinds: set[Narrows] = set()
    if metric.of_customers:
        kinds.add("customers")
    if any(registry.of_loans(found) for found in metrics):
        kinds.add("loans")
    if any(found.date is not None for found in metrics) and not plan.of_the_past:
        kinds.add("days")
    return kinds


def restated(plan: Plan, scope: Scope, registry: Registry, last_day: date) -> Plan:
    """The plan, saying only what is counted: its own days and values that the filters allow.

    Args:
        plan: what the question asks.
        scope: the dashboard's filters.
        registry: says which figures have a day.
        last_day: the data's last business day.

    Raises:
        NothingInBoth: nothing is left to count.

    """
    kinds = narrowed_kinds(plan, registry)

    def narrow(found: Filter) -> Filter:
        return _narrow(found, plan, scope, registry, kinds)

    def condition(part: Condition) -> Condition:
        days = _days(registry.metrics[part.metric], Days(part.start, part.end), scope, last_day)
        filters = tuple(narrow(found) for found in part.filters)
        return part.model_copy(update={"filters": filters, "start": days[0], "end": days[1]})

    days = Days(plan.start, plan.end)
    if not plan.of_the_past:
        days = _days(registry.metrics[plan.metric], days, scope, last_day)
    return plan.model_copy(
        update={
            "filters": tuple(narrow(found) for found in plan.filters),
            "base": tuple(narrow(found) for found in plan.base),
            "conditions": plan.conditions
            if plan.of_the_past
            else tuple(condition(part) for part in plan.conditions),
            "start": days.first,
            "end": days.last,
        }
    )


def _days(metric: Metric, own: Days, scope: Scope, last_day: date) -> Days:
    """The question's days that the date filter allows; none of its own stay none."""
    if metric.date is None:
        return own
    allowed = Days(scope.start, scope.end)
    both = own & allowed
    if both.empty and not own.empty:
        raise NothingInBoth(
            f"The question asks for {wording.days(*own)} and the dashboard's date filter is"
            f" {wording.days(*allowed)}: no day is in both, so there is no figure."
        )
    if both.first is not None and both.first > last_day:
        raise NothingInBoth(
            f"The data ends on {last_day}, before {both.first}: there is no figure yet."
        )
    return own if own == Days(None, None) else both


def _narrow(
    found: Filter, plan: Plan, scope: Scope, registry: Registry, kinds: set[Narrows]
) -> Filter:
    allowed: Sequence[Any] | None = getattr(scope, _FIELDS.get(found.field, ""), None)
    if allowed is None or found.op not in ("in", "not in"):
        return found
    declared = next(f for f in FILTERS if _FIELDS[found.field] in f.fields)
    of_then = plan.of_the_past and found.field != CUSTOMER
    if declared.narrows not in kinds or of_then:
        # What a customer was on an earlier day can differ from what the filter chose.
        return found
    asked = {str(value) for value in found.values}
    if not any((str(value) in asked) == (found.op == "in") for value in allowed):
        label = registry.dimensions[found.field].label.lower()
        sign = "#" if found.field == CUSTOMER else ""
        said = _listed(found.values, sign)
        raise NothingInBoth(
            f"The question asks for {label} {'' if found.op == 'in' else 'not '}{said} and the"
            f" dashboard's filter {declared.title} is {_listed(allowed, sign) or 'none'}: nothing"
            " is in both, so there is no figure."
        )
    if found.op == "not in":
        return found
    kept = {str(value) for value in allowed}
    values = tuple(value for value in found.values if str(value) in kept)
    return found.model_copy(update={"values": values})


def _listed(values: Sequence[Any], sign: str) -> str:
    named = [f"{sign}{value}" for value in values[: wording.NAMED_ROWS]]
    more = len(values) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")
