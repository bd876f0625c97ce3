"""Where the typed rows of one landing stand until all is known about them.

DuckDB holds them and spills to local disk what is beyond its limit, so memory stays bounded.
Nothing here knows S3 or a batch's fate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from ingest.csv_lines import CsvRows
from ingest.local_time import ClockChange, clock_changes, offset_on
from ingest.rejects import Reject, shown
from ingest.sources.contract import CsvContract
from ingest.torn_lines import TornLines, mended_rows

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY_LIMIT = "1GB"


@dataclass(frozen=True)
class Lineage:
    """What every row of one landed file says about where it came from."""

    file: str
    batch_id: str
    ingested_at: datetime
    """UTC without zone."""

    def sql(self) -> str:
        """The lineage columns, from a query that has ``line``."""
        return (
            f"{literal(self.file)} AS _source_file, CAST(line AS BIGINT) AS _source_row,"
            f" {literal(self.batch_id)} AS _batch_id,"
            f" TIMESTAMP '{self.ingested_at.isoformat(sep=' ')}' AS _ingested_at"
        )


def open_stage(folder: Path) -> duckdb.DuckDBPyConnection:
    """An empty stage that spills into ``folder``."""
    stage = duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            # Parts of a file are small: a second thread would mostly wait, and burns what it waits.
            "threads": 1,
            "temp_directory": str(folder / "spill"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        },
    )
    stage.execute("SET TimeZone = 'UTC'")
    return stage


class CsvStage:
    """Rows of a CSV source: typed in bulk; only those that break a rule are looked at singly."""

    def __init__(
        self, stage: duckdb.DuckDBPyConnection, contract: CsvContract, timezone: str
    ) -> None:
        self.stage = stage
        self.contract = contract
        self.timezone = timezone
        self.typed = [f"t_{column.name}" for column in contract.columns]
        self.kept = self.typed
        self.torn: dict[int, TornLines] = {}
        self._open()

    def _open(self) -> None:
        import pyarrow as pa

        text = [(name, pa.string()) for name in self.contract.names]
        with self._delivered(pa.schema([*text, ("line", pa.int64())]).empty_table()):
            self.stage.execute(f"CREATE TABLE staged AS SELECT 0 AS file, * FROM ({self._good()})")

    def add(self, file: int, rows: CsvRows) -> list[Reject]:
        """Stage the good rows; returns why the others aren't."""
        taken, rejects = self._take(file, rows)
        if taken + len(rejects) != rows.table.num_rows:
            raise AssertionError(
                f"{rows.table.num_rows} rows read, {taken} taken, {len(rejects)} rejected"
            )
        bad = sorted(reject.line for reject in (*rows.rejects, *rejects))
        return rejects + self._take_torn(file, rows, bad)

    def _take(self, file: int, rows: CsvRows) -> tuple[int, list[Reject]]:
        """Stage the good rows; returns how many, and why the others aren't."""
        with self._delivered(rows.table):
            taken = self.stage.execute(
                f"INSERT INTO staged SELECT {file} AS file, * FROM ({self._good()})"
            ).fetchone()
            assert taken is not None
            rejects = [] if taken[0] == rows.table.num_rows else self._explain(rows)
        return taken[0], rejects

    def _take_torn(self, file: int, rows: CsvRows, bad: list[int]) -> list[Reject]:
        """Take out rows that a lone field beside them makes doubtful."""
        torn = self.torn.setdefault(file, TornLines()).find(rows, bad)
        if not torn:
            return []
        with self._delivered(mended_rows(torn, rows)):
            good = self.stage.execute(f"SELECT line FROM ({self._good()})").fetchall()
        doubtful = {torn[index].line: torn[index] for (index,) in good}
        if not doubtful:
            return []
        return [
            Reject(
                line,
                doubtful[line].field,
                f"may be torn: line {doubtful[line].lone}, a lone field, would fit to it",
                shown(doubtful[line].raw),
            )
            for line in self._drop(file, list(doubtful))
        ]

    def _drop(self, file: int, lines: list[int]) -> list[int]:
        """Take back those of some lines that were staged; returns which, in order."""
        dropped = self.stage.execute(
            f"DELETE FROM staged WHERE file = {file} AND line IN"
            f" ({', '.join(map(str, lines))}) RETURNING line"
        ).fetchall()
        return sorted(line for (line,) in dropped)

    def count(self, file: int) -> int:
        """Rows of one file that stand."""
        return _scalar(self.stage, f"SELECT count(*) FROM staged WHERE file = {file}")

    def forget(self, file: int) -> None:
        """Take back all rows of one file."""
        self.stage.execute(f"DELETE FROM staged WHERE file = {file}")

    def repeated(self) -> list[tuple[int, int, str, str]]:
        """Take out rows that share what must be unique: (file, line, field, reason) of each.

        Of wholly equal records the first stays. Where records differ nobody can say which is
        right, so none stays.
        """
        keys = [f"t_{name}" for name in self.contract.unique]
        if keys and all(_is_unique(self.stage, key) for key in keys):
            return []
        everything = ", ".join(self.typed)
        found = _take_out(
            self.stage,
            f"SELECT file, line, min(line) OVER same AS first, row_number() OVER same AS nth"
            f" FROM staged WINDOW same AS (PARTITION BY {everything} ORDER BY file, line)"
            f" QUALIFY nth > 1",
            field=self.contract.unique[0] if self.contract.unique else "",
            reason="the same record as on line {first}",
        )
        for name in self.contract.unique:
            found += _take_out(
                self.stage,
                f"SELECT file, line, min(line) OVER same AS first, count(*) OVER same AS nth"
                f" FROM staged WHERE t_{name} IS NOT NULL"
                f" WINDOW same AS (PARTITION BY t_{name}) QUALIFY nth > 1",
                field=name,
                reason="given in several records that differ",
            )
        return found

    def write(self, file: int, lineage: Lineage, path: Path) -> None:
        """Write one file's rows as Parquet, as they land."""
        landed = ", ".join(f"{sql} AS {name}" for name, sql in self.contract.landed)
        self.stage.execute(
            f"COPY (SELECT {landed}, {lineage.sql()} FROM staged WHERE file = {file})"
            f" TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )

    @contextmanager
    def _delivered(self, table: pa.Table) -> Iterator[None]:
        """Let ``delivered`` be these rows of text for a while."""
        self.stage.register("delivered", table)
        try:
            yield
        finally:
            self.stage.unregister("delivered")

    def _typed_rows(self) -> str:
        typed = ", ".join(f"{column.typed} AS t_{column.name}" for column in self.contract.columns)
        rows = f"SELECT *, {typed} FROM delivered"
        if self.contract.local_time:
            # A chunk's times lie in a handful of years, whatever else stands in that column.
            years = self.stage.execute(
                "SELECT year FROM (SELECT DISTINCT"
                f" substr({self.contract.local_time}, 1, 4) AS year FROM delivered)"
                " WHERE regexp_full_match(year, '19[7-9][0-9]|20[0-9][0-9]')"
            ).fetchall()
            clock = self._clock(self.contract.local_time, [int(year) for (year,) in years])
            rows = f"SELECT *, {clock} FROM ({rows})"
        return rows

    def _good(self) -> str:
        """Query of the rows of ``delivered`` that keep all rules, as ``line`` and ``self.kept``."""
        rules = " AND ".join(
            f"({rule.good})" for column in self.contract.columns for rule in column.rules
        )
        # Materialized: else every rule would cast the text once more.
        return (
            f"WITH typed AS MATERIALIZED ({self._typed_rows()})"
            f" SELECT line, {', '.join(self.kept)} FROM typed WHERE {rules}"
        )

    def _explain(self, rows: CsvRows) -> list[Reject]:
        fields = [_first_broken(column.name, column.rules) for column in self.contract.columns]
        found = self.stage.execute(
            f"SELECT line, list_filter([{', '.join(fields)}], x -> x IS NOT NULL) AS problems"
            f" FROM ({self._typed_rows()}) WHERE len(problems) > 0 ORDER BY line"
        ).fetchall()
        return [
            Reject(line, problems[0]["field"], _all_reasons(problems), shown(rows.lines.line(line)))
            for line, problems in found
        ]

    def _clock(self, column: str, years: Sequence[int]) -> str:
        """Columns that say how the zone's clock stands at the local times of some years."""
        moment = f"t_{column}"
        # Far cheaper than a zoned type: comparisons with a handful of clock changes.
        changes = clock_changes(self.timezone, years)
        if changes:
            offset = (
                "CASE "
                + " ".join(
                    f"WHEN {moment} < TIMESTAMP '{change.ends}' THEN {change.before}"
                    for change in changes
                )
                + f" ELSE {changes[-1].after} END"
            )
        else:
            moment_of_year = datetime(min(years, default=2000), 1, 1)  # noqa: DTZ001
            offset = str(offset_on(self.timezone, moment_of_year))
        return (
            f"CAST({offset} AS INTEGER) AS utc_offset,"
            f" {_within(moment, [c for c in changes if not c.skips])} AS is_ambiguous_local_time,"
            f" {_within(moment, [c for c in changes if c.skips])} AS is_skipped_local_time"
        )


class RecordStage:
    """Rows of a source that is decoded record by record, in its landed schema less the lineage.

    ``record_status`` separates the rows that land in full from those of which at most the key is
    known.
    """

    def __init__(self, stage: duckdb.DuckDBPyConnection, schema: pa.Schema, key: str) -> None:
        import pyarrow as pa

        self.stage = stage
        self.key = key
        self.landed = [name for name in schema.names if not name.startswith("_")]
        self.columns = list(dict.fromkeys([*self.landed, "record_status"]))
        own = [schema.field(name) for name in self.landed if name != "record_status"]
        status, line = pa.field("record_status", pa.string()), pa.field("line", pa.int64())
        self.schema = pa.schema([*own, status, line])
        self.stage.register("arrow_rows", self.schema.empty_table())
        self.stage.execute("CREATE TABLE staged AS SELECT 0 AS file, * FROM arrow_rows")
        self.stage.unregister("arrow_rows")

    def add(self, file: int, rows: list[dict[str, Any]]) -> None:
        """Stage rows; each has every column and its ``line``."""
        import pyarrow as pa

        if rows:
            self.add_table(file, pa.Table.from_pylist(rows, schema=self.schema))

    def add_table(self, file: int, table: pa.Table) -> None:
        """Stage rows by their columns; what a column's name isn't among is NULL."""
        self.stage.register("arrow_rows", table)
        self.stage.execute(f"INSERT INTO staged BY NAME SELECT {file} AS file, * FROM arrow_rows")
        self.stage.unregister("arrow_rows")

    def count(self, file: int) -> int:
        """Rows of one file that stand in full."""
        return _scalar(
            self.stage,
            f"SELECT count(*) FROM staged WHERE file = {file} AND record_status = 'present'",
        )

    def forget(self, file: int) -> None:
        """Take back all rows of one file."""
        self.stage.execute(f"DELETE FROM staged WHERE file = {file}")

    def repeated(self) -> list[tuple[int, int, str, str]]:
        """Take out records that share a key: (file, line, field, reason) of each.

        Of wholly equal records the first stays. Where records differ none stays in full; one row
        says that the key's record is in quarantine.
        """
        if _is_unique(self.stage, self.key):
            return []
        found = _take_out(
            self.stage,
            f"SELECT file, line, min(line) OVER same AS first, row_number() OVER same AS nth"
            f" FROM staged WHERE record_status = 'present'"
            f" WINDOW same AS (PARTITION BY {', '.join(self.columns)} ORDER BY file, line)"
            f" QUALIFY nth > 1",
            field=self.key,
            reason="the same record as number {first}",
        )
        several = (
            f"SELECT (file, line) FROM staged WHERE record_status = 'present' AND {self.key} IN"
            f" (SELECT {self.key} FROM staged WHERE {self.key} IS NOT NULL"
            f" GROUP BY 1 HAVING count(*) > 1)"
        )
        pairs = self.stage.execute(
            f"SELECT file, line FROM staged WHERE (file, line) IN ({several}) ORDER BY ALL"
        ).fetchall()
        nothing = ", ".join(
            f"{name} = NULL" for name in self.columns if name not in (self.key, "record_status")
        )
        self.stage.execute(
            f"UPDATE staged SET record_status = 'quarantined', {nothing}"
            f" WHERE (file, line) IN ({several})"
        )
        self.stage.execute(
            f"DELETE FROM staged WHERE (file, line) IN (SELECT (file, line) FROM staged"
            f" WHERE {self.key} IS NOT NULL"
            f" QUALIFY row_number() OVER (PARTITION BY {self.key} ORDER BY file, line) > 1)"
        )
        reason = "given in several records that differ"
        return found + [(file, line, self.key, reason) for file, line in pairs]

    def keys(self) -> pa.Table:
        """The distinct keys of all staged records."""
        return self.stage.execute(f"SELECT DISTINCT {self.key} FROM staged").to_arrow_table()

    def contradicting_landed(self, landed: pa.Table) -> list[tuple[int, int, dict[str, Any]]]:
        """Take out records that say otherwise than the one of their key in ``landed``."""
        self.stage.register("landed_before", landed)
        differs = " OR ".join(
            f"s.{name} IS DISTINCT FROM b.{name}" for name in self.landed if name != self.key
        )
        found = self._taken_out(
            f"SELECT s.* FROM staged AS s JOIN landed_before AS b USING ({self.key})"
            f" WHERE {differs} ORDER BY file, line"
        )
        self.stage.unregister("landed_before")
        return found

    def contradicting(self) -> list[tuple[int, int, dict[str, Any]]]:
        """Take out records that say otherwise than the first of their key: (file, line, record).

        Equal ones stay: to deliver a record again is no fault.
        """
        if _is_unique(self.stage, self.key):
            return []
        said = ", ".join(f"'{name}': {name}" for name in self.landed if name != self.key)
        return self._taken_out(
            f"SELECT * EXCLUDE (said, first) FROM (SELECT *, {{{said}}} AS said,"
            f" first_value({{{said}}}) OVER (PARTITION BY {self.key} ORDER BY file, line) AS first"
            " FROM staged) WHERE said IS DISTINCT FROM first ORDER BY file, line"
        )

    def _taken_out(self, query: str) -> list[tuple[int, int, dict[str, Any]]]:
        found = self.stage.execute(query).to_arrow_table().to_pylist()
        self.stage.execute(
            f"DELETE FROM staged WHERE (file, line) IN (SELECT (file, line) FROM ({query}))"
        )
        return [
            (row["file"], row["line"], {name: row[name] for name in self.landed}) for row in found
        ]

    def write(self, file: int, lineage: Lineage, path: Path) -> None:
        """Write one file's rows as Parquet, as they land."""
        self.stage.execute(
            f"COPY (SELECT {', '.join(self.landed)}, {lineage.sql()} FROM staged"
            f" WHERE file = {file} ORDER BY line)"
            f" TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )


def _is_unique(stage: duckdb.DuckDBPyConnection, column: str) -> bool:
    """Whether no two staged rows share a value: true nearly always, and cheap to see."""
    return _scalar(stage, f"SELECT count({column}) - count(DISTINCT {column}) FROM staged") == 0


def _take_out(
    stage: duckdb.DuckDBPyConnection, query: str, *, field: str, reason: str
) -> list[tuple[int, int, str, str]]:
    """Delete the rows that ``query`` names and return them with ``reason``."""
    found = stage.execute(f"SELECT file, line, first FROM ({query}) ORDER BY file, line").fetchall()
    if found:
        stage.execute(
            f"DELETE FROM staged WHERE (file, line) IN (SELECT (file, line) FROM ({query}))"
        )
    return [(file, line, field, reason.format(first=first)) for file, line, first in found]


def _first_broken(name: str, rules: Sequence[Any]) -> str:
    whens = " ".join(
        f"WHEN ({rule.good}) IS NOT TRUE"
        f" THEN {{'field': '{name}', 'reason': {literal(rule.reason)}}}"
        for rule in rules
    )
    return f"CASE {whens} END"


def _all_reasons(problems: list[dict[str, str]]) -> str:
    first, *others = problems
    return "; ".join([first["reason"], *(f"{p['field']}: {p['reason']}" for p in others)])


def _within(moment: str, changes: Sequence[ClockChange]) -> str:
    ranges = [
        f"({moment} >= TIMESTAMP '{change.starts}' AND {moment} < TIMESTAMP '{change.ends}')"
        for change in changes
    ]
    return f"coalesce({' OR '.join(ranges)}, false)" if ranges else "false"


def _scalar(stage: duckdb.DuckDBPyConnection, query: str) -> int:
    row = stage.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def literal(text: str) -> str:
    """Text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"
