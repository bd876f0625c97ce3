"""Load customers into the bank's Postgres: from CSV, or from the INSERT rows of a psql script."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.csv_lines import read_csv
from ingest.frame import read_lines
from ingest.psql_script import parse
from ingest.rejects import LISTED, FileRejected, Reject
from ingest.sources.contract import CsvContract
from ingest.sources.core_banking import CONTRACT
from ingest.stage import CsvStage, open_stage
from lakehouse.catalog import CUSTOMERS_TABLE
from lakehouse.errors import InputRejected, ServiceUnavailable, UsageError
from lakehouse.scratch import scratch_folder
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import psycopg

_KEY = "customer_id"
_COLUMNS = tuple(name for name in CONTRACT.names if name != _KEY)

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {CUSTOMERS_TABLE} (
    customer_id serial PRIMARY KEY,
    name varchar(100),
    email varchar(100) UNIQUE,
    city varchar(50)
)"""


@dataclass
class LoadReport:
    """What a load did. ``present``: rows that stood there already, just so."""

    loaded: int = 0
    present: int = 0
    rejects: list[Reject] = field(default_factory=list)
    """The first thousand rows that break the contract; they are not loaded."""
    rejected: int = 0
    not_run: list[str] = field(default_factory=list)
    """Statements of a script that are no INSERT."""

    def to_json(self) -> dict[str, Any]:
        """The command's document."""
        return {
            "loaded": self.loaded,
            "present": self.present,
            "rejected": self.rejected,
            "rejects": [reject.to_json() for reject in self.rejects],
            "not_run": self.not_run,
        }


def load(settings: Settings, file: Path | str, replace: bool = False) -> int:
    """Load customers and return how many are new; see :func:`load_file`."""
    return load_file(settings, Path(file), replace=replace).loaded


def load_file(settings: Settings, file: Path, *, replace: bool = False) -> LoadReport:
    """Load customers from a ``.csv``, with or without customer_id, or from a psql script.

    All or nothing, in one transaction; the same file again changes nothing. Without customer_id the
    table's serial numbers the rows in the order of the file.

    Args:
        settings: where Postgres is, and the share of bad rows that stops a load.
        file: what to load.
        replace: empty the table first and start its serial anew.

    Raises:
        UsageError: no such file.
        InputRejected: too many bad rows, or a customer who stands there differently.
        ServiceUnavailable: Postgres doesn't answer.

    """
    if not file.is_file():
        raise UsageError(f"no file {file}", "name a .csv or a psql script")
    with scratch_folder(settings.home, "bank") as folder:
        rows, lines, report = _as_csv(file, folder)
        contract = _contract(rows)
        with open_stage(folder) as stage:
            _check(settings, stage, contract, rows, lines, report)
            with _bank(settings) as bank:
                _insert(bank, stage, contract, replace, report)
    return report


def _as_csv(file: Path, folder: Path) -> tuple[Path, list[int], LoadReport]:
    """The rows as a CSV file, and of each row the line of the script that it stands on."""
    if file.suffix.lower() == ".csv":
        return file, [], LoadReport()
    try:
        text = b"".join(part.data for part in read_lines(file)).decode("utf-8")
    except FileRejected as error:
        raise InputRejected(f"{file}: {error.reject.reason}", "deliver UTF-8 text") from None
    except UnicodeDecodeError as error:
        raise InputRejected(
            f"{file}: not UTF-8 (byte {error.start + 1})", "deliver UTF-8 text"
        ) from None
    script = parse(text, CUSTOMERS_TABLE)
    if not script.rows:
        raise InputRejected(
            f"{file} inserts no row into {CUSTOMERS_TABLE}",
            f"expected: INSERT INTO {CUSTOMERS_TABLE} (name, email, city) VALUES …",
        )
    with_key = any(_KEY in row.values for row in script.rows)
    names = [_KEY, *_COLUMNS] if with_key else list(_COLUMNS)
    path = folder / "script.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        for row in script.rows:
            if set(row.values) != set(names):
                raise InputRejected(
                    f"line {row.line} of {file}: columns {', '.join(row.values)}",
                    f"expected: {', '.join(names)}",
                )
            # A line break would move all later rows; as a control character it is rejected anyway.
            values = [(row.values[name] or "").replace("\n", "\v") for name in names]
            writer.writerow([value.replace("\r", "\v") for value in values])
    return path, [row.line for row in script.rows], LoadReport(not_run=script.not_run)


def _contract(rows: Path) -> CsvContract:
    """The contract of customers, without the id where the file leaves it to the serial."""
    try:
        header = next(iter(read_lines(rows))).data.split(b"\n", 1)[0]
    except FileRejected as error:
        raise InputRejected(f"{rows.name}: {error.reject.reason}", "deliver customers") from None
    if _KEY.encode() in header:
        return CONTRACT
    columns = tuple(column for column in CONTRACT.columns if column.name != _KEY)
    return replace(CONTRACT, columns=columns, unique=("email",))


def _check(
    settings: Settings,
    stage: duckdb.DuckDBPyConnection,
    contract: CsvContract,
    rows: Path,
    lines: list[int],
    report: LoadReport,
) -> None:
    """Stage the rows that keep the contract; stop where too many don't."""
    staged = CsvStage(stage, contract, settings.timezone)
    rejects: list[Reject] = []
    total = 0
    try:
        for part in read_csv(rows, contract.names):
            total += part.table.num_rows + len(part.rejects)
            rejects += [*part.rejects, *staged.add(0, part)]
    except FileRejected as error:
        raise InputRejected(
            f"{rows.name}: {error.reject.reason}", f"expected: {', '.join(CONTRACT.names)}"
        ) from None
    rejects += [Reject(line, name, reason, "") for _, line, name, reason in staged.repeated()]
    if lines:
        rejects = [replace(reject, line=lines[reject.line - 2]) for reject in rejects]
    report.rejects, report.rejected = rejects[:LISTED], len(rejects)
    if rejects and len(rejects) > total * settings.bad_share_limit_of("core_banking"):
        first = rejects[0]
        raise InputRejected(
            f"{len(rejects)} of {total} customers are bad, the first on line {first.line}:"
            f" {first.field} {first.reason}".rstrip(),
            "nothing was loaded; correct the file",
        )


@contextmanager
def _bank(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    import psycopg

    try:
        bank = psycopg.connect(settings.postgres_dsn.get_secret_value(), connect_timeout=5)
    except psycopg.OperationalError:
        raise ServiceUnavailable(
            "the bank's Postgres does not answer", "start it: discover up postgres"
        ) from None
    with bank:
        yield bank


def _insert(
    bank: psycopg.Connection[Any],
    stage: duckdb.DuckDBPyConnection,
    contract: CsvContract,
    replace_all: bool,
    report: LoadReport,
) -> None:
    names = ", ".join(contract.names)
    typed = ", ".join(f"t_{name}" for name in contract.names)
    bank.execute(_CREATE)
    # One load at a time, so that what is compared below still holds when it is written.
    bank.execute(f"LOCK TABLE {CUSTOMERS_TABLE} IN SHARE ROW EXCLUSIVE MODE")
    if replace_all:
        bank.execute(f"TRUNCATE {CUSTOMERS_TABLE} RESTART IDENTITY")
    bank.execute(
        f"CREATE TEMP TABLE delivered ON COMMIT DROP AS"
        f" SELECT 0::bigint AS line, {names} FROM {CUSTOMERS_TABLE} LIMIT 0"
    )
    staged = stage.execute(f"SELECT line, {typed} FROM staged ORDER BY line")
    with bank.cursor().copy(f"COPY delivered (line, {names}) FROM STDIN") as copy:
        while some := staged.fetchmany(10_000):
            for row in some:
                copy.write_row(row)
    same = " AND ".join(
        f"bank.{name} IS NOT DISTINCT FROM delivered.{name}" for name in contract.names
    )
    clash = "bank.email = delivered.email"
    if _KEY in contract.names:
        clash = f"({clash} OR bank.{_KEY} = delivered.{_KEY})"
    (line,) = _row(
        bank,
        f"SELECT min(line) FROM delivered JOIN {CUSTOMERS_TABLE} AS bank ON {clash}"
        f" AND NOT ({same})",
    )
    if line is not None:
        raise InputRejected(
            f"the customer on line {line} stands in the bank already, with other values",
            "nothing was loaded; to start over: discover bank load FILE --replace",
        )
    inserted = bank.execute(
        f"INSERT INTO {CUSTOMERS_TABLE} ({names}) SELECT {names} FROM delivered WHERE NOT EXISTS"
        f" (SELECT FROM {CUSTOMERS_TABLE} AS bank WHERE {same}) ORDER BY line"
    )
    report.loaded = inserted.rowcount
    report.present = _row(bank, "SELECT count(*) FROM delivered")[0] - report.loaded
    if _KEY in contract.names:
        bank.execute(
            f"SELECT setval(pg_get_serial_sequence('{CUSTOMERS_TABLE}', '{_KEY}'), max({_KEY}))"
            f" FROM {CUSTOMERS_TABLE} HAVING count(*) > 0"
        )


def _row(bank: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = bank.execute(query).fetchone()
    assert found is not None
    return found
