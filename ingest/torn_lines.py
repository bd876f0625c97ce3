"""Rows that may have lost a part of a field to the line above or below them.

A line break that got inside the last or the first field of a row leaves a row that may be valid
with another value (customer 17 becomes customer 1) beside a line that is a lone field. Nobody can
say that such a row is right where it would be valid with what stands on that line, too. A bad line
with all its fields is something else: it stands for itself and casts no doubt on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.csv_lines import CsvRows, rows_of
from ingest.frame import Lines

if TYPE_CHECKING:
    import pyarrow as pa

_Line = tuple[int, bytes]


@dataclass(frozen=True)
class Torn:
    """A row beside a lone field, and the one line that both may have been."""

    line: int
    lone: int
    """The line of the lone field."""
    field: str
    raw: bytes
    mended: bytes


class TornLines:
    """Looks for torn rows in one file, part by part."""

    def __init__(self) -> None:
        self._above: _Line | None = None
        self._above_is_lone = False

    def find(self, rows: CsvRows, bad: Sequence[int]) -> list[Torn]:
        """Candidates of the next part of the file, whose ``bad`` lines (in order) are no rows."""
        lines = rows.lines
        if not bad and not self._above_is_lone:
            self._above = _last(lines) or self._above
            return []
        end = lines.first_line + len(lines.ends)
        found: list[Torn | None] = []
        if self._above and self._above_is_lone:
            for below in _filled(lines, range(lines.first_line, end)):
                found.append(_below(self._above, below, rows.header[0]))
                break
        last_lone = 0
        for number in bad:
            lone = (number, lines.line(number))
            if b"," in lone[1] or not lone[1].strip():
                continue
            last_lone = number
            above = next(_filled(lines, range(number - 1, lines.first_line - 1, -1)), self._above)
            if above:
                found.append(_above(above, lone, rows.header[-1]))
            for below in _filled(lines, range(number + 1, end)):
                found.append(_below(lone, below, rows.header[0]))
                break
        self._above = _last(lines) or self._above
        self._above_is_lone = self._above is not None and self._above[0] == last_lone
        return [torn for torn in found if torn]


def mended_rows(torn: Sequence[Torn], rows: CsvRows) -> pa.Table:
    """The mended lines that hold up as rows; ``line`` is the position in ``torn``."""
    data = b"".join(one.mended + b"\n" for one in torn)
    names = [name for name in rows.table.column_names if name != "line"]
    return rows_of(Lines(data, 0), rows.header, names).table


def _above(row: _Line, lone: _Line, field: str) -> Torn | None:
    """The row above a lone field, which may be the end of its last field."""
    if b"," not in row[1]:
        return None
    return Torn(row[0], lone[0], field, row[1], _joined(row[1], lone[1]))


def _below(lone: _Line, row: _Line, field: str) -> Torn | None:
    """The row below a lone field, which may be the start of its first field."""
    if b"," not in row[1]:
        return None
    return Torn(row[0], lone[0], field, row[1], _joined(lone[1], row[1]))


def _joined(first: bytes, second: bytes) -> bytes:
    # A field in quotes that was torn with its quotes closed and opened again.
    if first.endswith(b'"') and second.endswith(b'"') and not second.startswith(b'"'):
        return first[:-1] + second
    if first.startswith(b'"') and second.startswith(b'"') and not first.endswith(b'"'):
        return first + second[1:]
    return first + second


def _last(lines: Lines) -> _Line | None:
    end = len(lines.data)
    number = lines.first_line + lines.count
    while end > 0:
        start = lines.data.rfind(b"\n", 0, end - 1) + 1
        number -= 1
        text = lines.data[start : end - 1]
        if text.strip():
            return number, text
        end = start
    return None


def _filled(lines: Lines, numbers: range) -> Iterator[_Line]:
    for number in numbers:
        text = lines.line(number)
        if text.strip():
            yield number, text
