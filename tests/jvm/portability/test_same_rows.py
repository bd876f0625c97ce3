"""Every mart on DuckDB, Trino and Athena's API, of the same raw tables: the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.flatten import flatten
from lakehouse.catalog import HISTORIES, MART_KEYS
from lakehouse.settings import Settings
from tests.jvm.portability import deliveries
from tests.jvm.portability.engines import ENGINES, DuckDb, Engine
from tests.portability.compiled import groupings, metricflow_engine
from tests.portability.rows import Table, differing_columns, differing_rows, figure

DAYS = ("nothing", "first", "second")
WAREHOUSES = tuple(engine.name for engine in ENGINES[1:])


@dataclass(frozen=True)
class Story:
    """Three days on three engines; each goes on with what it built the day before."""

    lake: Settings
    folder: Path
    engines: dict[str, Engine]
    tables: dict[tuple[str, str], dict[str, Table]] = field(default_factory=dict)
    """By day and engine: the marts. ``rebuilt`` is a DuckDB that began anew on the last day."""

    def build(self, day: str, *args: str) -> None:
        """Have all engines build, and remember what they hold."""
        for name, engine in self.engines.items():
            engine.build(*args)
            self.remember(day, engine, name)

    def remember(self, day: str, engine: Engine, name: str) -> None:
        self.tables[day, name] = {mart: engine.table(mart) for mart in engine.columns()}


@pytest.fixture(scope="module")
def story(lake: Settings, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Not begun; each day is a fixture of its own, so that none of them takes too long."""
    folder = tmp_path_factory.mktemp("portability")
    return Story(lake, folder, {engine.name: engine(lake, folder) for engine in ENGINES})


@pytest.fixture(scope="module")
def nothing(story: Story) -> Story:
    """Raw tables without a row."""
    flatten(story.lake)
    story.build("nothing")
    return story


@pytest.fixture(scope="module")
def first(nothing: Story) -> Story:
    """A delivery."""
    deliveries.first(nothing.lake, nothing.folder / "first")
    nothing.build("first", "--exclude", "time_spine_daily")
    return nothing


@pytest.fixture(scope="module")
def second(first: Story) -> Story:
    """Another with all that comes late."""
    deliveries.second(first.lake, first.folder / "second", before=first.folder / "first")
    first.build("second", "--exclude", "time_spine_daily")
    return first


@pytest.fixture(scope="module")
def rebuilt(second: Story) -> Story:
    """DuckDB once more, from nothing."""
    engine = DuckDb(second.lake, second.folder / "rebuilt")
    engine.build()
    second.remember("second", engine, "rebuilt")
    return second


@pytest.mark.parametrize("engine", WAREHOUSES)
@pytest.mark.parametrize("day", DAYS)
def test_every_mart_holds_the_same_rows(
    request: pytest.FixtureRequest, day: str, engine: str
) -> None:
    story: Story = request.getfixturevalue(day)
    ours, theirs = story.tables[day, "duckdb"], story.tables[day, engine]
    assert ours.keys() == theirs.keys() >= MART_KEYS.keys()
    told = {
        mart: differing_columns(ours[mart], theirs[mart], MART_KEYS.get(mart, ("date_day",)))
        for mart in ours
        if differing_rows(ours[mart], theirs[mart])
    }
    assert told == {}


@pytest.mark.parametrize("engine", ["duckdb", *WAREHOUSES])
def test_late_repeated_corrected_and_deleted_is_as_if_built_anew(
    rebuilt: Story, engine: str
) -> None:
    theirs = rebuilt.tables["second", engine]
    # What was known before can't be built anew.
    anew = {
        mart: table
        for mart, table in rebuilt.tables["second", "rebuilt"].items()
        if mart not in HISTORIES
    }
    assert {mart: differing_rows(anew[mart], theirs[mart]) for mart in anew} == dict.fromkeys(
        anew, 0
    )


def test_the_days_are_what_they_say(second: Story) -> None:
    """Else equal rows would be equal for want of rows."""

    def rows(day: str, mart: str) -> list[dict[str, object]]:
        types, found = second.tables[day, "duckdb"][mart]
        return [dict(zip(types, row, strict=True)) for row in found]

    def ids(day: str, mart: str) -> set[object]:
        return {row["customer_id"] for row in rows(day, mart)}

    empty = {mart for mart in MART_KEYS if not rows("nothing", mart)}
    assert empty == MART_KEYS.keys() - {"entitlements"}
    assert 60 in ids("first", "fct_atm_transactions") - ids("first", "dim_customers")
    assert {60, 61} <= ids("second", "dim_customers")
    assert 5 in ids("first", "dim_customers") - ids("second", "dim_customers")
    assert 5 in ids("second", "fct_atm_transactions")
    scores = {row["customer_id"]: row for row in rows("second", "fct_customers")}
    assert scores[1]["credit_score"] == 900
    assert scores[2]["credit_record_status"] == "quarantined"
    # A refused record that names nobody may be 3's.
    assert scores[3]["credit_record_status"] == "unknown"
    transactions = {row["transaction_id"] for row in rows("first", "fct_atm_transactions")}
    added = [
        row
        for row in rows("second", "fct_atm_transactions")
        if row["transaction_id"] not in transactions
    ]
    assert len(added) == len([*deliveries.LATE, *deliveries.NEW, *deliveries.UNKNOWN]) + 3
    assert {"2025-12", "2026-04", "1899-12"} <= {str(row["transaction_date"])[:7] for row in added}


GROUPINGS = (
    "customer__city",
    "customer__credit_band",
    "loan__loan_type",
    "transaction__transaction_type",
    "transaction__transaction_hour",
    "complaint__category",
)


@pytest.fixture(scope="module")
def expected(second: Story) -> dict[tuple[str, str], list[tuple[str | None, ...]]]:
    """DuckDB's figures of the second day: nulls, empty groups and late days included."""
    return _figures(second.engines["duckdb"])


@pytest.mark.parametrize("engine", WAREHOUSES)
def test_every_metric_is_the_same_figure(
    second: Story, expected: dict[tuple[str, str], list[tuple[str | None, ...]]], engine: str
) -> None:
    assert len({metric for metric, _ in expected}) == 25
    assert len(expected) >= 80
    found = _figures(second.engines[engine])
    assert found.keys() == expected.keys()
    assert {query: rows for query, rows in found.items() if rows != expected[query]} == {}


def _figures(engine: Engine) -> dict[tuple[str, str], list[tuple[str | None, ...]]]:
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    metricflow = metricflow_engine(engine.name, engine.semantic_manifest)
    answers = {}
    for metric in sorted(found.name for found in metricflow.list_metrics()):
        known = groupings(metricflow, metric)
        by_name = [[], *([name] for name in GROUPINGS if name in known), ["metric_time__month"]]
        for by in by_name:
            request = MetricFlowQueryRequest.create(
                metric_names=[metric], group_by_names=by or None
            )
            rows = engine.query(metricflow.explain(request).sql_statement.sql)
            answers[metric, ",".join(by)] = sorted(
                (tuple(figure(value) for value in row) for row in rows), key=repr
            )
    return answers
