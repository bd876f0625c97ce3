"""The dbt project on three engines over one lake, each asked through its own client."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

from discover.build import run_dbt
from lakehouse.duck import connect_published
from lakehouse.services.exports import exports
from lakehouse.settings import Settings, ports
from lakehouse.users import Grant
from tests.portability.rows import Table

GRANTS = [Grant("analyst", "all", "*"), Grant("o'brien", "city", "St. John's")]


class Engine(ABC):
    """One engine's own copy of all models, kept from one build to the next."""

    name: ClassVar[str]
    """As MetricFlow and sqlglot call it."""
    target: ClassVar[str]
    """Of dbt's profile."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.work_dir = folder / self.name

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """What dbt's profile reads."""

    @abstractmethod
    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, by the engine's own client."""

    @property
    def semantic_manifest(self) -> Path:
        """What MetricFlow reads of the last build."""
        return self.work_dir / "target" / "semantic_manifest.json"

    def build(self, *args: str) -> None:
        """Seeds and models, all or none of them right; tests run elsewhere."""
        self.work_dir.mkdir(parents=True, exist_ok=True)
        grants = json.dumps({"entitlements": [asdict(grant) for grant in GRANTS]})
        kinds = [f"--exclude-resource-type={kind}" for kind in ("test", "unit_test", "exposure")]
        results = run_dbt(
            self.settings,
            ["build", "--vars", grants, *kinds, *args],
            target=self.target,
            work_dir=self.work_dir,
            environment=self.environment,
        )
        failed = {
            result.node.name: result.message
            for result in results
            if str(result.status) != "success"
        }
        assert failed == {}, f"{self.name}: {failed}"
        assert results

    def columns(self) -> dict[str, dict[str, str]]:
        """By mart: the contract's type by column."""
        return {
            node["name"]: {name: column["data_type"] for name, column in node["columns"].items()}
            for node in self._marts()
        }

    def table(self, mart: str) -> Table:
        """All rows of one mart under its contract."""
        (relation,) = (node["relation_name"] for node in self._marts() if node["name"] == mart)
        types = self.columns()[mart]
        return types, self.query(f"select {', '.join(types)} from {relation}")

    def _marts(self) -> list[dict[str, Any]]:
        manifest = json.loads((self.work_dir / "target" / "manifest.json").read_text())
        return [
            node
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and node["path"].startswith("marts")
        ]


class DuckDb(Engine):
    """In process, into a file; what ``discover refresh`` builds."""

    name = "duckdb"
    target = "local"

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "DISCOVER_MARTS_FILE": str(self.marts_file),
            "DISCOVER_WORK_FILE": str(self.work_dir / "work.duckdb"),
        }

    @property
    def marts_file(self) -> Path:
        """The marts alone."""
        return self.work_dir / "marts.duckdb"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with connect_published(self.marts_file) as connection:
            return connection.execute(sql).fetchall()


class Trino(Engine):
    """By dbt-trino and Trino's own Python client."""

    name = target = "trino"

    @property
    def environment(self) -> Mapping[str, str]:
        return exports(self.settings) | {"DISCOVER_WAREHOUSE_SCHEMA": "on_trino"}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        from trino.dbapi import connect

        port = ports(self.settings.home)["trino"]["http"]
        with connect(host="127.0.0.1", port=port, user="test", catalog="lake") as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()]


class Athena(Engine):
    """By dbt-athena and PyAthena, both as published, against Athena's API on this machine."""

    name = target = "athena"

    @property
    def environment(self) -> Mapping[str, str]:
        return exports(self.settings) | {"DISCOVER_WAREHOUSE_SCHEMA": "on_athena"}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        from pyathena import connect

        variables = self.environment
        with connect(
            s3_staging_dir="s3://discover/athena/staging/",
            region_name=variables["AWS_REGION"],
            endpoint_url=variables["AWS_ENDPOINT_URL_ATHENA"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            poll_interval=0.1,
        ) as connection:
            cursor = connection.cursor()
            cursor.execute(sql)
            rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
            return list(rows)


ENGINES = (DuckDb, Trino, Athena)
