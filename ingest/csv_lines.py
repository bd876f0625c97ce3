"""Lines to columns of text, in bulk; lines that don't hold up are set aside with their reasons.

The rules are RFC 4180's without line breaks inside a field, because no field of ours may hold one:
so a quote that is left open spoils its own line and no other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.frame import BOM, Array, Lines, OnBytes, read_lines
from ingest.rejects import FileRejected, Reject, shown

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST_BREAK = 20
"""Lines that one quoted field may run over and still be recognised as one record."""


@dataclass(frozen=True)
class CsvRows:
    """Some rows of a file: text columns by name and ``line``; and the lines that are no rows."""

    table: pa.Table
    rejects: list[Reject]
    lines: Lines
    header: list[str]


def read_csv(
    path: Path, names: Sequence[str], on_bytes: OnBytes | None = None
) -> Iterator[CsvRows]:
    """Read a CSV file whose header holds exactly ``names``, in any order.

    Raises:
        FileRejected: the header is another, or the frame is broken.

    """
    header: list[str] = []
    for lines in read_lines(path, on_bytes):
        rest = lines
        if not header:
            header = _header(lines, names)
            end = lines.data.index(b"\n") + 1
            rest = Lines(lines.data[end:], lines.first_line + 1, lines.last_is_unended)
        if rest.data:
            yield rows_of(rest, header, names)


def rows_of(lines: Lines, header: list[str], names: Sequence[str]) -> CsvRows:
    """The rows among some lines, with columns in the order of ``names``."""
    data, numbers, rejects = _whole_lines(lines, len(header))
    table, wrong = _columns(data, header, names)
    if wrong:
        rejects += [
            Reject(
                int(numbers[row - 1]),
                "",
                f"{found} fields where {len(header)} belong",
                shown(lines.line(int(numbers[row - 1]))),
            )
            for row, found in wrong
        ]
        numbers = np.delete(numbers, [row - 1 for row, _ in wrong])
    if table.num_rows != len(numbers):
        raise AssertionError(f"{table.num_rows} rows from {len(numbers)} lines")
    return CsvRows(table.append_column("line", [numbers]), rejects, lines, header)


def _header(lines: Lines, names: Sequence[str]) -> list[str]:
    raw = lines.data[: lines.data.index(b"\n")]
    try:
        found = next(csv.reader([raw.decode("utf-8")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise FileRejected("the header can't be read", raw=raw) from None
    problems = []
    if missing := [name for name in names if name not in found]:
        problems.append(f"without {', '.join(missing)}")
    if unknown := [name[:60] for name in found if name not in names]:
        problems.append(f"with unknown {', '.join(repr(name) for name in unknown)}")
    if repeated := sorted({name for name in found if name in names and found.count(name) > 1}):
        problems.append(f"with {', '.join(repeated)} given twice")
    if not problems:
        return found
    if len(missing) == len(names) and len(found) == len(names):
        problems = ["missing, or with other names"]
    elif len(found) == 1 and raw.count(b";") == len(names) - 1:
        problems = ["separated by semicolons, not commas"]
    raise FileRejected(f"header {'; '.join(problems)}", field="header", raw=raw)


def _columns(
    data: bytes, header: list[str], names: Sequence[str]
) -> tuple[pa.Table, list[tuple[int, int]]]:
    """Columns of text, and (row from 1, fields found) of rows with another number of fields."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    text = {name: pa.string() for name in header}
    if not data:
        return pa.schema([(name, pa.string()) for name in names]).empty_table(), []
    wrong: list[tuple[int, int]] = []

    def note(row: Any) -> str:
        wrong.append((row.number, row.actual_columns))
        return "skip"

    if data.startswith(BOM):
        # The reader takes one away wherever a block begins; here it is a part of the first field.
        data = BOM + data
    quoted = b'"' in data
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        # One thread: only then does the reader say which row it rejects.
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=header
        ),
        parse_options=arrow_csv.ParseOptions(
            quote_char='"' if quoted else False,
            double_quote=quoted,
            escape_char=False,
            newlines_in_values=False,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        ),
        convert_options=arrow_csv.ConvertOptions(column_types=text, strings_can_be_null=False),
    )
    return table.select(list(names)), wrong


def _whole_lines(lines: Lines, fields: int) -> tuple[bytes, Array, list[Reject]]:
    """The lines that can be cut at commas, their numbers, and the rest with reasons.

    An empty line is no record and is passed over.
    """
    data = lines.data
    plain = (
        data.isascii()
        and not lines.last_is_unended
        and b'"' not in data
        and b"\0" not in data
        and b"\r" not in data
        and b"\n\n" not in data
        and not data.startswith(b"\n")
    )
    if plain:
        return data, np.arange(lines.first_line, lines.first_line + lines.count), []
    octets = np.frombuffer(data, dtype=np.uint8)
    ends = lines.ends
    starts = np.concatenate(([0], ends[:-1] + 1))
    broken: dict[int, str] = {}
    if lines.last_is_unended and ends[-1] > starts[-1]:
        broken[len(ends) - 1] = "no line ending: the file may be cut here"
    _note(broken, ends, octets == 0, "holds a NUL byte")
    _note(broken, ends, octets == ord("\r"), "holds a carriage return")
    _note_encoding(broken, data, octets, starts, ends)
    spans: dict[int, int] = {}
    if b'"' in data:
        spans = _note_quotes(broken, data, octets, starts, ends, fields)
    rejects = [
        Reject(
            lines.first_line + index,
            "",
            reason,
            shown(data[starts[index] : ends[spans.get(index, index)]]),
        )
        for index, reason in sorted(broken.items())
    ]
    keep = ends > starts
    for index in broken:
        keep[index : spans.get(index, index) + 1] = False
    numbers = np.flatnonzero(keep) + lines.first_line
    if not keep.all():
        data = octets[np.repeat(keep, ends - starts + 1)].tobytes()
    return data, numbers, rejects


def _note(broken: dict[int, str], ends: Array, where: Array, reason: str) -> None:
    for index in np.unique(np.searchsorted(ends, np.flatnonzero(where))):
        broken.setdefault(int(index), reason)


def _note_encoding(
    broken: dict[int, str], data: bytes, octets: Array, starts: Array, ends: Array
) -> None:
    if data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        for index in np.unique(np.searchsorted(ends, np.flatnonzero(octets >= 0x80))):
            try:
                data[starts[index] : ends[index]].decode("utf-8")
            except UnicodeDecodeError as error:
                reason = f"not UTF-8 (byte {error.start + 1} of the line)"
                broken.setdefault(int(index), reason)


def _note_quotes(
    broken: dict[int, str],
    data: bytes,
    octets: Array,
    starts: Array,
    ends: Array,
    fields: int,
) -> dict[int, int]:
    """Note lines whose quotes don't enclose whole fields; returns last lines of broken records."""
    quotes = np.flatnonzero(octets == ord('"'))
    line = np.searchsorted(ends, quotes)
    first_of_line = np.searchsorted(quotes, starts)[line]
    opens = (np.arange(len(quotes)) - first_of_line) % 2 == 0
    before = octets[quotes - 1]
    after = octets[np.minimum(quotes + 1, len(octets) - 1)]
    # A doubled quote inside a field reads as one that closes and one that opens again.
    opens_well = (
        (quotes == starts[line]) | (before == ord(",")) | ((before == ord('"')) & _not_first(line))
    )
    closes_well = (after == ord(",")) | (after == ord("\n")) | (after == ord('"'))
    odd = np.bincount(line, minlength=len(ends)) % 2 == 1
    stray = np.unique(line[np.where(opens, ~opens_well, ~closes_well)])
    spans: dict[int, int] = {}
    covered = -1
    for index in np.union1d(stray, np.flatnonzero(odd)).tolist():
        if index <= covered:
            continue
        last = _record_over_lines(data, starts, ends, index, fields) if odd[index] else None
        if last is not None:
            spans[index] = covered = last
            for inner in range(index, last + 1):
                broken.pop(inner, None)
            broken[index] = "a line break inside a field"
        else:
            broken.setdefault(index, "a quote that doesn't enclose a whole field")
    return spans


def _not_first(line: Array) -> Array:
    """For each quote: whether another one stands before it on its line."""
    return np.concatenate(([False], line[1:] == line[:-1]))


def _record_over_lines(
    data: bytes, starts: Array, ends: Array, index: int, fields: int
) -> int | None:
    """Last line of the record that starts on ``index`` if its quote is closed well further down."""
    for last in range(index + 1, min(index + _LONGEST_BREAK, len(ends))):
        text = data[starts[index] : ends[last]].decode("utf-8", "replace")
        try:
            rows = list(csv.reader(text.splitlines(keepends=True), strict=True))
        except csv.Error:
            continue
        if len(rows) == 1:
            return last if len(rows[0]) == fields else None
    return None
