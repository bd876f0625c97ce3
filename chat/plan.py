"""A validated plan, and the SQL it becomes: rendered by MetricFlow, its literals bound.

The plan is the only way to a figure. The parser and the language model both make one; both pass
:func:`validate`, and nothing but names of the registry reaches the SQL.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chat.registry import (
    CUSTOMER,
    DATE_GRAINS,
    RANGE,
    RECORD_STATUS,
    Dimension,
    Metric,
    Registry,
)
from lakehouse.filters import NO_SCORE
from lakehouse.text import spellings_of
from lakehouse.unknown_credit import NOT_KNOWN

Comparison = Literal["=", ">", ">=", "<", "<="]
MAX_LIMIT = 10_000
MAX_TIES = 100
"""Rows that a ranking reads beyond its limit."""


class NotCovered(Exception):
    """What was asked is not in the registry; the message says what exactly."""


class Unclear(Exception):
    """The question can be read in several ways; the message asks which."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Filter(_Part):
    """Rows whose dimension has (or has not) one of some values, or compares with a number."""

    field: str
    op: Literal["in", "not in", "=", ">", ">=", "<", "<="] = "in"
    values: tuple[int | str, ...] = Field(min_length=1)


class Condition(_Part):
    """Customers whose own figure compares with a number: "at least one loan"."""

    metric: str
    op: Comparison
    value: Decimal
    filters: tuple[Filter, ...] = ()
    start: date | None = Field(default=None, validation_alias="from", serialization_alias="from")
    end: date | None = Field(default=None, validation_alias="to", serialization_alias="to")


class Having(_Part):
    """Groups whose figure compares with a number."""

    op: Comparison
    value: Decimal


class Plan(_Part):
    """What to compute. Field names are the JSON of ``"plan"``."""

    metric: str
    show: Literal["figure", "share", "customers"] = "figure"
    """``share``: the figure with ``filters`` and ``conditions`` as a percentage of that without."""
    group_by: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    conditions: tuple[Condition, ...] = ()
    base: tuple[Filter, ...] = ()
    """Filters of a share's whole, and so of its part too."""
    start: date | None = Field(default=None, validation_alias="from", serialization_alias="from")
    end: date | None = Field(default=None, validation_alias="to", serialization_alias="to")
    as_of: date | None = None
    """What was known at the end of this day; None is what is known now."""
    since: date | None = None
    """Asks for the change from the end of this day to ``as_of``."""
    rank: Literal["highest", "lowest"] | None = None
    limit: int | None = Field(default=None, ge=1, le=MAX_LIMIT)
    having: Having | None = None
    columns: tuple[str, ...] = ()
    """Further figures beside each listed customer."""

    def to_json(self) -> dict[str, Any]:
        """The plan as it is printed, and as ``history`` hands it back: what is set, no more."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {
            "metric": self.metric
        }

    @property
    def of_the_past(self) -> bool:
        """Whether it is answered from the history."""
        return self.as_of is not None or self.since is not None


class Scope(_Part):
    """The dashboard's filters, as a scope file has them. An empty list lets nobody through."""

    customers: tuple[int, ...] | None = None
    cities: tuple[str, ...] | None = None
    credit_bands: tuple[str, ...] | None = None
    loan_types: tuple[str, ...] | None = None
    start: date | None = Field(default=None, validation_alias="from", serialization_alias="from")
    end: date | None = Field(default=None, validation_alias="to", serialization_alias="to")


@dataclass(frozen=True)
class Population:
    """Which customers may be counted: a predicate over the customers' mart, its literals bound."""

    everyone: bool
    predicate: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    loan_types: tuple[str, ...] | None = None
    """Narrows loans and who holds them, and nothing else."""
    start: date | None = None
    end: date | None = None


@dataclass(frozen=True)
class Query:
    """SQL with named parameters, and the columns it yields in order."""

    sql: str
    parameters: dict[str, Any]


def from_json(raw: Any, registry: Registry) -> Plan:
    """A plan from JSON (history, language model), validated.

    Raises:
        NotCovered: it is no plan, or it names what the registry doesn't have.

    """
    try:
        return validate(Plan.model_validate(raw), registry)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise NotCovered(f"the plan's {where or 'form'}: {first['msg']}") from None


def validate(plan: Plan, registry: Registry) -> Plan:
    """The plan with values spelled as the marts spell them.

    Raises:
        NotCovered: a metric, dimension, value, date or combination that the registry doesn't have.

    """
    if plan.of_the_past:
        return _validate_past(plan, registry)
    metric = _metric(registry, plan.metric)
    for name in plan.group_by:
        _grouping(registry, metric, name)
    if len(set(plan.group_by)) != len(plan.group_by):
        raise NotCovered("one grouping is named twice")
    _require_dates(metric, plan.start, plan.end)
    if plan.conditions and not metric.of_customers:
        raise NotCovered(f"{_anonymous(metric)}{metric.label} can't be narrowed to customers")
    if plan.show == "customers" and plan.metric != "customer_count":
        raise NotCovered("only customers can be listed")
    if plan.columns and plan.show != "customers":
        raise NotCovered("further figures stand only beside listed customers")
    for name in plan.columns:
        _metric(registry, name)
    if plan.having and not plan.group_by:
        raise NotCovered("a bound on groups needs a grouping")
    if plan.rank and not plan.group_by:
        raise NotCovered("a ranking needs something to rank: cities, customers, loan types …")
    if plan.show == "share" and not (metric.additive and (plan.group_by or _narrowed(plan))):
        raise NotCovered("a share needs a part and a whole that can be counted or summed")
    return plan.model_copy(
        update={
            "filters": tuple(_filter(registry, metric, found) for found in plan.filters),
            "base": tuple(_filter(registry, metric, found) for found in plan.base),
            "conditions": tuple(_condition(registry, found) for found in plan.conditions),
        }
    )


def _validate_past(plan: Plan, registry: Registry) -> Plan:
    metric = _metric(registry, plan.metric)
    past = _past(registry, metric)
    for condition in plan.conditions:
        _past(registry, _metric(registry, condition.metric))
    for name in (*plan.group_by, *(found.field for found in (*plan.filters, *plan.base))):
        if name in registry.dimensions and name not in past.dimensions:
            label = _label(registry, name)
            raise NotCovered(f"{metric.label} of an earlier day isn't known by {label}")
    if plan.show == "customers":
        raise NotCovered("customers can't be listed as of an earlier day, only counted")
    if plan.since and (plan.show == "share" or plan.rank or plan.having):
        raise NotCovered("a change over time can't be ranked, bounded or made a share")
    if plan.since and plan.as_of and plan.since >= plan.as_of:
        raise NotCovered(f"the days {plan.since} to {plan.as_of} run backwards")
    last = plan.as_of or plan.since
    if last is not None and past.through is not None and last > past.through:
        raise NotCovered(f"{metric.label} of {last} isn't known yet: this is of {past.through}")
    first = plan.since or plan.as_of
    if first is not None and past.begins is not None and first < past.begins:
        raise NotCovered(
            f"{metric.label} of {first} isn't known: the history begins on {past.begins}"
        )
    today = plan.model_copy(update={"as_of": None, "since": None})
    return validate(today, past).model_copy(update={"as_of": plan.as_of, "since": plan.since})


def _past(registry: Registry, metric: Metric) -> Registry:
    past = registry.past_of(metric)
    if past is None:
        raise NotCovered(f"{metric.label} of an earlier day isn't known: no history is kept of it")
    return past


class Renderer:
    """MetricFlow's SQL, once a shape: kept in memory, then on disk beside the version's cache."""

    def __init__(self, manifest_file: Path, cache: Path) -> None:
        self.manifest_file = manifest_file
        self.cache = cache
        self.rendered: dict[str, str] = {}
        self.engine: Any = None
        self.rendering = threading.Lock()

    def sql(self, metric: str, group_by: Sequence[str], where: Sequence[str]) -> str:
        """SQL of one metric; ``where`` are MetricFlow's templates with ``$name`` for literals."""
        shape = json.dumps([metric, list(group_by), list(where)])
        if shape not in self.rendered:
            file = self.cache / f"{hashlib.sha256(shape.encode()).hexdigest()[:32]}.json"
            found = self._read(file, shape)
            if found is None:
                # MetricFlow numbers its aliases by a counter that all threads share.
                with self.rendering:
                    found = self._render(metric, group_by, where)
                self._write(file, shape, found)
            self.rendered[shape] = found
        return self.rendered[shape]

    def _render(self, metric: str, group_by: Sequence[str], where: Sequence[str]) -> str:
        # A second of imports, paid only for a shape that this version has never seen.
        from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

        from chat.metricflow import engine

        if self.engine is None:
            self.engine = engine(self.manifest_file)
        request = MetricFlowQueryRequest.create(
            metric_names=[metric],
            group_by_names=list(group_by) or None,
            where_constraints=list(where) or None,
        )
        sql: str = self.engine.explain(request).sql_statement.sql
        lines = (line for line in sql.splitlines() if not line.lstrip().startswith("--"))
        return "\n".join(line for line in lines if line.strip())

    def _read(self, file: Path, shape: str) -> str | None:
        try:
            kept = json.loads(file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return str(kept["sql"]) if kept.get("shape") == shape else None

    def _write(self, file: Path, shape: str, sql: str) -> None:
        self.cache.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"shape": shape, "sql": sql}))
        temporary.replace(file)


def compose(plan: Plan, population: Population, registry: Registry, renderer: Renderer) -> Query:
    """The query of a plan. Columns: the groupings, then the figure; listed customers: then figures.

    A customer takes two columns, id and label. A ranking asks for more rows than its limit, so that
    ties at the cut can be told. A change has three figures: before, after and their difference.
    """
    registry = registry_of(plan, registry)
    writer = _Writer(population, registry, renderer, plan.as_of)
    metric = registry.metrics[plan.metric]
    if plan.since:
        return writer.change(plan)
    inner = writer.figure(plan)
    keys = [_reference(registry, name) for name in plan.group_by]
    if plan.rank == "lowest" and metric.additive:
        inner = writer.with_zeros(plan, inner)
    if plan.show == "customers":
        return writer.customers(plan, inner)
    customer = CUSTOMER in plan.group_by
    shown = []
    for name, key in zip(plan.group_by, keys, strict=True):
        if name == CUSTOMER:
            shown += [f"m.{key} AS customer_id", _LABEL.format(key=f"m.{key}")]
        else:
            shown.append(f"m.{key}")
    shown.append(f"m.{metric.name}")
    sql = f"SELECT {', '.join(shown)} FROM ({inner}) AS m"
    if customer:
        sql += f" LEFT JOIN {registry.customers} AS c ON c.customer_id = m.{CUSTOMER}"
    bounds = []
    if plan.having:
        bounds.append(f"m.{metric.name} {plan.having.op} {writer.bind(plan.having.value)}")
    if plan.rank:
        bounds += [f"m.{key} IS NOT NULL" for key in keys] + [f"m.{metric.name} IS NOT NULL"]
        if "credit_band" in plan.group_by:
            # No score is no band that could be the best or the worst.
            band = _reference(registry, "credit_band")
            bounds.append(f"m.{band} <> '{NO_SCORE}'")
    if bounds:
        sql += f" WHERE {' AND '.join(bounds)}"
    if keys:
        sql += f" ORDER BY {', '.join(_order(plan, registry, metric, keys))}"
        sql += f" LIMIT {(plan.limit or MAX_LIMIT) + MAX_TIES}"
    return Query(sql, writer.parameters)


def registry_of(plan: Plan, registry: Registry) -> Registry:
    """The registry that a plan is answered from."""
    if plan.of_the_past and registry.past is not None:
        return registry.past
    return registry


def rows_behind(
    plan: Plan, population: Population, registry: Registry, renderer: Renderer, limit: int = 10
) -> Query:
    """Rows of the mart that the plan's figure is computed from, at most ``limit``."""
    registry = registry_of(plan, registry)
    writer = _Writer(population, registry, renderer, plan.as_of)
    metric = registry.metrics[plan.metric]
    columns = {f"{registry.ranges}__{day}": f"f.{day}" for day in RANGE if registry.ranges}
    computed: dict[str, dict[str, str]] = {}
    for dimension in registry.dimensions.values():
        side = "f" if dimension.relation == metric.relation else "c"
        column_name = dimension.expression
        if not column_name.isidentifier():
            column_name = f"computed_{dimension.name}"
            computed.setdefault(dimension.relation, {})[column_name] = dimension.expression
        columns[dimension.reference] = f"{side}.{column_name}"
    columns[CUSTOMER] = "f.customer_id"

    def relation(name: str) -> str:
        further = "".join(f", {sql} AS {alias}" for alias, sql in computed.get(name, {}).items())
        return f"(SELECT *{further} FROM {name})" if further else name

    def column(found: re.Match[str]) -> str:
        return f"f.{metric.date}" if found[2] == "metric_time" else columns[found[2]]

    where = [re.sub(r"\{\{ (\w+)\('(\w+)'[^}]*\}\}", column, part) for part in writer.where(plan)]
    own = computed.get(metric.relation, {})
    without = f" EXCLUDE ({', '.join(own)})" if own else ""
    sql = f"SELECT f.*{without} FROM {relation(metric.relation)} AS f"
    if metric.of_customers and metric.relation != registry.customers:
        sql += f" LEFT JOIN {relation(registry.customers)} AS c ON c.customer_id = f.customer_id"
    if where:
        sql += f" WHERE {' AND '.join(f'({part})' for part in where)}"
    return Query(f"{sql} LIMIT {int(limit)}", writer.parameters)


_UNKNOWN = f"{RECORD_STATUS} IN {NOT_KNOWN}"
_LABEL = "coalesce(c.customer_label, '#' || {key} || ' (not in core banking)') AS customer"


class _Writer:
    """Collects bound literals while one query is written."""

    def __init__(
        self, population: Population, registry: Registry, renderer: Renderer, day: date | None
    ) -> None:
        self.population = population
        self.registry = registry
        self.renderer = renderer
        self.day = day
        """Of a past registry: what was known at its end; None is what is known now."""
        self.parameters: dict[str, Any] = {}
        self.bound = 0

    def bind(self, value: Any) -> str:
        name = f"p{self.bound}"
        self.bound += 1
        self.parameters[name] = value
        return f"${name}"

    def figure(self, plan: Plan) -> str:
        """MetricFlow's SQL of the plan's metric by its groupings."""
        metric = self.registry.metrics[plan.metric]
        where = self.where(plan)
        groups = [_reference(self.registry, name) for name in plan.group_by]
        return self.renderer.sql(metric.name, groups, where)

    def where(self, plan: Plan) -> list[str]:
        """MetricFlow's templates of all that narrows the plan."""
        metric = self.registry.metrics[plan.metric]
        where = [self._filter(found) for found in (*plan.base, *plan.filters)]
        where += [self._condition(found) for found in plan.conditions]
        where += self._dates(metric, plan.start, plan.end)
        return where + self._scope(metric)

    def change(self, plan: Plan) -> Query:
        """The figure of two days side by side, and by how much the later one is more."""
        metric = self.registry.metrics[plan.metric]
        after = self.figure(plan)
        self.day = plan.since
        before = self.figure(plan)
        keys = [_reference(self.registry, name) for name in plan.group_by]
        # What is unknown on one day, or not there yet, has not moved from or to zero.
        figures = [f"{side}.{metric.name}" for side in ("b", "a")]
        shown, joins = [], ""
        for name, key in zip(plan.group_by, keys, strict=True):
            either = f"coalesce(a.{key}, b.{key})"
            shown.append(f"{either} AS {key}")
            if name == CUSTOMER:
                shown.append(_LABEL.format(key=either))
                joins = f" LEFT JOIN {self.registry.customers} AS c ON c.customer_id = {either}"
        shown += [*figures, f"{figures[1]} - {figures[0]}"]
        same = " AND ".join(f"a.{key} IS NOT DISTINCT FROM b.{key}" for key in keys)
        sql = f"SELECT {', '.join(shown)} FROM ({after}) AS a FULL JOIN ({before}) AS b"
        sql += f" ON {same or 'true'}{joins}"
        if keys:
            sql += f" ORDER BY {', '.join(f'{key} NULLS LAST' for key in keys)}"
            sql += f" LIMIT {(plan.limit or MAX_LIMIT) + 1}"
        return Query(sql, self.parameters)

    def with_zeros(self, plan: Plan, inner: str) -> str:
        """The same groups, and those that have nothing, as zero: the fewest may be none at all."""
        base = self.registry.metrics["customer_count"]
        own = self.registry.metrics[plan.metric]
        if not (self._can_be_missing(own) and set(plan.group_by) <= set(base.dimensions)):
            return inner
        if self.registry.ranges is not None:
            # Of the past everyone has a row, and NULL there is unknown.
            return inner
        kept = tuple(found for found in plan.filters if found.field in base.dimensions)
        conditions = plan.conditions
        if own.relation == self.registry.loans:
            kept += _known(self.registry)
        everyone = Plan(
            metric="customer_count", group_by=plan.group_by, filters=kept, conditions=conditions
        )
        keys = [_reference(self.registry, name) for name in plan.group_by]
        joined = " AND ".join(f"b.{key} IS NOT DISTINCT FROM f.{key}" for key in keys)
        columns = ", ".join(f"b.{key}" for key in keys)
        return (
            f"SELECT {columns}, coalesce(f.{own.name}, 0) AS {own.name}"
            f" FROM ({self.figure(everyone)}) AS b LEFT JOIN ({inner}) AS f ON {joined}"
        )

    def customers(self, plan: Plan, inner: str) -> Query:
        """The customers themselves, with the figures that chose them."""
        shown = [f"m.{CUSTOMER} AS customer_id", _LABEL.format(key=f"m.{CUSTOMER}")]
        joins = [f" LEFT JOIN {self.registry.customers} AS c ON c.customer_id = m.{CUSTOMER}"]
        others = [name for name in plan.group_by if name != CUSTOMER]
        shown += [f"m.{_reference(self.registry, name)}" for name in others]
        for number, (name, part) in enumerate(figures(plan)):
            own = self.registry.metrics[name]
            zero = f"f{number}.{name}"
            if self._can_be_missing(own):
                zero = f"coalesce({zero}, 0)"
            if own.relation == self.registry.loans and self.registry.not_known:
                zero = f"CASE WHEN c.{_UNKNOWN} THEN NULL ELSE {zero} END"
            shown.append(f"{zero} AS figure_{number}")
            joins.append(
                f" LEFT JOIN ({self.figure(part)}) AS f{number}"
                f" ON f{number}.{CUSTOMER} = m.{CUSTOMER}"
            )
        sql = f"SELECT {', '.join(shown)} FROM ({inner}) AS m{''.join(joins)}"
        sql += f" ORDER BY m.{CUSTOMER} LIMIT {(plan.limit or MAX_LIMIT) + 1}"
        return Query(sql, self.parameters)

    def _filter(self, found: Filter) -> str:
        dimension = self.registry.dimensions[found.field]
        reference = _template(dimension)
        if found.op in ("in", "not in"):
            listed = f"{reference} = ANY({self.bind(list(found.values))})"
            # Customers without a city are outside Toronto too.
            return listed if found.op == "in" else f"NOT coalesce({listed}, false)"
        return f"{reference} {found.op} {self.bind(Decimal(str(found.values[0])))}"

    def _condition(self, condition: Condition) -> str:
        own = self.registry.metrics[condition.metric]
        part = Plan(
            metric=condition.metric,
            group_by=(CUSTOMER,),
            filters=condition.filters,
            start=condition.start,
            end=condition.end,
        )
        entity = f"{{{{ Entity('{CUSTOMER}') }}}}"
        figure = self.figure(part)
        bound = f"{own.name} {condition.op} {self.bind(condition.value)}"
        known = f"{CUSTOMER} IS NOT NULL"
        if not (self._can_be_missing(own) and _holds_for_zero(condition)):
            return f"{entity} IN (SELECT {CUSTOMER} FROM ({figure}) AS s WHERE {bound} AND {known})"
        # Those without a single row have zero; they are nowhere in the sub-query.
        # One whose figure is unknown has a row with NULL there, and doesn't count as zero.
        where = (
            f"{entity} NOT IN (SELECT {CUSTOMER} FROM ({figure}) AS s"
            f" WHERE ({bound}) IS NOT TRUE AND {known})"
        )
        if own.relation == self.registry.loans and self.registry.not_known:
            where += (
                f" AND {entity} NOT IN (SELECT customer_id FROM {self.registry.customers}"
                f" WHERE {_UNKNOWN})"
            )
            if "unknown" in self.registry.not_known:
                # The refused record may also be that of someone core banking doesn't know.
                where += f" AND {entity} IN (SELECT customer_id FROM {self.registry.customers})"
        return where

    def _dates(self, metric: Metric, start: date | None, end: date | None) -> list[str]:
        starts = [day for day in (start, self.population.start) if day]
        ends = [day for day in (end, self.population.end) if day]
        day = "{{ TimeDimension('metric_time', 'day') }}"
        if self.registry.ranges is not None:
            return self._range(self.registry.ranges)
        if metric.date is None:
            return []
        where = [f"{day} >= {self.bind(max(starts))}"] if starts else []
        return where + ([f"{day} <= {self.bind(min(ends))}"] if ends else [])

    def _range(self, entity: str) -> list[str]:
        begun, ended = (f"{{{{ TimeDimension('{entity}__{day}', 'day') }}}}" for day in RANGE)
        if self.day is None:
            return [f"{ended} IS NULL"]
        day = self.bind(self.day)
        return [f"{begun} <= {day} AND ({ended} IS NULL OR {ended} > {day})"]

    def _scope(self, metric: Metric) -> list[str]:
        if not metric.of_customers:
            return []
        where = []
        customer = f"{{{{ Entity('{CUSTOMER}') }}}}"
        if not self.population.everyone:
            self.parameters.update(self.population.parameters)
            where.append(
                f"{customer} IN (SELECT customer_id FROM {self.registry.customers}"
                f" WHERE {self.population.predicate})"
            )
        if self.registry.of_loans(metric) and self.population.loan_types is not None:
            listed = self.bind(list(self.population.loan_types))
            loan_type = self.registry.dimension_of(metric, "loan_type")
            where.append(
                f"{_template(loan_type)} = ANY({listed})"
                if loan_type
                else f"{customer} IN (SELECT customer_id FROM {self.registry.loans}"
                f" WHERE loan_type = ANY({listed}))"
            )
        return where

    def _can_be_missing(self, metric: Metric) -> bool:
        """Whether a customer without a row of the metric's mart has zero of it."""
        return metric.additive and metric.relation != self.registry.customers


def figures(plan: Plan) -> list[tuple[str, Plan]]:
    """The figures beside each listed customer: those of the conditions, then the further ones."""
    found = [
        (
            condition.metric,
            Plan(
                metric=condition.metric,
                group_by=(CUSTOMER,),
                filters=condition.filters,
                start=condition.start,
                end=condition.end,
            ),
        )
        for condition in plan.conditions
    ]
    found += [(name, Plan(metric=name, group_by=(CUSTOMER,))) for name in plan.columns]
    unique: list[tuple[str, Plan]] = []
    for item in found:
        if item not in unique:
            unique.append(item)
    return unique


def whole(plan: Plan) -> Plan:
    """What a share is a share of."""
    return plan.model_copy(
        update={
            "filters": (),
            "conditions": (),
            "group_by": (),
            "rank": None,
            "limit": None,
            "having": None,
        }
    )


def _known(registry: Registry) -> tuple[Filter, ...]:
    """Leaves out customers whose credit isn't known."""
    values = registry.not_known
    return (Filter(field=RECORD_STATUS, op="not in", values=values),) if values else ()


def _holds_for_zero(condition: Condition) -> bool:
    value = condition.value
    return {
        "=": value == 0,
        ">": value < 0,
        ">=": value <= 0,
        "<": value > 0,
        "<=": value >= 0,
    }[condition.op]


def _metric(registry: Registry, name: str) -> Metric:
    if name not in registry.metrics:
        raise NotCovered(f"there is no metric {name}")
    return registry.metrics[name]


def _grouping(registry: Registry, metric: Metric, name: str) -> None:
    if name in DATE_GRAINS:
        if metric.date is None:
            raise NotCovered(f"{metric.label} has no date, so it can't be shown by {name}")
    elif registry.dimension_of(metric, name) is None:
        raise NotCovered(
            f"{_anonymous(metric)}{metric.label} can't be shown by {_label(registry, name)}"
        )


def _label(registry: Registry, name: str) -> str:
    return registry.dimensions[name].label.lower() if name in registry.dimensions else name


def _anonymous(metric: Metric) -> str:
    return "" if metric.of_customers else "complaints are anonymous: "


def _require_dates(metric: Metric, start: date | None, end: date | None) -> None:
    if (start or end) and metric.date is None:
        raise NotCovered(f"{metric.label} has no date, so it can't be narrowed to days")
    if start and end and start > end:
        raise NotCovered(f"the dates {start} to {end} run backwards")


def _filter(registry: Registry, metric: Metric, found: Filter) -> Filter:
    dimension = registry.dimension_of(metric, found.field)
    if dimension is None:
        label = _label(registry, found.field)
        raise NotCovered(f"{_anonymous(metric)}{metric.label} can't be narrowed by {label}")
    if dimension.kind == "customer":
        return found.model_copy(update={"values": tuple(_whole(value) for value in found.values)})
    if dimension.kind == "number":
        if found.op in ("in", "not in"):
            numbers = tuple(_whole(value) for value in found.values)
            return found.model_copy(update={"values": numbers})
        _number(found.values[0])
        return found
    if dimension.kind == "date" or found.op not in ("in", "not in"):
        raise NotCovered(f"{dimension.label} can't be compared")
    values: list[str] = []
    for value in found.values:
        spelled = spellings_of(str(value), dimension.values)
        if not spelled:
            raise NotCovered(f"there is no {dimension.label} {str(value)[:60]!r}")
        values += spelled
    return found.model_copy(update={"values": tuple(values)})


def _condition(registry: Registry, condition: Condition) -> Condition:
    metric = _metric(registry, condition.metric)
    if not metric.of_customers:
        raise NotCovered(f"{_anonymous(metric)}{metric.label} aren't known by customer")
    _require_dates(metric, condition.start, condition.end)
    filters = tuple(_filter(registry, metric, found) for found in condition.filters)
    return condition.model_copy(update={"filters": filters})


def _narrowed(plan: Plan) -> bool:
    return bool(plan.filters or plan.conditions)


def _whole(value: int | str) -> int:
    number = _number(value)
    if number != int(number):
        raise NotCovered(f"{value} is no whole number")
    return int(number)


def _number(value: int | str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise NotCovered(f"{str(value)[:60]!r} is no number") from None
    if not number.is_finite() or abs(number) >= Decimal(10) ** 18:
        raise NotCovered(f"{str(value)[:60]!r} is no number that can be compared")
    return number


def _template(dimension: Dimension) -> str:
    kind = "Entity" if dimension.kind == "customer" else "Dimension"
    return f"{{{{ {kind}('{dimension.reference}') }}}}"


def _reference(registry: Registry, name: str) -> str:
    """MetricFlow's name of a grouping, and so its column."""
    if name in DATE_GRAINS:
        return f"metric_time__{name}"
    return registry.dimensions[name].reference


def _order(plan: Plan, registry: Registry, metric: Metric, keys: Sequence[str]) -> list[str]:
    """Rankings by figure; dates, bands and numbers by their own order; else the largest first."""
    by_key = [f"m.{key} NULLS LAST" for key in keys]
    if plan.rank:
        direction = "DESC" if plan.rank == "highest" else "ASC"
        return [f"m.{metric.name} {direction} NULLS LAST", *by_key]
    first = plan.group_by[0]
    natural = first in DATE_GRAINS or first in ("credit_band", CUSTOMER)
    if natural or registry.dimensions[first].kind == "number":
        return by_key
    if len(plan.group_by) > 1:
        return by_key
    return [f"m.{metric.name} DESC NULLS LAST", *by_key]
