"""The good path of credit records: those written plainly are read in bulk, by their bytes.

A record counts as plain only if all of its text has one shape: the contract's keys once each, whole
numbers and amounts in plain digits, known loan types without an escape. JSON of that shape can be
read in one way only. Others aren't bad yet: they are decoded one by one, and the rules decide.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ingest.frame import Array, Elements, Lines
from ingest.sources.contract import LARGEST_ID
from ingest.sources.credit_bureau import KEYS, LOAN_KEYS

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = ("customer_id", "credit_score", "delinquencies")
_BLANK = r"[ \t\r\n]*"
_WHOLE = "(?:0|[1-9][0-9]{0,9})"
# Fewer digits than the contract allows: their cents fit 64 bits.
_AMOUNT = r"(?:0|[1-9][0-9]{0,12})(?:\.[0-9]{1,2})?"


@dataclass(frozen=True)
class Limits:
    """What the settings allow in a record."""

    loan_types: tuple[str, ...]
    score_minimum: int
    score_maximum: int


def plain_records(part: Elements | Lines, limits: Limits) -> tuple[pa.Table | None, Array]:
    """Typed plain records of a part of a file, with their ``line`` (or number in the array).

    The second value says of each record of the part whether it is among them.
    """
    import pyarrow as pa
    from pyarrow import compute

    texts, numbers = _texts(part)
    if not texts or not all(re.fullmatch("[A-Za-z_ -]+", name) for name in limits.loan_types):
        return None, np.zeros(len(numbers), dtype=bool)
    order = _order(part.data, texts[0].as_py())
    pattern = _pattern(order, limits.loan_types, isinstance(part, Elements))
    plain = compute.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    if not plain.any():
        return None, plain
    table, valid = _read(texts.filter(pa.array(plain)), order, limits)
    table = table.append_column("line", [numbers[plain]]).filter(pa.array(valid))
    plain[plain] = valid
    return table, plain


@dataclass(frozen=True)
class _Order:
    """In which order a file names the keys of a record and of a loan."""

    keys: tuple[str, ...] = KEYS
    loan_keys: tuple[str, ...] = LOAN_KEYS


def _texts(part: Elements | Lines) -> tuple[pa.BinaryArray, Array]:
    """The records' bytes, each with the comma or line feed behind it, and their numbers."""
    import pyarrow as pa

    if isinstance(part, Elements):
        offsets = np.append(part.starts, part.stops[-1:])
        first = part.first_record
    else:
        offsets = np.append(0, part.ends + 1)
        first = part.first_line
    count = max(0, len(offsets) - 1)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(part.data)]
    texts = pa.BinaryArray.from_buffers(pa.binary(), count, buffers)
    return texts, np.arange(first, first + count)


def _order(data: bytes, first: bytes) -> _Order:
    """The order that a part of a file seems to keep; where it doesn't, its records aren't plain."""
    try:
        decoded = json.loads(first.strip(b" \t\r\n,"))
    except (ValueError, RecursionError):
        decoded = None
    keys = tuple(decoded) if isinstance(decoded, dict) else ()
    type_at, amount_at = data.find(b'"type"'), data.find(b'"amount"')
    return _Order(
        keys if sorted(keys) == sorted(KEYS) else KEYS,
        LOAN_KEYS if type_at <= amount_at else LOAN_KEYS[::-1],
    )


@lru_cache(maxsize=16)
def _pattern(order: _Order, loan_types: tuple[str, ...], in_array: bool) -> str:
    types = "|".join(re.escape(name) for name in loan_types)
    values = dict.fromkeys(_NUMBERS, _WHOLE)
    values |= {"type": f'"(?:{types})"', "amount": _AMOUNT}
    comma = f"{_BLANK},{_BLANK}"

    def fields(keys: tuple[str, ...]) -> str:
        inner = comma.join(f'"{key}"{_BLANK}:{_BLANK}{values[key]}' for key in keys)
        return rf"\{{{_BLANK}{inner}{_BLANK}\}}"

    loan = fields(order.loan_keys)
    values["outstanding_loans"] = rf"\[{_BLANK}(?:{loan}(?:{comma}{loan})*{_BLANK})?\]"
    behind = f"{_BLANK},?" if in_array else _BLANK
    return f"^{_BLANK}{fields(order.keys)}{behind}$"


def _read(texts: pa.BinaryArray, order: _Order, limits: Limits) -> tuple[pa.Table, Array]:
    """Values of records that have the shape, and which of them keep the limits."""
    import pyarrow as pa

    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[: len(texts) + 1]
    octets = np.frombuffer(data, dtype=np.uint8)[: bounds[-1]]
    tokens = _Numbers(octets, bounds)
    loans = tokens.each - len(_NUMBERS)
    before = order.keys.index("outstanding_loans")
    is_amount = np.ones(len(tokens.texts), dtype=bool)
    typed = {}
    for position, name in enumerate(key for key in order.keys if key in _NUMBERS):
        place = tokens.first + position + (loans if position >= before else 0)
        is_amount[place] = False
        typed[name] = tokens.texts.take(pa.array(place)).cast(pa.int64()).to_numpy()
    cents = tokens.cents(is_amount)
    starts = np.append(0, np.cumsum(loans))
    valid = (typed["customer_id"] >= 1) & (typed["customer_id"] <= LARGEST_ID)
    valid &= typed["credit_score"] >= limits.score_minimum
    valid &= typed["credit_score"] <= limits.score_maximum
    valid &= typed["delinquencies"] <= LARGEST_ID
    valid[np.searchsorted(starts, np.flatnonzero(cents == 0), side="right") - 1] = False
    types = _loan_types(octets, bounds, loans, order, limits.loan_types)
    loan = pa.StructArray.from_arrays([types, _decimals(cents)], names=["type", "amount"])
    return pa.table(
        {
            "customer_id": typed["customer_id"],
            "record_status": pa.array(["present"]).take(pa.array(np.zeros(len(texts), np.int8))),
            "credit_score": np.where(valid, typed["credit_score"], 0).astype(np.int32),
            "delinquencies": np.where(valid, typed["delinquencies"], 0).astype(np.int32),
            "outstanding_loans": pa.ListArray.from_arrays(starts.astype(np.int32), loan),
        }
    ), valid


class _Numbers:
    """All numbers of some records, in order: nothing else in them holds a digit or a point."""

    def __init__(self, octets: Array, bounds: Array) -> None:
        import pyarrow as pa

        self.is_point = octets == ord(".")
        inside = ((octets - np.uint8(ord("0"))) <= 9) | self.is_point
        edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
        self.starts, self.ends = edges[::2], edges[1::2]
        self.octets = octets
        self.inside = inside
        self.first = np.searchsorted(self.starts, bounds[:-1])
        self.each = np.diff(np.append(self.first, len(self.starts)))
        lengths = np.append(0, np.cumsum(self.ends - self.starts)).astype(np.int32)
        buffers = [None, pa.py_buffer(lengths), pa.py_buffer(octets[inside])]
        self.texts = pa.Array.from_buffers(pa.string(), len(self.starts), buffers)

    def cents(self, wanted: Array) -> Array:
        """The wanted numbers times a hundred."""
        import pyarrow as pa

        points = np.flatnonzero(self.is_point)
        decimals = np.zeros(len(self.starts), dtype=np.int64)
        holders = np.searchsorted(self.starts, points, side="right") - 1
        decimals[holders] = self.ends[holders] - points - 1
        has_point = np.zeros(len(self.starts), dtype=np.int64)
        has_point[holders] = 1
        lengths = np.append(0, np.cumsum(self.ends - self.starts - has_point)).astype(np.int32)
        digits = self.octets[self.inside & ~self.is_point]
        buffers = [None, pa.py_buffer(lengths), pa.py_buffer(digits)]
        texts = pa.Array.from_buffers(pa.string(), len(self.starts), buffers)
        whole = texts.filter(pa.array(wanted)).cast(pa.int64()).to_numpy()
        found: Array = whole * np.array([100, 10, 1])[decimals[wanted]]
        return found


def _loan_types(
    octets: Array, bounds: Array, loans: Array, order: _Order, names: tuple[str, ...]
) -> pa.Array:
    """The type of every loan, found by counting quotes: nothing is escaped here."""
    import pyarrow as pa

    quotes = np.flatnonzero(octets == ord('"'))
    before = 2 * (order.keys.index("outstanding_loans") + 1)
    inside = 2 if order.loan_keys == LOAN_KEYS else 4
    first = np.searchsorted(quotes, bounds[:-1]) + before
    position = np.arange(loans.sum()) - np.repeat(np.cumsum(loans) - loans, loans)
    opened = quotes[np.repeat(first, loans) + 6 * position + inside]
    longest = max(len(name) for name in names) + 1
    text = octets.take(opened[:, None] + np.arange(1, longest + 1), mode="clip")
    codes = np.full(len(opened), -1, dtype=np.int64)
    for code, name in enumerate(names):
        wanted = np.frombuffer(name.encode() + b'"', dtype=np.uint8)
        codes[(text[:, : len(wanted)] == wanted).all(axis=1)] = code
    assert (codes >= 0).all()
    return pa.array(names, pa.string()).take(pa.array(codes))


def _decimals(cents: Array) -> pa.Array:
    import pyarrow as pa

    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(words)])
