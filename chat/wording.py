"""Sentences: how a plan was read, and what its figures say. Pure text."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from chat.plan import Condition, Filter, Plan, Scope
from chat.registry import CUSTOMER, DATE_GRAINS, Metric, Registry
from lakehouse.filters import FILTERS, Narrows

NAMED_ROWS = 10
_COMPARED = {"=": "exactly", ">": "more than", ">=": "at least", "<": "less than", "<=": "at most"}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass
class Table:
    """What a plan yielded: typed for JSON, and raw."""

    columns: list[dict[str, Any]]
    rows: list[list[Any]]
    raw: list[tuple[Any, ...]]
    customers: list[tuple[int, str]]
    """Id and label of the customers in the rows."""
    more: bool = False
    """A ranking: rows beyond the limit tie with the last one. A list: there are further rows."""
    part: Any = None
    total: Any = None
    """A share's part and whole."""


def reading(plan: Plan, registry: Registry, names: Mapping[int, str]) -> str:
    """How the question was understood, complete: whatever isn't said here wasn't done."""
    metric = registry.metrics[plan.metric]
    if plan.show == "customers":
        text = customers(plan, registry, names)
        if plan.columns:
            labels = ", ".join(registry.metrics[name].label.lower() for name in plan.columns)
            text += f"; shown with {labels}"
        extra = [name for name in plan.group_by if name != CUSTOMER]
        return text + (f"; with {_and(_group(registry, name) for name in extra)}" if extra else "")
    text = f"change of {_lower(metric.label)}" if plan.since else metric.label
    if plan.show == "share":
        text = f"share of {metric.label.lower()} in percent"
        if plan.base:
            text += f" (of those with {_and(_filter(f, registry, names) for f in plan.base)})"
    narrowed = _narrowed(plan, registry, names)
    if plan.group_by:
        text += f" by {_and(_group(registry, name) for name in plan.group_by)}"
    text = _joined_to(text, narrowed)
    if plan.having:
        text += f", groups of {_bound(metric, plan.having.op, plan.having.value)}"
    if plan.rank:
        text += f", {plan.rank} first"
    if plan.limit:
        text += f", {plan.limit} row{'s' if plan.limit > 1 else ''}"
    return text


def sentence(plan: Plan, registry: Registry, table: Table, names: Mapping[int, str]) -> str:
    """The answer in words; long lists name their first rows."""
    metric = registry.metrics[plan.metric]
    if plan.show == "customers":
        return _customers_sentence(plan, registry, table, names)
    narrowed = _narrowed(plan, registry, names)
    label = _label(plan, metric)
    subject = _joined_to(label, narrowed)
    if plan.since:
        return _change_sentence(plan, registry, table, subject)
    if not plan.group_by:
        if plan.show == "share":
            whole = figure(metric, table.total)
            of = f"{metric.label.lower()}"
            if plan.base:
                of += f" with {_and(_filter(f, registry, names) for f in plan.base)}"
            if table.raw[0][0] is None and table.total:
                return f"Share of {of}, {narrowed}: no figure."
            if table.raw[0][0] is None:
                return f"There is no whole to take a share of: {of} is {whole}."
            part = figure(metric, table.part)
            return f"{percent(table.raw[0][0])} of {of}: {narrowed}, {part} of {whole}."
        return f"{subject}: {figure(metric, table.raw[0][0])}."
    grouped = _and(_group(registry, name) for name in plan.group_by)
    grouping = _joined_to(f"{label} by {grouped}", narrowed)
    if not table.raw:
        return f"{grouping}: none."
    at = len(_key_widths(plan))
    shown = []
    for row in table.raw[:NAMED_ROWS]:
        value = figure(metric, row[at])
        if plan.show == "share":
            value = f"{percent(row[-1])} ({value})"
        shown.append(f"{_key(plan, row)} {value}")
    rest = len(table.raw) - len(shown)
    more = f" and {rest} more" if rest > 0 else ""
    if plan.rank and plan.limit == 1:
        keys = _and(_key(plan, row) for row in table.raw[:NAMED_ROWS])
        what = "number of " if metric.additive and metric.unit != "CAD" else ""
        each = "each " if len(table.raw) > 1 else ""
        value = figure(metric, table.raw[0][at])
        return f"{keys}{more}: {each}{value}, the {plan.rank} {what}{_lower(grouping)}."
    order = f", {plan.rank} first" if plan.rank else ""
    return f"{grouping}{order}: {'; '.join(shown)}{more}."


def _change_sentence(plan: Plan, registry: Registry, table: Table, subject: str) -> str:
    metric = registry.metrics[plan.metric]
    if not plan.group_by:
        before, after, change = table.raw[0]
        return (
            f"{subject}: {figure(metric, before)} before, {figure(metric, after)} after,"
            f" {_moved(metric, change)}."
        )
    grouped = _and(_group(registry, name) for name in plan.group_by)
    shown = [
        f"{_key(plan, row)} {_moved(metric, row[-1])} {'to' if row[-1] else 'at'}"
        f" {figure(metric, row[-2])}"
        for row in table.raw[:NAMED_ROWS]
    ]
    rest = len(table.raw) - len(shown)
    more = f" and {rest} more" if rest > 0 else ""
    return f"{subject}, by {grouped}: {'; '.join(shown) or 'none'}{more}."


def _moved(metric: Metric, change: Any) -> str:
    if change is None:
        return "no change to tell"
    if not change:
        return "unchanged"
    return f"{'up' if change > 0 else 'down'} {figure(metric, abs(change))}"


def scope(
    asked: Scope, found: Mapping[str, Any] | None, kinds: Collection[Narrows] | None = None
) -> str:
    """Names what the dashboard's filters narrowed, and offers to ask without them.

    Args:
        asked: the filters.
        found: the scope's document; None leaves out how many customers there are.
        kinds: the kinds of filter that narrowed this answer; None names every filter.

    """
    every = kinds is None
    asked = asked.model_copy(
        update={
            field: None
            for declared in FILTERS
            for field in declared.fields
            if not (every or declared.narrows in (kinds or ()))
        }
    )
    parts = []
    if asked.customers is not None:
        ids = ", ".join(f"#{number}" for number in asked.customers[:NAMED_ROWS])
        more = len(asked.customers) - NAMED_ROWS
        listed = (ids or "none") + (f" and {more} more" if more > 0 else "")
        parts.append(f"customers {listed}")
    for label, values in (
        ("cities", asked.cities),
        ("credit bands", asked.credit_bands),
        ("loan types", asked.loan_types),
    ):
        if values is not None:
            parts.append(f"{label} {', '.join(values) or 'none'}")
    if asked.start or asked.end:
        parts.append(f"days {days(asked.start, asked.end)}")
    if not parts:
        of_customers = every or "customers" in (kinds or ())
        if (
            of_customers
            and found is not None
            and found["customers"] != "all"
            and found["customer_count"]
        ):
            return f"This covers the {_count(found['customer_count'])} you may see."
        return ""
    people = (asked.customers, asked.cities, asked.credit_bands) != (None, None, None)
    count = f" ({_count(found['customer_count'])})" if found is not None and people else ""
    return (
        f"Narrowed by the dashboard's filters to {'; '.join(parts)}{count};"
        " ask without them for all that you may see."
    )


def customers(plan: Plan, registry: Registry, names: Mapping[int, str]) -> str:
    """The customers of a plan: "customers with credit score > 600 and at least one loan"."""
    narrowed = _narrowed(plan, registry, names)
    return _joined_to("customers", narrowed)


def figure(metric: Metric, value: Any) -> str:
    """A figure as people write it, with its unit."""
    if value is None:
        return "no figure"
    if metric.unit == "CAD":
        return f"CAD {_round(value):,.2f}"
    if metric.additive:
        unit = _singular(metric.unit) if value == 1 else metric.unit
        return f"{int(value):,} {unit}".strip()
    mean = _round(value)
    written = f"{mean:,.0f}" if mean == mean.to_integral_value() else f"{mean:,.2f}"
    return f"{written} {_singular(metric.unit) if mean == 1 else metric.unit}".strip()


def percent(value: Any) -> str:
    """A percentage to two places."""
    return "no share" if value is None else f"{_round(value):,.2f} %"


def _customers_sentence(
    plan: Plan, registry: Registry, table: Table, names: Mapping[int, str]
) -> str:
    described = customers(plan, registry, names)
    if plan.columns and len(table.raw) == 1:
        label, row = table.customers[0][1], table.raw[0]
        figures = [
            _profiled(registry.metrics[name], value)
            for name, value in zip(plan.columns, row[-len(plan.columns) :], strict=True)
        ]
        return f"{label}: {', '.join(figures)}."
    extra = [name for name in plan.group_by if name != CUSTOMER]
    if extra and len(table.raw) == 1:
        row = table.raw[0]
        values = [
            f"{_group(registry, name)} {_value(name, value)}"
            for name, value in zip(extra, row[2:], strict=False)
        ]
        return f"{table.customers[0][1]}: {', '.join(values)}."
    count = len(table.raw)
    if not count:
        return f"No {described}."
    named = "; ".join(label for _, label in table.customers[:NAMED_ROWS])
    more = f" and {count - NAMED_ROWS:,} more" if count > NAMED_ROWS else ""
    one = f"1 customer{described.removeprefix('customers')}"
    return f"{one if count == 1 else f'{count:,} {described}'}: {named}{more}."


def _profiled(metric: Metric, value: Any) -> str:
    if metric.additive and metric.unit != "CAD" and value is not None:
        return figure(metric, value)
    return f"{metric.label.lower().removeprefix('average ')} {figure(metric, value)}"


def _narrowed(plan: Plan, registry: Registry, names: Mapping[int, str]) -> str:
    parts = [_filter(found, registry, names) for found in plan.filters]
    conditions = [_condition(found, registry, names) for found in plan.conditions]
    text = ", ".join(parts)
    if conditions:
        of = "with" if plan.metric in ("customer_count", "borrower_count") else "of customers with"
        text += f"{', ' if text else ''}{of} {_and(conditions)}"
    if plan.start or plan.end:
        text += f"{', ' if text else ''}{days(plan.start, plan.end)}"
    if plan.since:
        text += f"{', ' if text else ''}from {plan.since} to {plan.as_of or 'now'}"
    elif plan.as_of:
        text += f"{', ' if text else ''}as of {plan.as_of}"
    return text


def _filter(found: Filter, registry: Registry, names: Mapping[int, str]) -> str:
    dimension = registry.dimensions[found.field]
    if found.field == CUSTOMER:
        listed = _or(names.get(int(value), f"#{value}") for value in found.values)
        return f"{'customer ' if found.op == 'in' else 'not customer '}{listed}"
    if found.op in ("in", "not in"):
        values = _or(_value(found.field, value) for value in found.values)
        return f"{dimension.label.lower()} {'' if found.op == 'in' else 'not '}{values}"
    return f"{dimension.label.lower()} {found.op} {found.values[0]}"


def _condition(found: Condition, registry: Registry, names: Mapping[int, str]) -> str:
    metric = registry.metrics[found.metric]
    kinds = [_filter(part, registry, names) for part in found.filters]
    tail = f" ({', '.join(kinds)})" if kinds else ""
    if found.start or found.end:
        tail += f" {days(found.start, found.end)}"
    if not metric.additive or metric.unit == "CAD":
        label = metric.label.lower().removeprefix("average ") if metric.unit == "points" else ""
        value = found.value
        number = f"{value:,.2f}" if metric.unit == "CAD" else f"{value:f}"
        unit = "CAD " if metric.unit == "CAD" else ""
        return f"{label or metric.label.lower()} {found.op} {unit}{number}{tail}"
    return f"{_bound(metric, found.op, found.value)}{tail}"


def _bound(metric: Metric, op: str, value: Decimal) -> str:
    """A bound in words: "at least one loan", "no deposits", "more than CAD 500.00"."""
    if metric.unit == "CAD" or not metric.additive:
        return f"{_COMPARED[op]} {figure(metric, value)}"
    things = metric.label.lower()
    if op == "=" and value == 0:
        return f"no {things}"
    if op == ">=" and value == 1:
        return f"at least one {_singular(things)}"
    return f"{_COMPARED[op]} {value:f} {_singular(things) if value == 1 else things}"


def _group(registry: Registry, name: str) -> str:
    if name in DATE_GRAINS or name == CUSTOMER:
        return name
    return registry.dimensions[name].label.lower()


def _key_widths(plan: Plan) -> list[str]:
    """One entry a key column of a row: a customer has two."""
    return [
        part for name in plan.group_by for part in (("id", name) if name == CUSTOMER else (name,))
    ]


def _key(plan: Plan, row: Sequence[Any]) -> str:
    named = zip(_key_widths(plan), row, strict=False)
    return ", ".join(_value(name, value) for name, value in named if name != "id")


def _value(name: str, value: Any) -> str:
    if value is None:
        return "(none)"
    if name == "transaction_weekday" and str(value).isdigit() and 1 <= int(value) <= 7:
        return _DAYS[int(value) - 1]
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        return {"month": f"{value:%Y-%m}", "year": f"{value:%Y}"}.get(name, value.isoformat())
    return str(value)


def days(start: date | None, end: date | None) -> str:
    """Days from one to the other, either of which may be open."""
    if start and end:
        return start.isoformat() if start == end else f"{start} to {end}"
    return f"from {start}" if start else f"up to {end}"


def _round(value: Any) -> Decimal:
    return Decimal(str(value)).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)


def _count(number: int) -> str:
    return "1 customer" if number == 1 else f"{number:,} customers"


def _label(plan: Plan, metric: Metric) -> str:
    """The metric's label; one customer has a score, not an average of scores."""
    one = any(f.field == CUSTOMER and f.op == "in" and len(f.values) == 1 for f in plan.filters)
    return (
        metric.label.removeprefix("Average ").capitalize()
        if (one and metric.unit == "points")
        else metric.label
    )


def _joined_to(subject: str, narrowed: str) -> str:
    if not narrowed:
        return subject
    return (
        f"{subject} {narrowed}"
        if narrowed.startswith(("with ", "of "))
        else f"{subject}, {narrowed}"
    )


def _singular(things: str) -> str:
    return things[:-3] + "y" if things.endswith("ies") else things.removesuffix("s")


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _and(parts: Any) -> str:
    return _joined(list(parts), "and")


def _or(parts: Any) -> str:
    return _joined(list(parts), "or")


def _joined(parts: Sequence[str], word: str) -> str:
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"
