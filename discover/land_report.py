"""What a person who delivers files reads about them: what is wrong, where, shown in the record."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

    from ingest.land import FileReport, LandReport
    from ingest.rejects import Reject

SHOWN = 20
"""Rejects of a file that are shown in full; all are counted by their reasons."""
_BEFORE, _AFTER, _LONGEST = 60, 60, 60
_CHARACTERS = 4
_STATES = {
    "landed": "green",
    "known": "cyan",
    "partly": "yellow",
    "quarantined": "red",
    "stopped": "red",
}
_POSITION = re.compile(r"\(character (\d+)\)|at character (\d+)")
_HEXADECIMAL = re.compile(r"(?:\\x[0-9a-f]{2})+")


def show(report: LandReport, *, check: bool, limit: float, console: Console) -> None:
    """Print every file of a landing; ``limit`` is the share of bad records that stops it."""
    console.print(f"{report.source}: {'checked, nothing lands' if check else 'landing'}")
    for file in report.files:
        console.print(_headline(file, limit))
        for reject in file.rejects[:SHOWN]:
            for line in explained(reject, file.columns):
                console.print(line)
        if len(file.rejects) > SHOWN or file.quarantined > SHOWN:
            for line in _by_reason(file):
                console.print(line)
    for item in report.passed_over:
        console.print(Text(f"passed over: {visible(item.file)}: {item.reason}"))


def explained(reject: Reject, columns: Sequence[str] = (), unit: str = "line") -> Iterator[Text]:
    """A reject as lines: where and why, the record, a mark under what is wrong, odd characters."""
    record = f", record {reject.record}" if reject.record else ""
    where = f"  {unit} {reject.line}{record}"
    yield Text.assemble(
        (where, "bold"), f", {_reason(reject)}" if reject.field else f": {_reason(reject)}"
    )
    if not reject.raw:
        return
    spans = _spans(reject, columns)
    first = max(0, spans[0][0] - _BEFORE)
    last = min(len(reject.raw), spans[-1][1] + _AFTER)
    shown, under = Text("    "), "    "
    position = first
    if first:
        shown.append("…")
        under += " "
    for start, end in spans:
        before, marked = visible(reject.raw[position:start]), visible(reject.raw[start:end])
        shown.append(before)
        shown.append(marked, style="bold red")
        under += " " * cell_len(before) + "^" * cell_len(marked)
        position = end
    shown.append(visible(reject.raw[position:last]) + ("…" if last < len(reject.raw) else ""))
    yield shown
    if spans == [(len(reject.raw), len(reject.raw))]:
        under += "^"
    if under.strip():
        yield Text(under, style="red")
    marked_text = "".join(reject.raw[start:end] for start, end in spans)
    odd = _odd_characters(marked_text or reject.raw[first:last])
    if odd:
        yield Text(f"    {odd}", style="dim")


def visible(text: str) -> str:
    """Text whose characters can be told apart: controls and look-alike blanks by their codes."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else f"<U+{ord(letter):04X}>"
        for letter in text
    ).replace("\n", "<line feed>")


def _headline(file: FileReport, limit: float) -> Text:
    good = f"{file.landed:,} land"
    if file.state == "stopped":
        good = f"{file.landed:,} good but none lands"
    told = f" {file.rows_in:,} records in, {good}, {file.quarantined:,} quarantined"
    if file.state == "known":
        told = " landed before; nothing to do"
    elif file.quarantined and file.rows_in and file.landed:
        told += f" ({100 * file.quarantined / file.rows_in:.1f} %; the limit is {100 * limit:g} %)"
    return Text.assemble(
        (Path(file.file).name, "bold"), ": ", (file.state, _STATES[file.state]), told
    )


def _by_reason(file: FileReport) -> Iterator[Text]:
    counted = Counter(map(_reason, file.rejects))
    first = {_reason(reject): reject.line for reject in reversed(file.rejects)}
    listed = (
        f" (of the first {len(file.rejects):,})" if len(file.rejects) < file.quarantined else ""
    )
    yield Text(f"  {file.quarantined:,} in all, by reason{listed}:")
    for reason, count in counted.most_common(SHOWN):
        yield Text(f"  {count:>7,} × {reason} — first on line {first[reason]}")


def _reason(reject: Reject) -> str:
    if reject.reason.startswith(reject.field):
        return reject.reason
    return f"{reject.field}: {reject.reason}"


def _spans(reject: Reject, columns: Sequence[str]) -> list[tuple[int, int]]:
    """Where in the raw text the trouble is, at least one place; an empty one if that's unknown."""
    if reject.field not in columns:
        return [_span(reject)]
    named = [reject.field, *(name for name in columns if f"; {name}: " in reject.reason)]
    found = sorted(_field_span(reject.raw, list(columns).index(name)) for name in named)
    return [(start, min(end, start + _LONGEST)) for start, end in found]


def _span(reject: Reject) -> tuple[int, int]:
    raw = reject.raw
    if match := _POSITION.search(reject.reason):
        start = min(int(match[1] or match[2]) - (1 if match[1] else 0), len(raw))
        return start, min(start + 1, len(raw))
    if "UTF-8" in reject.reason and (match := _HEXADECIMAL.search(raw)):
        return match.span()
    for sign, word in (("\0", "NUL"), ("\r", "carriage return"), ("\n", "line break")):
        if word in reject.reason and sign in raw:
            return raw.index(sign), raw.index(sign) + 1
    if "no line ending" in reject.reason:
        return len(raw), len(raw)
    if "quote" in reject.reason and '"' in raw:
        return raw.index('"'), raw.index('"') + 1
    key = re.sub(r"\[\d+\]", "", reject.field).split(".")[-1]
    if key and (match := re.search(rf'"{re.escape(key)}"\s*:\s*("[^"]*"|[^,}}\]]*)', raw)):
        # Of several loans the one that is meant can't be told from the text alone.
        return match.span() if raw.count(f'"{key}"') == 1 else (0, 0)
    return 0, 0


def _field_span(raw: str, position: int) -> tuple[int, int]:
    """Where the field at ``position`` of a CSV line stands."""
    starts, quoted = [0], False
    for at, letter in enumerate(raw):
        if letter == '"':
            quoted = not quoted
        elif letter == "," and not quoted:
            starts.append(at + 1)
    if position >= len(starts):
        return 0, 0
    end = starts[position + 1] - 1 if position + 1 < len(starts) else len(raw)
    return starts[position], end


def _odd_characters(text: str) -> str:
    odd = [
        letter for letter in dict.fromkeys(text) if not letter.isascii() or not letter.isprintable()
    ]
    names = [
        f"{letter + ' is ' if letter.isprintable() else ''}U+{ord(letter):04X}"
        f" {unicodedata.name(letter, 'control character')}"
        for letter in odd[:_CHARACTERS]
    ]
    return ", ".join(names) + (", …" if len(odd) > _CHARACTERS else "")
