"""The good path of a CSV file: rows whose every field is written in its plain form, in bulk.

A row counts as plain only where its bytes prove it: digits where digits belong and nothing else, no
leading zero, a day of the calendar. What isn't plain isn't bad yet: the contract's rules decide.
So this only gives some of the rows that the rules would take, with the same values, at a fraction
of their cost; a test holds both ways against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.frame import Array
from ingest.local_time import clock_changes
from ingest.sources.contract import LARGEST_ID, CsvContract, Plain

if TYPE_CHECKING:
    import pyarrow as pa

_ZERO, _POINT = ord("0"), ord(".")
_ID_LENGTH = len(str(LARGEST_ID))
_AMOUNT_LENGTHS = (len("0.01"), len("9999999999999.99"))
_TIME = "YYYY-MM-DD hh:mm:ss"
_TIME_SIGNS = {at: sign for at, sign in enumerate(_TIME) if not sign.isalpha()}


def split_rows(
    table: pa.Table, contract: CsvContract, timezone: str
) -> tuple[pa.Table | None, pa.Table]:
    """Plain rows, typed (``t_<column>``, ``normal``, ``line``), and the others as delivered.

    None where no row is plain, or where a column of the contract has no plain form.
    """
    import pyarrow as pa

    if not table.num_rows or any(column.plain is None for column in contract.columns):
        return None, table
    readers = {column.name: _reader(column.plain) for column in contract.columns if column.plain}
    table = table.combine_chunks()
    texts = {name: _Text(table[name]) for name in readers}
    shaped = np.ones(table.num_rows, dtype=bool)
    for name, reader in readers.items():
        shaped &= reader.shaped(texts[name])
    plain = table
    if not shaped.all():
        plain = table.filter(pa.array(shaped)).combine_chunks()
        if not plain.num_rows:
            return None, table
        texts = {name: _Text(plain[name]) for name in readers}
    valid = np.ones(plain.num_rows, dtype=bool)
    typed = {}
    for name, reader in readers.items():
        typed[f"t_{name}"], is_valid = reader.read(texts[name])
        valid &= is_valid
    if contract.local_time:
        valid &= ~_skipped(typed[f"t_{contract.local_time}"], timezone)
    typed["normal"] = _joined(plain, contract.names)
    typed["line"] = plain["line"]
    result = pa.table(typed)
    others = table.slice(0, 0) if shaped.all() else table.filter(pa.array(~shaped))
    if not valid.all():
        others = pa.concat_tables([others, plain.filter(pa.array(~valid))]).sort_by("line")
        result = result.filter(pa.array(valid))
    return (result if result.num_rows else None), others


class _Text:
    """A column of text as its bytes and where each value starts and ends among them."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.array: pa.StringArray = column.chunk(0)
        _, offsets, data = self.array.buffers()
        first = self.array.offset
        found = np.frombuffer(offsets, dtype=np.int32)[first : first + len(self.array) + 1]
        self.offsets = found - found[0]
        octets = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
        self.octets = octets[found[0] : found[-1]]
        self.starts, self.ends = self.offsets[:-1], self.offsets[1:]
        self.lengths = np.diff(self.offsets)
        self._matrix: Array | None = None

    def at(self, positions: Array) -> Array:
        """Octets at positions; any octet for positions outside."""
        if not len(self.octets):
            return np.zeros(len(positions), dtype=np.uint8)
        found: Array = self.octets.take(positions, mode="clip")
        return found

    def spoil(self, ok: Array, where: Array) -> None:
        """Clear ``ok`` for every value that has an octet at which ``where`` holds."""
        positions = np.flatnonzero(where)
        if len(positions):
            ok[np.searchsorted(self.offsets, positions, side="right") - 1] = False

    def matrix(self, rows: Array, width: int) -> Array:
        """Octets of the values of ``rows``, all ``width`` long, one row for each position."""
        if not rows.all():
            found = self.octets[self.starts[rows][:, None] + np.arange(width)]
            return np.ascontiguousarray(found.T)
        if self._matrix is None:
            self._matrix = np.ascontiguousarray(self.octets.reshape(-1, width).T)
        return self._matrix


def _is_no_digit(octets: Array) -> Array:
    # Unsigned: what is below "0" wraps around to far above.
    return (octets - np.uint8(_ZERO)) > 9


class _WholeNumbers:
    """Digits without a leading zero, up to the largest id."""

    def __init__(self, plain: Plain) -> None:
        pass

    def shaped(self, text: _Text) -> Array:
        ok: Array = (text.lengths >= 1) & (text.lengths <= _ID_LENGTH)
        ok &= text.at(text.starts) != _ZERO
        text.spoil(ok, _is_no_digit(text.octets))
        return ok

    def read(self, text: _Text) -> tuple[Any, Array]:
        import pyarrow as pa

        values = text.array.cast(pa.int64()).to_numpy()
        valid = (values >= 1) & (values <= LARGEST_ID)
        return pa.array(np.where(valid, values, 0).astype(np.int32)), valid


class _Money:
    """Digits, a point, two digits; no leading zero but the one before the point."""

    def __init__(self, plain: Plain) -> None:
        pass

    def shaped(self, text: _Text) -> Array:
        shortest, longest = _AMOUNT_LENGTHS
        ok: Array = (text.lengths >= shortest) & (text.lengths <= longest)
        ok &= (text.at(text.starts) != _ZERO) | (text.lengths == shortest)
        points = text.ends - 3
        ok &= text.at(points) == _POINT
        no_digit = _is_no_digit(text.octets)
        no_digit[points[ok]] = False
        text.spoil(ok, no_digit)
        return ok

    def read(self, text: _Text) -> tuple[Any, Array]:
        import pyarrow as pa

        digits = text.octets[text.octets != _POINT]
        offsets = (text.offsets - np.arange(len(text.offsets))).astype(np.int32)
        cents = (
            pa.StringArray.from_buffers(
                len(text.lengths), pa.py_buffer(offsets), pa.py_buffer(digits)
            )
            .cast(pa.int64())
            .to_numpy()
        )
        words = np.zeros((len(cents), 2), dtype="<i8")
        words[:, 0] = cents
        decimals = [None, pa.py_buffer(words)]
        return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), decimals), cents > 0


class _LocalTimes:
    """``YYYY-MM-DD hh:mm:ss`` of a day and hour that exist, without a fraction."""

    def __init__(self, plain: Plain) -> None:
        self.first_year, self.last_year = plain.years
        months = np.arange(
            f"{self.first_year}-01", f"{self.last_year + 1}-02", dtype="datetime64[M]"
        )
        # Days from 1970-01-01 to the first of every month; the last one is only an end.
        self.month_starts = months.astype("datetime64[D]").astype(np.int64)
        self.month_lengths = np.diff(self.month_starts)

    def shaped(self, text: _Text) -> Array:
        ok: Array = text.lengths == len(_TIME)
        signs = text.matrix(ok, len(_TIME))
        good = np.ones(signs.shape[1], dtype=bool)
        for at, octets in enumerate(signs):
            sign = _TIME_SIGNS.get(at)
            good &= (octets == ord(sign)) if sign else ~_is_no_digit(octets)
        ok[ok] = good
        return ok

    def read(self, text: _Text) -> tuple[Any, Array]:
        import pyarrow as pa

        digits = text.matrix(np.ones(len(text.lengths), dtype=bool), len(_TIME)) - np.uint8(_ZERO)

        def two(at: int) -> Array:
            # Two digits are below 100, so an octet holds them; what is made of them is wider.
            found: Array = digits[at] * np.uint8(10) + digits[at + 1]
            return found.astype(np.int64)

        year = two(0) * 100 + two(2)
        month, day, hour, minute, second = two(5), two(8), two(11), two(14), two(17)
        valid = (year >= self.first_year) & (year <= self.last_year)
        valid &= (month >= 1) & (month <= 12)
        index = np.where(valid, (year - self.first_year) * 12 + month - 1, 0)
        valid &= (day >= 1) & (day <= self.month_lengths[index])
        valid &= (hour < 24) & (minute < 60) & (second < 60)
        days = self.month_starts[index] + day - 1
        seconds = days * 86_400 + hour * 3_600 + minute * 60 + second
        return pa.array(seconds * 1_000_000).cast(pa.timestamp("us")), valid


class _OneOf:
    """One of a few words."""

    def __init__(self, plain: Plain) -> None:
        self.words = plain.words

    def shaped(self, text: _Text) -> Array:
        import pyarrow as pa
        from pyarrow import compute

        found: Array = compute.is_in(text.array, value_set=pa.array(self.words)).to_numpy(
            zero_copy_only=False
        )
        return found

    def read(self, text: _Text) -> tuple[Any, Array]:
        return text.array, np.ones(len(text.lengths), dtype=bool)


_Reader = _WholeNumbers | _Money | _LocalTimes | _OneOf
_READERS: dict[str, type[_Reader]] = {
    "whole_number": _WholeNumbers,
    "money": _Money,
    "local_time": _LocalTimes,
    "one_of": _OneOf,
}


def _reader(plain: Plain) -> _Reader:
    return _READERS[plain.kind](plain)


def _skipped(times: pa.Array, timezone: str) -> Array:
    """Which local times the zone's clocks skipped."""
    moments = times.to_numpy(zero_copy_only=False)
    first, last = moments.min().astype(object), moments.max().astype(object)
    found = np.zeros(len(moments), dtype=bool)
    for change in clock_changes(timezone, range(first.year, last.year + 1)):
        if change.skips and change.starts <= last and change.ends > first:
            found |= (moments >= np.datetime64(change.starts)) & (
                moments < np.datetime64(change.ends)
            )
    return found


def _joined(table: pa.Table, names: list[str]) -> pa.Array:
    """A plain row's fields are its normal form already."""
    from pyarrow import compute

    return compute.binary_join_element_wise(*(table[name] for name in names), "|")
