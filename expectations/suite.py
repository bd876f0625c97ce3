"""Great Expectations, held in one place: quiet, in memory, and without values in its results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from expectations.report import Check, CheckReport

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

    def on_spark(self, table: str, frame: DataFrame, expectations: Mapping[str, Any]) -> None:
        """Validate a Spark frame against expectations by name."""
        self._validate(self._source("spark"), table, frame, expectations)

    def on_pandas(self, table: str, frame: Any, expectations: Mapping[str, Any]) -> None:
        """Validate a pandas frame against expectations by name."""
        self._validate(self._source("pandas"), table, frame, expectations)

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
    ) -> None:
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
        for name in expectations:
            result = by_name[name]
            holds, number = bool(result.success), len(self._validations)
            self._checks.append(Check(name, table, holds, _observed(result), number))


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
