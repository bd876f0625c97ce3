"""Landed Parquet becomes Iceberg tables. PySpark, one code for Sail and Apache Spark.

A batch is pending until its marker stands, and the marker is written after the commit: a run that
died half-way is done again, and doing it again changes nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from operator import or_
from typing import TYPE_CHECKING

from ingest.flat_table import FlatTable
from ingest.raw_tables import ensure_tables
from ingest.sources import REGISTRY
from ingest.table_upkeep import merge_small_files, tidy
from lakehouse import landing
from lakehouse.catalog import SOURCES, TABLE_BUCKET
from lakehouse.console import note
from lakehouse.landing import Batch
from lakehouse.settings import Settings
from lakehouse.spark import Engine, session

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

FLAT_TABLES: tuple[FlatTable, ...] = tuple(
    flat for source in REGISTRY.values() for flat in source.FLAT_TABLES
)


@dataclass(frozen=True)
class FlattenedTable:
    """What one run did to one table."""

    table: str
    """``namespace.name``."""
    rows_in: int
    """Landed rows (customers, credit records, transactions, complaints) that were pending."""
    rows_out: int
    """Rows that this run put into the table."""
    changed: bool


def flatten(settings: Settings, engine: Engine = "sail") -> list[FlattenedTable]:
    """Bring every pending batch into the raw tables; without one, no Spark is started.

    All tables stand afterwards, empty where nothing was ever landed, so that dbt finds its sources.

    Raises:
        ServiceUnavailable: the lake does not answer.
        UsageError: the engine is not one of the two.

    """
    landing.require_lake(settings)
    pending = {source: pending_batches(settings, source) for source in SOURCES}
    ensure_tables(settings, FLAT_TABLES)
    if not any(pending.values()):
        return [FlattenedTable(flat.table.identifier, 0, 0, False) for flat in FLAT_TABLES]
    with session(settings, engine) as spark:
        done = [write(spark, flat, pending[flat.table.source]) for flat in FLAT_TABLES]
        for flat, table in zip(FLAT_TABLES, done, strict=True):
            if table.changed:
                _merge_small_files(settings, spark, flat)
    for batches in pending.values():
        for batch in batches:
            landing.mark_flattened(settings, batch)
    tidy(settings, [table.table for table in done if table.changed])
    return done


def _merge_small_files(settings: Settings, spark: SparkSession, flat: FlatTable) -> None:
    """Upkeep that may fail: the rows stand, and the next run tries again."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        merge_small_files(settings, spark, flat)
    except (PySparkException, Py4JError) as error:
        note(f"{flat.table.identifier}: small files stay for now: {str(error).splitlines()[0]}")


def pending_batches(settings: Settings, source: str) -> list[Batch]:
    """Batches that the raw tables do not hold yet, oldest first; of snapshots the newest alone."""
    ids = landing.batch_ids(settings, source)
    if REGISTRY[source].SNAPSHOT:
        ids = ids[-1:]
    flattened = landing.flattened_batch_ids(settings, source)
    return [
        landing.read_batch(settings, source, batch_id)
        for batch_id in ids
        if batch_id not in flattened
    ]


def write(spark: SparkSession, flat: FlatTable, batches: Sequence[Batch]) -> FlattenedTable:
    """Write one table's pending batches in one commit; twice is the same as once."""
    name = f"{TABLE_BUCKET}.{flat.table.identifier}"
    if not batches:
        return FlattenedTable(flat.table.identifier, 0, 0, False)
    files = [file for batch in batches for file in batch.files]
    rows = flat.flatten(read_landed(spark, flat.table.source, batches))
    before = _count(spark, name)
    replaced = False
    if flat.key is None:
        _replace(name, rows)
    elif before == 0 and flat.unique_in_file and sum(bool(file.object) for file in files) == 1:
        rows.writeTo(name).append()
    else:
        replaced = bool(before and flat.first_by) and _replace_later(spark, name, flat, rows)
        _append_unknown(spark, name, flat, flat.key, rows, empty=before == 0)
    after = _count(spark, name)
    return FlattenedTable(
        table=flat.table.identifier,
        rows_in=sum(file.landed for file in files),
        rows_out=after if flat.key is None else after - before,
        changed=(before > 0 or after > 0) if flat.key is None else after > before or replaced,
    )


def read_landed(spark: SparkSession, source: str, batches: Sequence[Batch]) -> DataFrame:
    """The batches' Parquet, under the schema that landing wrote it with."""
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = from_arrow_schema(REGISTRY[source].schema(), prefer_timestamp_ntz=True)
    urls = [landing.url(key) for batch in batches for key in batch.objects]
    if not urls:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).parquet(*urls)


def _count(spark: SparkSession, name: str) -> int:
    # Spark Connect answers with numpy's integers, which JSON does not know.
    return int(spark.table(name).count())


def _replace(name: str, rows: DataFrame) -> None:
    from pyspark.sql.functions import lit

    # overwrite(true) and not overwritePartitions: an empty snapshot must empty the table.
    rows.writeTo(name).overwrite(lit(True))


def _append_unknown(
    spark: SparkSession, name: str, flat: FlatTable, key: str, rows: DataFrame, *, empty: bool
) -> None:
    """Append the rows whose key the table does not hold; of equal keys the first landed.

    One append is one commit, and an anti-join rewrites no file, which a MERGE does on some engines.
    """
    new = _first_of_each(rows, key)
    if not empty:
        standing = spark.table(name)
        if flat.month_of:
            standing = standing.where(_where_they_can_stand(rows, flat.month_of))
        new = new.join(standing.select(key), on=key, how="left_anti").select(rows.columns)
        # An append of nothing would still be a snapshot, and look like a change.
        if new.isEmpty():
            return
    new.writeTo(name).append()


def _replace_later(spark: SparkSession, name: str, flat: FlatTable, rows: DataFrame) -> bool:
    """Replace standing rows of which an earlier one, that says otherwise, has landed only now."""
    from pyspark.sql.functions import col, struct

    key = flat.key or ""
    fields = [field for field in flat.columns if field != key]
    first = _first_of_each(rows, key)
    standing = spark.table(name).select(
        col(key),
        struct(*flat.first_by).alias("_order"),
        struct(*fields).alias("_says"),
    )
    earlier = (
        first.join(standing, on=key, how="inner")
        .where(struct(*flat.first_by) < col("_order"))
        .where(~struct(*fields).eqNullSafe(col("_says")))
        .select(rows.columns)
    )
    # A MERGE of nothing would still be a snapshot, and look like a change.
    if earlier.isEmpty():
        return False
    earlier.createOrReplaceTempView("earlier")
    spark.sql(
        f"MERGE INTO {name} AS standing USING earlier ON standing.{key} = earlier.{key}"
        " WHEN MATCHED THEN UPDATE SET *"
    )
    return True


def _first_of_each(rows: DataFrame, key: str) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql.functions import col, row_number

    order = Window.partitionBy(key).orderBy(
        "_ingested_at", "_batch_id", "_source_file", "_source_row"
    )
    ranked = rows.withColumn("_rank", row_number().over(order))
    return ranked.where(col("_rank") == 1).select(rows.columns)


def _where_they_can_stand(rows: DataFrame, column: str) -> Column:
    """Condition that prunes a table to the months that these rows can meet."""
    from pyspark.sql import functions

    # As text: a Python datetime would become a zoned literal, and the cast would stop the pruning.
    bounds = rows.agg(
        functions.min(column).cast("string").alias("first"),
        functions.max(column).cast("string").alias("last"),
        functions.max(functions.col(column).isNull()).alias("some_without"),
    ).collect()[0]
    conditions = []
    if bounds["first"] is not None:
        first, last = (
            functions.lit(bounds[name]).cast("timestamp_ntz") for name in ("first", "last")
        )
        conditions.append(functions.col(column).between(first, last))
    if bounds["some_without"]:
        conditions.append(functions.col(column).isNull())
    # Without rows there is nothing to meet.
    return functools.reduce(or_, conditions) if conditions else functions.lit(False)
