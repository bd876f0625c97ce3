"""MetricFlow as a renderer: it writes SQL for DuckDB and never gets a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from metricflow.engine.metricflow_engine import MetricFlowEngine
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.duckdb_renderer import DuckDbSqlPlanRenderer
from metricflow_semantics.model.dbt_manifest_parser import (
    parse_manifest_from_dbt_generated_manifest,
)
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup


class NoConnection:
    """The client that MetricFlow asks for its dialect; the marts are read elsewhere."""

    sql_engine_type = SqlEngine.DUCKDB
    sql_plan_renderer: Any = DuckDbSqlPlanRenderer()

    def query(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise NotImplementedError("MetricFlow only renders here")

    execute = dry_run = query

    def close(self) -> None:
        """Nothing is open."""

    def render_bind_parameter_key(self, bind_parameter_key: str) -> str:
        """A parameter as DuckDB writes it; no query here has one."""
        return f"${bind_parameter_key}"


def engine(manifest_file: Path, dialect: type[NoConnection] = NoConnection) -> Any:
    """An engine over one ``semantic_manifest.json`` that writes the dialect's SQL."""
    manifest = parse_manifest_from_dbt_generated_manifest(
        manifest_json_string=manifest_file.read_text()
    )
    return MetricFlowEngine(SemanticManifestLookup(manifest), dialect())
