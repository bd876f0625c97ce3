"""Customers whose credit isn't known, and the sentences about figures that leave them out.

A refused record makes its customer ``quarantined``. One that names nobody may belong to any
customer without a record: these are ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

NOT_KNOWN = ("quarantined", "unknown")
"""Values of ``credit_record_status`` where score, delinquencies and loans are NULL."""

_WHY = {
    ("quarantined", True): "the bureau's record was refused",
    ("quarantined", False): "the bureau's records were refused",
    ("unknown", True): "a refused record that names nobody may be theirs",
    ("unknown", False): "refused records that name nobody may be theirs",
}


def not_counted(counts: Mapping[str, int], day: date | None = None) -> list[str]:
    """How many customers a figure (of an earlier ``day``) leaves out; a sentence a reason."""
    if day is None:
        return _sentences(counts, " isn't counted", " aren't counted")
    found = _sentences(counts, " wasn't counted", " weren't counted")
    return [f"On {day}, {sentence}" for sentence in found]


def not_known(counts: Mapping[str, int]) -> list[str]:
    """The same where the figure counts them, without knowing their credit."""
    return _sentences(counts, "'s credit isn't known", "' credit isn't known")


def _sentences(counts: Mapping[str, int], of_one: str, of_several: str) -> list[str]:
    sentences = []
    for status in NOT_KNOWN:
        number = counts.get(status, 0)
        if number:
            who = f"1 customer{of_one}" if number == 1 else f"{number:,} customers{of_several}"
            sentences.append(f"{who}: {_WHY[status, number == 1]}.")
    return sentences
