"""Load customers into the bank's Postgres: from CSV, or what a psql script leaves."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.csv_lines import read_csv
from ingest.customers_table import CREATE, bank, copy_out, require_customers
from ingest.delivery import as_file
from ingest.frame import read_lines
from ingest.rejects import LISTED, FileRejected, Reject
from ingest.sources.contract import CsvContract
from ingest.sources.core_banking import CONTRACT
from ingest.sql_script import Outcome, run_script
from ingest.stage import CsvStage, open_stage
from lakehouse.catalog import CUSTOMERS_TABLE
from lakehouse.errors import InputRejected
from lakehouse.scratch import scratch_folder
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import duckdb
    import psycopg

_KEY = "customer_id"


@dataclass
class LoadReport:
    """The result of a load. ``present``: rows that the bank already had, equal in every column."""

    loaded: int = 0
    present: int = 0
    rejects: list[Reject] = field(default_factory=list)
    """The first thousand rows that break the contract; they are not loaded. The line of a row
    that a script left is its place in the table, in the order of ``customer_id``."""
    rejected: int = 0
    not_run: list[str] = field(default_factory=list)
    """Statements and psql commands of a script that were passed over: they change no row."""
    notes: list[str] = field(default_factory=list)
    """What else the script left that is not loaded."""
    unit: str = "line"
    """What the lines of ``rejects`` count: ``line`` or ``row``."""

    def to_json(self) -> dict[str, Any]:
        """The command's document."""
        return {
            "loaded": self.loaded,
            "present": self.present,
            "rejected": self.rejected,
            "rejects": [reject.to_json() for reject in self.rejects],
            "not_run": self.not_run,
            "notes": self.notes,
        }


class _Clash(InputRejected):
    """A customer is in the bank already, with other values."""


def load(settings: Settings, file: Path | str, replace: bool = False) -> int:
    """Load customers and return how many are new; see :func:`load_file`."""
    return load_file(settings, file, replace=replace).loaded


def load_file(settings: Settings, file: Path | str, *, replace: bool = False) -> LoadReport:
    """Load customers from CSV, with or without customer_id, or from a psql script.

    All or nothing, in one transaction; the same file again changes nothing. Without customer_id the
    table's serial numbers the rows in the order of the file.

    Args:
        settings: where Postgres is, and the share of bad rows that stops a load.
        file: the file, or a pipe.
        replace: empty the table first and restart its serial.

    Raises:
        UsageError: no such file.
        InputRejected: too many bad rows, a script that fails, or a customer with other values.
        ServiceUnavailable: Postgres doesn't answer.

    """
    with scratch_folder(settings.home, "bank") as folder:
        delivered = as_file(str(file), folder)
        if _is_csv(delivered.path):
            report = LoadReport()
            return _load_rows(settings, delivered.path, delivered.name, folder, replace, report)
        seconds = settings.bank_script_seconds
        outcome = run_script(delivered.path, delivered.name, folder, seconds)
        try:
            return _load_outcome(settings, outcome, folder, replace)
        except _Clash as clash:
            # A script that only adds customers numbers them after those that the bank has.
            present = folder / "present.csv"
            with bank(settings) as connection:
                copy_out(connection, present)
            try:
                if not outcome.made_by_script:
                    again = run_script(delivered.path, delivered.name, folder, seconds, present)
                    return _load_outcome(settings, again, folder, replace)
            except InputRejected:
                pass
            raise clash from None


def _is_csv(path: Path) -> bool:
    """Whether it is CSV, by its name, or by a header that no script begins with."""
    if path.suffix.lower() in (".csv", ".sql"):
        return path.suffix.lower() == ".csv"
    try:
        header = next(read_lines(path)).data.split(b"\n", 1)[0]
    except FileRejected:
        return False
    names = {name.strip(b' "\r') for name in header.split(b",")}
    return {name.encode() for name in CONTRACT.names if name != _KEY} <= names


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


def _load_outcome(
    settings: Settings, outcome: Outcome, folder: Path, replace_all: bool
) -> LoadReport:
    report = LoadReport(not_run=outcome.not_run, notes=outcome.notes, unit="row")
    return _load_rows(
        settings, outcome.rows, f"{CUSTOMERS_TABLE} of the script", folder, replace_all, report
    )


def _load_rows(
    settings: Settings,
    rows: Path,
    name: str,
    folder: Path,
    replace_all: bool,
    report: LoadReport,
) -> LoadReport:
    contract = _contract(rows)
    with open_stage(folder) as stage:
        _check(settings, stage, contract, rows, name, report)
        with bank(settings) as connection:
            _insert(connection, stage, contract, replace_all, report)
    return report


def _check(
    settings: Settings,
    stage: duckdb.DuckDBPyConnection,
    contract: CsvContract,
    rows: Path,
    name: str,
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
            f"{name}: {error.reject.reason}", f"expected: {', '.join(CONTRACT.names)}"
        ) from None
    if total == 0:
        raise InputRejected(f"{name}: no customer in it", "nothing was loaded; deliver customers")
    rejects += [Reject(line, name, reason, "") for _, line, name, reason in staged.repeated()]
    rejects.sort(key=lambda reject: reject.line)
    if report.unit == "row":
        rejects = _by_customer(rows, rejects)
    report.rejects, report.rejected = rejects[:LISTED], len(rejects)
    if not rejects:
        return
    first = rejects[0]
    found = (
        f"{len(rejects)} of {total} customers are bad, the first in {report.unit} {first.line}:"
        f" {first.field} {first.reason}"
    )
    if _KEY not in contract.names:
        # Without it, the next customer would get its id, and every later one another's.
        raise InputRejected(
            f"{name}: {found}",
            f"nothing was loaded: without {_KEY}, ids follow the order of the rows, so every row"
            f" has to be good; correct it, or add {_KEY}",
        )
    if len(rejects) > total * settings.bad_share_limit_of("core_banking"):
        raise InputRejected(f"{name}: {found}", "nothing was loaded; correct the file")


def _by_customer(rows: Path, rejects: list[Reject]) -> list[Reject]:
    """Rejects of a table's rows, which a person finds by their id."""
    lines = {reject.line for reject in rejects}
    with rows.open(newline="", encoding="utf-8") as stream:
        ids = {n: row[0] for n, row in enumerate(csv.reader(stream), 1) if n in lines}
    return [
        replace(reject, line=reject.line - 1, reason=f"{reject.reason} ({_KEY} {ids[reject.line]})")
        for reject in rejects
    ]


def _insert(
    connection: psycopg.Connection[Any],
    stage: duckdb.DuckDBPyConnection,
    contract: CsvContract,
    replace_all: bool,
    report: LoadReport,
) -> None:
    names = ", ".join(contract.names)
    typed = ", ".join(f"t_{name}" for name in contract.names)
    connection.execute(CREATE)
    require_customers(connection, must_be_table=True)
    # One load at a time, so that what is compared below still holds when it is written.
    connection.execute(f"LOCK TABLE {CUSTOMERS_TABLE} IN SHARE ROW EXCLUSIVE MODE")
    if replace_all:
        connection.execute(f"TRUNCATE {CUSTOMERS_TABLE} RESTART IDENTITY")
    connection.execute(
        f"CREATE TEMP TABLE delivered ON COMMIT DROP AS"
        f" SELECT 0::bigint AS line, {names} FROM {CUSTOMERS_TABLE} LIMIT 0"
    )
    staged = stage.execute(f"SELECT line, {typed} FROM staged ORDER BY line")
    with connection.cursor().copy(f"COPY delivered (line, {names}) FROM STDIN") as copy:
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
        connection,
        f"SELECT min(line) FROM delivered JOIN {CUSTOMERS_TABLE} AS bank ON {clash}"
        f" AND NOT ({same})",
    )
    if line is not None:
        at = f"row {line - 1}" if report.unit == "row" else f"line {line}"
        raise _Clash(
            f"the customer in {at} is in the bank already, with other values",
            "nothing was loaded; to start over: discover bank load FILE --replace",
        )
    inserted = connection.execute(
        f"INSERT INTO {CUSTOMERS_TABLE} ({names}) OVERRIDING SYSTEM VALUE"
        f" SELECT {names} FROM delivered WHERE NOT EXISTS"
        f" (SELECT FROM {CUSTOMERS_TABLE} AS bank WHERE {same}) ORDER BY line"
    )
    report.loaded = inserted.rowcount
    report.present = _row(connection, "SELECT count(*) FROM delivered")[0] - report.loaded
    if _KEY in contract.names:
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{CUSTOMERS_TABLE}', '{_KEY}'), max({_KEY}))"
            f" FROM {CUSTOMERS_TABLE} HAVING count(*) > 0"
        )


def _row(connection: psycopg.Connection[Any], query: str) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = connection.execute(query).fetchone()
    assert found is not None
    return found
