"""Invented deliveries of all four sources: same arguments, same bytes, whatever the size.

Everything is drawn in blocks, each from a generator of its own, so memory doesn't grow with the
number of customers and days. Names, addresses and texts are made up.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from ingest import people
from ingest.defects import Planter
from ingest.local_time import clock_changes
from ingest.people import Array
from ingest.sources.atm import FIRST_YEAR, LAST_YEAR
from lakehouse import complaint
from lakehouse.errors import UsageError

TIMEZONE = "America/Toronto"
CUSTOMERS_FILE = "core_banking/customers.csv"
CREDIT_FILE = "credit_bureau/credit_data.json"
ATM_FILE = "atm/atm_activity.csv"
COMPLAINTS_FILE = "feedback/complaints.jsonl"
DEFECTS_FILE = "defects.json"

PER_CUSTOMER_AND_DAY = 100_000 / (2_000 * 60)
_CUSTOMERS_AT_ONCE = 20_000
_TRANSACTIONS_AT_ONCE = 200_000
_MACHINES_PER_CITY = 20

# Share of a day's visits by hour: quiet nights, noon, and the way home.
_HOURS = np.array(
    [4, 3, 2, 1, 1, 2, 6, 14, 24, 30, 34, 40, 46, 42, 36, 36, 42, 48, 44, 34, 26, 20, 12, 7],
    dtype=np.float64,
)
_WEEKDAYS = (0.94, 0.92, 0.96, 1.05, 1.32, 1.12, 0.69)  # Monday first
# Type, share, median amount, spread of its logarithm.
_LOANS = (
    ("car", 0.30, 18_000.0, 0.6),
    ("house", 0.22, 310_000.0, 0.5),
    ("business", 0.10, 60_000.0, 0.9),
    ("student", 0.14, 14_000.0, 0.7),
    ("personal", 0.24, 6_000.0, 0.8),
)
_LOANS_EACH = (0.38, 0.30, 0.19, 0.09, 0.04)  # none, one, two, …

OnProgress = Callable[[str, int], None]


def generate(
    customers: int,
    days: int,
    seed: int,
    out: Path,
    end_date: date,
    complaints: int = 0,
    defects: float = 0.0,
    on_progress: OnProgress | None = None,
) -> dict[str, int]:
    """Write one delivery of every source under ``out``; returns records by file.

    Args:
        customers: how many; ids run from 1.
        days: days of ATM activity and complaints, the last of them ``end_date``.
        seed: any whole number from 0.
        out: folder; files of an earlier run are replaced.
        end_date: last business day in the data.
        complaints: how many.
        defects: share of records to spoil; what was spoiled is listed in ``defects.json``.
        on_progress: told the file and the records just written to it.

    Raises:
        UsageError: an argument out of range, or a folder that can't be written.

    """
    if customers < 1 or days < 1 or seed < 0 or complaints < 0 or not 0 <= defects <= 1:
        raise UsageError(
            "nothing can be generated from these numbers",
            "at least one customer and day, a seed from 0, a defect rate from 0 to 1",
        )
    if not FIRST_YEAR <= end_date.year <= LAST_YEAR or days > _days_since(FIRST_YEAR, end_date):
        raise UsageError(
            f"{days} days that end on {end_date} leave the years {FIRST_YEAR} to {LAST_YEAR}",
            "name fewer days, or another end date: no other time of a transaction lands",
        )
    _make_writable(out)
    (out / DEFECTS_FILE).unlink(missing_ok=True)
    planter = Planter(out / DEFECTS_FILE, defects, seed) if defects else None
    write = _Writer(out, planter, on_progress)
    counts = {
        CUSTOMERS_FILE: write.lines(CUSTOMERS_FILE, _customer_lines(customers, seed), _CUSTOMERS),
        CREDIT_FILE: write.array(CREDIT_FILE, _credit_records(customers, seed)),
        ATM_FILE: write.lines(ATM_FILE, _transactions(customers, days, seed, end_date), _ATM),
        COMPLAINTS_FILE: write.lines(
            COMPLAINTS_FILE, _complaint_lines(complaints, days, seed, end_date), b""
        ),
    }
    if planter:
        planter.close()
    return counts


def _days_since(year: int, end_date: date) -> int:
    return (end_date - date(year, 1, 1)).days + 1


def _make_writable(out: Path) -> None:
    """Make the folder, and those of the sources in it."""
    try:
        for file in (CUSTOMERS_FILE, CREDIT_FILE, ATM_FILE, COMPLAINTS_FILE):
            folder = (out / file).parent
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise UsageError(
            f"{out} can't be written ({error.strerror})", "name another folder with --out"
        ) from None


def expected(out: Path) -> dict[str, dict[str, int]]:
    """What landing has to find of spoiled files, by source: rows_in, landed, quarantined."""
    found: dict[str, dict[str, int]] = json.loads((out / DEFECTS_FILE).read_text())["expected"]
    return found


_CUSTOMERS = b"customer_id,name,email,city\n"
_ATM = b"atm_id,timestamp,amount,transaction_type,customer_id\n"


class _Writer:
    """Writes files block by block; a file has its name only once it is complete."""

    def __init__(self, out: Path, planter: Planter | None, on_progress: OnProgress | None) -> None:
        self.out = out
        self.planter = planter
        self.on_progress = on_progress

    def lines(self, file: str, blocks: Iterable[bytes], header: bytes) -> int:
        """Write blocks of whole lines after a header; returns the lines written."""
        count = 0
        with self._complete(file) as stream:
            stream.write(header)
            for block in blocks:
                first = count + 1 + (1 if header else 0)
                stream.write(self._spoiled(file, first, block))
                count += self._told(file, block.count(b"\n"))
        return count

    def array(self, file: str, blocks: Iterable[bytes]) -> int:
        """Write blocks of records, one a line, as one JSON array; returns the records written."""
        count = 0
        with self._complete(file) as stream:
            stream.write(b"[\n")
            for block in blocks:
                text = self._spoiled(file, count + 2, block).removesuffix(b"\n")
                stream.write((b",\n" if count else b"") + text.replace(b"\n", b",\n"))
                count += self._told(file, block.count(b"\n"))
            stream.write(b"\n]\n")
        return count

    def _spoiled(self, file: str, first_line: int, block: bytes) -> bytes:
        if self.planter is None:
            return block
        source = file.partition("/")[0]
        records = block.removesuffix(b"\n").split(b"\n")
        return b"\n".join(self.planter.spoil(source, file, first_line, records)) + b"\n"

    def _told(self, file: str, count: int) -> int:
        if self.on_progress:
            self.on_progress(file, count)
        return count

    @contextmanager
    def _complete(self, file: str) -> Iterator[Any]:
        path = self.out / file
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            yield stream
        unfinished.replace(path)


def _blocks_of_customers(customers: int) -> Iterator[tuple[int, Array]]:
    for block, first in enumerate(range(1, customers + 1, _CUSTOMERS_AT_ONCE)):
        yield block, np.arange(first, min(first + _CUSTOMERS_AT_ONCE, customers + 1))


def _customer_lines(customers: int, seed: int) -> Iterator[bytes]:
    for _, ids in _blocks_of_customers(customers):
        rows = people.customers(seed, ids)
        yield "".join(f"{i},{name},{mail},{city}\n" for i, name, mail, city in rows).encode()


def _credit_records(customers: int, seed: int) -> Iterator[bytes]:
    names = [name for name, *_ in _LOANS]
    shares = np.array([share for _, share, *_ in _LOANS])
    medians = np.log([median for _, _, median, _ in _LOANS])
    spreads = np.array([spread for *_, spread in _LOANS])
    for block, ids in _blocks_of_customers(customers):
        draws = np.random.default_rng([seed, 2, block])
        known = ids[people.has_credit_file(seed, ids)]
        if not len(known):
            continue
        score = np.clip(np.rint(draws.normal(690, 85, len(known))), 300, 900).astype(int)
        # Late payments and low scores go together.
        delinquencies = draws.poisson(np.clip((720 - score) / 90, 0.05, None))
        each = draws.choice(len(_LOANS_EACH), len(known), p=_LOANS_EACH)
        kind = draws.choice(len(_LOANS), each.sum(), p=shares)
        amount = np.exp(draws.normal(medians[kind], spreads[kind]))
        cents = np.clip(np.rint(amount * 100), 50_000, 500_000_000).astype(np.int64)
        loans = [
            f'{{"type": "{names[k]}", "amount": {c // 100}.{c % 100:02d}}}'
            for k, c in zip(kind.tolist(), cents.tolist(), strict=True)
        ]
        ends = np.cumsum(each).tolist()
        starts = [0, *ends[:-1]]
        columns = (known.tolist(), score.tolist(), delinquencies.tolist(), starts, ends)
        yield "".join(
            f'{{"customer_id": {i}, "credit_score": {s}, "delinquencies": {d},'
            f' "outstanding_loans": [{", ".join(loans[a:b])}]}}\n'
            for i, s, d, a, b in zip(*columns, strict=True)
        ).encode()


def _transactions(customers: int, days: int, seed: int, end_date: date) -> Iterator[bytes]:
    """ATM activity in the order of time."""
    if not people.activity(seed, np.arange(1, min(customers, 10_000) + 1)).any():
        return
    first_day = end_date - timedelta(days=days - 1)
    for number in range(days):
        day = first_day + timedelta(days=number)
        expected = customers * PER_CUSTOMER_AND_DAY * _WEEKDAYS[day.weekday()]
        if day.day in (1, 15):
            expected *= 1.15  # pay days
        draws = np.random.default_rng([seed, 3, day.toordinal()])
        count = int(draws.poisson(expected))
        parts = -(-count // _TRANSACTIONS_AT_ONCE)
        for part in range(parts):
            size = count // parts + (1 if part < count % parts else 0)
            yield _part_of_day(draws, customers, seed, day, size, part / parts, (part + 1) / parts)


def _part_of_day(
    draws: np.random.Generator,
    customers: int,
    seed: int,
    day: date,
    count: int,
    since: float,
    until: float,
) -> bytes:
    """``count`` transactions between two quantiles of a day's visits, as CSV lines."""
    seconds = _seconds(np.sort(draws.uniform(since, until, count)))
    when = np.datetime64(day, "s") + seconds
    for change in clock_changes(TIMEZONE, [day.year]):
        if change.skips and change.starts.date() == day:
            gap = np.timedelta64(change.after - change.before, "s")
            skipped = (when >= np.datetime64(change.starts)) & (when < np.datetime64(change.ends))
            when = np.sort(np.where(skipped, when + gap, when))
    who = _visitors(draws, customers, seed, count)
    home = people.city_index(seed, who)
    away = draws.random(count) < 0.08
    place = np.where(away, draws.integers(len(people.CITIES), size=count), home)
    # Everybody has a favourite machine, and uses it most of the time.
    favourite = people.uniform(seed, "machine", who)
    machine = np.where(draws.random(count) < 0.6, favourite, draws.random(count))
    atm = 1 + place * _MACHINES_PER_CITY + (machine**2 * _MACHINES_PER_CITY).astype(int)
    deposit = draws.random(count) < 0.28
    notes = np.clip(np.rint(np.exp(draws.normal(1.6, 0.75, count))), 1, 50) * 2_000
    slips = np.clip(np.rint(np.exp(draws.normal(10.4, 0.9, count))), 500, 2_000_000)
    cents = np.where(deposit, slips, notes).astype(np.int64)
    return _csv(
        {
            "atm_id": atm,
            "timestamp": when.astype("datetime64[s]"),
            "amount": cents,
            "transaction_type": np.where(deposit, "deposit", "withdrawal"),
            "customer_id": who,
        }
    )


def _seconds(quantile: Array) -> Array:
    """Second of the day that has passed at a quantile of the day's visits."""
    edges = np.concatenate(([0.0], np.cumsum(_HOURS) / _HOURS.sum()))
    hours = np.interp(quantile, edges, np.arange(25))
    second: Array = np.minimum((hours * 3600).astype(np.int64), 86_399)
    return second.astype("timedelta64[s]")


def _visitors(draws: np.random.Generator, customers: int, seed: int, count: int) -> Array:
    """Customers drawn by their activity, without a table of all customers."""
    found: list[Array] = []
    missing = count
    while missing > 0:
        who = draws.integers(1, customers + 1, size=3 * missing + 100)
        who = who[draws.random(len(who)) < people.activity(seed, who)][:missing]
        found.append(who)
        missing -= len(who)
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _csv(columns: dict[str, Array]) -> bytes:
    import pyarrow as pa
    from pyarrow import csv

    arrays = {name: pa.array(values) for name, values in columns.items()}
    arrays["amount"] = _money(columns["amount"])
    table = pa.table(arrays)
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=False, quoting_style="none"))
    return bytes(sink.getvalue())


def _money(cents: Array) -> Any:
    """Positive cents as decimal(18, 2), without a value's detour through Python."""
    import pyarrow as pa

    words = np.zeros((len(cents), 2), dtype="<i8")
    words[:, 0] = cents
    return pa.Array.from_buffers(
        pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(words.tobytes())]
    )


def _complaint_lines(count: int, days: int, seed: int, end_date: date) -> Iterator[bytes]:
    block: list[str] = []
    for one in complaint.fake(count, seed, days=days, end_date=end_date, timezone=TIMEZONE):
        block.append(json.dumps(complaint.delivered(one), ensure_ascii=False) + "\n")
        if len(block) == _CUSTOMERS_AT_ONCE:
            yield "".join(block).encode()
            block = []
    if block:
        yield "".join(block).encode()
