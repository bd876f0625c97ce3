"""A mart is two files, its SQL and its YAML; this names whichever half is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from discover.build import PROJECT
from lakehouse import catalog

MARTS = PROJECT / "models" / "marts"
UNITS = {"customers", "points", "delinquencies", "CAD", "loans", "transactions", "complaints"}
KEY_TESTS = {"unique", "unique_combination_of_columns"}


def read(name: str, key: str) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = yaml.safe_load((MARTS / name).read_text())[key]
    return content


def name_of(test: str | dict[str, Any]) -> str:
    return test if isinstance(test, str) else next(iter(test))


def missing(names: set[str], models: list[dict[str, Any]], exposed: str) -> list[str]:
    """What the marts of these names lack, one sentence each."""
    described = {model["name"]: model for model in models}
    faults = []
    for name in sorted(names):
        if name not in described:
            faults.append(f"{name}: not described in _marts__models.yml")
            continue
        model = described[name]
        columns = model.get("columns", [])
        tests = {name_of(test) for test in model.get("data_tests", [])}
        for column in columns:
            tests |= {name_of(test) for test in column.get("data_tests", [])}
            faults += [
                f"{name}.{column['name']}: no {part}"
                for part in ("description", "data_type")
                if not column.get(part)
            ]
        if not model.get("description", "").startswith("Grain: one row per "):
            faults.append(f"{name}: its description does not open with the grain")
        if not columns:
            faults.append(f"{name}: no columns, so no contract")
        if not tests & KEY_TESTS:
            faults.append(f"{name}: no test of its key")
        if f"ref('{name}')" not in exposed:
            faults.append(f"{name}: no exposure reads it")
    return faults


@pytest.fixture
def models() -> list[dict[str, Any]]:
    return read("_marts__models.yml", "models")


@pytest.fixture
def exposed() -> str:
    return (MARTS / "_exposures.yml").read_text()


def mart_names() -> set[str]:
    return {file.stem for file in MARTS.glob("*.sql")}


def test_every_mart_has_its_contract_grain_key_and_reader(
    models: list[dict[str, Any]], exposed: str
) -> None:
    assert missing(mart_names(), models, exposed) == []


def test_what_a_mart_lacks_is_named(models: list[dict[str, Any]], exposed: str) -> None:
    half = {"name": "fct_half", "description": "Something.", "columns": [{"name": "a"}]}
    faults = missing({"fct_half", "fct_none"}, [*models, half], exposed)
    assert faults == [
        "fct_half.a: no description",
        "fct_half.a: no data_type",
        "fct_half: its description does not open with the grain",
        "fct_half: no test of its key",
        "fct_half: no exposure reads it",
        "fct_none: not described in _marts__models.yml",
    ]


def test_the_catalog_names_the_marts() -> None:
    assert mart_names() - {"time_spine_daily"} == set(catalog.MARTS)


def test_every_raw_table_is_a_declared_source() -> None:
    declared = {
        f"{source['schema']}.{table['name']}"
        for file in PROJECT.glob("models/staging/*/_*__sources.yml")
        for source in yaml.safe_load(file.read_text())["sources"]
        for table in source["tables"]
    }
    assert declared == {table.identifier for table in catalog.RAW_TABLES}


def test_every_metric_says_what_it_counts_in_which_unit_and_when() -> None:
    times = {"snapshot", "transaction_date", "complaint_date"}
    metrics = {metric["name"]: metric for metric in read("_metrics.yml", "metrics")}
    for metric in metrics.values():
        meta = metric["config"]["meta"]
        assert metric["label"], metric["name"]
        assert metric["description"], metric["name"]
        assert meta["unit"] in UNITS, metric["name"]
        if of := meta.get("history_of"):
            now = metrics[of]["config"]["meta"]
            assert meta == now | {"time": "valid_from_date", "history_of": of, "hidden": True}
        else:
            assert meta["time"] in times, metric["name"]


def test_no_model_asks_which_engine_it_is_on() -> None:
    asking = [
        file.relative_to(PROJECT)
        for file in sorted(Path(PROJECT).glob("models/**/*.sql"))
        if "target." in file.read_text()
    ]
    assert asking == []
