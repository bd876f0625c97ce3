"""Bytes to lines and JSON elements: the one layer that guarantees the frame.

Engines' readers mend what is broken, each in its own way. Here every byte is looked at, in bulk,
before an engine sees it, and lines are cut by us; an engine is left the fields between commas.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ingest.rejects import FileRejected

CHUNK = 16 << 20
LONGEST_RECORD = 64 << 20
"""Bytes. Memory has to end somewhere: a longer line or element rejects its file."""

_SNIFFED = 64 << 10
_NO_BLANK = re.compile(rb"\S")
BOM = b"\xef\xbb\xbf"
_NOT_TEXT = (
    (b"\x1f\x8b", "compressed with gzip, not text"),
    (b"BZh", "compressed with bzip2, not text"),
    (b"\xfd7zXZ", "compressed with xz, not text"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstandard, not text"),
    (b"PK\x03\x04", "a zip archive, not text"),
    (b"PAR1", "Parquet, not text"),
    (b"\xff\xfe\x00\x00", "UTF-32, not UTF-8"),
    (b"\xff\xfe", "UTF-16, not UTF-8"),
    (b"\xfe\xff", "UTF-16, not UTF-8"),
    (b"\x00\x00\xfe\xff", "UTF-32, not UTF-8"),
)

Array = np.ndarray[Any, np.dtype[Any]]
OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Lines:
    """Some whole lines of a file, each ended by a line feed whatever ended it in the file."""

    data: bytes
    first_line: int
    last_is_unended: bool = False
    """The file stops without a line ending: nobody can say whether its last line is whole."""

    @cached_property
    def ends(self) -> Array:
        """Position of every line's end in ``data``."""
        return np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8) == ord("\n"))

    @cached_property
    def count(self) -> int:
        """How many lines."""
        return self.data.count(b"\n")

    def line(self, number: int) -> bytes:
        """The text of one line, without its ending."""
        index = number - self.first_line
        start = int(self.ends[index - 1]) + 1 if index else 0
        return self.data[start : self.ends[index]]


@dataclass(frozen=True)
class Elements:
    """Some whole elements of a JSON array, as slices of ``data``; a comma lies between two."""

    data: bytes
    starts: Array
    stops: Array
    first_record: int
    first_line: int

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Start and stop of each."""
        return list(zip(self.starts.tolist(), self.stops.tolist(), strict=True))

    @cached_property
    def _line_feeds(self) -> Array:
        return np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8) == ord("\n"))

    def line(self, start: int) -> int:
        """Line on which the element that starts at ``start`` begins."""
        text = _NO_BLANK.search(self.data, start)
        begins = text.start() if text else len(self.data)
        return self.first_line + int(np.searchsorted(self._line_feeds, begins))


def read_lines(path: Path, on_bytes: OnBytes | None = None, chunk: int = CHUNK) -> Iterator[Lines]:
    """The lines of a text file, some megabytes at a time; a byte-order mark of UTF-8 is skipped.

    Line endings are LF, CRLF, a mixture of both, or CR in a file that has no LF near its start.

    Raises:
        FileRejected: empty, not UTF-8 text at all, or a line beyond :data:`LONGEST_RECORD`.

    """
    with path.open("rb") as stream:
        start = _start_of_text(stream)
        ending = b"\r" if b"\n" not in start and b"\r" in start else b"\n"
        line, rest = 1, b""
        for block in _blocks(stream, chunk, on_bytes):
            data = rest + block
            cut = data.rfind(ending) + 1
            data, rest = data[:cut], data[cut:]
            if len(rest) > LONGEST_RECORD:
                raise FileRejected(f"a line longer than {LONGEST_RECORD} bytes", line=line)
            if data:
                data = _with_line_feeds(data, ending)
                lines = Lines(data, line)
                yield lines
                line += lines.count
        if rest:
            yield Lines(_with_line_feeds(rest + ending, ending), line, last_is_unended=True)


def is_json_array(path: Path) -> bool:
    """Whether the first character that counts opens an array.

    Raises:
        FileRejected: empty, or not UTF-8 text at all.

    """
    with path.open("rb") as stream:
        return _start_of_text(stream).lstrip(b" \t\r\n").startswith(b"[")


def read_elements(
    path: Path, on_bytes: OnBytes | None = None, chunk: int = CHUNK // 4
) -> Iterator[Elements]:
    """The elements of a JSON array, cut at the commas between them; they are not yet decoded.

    Raises:
        FileRejected: the array is not closed, or something stands after it.

    """
    with path.open("rb") as stream:
        before, _, _ = _start_of_text(stream).partition(b"[")
        stream.seek(len(before) + 1, os.SEEK_CUR)
        line, record, data = 1 + before.count(b"\n"), 1, b""
        blocks = _blocks(stream, chunk, on_bytes)
        while True:
            commas, end = _separators(data)
            starts = np.append(0, commas + 1)
            stops = commas if end is None else np.append(commas, end)
            starts = starts[: len(stops)]
            only = end is not None and len(stops) == 1 and record == 1
            if only and not data[:end].strip():
                starts = stops = commas
            if len(stops):
                yield Elements(data, starts, stops, record, line)
            record += len(stops)
            if end is not None:
                _expect_the_end(data[end:], blocks)
                return
            done = int(commas[-1]) + 1 if len(commas) else 0
            line += data.count(b"\n", 0, done)
            data = data[done:]
            more = next(blocks, b"")
            if not more:
                raise FileRejected(
                    "the array is not closed: the file is cut, or a quote or bracket is left open",
                    line=line + data.count(b"\n"),
                    raw=data[-200:],
                )
            if len(data) > LONGEST_RECORD:
                raise FileRejected(f"an element longer than {LONGEST_RECORD} bytes", line=line)
            data += more


def _start_of_text(stream: BinaryIO) -> bytes:
    """Look at the first bytes; leaves the stream where the text begins."""
    start = stream.read(_SNIFFED)
    if not start:
        raise FileRejected("empty file")
    for magic, what in _NOT_TEXT:
        if start.startswith(magic):
            raise FileRejected(what, raw=start[:64])
    # ASCII written as UTF-16 has a NUL in every other byte.
    if start[:200].count(b"\0") * 4 > len(start[:200]):
        raise FileRejected("UTF-16 or binary, not UTF-8 text", raw=start[:64])
    stream.seek(len(BOM) if start.startswith(BOM) else 0)
    text = start.removeprefix(BOM)
    if not text.strip(b" \t\r\n"):
        raise FileRejected("no text in the file")
    return text


def _blocks(stream: BinaryIO, size: int, on_bytes: OnBytes | None) -> Iterator[bytes]:
    while block := stream.read(size):
        if on_bytes:
            on_bytes(len(block))
        yield block


def _with_line_feeds(data: bytes, ending: bytes) -> bytes:
    if ending == b"\r":
        return data.replace(b"\r", b"\n")
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data


_OPEN, _CLOSE, _COMMA, _QUOTE = 1, 2, 3, 4
_KINDS = np.zeros(256, dtype=np.uint8)
for _characters, _kind in ((b"{[", _OPEN), (b"}]", _CLOSE), (b",", _COMMA), (b'"', _QUOTE)):
    _KINDS[list(_characters)] = _kind


def _separators(data: bytes) -> tuple[Array, int | None]:
    """Positions of the commas between elements, and of the bracket that ends the array, if any.

    ``data`` begins inside the array, before an element.
    """
    kinds = _KINDS[np.frombuffer(data, dtype=np.uint8)]
    if b"\\" in data:
        kinds = kinds.copy()
        kinds[_escaped(data)] = 0
    position = np.flatnonzero(kinds)
    kind = kinds[position]
    outside = (np.cumsum(kind == _QUOTE) & 1) == 0
    step = np.where(kind == _OPEN, 1, np.where(kind == _CLOSE, -1, 0)) * outside
    depth = 1 + np.cumsum(step)
    ends = np.flatnonzero(depth == 0)
    end = None
    if len(ends):
        end = int(position[ends[0]])
        if data[end : end + 1] != b"]":
            raise FileRejected("the array is closed by a brace", raw=data[max(0, end - 100) : end])
    commas = position[(kind == _COMMA) & outside & (depth == 1)]
    return (commas if end is None else commas[commas < end]), end


def _escaped(data: bytes) -> Array:
    """Positions of characters that a backslash escapes."""
    slashes = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\\"))
    starts = np.concatenate(([True], np.diff(slashes) > 1))
    run_start = slashes[np.maximum.accumulate(np.where(starts, np.arange(len(slashes)), 0))]
    escaping = slashes[(slashes - run_start) % 2 == 0] + 1
    inside: Array = escaping[escaping < len(data)]
    return inside


def _expect_the_end(rest: bytes, blocks: Iterator[bytes]) -> None:
    after = rest[1:]
    while True:
        if after.strip(b" \t\r\n"):
            raise FileRejected("text after the end of the array", raw=after.strip()[:200])
        after = next(blocks, b"")
        if not after:
            return
