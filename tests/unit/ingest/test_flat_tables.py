"""Wiring of the flat tables: every source says what its landed rows become."""

from __future__ import annotations

import pytest
from pyspark.errors import AnalysisException

from ingest import flatten
from ingest.flat_table import LINEAGE, FlatTable
from ingest.flatten import FLAT_TABLES
from ingest.raw_tables import iceberg_schema
from ingest.sources import REGISTRY
from lakehouse import catalog
from lakehouse.settings import Settings


def test_every_raw_table_is_made_by_exactly_one_source() -> None:
    assert tuple(flat.table for flat in FLAT_TABLES) == catalog.RAW_TABLES
    assert tuple(REGISTRY) == catalog.SOURCES
    for name, source in REGISTRY.items():
        assert {flat.table.source for flat in source.FLAT_TABLES} == {name}


@pytest.mark.parametrize("flat", FLAT_TABLES, ids=lambda flat: flat.table.identifier)
def test_times_are_plain_and_money_is_decimal(flat: FlatTable) -> None:
    types = {field.name: str(field.field_type) for field in iceberg_schema(flat).fields}
    assert "timestamptz" not in types.values()
    assert "double" not in types.values()
    assert types.get("amount", "decimal(18, 2)") == "decimal(18, 2)"
    assert tuple(types)[-4:] == tuple(LINEAGE)
    assert types["_ingested_at"] == "timestamp"


def test_only_snapshots_are_replaced_and_only_appends_have_a_key() -> None:
    for flat in FLAT_TABLES:
        assert (flat.key is None) == REGISTRY[flat.table.source].SNAPSHOT
        assert flat.key is None or flat.key in flat.columns
        assert flat.month_of is None or flat.columns[flat.month_of] == "timestamp_ntz"


def test_upkeep_that_loses_a_race_leaves_the_rows_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = flatten.FLAT_TABLES[0]

    def conflicts(*_: object) -> None:
        raise AnalysisException("a commit came between\nJVM stacktrace")

    monkeypatch.setattr(flatten, "merge_small_files", conflicts)
    flatten._merge_small_files(Settings(), None, flat)
    said = capsys.readouterr().err
    assert f"{flat.table.identifier}: small files stay for now: a commit came between" in said
    assert "JVM" not in said

    def is_broken(*_: object) -> None:
        raise AttributeError("a fault of ours")

    monkeypatch.setattr(flatten, "merge_small_files", is_broken)
    with pytest.raises(AttributeError):
        flatten._merge_small_files(Settings(), None, flat)
