"""Where the rows of a source that appends go: each part of a file becomes Parquet at once.

No row has to wait for the last one, so memory stays bounded whatever the file's size. One part is
written while the next is read. Only which row is the how-many-th of equal ones may be known late: a
file whose equal rows lie far apart is gone through once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from ingest.csv_lines import CsvRows
from ingest.frame import Array
from ingest.plain_rows import split_rows
from ingest.rejects import Reject
from ingest.row_hashes import RowHashes
from ingest.sources.contract import CsvContract
from ingest.stage import CsvStage, Lineage, literal
from lakehouse.landing import PARQUET_OPTIONS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS_AT_ONCE = 300_000


class AppendStage(CsvStage):
    """Rows of a CSV source that appends, under the landed ``schema``.

    ``lineage_of`` tells the lineage of a file by its number; its Parquet stands in ``folder``.
    """

    def __init__(
        self,
        stage: duckdb.DuckDBPyConnection,
        contract: CsvContract,
        timezone: str,
        *,
        schema: pa.Schema,
        folder: Path,
        lineage_of: Callable[[int], Lineage],
    ) -> None:
        super().__init__(stage, contract, timezone)
        self.kept = [*self.typed, f"{contract.normal} AS normal"]
        self.schema = _encoded(schema, contract)
        self.folder = folder
        self.lineage_of = lineage_of
        self.files: dict[int, _LandedFile] = {}
        self.pool = ThreadPoolExecutor(1)
        # Only for the thread that writes: two threads can't share one.
        self.writing = stage.cursor()
        self.writing.execute("SET TimeZone = 'UTC'")

    def close(self) -> None:
        """Wait for what is being written."""
        self.pool.shutdown(cancel_futures=True)
        self.writing.close()

    def count(self, file: int) -> int:
        """Rows of one file that stand."""
        return self._file(file).count()

    def forget(self, file: int) -> None:
        """Take back all rows of one file."""
        self._file(file).discard()
        del self.files[file]

    def repeated(self) -> list[tuple[int, int, str, str]]:
        """Equal rows of a source that appends are twins, and stay."""
        return []

    def write(self, file: int, lineage: Lineage, path: Path) -> None:
        """Bring one file's rows to ``path`` as Parquet, as they land."""
        del lineage  # It was written with the rows.
        landed = self._file(file)
        landed.flush()
        landed.close()
        apart = landed.hashes.repeated()
        if len(apart):
            self._number_again(landed, apart)
        if landed.path != path:
            landed.path.replace(path)

    def _open(self) -> None:
        """There is no table: rows go to files."""

    def _take(self, file: int, rows: CsvRows) -> tuple[int, list[Reject]]:
        import pyarrow as pa

        rejects: list[Reject] = []
        typed, others = split_rows(rows.table, self.contract, self.timezone)
        if others.num_rows or typed is None:
            with self._delivered(others):
                good = self.stage.execute(self._good()).to_arrow_table()
                if good.num_rows < others.num_rows:
                    rejects = self._explain(rows)
            if typed is None:
                typed = good
            elif good.num_rows:
                good = good.select(typed.column_names).cast(typed.schema)
                typed = pa.concat_tables([typed, good]).sort_by("line")
        self._file(file).add(typed)
        return typed.num_rows, rejects

    def _drop(self, file: int, lines: list[int]) -> list[int]:
        # A doubtful row stands beside a bad one: in this part of the file, or the one before.
        return self._file(file).drop(lines)

    def _file(self, number: int) -> _LandedFile:
        if number not in self.files:
            self.files[number] = _LandedFile(self, number)
        return self.files[number]

    def landed(self, typed: pa.Table, lineage: Lineage) -> tuple[pa.Table, Array]:
        """Rows as they land, and the hashes of their normal forms, each once.

        Twins are told apart among these rows only.
        """
        found = self._computed(typed.append_column("occurrence", [_ones(typed.num_rows)]))
        hashes = found["hash"].to_numpy()
        once = np.unique(hashes)
        if len(once) < len(hashes):
            found = self._with_twins(found, _numbered(typed, hashes))
        same = {name: typed[sql] for name, sql in self.contract.landed if sql in self.typed}
        same["_source_row"] = typed["line"]
        columns = {name: found[name] for name in found.column_names} | same
        return _with_lineage(columns, typed.num_rows, lineage, self.schema), once

    def _computed(self, typed: pa.Table) -> pa.Table:
        """The landed columns that are more than a typed one, and ``hash``, that of ``normal``."""
        self.writing.register("typed", typed)
        clock = ""
        if self.contract.local_time:
            clock = ", " + self._clock(self.contract.local_time, self._years())
        columns = [
            f"{sql} AS {name}" for name, sql in self.contract.landed if sql not in self.typed
        ]
        found = self.writing.execute(
            f"SELECT {', '.join(columns)}, hash(normal) AS hash FROM (SELECT *{clock} FROM typed)"
        ).to_arrow_table()
        self.writing.unregister("typed")
        return found

    def _with_twins(self, found: pa.Table, numbered: pa.Table) -> pa.Table:
        """Computed columns with those of the rows that aren't the first of equal ones set right."""
        import pyarrow as pa
        from pyarrow import compute

        later = pa.array(numbered["occurrence"].to_numpy() > 1)
        twins = self._computed(numbered.filter(later))
        for name in self.contract.numbered:
            column = found[name].combine_chunks()
            column = compute.replace_with_mask(column, later, twins[name].combine_chunks())
            found = found.set_column(found.column_names.index(name), name, column)
        return found

    def _years(self) -> list[int]:
        """First and last year of the typed rows, as far as zones are defined."""
        bounds = self.writing.execute(
            "SELECT min(year), max(year)"
            f" FROM (SELECT year(t_{self.contract.local_time}) AS year FROM typed)"
            " WHERE year BETWEEN 1970 AND 2099"
        ).fetchone()
        return [bound for bound in bounds or () if bound is not None]

    def _number_again(self, file: _LandedFile, apart: Array) -> None:
        """Tell apart twins that lie in different parts of a file."""
        import pyarrow as pa

        normal = f"concat_ws('|', {', '.join(sql for _, sql in self.contract.rows)})"
        source = f"read_parquet({literal(str(file.path))})"
        self.stage.register("apart", pa.table({"hash": apart}))
        self.stage.execute(
            f"CREATE OR REPLACE TEMP TABLE numbered AS SELECT line, normal,"
            f" row_number() OVER (PARTITION BY normal ORDER BY line) AS occurrence"
            f" FROM (SELECT _source_row AS line, {normal} AS normal FROM {source})"
            f" WHERE hash(normal) IN (SELECT hash FROM apart)"
        )
        self.stage.unregister("apart")
        sql = dict(self.contract.landed)
        replaced = ", ".join(
            f"CASE WHEN line IS NULL THEN {name} ELSE {sql[name]} END AS {name}"
            for name in self.contract.numbered
        )
        rows = self.stage.execute(
            f"SELECT rows.* REPLACE ({replaced})"
            f" FROM {source} AS rows LEFT JOIN numbered ON line = _source_row"
        )
        aside = file.path.with_suffix(".numbered")
        with _parquet_writer(aside, self.schema) as writer:
            for batch in rows.to_arrow_reader(_ROWS_AT_ONCE):
                writer.write_table(pa.Table.from_batches([batch]).cast(self.schema))
        aside.replace(file.path)


class _LandedFile:
    """The Parquet of one file as it grows. The newest parts wait: they may lose doubtful rows."""

    def __init__(self, stage: AppendStage, number: int) -> None:
        self.stage = stage
        self.lineage = stage.lineage_of(number)
        self.path = stage.folder / f"{number}.parquet"
        self.hashes = RowHashes(stage.folder / f"{number}.hashes")
        self.written = 0
        self.parts: list[pa.Table] = []
        self._busy: Future[None] | None = None
        self._writer: pq.ParquetWriter | None = None

    def add(self, typed: pa.Table) -> None:
        """Take the next part's rows; write the one before the last."""
        if len(self.parts) > 1:
            self._wait()
            self._busy = self.stage.pool.submit(self._write, self.parts.pop(0))
        self.parts.append(typed)

    def drop(self, lines: list[int]) -> list[int]:
        """Take back those of some lines that aren't written yet; returns which, in order."""
        import pyarrow as pa

        dropped: list[int] = []
        for index, part in enumerate(self.parts):
            gone = np.isin(part["line"].to_numpy(), lines)
            dropped += part["line"].to_numpy()[gone].tolist()
            if gone.any():
                self.parts[index] = part.filter(pa.array(~gone))
        return sorted(dropped)

    def count(self) -> int:
        """Rows taken so far."""
        self._wait()
        waiting: int = sum(part.num_rows for part in self.parts)
        return self.written + waiting

    def flush(self) -> None:
        """Write what waits."""
        self._wait()
        while self.parts:
            self._write(self.parts.pop(0))

    def close(self) -> None:
        """End the Parquet file; one without rows is a file all the same."""
        self._open().close()

    def discard(self) -> None:
        """Leave nothing of it."""
        self._wait()
        self.parts.clear()
        if self._writer:
            self._writer.close()
        self.path.unlink(missing_ok=True)
        self.hashes.discard()

    def _wait(self) -> None:
        if self._busy:
            self._busy.result()
            self._busy = None

    def _write(self, typed: pa.Table) -> None:
        if not typed.num_rows:
            return
        rows, hashes = self.stage.landed(typed, self.lineage)
        self._open().write_table(rows)
        self.hashes.add(hashes)
        self.written += rows.num_rows

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = _parquet_writer(self.path, self.stage.schema)
        return self._writer


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Writer of landed rows: numbers and times as differences, what an array codes by code.

    Nothing but flattening reads these, whole: no statistics, and no search for repeated values.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    deltas = {
        field.name: "DELTA_BINARY_PACKED"
        for field in schema
        if pa.types.is_integer(field.type) or pa.types.is_timestamp(field.type)
    }
    # Without Arrow's own schema: what is coded here is plain text to every reader.
    return pq.ParquetWriter(
        path,
        schema,
        use_dictionary=[field.name for field in schema if pa.types.is_dictionary(field.type)],
        column_encoding=deltas,
        store_schema=False,
        write_statistics=False,
        **PARQUET_OPTIONS,
    )


def _numbered(typed: pa.Table, hashes: Array) -> pa.Table:
    """The rows with their ``occurrence`` among themselves, from 1."""
    import pyarrow as pa

    occurrence = _ones(typed.num_rows)
    values, counts = np.unique(hashes, return_counts=True)
    candidates = np.flatnonzero(np.isin(hashes, values[counts > 1]))
    seen: Counter[str] = Counter()
    for row, normal in zip(
        candidates.tolist(), typed["normal"].take(candidates).to_pylist(), strict=True
    ):
        seen[normal] += 1
        occurrence[row] = seen[normal]
    return typed.append_column("occurrence", pa.array(occurrence))


def _with_lineage(
    found: dict[str, pa.ChunkedArray], count: int, lineage: Lineage, schema: pa.Schema
) -> pa.Table:
    """``count`` rows of the columns ``found`` and the lineage, as ``schema`` says."""
    import pyarrow as pa

    same = {
        "_source_file": lineage.file,
        "_batch_id": lineage.batch_id,
        "_ingested_at": lineage.ingested_at,
    }
    columns: list[Any] = []
    for field in schema:
        if field.name not in same:
            column = found[field.name]
            is_coded = pa.types.is_dictionary(field.type)
            columns.append(column.dictionary_encode() if is_coded else column.cast(field.type))
        elif pa.types.is_dictionary(field.type):
            codes = pa.array(np.zeros(count, dtype=np.int32))
            columns.append(pa.DictionaryArray.from_arrays(codes, [same[field.name]]))
        else:
            columns.append(pa.repeat(pa.scalar(same[field.name], field.type), count))
    return pa.table(columns, schema=schema)


def _ones(count: int) -> Array:
    return np.ones(count, dtype=np.int32)


def _encoded(schema: pa.Schema, contract: CsvContract) -> pa.Schema:
    """The schema with text that is one of a few words, or the same in all of a file, as codes."""
    import pyarrow as pa

    code = pa.dictionary(pa.int32(), pa.string())
    words = {
        f"t_{column.name}" for column in contract.columns if column.plain and column.plain.words
    }
    few = {name for name, sql in contract.landed if sql in words}
    return pa.schema(
        field.with_type(code)
        if pa.types.is_string(field.type) and (field.name in few or field.name.startswith("_"))
        else field
        for field in schema
    )
