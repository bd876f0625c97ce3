"""From a question's words to a plan, by rules alone: the same question gives the same plan.

Every word of substance must be used. A word that the rules don't know, or can't place, ends in a
refusal or in a question back: a filter that was overheard would make a wrong figure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from chat.dates import BadDate, Period, find
from chat.plan import MAX_LIMIT, Condition, Filter, Having, NotCovered, Plan, validate
from chat.registry import (
    CUSTOMER,
    DATE_GRAINS,
    NOUNS,
    TYPE_OF,
    Aggregation,
    Lexicon,
    Metric,
    Registry,
)
from chat.words import amount, as_written, lexicon, normal, words

LONGEST = 1_000
TOP_DEFAULT = 10
NAME_WORDS = 5
PROFILE = ("average_credit_score", "loan_count", "loan_total", "deposit_total", "withdrawal_total")


class Unclear(Exception):
    """The question can be read in several ways; the message asks which."""


@dataclass(frozen=True)
class Person:
    """A customer whom a name or a part of one can mean."""

    customer_id: int
    label: str


FindPeople = Callable[[Sequence[str], bool], dict[str, list[Person]]]
"""Names (lower case, no accents) → customers. With True, single words are parts of a name."""


@dataclass(frozen=True)
class Understood:
    """A plan, and the customers that the question names."""

    plan: Plan
    people: tuple[Person, ...] = ()


class Parser:
    """Understands questions about one registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.lexicon = lexicon(registry)

    def understand(
        self, text: str, today: date, people: FindPeople, earlier: Plan | None = None
    ) -> Understood:
        """The plan of one question.

        Args:
            text: the question.
            today: the last business day of the published data.
            people: finds customers by name, among those the asker may see.
            earlier: the plan of the question before, for "and in Calgary?".

        Raises:
            NotCovered: the registry can't answer it; the message says what is missing.
            Unclear: it needs one more word from the asker.

        """
        return _Reader(self.registry, self.lexicon, today, people).read(text, earlier)


_IDS = re.compile(
    r"\b(?:customer|client)s?\s*(?:number|no\.?|ids?|nr\.?)?\s*#?\s*(\d+"
    r"(?:\s*(?:,\s*and|,|and|&|or)\s*#?\d+)*)\b"
    r"(?:'s|')?(?!\s*(?:or more|or less|loan|deposit|withdraw|trans|cit|province))"
)
_HASH = re.compile(r"#\s?(\d+)\b(?:'s)?")
_LEAD = re.compile(r"^\s*(?:and|what about|how about|also|now|then|same|ok|okay|but|only|just)\b")
_NOW = re.compile(r"\b(?:now|currently|at present)\b")
_ONLY = re.compile(r"^\s*(?:only|just)\b")
_PROFILE = re.compile(
    r"^\s*(?:please\s+)?(?:tell me (?:all )?about|who is|describe|summari[sz]e|profile (?:of|for)|"
    r"show me|show|look up|overview of|what do (?:we|you) know about|"
    r"give me (?:a )?(?:profile|summary|overview) (?:of|for))\b"
)
_SUBJECTS = ("METRIC", "NOUN", "VERB")
_HARMLESS = frozenset({"AND", "PREPOSITION", "TO", "WITH", "ASK", "BE", "VERSUS"})
"""Structure, not substance: may be left over. "not", "or", numbers and nouns may not."""
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
_PEOPLE = {"customers": None, "borrowers": "loan", "depositors": "deposit"}
"""Words for customers, and of what they have at least one."""


@dataclass(eq=False)
class _Item:
    """One phrase of the question: what kind it is, what it means, how it was written."""

    kind: str
    value: Any
    text: str
    others: tuple[tuple[str, Any], ...] = ()
    """Further readings: a noun that can also be a dimension or a value."""
    money: bool = False
    used: bool = False

    def other(self, kind: str) -> Any:
        """What the phrase means as ``kind``, or None."""
        if self.kind == kind:
            return self.value
        return next((value for other, value in self.others if other == kind), None)

    @property
    def is_people(self) -> bool:
        return self.kind == "NOUN" and self.value in _PEOPLE

    @property
    def plural(self) -> bool:
        return self.text.rstrip("'").endswith("s") or self.text == "people"


@dataclass
class _Draft:
    """What has been understood so far."""

    period: Period | None
    as_of: date | None = None
    since: date | None = None
    timed: bool = False
    """Whether the question says which moment it means."""
    metric: str | None = None
    noun: str | None = None
    main: int = -1
    """Index of the item that is asked for."""
    group_by: list[str] = field(default_factory=list)
    filters: list[Filter] = field(default_factory=list)
    base: list[Filter] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    rank: Literal["highest", "lowest"] | None = None
    limit: int | None = None
    having: Having | None = None
    lists: bool = False
    share: bool = False
    aggregated: bool = False


class _Reader:
    """Reads one question. Its items are used up; what is left at the end was not understood."""

    def __init__(
        self, registry: Registry, phrases: Lexicon, today: date, people: FindPeople
    ) -> None:
        self.registry = registry
        self.lexicon = phrases
        self.today = today
        self.find_people = people
        self.items: list[_Item] = []
        self.people: list[Person] = []
        self.ids: list[int] = []
        self._now = False
        """Whether the question says "now"."""
        self._ranked_by = False
        """Whether "by" names what is ranked: "the highest score by city" asks for maxima."""

    def read(self, text: str, earlier: Plan | None) -> Understood:
        if len(text) > LONGEST:
            raise NotCovered(f"the question is longer than {LONGEST:,} characters")
        plain = normal(text)
        lead, profile = bool(_LEAD.match(plain)), _PROFILE.match(plain)
        self._now = bool(_NOW.search(plain))
        # "only" narrows elsewhere: "customers with only a car loan" must not lose it.
        plain = _ONLY.sub(" ", plain)
        rest = self._take_people(plain)
        try:
            periods, rest = find(rest, self.today)
        except BadDate as error:
            raise NotCovered(str(error)) from None
        if len(periods) > 1:
            raise Unclear("Which period do you mean? I answer for one span of days at a time.")
        if profile and self.ids and not list(self._tag(_PROFILE.sub(" ", rest))):
            return self._finish(_list(self.ids, columns=self._profile()))
        self.items = list(self._tag(rest))
        self._take_parts_of_names()
        if unknown := [item.text for item in self.items if item.kind == "UNKNOWN"]:
            raise NotCovered(_not_understood(unknown))
        self._who()
        self._of_them(earlier)
        pronouns = self._use("PRONOUN")
        subject = any(item.kind in _SUBJECTS for item in self.items)
        follows = lead or pronouns or not subject
        if pronouns and earlier is None and not self.ids:
            raise Unclear("Whom do you mean? There is no earlier question to go on from.")
        if follows and earlier is None and lead and not subject:
            raise Unclear("What about it? There is no earlier question to go on from.")
        draft = _Draft(periods[0] if periods else None)
        previous = earlier if follows else None
        if not self.items and not periods and not self.ids:
            # "thanks" asks nothing: the earlier figure again would look like an answer to it.
            raise Unclear("What would you like to know?")
        self._comparisons()
        self._ranks(draft)
        self._choose(draft, previous)
        self._groupings(draft)
        self._conditions(draft)
        self._moments(draft, previous)
        self._filters(draft)
        self._having(draft)
        self._sums(draft)
        self._require_all_used()
        return self._finish(self._plan(draft, previous))

    def _finish(self, plan: Plan) -> Understood:
        return Understood(validate(plan, self.registry), tuple(self.people))

    # Words to items.

    def _take_people(self, text: str) -> str:
        """Customers by number and by full name; the text without them."""
        for pattern in (_IDS, _HASH):
            for found in pattern.finditer(text):
                self.ids += [int(number) for number in re.findall(r"\d+", found[1])]
            text = pattern.sub(" ", text)
        raw = [word.strip(' ,.?!:;"()') for word in text.split()]
        grams = {
            " ".join(raw[start : start + length]).removesuffix("'s").removesuffix("'")
            for length in range(2, NAME_WORDS + 1)
            for start in range(len(raw) - length + 1)
        }
        matches = self.find_people(sorted(grams), False) if grams else {}
        for name in sorted(matches, key=len, reverse=True):
            shorter = re.sub(rf"(?<!\w){re.escape(name)}(?:'s|')?(?!\w)", " ", text)
            if shorter != text:
                self._take_person(name, matches[name])
            text = shorter
        return text

    def _take_person(self, name: str, found: list[Person]) -> None:
        if len(found) > 1:
            labels = ", ".join(person.label for person in found[:10])
            more = f" and {len(found) - 10} more" if len(found) > 10 else ""
            raise Unclear(f"Which customer do you mean by “{name.title()}”: {labels}{more}?")
        self.people += found
        self.ids.append(found[0].customer_id)

    def _take_parts_of_names(self) -> None:
        unknown = [item for item in self.items if item.kind == "UNKNOWN"]
        if not unknown:
            return
        names = {item: item.text.removesuffix("'s").removesuffix("'") for item in unknown}
        matches = self.find_people(sorted(set(names.values())), True)
        for item, name in names.items():
            if found := matches.get(name):
                self._take_person(name, found)
                self.items.remove(item)

    def _tag(self, text: str) -> Iterator[_Item]:
        tokens, raw = words(text), as_written(text)
        at = 0
        while at < len(tokens):
            length, meanings = self.lexicon.match(tokens, at)
            if not length:
                number = amount(tokens[at])
                yield _Item("UNKNOWN" if number is None else "NUM", number, raw[at])
                at += 1
                continue
            written = " ".join(raw[at : at + length])
            at += length
            meanings = [meaning for meaning in meanings if meaning[0] != "STOP"]
            if meanings:
                first, *rest = sorted(meanings, key=lambda meaning: _importance(meaning[0]))
                yield _Item(first[0], first[1], written, tuple(rest))

    def _who(self) -> None:
        """Lets "who" ask for customers where nothing else names them; elsewhere it says nothing."""
        named = any(item.is_people for item in self.items)
        for item in [item for item in self.items if item.kind == "WHO"]:
            if named:
                self.items.remove(item)
            else:
                item.kind, item.value, named = "NOUN", "customers", True

    def _of_them(self, earlier: Plan | None) -> None:
        """Lets "how many of them" count what the earlier question was about.

        With a verb of its own ("how much did they withdraw") they are its customers.
        """
        acts = any(item.kind == "VERB" for item in self.items)
        for item, after in zip(self.items, self.items[1:], strict=False):
            if item.kind == "AGG" and after.kind == "PRONOUN" and earlier is not None:
                noun = "customers" if acts else _noun_of(earlier.metric)
                after.kind, after.value = "NOUN", noun
                self.items.append(_Item("PRONOUN", None, after.text))
                return

    def _comparisons(self) -> None:
        """Joins "more than 600", "between 600 and 700", "600 or more" into one item each."""
        joined: list[_Item] = []
        rest: list[_Item] = []
        money = False
        for item in self.items:
            if item.kind == "MONEY":
                money = True
                if rest and rest[-1].kind == "NUM":
                    rest[-1].money, money = True, False
            else:
                item.money = money and item.kind == "NUM"
                money = False
                rest.append(item)
        at = 0
        while at < len(rest):
            kinds = [item.kind for item in rest[at : at + 4]]
            bounds: list[tuple[str, Decimal]] = []
            taken = 1
            if kinds[:2] == ["OP", "NUM"]:
                bounds, taken = [(rest[at].value, rest[at + 1].value)], 2
            elif kinds[:2] == ["NUM", "POST"]:
                bounds, taken = [(rest[at + 1].value, rest[at].value)], 2
            elif kinds[:2] == ["BETWEEN", "NUM"] and kinds[2:] in (["AND", "NUM"], ["TO", "NUM"]):
                bounds, taken = [(">=", rest[at + 1].value), ("<=", rest[at + 3].value)], 4
            elif kinds[:3] == ["NUM", "TO", "NUM"]:
                bounds, taken = [(">=", rest[at].value), ("<=", rest[at + 2].value)], 3
            parts = rest[at : at + taken]
            if bounds:
                written = " ".join(part.text for part in parts)
                joined.append(_Item("CMP", bounds, written, money=any(p.money for p in parts)))
            else:
                joined += parts
            at += taken
        self.items = joined

    # Items to a plan.

    def _at(self, index: int) -> _Item | None:
        return self.items[index] if 0 <= index < len(self.items) else None

    def _use(self, kind: str) -> bool:
        found = [item for item in self.items if item.kind == kind]
        for item in found:
            item.used = True
        return bool(found)

    def _back(self, index: int, skip: Iterable[str]) -> int:
        """Index of the nearest item before ``index`` whose kind isn't skipped, or -1."""
        index -= 1
        while index >= 0 and self.items[index].kind in skip:
            index -= 1
        return index

    def _ranks(self, draft: _Draft) -> None:
        """Direction and limit: "top 5", "the 3 lowest", "which 5 customers … most"."""
        for index, item in enumerate(self.items):
            if item.kind not in ("RANK", "RANKED"):
                continue
            if draft.rank is not None and item.kind == "RANK" and draft.rank != item.value:
                raise Unclear("Highest or lowest first?")
            draft.rank = item.value
            item.used = True
            for near in (self._at(index + 1), self._at(index - 1)):
                if item.kind == "RANK" and near and near.kind == "NUM" and draft.limit is None:
                    draft.limit = _limit(near)
        for index, item in enumerate(self.items):
            after = self._at(index + 1)
            counted = after is not None and (after.kind in ("DIM", "GRAIN") or after.is_people)
            if draft.rank and draft.limit is None and item.kind == "NUM" and counted:
                draft.limit = _limit(item)

    def _choose(self, draft: _Draft, earlier: Plan | None) -> None:
        """What is asked for: the metric, and for a ranking the things that are ranked."""
        draft.share = self._use("SHARE")
        ranked = self._ranked_thing(draft) if draft.rank else -1
        subjects = [
            index
            for index, item in enumerate(self.items)
            if item.kind in _SUBJECTS and index != ranked
        ]
        draft.main = self._main(draft, subjects)
        if draft.main >= 0:
            item = self.items[draft.main]
            item.used = True
            draft.noun = item.value if item.kind != "METRIC" else _noun_of(item.value)
            draft.metric = self._metric_of(draft, item, earlier)
        elif ranked >= 0 and self.items[ranked].is_people:
            has = _PEOPLE[self.items[ranked].value]
            if has is None:
                raise Unclear("Top customers by what: loans, deposits, withdrawals, credit score?")
            draft.metric, draft.noun = f"{has}_total", f"{has}s"
        elif earlier is not None:
            self._from_earlier(draft, earlier)
        else:
            self._from_dimension(draft)

    def _ranked_thing(self, draft: _Draft) -> int:
        """Index of the first thing that can be ranked; it becomes the grouping."""
        for index, item in enumerate(self.items):
            name = self._grouping_of(item)
            previous = self._at(index - 1)
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
            draft.group_by.append(name)
            if draft.limit is None and not any(other.kind == "RANKED" for other in self.items):
                everything = previous is not None and previous.kind == "BY"
                draft.limit = TOP_DEFAULT if item.plural or everything else 1
            if item.is_people and (has := _PEOPLE[item.value]):
                draft.conditions.append(_existence(f"{has}_count", ()))
            return index
        return -1

    def _main(self, draft: _Draft, subjects: list[int]) -> int:
        """Index of the item that is asked for, or -1."""
        if not subjects:
            return -1
        if draft.rank:
            for index in subjects:
                before = self._back(index, ("AGG", "PREPOSITION", "RANK"))
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
        if earlier and self._bounds_of(chosen) and not draft.rank:
            return earlier[0]
        return chosen

    def _bound(self, wanted: str, place: int, subjects: list[int]) -> int:
        """Which noun an aggregation belongs to: the next one, or the last one before it."""
        after = [i for i in subjects if i > place]
        if wanted in ("amount", "average"):
            # "how much did customers withdraw": customers have no amount.
            after = [i for i in after if not self.items[i].is_people] or after
        return after[0] if after else subjects[-1]

    def _metric_of(self, draft: _Draft, item: _Item, earlier: Plan | None) -> str:
        """The metric of the main item, with the aggregations that belong to it."""
        wanted = set()
        following = draft.main + 1
        while (after := self._at(following)) and after.kind in ("AGG", "PREPOSITION"):
            following += 1
        for index, other in enumerate(self.items):
            if other.kind == "AGG" and not other.used and index < following:
                wanted.add(other.value)
                other.used = True
        draft.aggregated = bool(wanted) or item.kind == "METRIC"
        if item.kind == "METRIC":
            metric = self.registry.metrics[item.value]
            if metric.name.startswith("average") and metric.unit == "CAD" and self._per_customer():
                raise NotCovered("there is no metric for an average per customer")
            if not wanted <= _fitting(metric):
                raise NotCovered(f"{metric.label} is no {' or '.join(sorted(wanted))}")
            return metric.name
        noun = NOUNS[item.value]
        key = self._aggregation(draft, item, wanted)
        if earlier is not None and not wanted and item.kind == "NOUN":
            # "and deposits?" after a total asks for a total.
            key = next(
                (k for n in NOUNS.values() for k, m in n.metrics.items() if m == earlier.metric),
                key,
            )
            key = key if key in noun.metrics else self._aggregation(draft, item, wanted)
        if key is None:
            raise Unclear(_which_figure(item.value, noun.metrics, self.registry))
        return self._named(item.value, key)

    def _named(self, noun: str, key: Aggregation) -> str:
        name = NOUNS[noun].metrics.get(key)
        if name is None or name not in self.registry.metrics:
            what = {"count": "number", "total": "total amount"}.get(key, key)
            raise NotCovered(f"there is no metric for the {what} of {noun}")
        return name

    def _aggregation(self, draft: _Draft, item: _Item, wanted: set[str]) -> Aggregation | None:
        noun = NOUNS[item.value]
        if "average" in wanted and "count" in wanted:
            raise NotCovered("there is no metric for an average of counts")
        if "average" in wanted:
            if CUSTOMER in draft.group_by or self._per_customer():
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
        if draft.rank:
            before = self._at(draft.main - 1)
            single = item.value in ("loans", "deposits", "withdrawals", "transactions")
            if before and before.text in _EXTREMES and single and not item.plural:
                raise Unclear(
                    f"By the total of {item.value} or by their number? A single one isn't a figure"
                    " that I know."
                )
            if draft.group_by and self._ranked_by and before and before.text in _EXTREMES:
                raise NotCovered(f"there is no metric for the single {before.text} of {item.value}")
            ranks = [other.text for other in self.items if other.kind == "RANK"]
            beside = before is not None and before.kind == "RANK" and before.text in _COUNTING
            if "count" in noun.metrics and (beside or set(ranks) & _OFTEN):
                return "count"
            return "total" if noun.bare is None else noun.bare
        if draft.share and item.value == "loans":
            return "count"
        return noun.bare

    def _per_customer(self) -> bool:
        return any(
            item.kind == "BY" and after is not None and after.is_people and not after.plural
            for item, after in zip(self.items, [*self.items[1:], None], strict=True)
        )

    def _from_earlier(self, draft: _Draft, earlier: Plan) -> None:
        """Another aggregation of the same noun ("and the average?"); else the same metric."""
        wanted = [item for item in self.items if item.kind == "AGG"]
        draft.metric = earlier.metric
        for item in wanted:
            item.used = True
            key: Any = "total" if item.value == "amount" else item.value
            noun = next(
                (noun for noun in NOUNS.values() if earlier.metric in noun.metrics.values()), None
            )
            name = noun.metrics.get(key) if noun else None
            if name is None or name not in self.registry.metrics:
                raise NotCovered(f"there is no metric for the {item.text} of that")
            draft.metric, draft.aggregated = name, True

    def _from_dimension(self, draft: _Draft) -> None:
        """Counts what belongs to a dimension: "the busiest hour", "the most common loan type"."""
        names = [item.other("DIM") for item in self.items if item.other("DIM")]
        # "how many mortgages": the value of a type says what is counted.
        names += [item.value[0] for item in self.items if _is_thing(item)]
        noun = next((_NOUN_OF[name] for name in names if name in _NOUN_OF), None)
        if noun is None:
            if self.ids and names:
                draft.metric, draft.lists = "customer_count", True
                return
            unknown = self._unused()
            if unknown:
                raise NotCovered(_not_understood(unknown))
            raise NotCovered("the question names no figure that I know")
        wanted = {item.value for item in self.items if item.kind == "AGG"}
        self._use("AGG")
        item = _Item("NOUN", noun, noun)
        key: Any = "count" if draft.rank and not wanted else self._aggregation(draft, item, wanted)
        if key is None:
            raise Unclear(_which_figure(noun, NOUNS[noun].metrics, self.registry))
        draft.metric, draft.noun = self._named(noun, key), noun
        draft.aggregated = bool(wanted)

    def _grouping_of(self, item: _Item) -> str | None:
        """The grouping that an item can mean."""
        if item.is_people:
            return CUSTOMER
        if item.kind == "GRAIN":
            return str(item.value)
        if item.kind == "TYPE":
            nouns = [
                (_noun_of(other.value) or "") if other.kind == "METRIC" else str(other.value)
                for other in self.items
                if other.kind in _SUBJECTS
            ]
            return next((TYPE_OF[noun] for noun in nouns if noun in TYPE_OF), None)
        name = item.other("DIM")
        return str(name) if name else None

    def _groupings(self, draft: _Draft) -> None:
        for index, item in enumerate(self.items):
            if item.kind == "GROUP":
                item.used = True
                draft.group_by.append(item.value)
            if item.kind == "BY" and not item.used:
                item.used = self._group_after(draft, index)
        breakdown = any(item.kind in ("BREAKDOWN", "VERSUS") for item in self.items)
        compared = any(item.kind == "CMP" for item in self.items)
        for index, item in enumerate(self.items):
            if item.kind not in ("DIM", "GRAIN", "TYPE") or item.used:
                continue
            previous = self._at(index - 1)
            asked = previous is not None and previous.kind == "ASK"
            listed = draft.lists and bool(self.ids)
            name = self._grouping_of(item)
            beside = [self._at(index + step) for step in (-2, -1, 1, 2)]
            named = any(
                near is not None and near.kind == "VALUE" and near.value[0] == name
                for near in beside
            )
            if named:
                item.used = True
            elif name and (listed or breakdown or (asked and compared)):
                item.used = True
                draft.group_by.append(name)

    def _group_after(self, draft: _Draft, index: int) -> bool:
        """Reads what stands after "by"; False where that can't be a grouping."""
        at = index + 1
        grouped = False
        while after := self._at(at):
            name = self._grouping_of(after)
            if not grouped and (at == draft.main or after.used):
                # "compare Toronto and Calgary by average score"
                return True
            if name is not None and at != draft.main and not (after.is_people and after.plural):
                after.used = grouped = True
                draft.group_by.append(name)
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
            draft.group_by.append("atm_id")
            return True
        return after.kind == "VALUE"

    def _conditions(self, draft: _Draft) -> None:
        """Nouns besides the main one: conditions on customers, or words that add nothing."""
        for index, item in enumerate(self.items):
            if item.kind not in _SUBJECTS or item.used:
                continue
            if self._is_value(draft, item):
                continue
            item.used = self._condition(draft, index)
        period = draft.period
        metric = self.registry.metrics.get(draft.metric or "")
        if period is None or metric is None or metric.date is not None:
            return
        dated = [
            found
            for found in draft.conditions
            if self.registry.metrics[found.metric].date is not None
        ]
        if dated:
            draft.conditions = [
                found.model_copy(update={"start": period.start, "end": period.end})
                if found in dated
                else found
                for found in draft.conditions
            ]
            draft.period = None

    def _moments(self, draft: _Draft, earlier: Plan | None) -> None:
        """Reads a period as a day, or as two to compare, where the figure is a state."""
        changes, period = self._use("CHANGE"), draft.period
        metric = self.registry.metrics[draft.metric or ""]
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
            draft.timed = self._now
            return
        draft.period, draft.timed = None, True
        # A state may be newer than the last business day: up to today is up to now.
        ended = None if period.now or _goes_on(period, past.through) else period.end
        versus = any(item.kind == "VERSUS" for item in self.items)
        if not (changes or versus or period.end is None):
            draft.as_of = ended
        elif period.end is None or versus:
            first = period.start or period.end
            assert first is not None
            # What has not ended has no last day to compare with: the day before it began has.
            named = period.since or (None if period.now else period.end)
            draft.since = named or first - timedelta(days=1)
        elif period.start is None:
            raise Unclear("From which day on? I compare two days.")
        else:
            draft.since = period.since or period.start - timedelta(days=1)
            draft.as_of = ended

    def _is_value(self, draft: _Draft, item: _Item) -> bool:
        """Reads a noun as a filter: "share of transactions that are withdrawals"."""
        value = item.other("VALUE")
        metric = self.registry.metrics.get(draft.metric or "")
        if value is None or metric is None or draft.noun != "transactions":
            return False
        item.kind, item.value = "VALUE", value
        return True

    def _condition(self, draft: _Draft, index: int) -> bool:
        item = self.items[index]
        if item.value == "customers" and item.kind == "NOUN":
            return True
        if item.is_people and (has := _PEOPLE[item.value]):
            draft.conditions.append(_existence(f"{has}_count", ()))
            return True
        bounds, count = self._bounds(index)
        filters = self._filters_beside(index)
        negative, with_ = self._having_words(index)
        if bounds is not None:
            name = self._condition_metric(item, index, count)
            for op, value in bounds:
                draft.conditions.append(
                    Condition(metric=name, op=op, value=value, filters=tuple(filters))
                )
            return True
        if item.kind == "METRIC":
            return bool(item.value == draft.metric)
        if item.value == draft.noun and not negative and item.kind == "NOUN":
            for found in filters:
                self._keep(draft, found)
            return True
        if item.value == "scores":
            # "customers with an excellent credit score": the band said it.
            return self._beside_band(index)
        counted = NOUNS[item.value].metrics.get("count")
        if counted not in self.registry.metrics or counted is None:
            return False
        if negative:
            none = Condition(metric=counted, op="=", value=Decimal(0), filters=tuple(filters))
            draft.conditions.append(none)
            return True
        if self._or_joined(draft, index, counted, filters):
            return True
        if with_ or item.kind == "VERB":
            draft.conditions.append(_existence(counted, filters))
            return True
        return False

    def _or_joined(
        self, draft: _Draft, index: int, counted: str, filters: Sequence[Filter]
    ) -> bool:
        """Joins "a student loan or a car loan" into one condition with two types."""
        at = self._back(index, ("VALUE",))
        if at < 1 or self.items[at].kind != "OR" or not filters or not draft.conditions:
            return False
        last = draft.conditions[-1]
        same = last.metric == counted and last.op == ">=" and last.value == 1 and last.filters
        if self.items[at - 1].value != self.items[index].value or not same:
            return False
        self.items[at].used = True
        values = (*last.filters[0].values, *filters[0].values)
        joined = last.filters[0].model_copy(update={"values": values})
        draft.conditions[-1] = last.model_copy(update={"filters": (joined,)})
        return True

    def _bounds(self, index: int) -> tuple[list[tuple[Any, Decimal]] | None, bool]:
        """Bounds on an item, and whether they count it ("2 loans") or measure it ("loans of 2")."""
        before = self._back(index, ("VALUE", "CATEGORY"))
        if before >= 0 and self.items[before].kind in ("CMP", "NUM"):
            found = self.items[before]
            if not found.used:
                found.used = True
                bounds = found.value if found.kind == "CMP" else [("=", found.value)]
                return bounds, not found.money
        beyond = self._back(index, ("VALUE", "CATEGORY", "PREPOSITION", "AGG"))
        if beyond >= 0 and self.items[beyond].kind == "CMP" and not self.items[beyond].used:
            between = self.items[beyond + 1 : index]
            self.items[beyond].used = True
            for other in between:
                other.used = other.used or other.kind == "AGG"
            return self.items[beyond].value, False
        place = self._bounds_of(index)
        if place:
            found = self.items[place]
            found.used = True
            bounds = found.value if found.kind == "CMP" else [("=", found.value)]
            return bounds, False
        return None, False

    def _bounds_of(self, index: int) -> int:
        """Index of a bound that follows an item ("score above 600"), or 0."""
        at = index + 1
        skip = ("BE", "WITH", "AGG", "PREPOSITION", "VALUE")
        while (after := self._at(at)) and after.kind in skip:
            at += 1
        after = self._at(at)
        if after is None or after.used:
            return 0
        if after.kind == "NUM" and self.items[index].value not in ("scores",):
            return 0
        following = self._at(at + 1)
        if after.kind == "CMP" and following is not None and following.kind == "NOUN":
            # "… who withdrew and more than 2 loans": the bound belongs to what follows it.
            return 0 if not after.money and following.value != "customers" else at
        return at if after.kind in ("CMP", "NUM") else 0

    def _condition_metric(self, item: _Item, index: int, count: bool) -> str:
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
        while (before := self._at(at)) and before.kind in ("VALUE", "OR", "AND"):
            if before.kind == "VALUE":
                if before.value[0] != field_name or before.used:
                    break
                before.used = True
                found.append(Filter(field=before.value[0], values=tuple(before.value[1])))
            elif (further := self._at(at - 1)) is None or further.kind != "VALUE":
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
        at = self._back(index, ("VALUE", "CATEGORY", "AGG", "OR"))
        if at >= 0 and self.items[at].kind == "WITHOUT":
            self.items[at].used = True
            return True, False
        skip = ("VALUE", "CATEGORY", "AND", "AGG", "CMP", "PREPOSITION", "BE")
        while at >= 0:
            item = self.items[at]
            if item.kind in ("WITH", "WITHOUT"):
                return False, item.kind == "WITH"
            if item.kind in _SUBJECTS:
                if item.is_people or at == self._main_index():
                    return False, False
            elif item.kind not in skip:
                return False, False
            at -= 1
        return False, False

    def _main_index(self) -> int:
        return next((i for i, item in enumerate(self.items) if item.used and item.is_people), -1)

    def _beside_band(self, index: int) -> bool:
        near = [self._at(index + step) for step in (-2, -1, 1, 2)]
        return any(
            other is not None and other.kind == "VALUE" and other.value[0] == "credit_band"
            for other in near
        )

    def _filters(self, draft: _Draft) -> None:
        metric = self.registry.metrics[draft.metric or ""]
        complaints = "category" in metric.dimensions
        verb = self._verb_after(draft.main)
        for index, item in enumerate(self.items):
            if item.used:
                continue
            if item.kind == "CATEGORY":
                if complaints and item.value is not None:
                    item.used = True
                    self._place(draft, Filter(field="category", values=(item.value,)), index, verb)
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
                    and _is_thing(item)
                ):
                    draft.conditions.append(_existence("loan_count", (found,)))
                else:
                    self._place(draft, found, index, verb)
        self._alternatives()
        if self.ids:
            self._keep(draft, Filter(field=CUSTOMER, values=tuple(dict.fromkeys(self.ids))))
        versus = self._use("VERSUS")
        for found in draft.filters:
            if versus and len(found.values) > 1 and found.field not in draft.group_by:
                draft.group_by.append(found.field)

    def _verb_after(self, main: int) -> int:
        """Index of the first verb after the main noun: a share's part stands behind it."""
        places = (
            i
            for i, item in enumerate(self.items)
            if i > main and item.kind in ("BE", "WITH", "WITHOUT")
        )
        return next(places, -1)

    def _place(self, draft: _Draft, found: Filter, index: int, verb: int) -> None:
        if draft.share and 0 <= index < verb:
            draft.base.append(found)
        else:
            self._keep(draft, found)

    def _keep(self, draft: _Draft, found: Filter) -> None:
        """Adds a filter; two values of one dimension are alternatives."""
        for index, other in enumerate(draft.filters):
            if (other.field, other.op) == (found.field, found.op):
                values = tuple(dict.fromkeys((*other.values, *found.values)))
                draft.filters[index] = other.model_copy(update={"values": values})
                return
        draft.filters.append(found)

    def _denied(self, index: int) -> Literal["in", "not in"]:
        at = self._back(index, ("PREPOSITION", "VALUE", "AND", "OR", "BE", "DIM"))
        if at >= 0 and self.items[at].kind == "NOT":
            self.items[at].used = True
            return "not in"
        return "in"

    def _alternatives(self) -> None:
        """Uses "or" between two values of one dimension; nothing else that it joins is covered."""
        for index, item in enumerate(self.items):
            before, after = self._at(index - 1), self._at(index + 1)
            if item.kind == "OR" and before and after and before.kind == after.kind == "VALUE":
                item.used = before.value[0] == after.value[0]

    def _having(self, draft: _Draft) -> None:
        """A bound beside the main figure of a grouping: "which cities have over 100 customers"."""
        for item in self.items:
            if item.kind == "CMP" and not item.used and draft.group_by and draft.having is None:
                if len(item.value) != 1:
                    raise NotCovered("groups can have one bound, not a range")
                item.used = True
                op, value = item.value[0]
                draft.having = Having(op=op, value=value)

    def _sums(self, draft: _Draft) -> None:
        """Lets "in total" stand beside what is summed anyway, "breakdown" beside a grouping."""
        metric = self.registry.metrics[draft.metric or ""]
        if draft.group_by:
            self._use("BREAKDOWN")
        for item in self.items:
            if item.kind == "AGG" and item.value == "total" and metric.additive:
                item.used = True

    def _unused(self) -> list[str]:
        return [item.text for item in self.items if not item.used and item.kind not in _HARMLESS]

    def _require_all_used(self) -> None:
        if left := self._unused():
            raise NotCovered(_not_understood(left))

    def _profile(self) -> tuple[str, ...]:
        return tuple(name for name in PROFILE if name in self.registry.metrics)

    def _plan(self, draft: _Draft, earlier: Plan | None) -> Plan:
        main = self._at(draft.main)
        asked = any(item.kind == "ASK" for item in self.items) or (
            main is not None and main.text in ("who", "whom", "anyone", "everyone")
        )
        narrowed = bool(draft.conditions or draft.filters)
        plain = not (draft.group_by or draft.aggregated or draft.rank or draft.share)
        lists = main is not None and main.is_people and plain and (asked or narrowed)
        if draft.lists or lists:
            listing = _list((), group_by=draft.group_by)
            if main is not None and (has := _PEOPLE.get(main.value)):
                draft.conditions.append(_existence(f"{has}_count", ()))
            plan = listing.model_copy(
                update={
                    "filters": tuple(draft.filters),
                    "conditions": tuple(draft.conditions),
                    "start": draft.period.start if draft.period else None,
                    "end": draft.period.end if draft.period else None,
                    "as_of": draft.as_of,
                    "since": draft.since,
                }
            )
        else:
            plan = Plan(
                metric=draft.metric or "",
                show="share" if draft.share else "figure",
                group_by=tuple(dict.fromkeys(draft.group_by)),
                filters=tuple(draft.filters),
                base=tuple(draft.base),
                conditions=tuple(dict.fromkeys(draft.conditions)),
                start=draft.period.start if draft.period else None,
                end=draft.period.end if draft.period else None,
                as_of=draft.as_of,
                since=draft.since,
                rank=draft.rank,
                limit=draft.limit,
                having=draft.having,
            )
        if earlier is not None:
            plan = self._continued(plan, earlier, draft)
        if plan.show == "share" and plan.base and not (plan.filters or plan.conditions):
            plan = plan.model_copy(update={"filters": plan.base, "base": ()})
        return plan

    def _continued(self, plan: Plan, earlier: Plan, draft: _Draft) -> Plan:
        """The earlier plan with what this question says anew."""
        metric = self.registry.metrics[plan.metric]
        fields = {found.field for found in plan.filters}
        kept = tuple(
            found
            for found in earlier.filters
            if found.field not in fields and self.registry.dimension_of(metric, found.field)
        )
        own = {condition.metric for condition in plan.conditions}
        conditions = tuple(found for found in earlier.conditions if found.metric not in own)
        groups = plan.group_by
        if not groups and plan.show == earlier.show:
            groups = tuple(
                name
                for name in earlier.group_by
                if name not in fields
                and (name in metric.dimensions or (name in DATE_GRAINS and metric.date))
            )
        dated = metric.date is not None and draft.period is None
        moved = self.registry.past_of(metric) is not None and not draft.timed
        same = plan.metric == earlier.metric and not draft.aggregated and draft.main < 0
        show = earlier.show if same and not draft.share else plan.show
        rank = plan.rank or (earlier.rank if groups else None)
        return plan.model_copy(
            update={
                "show": show,
                "filters": (*kept, *plan.filters),
                "base": plan.base or (earlier.base if show == "share" else ()),
                "conditions": (*(conditions if metric.of_customers else ()), *plan.conditions),
                "group_by": (CUSTOMER,) if show == "customers" and not groups else groups,
                "start": earlier.start if dated else plan.start,
                "end": earlier.end if dated else plan.end,
                "as_of": earlier.as_of if moved else plan.as_of,
                "since": earlier.since if moved else plan.since,
                "rank": rank,
                "limit": plan.limit or (earlier.limit if rank == earlier.rank else None),
                "having": plan.having or (earlier.having if groups and same else None),
                "columns": earlier.columns if show == "customers" else (),
            }
        )


def _goes_on(period: Period, day: date | None) -> bool:
    """Whether the period has begun by the day and ends after it."""
    if day is None or period.start is None or period.end is None:
        return False
    return period.start <= day < period.end


def _is_thing(item: _Item) -> bool:
    """Whether a value stands for the thing itself: "mortgages" are loans, "business" isn't."""
    if item.kind != "VALUE":
        return False
    mortgage = item.value[0] == "loan_type" and words(item.text)[-1] in ("mortgage", "loan")
    return mortgage or item.value[0] == "category"


def _noun_of(metric: str) -> str | None:
    """What a metric counts or sums."""
    found = (name for name, noun in NOUNS.items() if metric in noun.metrics.values())
    return next(found, None)


def _aggregation_of(metric: str) -> Aggregation | None:
    """How a metric sums up its noun."""
    pairs = (pair for noun in NOUNS.values() for pair in noun.metrics.items())
    return next((key for key, name in pairs if name == metric), None)


def _importance(kind: str) -> int:
    order = ("METRIC", "NOUN", "VERB", "VALUE", "DIM", "CATEGORY")
    return order.index(kind) if kind in order else len(order)


def _limit(item: _Item) -> int:
    item.used = True
    if item.value != int(item.value) or not 1 <= item.value <= MAX_LIMIT:
        raise NotCovered(f"a ranking can't have {item.text} rows")
    return int(item.value)


def _list(ids: Sequence[int], *, group_by: Sequence[str] = (), columns: Sequence[str] = ()) -> Plan:
    return Plan(
        metric="customer_count",
        show="customers",
        group_by=tuple(dict.fromkeys((CUSTOMER, *group_by))),
        filters=(Filter(field=CUSTOMER, values=tuple(dict.fromkeys(ids))),) if ids else (),
        columns=tuple(columns),
    )


def _existence(metric: str, filters: Iterable[Filter]) -> Condition:
    return Condition(metric=metric, op=">=", value=Decimal(1), filters=tuple(filters))


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


def _not_understood(left: Sequence[str]) -> str:
    listed = ", ".join(f"“{word[:40]}”" for word in dict.fromkeys(left))
    return f"I don't know what {listed} means here"
