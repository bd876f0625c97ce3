"""What a question asks for: the figure, what is ranked, and by what it is grouped."""

from __future__ import annotations

from typing import Any

from chat.items import (
    PEOPLE,
    SUBJECTS,
    Draft,
    Item,
    Items,
    at_least_one,
    bound_after,
    not_understood,
)
from chat.plan import MAX_LIMIT, NotCovered, Plan, Unclear
from chat.registry import (
    CUSTOMER,
    NOUNS,
    TYPE_OF,
    Aggregation,
    Metric,
    Registry,
    aggregation_of,
    noun_of,
)

TOP_DEFAULT = 10
_NOUN_OF = {
    **{dimension: noun for noun, dimension in TYPE_OF.items() if noun != "borrowers"},
    "transaction_hour": "transactions",
    "transaction_weekday": "transactions",
    "atm_id": "transactions",
}
"""What is counted when only a dimension is named: "the busiest hour"."""
_COUNTING = frozenset({"most", "fewest", "least"})
_EXTREMES = frozenset({"highest", "largest", "biggest", "greatest", "lowest", "smallest"})
_OFTEN = frozenset(
    {"busiest", "quietest", "most common", "least common", "most frequent", "most popular"}
)


class Asked:
    """Reads from the items of one question what it asks for, into the draft."""

    def __init__(self, registry: Registry, items: Items, draft: Draft, ids: list[int]) -> None:
        self.registry = registry
        self.items = items
        self.draft = draft
        self.ids = ids
        self._ranked_by = False
        """Whether "by" names what is ranked: "the highest score by city" asks for maxima."""

    def read(self, earlier: Plan | None) -> Metric:
        """The figure; ranking and groupings stand in the draft.

        Raises:
            NotCovered: there is no such figure.
            Unclear: it can be one of several.

        """
        self._ranks()
        name = self._choose(earlier)
        self._groupings()
        return self.registry.metrics[name]

    def _ranks(self) -> None:
        """Direction and limit: "top 5", "the 3 lowest", "which 5 customers … most"."""
        for index, item in enumerate(self.items):
            if item.kind not in ("RANK", "RANKED"):
                continue
            if (
                self.draft.rank is not None
                and item.kind == "RANK"
                and self.draft.rank != item.value
            ):
                raise Unclear("Highest or lowest first?")
            self.draft.rank = item.value
            item.used = True
            for near in (self.items.at(index + 1), self.items.at(index - 1)):
                if item.kind == "RANK" and near and near.kind == "NUM" and self.draft.limit is None:
                    self.draft.limit = _limit(near)
        for index, item in enumerate(self.items):
            after = self.items.at(index + 1)
            counted = after is not None and (after.kind in ("DIM", "GRAIN") or after.is_people)
            if self.draft.rank and self.draft.limit is None and item.kind == "NUM" and counted:
                self.draft.limit = _limit(item)

    def _choose(self, earlier: Plan | None) -> str:
        """What is asked for: the metric, and for a ranking the things that are ranked."""
        self.draft.share = self.items.use("SHARE")
        ranked = self._ranked_thing() if self.draft.rank else -1
        subjects = [
            index
            for index, item in enumerate(self.items)
            if item.kind in SUBJECTS and index != ranked
        ]
        self.draft.main = self._main(subjects)
        if self.draft.main >= 0:
            item = self.items[self.draft.main]
            item.used = True
            self.draft.noun = item.value if item.kind != "METRIC" else noun_of(item.value)
            return self._metric_of(item, earlier)
        if ranked >= 0 and self.items[ranked].is_people:
            has = PEOPLE[self.items[ranked].value]
            if has is None:
                raise Unclear("Top customers by what: loans, deposits, withdrawals, credit score?")
            self.draft.noun = f"{has}s"
            return f"{has}_total"
        if earlier is not None:
            return self._from_earlier(earlier)
        return self._from_dimension()

    def _ranked_thing(self) -> int:
        """Index of the first thing that can be ranked; it becomes the grouping."""
        for index, item in enumerate(self.items):
            name = self._grouping_of(item)
            previous = self.items.at(index - 1)
            if name is None or (item.kind == "NOUN" and not item.is_people):
                continue
            if item.is_people and previous is not None and previous.kind == "AGG":
                continue
            if item.is_people and any(
                other.kind in ("DIM", "GRAIN") and before is not None and before.kind == "ASK"
                for before, other in zip([None, *self.items], self.items, strict=False)
            ):
                # "which city has the most customers" ranks cities.
                continue
            item.used = True
            if previous is not None and previous.kind == "BY":
                previous.used = self._ranked_by = True
            self.draft.group_by.append(name)
            if self.draft.limit is None and not any(other.kind == "RANKED" for other in self.items):
                everything = previous is not None and previous.kind == "BY"
                self.draft.limit = TOP_DEFAULT if item.plural or everything else 1
            if item.is_people and (has := PEOPLE[item.value]):
                self.draft.conditions.append(at_least_one(f"{has}_count", ()))
            return index
        return -1

    def _main(self, subjects: list[int]) -> int:
        """Index of the item that is asked for, or -1."""
        if not subjects:
            return -1
        if self.draft.rank:
            for index in subjects:
                before = self.items.back(index, "AGG", "PREPOSITION", "RANK")
                if before >= 0 and self.items[before].kind == "BY":
                    self.items[before].used = True
                    return index
            place = next(i for i, item in enumerate(self.items) if item.kind in ("RANK", "RANKED"))
            chosen = next((i for i in subjects if i > place), subjects[-1])
        else:
            chosen = subjects[0]
        for index, item in enumerate(self.items):
            if item.kind == "METRIC" and index in subjects:
                chosen = index
                break
            if item.kind == "AGG":
                chosen = self._bound(item.value, index, subjects)
                break
        # "customers with total withdrawals over 1000": the figure is a condition on customers.
        earlier = [i for i in subjects if i < chosen and self.items[i].is_people]
        if earlier and bound_after(self.items, chosen) is not None and not self.draft.rank:
            return earlier[0]
        return chosen

    def _bound(self, wanted: str, place: int, subjects: list[int]) -> int:
        """Which noun an aggregation belongs to: the next one, or the last one before it."""
        after = [i for i in subjects if i > place]
        if wanted in ("amount", "average"):
            # "how much did customers withdraw": customers have no amount.
            after = [i for i in after if not self.items[i].is_people] or after
        return after[0] if after else subjects[-1]

    def _metric_of(self, item: Item, earlier: Plan | None) -> str:
        """The metric of the main item, with the aggregations that belong to it."""
        wanted = set()
        following = self.draft.main + 1
        while (after := self.items.at(following)) and after.kind in ("AGG", "PREPOSITION"):
            following += 1
        for index, other in enumerate(self.items):
            if other.kind == "AGG" and not other.used and index < following:
                wanted.add(other.value)
                other.used = True
        self.draft.aggregated = bool(wanted) or item.kind == "METRIC"
        if item.kind == "METRIC":
            metric = self.registry.metrics[item.value]
            if metric.name.startswith("average") and metric.unit == "CAD" and self._per_customer():
                raise NotCovered("there is no metric for an average per customer")
            if not wanted <= _fitting(metric):
                raise NotCovered(f"{metric.label} is no {' or '.join(sorted(wanted))}")
            return metric.name
        noun = NOUNS[item.value]
        key = self._aggregation(item, wanted)
        if earlier is not None and not wanted and item.kind == "NOUN":
            # "and deposits?" after a total asks for a total.
            inherited = aggregation_of(earlier.metric)
            key = inherited if inherited in noun.metrics else key
        if key is None:
            raise Unclear(_which_figure(item.value, noun.metrics, self.registry))
        return self._named(item.value, key)

    def _named(self, noun: str, key: Aggregation) -> str:
        name = NOUNS[noun].metrics.get(key)
        if name is None or name not in self.registry.metrics:
            what = {"count": "number", "total": "total amount"}.get(key, key)
            raise NotCovered(f"there is no metric for the {what} of {noun}")
        return name

    def _aggregation(self, item: Item, wanted: set[str]) -> Aggregation | None:
        noun = NOUNS[item.value]
        if "average" in wanted and "count" in wanted:
            raise NotCovered("there is no metric for an average of counts")
        if "average" in wanted:
            if CUSTOMER in self.draft.group_by or self._per_customer():
                raise NotCovered("there is no metric for an average per customer")
            return "average"
        if "count" in wanted:
            return "count"
        if "amount" in wanted:
            return "total"
        if "total" in wanted:
            return noun.weak_total
        if item.kind == "VERB":
            return "total" if "total" in noun.metrics else "count"
        if self.draft.rank:
            before = self.items.at(self.draft.main - 1)
            single = item.value in ("loans", "deposits", "withdrawals", "transactions")
            if before and before.text in _EXTREMES and single and not item.plural:
                raise Unclear(
                    f"By the total of {item.value} or by their number? A single one isn't a figure"
                    " that I know."
                )
            if self.draft.group_by and self._ranked_by and before and before.text in _EXTREMES:
                raise NotCovered(f"there is no metric for the single {before.text} of {item.value}")
            ranks = [other.text for other in self.items if other.kind == "RANK"]
            beside = before is not None and before.kind == "RANK" and before.text in _COUNTING
            if "count" in noun.metrics and (beside or set(ranks) & _OFTEN):
                return "count"
            return "total" if noun.bare is None else noun.bare
        if self.draft.share and item.value == "loans":
            return "count"
        return noun.bare

    def _per_customer(self) -> bool:
        return any(
            item.kind == "BY" and after is not None and after.is_people and not after.plural
            for item, after in zip(self.items, [*self.items[1:], None], strict=True)
        )

    def _from_earlier(self, earlier: Plan) -> str:
        """Another aggregation of the same noun ("and the average?"); else the same metric."""
        wanted = [item for item in self.items if item.kind == "AGG"]
        metric = earlier.metric
        for item in wanted:
            item.used = True
            key: Any = "total" if item.value == "amount" else item.value
            noun = noun_of(earlier.metric)
            name = NOUNS[noun].metrics.get(key) if noun else None
            if name is None or name not in self.registry.metrics:
                raise NotCovered(f"there is no metric for the {item.text} of that")
            metric, self.draft.aggregated = name, True
        return metric

    def _from_dimension(self) -> str:
        """Counts what belongs to a dimension: "the busiest hour", "the most common loan type"."""
        names = [item.other("DIM") for item in self.items if item.other("DIM")]
        # "how many mortgages": the value of a type says what is counted.
        names += [item.value[0] for item in self.items if item.is_thing]
        noun = next((_NOUN_OF[name] for name in names if name in _NOUN_OF), None)
        if noun is None:
            if self.ids and names:
                self.draft.lists = True
                return "customer_count"
            unknown = self.items.unused()
            if unknown:
                raise NotCovered(not_understood(unknown))
            raise NotCovered("the question names no figure that I know")
        wanted = {item.value for item in self.items if item.kind == "AGG"}
        self.items.use("AGG")
        item = Item("NOUN", noun, noun)
        key: Any = "count" if self.draft.rank and not wanted else self._aggregation(item, wanted)
        if key is None:
            raise Unclear(_which_figure(noun, NOUNS[noun].metrics, self.registry))
        self.draft.noun, self.draft.aggregated = noun, bool(wanted)
        return self._named(noun, key)

    def _grouping_of(self, item: Item) -> str | None:
        """The grouping that an item can mean."""
        if item.is_people:
            return CUSTOMER
        if item.kind == "GRAIN":
            return str(item.value)
        if item.kind == "TYPE":
            nouns = [
                (noun_of(other.value) or "") if other.kind == "METRIC" else str(other.value)
                for other in self.items
                if other.kind in SUBJECTS
            ]
            return next((TYPE_OF[noun] for noun in nouns if noun in TYPE_OF), None)
        name = item.other("DIM")
        return str(name) if name else None

    def _groupings(self) -> None:
        """What stands after "by", and dimensions that a listing or a comparison names."""
        for index, item in enumerate(self.items):
            if item.kind == "GROUP":
                item.used = True
                self.draft.group_by.append(item.value)
            if item.kind == "BY" and not item.used:
                item.used = self._group_after(index)
        breakdown = any(item.kind in ("BREAKDOWN", "VERSUS") for item in self.items)
        compared = any(item.kind == "CMP" for item in self.items)
        for index, item in enumerate(self.items):
            if item.kind not in ("DIM", "GRAIN", "TYPE") or item.used:
                continue
            previous = self.items.at(index - 1)
            asked = previous is not None and previous.kind == "ASK"
            listed = self.draft.lists and bool(self.ids)
            name = self._grouping_of(item)
            beside = [self.items.at(index + step) for step in (-2, -1, 1, 2)]
            named = any(
                near is not None and near.kind == "VALUE" and near.value[0] == name
                for near in beside
            )
            if named:
                item.used = True
            elif name and (listed or breakdown or (asked and compared)):
                item.used = True
                self.draft.group_by.append(name)

    def _group_after(self, index: int) -> bool:
        """Reads what stands after "by"; False where that can't be a grouping."""
        at = index + 1
        grouped = False
        while after := self.items.at(at):
            name = self._grouping_of(after)
            if not grouped and (at == self.draft.main or after.used):
                # "compare Toronto and Calgary by average score"
                return True
            if (
                name is not None
                and at != self.draft.main
                and not (after.is_people and after.plural)
            ):
                after.used = grouped = True
                self.draft.group_by.append(name)
            elif grouped and after.kind in ("AND", "BY"):
                after.used = True
            else:
                break
            at += 1
        if grouped:
            return True
        if after is None:
            return bool(self.ids)
        if after.is_people and after.plural:
            # "withdrawals made by customers in Toronto"
            return True
        if after.kind == "CATEGORY" and after.text.startswith("atm"):
            after.used = True
            self.draft.group_by.append("atm_id")
            return True
        return after.kind == "VALUE"


def _limit(item: Item) -> int:
    item.used = True
    if item.value != int(item.value) or not 1 <= item.value <= MAX_LIMIT:
        raise NotCovered(f"a ranking can't have {item.text} rows")
    return int(item.value)


def _fitting(metric: Metric) -> set[str]:
    """Aggregations that say again what the metric's own name says."""
    if not metric.additive:
        return {"average", "amount"} if "average" in metric.name else {"amount"}
    counted = metric.unit not in ("CAD", "points")
    return {"total", "count"} if counted else {"total", "amount"}


def _which_figure(name: str, metrics: Any, registry: Registry) -> str:
    offered = [
        {"count": f"how many {name}", "total": f"the total amount of {name}"}.get(
            key, f"the average of {name}"
        )
        for key, metric in metrics.items()
        if metric in registry.metrics
    ]
    return f"Which figure do you mean: {', '.join(offered[:-1])} or {offered[-1]}?"
