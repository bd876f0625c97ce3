"""The gateway on the real engine: what only that can show."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from lakehouse.clients import lake_s3
from tests.jvm.athena.conftest import OUTPUT, SCHEMA, Gateway

ICEBERG = f"table_type = 'iceberg', is_external = false, location = '{OUTPUT}t'"

EVERY_TYPE = """
select * from (values
  (true, 7, 9007199254740993, real '1.1', 1e7, decimal '1.50', 'a "quoted", text', x'dead',
   date '2026-01-31', cast('2026-01-31 10:11:12.5' as timestamp(6)), array[1, null],
   map(array['k'], array['v']), cast(row(1, 'x') as row(a integer, b varchar))),
  (null, null, null, null, null, null, '', null, null, null, null, null, null)
) as t (bool, i, big, r, d, money, text, bytes, day, at, list, pairs, record)
order by i
"""


def test_every_type_and_its_nulls(gateway: Gateway) -> None:
    execution = gateway.done(EVERY_TYPE)
    answer = gateway.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"])
    columns = answer["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert {column["Name"]: column["Type"] for column in columns} == {
        "bool": "boolean",
        "i": "integer",
        "big": "bigint",
        "r": "float",
        "d": "double",
        "money": "decimal",
        "text": "varchar",
        "bytes": "varbinary",
        "day": "date",
        "at": "timestamp",
        "list": "array",
        "pairs": "map",
        "record": "row",
    }
    header, values, nulls = answer["ResultSet"]["Rows"]
    assert [cell["VarCharValue"] for cell in header["Data"]] == [c["Name"] for c in columns]
    assert [cell["VarCharValue"] for cell in values["Data"]] == [
        *("true", "7", "9007199254740993", "1.1", "1.0E7", "1.50", 'a "quoted", text', "de ad"),
        *("2026-01-31", "2026-01-31 10:11:12.500000", "[1, null]", "{k=v}", "{a=1, b=x}"),
    ]
    assert nulls["Data"] == [{}] * 6 + [{"VarCharValue": ""}] + [{}] * 6
    assert file_of(gateway, execution).endswith('\n,,,,,,"",,,,,,\n')


def file_of(gateway: Gateway, execution: dict[str, Any]) -> str:
    place = urlsplit(execution["ResultConfiguration"]["OutputLocation"])
    s3 = lake_s3(gateway.settings)
    body = s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"]
    return body.read().decode()


def test_the_file_at_the_output_location_holds_what_the_pages_hold(gateway: Gateway) -> None:
    sql = "select transaction_id, amount from raw_atm.transactions order by 1 limit 2500"
    rows = gateway.rows(sql)
    assert len(rows) == 2500
    lines = list(csv.reader(io.StringIO(file_of(gateway, gateway.done(sql)))))
    assert lines == [["transaction_id", "amount"], *rows]


def test_bytes_scanned_are_trinos(gateway: Gateway) -> None:
    everything = "select sum(amount) from raw_atm.transactions"
    last_month = f"{everything} where transacted_at_local >= timestamp '2026-06-01 00:00:00'"
    whole, part = (gateway.done(sql)["Statistics"] for sql in (everything, last_month))
    assert 0 < part["DataScannedInBytes"] < whole["DataScannedInBytes"]
    assert whole["EngineExecutionTimeInMillis"] > 0


def test_stopping_ends_the_query_in_trino(gateway: Gateway) -> None:
    mark = "'a query for ever'"
    query_id = gateway.start(
        f"select {mark}, count(*) from unnest(sequence(1, 10000)) a, unnest(sequence(1, 10000)) b,"
        " unnest(sequence(1, 10000)) c"
    )
    seen = (
        "select state, error_code from system.runtime.queries"
        " where query like '%a query for ever%' and query not like '%runtime.queries%'"
    )
    while [row[0] for row in gateway.warehouse.sql(seen)] != ["RUNNING"]:
        time.sleep(0.1)
    gateway.athena.stop_query_execution(QueryExecutionId=query_id)
    assert gateway.end_of(query_id)["Status"]["State"] == "CANCELLED"
    assert gateway.warehouse.sql(seen) == [["FAILED", "USER_CANCELED"]]


def test_a_large_result_does_not_stay_in_memory(gateway: Gateway) -> None:
    process = psutil.Process(gateway.pid)
    gateway.rows("select 1")
    before = process.memory_info().rss
    execution = gateway.done(
        "select n, 'some text to make a row of a hundred bytes or so, in whatever way it is kept '"
        " from unnest(sequence(1, 500)) a (m), unnest(sequence(1, 1000)) b (n)"
    )
    grown = process.memory_info().rss - before
    size = len(file_of(gateway, execution))
    assert size > 40_000_000
    assert grown < size


def test_a_hundred_partitions_can_be_written_and_no_more(gateway: Gateway) -> None:
    def write(count: int) -> str:
        return (
            f"create table parted with ({ICEBERG}, partitioning = array['n'])"
            f" as select n from unnest(sequence(1, {count})) t (n)"
        )

    reason = gateway.refusal(write(101))
    assert reason.startswith(
        "ICEBERG_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers for partitions"
    )
    gateway.done(write(100))
    assert gateway.rows("select count(*) from parted") == [["100"]]
    reason = gateway.refusal("insert into parted select n from unnest(sequence(1, 101)) t (n)")
    assert reason.startswith("ICEBERG_TOO_MANY_OPEN_PARTITIONS")
    gateway.done("drop table parted")


def test_timestamps_of_milliseconds_are_refused_where_trino_would_widen_them(
    gateway: Gateway,
) -> None:
    select = "select cast(now() as timestamp(3)) as at"
    reason = gateway.refusal(f"create table t with ({ICEBERG}) as {select}")
    assert reason == (
        'NOT_SUPPORTED: Timestamp precision (3) not supported for Iceberg. Use "timestamp(6)" '
        "instead."
    )
    # The reason why the gateway looks itself.
    name = f"{SCHEMA}.widened"
    gateway.warehouse.sql(f"create table {name} as {select}")
    gateway.warehouse.sql(f"drop table {name}")


def test_an_iceberg_tables_life(gateway: Gateway) -> None:
    glue = gateway.client("glue")
    gateway.done(
        f"""create table life (id bigint comment 'who', name string, at timestamp)
        partitioned by (month(at)) location '{OUTPUT}life/'
        tblproperties ('table_type' = 'ICEBERG')"""
    )
    insert = "insert into life values (1, 'Ann', timestamp '2026-01-31 00:00:00'), (2, null, null)"
    written = gateway.done(insert)
    assert (
        gateway.athena.get_query_results(QueryExecutionId=written["QueryExecutionId"])[
            "UpdateCount"
        ]
        == 2
    )
    gateway.done("alter table life add columns (extra int, list array<string>)")
    gateway.done("alter table life change column name full_name string")
    gateway.done("update life set extra = 3 where id = 1")
    gateway.done("delete from life where id = 2")
    gateway.done("alter table life set tblproperties ('classification' = 'parquet')")
    gateway.done(f"optimize awsdatacatalog.{SCHEMA}.life rewrite data using bin_pack")
    gateway.done(f"vacuum awsdatacatalog.{SCHEMA}.life")
    assert gateway.rows("select * from life") == [
        ["1", "Ann", "2026-01-31 00:00:00.000000", "3", None]
    ]
    table = glue.get_table(DatabaseName=SCHEMA, Name="life")["Table"]
    columns = {c["Name"]: c["Type"] for c in table["StorageDescriptor"]["Columns"]}
    assert columns == {
        "id": "bigint",
        "full_name": "string",
        "at": "timestamp",
        "extra": "int",
        "list": "array<string>",
    }
    assert table["Parameters"]["classification"] == "parquet"
    described = gateway.done("describe life")
    answer = gateway.athena.get_query_results(QueryExecutionId=described["QueryExecutionId"])
    first = answer["ResultSet"]["Rows"][0]["Data"][0]["VarCharValue"]
    assert first.split("\t")[0].strip() == "id"
    gateway.done("alter table life rename to afterlife")
    glue.delete_table(DatabaseName=SCHEMA, Name="afterlife")
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_table(DatabaseName=SCHEMA, Name="afterlife")


def test_a_csv_table_is_read_and_never_changed(gateway: Gateway) -> None:
    s3 = lake_s3(gateway.settings)
    body = '"id","name"\n"1","a ""b"", c"\n"","two\nlines"\n'
    s3.put_object(Bucket="discover", Key="athena/tests/csv/x.csv", Body=body.encode())
    gateway.done(
        f"""create external table listed (`id` string, `name` string)
        row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
        location '{OUTPUT}csv' tblproperties ('skip.header.line.count' = '1')"""
    )
    assert gateway.rows("select * from listed order by id desc") == [
        ["1", 'a "b", c'],
        ["", "two\nlines"],
    ]
    merge = "merge into listed t using (select '1' as id) s on t.id = s.id when matched then delete"
    assert gateway.refusal(merge).startswith("NOT_SUPPORTED: Modifying Hive table rows")
    glue = gateway.client("glue")
    table = glue.get_table(DatabaseName=SCHEMA, Name="listed")["Table"]
    assert table["StorageDescriptor"]["Location"] == f"{OUTPUT}csv"
    gateway.done("drop table listed")


def test_what_trino_says_of_a_wrong_query_reaches_the_client(gateway: Gateway) -> None:
    assert gateway.refusal("select nothing from raw_atm.transactions").startswith(
        "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved"
    )
    assert gateway.refusal("select 1 from").startswith("SYNTAX_ERROR: line 1:")
    assert gateway.refusal("select * from nowhere").startswith("TABLE_NOT_FOUND: line 1:15")


PYATHENA = f"""
import json, os
from pyathena import connect

connection = connect(s3_staging_dir="{OUTPUT}", schema_name="{SCHEMA}")
cursor = connection.cursor()
databases = [database.name for database in cursor.list_databases("AwsDataCatalog")]
tables = [
    [table.name, [column.name for column in table.columns][:2]]
    for table in cursor.list_table_metadata(schema_name="raw_core_banking")
]
rows = cursor.execute(
    "select customer_id, cast(null as varchar), decimal '1.50', date '2026-01-31'"
    " from raw_core_banking.customers order by 1"
).fetchall()
print(json.dumps([databases, tables, len(rows), rows[0]], default=str))
"""


def test_pyathena_reads_through_it(gateway: Gateway) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PYATHENA],
        env=gateway.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    databases, tables, count, first = json.loads(done.stdout)
    assert "raw_core_banking" in databases
    assert tables == [["customers", ["customer_id", "name"]]]
    assert count == gateway.warehouse.sql("select count(*) from raw_core_banking.customers")[0][0]
    assert first[1:] == [None, "1.50", "2026-01-31"]


def test_queries_of_a_killed_gateway_are_ended(gateway: Gateway) -> None:
    from lakehouse import services

    gateway.start(
        "select 'an orphan', count(*) from unnest(sequence(1, 10000)) a,"
        " unnest(sequence(1, 10000)) b, unnest(sequence(1, 10000)) c"
    )
    seen = (
        "select state from system.runtime.queries"
        " where query like '%an orphan%' and query not like '%runtime.queries%'"
    )
    while gateway.warehouse.sql(seen) != [["RUNNING"]]:
        time.sleep(0.1)
    psutil.Process(gateway.pid).kill()
    services.up(gateway.settings.home, ["athena"])
    assert gateway.warehouse.sql(seen) == [["FAILED"]]
    assert gateway.rows("select 1") == [["1"]]
