"""Great Expectations, held in one place: quiet, in memory, and without values in its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from expectations.report import KEYS_SHOWN, Check, CheckReport, RowKeys

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Suite:
    """Validates frames and collects the checks. Making one imports Great Expectations (5 s)."""

    def __init__(self) -> None:
        import great_expectations as gx
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )

        self._gx = gx
        self._context = gx.get_context(
            mode="ephemeral",
            project_config=DataContextConfig(
                # Else every context makes a folder outside the home.
                store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
                progress_bars=ProgressBarsConfig(globally=False),
                analytics_enabled=False,
            ),
        )
        self._sources: dict[str, Any] = {}
        self._frames = 0
        self._checks: list[Check] = []
        self._validations: list[Any] = []

    def on_spark(
        self,
        table: str,
        frame: DataFrame,
        expectations: Mapping[str, Any],
        *,
        key: Sequence[str] = (),
        at_fault: Callable[[], DataFrame] | None = None,
    ) -> None:
        """Validate a Spark frame against expectations by name.

        Args:
            table: what the report calls the frame.
            frame: the rows.
            expectations: by the check's name.
            key: columns that tell the rows apart: a check on values names the rows at fault by it.
            at_fault: makes a frame of such keys where a count or a sum is off, which no row is by
                itself. Asked only when a check fails.

        """
        batch, checks = self._validate(self._source("spark"), table, frame, expectations)
        for check in checks:
            keys = None
            if not check.passed and "unexpected" in check.observed:
                keys = self._keys_of(batch, expectations[check.name], key, check)
            elif not check.passed and at_fault is not None:
                keys = _first_keys(at_fault())
            self._checks.append(replace(check, keys=keys))

    def on_pandas(
        self,
        table: str,
        frame: Any,
        expectations: Mapping[str, Any],
        *,
        notes: Mapping[str, str] | None = None,
        keys: Mapping[str, RowKeys | None] | None = None,
    ) -> None:
        """Validate a pandas frame; what is known of a check beside its result, by its name."""
        _, checks = self._validate(self._source("pandas"), table, frame, expectations)
        for check in checks:
            note, rows = (notes or {}).get(check.name, ""), (keys or {}).get(check.name)
            self._checks.append(replace(check, note=note, keys=rows))

    def report(self) -> CheckReport:
        """What all frames together gave."""
        return CheckReport(tuple(self._checks), tuple(self._validations))

    def _source(self, kind: str) -> Any:
        """The data source of one kind of frame, made when first needed.

        A Spark source asks for a session as it is made, and where none runs that starts a JVM.
        """
        if kind not in self._sources:
            add = self._context.data_sources
            self._sources[kind] = (
                # Persisting would cache every frame; the table is read as fast.
                add.add_spark("spark", persist=False)
                if kind == "spark"
                else add.add_pandas("pandas")
            )
        return self._sources[kind]

    def _validate(
        self, source: Any, table: str, frame: Any, expectations: Mapping[str, Any]
    ) -> tuple[Any, list[Check]]:
        self._frames += 1
        asset = source.add_dataframe_asset(f"{table} {self._frames}")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
        for name, expectation in expectations.items():
            # Results come back in an order of their own.
            expectation.meta = {"name": name}
        found = batch.validate(
            self._gx.ExpectationSuite(name=asset.name, expectations=list(expectations.values())),
            result_format={"result_format": "BASIC", "partial_unexpected_count": 0},
        )
        self._validations.append(found)
        by_name = {result.expectation_config.meta["name"]: result for result in found.results}
        number = len(self._validations)
        return batch, [
            Check(name, table, bool(by_name[name].success), _observed(by_name[name]), number)
            for name in expectations
        ]

    def _keys_of(
        self, batch: Any, expectation: Any, key: Sequence[str], check: Check
    ) -> RowKeys | None:
        """The rows that fail an expectation on values, as Great Expectations names them.

        SUMMARY and not COMPLETE, which would fetch every one of them; and without the values, which
        stand beside the keys otherwise.
        """
        if not key:
            return None
        found = batch.validate(
            expectation,
            result_format={
                "result_format": "SUMMARY",
                "partial_unexpected_count": KEYS_SHOWN,
                "unexpected_index_column_names": list(key),
                "exclude_unexpected_values": True,
            },
        )
        # Without values it is one mapping of columns to lists, on Spark, pandas and SQL alike.
        named = (found.result.get("partial_unexpected_index_list") or [{}])[0]
        rows = tuple(zip(*(named.get(name, ()) for name in key), strict=True))
        return RowKeys(tuple(key), rows, int(check.observed["unexpected"])) if rows else None


def _first_keys(at_fault: DataFrame) -> RowKeys | None:
    total = int(at_fault.count())
    rows = at_fault.orderBy(*at_fault.columns).limit(KEYS_SHOWN).collect() if total else []
    return RowKeys(tuple(at_fault.columns), tuple(map(tuple, rows)), total) if total else None


def _observed(result: Any) -> dict[str, Any]:
    """Counts of a result. An exception's text may quote a row, so only the fact is told."""
    if not result.success and not result.result:
        return {"error": "could not be evaluated"}
    names = {"element_count": "rows", "unexpected_count": "unexpected", "observed_value": "found"}
    return {
        name: result.result[theirs]
        for theirs, name in names.items()
        if result.result.get(theirs) is not None
    }
