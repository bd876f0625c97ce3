"""Good files damaged at random, landed, and judged by a reader that was written apart.

The rule: every landed row equals an original row, or the file or the row is quarantined. No parser
can keep it where the damage turns one valid value into another (``20.50`` into ``29.50``): nothing
in the file tells. So a mutant is one of

``unchanged``          all original rows land, nothing is quarantined
``caught``             something is quarantined, and every landed row equals an original row
``indistinguishable``  a row lands that was not delivered, or one is gone, but the damaged stretches
                       of the file (whole records around each damaged byte) hold nothing but
                       whole valid records by :mod:`tests.unit.ingest.reference`, and what landed
                       of them is what that reads
``beside``             such a row stands beside a line that is quarantined and has all its fields: a
                       line break moved by a character. It is just what a bad row beside a good
                       one looks like, and there the good one has to land
``silent``             anything else: a row lands that the damaged stretch doesn't say, or stands
                       beside a part of it that can't be read, or a row is gone without a trace
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ingest.assess import Assessment
from lakehouse.scratch import scratch_folder
from lakehouse.scrub import scrub
from lakehouse.settings import Settings, load
from tests.unit.ingest import reference
from tests.unit.ingest.reference import Records

VERDICTS = ("unchanged", "caught", "indistinguishable", "beside", "silent")

Row = tuple[Any, ...]
Landing = Callable[[bytes], tuple[list[Row], int]]


@dataclass(frozen=True)
class Delivery:
    """A good file as pieces: a header or bracket, records each with its ending, a bracket."""

    source: str
    pieces: tuple[bytes, ...]
    ending: bytes
    read: Callable[[bytes], Records]
    frame: frozenset[int]
    """Numbers of the pieces that hold no record."""

    def records(self, number: int, text: bytes) -> Records:
        """What a piece, damaged or not, says; it may have run into the pieces after it."""
        if number in self.frame:
            mark = self.pieces[number].strip(b"\r\n")
            if not text.lstrip(b" \t\r\n").startswith(mark):
                return None
            text = text.lstrip(b" \t\r\n").removeprefix(mark)
            if mark != b"[" and text[:1] not in (b"\r", b"\n", b""):
                return None
            text = text.lstrip(b"\r\n")
        last = len(self.pieces) - 1
        if number < last and last in self.frame:
            text = text.rstrip(b"\r\n").removesuffix(self.pieces[last].strip(b"\r\n"))
        return self.read(text)

    def apart(self, text: bytes) -> list[Row]:
        """The valid ones among lines that all have the fields of a row; else nothing."""
        fields = self.pieces[0].count(b",") + 1
        lines = [line for line in text.splitlines(keepends=True) if line.strip()]
        if self.frame != {0} or any(line.count(b",") + 1 < fields for line in lines):
            return []
        return [row for line in lines for row in self.read(line) or []]


@dataclass(frozen=True)
class Mutant:
    """A damaged file and its damaged stretches: (number of the first piece, its text now)."""

    data: bytes
    stretches: tuple[tuple[int, bytes], ...]
    pieces_left: int
    """Fewer than the original's where the file is cut."""


def mutants(delivery: Delivery, count: int, seed: int) -> Iterator[Mutant]:
    """Damaged copies: one to three places each, and one in twenty is cut."""
    for number in range(count):
        draws = random.Random(f"{seed} {number}")
        pieces: list[bytes] = list(delivery.pieces)
        places = draws.choices((1, 2, 3), (70, 20, 10))[0]
        touched = set(draws.sample(range(len(pieces)), places))
        for chosen in touched:
            pieces[chosen] = damaged(draws, pieces[chosen])
        if draws.random() < 0.05:
            chosen = draws.randrange(len(pieces))
            pieces = pieces[: chosen + 1]
            pieces[chosen] = pieces[chosen][: draws.randrange(len(pieces[chosen]) + 1)]
            touched = {place for place in touched if place <= chosen} | {chosen}
        yield Mutant(b"".join(pieces), tuple(_stretches(delivery, pieces, touched)), len(pieces))


def judge(delivery: Delivery, mutant: Mutant, landed: Sequence[Row], quarantined: int) -> str:
    """The verdict on what landing made of a mutant."""
    original = Counter(
        row
        for number, piece in enumerate(delivery.pieces[: mutant.pieces_left])
        for row in delivery.records(number, piece) or []
    )
    extra, missing = Counter(landed) - original, original - Counter(landed)
    if not extra and not missing:
        return "caught" if quarantined else "unchanged"
    said = [delivery.records(number, text) for number, text in mutant.stretches]
    readable: Counter[Row] = Counter(row for records in said for row in records or [])
    if missing and not quarantined and None in said:
        return "silent"
    if strange := extra - readable:
        apart = Counter(row for _, text in mutant.stretches for row in delivery.apart(text))
        return "beside" if quarantined and not strange - apart else "silent"
    return "indistinguishable" if extra or not quarantined else "caught"


def _stretches(
    delivery: Delivery, pieces: list[bytes], touched: set[int]
) -> Iterator[tuple[int, bytes]]:
    number = 0
    while number < len(pieces):
        first, text = number, pieces[number]
        damaged = number in touched
        # A piece that lost its ending runs into the next one.
        while damaged and not text.endswith(delivery.ending) and number + 1 < len(pieces):
            number += 1
            text += pieces[number]
        if damaged:
            yield first, text
        number += 1


_TOKENS = (
    *(b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"-", b"+", b".", b" ", b"\t", b"0", b"7", b"1e3"),
    *(b"NaN", b"\xff", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xed\xa0\x80", b"\\", b"'", b"{", b"}"),
    *(b"[", b"]", b":", b";", b"null", b"true", b"--", b"/*", b"*/", b"NULL", b"''", b'""'),
    *(b"\\u0000", b"\\ud800", b"x", b"\\.", b"$$", b"(", b")", "é".encode(), "٣".encode()),
)


def damaged(draws: random.Random, text: bytes) -> bytes:
    at = draws.randrange(len(text))
    until = min(len(text), at + draws.choice((1, 1, 1, 2, 3, 5, 8, 20)))
    kind = draws.choice(("bit", "byte", "byte", "token", "replace", "cut", "cut", "swap", "twice"))
    if kind == "bit":
        middle = bytes([text[at] ^ (1 << draws.randrange(8))])
        until = at + 1
    elif kind == "byte":
        middle = bytes([draws.randrange(256)])
        until = at + 1
    elif kind == "token":
        middle, until = draws.choice(_TOKENS), at
    elif kind == "replace":
        middle = draws.choice(_TOKENS)
    elif kind == "cut":
        middle = b""
    elif kind == "swap":
        middle, until = text[at : at + 2][::-1], min(at + 2, len(text))
    else:
        middle, until = text[at:until], at
    return text[:at] + middle + text[until:]


# ---- the deliveries


def deliveries() -> dict[str, Delivery]:
    """A good file of every kind that is read, with what a careless reader trips over."""
    return {
        "ATM file": _csv("atm", _ATM_HEADER, _atm_lines(), reference.atm),
        "ATM file, CRLF, quoted": _csv(
            "atm",
            _quoted(_ATM_HEADER),
            [_quoted(line) for line in _atm_lines()],
            reference.atm,
            ending=b"\r\n",
        ),
        "customers file": _csv(
            "core_banking", _CUSTOMERS_HEADER, _CUSTOMER_LINES, reference.customers
        ),
        "credit records, array": _array([_credit(n) for n in range(1, 13)]),
        "credit records, lines": Delivery(
            "credit_bureau",
            tuple(_credit(n) + b"\n" for n in range(1, 13)),
            b"\n",
            reference.credit,
            frozenset(),
        ),
        "complaints": Delivery(
            "feedback", tuple(_COMPLAINTS), b"\n", reference.complaints, frozenset()
        ),
    }


_ATM_HEADER = b"atm_id,timestamp,amount,transaction_type,customer_id"
_CUSTOMERS_HEADER = b"customer_id,name,email,city"
_CUSTOMER_LINES = [
    line.encode()
    for line in (
        "11,Siobhán O'Brien,siobhan.obrien@example.com,St. John's",
        '12,"Zhao, Wendy",wendy.zhao@example.org,Calgary',
        "13,Noël Côté,noel.cote@example.net,Trois-Rivieres",
        '14,"Anna ""Annie"" Li",anna.li@example.com,"Quebec City"',
        "15,李小龙,bruce@example.com,Vancouver",
        "116,Liam Roy,liam.roy@example.com,Halifax",
        "217,Ines Roy,ines.roy@example.com,Halifax",
        "318,Omar Haddad,omar@example.org,Montreal",
        "419,=SUM(A1:A9),formula@example.org,Regina",
        "2147483647,Last One,last@example.org,Yellowknife",
    )
]
_COMPLAINTS = [
    (
        f'{{"feedback_id": "1f0c6c1e-3b0a-4f57-9a53-0d1b5f6d2a{n:02d}", "category": "{category}",'
        f' "description": "{text}"{when}}}\n'
    ).encode()
    for n, (category, text, when) in enumerate(
        (
            ("ATM Issue", "The machine kept my card.", ', "occurred_at": "2026-03-02T08:15:00Z"'),
            ("Card Issue", "It said \\u00ab Refus\\u00e9 \\u00bb.", ""),
            (
                "Service Feedback",
                'Très bien, \\"merci\\"!',
                ', "occurred_at": "2026-03-02T08:15:00.5Z"',
            ),
            ("Account Problem", "Call 416-555-0134 or me@example.com", ""),
            ("Account Problem", "A fee\\nof $20", ', "occurred_at": "2026-11-24 11:59:59+00:00"'),
        )
    )
]


def _atm_lines() -> list[bytes]:
    lines = []
    for n in range(1, 16):
        fraction = "" if n % 3 else f".{n:06d}"
        cents, kind = ("", ".5", ".05")[n % 3], ("deposit", "withdrawal")[n % 2]
        when = f"2026-03-{n:02d} {n + 7:02d}:15:{n + 9:02d}{fraction}"
        lines.append(f"{n * 7},{when},{n * 20}{cents},{kind},{n * 13}".encode())
    return lines + [b"7,2026-11-01 01:30:00,20.00,deposit,1"] * 2


def _credit(n: int) -> bytes:
    loans = ", ".join(
        f'{{"type": "{kind}", "amount": {n * 1000}.{n:02d}}}'
        for kind in ("car", "house", "business", "student", "personal")[: n % 4]
    )
    return (
        f'{{"customer_id": {n * 11}, "credit_score": {600 + n}, "delinquencies": {n % 3},'
        f' "outstanding_loans": [{loans}]}}'
    ).encode()


def _quoted(line: bytes) -> bytes:
    return b",".join(b'"%b"' % field for field in line.split(b","))


def _csv(
    source: str,
    header: bytes,
    lines: list[bytes],
    read: Callable[[bytes], Records],
    ending: bytes = b"\n",
) -> Delivery:
    pieces = tuple(line + ending for line in (header, *lines))
    return Delivery(source, pieces, ending, read, frozenset({0}))


def _array(records: list[bytes]) -> Delivery:
    pieces = (b"[\n", *(r + b",\n" for r in records[:-1]), records[-1] + b"\n", b"]\n")
    frame = frozenset({0, len(pieces) - 1})
    return Delivery("credit_bureau", pieces, b"\n", reference.credit, frame)


# ---- landing them


def landed(source: str, files: Sequence[bytes], folder: Path) -> list[tuple[list[Row], int]]:
    """Rows that land of each file, and how much of it is quarantined; each lands by itself."""
    settings = load(folder, "local", bad_share_limit=1)
    if source in ("atm", "feedback"):
        return _assessed(settings, source, files, folder)
    # Files of a snapshot landed together are one snapshot.
    return [_assessed(settings, source, [data], folder)[0] for data in files]


_SHOWN = {
    "atm": ("atm_id", "transacted_at_local", "amount", "transaction_type", "customer_id"),
    "core_banking": ("customer_id", "name", "email", "city"),
    "credit_bureau": ("customer_id", "credit_score", "delinquencies", "outstanding_loans"),
    "feedback": ("feedback_id", "category", "description", "occurred_at_utc"),
}


def _assessed(
    settings: Settings, source: str, files: Sequence[bytes], folder: Path
) -> list[tuple[list[Row], int]]:
    with (
        scratch_folder(folder, "land") as at_work,
        Assessment(
            settings, source, "batch", reference.NOW.replace(tzinfo=UTC), at_work
        ) as assessment,
    ):
        path = folder / "mutant"
        for data in files:
            path.write_bytes(data)
            assessment.read("mutant", path, "0" * 64)
        assessment.finish()
        return [
            (_rows(source, assessment.write(file)), 1 if file.whole else file.quarantined)
            for file in assessment.files
        ]


def _rows(source: str, parquet: Path | None) -> list[Row]:
    if parquet is None:
        return []
    table = pq.read_table(parquet).to_pylist()
    if source == "credit_bureau":
        table = [row for row in table if row["record_status"] == "present"]
    return [tuple(_plain(row[name]) for name in _SHOWN[source]) for row in table]


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple((loan["type"], loan["amount"]) for loan in value)
    return value


def expected(delivery: Delivery) -> list[Row]:
    """The rows of the undamaged file as they land."""
    return [
        row
        for number, piece in enumerate(delivery.pieces)
        for row in delivery.records(number, piece) or []
    ]


def scrubbed(delivery: Delivery) -> Delivery:
    """The delivery with descriptions read as they land: what landing leaves out is left out."""
    if delivery.source != "feedback":
        return delivery

    def read(data: bytes) -> Records:
        found = delivery.read(data)
        return found and [(key, kind, scrub(text), when) for key, kind, text, when in found]

    return Delivery(delivery.source, delivery.pieces, delivery.ending, read, delivery.frame)


def verdicts(
    delivery: Delivery, count: int, seed: int, folder: Path | None = None
) -> tuple[Counter[str], list[Mutant]]:
    """How many mutants got which verdict, and those that were taken silently."""
    delivery = scrubbed(delivery)
    found: Counter[str] = Counter()
    silent: list[Mutant] = []
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        some: list[Mutant] = []
        for number, mutant in enumerate(mutants(delivery, count, seed), 1):
            some.append(mutant)
            if len(some) == 200 or number == count:
                files = [one.data for one in some]
                for one, (rows, bad) in zip(
                    some, landed(delivery.source, files, place), strict=True
                ):
                    verdict = judge(delivery, one, rows, bad)
                    found[verdict] += 1
                    if verdict == "silent":
                        silent.append(one)
                some = []
    return found, silent
