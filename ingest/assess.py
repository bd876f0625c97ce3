"""One delivered file to typed rows and rejects. Local disk only: no S3, no batch, no limit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from ingest import csv_lines
from ingest.append_stage import AppendStage
from ingest.attribution import named_customer
from ingest.frame import (
    Array,
    Elements,
    Lines,
    OnBytes,
    is_json_array,
    read_elements,
    read_lines,
)
from ingest.plain_records import Limits, plain_records
from ingest.rejects import FileRejected, Reject, RejectLog, shown
from ingest.sources import REGISTRY, credit_bureau
from ingest.stage import CsvStage, Lineage, RecordStage, open_stage
from ingest.strict_json import Problem, decode
from lakehouse import complaint
from lakehouse.errors import InputRejected
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


FirstLanded = Callable[["pa.Table"], "pa.Table | None"]


@dataclass
class Assessed:
    """What one file holds. ``rows_in`` counts records, each once, whatever is wrong with it."""

    name: str
    path: Path
    sha256: str
    rejects: RejectLog
    rows_in: int = 0
    landed: int = 0
    whole: bool = False
    """The file was rejected as a whole: one reject speaks for all its records."""
    columns: list[str] = field(default_factory=list)
    """Of a CSV file: its header, in the order of the file."""
    number: int = field(default=0, repr=False)

    @property
    def quarantined(self) -> int:
        """Records that don't land."""
        return self.rows_in - self.landed


class Assessment:
    """The files of one landing, one after another; a context manager, because it holds files open.

    Read every file with :meth:`read`, then :meth:`finish` (repeats are known only when all is
    read), then :meth:`write` what each file lands. ``folder`` is its own for the time.
    """

    def __init__(
        self, settings: Settings, source: str, batch_id: str, now: datetime, folder: Path
    ) -> None:
        self.settings = settings
        self.source: ModuleType = REGISTRY[source]
        self.batch_id = batch_id
        self.now = now.astimezone(UTC).replace(tzinfo=None)
        self.folder = folder
        self.files: list[Assessed] = []
        self.connection = open_stage(self.folder)
        self.stage = self._stage()

    def __enter__(self) -> Assessment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self.connection:
            if isinstance(self.stage, AppendStage):
                self.stage.close()

    def read(self, name: str, path: Path, sha256: str, on_bytes: OnBytes | None = None) -> Assessed:
        """Type every record of one file or say why not.

        Raises:
            InputRejected: the file changed while it was read.

        """
        number = len(self.files)
        log = RejectLog(self.folder / f"{number}.jsonl")
        file = Assessed(name, path, sha256, log, number=number)
        self.files.append(file)
        before = path.stat()
        try:
            self._reader()(file, on_bytes)
        except FileRejected as error:
            self.stage.forget(number)
            file.rejects.restart_with(self._keepable(error.reject))
            file.whole = True
            file.rows_in = max(1, _count_records(path, self.source))
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise InputRejected(f"{name} changed while it was read", "land it when it is complete")
        return file

    def finish(self, first_landed: FirstLanded | None = None) -> None:
        """Take out what repeats, count what stands, and assert that nothing got lost.

        ``first_landed`` tells what earlier landings hold under some keys.
        """
        if self.source.SNAPSHOT:
            repeats: dict[int, dict[int, tuple[str, str]]] = {}
            for number, line, name, reason in self.stage.repeated():
                repeats.setdefault(number, {}).setdefault(line, (name, reason))
            for number, wanted in repeats.items():
                file = self.files[number]
                file.rejects.add(list(self._repeats(file, wanted)))
        elif isinstance(self.stage, RecordStage):
            if first_landed and (landed := first_landed(self.stage.keys())) is not None:
                self._reject_later(
                    self.stage.contradicting_landed(landed),
                    "a record of this id that landed before says otherwise",
                )
            self._reject_later(
                self.stage.contradicting(), "an earlier record of this id says otherwise"
            )
        for file in self.files:
            file.landed = self.stage.count(file.number)
            if not file.whole and file.quarantined != file.rejects.count:
                raise AssertionError(
                    f"{file.name}: {file.rows_in} records in, {file.landed} landed,"
                    f" {file.rejects.count} rejected"
                )

    def write(self, file: Assessed) -> Path | None:
        """The file's rows as a local Parquet file; None where there is no row."""
        path = self.folder / f"{file.number}.parquet"
        self.stage.write(file.number, self._lineage(file), path)
        import pyarrow.parquet as pq

        return path if pq.read_metadata(path).num_rows else None

    def rows(self, parquet: Path) -> list[dict[str, Any]]:
        """Landed rows in the source's own field names."""
        shown_as = _ROWS.get(self.source.NAME) or ", ".join(
            f"{sql} AS {name}" for name, sql in self.source.CONTRACT.rows
        )
        found = self.connection.execute(
            f"SELECT {shown_as} FROM read_parquet(?)"
            + (" WHERE record_status = 'present'" if self.source is credit_bureau else ""),
            [str(parquet)],
        )
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def _lineage(self, file: Assessed) -> Lineage:
        return Lineage(file.name, self.batch_id, self.now)

    def _stage(self) -> CsvStage | RecordStage:
        if hasattr(self.source, "CONTRACT"):
            contract, timezone = self.source.CONTRACT, self.settings.timezone
            if self.source.SNAPSHOT:
                return CsvStage(self.connection, contract, timezone)
            return AppendStage(
                self.connection,
                contract,
                timezone,
                schema=self.source.schema(),
                folder=self.folder,
                lineage_of=lambda number: self._lineage(self.files[number]),
            )
        schema = self.source.schema()
        return RecordStage(self.connection, schema, key=schema.names[0])

    def _reader(self) -> Callable[[Assessed, OnBytes | None], None]:
        if isinstance(self.stage, CsvStage):
            return self._read_csv
        return self._read_credit if self.source is credit_bureau else self._read_complaints

    def _keepable(self, reject: Reject) -> Reject:
        """Of complaints no original byte is kept, those at a broken file's beginning included."""
        return replace(reject, raw="") if self.source.NAME == "feedback" else reject

    def _read_csv(self, file: Assessed, on_bytes: OnBytes | None) -> None:
        assert isinstance(self.stage, CsvStage)
        for rows in csv_lines.read_csv(file.path, self.source.CONTRACT.names, on_bytes):
            file.columns = rows.header
            file.rows_in += rows.table.num_rows + len(rows.rejects)
            rejects = rows.rejects + self.stage.add(file.number, rows)
            file.rejects.add(sorted(rejects, key=lambda reject: reject.line))

    def _read_credit(self, file: Assessed, on_bytes: OnBytes | None) -> None:
        assert isinstance(self.stage, RecordStage)
        limits = Limits(
            self.settings.loan_types, self.settings.score_minimum, self.settings.score_maximum
        )
        for part in _json_parts(file.path, on_bytes):
            table, plain = plain_records(part, limits)
            if table is not None:
                self.stage.add_table(file.number, table)
                file.rows_in += table.num_rows
            if not plain.all():
                self._read_credit_singly(file, _records(part, ~plain), limits)

    def _read_credit_singly(
        self, file: Assessed, records: Iterator[_Record], limits: Limits
    ) -> None:
        assert isinstance(self.stage, RecordStage)
        rows: list[dict[str, Any]] = []
        rejects: list[Reject] = []
        allowed = asdict(limits)
        for record in records:
            file.rows_in += 1
            row: dict[str, Any] = {"line": record.number}
            try:
                typed = credit_bureau.typed(decode(record.raw), **allowed)
                rows.append(row | typed | {"record_status": "present"})
            except Problem as problem:
                reject = record.rejected(problem)
                rejects.append(reject)
                if record.raw:
                    # One that names nobody leaves a row too: it may be anybody's. Between two
                    # commas there is nobody.
                    refused = {"record_status": "quarantined", "customer_id": reject.customer_id}
                    rows.append(row | refused)
        self.stage.add(file.number, rows)
        file.rejects.add(rejects)

    def _read_complaints(self, file: Assessed, on_bytes: OnBytes | None) -> None:
        assert isinstance(self.stage, RecordStage)
        for lines in read_lines(file.path, on_bytes):
            rows: list[dict[str, Any]] = []
            rejects: list[Reject] = []
            for line, raw in _numbered(lines.data, lines.first_line):
                found = complaint.parse(raw, self.now)
                if isinstance(found, complaint.Reject):
                    rejects.append(Reject(line, found.field, found.reason, found.raw))
                    continue
                rows.append(
                    {
                        "feedback_id": found.feedback_id,
                        "category": found.category,
                        "description": found.description,
                        "occurred_at_utc": found.occurred_at_utc,
                        "record_status": "present",
                        "line": line,
                    }
                )
            file.rows_in += len(rows) + len(rejects)
            self.stage.add(file.number, rows)
            file.rejects.add(rejects)

    def _reject_later(self, found: list[tuple[int, int, dict[str, Any]]], reason: str) -> None:
        assert isinstance(self.stage, RecordStage)
        for number, line, record in found:
            # As it was staged, scrubbed: of a complaint no original byte is kept.
            raw = json.dumps(record, default=str, ensure_ascii=False).encode()
            reject = Reject(line, self.stage.key, reason, shown(raw))
            self.files[number].rejects.add([reject])

    def _repeats(self, file: Assessed, wanted: dict[int, tuple[str, str]]) -> Iterator[Reject]:
        """Rejects of records that were good by themselves: their text is read once more."""
        if isinstance(self.stage, CsvStage):
            for lines in read_lines(file.path):
                for line, raw in _numbered(lines.data, lines.first_line):
                    if line in wanted:
                        yield Reject(line, *wanted[line], shown(raw))
        else:
            for part in _json_parts(file.path):
                for record in _records(part):
                    if record.number in wanted:
                        yield record.rejected(Problem(*wanted[record.number]))


@dataclass(frozen=True)
class _Record:
    """One JSON record: its number (in an array) or line (otherwise), and its text."""

    number: int
    raw: bytes
    line: Callable[[], int]
    in_array: bool

    def rejected(self, problem: Problem) -> Reject:
        record = self.number if self.in_array else None
        return Reject(
            self.line(),
            problem.field,
            problem.reason,
            shown(self.raw),
            record,
            named_customer(self.raw),
        )


def _json_parts(path: Path, on_bytes: OnBytes | None = None) -> Iterator[Elements | Lines]:
    read = read_elements if is_json_array(path) else read_lines
    return read(path, on_bytes)


def _records(part: Elements | Lines, wanted: Array | None = None) -> Iterator[_Record]:
    """The records of a part of a file, or those of them at which ``wanted`` holds."""
    if isinstance(part, Elements):
        spans = zip(part.starts.tolist(), part.stops.tolist(), strict=True)
        for index, (start, stop) in enumerate(spans):
            if wanted is None or wanted[index]:
                raw = part.data[start:stop].strip(b" \t\r\n")
                number = part.first_record + index
                yield _Record(number, raw, partial(part.line, start), in_array=True)
    else:
        for line, raw in _numbered(part.data, part.first_line):
            if wanted is None or wanted[line - part.first_line]:
                yield _Record(line, raw, partial(int, line), in_array=False)


def _numbered(data: bytes, first_line: int) -> Iterator[tuple[int, bytes]]:
    """Lines that hold something, with their numbers."""
    for line, raw in enumerate(data.split(b"\n"), first_line):
        if raw.strip(b" \t\r"):
            yield line, raw


def _count_records(path: Path, source: ModuleType) -> int:
    """Records of a file whose frame is broken, as far as lines can tell."""
    try:
        lines = sum(sum(1 for _ in _numbered(part.data, 1)) for part in read_lines(path))
    except FileRejected:
        return 1
    if hasattr(source, "CONTRACT"):
        return lines - 1
    return 1 if is_json_array(path) else lines


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_ROWS = {
    "credit_bureau": (
        "customer_id, credit_score, delinquencies,"
        " list_transform(outstanding_loans, loan ->"
        " {'type': loan.type, 'amount': CAST(loan.amount AS VARCHAR)}) AS outstanding_loans"
    ),
    "feedback": (
        "feedback_id, category, description, CASE WHEN occurred_at_utc IS NOT NULL THEN"
        " strftime(occurred_at_utc, '%Y-%m-%dT%H:%M:%S.%fZ') END AS occurred_at"
    ),
}
