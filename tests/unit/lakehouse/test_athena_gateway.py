"""The gateway asked by real AWS clients, over a stub of Trino and of the catalog.

What the engine itself does is tested on the real one, in tests/jvm/athena; here are states, limits
and faults that it can't be made to show.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError
from trino.exceptions import TrinoConnectionError, TrinoUserError

from lakehouse.services.athena import executions as executions_module
from lakehouse.services.athena.api import Athena
from lakehouse.services.athena.app import Face, create_app
from lakehouse.services.athena.aws_error import AwsError
from lakehouse.services.athena.engine import Engine
from lakehouse.services.athena.executions import Executions
from lakehouse.services.athena.glue import CSV_LOCATION, Glue
from lakehouse.services.athena.rest_catalog import NotThere
from lakehouse.services.athena.sql import CsvTable

KEY, SECRET = "lake-key", "lake-secret"
OUTPUT = {"OutputLocation": "s3://discover/results/"}


class Cursor:
    """Answers by what the statement says."""

    def __init__(self, stub: StubEngine) -> None:
        self._stub = stub
        self._rows: list[list[Any]] = []
        self.description: list[tuple[str, str]] = []
        self.stats: dict[str, int] = {}
        self._released = threading.Event()

    def execute(self, statement: str) -> None:
        self._stub.statements.append(statement)
        if "wait" in statement:
            self._stub.waiting.set()
            assert self._released.wait(10)
            raise TrinoUserError({"errorName": "USER_CANCELED", "message": "gone"}, "id")
        if "unreachable" in statement:
            raise TrinoConnectionError("refused")
        if "conflict" in statement:
            raise TrinoUserError({"errorName": "ICEBERG_COMMIT_ERROR", "message": "late"}, "id")
        if "bug" in statement:
            raise RuntimeError("with a row of a customer in it")
        if statement.startswith(("insert", "create table")):
            self.description, self._rows = [("rows", "bigint")], [[42]]
        elif "where false" in statement:
            self.description = [("ts", "timestamp(3)" if "now()" in statement else "date")]
        else:
            count = int(statement.split("rows=")[1]) if "rows=" in statement else 1
            self.description = [("n", "bigint"), ("t", "varchar")]
            self._rows = [[number, None if number % 2 else ""] for number in range(count)]
        self.stats = {"physicalInputBytes": 1000, "elapsedTimeMillis": 7}

    def fetchmany(self, count: int) -> list[list[Any]]:
        taken, self._rows = self._rows[:count], self._rows[count:]
        return taken

    def cancel(self) -> None:
        self._stub.cancelled += 1
        self._released.set()


@dataclass
class StubEngine(Engine):
    """Stands where Trino would."""

    statements: list[str] = field(default_factory=list)
    waiting: threading.Event = field(default_factory=threading.Event)
    cancelled: int = 0

    def connect(self, schema: str | None, session: Any) -> Any:
        stub = self

        class Connection:
            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                return None

            def cursor(self) -> Cursor:
                return Cursor(stub)

        return Connection()


def iceberg(name: str, properties: dict[str, str] | None = None) -> dict[str, Any]:
    fields = [
        {"id": 1, "name": "id", "required": True, "type": "long"},
        {"id": 2, "name": "at", "required": False, "type": "timestamp", "doc": "when"},
    ]
    return {
        "metadata-location": f"s3://lake/raw/{name}/metadata/1.json",
        "metadata": {
            "location": f"s3://lake/raw/{name}",
            "last-updated-ms": 1_700_000_000_000,
            "current-schema-id": 0,
            "schemas": [{"schema-id": 0, "fields": fields}],
            "properties": properties or {},
        },
    }


class StubCatalog:
    def __init__(self) -> None:
        self.documents = {
            "seed": iceberg("seed", {CSV_LOCATION: "s3://discover/seed/1"}),
            "customers": iceberg("customers", {"comment": "One row per customer."}),
            **{f"t{number:03}": iceberg(f"t{number:03}") for number in range(120)},
        }

    def namespaces(self) -> list[str]:
        return ["marts", "raw"]

    def tables(self, namespace: str) -> list[str]:
        return sorted(self.documents) if namespace == "raw" else []

    def views(self, namespace: str) -> list[str]:
        return ["stg"] if namespace == "raw" else []

    def table(self, namespace: str, name: str) -> dict[str, Any]:
        if namespace != "raw" or name not in self.documents:
            raise NotThere(name)
        return self.documents[name]

    def view(self, namespace: str, name: str) -> dict[str, Any]:
        if (namespace, name) != ("raw", "stg"):
            raise NotThere(name)
        version = {
            "version-id": 1,
            "schema-id": 0,
            "timestamp-ms": 1_700_000_000_000,
            "representations": [{"type": "sql", "sql": "select 1", "dialect": "trino"}],
        }
        schemas = iceberg("stg")["metadata"]["schemas"]
        return {"metadata": {"current-version-id": 1, "versions": [version], "schemas": schemas}}

    def set_properties(self, namespace: str, name: str, properties: dict[str, str]) -> None:
        self.documents[name]["metadata"]["properties"].update(properties)


class StubOutput:
    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def require(self, location: str) -> None:
        if not location.startswith("s3://discover/"):
            raise AwsError("InvalidRequestException", "Unable to verify/create output bucket x")

    def put(self, path: Path, location: str) -> None:
        self.files[location] = path.read_text()


@dataclass
class Gateway:
    engine: StubEngine
    output: StubOutput
    catalog: StubCatalog
    executions: Executions
    folder: Path
    url: str
    csv: list[CsvTable]
    clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def client(self, service: str, key: str = KEY, secret: str = SECRET) -> Any:
        known = (service, key, secret)
        if known not in self.clients:
            self.clients[known] = boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[known]

    def start(self, sql: str, **more: Any) -> str:
        arguments = {"ResultConfiguration": OUTPUT, "WorkGroup": "primary", **more}
        started = self.client("athena").start_query_execution(QueryString=sql, **arguments)
        return str(started["QueryExecutionId"])

    def end_of(self, query_id: str) -> dict[str, Any]:
        for _ in range(500):
            answer = self.client("athena").get_query_execution(QueryExecutionId=query_id)
            found: dict[str, Any] = answer["QueryExecution"]
            if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return found
            time.sleep(0.01)
        raise AssertionError("it doesn't end")

    def run(self, sql: str) -> dict[str, Any]:
        return self.end_of(self.start(sql))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    engine, output, catalog = StubEngine(), StubOutput(), StubCatalog()
    csv: list[CsvTable] = []
    glue = Glue(catalog, engine.ask)
    executions = Executions(engine, glue, output, csv.append, tmp_path / "results")
    face = Face(Athena(executions, glue), glue, KEY, SECRET)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(create_app(face, engine, glue), log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield Gateway(engine, output, catalog, executions, tmp_path / "results", url, csv)
    finally:
        server.should_exit = True
        thread.join()
        executions.close()
        listener.close()


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


# Queries


def test_a_query_from_start_to_rows(gateway: Gateway) -> None:
    execution = gateway.run("select rows=3")
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "SELECT")
    assert execution["Statistics"]["DataScannedInBytes"] == 1000
    assert execution["Statistics"]["EngineExecutionTimeInMillis"] == 7
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://discover/results/{execution['QueryExecutionId']}.csv"
    assert gateway.output.files[location] == '"n","t"\n"0",""\n"1",\n"2",""\n'
    answer = gateway.client("athena").get_query_results(
        QueryExecutionId=execution["QueryExecutionId"]
    )
    assert len(answer["ResultSet"]["Rows"]) == 4
    columns = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert [column["Type"] for column in columns] == ["bigint", "varchar"]
    assert list(gateway.folder.glob("*.out")) == []


def test_pages_hold_no_more_than_they_may(gateway: Gateway) -> None:
    query_id = gateway.run("select rows=2500")["QueryExecutionId"]
    athena = gateway.client("athena")
    pages = list(athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id))
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]
    assert pages[2]["ResultSet"]["Rows"][-1]["Data"][0] == {"VarCharValue": "2499"}
    _, message = refusal(
        lambda: athena.get_query_results(QueryExecutionId=query_id, MaxResults=1001)
    )
    assert message == "MaxResults is more than maximum allowed length 1000."


def test_a_write_has_a_count_and_no_rows(gateway: Gateway) -> None:
    query_id = gateway.run("insert into raw.customers select 1")["QueryExecutionId"]
    answer = gateway.client("athena").get_query_results(QueryExecutionId=query_id)
    assert answer["UpdateCount"] == 42
    assert answer["ResultSet"]["Rows"] == []


def test_timestamps_that_trino_would_widen_are_refused(gateway: Gateway) -> None:
    head = "create table t with (table_type='iceberg', location='s3://b/t') as "
    execution = gateway.run(head + "select now() as ts")
    assert execution["Status"]["State"] == "FAILED"
    assert execution["Status"]["StateChangeReason"] == (
        'NOT_SUPPORTED: Timestamp precision (3) not supported for Iceberg. Use "timestamp(6)" '
        "instead."
    )
    assert not any(sql.startswith("create table") for sql in gateway.engine.statements)
    assert gateway.run(head + "select current_date as d")["Status"]["State"] == "SUCCEEDED"


def test_rows_of_a_csv_table_do_not_change(gateway: Gateway) -> None:
    for sql in ("merge into raw.seed using s on true", "insert into raw.seed select 1"):
        reason = gateway.run(sql)["Status"]["StateChangeReason"]
        assert reason == (
            "NOT_SUPPORTED: Modifying Hive table rows is only supported for transactional tables"
        )


def test_stopping_a_query_stops_trino(gateway: Gateway) -> None:
    query_id = gateway.start("select wait")
    assert gateway.engine.waiting.wait(10)
    athena = gateway.client("athena")
    assert (
        "Current state: RUNNING"
        in refusal(lambda: athena.get_query_results(QueryExecutionId=query_id))[1]
    )
    athena.stop_query_execution(QueryExecutionId=query_id)
    execution = gateway.end_of(query_id)
    assert execution["Status"]["State"] == "CANCELLED"
    assert gateway.engine.cancelled == 1
    athena.stop_query_execution(QueryExecutionId=query_id)
    assert gateway.engine.cancelled == 1


def test_more_than_it_runs_at_once_are_queued_and_more_than_that_refused(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions_module, "QUEUED_AT_MOST", 2)
    running = [gateway.start("select wait") for _ in range(executions_module.WORKERS)]
    for query_id in running:
        for _ in range(500):
            if gateway.executions.get(query_id).state == "RUNNING":
                break
            time.sleep(0.01)
    queued = [gateway.start("select rows=1") for _ in range(2)]
    assert gateway.executions.get(queued[0]).state == "QUEUED"
    assert refusal(lambda: gateway.start("select 1"))[0] == "TooManyRequestsException"
    gateway.executions.stop(queued[1])
    assert gateway.executions.get(queued[1]).state == "CANCELLED", "no worker need be free for it"
    for query_id in running:
        while (run := gateway.executions.get(query_id).run) is None or run._cursor is None:
            time.sleep(0.01)
        gateway.executions.stop(query_id)
    assert gateway.end_of(queued[0])["Status"]["State"] == "SUCCEEDED"
    assert gateway.end_of(queued[1])["Status"]["State"] == "CANCELLED"


@pytest.mark.parametrize(
    ("sql", "reason", "category", "kind"),
    [
        ("select conflict", "ICEBERG_COMMIT_ERROR: late", 2, 233),
        ("select unreachable", "GENERIC_INTERNAL_ERROR: the engine can't be reached", 1, 200),
        ("select bug", "GENERIC_INTERNAL_ERROR: RuntimeError", 1, 200),
        ("unload (select 1) to 's3://b/'", "NOT_SUPPORTED: UNLOAD is not known", 2, 1003),
    ],
)
def test_failures_say_what_dbt_decides_by(
    gateway: Gateway, sql: str, reason: str, category: int, kind: int
) -> None:
    status = gateway.run(sql)["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith(reason)
    error = status["AthenaError"]
    assert (error["ErrorCategory"], error["ErrorType"]) == (category, kind)
    assert "customer" not in status["StateChangeReason"]


def test_a_token_makes_a_start_happen_once(gateway: Gateway) -> None:
    token = str(uuid4())
    first = gateway.start("select rows=1", ClientRequestToken=token)
    assert gateway.start("select rows=1", ClientRequestToken=token) == first
    assert refusal(lambda: gateway.start("select rows=2", ClientRequestToken=token))[1] == (
        "Idempotent parameters do not match"
    )


def test_finished_queries_are_forgotten_the_oldest_first(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions_module, "KEPT_EXECUTIONS", 3)
    ids = [gateway.run("select rows=1")["QueryExecutionId"] for _ in range(6)]
    listed = gateway.client("athena").list_query_executions()["QueryExecutionIds"]
    assert listed == ids[:2:-1]
    assert len(list(gateway.folder.iterdir())) == 3
    code, message = refusal(
        lambda: gateway.client("athena").get_query_execution(QueryExecutionId=ids[0])
    )
    assert (code, message) == (
        "InvalidRequestException",
        f"QueryExecution {ids[0]} was not found",
    )


def test_a_long_query_is_remembered_by_its_end(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions_module, "KEPT_EXECUTIONS", 3)
    long = gateway.start("select wait")
    assert gateway.engine.waiting.wait(10)
    for _ in range(6):
        gateway.run("select rows=1")
    gateway.executions.stop(long)
    assert gateway.end_of(long)["Status"]["State"] == "CANCELLED"
    gateway.run("select rows=1")
    assert gateway.executions.get(long).state == "CANCELLED"


def test_rows_on_disk_are_bounded_but_the_newest_result_stays(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions_module, "KEPT_BYTES", 100)
    small = gateway.run("select rows=1")["QueryExecutionId"]
    large = gateway.run("select rows=5000")["QueryExecutionId"]
    assert gateway.client("athena").get_query_results(QueryExecutionId=large)["NextToken"]
    assert (
        "was not found"
        in refusal(lambda: gateway.client("athena").get_query_results(QueryExecutionId=small))[1]
    )


def test_a_failed_query_has_no_results(gateway: Gateway) -> None:
    query_id = gateway.run("select bug")["QueryExecutionId"]
    _, message = refusal(
        lambda: gateway.client("athena").get_query_results(QueryExecutionId=query_id)
    )
    assert message == "Query did not finish successfully. Final query state: FAILED"


def test_a_seeds_csv_table(gateway: Gateway) -> None:
    sql = """create external table `raw`.`s` (`id` string) row format serde
    'org.apache.hadoop.hive.serde2.OpenCSVSerde' location 's3://b/s/'"""
    assert gateway.run(sql)["Status"]["State"] == "SUCCEEDED"
    assert [table.columns for table in gateway.csv] == [("id",)]


def test_nothing_personal_is_logged(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        gateway.run("select 'Wendy Zhao', bug")
        gateway.run("select 'Wendy Zhao' rows=1")
    ours = [record for record in caplog.records if record.name.startswith("lakehouse")]
    assert len(ours) == 3
    assert not any("Wendy" in record.getMessage() for record in ours)
    assert not any("customer" in record.getMessage() for record in ours)


# Refusals of the call itself


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"WorkGroup": "night"}, "WorkGroup night is not found."),
        ({"ResultConfiguration": {}}, "No output location provided. An output location"),
        (
            {"ResultConfiguration": {"OutputLocation": "/tmp/x"}},
            "outputLocation is not a valid S3 path.",
        ),
        (
            {"ResultConfiguration": {"OutputLocation": "s3://elsewhere/"}},
            "Unable to verify/create output bucket",
        ),
        ({"QueryExecutionContext": {"Catalog": "lake"}}, "DataCatalog lake was not found"),
        ({"ExecutionParameters": ["1"]}, "ExecutionParameters is not known to this local Athena"),
    ],
)
def test_a_start_that_athena_refuses(
    gateway: Gateway, arguments: dict[str, Any], message: str
) -> None:
    code, text = refusal(lambda: gateway.start("select 1", **arguments))
    assert code == "InvalidRequestException"
    assert text.startswith(message)
    assert gateway.engine.statements == []


def test_an_unknown_action_is_named(gateway: Gateway) -> None:
    athena, glue, sts = (gateway.client(name) for name in ("athena", "glue", "sts"))
    for call, name in (
        (athena.list_named_queries, "Athena ListNamedQueries"),
        (glue.get_crawlers, "Glue GetCrawlers"),
    ):
        code, message = refusal(call)
        assert code == "UnknownOperationException"
        assert message == f"{name} is not known to this local Athena"
    assert "STS GetSessionToken" in refusal(sts.get_session_token)[1]


@pytest.mark.parametrize(
    ("service", "action"),
    [("athena", "list_data_catalogs"), ("glue", "get_databases"), ("sts", "get_caller_identity")],
)
def test_only_the_lakes_key_is_let_in(gateway: Gateway, service: str, action: str) -> None:
    stranger = getattr(gateway.client(service, key="x"), action)
    assert refusal(stranger)[0] == "UnrecognizedClientException"
    forger = getattr(gateway.client(service, secret="x"), action)
    assert refusal(forger)[0] == "InvalidSignatureException"
    assert getattr(gateway.client(service), action)()


def test_too_large_a_request_is_not_read(gateway: Gateway) -> None:
    code, _ = refusal(lambda: gateway.start("select '" + "a" * 3_000_000 + "'"))
    assert code == "RequestEntityTooLargeException"
    assert "262144" in refusal(lambda: gateway.start("select '" + "a" * 300_000 + "'"))[1]


# Metadata


def test_databases_and_catalogs(gateway: Gateway) -> None:
    athena, glue = gateway.client("athena"), gateway.client("glue")
    listed = athena.list_databases(CatalogName="AwsDataCatalog")["DatabaseList"]
    assert listed == [{"Name": "marts"}, {"Name": "raw"}]
    assert [d["Name"] for d in glue.get_databases()["DatabaseList"]] == ["marts", "raw"]
    assert athena.get_data_catalog(Name="awsdatacatalog")["DataCatalog"]["Type"] == "GLUE"
    assert athena.list_data_catalogs()["DataCatalogsSummary"][0]["CatalogName"] == "AwsDataCatalog"
    assert athena.get_database(CatalogName="AwsDataCatalog", DatabaseName="raw")["Database"]
    assert refusal(lambda: glue.get_database(Name="none"))[0] == "EntityNotFoundException"
    assert (
        refusal(lambda: athena.get_database(CatalogName="AwsDataCatalog", DatabaseName="none"))[0]
        == "MetadataException"
    )


def test_a_table_in_glues_form(gateway: Gateway) -> None:
    table = gateway.client("glue").get_table(DatabaseName="raw", Name="customers")["Table"]
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["Parameters"]["table_type"] == "ICEBERG"
    assert table["Parameters"]["metadata_location"].endswith("1.json")
    assert table["Description"] == "One row per customer."
    columns = table["StorageDescriptor"]["Columns"]
    assert [(c["Name"], c["Type"]) for c in columns] == [("id", "bigint"), ("at", "timestamp")]
    assert columns[1]["Comment"] == "when"


def test_a_view_and_a_csv_table_in_glues_form(gateway: Gateway) -> None:
    glue = gateway.client("glue")
    view = glue.get_table(DatabaseName="raw", Name="stg")["Table"]
    assert (view["TableType"], view["ViewOriginalText"]) == ("VIRTUAL_VIEW", "select 1")
    seed = glue.get_table(DatabaseName="raw", Name="seed")["Table"]
    assert "table_type" not in seed["Parameters"]
    assert seed["StorageDescriptor"]["Location"] == "s3://discover/seed/1"


def test_tables_come_in_pages(gateway: Gateway) -> None:
    glue, athena = gateway.client("glue"), gateway.client("athena")
    pages = list(glue.get_paginator("get_tables").paginate(DatabaseName="raw"))
    assert [len(page["TableList"]) for page in pages] == [100, 23]
    everything = athena.get_paginator("list_table_metadata").paginate(
        CatalogName="AwsDataCatalog", DatabaseName="raw", Expression="t0.*"
    )
    names = [t["Name"] for page in everything for t in page["TableMetadataList"]]
    assert names == [f"t{number:03}" for number in range(100)]
    one = athena.get_table_metadata(
        CatalogName="AwsDataCatalog", DatabaseName="raw", TableName="customers"
    )["TableMetadata"]
    assert one["Columns"][0] == {"Name": "id", "Type": "bigint"}
    assert one["Parameters"]["location"] == "s3://lake/raw/customers"


def as_input(table: dict[str, Any]) -> dict[str, Any]:
    keys = ("Name", "Description", "TableType", "Parameters", "StorageDescriptor")
    return {key: table[key] for key in keys if key in table}


def test_descriptions_are_kept_with_the_table(gateway: Gateway) -> None:
    glue = gateway.client("glue")
    wanted = as_input(glue.get_table(DatabaseName="raw", Name="customers")["Table"])
    wanted["Description"] = "It's new."
    wanted["Parameters"] = {**wanted["Parameters"], "unique_id": "model.x", "comment": "It's new."}
    wanted["StorageDescriptor"]["Columns"][1]["Comment"] = "then"
    glue.update_table(DatabaseName="raw", TableInput=wanted)
    name = '"awsdatacatalog"."raw"."customers"'
    assert gateway.engine.statements == [
        f"comment on table {name} is 'It''s new.'",
        f"comment on column {name}.\"at\" is 'then'",
    ]
    kept = glue.get_table(DatabaseName="raw", Name="customers")["Table"]["Parameters"]
    assert kept["unique_id"] == "model.x"


def test_a_tables_structure_is_not_glues_to_change(gateway: Gateway) -> None:
    glue = gateway.client("glue")
    wanted = as_input(glue.get_table(DatabaseName="raw", Name="customers")["Table"])
    wanted["StorageDescriptor"]["Location"] = "s3://elsewhere/"
    code, _ = refusal(lambda: glue.update_table(DatabaseName="raw", TableInput=wanted))
    assert code == "InvalidInputException"
    assert gateway.engine.statements == []


def test_what_is_deleted_is_dropped(gateway: Gateway) -> None:
    glue = gateway.client("glue")
    glue.delete_table(DatabaseName="raw", Name="stg")
    glue.delete_table(DatabaseName="raw", Name="customers")
    assert gateway.engine.statements == [
        'drop view "awsdatacatalog"."raw"."stg"',
        'drop table "awsdatacatalog"."raw"."customers"',
    ]
    missing = refusal(lambda: glue.delete_table(DatabaseName="raw", Name="none"))
    assert missing == ("EntityNotFoundException", "Table none not found.")
