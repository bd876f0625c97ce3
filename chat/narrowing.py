"""What narrows a question: conditions on customers, filters, days, bounds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from chat.dates import Period
from chat.items import PEOPLE, SUBJECTS, Draft, Item, Items, at_least_one, bound_after
from chat.plan import Condition, Filter, Having, NotCovered, Plan, Unclear
from chat.registry import CUSTOMER, NOUNS, TYPE_OF, Metric, Registry


class Narrowing:
    """Reads from the items of a question whose metric is known what narrows it, into the draft."""

    def __init__(
        self, registry: Registry, metric: Metric, items: Items, draft: Draft, ids: list[int]
    ) -> None:
        self.registry = registry
        self.metric = metric
        self.items = items
        self.draft = draft
        self.ids = ids

    def read(self, earlier: Plan | None, now: bool) -> None:
        """All of it; ``now`` says whether the question does.

        Raises:
            NotCovered: something that narrows nothing here.
            Unclear: a moment that has to be named.

        """
        self._conditions()
        self._moments(earlier, now)
        self._filters()
        self._having()
        self._sums()

    def _conditions(self) -> None:
        """Nouns besides the main one: conditions on customers, or words that add nothing."""
        for index, item in enumerate(self.items):
            if item.kind not in SUBJECTS or item.used:
                continue
            if self._is_value(item):
                continue
            item.used = self._condition(index)
        period = self.draft.period
        if period is None or self.metric.date is not None:
            return
        dated = [
            found
            for found in self.draft.conditions
            if self.registry.metrics[found.metric].date is not None
        ]
        if dated:
            self.draft.conditions = [
                found.model_copy(update={"start": period.start, "end": period.end})
                if found in dated
                else found
                for found in self.draft.conditions
            ]
            self.draft.period = None

    def _moments(self, earlier: Plan | None, now: bool) -> None:
        """Reads a period as a day, or as two to compare, where the figure is a state."""
        changes, period = self.items.use("CHANGE"), self.draft.period
        metric = self.metric
        past = self.registry.past_of(metric)
        if past is None:
            if self.registry.past is not None and metric.name == "customer_count" and period:
                raise NotCovered(
                    "how many customers there were isn't known, because who leaves is forgotten"
                )
            if changes:
                raise NotCovered(
                    f"{metric.label} of two days can't be compared; ask for it by day or month"
                )
            return
        if period is None:
            if changes and (earlier is None or not earlier.of_the_past):
                raise Unclear(f"Since when? The history begins on {past.begins}.")
            # "and now?" after an earlier day
            self.draft.timed = now
            return
        self.draft.period, self.draft.timed = None, True
        # A state may be newer than the last business day: up to today is up to now.
        ended = None if period.now or _goes_on(period, past.through) else period.end
        versus = any(item.kind == "VERSUS" for item in self.items)
        if not (changes or versus or period.end is None):
            self.draft.as_of = ended
        elif period.end is None or versus:
            first = period.start or period.end
            assert first is not None
            # What has not ended has no last day to compare with: the day before it began has.
            named = period.since or (None if period.now else period.end)
            self.draft.since = named or first - timedelta(days=1)
        elif period.start is None:
            raise Unclear("From which day on? I compare two days.")
        else:
            self.draft.since = period.since or period.start - timedelta(days=1)
            self.draft.as_of = ended

    def _is_value(self, item: Item) -> bool:
        """Reads a noun as a filter: "share of transactions that are withdrawals"."""
        value = item.other("VALUE")
        if value is None or self.draft.noun != "transactions":
            return False
        item.kind, item.value = "VALUE", value
        return True

    def _condition(self, index: int) -> bool:
        item = self.items[index]
        if item.value == "customers" and item.kind == "NOUN":
            return True
        if item.is_people and (has := PEOPLE[item.value]):
            self.draft.conditions.append(at_least_one(f"{has}_count", ()))
            return True
        bounds, count = self._bounds(index)
        filters = self._filters_beside(index)
        negative, with_ = self._having_words(index)
        if bounds is not None:
            name = self._condition_metric(item, index, count)
            for op, value in bounds:
                self.draft.conditions.append(
                    Condition(metric=name, op=op, value=value, filters=tuple(filters))
                )
            return True
        if item.kind == "METRIC":
            return bool(item.value == self.metric.name)
        if item.value == self.draft.noun and not negative and item.kind == "NOUN":
            for found in filters:
                self._keep(found)
            return True
        if item.value == "scores":
            # "customers with an excellent credit score": the band said it.
            return self._beside_band(index)
        counted = NOUNS[item.value].metrics.get("count")
        if counted not in self.registry.metrics or counted is None:
            return False
        if negative:
            none = Condition(metric=counted, op="=", value=Decimal(0), filters=tuple(filters))
            self.draft.conditions.append(none)
            return True
        if self._or_joined(index, counted, filters):
            return True
        if with_ or item.kind == "VERB":
            self.draft.conditions.append(at_least_one(counted, filters))
            return True
        return False

    def _or_joined(self, index: int, counted: str, filters: Sequence[Filter]) -> bool:
        """Joins "a student loan or a car loan" into one condition with two types."""
        at = self.items.back(index, "VALUE")
        if at < 1 or self.items[at].kind != "OR" or not filters or not self.draft.conditions:
            return False
        last = self.draft.conditions[-1]
        same = last.metric == counted and last.op == ">=" and last.value == 1 and last.filters
        if self.items[at - 1].value != self.items[index].value or not same:
            return False
        self.items[at].used = True
        values = (*last.filters[0].values, *filters[0].values)
        joined = last.filters[0].model_copy(update={"values": values})
        self.draft.conditions[-1] = last.model_copy(update={"filters": (joined,)})
        return True

    def _bounds(self, index: int) -> tuple[list[tuple[Any, Decimal]] | None, bool]:
        """Bounds on an item, and whether they count it ("2 loans") or measure it ("loans of 2")."""
        before = self.items.back(index, "VALUE", "CATEGORY")
        if before >= 0 and self.items[before].kind in ("CMP", "NUM"):
            found = self.items[before]
            if not found.used:
                found.used = True
                bounds = found.value if found.kind == "CMP" else [("=", found.value)]
                return bounds, not found.money
        beyond = self.items.back(index, "VALUE", "CATEGORY", "PREPOSITION", "AGG")
        if beyond >= 0 and self.items[beyond].kind == "CMP" and not self.items[beyond].used:
            between = self.items[beyond + 1 : index]
            self.items[beyond].used = True
            for other in between:
                other.used = other.used or other.kind == "AGG"
            return self.items[beyond].value, False
        place = bound_after(self.items, index)
        if place is not None:
            found = self.items[place]
            found.used = True
            bounds = found.value if found.kind == "CMP" else [("=", found.value)]
            return bounds, False
        return None, False

    def _condition_metric(self, item: Item, index: int, count: bool) -> str:
        if item.kind == "METRIC":
            return str(item.value)
        metrics = NOUNS[item.value].metrics
        wanted = {
            other.value
            for other in self.items[max(0, index - 2) : index + 3]
            if other.kind == "AGG" and (not other.used or other.value in ("total", "amount"))
        }
        for other in self.items[max(0, index - 2) : index + 3]:
            other.used = other.used or other.kind == "AGG"
        if item.value == "scores":
            key: Any = "average"
        elif item.value == "delinquencies":
            key = "total"
        elif "average" in wanted:
            key = "average"
        elif count and item.kind == "NOUN":
            key = "count"
        elif wanted & {"total", "amount"} or item.kind == "VERB":
            key = "total"
        elif "count" in wanted:
            key = "count"
        else:
            raise NotCovered(
                f"{item.value} can't be narrowed by their amount, only customers by their total"
            )
        name = metrics.get(key)
        if name is None or name not in self.registry.metrics:
            raise NotCovered(f"there is no metric for the {key} of {item.value}")
        return str(name)

    def _filters_beside(self, index: int) -> list[Filter]:
        """Values right before a noun that belong to it: "car loans", "card complaints"."""
        found: list[Filter] = []
        item = self.items[index]
        field_name = TYPE_OF.get(item.value)
        at = index - 1
        while (before := self.items.at(at)) and before.kind in ("VALUE", "OR", "AND"):
            if before.kind == "VALUE":
                if before.value[0] != field_name or before.used:
                    break
                before.used = True
                found.append(Filter(field=before.value[0], values=tuple(before.value[1])))
            elif (further := self.items.at(at - 1)) is None or further.kind != "VALUE":
                break
            else:
                before.used = True
            at -= 1
        if not found:
            return []
        values = tuple(value for part in reversed(found) for value in part.values)
        return [Filter(field=found[0].field, values=values)]

    def _having_words(self, index: int) -> tuple[bool, bool]:
        """Whether an item is denied ("without loans"), and whether customers have it ("with")."""
        at = self.items.back(index, "VALUE", "CATEGORY", "AGG", "OR")
        if at >= 0 and self.items[at].kind == "WITHOUT":
            self.items[at].used = True
            return True, False
        skip = ("VALUE", "CATEGORY", "AND", "AGG", "CMP", "PREPOSITION", "BE")
        while at >= 0:
            item = self.items[at]
            if item.kind in ("WITH", "WITHOUT"):
                return False, item.kind == "WITH"
            if item.kind in SUBJECTS:
                if item.is_people or at == self._main_index():
                    return False, False
            elif item.kind not in skip:
                return False, False
            at -= 1
        return False, False

    def _main_index(self) -> int:
        return next((i for i, item in enumerate(self.items) if item.used and item.is_people), -1)

    def _beside_band(self, index: int) -> bool:
        near = [self.items.at(index + step) for step in (-2, -1, 1, 2)]
        return any(
            other is not None and other.kind == "VALUE" and other.value[0] == "credit_band"
            for other in near
        )

    def _filters(self) -> None:
        """Values that are left: of dimensions, of categories, and the customers named."""
        metric = self.metric
        complaints = "category" in metric.dimensions
        verb = self._verb_after(self.draft.main)
        for index, item in enumerate(self.items):
            if item.used:
                continue
            if item.kind == "CATEGORY":
                if complaints and item.value is not None:
                    item.used = True
                    self._place(Filter(field="category", values=(item.value,)), index, verb)
                elif item.text.startswith("atm"):
                    item.used = True
            if item.kind == "VALUE":
                item.used = True
                op = self._denied(index)
                found = Filter(field=item.value[0], op=op, values=tuple(item.value[1]))
                if (
                    self.registry.dimension_of(metric, found.field) is None
                    and metric.of_customers
                    and op == "in"
                    and item.is_thing
                ):
                    self.draft.conditions.append(at_least_one("loan_count", (found,)))
                else:
                    self._place(found, index, verb)
        self._alternatives()
        if self.ids:
            self._keep(Filter(field=CUSTOMER, values=tuple(dict.fromkeys(self.ids))))
        versus = self.items.use("VERSUS")
        for found in self.draft.filters:
            if versus and len(found.values) > 1 and found.field not in self.draft.group_by:
                self.draft.group_by.append(found.field)

    def _verb_after(self, main: int) -> int:
        """Index of the first verb after the main noun: a share's part stands behind it."""
        places = (
            i
            for i, item in enumerate(self.items)
            if i > main and item.kind in ("BE", "WITH", "WITHOUT")
        )
        return next(places, -1)

    def _place(self, found: Filter, index: int, verb: int) -> None:
        if self.draft.share and 0 <= index < verb:
            self.draft.base.append(found)
        else:
            self._keep(found)

    def _keep(self, found: Filter) -> None:
        """Adds a filter; two values of one dimension are alternatives."""
        for index, other in enumerate(self.draft.filters):
            if (other.field, other.op) == (found.field, found.op):
                values = tuple(dict.fromkeys((*other.values, *found.values)))
                self.draft.filters[index] = other.model_copy(update={"values": values})
                return
        self.draft.filters.append(found)

    def _denied(self, index: int) -> Literal["in", "not in"]:
        at = self.items.back(index, "PREPOSITION", "VALUE", "AND", "OR", "BE", "DIM")
        if at >= 0 and self.items[at].kind == "NOT":
            self.items[at].used = True
            return "not in"
        return "in"

    def _alternatives(self) -> None:
        """Uses "or" between two values of one dimension; nothing else that it joins is covered."""
        for index, item in enumerate(self.items):
            before, after = self.items.at(index - 1), self.items.at(index + 1)
            if item.kind == "OR" and before and after and before.kind == after.kind == "VALUE":
                item.used = before.value[0] == after.value[0]

    def _having(self) -> None:
        """A bound beside the main figure of a grouping: "which cities have over 100 customers"."""
        for item in self.items:
            if (
                item.kind == "CMP"
                and not item.used
                and self.draft.group_by
                and self.draft.having is None
            ):
                if len(item.value) != 1:
                    raise NotCovered("groups can have one bound, not a range")
                item.used = True
                op, value = item.value[0]
                self.draft.having = Having(op=op, value=value)

    def _sums(self) -> None:
        """Lets "in total" stand beside what is summed anyway, "breakdown" beside a grouping."""
        metric = self.metric
        if self.draft.group_by:
            self.items.use("BREAKDOWN")
        for item in self.items:
            if item.kind == "AGG" and item.value == "total" and metric.additive:
                item.used = True


def _goes_on(period: Period, day: date | None) -> bool:
    """Whether the period has begun by the day and ends after it."""
    if day is None or period.start is None or period.end is None:
        return False
    return period.start <= day < period.end
