"""From a question's text to its phrases: the customers, days and words that it holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from chat.dates import BadDate, Period, find
from chat.items import Item, Items, not_understood
from chat.plan import NotCovered, Unclear
from chat.registry import Lexicon, PhraseKind
from chat.words import amount, as_written, normal, words
from lakehouse.text import key

LONGEST = 1_000
NAME_WORDS = 8


@dataclass(frozen=True)
class Person:
    """A customer whom a name or a part of one can mean."""

    customer_id: int
    label: str


FindPeople = Callable[[Sequence[str], bool], dict[str, list[Person]]]
"""Keys of names → customers. With True, single words are parts of a name."""


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


_NUMBERS = (
    r"\s*(?:number|no\.?|ids?|nr\.?)?\s*#?\s*"
    r"\d++(?:\s*(?:,\s*and|,|and|or)\s*#?\d++)*+(?![\w%]|\.\d)"
)
_BOUND = (
    r"(?!\s*(?:or (?:more|less|fewer|higher|lower|above|below)|and (?:above|below|up|over)|\+))"
)
_THINGS = r"\s*(?:loan|deposit|withdraw|trans|cit|province)"
# "customer 12's loans" and "customer 12 loans" are one customer's; "customers 12 loans" may be
# those of customer 12, or customers who have twelve.
_IDS = re.compile(
    rf"\b(?:customer|client)(?:s?{_NUMBERS}'s?(?!\w)|{_NUMBERS}{_BOUND}"
    rf"|s{_NUMBERS}{_BOUND}(?!{_THINGS}))"
)
_IDS_OR_COUNT = re.compile(rf"\b(?:customer|client)s{_NUMBERS}(?={_THINGS})")
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
                self.said.ids += [int(number) for number in re.findall(r"\d+", found[0])]
            text = pattern.sub(" ", text)
        if counted := _IDS_OR_COUNT.search(text):
            raise Unclear(
                f"Does “{counted[0]}” mean one customer, or customers who have so many? For one"
                " customer, ask for example for “customer 12's loan total”."
            )
        names = _names(text)
        matches = self.find_people(names, False) if names else {}
        for name in sorted(matches, key=len, reverse=True):
            said = re.compile(rf"(?<![\w-]){re.escape(name)}(?P<of>'s|')?(?![\w'-])")
            place = said.search(text)
            if place is None or (self._is_phrase(name) and not _is_person(text, place)):
                continue
            self._take_person(name, matches[name])
            text = said.sub(" ", text)
        return text

    def _is_phrase(self, name: str) -> bool:
        """Whether a name is a phrase of the vocabulary too, such as a city."""
        tokens = words(name)
        return bool(tokens) and self.lexicon.match(tokens, 0)[0] == len(tokens)

    def _take_person(self, name: str, found: list[Person]) -> None:
        if len(found) > 1:
            labels = ", ".join(person.label for person in found[:10])
            more = f" and {len(found) - 10} more" if len(found) > 10 else ""
            raise Unclear(f"Which customer do you mean by “{name.title()}”: {labels}{more}?")
        self.said.people += found
        self.said.ids.append(found[0].customer_id)

    def _take_parts_of_names(self) -> None:
        unknown = [item for item in self.said.items if item.kind == "UNKNOWN"]
        if not unknown or self.said.people:
            # Next to a full name, a word that nobody knows may well belong to that name.
            return
        names = {item: item.text.removesuffix("'s").removesuffix("'") for item in unknown}
        matches = self.find_people(sorted(set(names.values())), True)
        for run in _neighbours(self.said.items):
            # Words next to each other are one name: "Wendy Hart" is neither Wendy nor Hart.
            each = [matches.get(names[item], []) for item in run]
            if found := [person for person in each[0] if all(person in other for other in each)]:
                self._take_person(" ".join(names[item] for item in run), found)
                for item in run:
                    self.said.items.remove(item)

    def _tag(self, text: str) -> Iterator[Item]:
        tokens, raw, plain = words(text), as_written(text), normal(text)
        at = read_to = 0
        while at < len(tokens):
            length, meanings = self.lexicon.match(tokens, at)
            meanings, read_to = _cities_as_spelled(meanings, plain, read_to)
            length = length if meanings else 0
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


def _cities_as_spelled(
    meanings: Sequence[tuple[PhraseKind, Any]], plain: str, read_to: int
) -> tuple[list[tuple[PhraseKind, Any]], int]:
    """Of the cities that some words may mean the one that the text spells, and where it ends.

    Words have lost their punctuation, and that is what tells St. John from St. John's. Where nobody
    is spelled so, the only city with the same letters is meant: "St Johns".
    """
    cities = [found for found in meanings if found[0] == "VALUE" and found[1][0] == "city"]
    if not cities:
        return list(meanings), read_to
    others = [found for found in meanings if found not in cities]
    places = []
    for found in cities:
        spelled = key(str(found[1][1][0]))
        of = r"(?:(?<!\bin )(?<!\bfrom )(?<!\bat )" + re.escape(spelled) + r"'s?)"
        said = re.compile(rf"(?<![\w'])(?:{of}|{re.escape(spelled)})(?![\w'])")
        if place := said.search(plain, read_to):
            places.append((place.start(), -len(spelled), place.end(), found))
    if places:
        *_, end, best = min(places, key=lambda place: place[:2])
        return [best, *others], end
    letters = f" {_letters(plain)} "
    loose = [found for found in cities if f" {_letters(key(str(found[1][1][0])))} " in letters]
    return (loose if len(loose) == 1 else []) + others, read_to


def _letters(plain: str) -> str:
    """A key's letters and digits, without its punctuation."""
    return " ".join(re.sub(r"[^\w\s-]", "", plain).replace("-", " ").split())


def _names(text: str) -> list[str]:
    """All runs of words that could be a full name, as the text has them."""
    raw = [word.strip(',?!:;"()') for word in text.split()]
    names: set[str] = set()
    for length in range(2, NAME_WORDS + 1):
        for start in range(len(raw) - length + 1):
            name = " ".join(raw[start : start + length])
            for written in (name, name.removesuffix("'s"), name.removesuffix("'"), name.strip("'")):
                names |= {written, written.removesuffix(".")}
    return sorted(names)


def _is_person(text: str, found: re.Match[str]) -> bool:
    """Whether a name that is a phrase of the vocabulary too is said of a person here."""
    return bool(found["of"] or re.search(r"\b(?:customer|client)\s$", text[: found.start()]))


def _neighbours(items: Items) -> list[list[Item]]:
    """The unknown words, in runs that nothing known divides."""
    runs: list[list[Item]] = []
    before = None
    for item in items:
        if item.kind == "UNKNOWN" and before is not None and before.kind == "UNKNOWN":
            runs[-1].append(item)
        elif item.kind == "UNKNOWN":
            runs.append([item])
        before = item
    return runs


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
