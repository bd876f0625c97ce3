"""The raw tables before dbt, on Spark frames: is what landed there, all of it, once, and in range?

Keys are checked on a frame of the keys that repeat, and agreement with landing on a frame of the
groups that differ: the engine aggregates once, and the expectation is that nothing is left. Only
what fails is looked at again, for the keys of the rows at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from expectations.report import CheckReport
from expectations.suite import Suite
from lakehouse import catalog, landing
from lakehouse.catalog import RawTable
from lakehouse.complaint import CATEGORIES
from lakehouse.errors import DiscoverError
from lakehouse.landing import Batch
from lakehouse.settings import Settings
from lakehouse.spark import Engine, session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TRANSACTION_TYPES = ("deposit", "withdrawal")

KEYS = {
    catalog.CUSTOMERS: ("customer_id",),
    catalog.CREDIT_PROFILES: ("customer_id",),
    catalog.LOANS: ("customer_id", "loan_number"),
    catalog.TRANSACTIONS: ("transaction_id",),
    catalog.COMPLAINTS: ("feedback_id",),
}
"""What names a row where a check fails; none of it tells who somebody is."""
PLACE = ("_source_file", "_source_row")
"""Where a row was delivered: the key itself may be what is wrong."""


def check_raw(settings: Settings, engine: Engine = "sail") -> CheckReport:
    """Check the raw tables against their contracts and against what landed.

    Raises:
        DiscoverError: the raw tables were never made.
        ServiceUnavailable: the lake does not answer.

    """
    from pyspark.errors import AnalysisException

    landing.require_lake(settings)
    with session(settings, engine) as spark:
        try:
            return check(settings, spark)
        except AnalysisException as error:
            if "TABLE_OR_VIEW_NOT_FOUND" not in str(error):
                raise
            raise DiscoverError(
                "the raw tables are not there yet", "run: discover refresh"
            ) from None


def check(settings: Settings, spark: SparkSession) -> CheckReport:
    """:func:`check_raw` on a session that stands already."""
    raw = _Raw(settings, spark)
    raw.customers()
    raw.credit_profiles()
    raw.loans()
    raw.transactions()
    raw.complaints()
    return raw.suite.report()


class _Raw:
    """One method a table."""

    def __init__(self, settings: Settings, spark: SparkSession) -> None:
        from great_expectations import expectations as gxe

        self.settings = settings
        self.spark = spark
        self.suite = Suite()
        self.gxe: Any = gxe

    def customers(self) -> None:
        table = catalog.CUSTOMERS
        rows = self._table(table)
        batches = self._batches(table)
        self._values(
            table,
            rows,
            {
                **self._not_null("customer_id"),
                "customer_id is positive": self._between("customer_id", 1),
                **self._row_count(batches),
            },
            landed=lambda: self._landed(batches),
        )
        self._unique(table, rows, "customer_id")
        self._unique(table, rows.where("email IS NOT NULL"), "email")

    def credit_profiles(self) -> None:
        table = catalog.CREDIT_PROFILES
        rows = self._table(table)
        present = rows.where("record_status = 'present'")
        settings, batches = self.settings, self._batches(table)

        def landed() -> DataFrame | None:
            records = self._landed(batches)
            return None if records is None else records.where("record_status = 'present'")

        self._values(
            table,
            rows,
            self._in_set("record_status", ("present", "quarantined")),
        )
        self._values(
            table,
            present,
            {
                # A refused record has none of these, and a customer only where it names one.
                **self._not_null("customer_id", "credit_score", "delinquencies"),
                "credit_score is on the scale": self._between(
                    "credit_score", settings.score_minimum, settings.score_maximum
                ),
                "delinquencies is not negative": self._between("delinquencies", 0),
                **self._row_count(batches),
            },
            landed=landed,
        )
        # Several refused records name nobody.
        self._unique(table, present, "customer_id")
        self._totals_agree(table, rows, self._landed(batches), ["record_status"], amount=None)

    def loans(self) -> None:
        from pyspark.sql.functions import posexplode

        table = catalog.LOANS
        rows = self._table(table)
        self._values(
            table,
            rows,
            {
                **self._not_null("customer_id", "loan_number", "loan_type", "amount"),
                **self._in_set("loan_type", self.settings.loan_types),
                "amount is above zero": self._between("amount", 0, strictly=True),
                "loan_number counts from 1": self._between("loan_number", 1),
            },
        )
        self._unique(table, rows, "customer_id", "loan_number")
        landed = self._landed(self._batches(table))
        if landed is not None:
            landed = landed.select(
                "customer_id", posexplode("outstanding_loans").alias("position", "loan")
            ).selectExpr(
                "customer_id",
                "CAST(position + 1 AS INT) AS loan_number",
                "loan.type AS loan_type",
                "loan.amount AS amount",
            )
        self._totals_agree(table, rows, landed, ["loan_type"])

    def transactions(self) -> None:
        from pyspark.sql.functions import col

        table = catalog.TRANSACTIONS
        rows = self._table(table)
        self._values(
            table,
            rows,
            {
                **self._not_null("transaction_id", "customer_id", "atm_id", "amount"),
                **self._not_null("transacted_at_local", "transacted_at_utc", "transaction_date"),
                **self._in_set("transaction_type", TRANSACTION_TYPES),
                "amount is above zero": self._between("amount", 0, strictly=True),
                "transaction_hour is an hour": self._between("transaction_hour", 0, 23),
                "transaction_weekday is a weekday": self._between("transaction_weekday", 1, 7),
            },
        )
        self._unique(table, rows, "transaction_id")
        whole, overlapping = self._told_apart(rows, self._batches(table))
        mine = col("_batch_id").isin([batch.batch_id for batch in overlapping])
        self._totals_agree(
            table,
            rows.where(~mine) if overlapping else rows,
            self._landed(whole),
            ["transaction_type"],
            month_of="transaction_date",
        )
        landed = self._landed(overlapping)
        if landed is not None:
            fields = ["transaction_id", "transaction_type", "transaction_date", "amount"]
            landed, standing = landed.select(*fields), rows.select(*fields)
            missing = landed.join(standing, on=fields, how="left_anti")
            self._none_left(
                table,
                missing,
                "all of an overlapping delivery stands",
                lambda: missing.select("transaction_id"),
            )
            invented = rows.where(mine).select(*fields).join(landed, on=fields, how="left_anti")
            self._none_left(
                table,
                invented,
                "nothing but what an overlapping delivery brought",
                lambda: invented.select("transaction_id"),
            )

    def complaints(self) -> None:
        table = catalog.COMPLAINTS
        rows = self._table(table)
        self._values(
            table,
            rows,
            {
                **self._not_null("feedback_id", "category", "description"),
                **self._in_set("category", CATEGORIES),
            },
        )
        self._unique(table, rows, "feedback_id")
        landed = self._landed(self._batches(table))
        if landed is not None:
            # A complaint that was sent twice landed twice; the first one counts.
            landed = landed.select("feedback_id").distinct()
        self._totals_agree(table, rows, landed, [], amount=None)

    def _table(self, table: RawTable) -> DataFrame:
        return self.spark.table(f"{catalog.TABLE_BUCKET}.{table.identifier}")

    def _batches(self, table: RawTable) -> list[Batch]:
        """The batches whose rows the table must hold: the flattened ones, of snapshots the last."""
        flattened = landing.flattened_batch_ids(self.settings, table.source)
        batches = [
            batch
            for batch in landing.batches(self.settings, table.source)
            if batch.batch_id in flattened
        ]
        return batches[-1:] if batches and batches[-1].snapshot else batches

    def _landed(self, batches: Sequence[Batch]) -> DataFrame | None:
        urls = [landing.url(key) for batch in batches for key in batch.objects]
        return self.spark.read.parquet(*urls) if urls else None

    def _told_apart(
        self, rows: DataFrame, batches: Sequence[Batch]
    ) -> tuple[list[Batch], list[Batch]]:
        """Batches that stand row for row, and those of which some rows had been delivered before.

        Sums of the first can be compared as they are; rows of the second one by one.
        """
        counted = {
            row["_batch_id"]: row["count"] for row in rows.groupBy("_batch_id").count().collect()
        }
        whole: list[Batch] = []
        overlapping: list[Batch] = []
        for batch in batches:
            stands_whole = counted.get(batch.batch_id, 0) == _landed_rows([batch])
            (whole if stands_whole else overlapping).append(batch)
        return whole, overlapping

    def _values(
        self,
        table: RawTable,
        rows: DataFrame,
        expectations: dict[str, Any],
        *,
        landed: Callable[[], DataFrame | None] = lambda: None,
    ) -> None:
        """Expect something of each row; ``landed`` makes the rows that a count must agree with."""
        self.suite.on_spark(
            table.identifier,
            rows,
            expectations,
            key=(*KEYS[table], *PLACE),
            at_fault=lambda: self._on_one_side(table, rows, landed(), ()),
        )

    def _unique(self, table: RawTable, rows: DataFrame, *key: str) -> None:
        repeated = rows.groupBy(*key).count().where("count > 1")

        def at_fault() -> DataFrame:
            from pyspark.sql.functions import expr

            # Under names of their own: to Apache Spark both sides have the same columns.
            keys = repeated.selectExpr(*(f"{name} AS repeated_{name}" for name in key))
            same = expr(" AND ".join(f"{name} <=> repeated_{name}" for name in key))
            return rows.join(keys, on=same, how="left_semi").select(*KEYS[table], *PLACE)

        self._none_left(table, repeated, f"{', '.join(key)} is unique", at_fault)

    def _on_one_side(
        self, table: RawTable, rows: DataFrame, landed: DataFrame | None, fields: Sequence[str]
    ) -> DataFrame:
        """Keys of the rows that landed and aren't here, or are here otherwise than they landed."""
        from pyspark.sql.functions import lit
        from pyspark.sql.functions import sum as total

        key = KEYS[table]
        names = tuple(dict.fromkeys((*key, *fields)))
        both = rows.select(*names, lit(-1).alias("side"))
        if landed is not None:
            both = both.unionByName(landed.select(*names, lit(1).alias("side")))
        # By groups and not by a join: NULLs are equal, and of twins one may be missing.
        left = both.groupBy(*names).agg(total("side").alias("left")).where("left <> 0")
        what = "CASE WHEN left > 0 THEN 'missing' ELSE 'not as landed' END AS fault"
        return left.selectExpr(*key, what)

    def _totals_agree(
        self,
        table: RawTable,
        rows: DataFrame,
        landed: DataFrame | None,
        groups: list[str],
        *,
        amount: str | None = "amount",
        month_of: str | None = None,
    ) -> None:
        """Expect equal counts (and sums of ``amount``) on both sides, by group and month."""
        from pyspark.sql.functions import col, count, lit, trunc
        from pyspark.sql.functions import sum as total

        def totals(frame: DataFrame, side: str) -> DataFrame:
            by = [col(name) for name in groups]
            if month_of:
                by.append(trunc(month_of, "month").alias("month"))
            value = total(amount) if amount else lit(0)
            return frame.groupBy(*by, lit(1).alias("all")).agg(
                count(lit(1)).alias(f"{side}_rows"), value.alias(f"{side}_amount")
            )

        keys = [*groups, *(["month"] if month_of else []), "all"]
        here = totals(rows, "raw")
        there = totals(rows.limit(0) if landed is None else landed, "landed")
        differing = here.join(there, on=keys, how="full_outer").where(
            "NOT (raw_rows <=> landed_rows AND raw_amount <=> landed_amount)"
        )
        by = f" by {', '.join(keys[:-1])}" if keys[:-1] else ""
        what = "counts and sums" if amount else "counts"
        fields = [*groups, *([month_of] if month_of else []), *([amount] if amount else [])]
        self._none_left(
            table,
            differing,
            f"{what}{by} agree with what landed",
            lambda: self._on_one_side(table, rows, landed, fields),
        )

    def _none_left(
        self,
        table: RawTable,
        offenders: DataFrame,
        name: str,
        at_fault: Callable[[], DataFrame],
    ) -> None:
        self.suite.on_spark(
            table.identifier,
            offenders,
            {name: self.gxe.ExpectTableRowCountToEqual(value=0)},
            at_fault=at_fault,
        )

    def _not_null(self, *columns: str) -> dict[str, Any]:
        return {
            f"{column} is never null": self.gxe.ExpectColumnValuesToNotBeNull(column=column)
            for column in columns
        }

    def _in_set(self, column: str, values: Sequence[str]) -> dict[str, Any]:
        expectation = self.gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values))
        return {f"{column} is known": expectation}

    def _between(
        self, column: str, minimum: int, maximum: int | None = None, *, strictly: bool = False
    ) -> Any:
        return self.gxe.ExpectColumnValuesToBeBetween(
            column=column, min_value=minimum, max_value=maximum, strict_min=strictly
        )

    def _row_count(self, batches: Sequence[Batch]) -> dict[str, Any]:
        expectation = self.gxe.ExpectTableRowCountToEqual(value=_landed_rows(batches))
        return {"rows agree with what landed": expectation}


def _landed_rows(batches: Sequence[Batch]) -> int:
    return sum(file.landed for batch in batches for file in batch.files)
