"""What a question consists of: phrases, used up one by one, and the draft of what they say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from chat.dates import Period
from chat.plan import Condition, Filter, Having
from chat.registry import PhraseKind
from chat.words import words

SUBJECTS: tuple[PhraseKind, ...] = ("METRIC", "NOUN", "VERB")
HARMLESS: tuple[PhraseKind, ...] = ("AND", "PREPOSITION", "TO", "WITH", "ASK", "BE", "VERSUS")
"""Structure, not substance: may be left over. "not", "or", numbers and nouns may not."""
PEOPLE = {"customers": None, "borrowers": "loan", "depositors": "deposit"}
"""Words for customers, and of what they have at least one."""


@dataclass(eq=False)
class Item:
    """One phrase of the question: what kind it is, what it means, how it was written."""

    kind: PhraseKind
    value: Any
    text: str
    others: tuple[tuple[PhraseKind, Any], ...] = ()
    """Further readings: a noun that can also be a dimension or a value."""
    money: bool = False
    used: bool = False

    def other(self, kind: PhraseKind) -> Any:
        """What the phrase means as ``kind``, or None."""
        if self.kind == kind:
            return self.value
        return next((value for other, value in self.others if other == kind), None)

    @property
    def is_people(self) -> bool:
        """Whether it is a word for customers."""
        return self.kind == "NOUN" and self.value in PEOPLE

    @property
    def is_thing(self) -> bool:
        """Whether a value stands for the thing itself: "mortgages" are loans, "business" isn't."""
        if self.kind != "VALUE":
            return False
        mortgage = self.value[0] == "loan_type" and words(self.text)[-1] in ("mortgage", "loan")
        return mortgage or self.value[0] == "category"

    @property
    def plural(self) -> bool:
        """Whether it was written as more than one."""
        return self.text.rstrip("'").endswith("s") or self.text == "people"


class Items(list[Item]):
    """The phrases in their order. What is left unused at the end was not understood."""

    def at(self, index: int) -> Item | None:
        """The item at an index, None beyond either end."""
        return self[index] if 0 <= index < len(self) else None

    def use(self, kind: PhraseKind) -> bool:
        """Use every item of a kind up; whether there was one."""
        found = [item for item in self if item.kind == kind]
        for item in found:
            item.used = True
        return bool(found)

    def back(self, index: int, *skip: PhraseKind) -> int:
        """Index of the nearest item before ``index`` whose kind isn't skipped, or -1."""
        index -= 1
        while index >= 0 and self[index].kind in skip:
            index -= 1
        return index

    def unused(self) -> list[str]:
        """What was written and not understood."""
        return [item.text for item in self if not item.used and item.kind not in HARMLESS]


@dataclass
class Draft:
    """What has been understood so far."""

    period: Period | None
    as_of: date | None = None
    since: date | None = None
    timed: bool = False
    """Whether the question says which moment it means."""
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


def bound_after(items: Items, index: int) -> int | None:
    """Index of a bound that follows an item ("score above 600")."""
    at = index + 1
    while (after := items.at(at)) and after.kind in ("BE", "WITH", "AGG", "PREPOSITION", "VALUE"):
        at += 1
    if after is None or after.used or after.kind not in ("CMP", "NUM"):
        return None
    if after.kind == "NUM":
        return at if items[index].value == "scores" else None
    following = items.at(at + 1)
    if following is not None and following.kind == "NOUN":
        # "… who withdrew and more than 2 loans": the bound belongs to what follows it.
        return at if after.money or following.value == "customers" else None
    return at


def at_least_one(metric: str, filters: Iterable[Filter]) -> Condition:
    """Customers who have one of what a metric counts."""
    return Condition(metric=metric, op=">=", value=Decimal(1), filters=tuple(filters))


def not_understood(left: Iterable[str]) -> str:
    """The refusal that names the words."""
    listed = ", ".join(f"“{word[:40]}”" for word in dict.fromkeys(left))
    return f"I don't know what {listed} means here"
