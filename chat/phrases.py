"""From a question's text to its phrases: the customers, days and words that it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from chat.dates import BadDate, Period, find
from chat.items import Item, Items, not_understood
from chat.plan import NotCovered, Unclear
from chat.registry import Lexicon
from chat.words import amount, as_written, normal, words

LONGEST = 1_000
NAME_WORDS = 5


@dataclass(frozen=True)
class Person:
    """A customer whom a name or a part of one can mean."""

    customer_id: int
    label: str


FindPeople = Callable[[Sequence[str], bool], dict[str, list[Person]]]
"""Names (lower case, no accents) → customers. With True, single words are parts of a name."""


@dataclass
class Phrases:
    """What a question's text holds, before anybody asks what it means."""

    items: Items = field(default_factory=Items)
    people: list[Person] = field(default_factory=list)
    """Customers named in words."""
    ids: list[int] = field(default_factory=list)
    """Customers named in any way."""
    period: Period | None = None
    lead: bool = False
    """Whether it begins like one that goes on from another: "and in Calgary?"."""
    now: bool = False
    """Whether it says "now"."""
    profile: bool = False
    """Whether it asks for nothing but a profile of the customers it names."""


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


def read(text: str, lexicon: Lexicon, today: date, people: FindPeople) -> Phrases:
    """Cut a question into its phrases.

    Raises:
        NotCovered: it is too long, or holds a word or a day that doesn't exist here.
        Unclear: a name that several customers have, or more than one period.

    """
    return _Reader(lexicon, today, people).read(text)


class _Reader:
    def __init__(self, lexicon: Lexicon, today: date, people: FindPeople) -> None:
        self.lexicon = lexicon
        self.today = today
        self.find_people = people
        self.said = Phrases()

    def read(self, text: str) -> Phrases:
        if len(text) > LONGEST:
            raise NotCovered(f"the question is longer than {LONGEST:,} characters")
        plain = normal(text)
        said = self.said
        said.lead, profile = bool(_LEAD.match(plain)), _PROFILE.match(plain)
        said.now = bool(_NOW.search(plain))
        # "only" narrows elsewhere: "customers with only a car loan" must not lose it.
        plain = _ONLY.sub(" ", plain)
        rest = self._take_people(plain)
        try:
            periods, rest = find(rest, self.today)
        except BadDate as error:
            raise NotCovered(str(error)) from None
        if len(periods) > 1:
            raise Unclear("Which period do you mean? I answer for one span of days at a time.")
        said.period = periods[0] if periods else None
        if profile and said.ids and not list(self._tag(_PROFILE.sub(" ", rest))):
            said.profile = True
            return said
        said.items = Items(self._tag(rest))
        self._take_parts_of_names()
        if unknown := [item.text for item in said.items if item.kind == "UNKNOWN"]:
            raise NotCovered(not_understood(unknown))
        _who(said.items)
        said.items = _comparisons(said.items)
        return said

    def _take_people(self, text: str) -> str:
        """Customers by number and by full name; the text without them."""
        for pattern in (_IDS, _HASH):
            for found in pattern.finditer(text):
                self.said.ids += [int(number) for number in re.findall(r"\d+", found[1])]
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
        self.said.people += found
        self.said.ids.append(found[0].customer_id)

    def _take_parts_of_names(self) -> None:
        unknown = [item for item in self.said.items if item.kind == "UNKNOWN"]
        if not unknown:
            return
        names = {item: item.text.removesuffix("'s").removesuffix("'") for item in unknown}
        matches = self.find_people(sorted(set(names.values())), True)
        for item, name in names.items():
            if found := matches.get(name):
                self._take_person(name, found)
                self.said.items.remove(item)

    def _tag(self, text: str) -> Iterator[Item]:
        tokens, raw = words(text), as_written(text)
        at = 0
        while at < len(tokens):
            length, meanings = self.lexicon.match(tokens, at)
            if not length:
                number = amount(tokens[at])
                yield Item("UNKNOWN" if number is None else "NUM", number, raw[at])
                at += 1
                continue
            written = " ".join(raw[at : at + length])
            at += length
            meanings = [meaning for meaning in meanings if meaning[0] != "STOP"]
            if meanings:
                first, *rest = sorted(meanings, key=lambda meaning: _importance(meaning[0]))
                yield Item(first[0], first[1], written, tuple(rest))


def _who(items: Items) -> None:
    """Lets "who" ask for customers where nothing else names them; elsewhere it says nothing."""
    named = any(item.is_people for item in items)
    for item in [item for item in items if item.kind == "WHO"]:
        if named:
            items.remove(item)
        else:
            item.kind, item.value, named = "NOUN", "customers", True


def _comparisons(items: Items) -> Items:
    """Joins "more than 600", "between 600 and 700", "600 or more" into one item each."""
    joined = Items()
    rest: list[Item] = []
    money = False
    for item in items:
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
            joined.append(Item("CMP", bounds, written, money=any(p.money for p in parts)))
        else:
            joined += parts
        at += taken
    return joined


def _importance(kind: str) -> int:
    order = ("METRIC", "NOUN", "VERB", "VALUE", "DIM", "CATEGORY")
    return order.index(kind) if kind in order else len(order)
