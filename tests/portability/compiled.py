"""The project's SQL as dbt and MetricFlow write it for an engine that isn't there."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from discover.build import PROJECT
from tests.portability.dialect import Columns

_OF_A_SNAPSHOT = {
    "dbt_scd_id": "varchar",
    "dbt_updated_at": "timestamp",
    "dbt_valid_from": "timestamp",
    "dbt_valid_to": "timestamp",
}
_ADAPTERS = {"trino": "TrinoAdapter", "athena": "AthenaAdapter"}


@dataclass(frozen=True)
class Statement:
    """One rendered query. ``name`` says where it comes from."""

    name: str
    sql: str


@dataclass(frozen=True)
class Project:
    """What dbt made of the project for one engine."""

    statements: list[Statement]
    columns: Columns
    semantic_manifest: Path


def compiled(
    engine: str, target_path: Path, *, project: Path = PROJECT, select: Sequence[str] = ()
) -> Project:
    """Models and tests; an incremental model as its first build and as a later one.

    Args:
        engine: target of the profile, ``trino`` or ``athena``.
        target_path: folder for dbt's output.
        project: the dbt project.
        select: dbt's selection; empty is everything.

    Raises:
        RuntimeError: dbt could not compile; its words.

    """
    later = _compile(
        engine, target_path, project, ["--select", *select] if select else [], stored=True
    )
    first = _compile(
        engine,
        target_path,
        project,
        ["--select", *(select or ["config.materialized:incremental"])],
        stored=False,
    )
    statements: dict[str, Statement] = {}
    for suffix, results in (("", later), (" (first build)", first)):
        known = {statement.sql for statement in statements.values()}
        for result in results:
            node = result.node
            if (
                node.resource_type in {"model", "snapshot", "test"}
                and node.compiled_code not in known
            ):
                name = f"{node.original_file_path}: {node.name}{suffix}"
                statements[name] = Statement(name, node.compiled_code)
    manifest = json.loads((target_path / "manifest.json").read_text())
    return Project(
        list(statements.values()), _columns(manifest), target_path / "semantic_manifest.json"
    )


def metric_queries(engine: str, semantic_manifest: Path) -> Iterator[Statement]:
    """MetricFlow's query of each metric: its total, and by all of its dimensions at once."""
    from metricflow.engine.metricflow_engine import MetricFlowQueryRequest

    metricflow = metricflow_engine(engine, semantic_manifest)
    manifest = json.loads(semantic_manifest.read_text())
    for metric in [found["name"] for found in manifest["metrics"]]:
        for by in (None, groupings(metricflow, metric)):
            request = MetricFlowQueryRequest.create(metric_names=[metric], group_by_names=by)
            sql = metricflow.explain(request).sql_statement.sql
            yield Statement(f"metric {metric}{' by all' if by else ''}", sql)


def groupings(metricflow: Any, metric: str) -> list[str]:
    """Names of a metric's dimensions, as a query writes them."""
    found = metricflow.simple_dimensions_for_metrics([metric])
    return sorted({dimension.granularity_free_dunder_name for dimension in found})


def metricflow_engine(engine: str, semantic_manifest: Path) -> Any:
    """MetricFlow as a renderer for one engine: ``duckdb``, ``trino`` or ``athena``."""
    from metricflow.protocols.sql_client import SqlEngine
    from metricflow.sql.render.athena import AthenaSqlPlanRenderer
    from metricflow.sql.render.trino import TrinoSqlPlanRenderer

    from chat import metricflow

    class Trino(metricflow.NoConnection):
        sql_engine_type = SqlEngine.TRINO
        sql_plan_renderer = TrinoSqlPlanRenderer()

    class Athena(metricflow.NoConnection):
        sql_engine_type = SqlEngine.ATHENA
        sql_plan_renderer = AthenaSqlPlanRenderer()

    dialects = {"duckdb": metricflow.NoConnection, "trino": Trino, "athena": Athena}
    return metricflow.engine(semantic_manifest, dialects[engine])


def _compile(
    engine: str, target_path: Path, project: Path, args: Sequence[str], *, stored: bool
) -> list[Any]:
    from dbt.cli.main import dbtRunner

    command = [
        *("--quiet", "--log-level", "none", "--log-level-file", "none", "compile"),
        *("--no-introspect", "--no-populate-cache", "--threads", "1"),
        *("--target", engine, "--target-path", str(target_path), "--log-path", str(target_path)),
        *("--project-dir", str(project), "--profiles-dir", str(project)),
        *args,
    ]
    with _no_server(engine, stored=stored):
        outcome = dbtRunner().invoke(command)
    if not outcome.success:
        raise RuntimeError(
            f"dbt compile --target {engine}: {outcome.exception or _failed(outcome)}"
        )
    return list(outcome.result.results)


def _failed(outcome: Any) -> str:
    return "; ".join(
        f"{result.node.name}: {result.message}"
        for result in outcome.result.results
        if str(result.status) != "success"
    )


@contextlib.contextmanager
def _no_server(engine: str, *, stored: bool) -> Iterator[None]:
    """Answer what compiling asks the warehouse: whether a model's table is ``stored``."""
    # Trino's client would tell on stderr which optional package it lacks.
    importlib.import_module("trino.logging")
    logging.getLogger("trino").setLevel(logging.WARNING)
    adapter = getattr(importlib.import_module(f"dbt.adapters.{engine}.impl"), _ADAPTERS[engine])

    def get_relation(self: Any, database: str, schema: str, identifier: str) -> Any:
        if not stored:
            return None
        return self.Relation.create(
            database=database, schema=schema, identifier=identifier, type="table"
        )

    def get_columns_in_relation(self: Any, relation: Any) -> list[Any]:
        return []

    with (
        mock.patch.object(adapter, "get_relation", get_relation),
        mock.patch.object(adapter, "get_columns_in_relation", get_columns_in_relation),
    ):
        yield


def _columns(manifest: dict[str, Any]) -> Columns:
    columns: Columns = {}
    nodes = itertools.chain(manifest["nodes"].values(), manifest["sources"].values())
    for node in nodes:
        if node["resource_type"] in {"model", "seed", "snapshot", "source"}:
            name = node.get("identifier") or node.get("alias") or node["name"]
            schema = columns.setdefault(node["database"], {}).setdefault(node["schema"], {})
            schema[name] = {
                column["name"]: column.get("data_type") or "varchar"
                for column in node["columns"].values()
            }
            if node["resource_type"] == "snapshot":
                schema[name] |= _OF_A_SNAPSHOT
    return columns
