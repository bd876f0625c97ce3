"""What can be asked: metrics and dimensions from the published semantic manifest, and their words.

A metric added in dbt becomes askable by its label, its name and its ``meta.synonyms`` alone. The
tables of words below add what people say instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

from lakehouse.filters import NO_SCORE
from lakehouse.unknown_credit import NOT_KNOWN

Aggregation = Literal["count", "total", "average"]
Kind = Literal["category", "number", "date", "customer"]

CUSTOMER = "customer"
"""The entity whose ids scope every question; complaints have none."""
DATE_GRAINS = ("day", "week", "month", "quarter", "year")
PERSONAL = frozenset({"customer_name", "customer_label", "email"})
"""Dimensions whose values are never listed: people are looked up one by one, inside the scope."""
LISTED_VALUES = 1_000
"""A dimension with more values than this can be grouped by, not filtered by name."""
RANGE = ("valid_from_date", "valid_to_date")
"""Days on which a row of a history began to be known and was replaced; the second may be none."""

RECORD_STATUS = "credit_record_status"
OF_CREDIT = frozenset(
    {"credit_score", "credit_band", "delinquencies", "loans_held", "loans_held_total"}
)
"""Dimensions that customers of unknown credit don't have."""


@dataclass(frozen=True)
class Dimension:
    """One thing to group and filter by. ``reference`` is MetricFlow's name for it."""

    name: str
    reference: str
    label: str
    description: str
    kind: Kind
    relation: str
    expression: str
    values: tuple[str, ...] = ()
    """As they stand in the marts; none where there are too many or they name people."""


@dataclass(frozen=True)
class Metric:
    """One figure, defined once in dbt."""

    name: str
    label: str
    description: str
    unit: str
    additive: bool
    """Whether the figures of all groups add up to the total."""
    nothing_is_zero: bool
    """Whether it is 0 when there are no rows (``fill_nulls_with: 0`` in dbt), instead of NULL."""
    dimensions: tuple[str, ...]
    date: str | None
    """The business day it can be narrowed to; None where the mart has none."""
    relation: str
    synonyms: tuple[str, ...] = ()

    @property
    def of_customers(self) -> bool:
        """Whether it can be narrowed to customers."""
        return CUSTOMER in self.dimensions


@dataclass(frozen=True)
class Registry:
    """All that can be asked of one published version."""

    metrics: Mapping[str, Metric]
    dimensions: Mapping[str, Dimension]
    customers: str
    """Relation with one row a customer: id, label, attributes."""
    loans: str
    past: Registry | None = None
    """The same metrics, by the same names, over what was known earlier; see :data:`RANGE`."""
    ranges: str | None = None
    """Of a past registry: the entity whose rows have a :data:`RANGE`."""
    begins: date | None = None
    """Of a past registry: the first day that is known."""
    through: date | None = None
    """Of a past registry: the day of its version, after which nothing is known."""

    def past_of(self, metric: Metric) -> Registry | None:
        """The past registry, if it answers for the metric.

        How many customers there were isn't known: who has left since is forgotten. Their number
        then only says how many a figure leaves out.
        """
        if self.past is None or self.past.begins is None or metric.name == "customer_count":
            return None
        return self.past if metric.name in self.past.metrics else None

    @property
    def not_known(self) -> tuple[str, ...]:
        """Those of :data:`NOT_KNOWN` that occur."""
        status = self.dimensions.get(RECORD_STATUS)
        return tuple(value for value in NOT_KNOWN if status and value in status.values)

    def of_loans(self, metric: Metric) -> bool:
        """Whether the metric counts or sums loans, or asks who holds them."""
        return noun_of(metric.name) in ("loans", "borrowers") or metric.relation == self.loans

    def dimension_of(self, metric: Metric, name: str) -> Dimension | None:
        """The dimension, if the metric has it."""
        return self.dimensions.get(name) if name in metric.dimensions else None

    def with_values(self, values: Mapping[str, Sequence[Any]]) -> Registry:
        """The registry with the values that stand in the marts; whole numbers make a number."""
        filled = {}
        for name, dimension in self.dimensions.items():
            found = values.get(name)
            if dimension.kind == "category" and found and not isinstance(found[0], str):
                dimension = replace(dimension, kind="number")
            filled[name] = replace(dimension, values=tuple(str(value) for value in found or ()))
        return replace(self, dimensions=filled)


@dataclass(frozen=True)
class Noun:
    """A word for things that are counted, summed or averaged, and the metric for each."""

    words: tuple[str, ...]
    metrics: Mapping[Aggregation, str]
    bare: Aggregation | None
    """What the plain word means; None where it has to be asked."""
    weak_total: Aggregation = "total"
    """What "total" alone means: "total customers" are counted."""
    verbs: tuple[str, ...] = ()
    """Verbs that mean the sum: "withdrew"."""


NOUNS: Mapping[str, Noun] = {
    "customers": Noun(
        ("customer", "client", "account holder", "people", "person", "who"),
        {"count": "customer_count"},
        "count",
        "count",
    ),
    "borrowers": Noun(("borrower",), {"count": "borrower_count"}, "count", "count"),
    "depositors": Noun(("depositor",), {}, None),
    "scores": Noun(
        ("credit score", "score", "credit rating score", "bureau score"),
        {"average": "average_credit_score"},
        "average",
    ),
    "delinquencies": Noun(
        ("delinquency", "late payment", "missed payment"),
        {"total": "delinquency_total", "count": "delinquency_total"},
        "total",
    ),
    "loans": Noun(
        ("loan", "debt", "lending", "credit outstanding", "loan book", "loan portfolio"),
        {"count": "loan_count", "total": "loan_total", "average": "average_loan_amount"},
        None,
        verbs=("owe", "owed", "owes", "owing", "borrow", "borrowed", "lent"),
    ),
    "transactions": Noun(
        ("transaction", "atm transaction", "atm activity"),
        {"count": "transaction_count", "total": "transaction_amount_total"},
        "count",
        "count",
        verbs=("transacted",),
    ),
    "deposits": Noun(
        ("deposit", "cash deposit", "atm deposit"),
        {"count": "deposit_count", "total": "deposit_total", "average": "average_deposit"},
        None,
        verbs=("deposited",),
    ),
    "withdrawals": Noun(
        ("withdrawal", "cash withdrawal", "atm withdrawal"),
        {"count": "withdrawal_count", "total": "withdrawal_total", "average": "average_withdrawal"},
        None,
        verbs=("withdrew", "withdraw", "withdrawn", "took out"),
    ),
    "complaints": Noun(
        ("complaint", "feedback", "grievance", "complaint filed"),
        {"count": "complaint_count"},
        "count",
        "count",
        verbs=("complained", "complain"),
    ),
}

METRIC_WORDS: Mapping[str, tuple[str, ...]] = {
    "customer_count": ("customer base", "headcount of customers"),
    "average_credit_score": ("average score", "avg score", "mean score", "mean credit score"),
    "delinquency_total": ("delinquency count", "number of delinquencies"),
    "loan_total": (
        "outstanding balance",
        "loan balance",
        "outstanding debt",
        "loan volume",
    ),
    "average_loan_amount": ("average loan size", "average loan", "mean loan", "average debt"),
    "net_flow": ("net cash flow", "net atm flow", "net deposits", "deposits minus withdrawals"),
    "average_withdrawal": ("average withdrawal amount", "mean withdrawal", "average withdrawal"),
    "transaction_amount_total": ("transaction volume in dollars", "transaction value"),
}

DIMENSION_WORDS: Mapping[str, tuple[str, ...]] = {
    "city": ("city", "town", "location"),
    "province": ("province",),
    "credit_band": (
        "credit band",
        "band",
        "score band",
        "credit score band",
        "credit category",
        "credit rating",
        "rating",
        "score range",
        "credit score range",
        "risk band",
    ),
    "credit_record_status": ("credit record status", "record status", "credit file status"),
    "loan_type": ("loan type", "type of loan", "kind of loan", "loan product", "loan category"),
    "transaction_type": (
        "transaction type",
        "type of transaction",
        "kind of transaction",
    ),
    "transaction_hour": ("hour", "hour of day", "hour of the day", "time of day"),
    "transaction_weekday": ("weekday", "day of week", "day of the week"),
    "atm_id": ("machine", "atm machine", "cash machine"),
    "category": (
        "category",
        "complaint category",
        "complaint type",
        "type of complaint",
        "kind of complaint",
        "topic",
    ),
}

VALUE_WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "loan_type": {
        "house": ("mortgage", "home", "housing", "home loan"),
        "car": ("auto", "automobile", "vehicle"),
        "student": ("education",),
    },
    RECORD_STATUS: {"quarantined": ("quarantined",)},
    "credit_band": {
        NO_SCORE: (
            "no credit score",
            "with no score",
            "with no credit score",
            "without a score",
            "without a credit score",
            "without score",
            "have no score",
            "have no credit score",
            "has no score",
        )
    },
}
"""Other words for a value; the value has to exist in the marts."""

CATEGORY_WORDS: Mapping[str, str] = {
    "atm": "ATM Issue",
    "account": "Account Problem",
    "card": "Card Issue",
    "service": "Service Feedback",
}
"""Words that name a category only beside complaints; elsewhere "ATM" says nothing."""

TYPE_OF: Mapping[str, str] = {
    "loans": "loan_type",
    "borrowers": "loan_type",
    "transactions": "transaction_type",
    "complaints": "category",
}
"""What plain "type" means, by noun."""


def noun_of(metric: str) -> str | None:
    """What a metric counts or sums."""
    found = (name for name, noun in NOUNS.items() if metric in noun.metrics.values())
    return next(found, None)


def aggregation_of(metric: str) -> Aggregation | None:
    """How a metric sums up its noun."""
    pairs = (pair for noun in NOUNS.values() for pair in noun.metrics.items())
    return next((key for key, name in pairs if name == metric), None)


def read(manifest: Mapping[str, Any]) -> Registry:
    """The registry of dbt's ``semantic_manifest.json``, without values and without MetricFlow."""
    models = {model["name"]: model for model in manifest["semantic_models"]}
    by_measure = {
        measure["name"]: model for model in models.values() for measure in model["measures"]
    }
    primary = {entity: model for model in models.values() if (entity := _primary(model))}
    raw_metrics = {metric["name"]: metric for metric in manifest["metrics"]}
    dimensions: dict[str, Dimension] = {}
    metrics: dict[str, Metric] = {}
    for name, raw in raw_metrics.items():
        meta = (raw.get("config") or {}).get("meta") or {}
        if meta.get("hidden"):
            continue
        sources = [by_measure[measure] for measure in _measures(raw, raw_metrics)]
        shared = [_reachable(model, primary) for model in sources]
        common = {
            key: value
            for key, value in shared[0].items()
            if all(other.get(key) == value for other in shared)
        }
        dimensions.update(common)
        dates = {_business_date(model) for model in sources}
        metrics[name] = Metric(
            name=name,
            label=raw.get("label") or _words(name),
            description=raw.get("description") or "",
            unit=str(meta.get("unit", "")),
            additive=_additive(raw, raw_metrics, by_measure),
            nothing_is_zero=_nothing_is_zero(raw, raw_metrics),
            dimensions=tuple(sorted(common)),
            date=dates.pop() if len(dates) == 1 else None,
            relation=sources[0]["node_relation"]["relation_name"],
            synonyms=tuple(str(word) for word in meta.get("synonyms", ())),
        )
    customers = primary[CUSTOMER]["node_relation"]["relation_name"]
    loans = metrics["loan_count"].relation if "loan_count" in metrics else customers
    now = Registry(metrics, dimensions, customers, loans)
    return replace(now, past=_past(now, raw_metrics, by_measure))


def _past(
    now: Registry, raw_metrics: Mapping[str, Any], by_measure: Mapping[str, Any]
) -> Registry | None:
    """The metrics whose ``meta.history_of`` names one of ``now``; they share one history."""
    metrics: dict[str, Metric] = {}
    dimensions: dict[str, Dimension] = {}
    ranges = None
    for name, raw in raw_metrics.items():
        meta = (raw.get("config") or {}).get("meta") or {}
        of = now.metrics.get(str(meta.get("history_of")))
        if of is None:
            continue
        model = by_measure[_measures(raw, raw_metrics)[0]]
        ranges = _primary(model)
        own = _dimensions(model, str(ranges))
        dimensions |= own | {CUSTOMER: now.dimensions[CUSTOMER]}
        metrics[of.name] = replace(
            of,
            name=name,
            dimensions=tuple(sorted((*own, CUSTOMER))),
            relation=model["node_relation"]["relation_name"],
        )
    if not metrics:
        return None
    return Registry(metrics, dimensions, now.customers, now.loans, ranges=ranges)


def listed(registry: Registry) -> Iterable[Dimension]:
    """The dimensions whose values are worth reading from the marts."""
    return (
        dimension
        for dimension in registry.dimensions.values()
        if dimension.kind == "category" and dimension.name not in PERSONAL
    )


def describe(registry: Registry) -> dict[str, Any]:
    """Everything that can be asked, as ``metrics --json`` prints it."""
    return {
        "metrics": [
            {
                "name": metric.name,
                "label": metric.label,
                "description": metric.description,
                "unit": metric.unit,
                "dimensions": list(metric.dimensions),
                "date": metric.date,
                "history_from": _history_from(registry, metric),
            }
            for metric in registry.metrics.values()
        ],
        "dimensions": [
            {
                "name": dimension.name,
                "label": dimension.label,
                "description": dimension.description,
                "kind": dimension.kind,
                "values": list(dimension.values),
            }
            for dimension in sorted(registry.dimensions.values(), key=lambda found: found.name)
        ],
        "examples": examples(registry),
    }


def _history_from(registry: Registry, metric: Metric) -> str | None:
    """The first day of which the metric is known, where it is a state that has a history."""
    past = registry.past_of(metric)
    return past.begins.isoformat() if past is not None and past.begins is not None else None


def examples(registry: Registry) -> list[str]:
    """Questions that this registry answers."""
    wanted = {
        "How many customers do we have?": "customer_count",
        "What is the average credit score by city?": "average_credit_score",
        "What is the total loan amount by loan type?": "loan_total",
        "Which 5 customers withdrew the most last month?": "withdrawal_total",
        "Which customers have a score above 600 and at least one loan?": "loan_count",
        "How many complaints did we get by category?": "complaint_count",
    }
    return [question for question, metric in wanted.items() if metric in registry.metrics]


def _primary(model: Mapping[str, Any]) -> str | None:
    """Name of the entity that has one row each in the model."""
    named = (entity["name"] for entity in model["entities"] if entity["type"] == "primary")
    return model.get("primary_entity") or next(named, None)


def _measures(raw: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    parameters = raw["type_params"]
    names = [measure["name"] for measure in parameters.get("input_measures") or ()]
    if not names and parameters.get("measure"):
        names = [parameters["measure"]["name"]]
    for part in (parameters.get("numerator"), parameters.get("denominator")):
        if not names and part:
            names += _measures(metrics[part["name"]], metrics)
    return names


def _reachable(model: Mapping[str, Any], primary: Mapping[str, Any]) -> dict[str, Dimension]:
    """Dimensions of the model and of the models that its foreign entities lead to, by name."""
    found: dict[str, Dimension] = {}
    entities = {str(entity["name"]) for entity in model["entities"]}
    if own := _primary(model):
        entities.add(own)
    for entity in sorted(entities & primary.keys()):
        target = primary[entity]
        relation = target["node_relation"]["relation_name"]
        if entity == CUSTOMER:
            found[CUSTOMER] = Dimension(
                CUSTOMER, CUSTOMER, "customer", "One customer.", "customer", relation, "customer_id"
            )
        found |= _dimensions(target, entity)
    return found


def _dimensions(model: Mapping[str, Any], entity: str) -> dict[str, Dimension]:
    """A model's own dimensions that may be asked for; of its times, the business day alone."""
    found: dict[str, Dimension] = {}
    for raw in model["dimensions"]:
        time = raw["type"] == "time"
        business = raw["name"] == _business_date(model) and raw["name"] not in RANGE
        if raw["name"] in PERSONAL or (time and not business):
            continue
        found[raw["name"]] = Dimension(
            name=raw["name"],
            reference=f"{entity}__{raw['name']}",
            label=raw.get("label") or _words(raw["name"]),
            description=raw.get("description") or "",
            kind="date" if time else "category",
            relation=model["node_relation"]["relation_name"],
            expression=raw.get("expr") or raw["name"],
        )
    return found


def _business_date(model: Mapping[str, Any]) -> str | None:
    """The model's day, or None where MetricFlow was given a stand-in.

    Every model needs an aggregation time dimension; customers and loans have no business day, and a
    date asked of them must be refused rather than answered from the stand-in.
    """
    name = (model.get("defaults") or {}).get("agg_time_dimension")
    if name is None:
        return None
    expression = next(d["expr"] for d in model["dimensions"] if d["name"] == name) or name
    return str(name) if expression.isidentifier() else None


def _additive(
    raw: Mapping[str, Any], metrics: Mapping[str, Any], models: Mapping[str, Any]
) -> bool:
    if raw["type"] == "simple":
        name = _measures(raw, metrics)[0]
        measure = next(m for m in models[name]["measures"] if m["name"] == name)
        return measure["agg"] in ("sum", "count", "count_distinct", "sum_boolean")
    if raw["type"] == "derived":
        expression = raw["type_params"].get("expr") or ""
        parts = [part["name"] for part in raw["type_params"].get("metrics") or ()]
        return not set(expression) & set("/*%") and all(
            _additive(metrics[part], metrics, models) for part in parts
        )
    return False


def _nothing_is_zero(raw: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    parameters = raw["type_params"]
    if raw["type"] == "simple":
        return bool(parameters["measure"].get("fill_nulls_with") == 0)
    parts = parameters.get("metrics") or ()
    return raw["type"] == "derived" and all(
        _nothing_is_zero(metrics[part["name"]], metrics) for part in parts
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


PhraseKind = Literal[
    "METRIC",
    "NOUN",
    "VERB",
    "VALUE",
    "CATEGORY",
    "DIM",
    "GRAIN",
    "TYPE",
    "GROUP",
    "AGG",
    "SHARE",
    "RANK",
    "RANKED",
    "CHANGE",
    "BREAKDOWN",
    "VERSUS",
    "NUM",
    "MONEY",
    "OP",
    "POST",
    "BETWEEN",
    "CMP",
    "AND",
    "OR",
    "NOT",
    "TO",
    "BY",
    "WITH",
    "WITHOUT",
    "BE",
    "PREPOSITION",
    "ASK",
    "WHO",
    "PRONOUN",
    "STOP",
    "UNKNOWN",
]
"""What a phrase can be."""


@dataclass
class Lexicon:
    """Phrases and what they mean, longest match first. Built from one registry."""

    root: dict[str, Any] = field(default_factory=dict)

    def add(self, words: Sequence[str], kind: PhraseKind, value: Any) -> None:
        """Teach one phrase, already split into words."""
        node = self.root
        for word in words:
            node = node.setdefault(word, {})
        node.setdefault("", []).append((kind, value))

    def match(self, tokens: Sequence[str], start: int) -> tuple[int, list[tuple[PhraseKind, Any]]]:
        """Length of the longest phrase at ``start`` and its meanings; ``(0, [])`` if none."""
        best: tuple[int, list[tuple[PhraseKind, Any]]] = (0, [])
        node = self.root
        for length, token in enumerate(tokens[start:], start=1):
            node = node.get(token, {})
            if "" in node:
                best = (length, node[""])
            if not node:
                break
        return best
