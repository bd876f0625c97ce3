"""A question answered on the published version: figure, sentence, reading, sources, scope."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from chat import bedrock, overlap, wording
from chat.phrases import FindPeople, Person
from chat.plan import (
    MAX_LIMIT,
    MAX_TIES,
    Filter,
    NotCovered,
    Plan,
    Population,
    Query,
    Scope,
    Unclear,
    compose,
    figures,
    from_json,
    registry_of,
    rows_behind,
    whole,
)
from chat.published import Published, opened
from chat.question import Understood
from chat.registry import CUSTOMER, DATE_GRAINS, OF_CREDIT, RECORD_STATUS, Metric, examples
from chat.wording import Table
from lakehouse.catalog import DOCUMENTS_PREFIX
from lakehouse.errors import UsageError
from lakehouse.filters import NO_SCORE
from lakehouse.settings import Settings
from lakehouse.text import key, spellings_of
from lakehouse.unknown_credit import not_counted, not_known
from lakehouse.users import Grant, read_grants

CITED_DOCUMENTS = 20
UNKNOWN_NAMED = 5
"""Values of the filters that an answer names because the version doesn't have them."""
PLACES = Decimal("0.000001")


class _Refused(Exception):
    """Entitlement doesn't allow it; the message names no customer that the asker may not see."""


@dataclass(frozen=True)
class _Asker:
    """Whom the asker may see, before and after the dashboard's filters."""

    entitled: Population
    scoped: Population
    scope: Scope
    unknown: tuple[str, ...] = ()
    """What the version doesn't have of the filters, such as ``customer in city Atlantis``."""
    nothing_known: bool = False
    """Whether one of the filters has no value that the version has."""


def ask(
    settings: Settings,
    question: str,
    *,
    user: str | None,
    scope: Scope | None = None,
    history: Sequence[Mapping[str, Any] | str] = (),
) -> dict[str, Any]:
    """Answer one question.

    Args:
        settings: the home; its published version answers.
        question: plain English.
        user: who asks; nobody sees nothing.
        scope: the dashboard's filters.
        history: earlier ``{"question", "plan"}`` pairs, or plain earlier questions.

    Returns:
        The document that ``chat ask --json`` prints.

    Raises:
        DiscoverError: nothing is published.

    """
    started = time.perf_counter()
    version = opened(settings.home)
    ledger = bedrock.Ledger()
    narrowed = scope or Scope()
    asker = _asker(version, user, read_grants(settings.home), narrowed)
    document: dict[str, Any] = {
        "question": question,
        "status": "refused",
        "answer": "",
        "reading": "",
        "plan": None,
        "columns": [],
        "rows": [],
        "citations": [_run_citation(version)],
        "scope": _scope_document(settings, version, asker),
        "ledger": {},
    }
    try:
        if asker.entitled.predicate == _NOBODY:
            raise _Refused(
                "Nobody has said who asks, so no figures are shown."
                if not user
                else "You may not see any customers, so no figures are shown."
            )
        if asker.nothing_known:
            raise _Refused(f"{_unknown(asker)} No figure can be narrowed to that.")
        earlier = _earlier(version, asker, history)
        understood = _understand(settings, version, asker, question, earlier, ledger)
        document |= _answered(version, asker, understood, document)
    except Unclear as error:
        document |= {"status": "needs_clarification", "answer": str(error)}
    except NotCovered as error:
        document |= {"answer": _not_covered(str(error), version, asker)}
    except (_Refused, overlap.NothingInBoth) as error:
        document |= {"answer": f"{error} {wording.scope(asker.scope, document['scope'])}".strip()}
    document["ledger"] = {
        "warehouse_queries": 0,
        "model_tokens": ledger.tokens,
        "cost_usd": ledger.cost_usd,
        "ms": round((time.perf_counter() - started) * 1000, 1),
    }
    return document


def explain(settings: Settings, figure: str, *, user: str | None) -> dict[str, Any]:
    """Where a figure comes from: metric, SQL with its bound values, rows of the mart behind it.

    Args:
        settings: the home.
        figure: a metric's name, a plan as JSON, or a question.
        user: who asks; only rows that they may see are shown.

    Raises:
        UsageError: it is none of these, or the asker may not see it.

    """
    version = opened(settings.home)
    asker = _asker(version, user, read_grants(settings.home), Scope())
    try:
        if asker.entitled.predicate == _NOBODY:
            raise _Refused("you may not see any customers")
        if figure in version.registry.metrics:
            plan = from_json({"metric": figure}, version.registry)
        elif figure.lstrip().startswith("{"):
            plan = from_json(json.loads(figure), version.registry)
        else:
            people = _people(version, asker)
            plan = version.parser.understand(figure, version.today, people).plan
        _require_entitled(version, asker, plan)
    except (NotCovered, Unclear, _Refused, json.JSONDecodeError) as error:
        raise UsageError(f"can't explain that: {error}", "see: discover metrics") from None
    query = compose(plan, asker.scoped, version.registry, version.renderer)
    behind = rows_behind(plan, asker.scoped, version.registry, version.renderer)
    names, rows = version.rows(behind)
    metric = registry_of(plan, version.registry).metrics[plan.metric]
    return {
        "metric": metric.name,
        "description": metric.description,
        "plan": plan.to_json(),
        "reading": wording.reading(plan, version.registry, _names(version, plan)),
        "sql": query.sql,
        "parameters": {name: _json(value) for name, value in query.parameters.items()},
        "mart": metric.relation.replace('"', ""),
        "mart_rows": {
            "columns": names,
            "rows": [
                [value.isoformat() if isinstance(value, date) else _json(value) for value in row]
                for row in rows
            ],
        },
        "run_id": version.manifest.run_id,
    }


# Who may see what.

_NOBODY = "false"


def _asker(version: Published, user: str | None, grants: Sequence[Grant], scope: Scope) -> _Asker:
    theirs = [grant for grant in grants if user and grant.user_name == user]
    entitled = _entitled(version, theirs)
    if not entitled.everyone:
        sql = f"SELECT count(*) FROM {version.registry.customers} WHERE {entitled.predicate}"
        if not version.figure(sql, entitled.parameters):
            # A city without customers, an id that is gone: no figure, rather than a zero.
            entitled = Population(everyone=False, predicate=_NOBODY)
    parts = [] if entitled.everyone else [entitled.predicate]
    parameters = dict(entitled.parameters)

    def narrow(predicate: str, name: str, values: Sequence[Any]) -> None:
        parts.append(predicate)
        parameters[name] = list(values)

    unknown: list[str] = []
    nothing_known = False

    def known(kind: str, values: Mapping[Any, Sequence[str]]) -> tuple[str, ...]:
        """The version's spellings of a filter's values; keeps those that it doesn't have."""
        nonlocal nothing_known
        missing = [value for value, spelled in values.items() if not spelled]
        unknown.extend(f"{kind} {value}" for value in missing)
        nothing_known = nothing_known or (bool(values) and len(missing) == len(values))
        return tuple(dict.fromkeys(name for spelled in values.values() for name in spelled))

    if scope.customers is not None:
        narrow("customer_id = ANY($s_customers)", "s_customers", scope.customers)
        where = " AND ".join(f"({part})" for part in parts)
        sql = f"SELECT customer_id FROM {version.registry.customers} WHERE {where}"
        seen = {row[0] for row in version.rows(Query(sql, parameters))[1]}
        # The same words for a customer of somebody else, who must not be revealed.
        ids = {f"#{n} that you may see": ["#"] if n in seen else [] for n in scope.customers}
        known("customer", ids)
    if scope.cities is not None:
        cities = known(
            "customer in city", {city: version.spellings_of(city) for city in scope.cities}
        )
        narrow("city = ANY($s_cities)", "s_cities", cities)
        scope = scope.model_copy(update={"cities": cities or scope.cities})
    if scope.credit_bands is not None:
        bands = {_band_name(value): [value] for value in _values(version, "credit_band")}
        asked = {band: bands.get(_band_name(band), []) for band in scope.credit_bands}
        named = known("customer in credit band", asked)
        narrow(f"coalesce(credit_band, '{NO_SCORE}') = ANY($s_bands)", "s_bands", named)
        scope = scope.model_copy(update={"credit_bands": named or scope.credit_bands})
    if scope.loan_types is not None:
        kinds = _values(version, "loan_type")
        asked = {kind: spellings_of(kind, kinds) for kind in scope.loan_types}
        loan_types = known("loan of type", asked)
        scope = scope.model_copy(update={"loan_types": loan_types or scope.loan_types})
    scoped = Population(
        everyone=not parts,
        predicate=" AND ".join(f"({part})" for part in parts),
        parameters=parameters,
        loan_types=scope.loan_types,
        start=scope.start,
        end=scope.end,
    )
    return _Asker(entitled, scoped, scope, tuple(unknown), nothing_known)


def _unknown(asker: _Asker) -> str:
    """Names the filter's values that the version doesn't have; "" without any."""
    if not asker.unknown:
        return ""
    named, more = asker.unknown[:UNKNOWN_NAMED], len(asker.unknown) - UNKNOWN_NAMED
    further = f", and not {more:,} others of the filters" if more > 0 else ""
    return f"The published version has no {', no '.join(named)}{further}."


def _entitled(version: Published, grants: Sequence[Grant]) -> Population:
    if any(grant.group_type == "all" for grant in grants):
        return Population(everyone=True)
    ids = [int(grant.group_value) for grant in grants if grant.group_type == "customer"]
    granted = [grant.group_value for grant in grants if grant.group_type == "city"]
    cities = [city for name in granted for city in version.spellings_of(name)]
    if not ids and not cities:
        return Population(everyone=False, predicate=_NOBODY)
    return Population(
        everyone=False,
        predicate="customer_id = ANY($e_customers) OR city = ANY($e_cities)",
        parameters={"e_customers": ids, "e_cities": cities},
    )


def _scope_document(settings: Settings, version: Published, asker: _Asker) -> dict[str, Any]:
    scope, scoped = asker.scope, asker.scoped
    where = f" WHERE {scoped.predicate}" if scoped.predicate else ""
    customers = version.registry.customers
    count = version.figure(f"SELECT count(*) FROM {customers}{where}", scoped.parameters)
    ids: str | list[int] = "all"
    if not asker.entitled.everyone or scope.customers is not None:
        sql = f"SELECT list(customer_id ORDER BY customer_id) FROM {customers}{where}"
        ids = version.figure(sql, scoped.parameters) or []
    return {
        "customers": ids,
        "customer_count": count,
        "cities": _listed(scope.cities),
        "credit_bands": _listed(scope.credit_bands),
        "loan_types": _listed(scope.loan_types),
        "from": _json(scope.start),
        "to": _json(scope.end),
        "timezone": settings.timezone,
    }


def _people(version: Published, asker: _Asker) -> FindPeople:
    def found(names: Sequence[str], parts: bool) -> dict[str, list[Person]]:
        entitled = asker.entitled
        return version.people(names, parts, entitled.predicate, entitled.parameters)

    return found


# From question to plan.


def _earlier(
    version: Published, asker: _Asker, history: Sequence[Mapping[str, Any] | str]
) -> Plan | None:
    """The plan to go on from: the last of the history that is one."""
    plan: Plan | None = None
    for step in history:
        try:
            if isinstance(step, str):
                plan = version.parser.understand(
                    step, version.today, _people(version, asker), plan
                ).plan
            elif step.get("plan"):
                plan = from_json(step["plan"], version.registry)
        except (NotCovered, Unclear):
            # A step that was refused then changed nothing.
            continue
    return plan


def _understand(
    settings: Settings,
    version: Published,
    asker: _Asker,
    question: str,
    earlier: Plan | None,
    ledger: bedrock.Ledger,
) -> Understood:
    if not question.strip():
        raise Unclear("What would you like to know?")
    people = _people(version, asker)
    if settings.chat_model:
        understood = bedrock.plan(
            settings,
            version.registry,
            version.today,
            question,
            people=people,
            earlier=earlier,
            ledger=ledger,
        )
    else:
        understood = version.parser.understand(question, version.today, people, earlier)
    _require_entitled(version, asker, understood.plan)
    return understood


def _require_entitled(version: Published, asker: _Asker, plan: Plan) -> None:
    """Refuses customers outside the entitlement, in the same words as those who don't exist."""
    ids = [
        int(value)
        for found in (*plan.filters, *plan.base)
        if found.field == CUSTOMER
        for value in found.values
    ]
    if not ids:
        return
    entitled = asker.entitled
    where = f" AND ({entitled.predicate})" if entitled.predicate else ""
    sql = (
        f"SELECT list(customer_id) FROM {version.registry.customers}"
        f" WHERE customer_id = ANY($asked){where}"
    )
    known = version.figure(sql, {**entitled.parameters, "asked": ids}) or []
    missing = [f"#{found}" for found in ids if found not in known]
    if missing:
        raise _Refused(f"There is no customer {', '.join(missing)} among those you may see.")


# From plan to answer.


def _answered(
    version: Published, asker: _Asker, understood: Understood, document: Mapping[str, Any]
) -> dict[str, Any]:
    plan, registry = understood.plan, version.registry
    metric = registry.metrics[plan.metric]
    _require_whole_loans(version, asker, plan, metric)
    said = overlap.restated(plan, asker.scope, registry, version.today)
    _require_shared_customers(version, asker, plan, metric)
    _require_scores_in_bands(version, asker, plan)
    table = _share(version, asker, plan) if plan.show == "share" else _run(version, asker, plan)
    unknown = _uncounted(version, asker, plan, metric)
    all_unknown = _all_unknown(version, asker, plan, unknown)
    if all_unknown:
        # A count or sum over nobody whose credit is known is no figure, not zero.
        table = replace(table, rows=[[None]], raw=[(None,)], part=None)
    names = _names(version, plan)
    reading = wording.reading(said, registry, names)
    sentences = [wording.sentence(said, registry, table, names)]
    counts_them = plan.show == "share" and metric.relation == registry.customers
    counts_them |= all_unknown or not _leaves_out(version, plan, metric)
    sentences += not_known(unknown) if counts_them else not_counted(unknown)
    sentences += _notes(version, asker, plan, metric, table, document["scope"])
    return {
        "status": "answered",
        "answer": " ".join(sentence for sentence in sentences if sentence),
        "reading": reading,
        "plan": plan.to_json(),
        "columns": table.columns,
        "rows": table.rows,
        "citations": _citations(version, plan, table, names),
    }


def _require_whole_loans(version: Published, asker: _Asker, plan: Plan, metric: Metric) -> None:
    asked = [metric, *(version.registry.metrics[part.metric] for part in plan.conditions)]
    of_loans = any(version.registry.of_loans(found) for found in asked)
    if plan.of_the_past and of_loans and asker.scoped.loan_types is not None:
        raise NotCovered(
            "the history knows a customer's loans of all types together, and the dashboard's"
            " filter names types; ask without it"
        )


def _require_shared_customers(
    version: Published, asker: _Asker, plan: Plan, metric: Metric
) -> None:
    """Refuses a question about customers of whom the dashboard's filters leave none."""
    scope = asker.scope
    named = tuple(
        found
        for found in (*plan.filters, *plan.base)
        if found.field in (CUSTOMER, "city", "province")
    )
    filtered = (scope.customers, scope.cities, scope.credit_bands) != (None, None, None)
    if not (named and filtered and metric.of_customers) or plan.of_the_past:
        return
    asked = Plan(metric="customer_count", filters=named)
    everyone = replace(asker, scoped=asker.entitled)
    if _count_customers(version, asker, asked) or not _count_customers(version, everyone, asked):
        return
    who = wording.customers(asked, version.registry, _names(version, asked))
    raise overlap.NothingInBoth(
        f"The dashboard's filters leave out all {who}, so there is no figure."
    )


def _run(version: Published, asker: _Asker, plan: Plan) -> Table:
    registry = version.registry
    query = compose(plan, asker.scoped, registry, version.renderer)
    found = version.rows(query)[1]
    metric = registry.metrics[plan.metric]
    columns = []
    for name in plan.group_by:
        columns += _key_columns(version, name)
    if plan.show == "customers":
        columns += [_figure_column(registry.metrics[name]) for name, _ in figures(plan)]
    elif plan.since:
        figure = _figure_column(metric)
        columns += [figure | {"name": f"{metric.name}_before"}, figure, figure | {"name": "change"}]
    else:
        columns.append(_figure_column(metric))
    if not plan.group_by and metric.nothing_is_zero and not plan.of_the_past:
        found = [tuple(0 if value is None else value for value in row) for row in found] or [(0,)]
    elif not plan.group_by and not found:
        found = [(None,) * len(columns)]
    limit = plan.limit or MAX_LIMIT
    more = False
    if len(found) > limit:
        tied = plan.rank is not None and found[limit][-1] == found[limit - 1][-1]
        more = tied or plan.rank is None
        if tied and limit == 1:
            # "which city has the most": all that share the first place.
            limit = sum(row[-1] == found[0][-1] for row in found)
            more = limit == len(found) == 1 + MAX_TIES
        found = found[:limit]
    customers = []
    if CUSTOMER in plan.group_by:
        at = plan.group_by.index(CUSTOMER)
        customers = [(row[at], row[at + 1]) for row in found if row[at] is not None]
    rows = [
        [_typed(value, column) for value, column in zip(row, columns, strict=True)] for row in found
    ]
    return Table(columns, rows, found, customers, more)


def _share(version: Published, asker: _Asker, plan: Plan) -> Table:
    """Percentages of a whole: one, or one a group."""
    counted = plan.model_copy(update={"show": "figure"})
    total = _run(version, asker, whole(counted)).raw[0][0] or 0
    table = _run(version, asker, counted)
    column = {"name": "share", "type": "decimal", "unit": "%"}
    if not plan.group_by:
        part = table.raw[0][0] or 0
        share = _percentage(part, total)
        return replace(
            table,
            columns=[column],
            rows=[[_typed(share, column)]],
            raw=[(share,)],
            part=part,
            total=total,
        )
    shares = [_percentage(row[-1], total) for row in table.raw]
    return replace(
        table,
        columns=[*table.columns, column],
        rows=[[*row, _typed(share, column)] for row, share in zip(table.rows, shares, strict=True)],
        raw=[(*row, share) for row, share in zip(table.raw, shares, strict=True)],
        total=total,
    )


def _percentage(part: Any, total: Any) -> Decimal | None:
    if not total:
        return None
    return Decimal(str(part or 0)) * 100 / Decimal(str(total))


def _key_columns(version: Published, name: str) -> list[dict[str, Any]]:
    if name == CUSTOMER:
        return [
            {"name": "customer_id", "type": "integer", "unit": None},
            {"name": "customer", "type": "string", "unit": None},
        ]
    if name in DATE_GRAINS:
        return [{"name": name, "type": "date", "unit": None}]
    kind = "integer" if version.registry.dimensions[name].kind == "number" else "string"
    return [{"name": name, "type": kind, "unit": None}]


def _figure_column(metric: Metric) -> dict[str, Any]:
    whole_numbers = metric.additive and metric.unit != "CAD"
    kind = "integer" if whole_numbers else "decimal"
    return {"name": metric.name, "type": kind, "unit": metric.unit or None}


def _typed(value: Any, column: Mapping[str, Any]) -> Any:
    """A value as JSON: decimals as strings, days as ISO dates."""
    if value is None:
        return None
    if column["type"] == "decimal":
        return decimal_text(value)
    if column["type"] == "integer":
        return int(value)
    return _json(value)


def decimal_text(value: Any) -> str:
    """An exact decimal whole; a mean to six places; always at least two."""
    number = value if isinstance(value, Decimal) else Decimal(str(value))
    exponent = number.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -6:
        number = number.quantize(PLACES)
    whole_part, _, fraction = f"{number:f}".partition(".")
    return f"{whole_part}.{fraction.rstrip('0').ljust(2, '0')}"


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return decimal_text(value)
    return value


def _names(version: Published, plan: Plan) -> dict[int, str]:
    """Labels of the customers that the plan names."""
    ids = [
        value
        for found in (*plan.filters, *plan.base)
        if found.field == CUSTOMER
        for value in found.values
    ]
    if not ids:
        return {}
    sql = f"SELECT customer_id, customer_label FROM {version.registry.customers}"
    cursor = version.connection.cursor()
    rows = cursor.execute(f"{sql} WHERE customer_id = ANY($ids)", {"ids": ids}).fetchall()
    return dict(rows)


def _notes(
    version: Published,
    asker: _Asker,
    plan: Plan,
    metric: Metric,
    table: Table,
    scope: Mapping[str, Any],
) -> list[str]:
    """What the figure doesn't say by itself: what it leaves out, what narrowed it."""
    notes = []
    if plan.of_the_past:
        notes.append(
            "This covers those who are customers now: of who has left, no history is kept."
        )
        notes += _notes_of_a_change(version, asker, plan, metric)
        scoped = asker.scope
        if (scoped.cities, scoped.credit_bands, scoped.loan_types) != (None, None, None):
            notes.append("The dashboard's filters choose customers by what is known of them now.")
    if table.more and plan.rank:
        notes.append("More have the same figure as the last one shown.")
    elif table.more:
        notes.append(f"Only the first {len(table.rows):,} are shown.")
    if not metric.of_customers and not asker.scoped.everyone:
        notes.append(
            "Complaints are anonymous, so this is for the bank as a whole,"
            " not for the customers in scope."
        )
    kinds = overlap.narrowed_kinds(plan, version.registry)
    idle = {declared.narrows for declared in overlap.chosen(asker.scope)} - kinds
    if "days" in idle:
        notes.append(f"{metric.label} carries no date, so the filter on days doesn't narrow it.")
    if "loans" in idle:
        notes.append(
            "The filter on loan types narrows loans and who holds them,"
            f" so it doesn't narrow {metric.label}."
        )
    dated = "days" in kinds and metric.date is not None
    if dated and plan.end and plan.end > version.today:
        notes.append(f"The data ends on {version.today}.")
    chosen_customers = any(f.narrows == "customers" for f in overlap.chosen(asker.scope))
    if metric.of_customers and chosen_customers and not scope["customer_count"]:
        notes.append("The dashboard's filters together leave no customer.")
    if outside := _outside_filter(asker, plan):
        notes.append(outside)
    notes += [_unknown(asker), wording.scope(asker.scope, scope, kinds)]
    return notes


def _notes_of_a_change(version: Published, asker: _Asker, plan: Plan, metric: Metric) -> list[str]:
    """What makes the two days' figures be of other people."""
    if plan.since is None:
        return []
    notes = []
    before = plan.model_copy(update={"as_of": plan.since, "since": None})
    joined = _count_customers(version, asker, plan) - _count_customers(version, asker, before)
    if joined > 0:
        who = "1 customer" if joined == 1 else f"{joined:,} customers"
        notes.append(f"The later figure has {who} more, of whom nothing is known before.")
    unknown = _uncounted(version, asker, before, metric)
    return notes + not_counted(unknown, plan.since)


def _require_scores_in_bands(version: Published, asker: _Asker, plan: Plan) -> None:
    """Refuse a question for scores that nobody in the filter's credit bands has."""
    bands = asker.scope.credit_bands
    scores = tuple(f for f in (*plan.filters, *plan.base) if f.field == "credit_score")
    own = tuple(part for part in plan.conditions if part.metric == "average_credit_score")
    if bands is None or not (scores or own) or plan.of_the_past:
        return
    alone = plan.model_copy(update={"filters": scores, "base": (), "conditions": own})
    if _count_customers(version, asker, alone) == 0:
        who = wording.customers(alone, version.registry, {})
        raise overlap.NothingInBoth(
            f"The question asks for {who} and the dashboard's filter Credit band is"
            f" {', '.join(bands)}: nobody is in both, so there is no figure."
        )


def _count_customers(version: Published, asker: _Asker, plan: Plan, *further: Filter) -> int:
    """Customers in scope of a plan's filters on customers, and of further ones."""
    registry = version.registry
    counted = registry.metrics["customer_count"]
    filters = tuple(
        found
        for found in (*plan.filters, *plan.base)
        if registry.dimension_of(counted, found.field) is not None
    )
    counting = Plan(
        metric="customer_count",
        filters=(*filters, *further),
        conditions=plan.conditions,
        as_of=plan.as_of,
    )
    table = _run(version, asker, counting)
    return int(table.raw[0][0] or 0)


# Whose credit a figure can't count.


def _uncounted(version: Published, asker: _Asker, plan: Plan, metric: Metric) -> dict[str, int]:
    """Customers in scope whose credit isn't known, by status, where that bears on the answer."""
    registry = version.registry
    shown = (version.registry.metrics[name] for name in plan.columns)
    filtered = (found.field for found in (*plan.filters, *plan.base))
    if not (
        asker.scope.credit_bands
        or _leaves_out(version, plan, metric)
        or any(name in OF_CREDIT for name in (*plan.group_by, *filtered))
        or any(_is_of_credit(version, found) for found in shown)
    ):
        return {}
    others = _without_credit(version, plan)
    asked = [f for f in (*plan.filters, *plan.base) if f.field == RECORD_STATUS]
    counts = {}
    for status in registry_of(plan, registry).not_known:
        # An answer on these customers themselves leaves nobody out.
        named = any((status in found.values) == (found.op == "in") for found in asked)
        if asked and named:
            continue
        is_status = Filter(field=RECORD_STATUS, values=(status,))
        if number := _count_customers(version, asker, others, is_status):
            counts[status] = number
    return counts


def _all_unknown(version: Published, asker: _Asker, plan: Plan, unknown: Mapping[str, int]) -> bool:
    """Whether one figure is asked of customers whose credit isn't known of any."""
    if not unknown or plan.group_by or plan.since or plan.show == "customers":
        return False
    everyone = _count_customers(version, asker, _without_credit(version, plan))
    return sum(unknown.values()) == everyone


def _without_credit(version: Published, plan: Plan) -> Plan:
    """The plan without what it asks of credit: customers of unknown credit wouldn't match it."""
    kept = {
        name: tuple(f for f in filters if f.field not in (*OF_CREDIT, RECORD_STATUS))
        for name, filters in (("filters", plan.filters), ("base", plan.base))
    }
    conditions = tuple(
        found
        for found in plan.conditions
        if not _is_of_credit(version, version.registry.metrics[found.metric])
    )
    return plan.model_copy(update={**kept, "conditions": conditions})


def _leaves_out(version: Published, plan: Plan, metric: Metric) -> bool:
    """Whether customers of unknown credit are in no figure of the answer."""
    metrics = [metric, *(version.registry.metrics[found.metric] for found in plan.conditions)]
    filtered = (
        found for found in (*plan.filters, *plan.base) if found.field in (*OF_CREDIT, RECORD_STATUS)
    )
    return not all(_takes_unknown(found) for found in filtered) or any(
        _is_of_credit(version, found) for found in metrics
    )


def _takes_unknown(found: Filter) -> bool:
    """Whether customers of unknown credit pass the filter: they have no score."""
    if found.field != "credit_band":
        return False
    return (found.op == "in") == (NO_SCORE in found.values)


def _is_of_credit(version: Published, metric: Metric) -> bool:
    return (
        metric.unit in ("points", "delinquencies", "loans")
        or metric.relation == version.registry.loans
        or metric.name == "borrower_count"
    )


def _outside_filter(asker: _Asker, plan: Plan) -> str:
    """Says so where the dashboard's filter leaves out what the question names."""
    chosen = asker.scope.customers
    if chosen is None:
        return ""
    out = [
        f"#{value}"
        for found in plan.filters
        if found.field == CUSTOMER and found.op == "in"
        for value in found.values
        if value not in chosen
    ]
    return f"The dashboard's filter leaves out customer {', '.join(out)}." if out else ""


def _citations(
    version: Published, plan: Plan, table: Table, names: Mapping[int, str]
) -> list[dict[str, str]]:
    metrics = [plan.metric, *(name for name, _ in figures(plan))]
    found = [
        {"kind": "metric", "id": name, "title": version.registry.metrics[name].label}
        for name in dict.fromkeys(metrics)
    ]
    found.append(_run_citation(version))
    shown = dict(names) | dict(table.customers[:CITED_DOCUMENTS])
    found += [
        {"kind": "document", "id": f"{DOCUMENTS_PREFIX}customers/{number}.json", "title": label}
        for number, label in list(shown.items())[:CITED_DOCUMENTS]
    ]
    return found


def _run_citation(version: Published) -> dict[str, str]:
    manifest = version.manifest
    through = f", data through {manifest.data_through}" if manifest.data_through else ""
    age = manifest.age(datetime.now(UTC))
    title = f"published {manifest.published_at}, {age}{through}"
    return {"kind": "run", "id": manifest.run_id, "title": title}


def _not_covered(reason: str, version: Published, asker: _Asker) -> str:
    asked = "; ".join(examples(version.registry)[:4])
    return (
        f"I can't answer that: {reason}. You can ask, for example: {asked}."
        f" {wording.scope(asker.scope, None)}"
    ).strip()


def _values(version: Published, name: str) -> tuple[str, ...]:
    dimension = version.registry.dimensions.get(name)
    return dimension.values if dimension else ()


def _band_name(label: str) -> str:
    return key(label.lstrip("0123456789–- ")) or label


def _listed(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(values)


def read_scope(raw: Any) -> Scope:
    """A scope file's content, or the ``scope`` of a request.

    Raises:
        UsageError: an unknown field, or a value of another type.

    """
    try:
        scope = Scope.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "form"
        raise UsageError(
            f"the scope's {where}: {first['msg']}",
            "fields: customers, cities, credit_bands, loan_types, from, to",
        ) from None
    if scope.start and scope.end and scope.start > scope.end:
        raise UsageError(f"the scope's days {scope.start} to {scope.end}", "they run backwards")
    return scope
