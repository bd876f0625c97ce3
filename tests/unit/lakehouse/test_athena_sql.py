"""What Athena takes, what it refuses and in which words, and what Trino is told instead."""

import pytest

from lakehouse.services.athena.aws_error import AwsError, QueryRefused
from lakehouse.services.athena.sql import CATALOG, MAX_QUERY_BYTES, Relation, plan

DBT_CTAS = """
create table "awsdatacatalog"."marts"."fct_loans"
  with (
    table_type='iceberg',
    is_external=false,location='s3://discover/athena/tables/fct_loans/5fc9',
    partitioning=ARRAY['month(ts)', 'bucket(id, 4)'],
    write_compression='zstd',
    format='parquet',
    optimize_rewrite_delete_file_threshold=2
  )
  as
    select 1 as id, ',' as comma, cast(now() as timestamp(6)) as ts
"""


def only(sql: str) -> str:
    (statement,) = plan(sql, "marts").statements
    return statement


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        '-- /* {"app": "dbt"} */\nselect \';\' as a',
        "with a as (select 1) select * from a",
        "(select 1) union all (select 2)",
        "values 1, 2",
    ],
)
def test_a_query_passes_unchanged(sql: str) -> None:
    understood = plan(sql, "marts")
    assert (understood.kind, understood.subtype, understood.answer) == ("DML", "SELECT", "rows")
    assert sql.endswith(understood.statements[0])


def test_names_like_another_catalogs_stay_names() -> None:
    plan("select lake.id, 'lake.a.t', system.x from lake.waters as lake", "marts")


def test_a_semicolon_at_the_end_is_no_second_statement() -> None:
    assert only("select 1 ; -- done") == "select 1 "


def test_two_statements_are_refused() -> None:
    with pytest.raises(AwsError, match="Only one sql statement is allowed"):
        plan("select 1; select 2", "marts")


def test_a_table_from_a_query_goes_where_the_catalog_puts_it() -> None:
    understood = plan(DBT_CTAS, "marts")
    (statement,) = understood.statements
    assert statement.startswith(
        'create table "awsdatacatalog"."marts"."fct_loans" with '
        "(partitioning = ARRAY['month(ts)', 'bucket(id, 4)'], format = 'PARQUET') as select 1"
    )
    assert understood.stores is not None
    assert understood.stores.startswith("select 1 as id, ','")
    assert understood.session[f"{CATALOG}.compression_codec"] == "ZSTD"
    assert understood.answer == "count"


def test_a_write_has_one_writer_so_that_it_counts_all_its_partitions() -> None:
    for sql in (DBT_CTAS, "insert into t select 1", "merge into t using s on true"):
        session = plan(sql, "marts").session
        assert session[f"{CATALOG}.max_partitions_per_writer"] == "100"
        assert session["task_max_writer_count"] == "1"


@pytest.mark.parametrize(
    ("sql", "subtype", "target"),
    [
        ("insert into t (a) select 1", "INSERT", "t"),
        ('merge into "awsdatacatalog"."marts"."t" as target using s on true', "MERGE", "t"),
        ("update `marts`.`t` set a = 1", "UPDATE", "t"),
        ("delete from marts.T where a = 1", "DELETE", "t"),
    ],
)
def test_rows_change_in_a_named_table(sql: str, subtype: str, target: str) -> None:
    understood = plan(sql, "marts")
    assert understood.subtype == subtype
    assert understood.changes == Relation("marts", target)


@pytest.mark.parametrize(
    ("sql", "trino"),
    [
        ("create schema if not exists `a`", 'create schema if not exists "awsdatacatalog"."a"'),
        ("drop database if exists a cascade", 'drop schema if exists "awsdatacatalog"."a" cascade'),
        ("drop table if exists `a`.`t`", 'drop table if exists "awsdatacatalog"."a"."t"'),
        ("drop view v", 'drop view "awsdatacatalog"."marts"."v"'),
        (
            "alter table `a`.`t` rename to `a`.`t__bkp`",
            'alter table "awsdatacatalog"."a"."t" rename to "awsdatacatalog"."a"."t__bkp"',
        ),
        (
            "alter table a.t drop column extra",
            'alter table "awsdatacatalog"."a"."t" drop column "extra"',
        ),
        (
            "OPTIMIZE awsdatacatalog.a.t REWRITE DATA USING BIN_PACK where id > 1",
            'alter table "awsdatacatalog"."a"."t" execute optimize where id > 1',
        ),
    ],
)
def test_statements_about_tables_are_said_in_trinos_way(sql: str, trino: str) -> None:
    assert only(sql) == trino


def test_columns_are_added_one_by_one_in_hives_types() -> None:
    understood = plan("alter table t add columns (`a` int, b struct<x:string,y:array<int>>)", "m")
    assert understood.statements == (
        'alter table "awsdatacatalog"."m"."t" add column "a" integer',
        'alter table "awsdatacatalog"."m"."t" add column "b" row("x" varchar, "y" array(integer))',
    )


def test_a_column_is_renamed_and_retyped() -> None:
    assert plan("alter table t change column a b bigint comment 'it''s'", "m").statements == (
        'alter table "awsdatacatalog"."m"."t" rename column "a" to "b"',
        'alter table "awsdatacatalog"."m"."t" alter column "b" set data type bigint',
        'comment on column "awsdatacatalog"."m"."t"."b" is \'it\'\'s\'',
    )


def test_an_empty_iceberg_table() -> None:
    sql = """create table a.t (id bigint comment 'who', ts timestamp, name string)
    partitioned by (month(ts), bucket(16, id), name) location 's3://b/t/'
    tblproperties ('table_type'='ICEBERG', 'format'='ORC', 'vacuum_min_snapshots_to_keep'='2')"""
    assert only(sql) == (
        'create table "awsdatacatalog"."a"."t" ("id" bigint comment \'who\', "ts" timestamp(6), '
        "\"name\" varchar) with (format = 'ORC', "
        "partitioning = ARRAY['month(\"ts\")', 'bucket(\"id\", 16)', '\"name\"'])"
    )


def test_a_seed_arrives_as_a_table_over_csv_objects() -> None:
    sql = """create external table `a`.`s__dbt_tmp` (`id` string, `name` string)
    row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
    location 's3://b/s/1' tblproperties ('skip.header.line.count'='1')"""
    table = plan(sql, "m").csv
    assert table is not None
    assert table.relation == Relation("a", "s__dbt_tmp")
    assert (table.columns, table.location, table.skip_lines) == (("id", "name"), "s3://b/s/1", 1)


def test_vacuum_expires_and_removes() -> None:
    first, second = plan("VACUUM awsdatacatalog.a.t", "m").statements
    assert "expire_snapshots" in first
    assert "remove_orphan_files" in second


REFUSED_AT_START = [
    ("insert overwrite t select 1", "line 1:8: mismatched input 'overwrite'. Expecting: 'INTO'"),
    ("select 'a", "line 1:8: mismatched input"),
    ("frobnicate", "line 1:1: mismatched input 'frobnicate'"),
    ("\n  selec 1", "line 2:3: mismatched input 'selec'"),
    ("  -- nothing", "QueryString is empty"),
    ("start transaction", "Queries of this type are not supported"),
    ("grant select on t to u", "Queries of this type are not supported"),
    ("call system.flush()", "Queries of this type are not supported"),
    ("call system.runtime.kill_query('x')", "Queries of this type are not supported"),
    ("truncate table t", "Queries of this type are not supported"),
    ("set session a = 1", "Queries of this type are not supported"),
    ("create table t (a int)", "Only external table creation is supported"),
    ("drop table t u", "mismatched input 'u'. Expecting: <EOF>"),
    ("create table t with (table_type='iceberg' as select 1", "Expecting: ')'"),
]


@pytest.mark.parametrize(("sql", "words"), REFUSED_AT_START)
def test_what_athena_does_not_start(sql: str, words: str) -> None:
    with pytest.raises(AwsError) as refused:
        plan(sql, "m")
    assert words in refused.value.message
    assert refused.value.code == "InvalidRequestException"


ICEBERG = "table_type='iceberg', is_external=false, location='s3://b/t'"
REFUSED_LATER = [
    ("create table t with (format='parquet') as select 1", "NOT_SUPPORTED"),
    ("create table t with (table_type='iceberg') as select 1", "INVALID_TABLE_PROPERTY"),
    (f"create table t with ({ICEBERG}, colour='red') as select 1", "INVALID_TABLE_PROPERTY"),
    (f"create table t with ({ICEBERG}, format='csv') as select 1", "INVALID_TABLE_PROPERTY"),
    ("alter table t set tblproperties ('owner'='me')", "NOT_SUPPORTED"),
    ("alter table t add columns (a tinyint)", "NOT_SUPPORTED"),
    ("drop table lake.a.t", "CATALOG_NOT_FOUND"),
    ("drop table elsewhere.a.t", "CATALOG_NOT_FOUND"),
    ('select * from a, "lake"."a"."t"', "CATALOG_NOT_FOUND"),
    ("insert into t select 1 from system.runtime.queries", "CATALOG_NOT_FOUND"),
    ("insert into system.runtime.t select 1", "CATALOG_NOT_FOUND"),
]


@pytest.mark.parametrize(("sql", "name"), REFUSED_LATER)
def test_what_athena_starts_and_fails(sql: str, name: str) -> None:
    with pytest.raises(QueryRefused) as refused:
        plan(sql, "m")
    assert refused.value.name == name


@pytest.mark.parametrize(
    ("sql", "named"),
    [
        ("unload (select 1) to 's3://b/'", "UNLOAD"),
        ("msck repair table t", "MSCK"),
        ("show partitions t", "SHOW"),
        ("create function f() returns int return 1", "CREATE"),
        ("create or replace table t as select 1", "CREATE"),
        ("alter table t execute optimize", "EXECUTE"),
        ("create external table t (a int) stored as parquet location 's3://b/'", "SerDe"),
        ("prepare p from select 1", "PREPARE"),
    ],
)
def test_what_is_not_known_here_is_named(sql: str, named: str) -> None:
    with pytest.raises(QueryRefused, match="not known to this local Athena") as refused:
        plan(sql, "m")
    assert named in str(refused.value)


def test_the_length_of_a_query_is_limited_in_bytes() -> None:
    room = MAX_QUERY_BYTES - len("select ''")
    plan("select '" + "a" * room + "'", "m")
    with pytest.raises(AwsError, match=str(MAX_QUERY_BYTES)):
        plan("select '" + "é" * (room // 2 + 1) + "'", "m")


def test_names_and_words_inside_strings_and_comments_mean_nothing() -> None:
    sql = "insert /* into x */ into t -- overwrite\n select 'drop table t; select 1'"
    assert plan(sql, "m").changes == Relation("m", "t")


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("show tables in a 'fct*'", "text"),
        ("show databases", "text"),
        ("show columns in a.t", "text"),
        ("show create view v", "text"),
        ("describe a.t", "description"),
        ("explain select 1", "text"),
    ],
)
def test_looking_answers_in_plain_text(sql: str, answer: str) -> None:
    assert plan(sql, "m").answer == answer


def test_a_quote_in_a_name_stays_inside_it() -> None:
    assert only('drop table "a""b"."t"') == 'drop table "awsdatacatalog"."a""b"."t"'
    assert "'it''s'" in only("show tables in `it's`")


@pytest.mark.parametrize(
    "sql",
    [
        "explain analyze delete from t",
        "explain analyze verbose insert into t select 1",
        "explain analyze (format json) create table t as select 1",
        "explain analyze with session optimize_hash_generation = true select 1",
        "explain drop table t",
        "explain call system.x()",
        "with session optimize_hash_generation = true select 1",
        "with function f() returns bigint return 1 select f()",
        "create view v security invoker as select 1",
        "create or replace view m.v security definer as select 1",
    ],
)
def test_what_only_trino_takes_is_refused(sql: str) -> None:
    with pytest.raises(AwsError, match="mismatched input"):
        plan(sql, "m")


@pytest.mark.parametrize(
    "sql",
    [
        "explain analyze select 1",
        "explain analyze verbose (select 1)",
        "explain (type distributed, format text) select 1",
        "explain (select 1)",
        "explain delete from t",
        "explain with a as (select 1) select * from a",
        "with session as (select 1) select * from session",
        "with function (a) as (select 1) select a from function",
        "create or replace view v as select 1",
    ],
)
def test_what_both_take_passes_unchanged(sql: str) -> None:
    assert plan(sql, "m").statements == (sql,)
