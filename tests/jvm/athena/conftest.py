"""The gateway before the shared lake, and the dbt project run through it by the real command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from lakehouse import services
from lakehouse.services import registry
from lakehouse.services.exports import exports
from lakehouse.settings import REPOSITORY, Settings
from tests.jvm.conftest import Warehouse

SCHEMA = "athena_tests"
OUTPUT = "s3://discover/athena/tests/"
_DBT_SECONDS = 900


@dataclass(frozen=True)
class Gateway:
    """A started gateway; ``warehouse`` asks Trino behind its back."""

    settings: Settings
    warehouse: Warehouse
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs and nothing of this process's settings but its path."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "DISCOVER_WAREHOUSE_SCHEMA": SCHEMA,
            **exports(self.settings),
        }

    @cached_property
    def athena(self) -> Any:
        """boto3's client, routed as users route theirs: by the environment."""
        return self.client("athena")

    def client(self, service: str) -> Any:
        """boto3's client of one of the gateway's services."""
        import boto3

        variables = self.environment
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=variables[f"AWS_ENDPOINT_URL_{service.upper()}"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        )

    @property
    def pid(self) -> int:
        """Of the gateway's process."""
        return int(registry.record(self.settings.home, "athena")["pid"])

    @property
    def log(self) -> str:
        """All that it has logged."""
        return (self.settings.logs / "athena.log").read_text()

    def start(self, sql: str) -> str:
        """Begin a query in the tests' schema."""
        started = self.athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Catalog": "AwsDataCatalog", "Database": SCHEMA},
            ResultConfiguration={"OutputLocation": OUTPUT},
        )
        return str(started["QueryExecutionId"])

    def end_of(self, query_id: str) -> dict[str, Any]:
        """Its ``QueryExecution`` once it has ended."""
        while True:
            found = self.athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return dict(found)
            time.sleep(0.05)

    def run(self, sql: str) -> dict[str, Any]:
        """Run a query to its end."""
        return self.end_of(self.start(sql))

    def done(self, sql: str) -> dict[str, Any]:
        """Run a query that has to succeed."""
        execution = self.run(sql)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
        return execution

    def rows(self, sql: str) -> list[list[str | None]]:
        """All rows of a query but its header, from as many pages as there are."""
        query_id = self.done(sql)["QueryExecutionId"]
        pages = self.athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
        found = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        return [[datum.get("VarCharValue") for datum in row] for row in found[1:]]

    def refusal(self, sql: str) -> str:
        """Why a query failed."""
        status = self.run(sql)["Status"]
        assert status["State"] == "FAILED", status
        return str(status["StateChangeReason"])

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dbt to its end."""
        with self.begin_dbt(*arguments) as process:
            said, _ = process.communicate(timeout=_DBT_SECONDS)
        return subprocess.CompletedProcess(arguments, process.returncode, said)

    def begin_dbt(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a dbt command on target ``athena``."""
        program = str(Path(sys.executable).parent / "dbt")
        paths = ["--target-path", str(self.folder / "target"), "--log-path", str(self.folder)]
        return subprocess.Popen(
            [program, *arguments, "--target", "athena", *paths],
            cwd=REPOSITORY / "dbt_project",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="session")
def gateway(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway over the first delivery; what it made is dropped, raw tables are put back."""
    home = warehouse.settings.home
    services.up(home, ["athena"])
    before = _raw_snapshots(warehouse)
    warehouse.sql(f"create schema if not exists {SCHEMA}")
    try:
        yield Gateway(warehouse.settings, warehouse, tmp_path_factory.mktemp("dbt"))
    finally:
        services.down(home, ["athena"])
        for table, snapshot in before.items():
            warehouse.sql(f"alter table {table} execute rollback_to_snapshot({snapshot})")
        for (schema,) in warehouse.sql("show schemas"):
            if schema.startswith(SCHEMA):
                warehouse.sql(f'drop schema "{schema}" cascade')


def _raw_snapshots(warehouse: Warehouse) -> Mapping[str, int]:
    found = warehouse.sql(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema like 'raw\\_%' escape '\\'"
    )
    return {
        f'"{schema}"."{table}"': warehouse.sql(
            f'select snapshot_id from "{schema}"."{table}$snapshots"'
            " order by committed_at desc limit 1"
        )[0][0]
        for schema, table in found
    }
