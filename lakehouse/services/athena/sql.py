"""What Athena takes and refuses, and how the rest is said to Trino. Pure: text in, a plan out.

Queries and changes of rows are Trino's own dialect and pass unchanged; only statements about tables
differ (Athena's are Hive's there) and are said anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lakehouse.catalog import TABLE_BUCKET
from lakehouse.services.athena.aws_error import QueryRefused, invalid_request, unknown_to_us
from lakehouse.services.athena.column_types import hive_to_trino
from lakehouse.services.athena.tokens import Reader, tokens

CATALOG = "awsdatacatalog"
"""Athena's own name for its default catalog; Trino has one of that name."""

MAX_QUERY_BYTES = 262_144
OPEN_PARTITIONS = 100
"""Partitions that one statement may write into."""

_OTHER_CATALOGS = (TABLE_BUCKET, "system", "jmx")
_ONE_WRITER = {
    # Athena's limit counts the partitions of a statement; Trino's counts those of each writer.
    "scale_writers": "false",
    "task_scale_writers_enabled": "false",
    "task_min_writer_count": "1",
    "task_max_writer_count": "1",
    "use_preferred_write_partitioning": "false",
    f"{CATALOG}.max_partitions_per_writer": str(OPEN_PARTITIONS),
}
_PATIENT_JOIN = {
    # What a MERGE reads of its target then depends on its predicates, not on how busy Trino is.
    f"{CATALOG}.dynamic_filtering_wait_timeout": "20s",
}
_SNAPSHOT_AGE = "5d"
"""Athena's default ``vacuum_max_snapshot_age_seconds``."""
_VACUUM_SESSION = {
    f"{CATALOG}.expire_snapshots_min_retention": _SNAPSHOT_AGE,
    f"{CATALOG}.remove_orphan_files_min_retention": _SNAPSHOT_AGE,
}
_UPKEEP = re.compile(r"optimize_rewrite_\w+|vacuum_\w+")
_CLASSIFICATION = "classification"
_TABLE_FORMATS = ("parquet", "orc", "avro")

Kind = Literal["DDL", "DML", "UTILITY"]
Answer = Literal["rows", "text", "description", "count", "nothing"]


@dataclass(frozen=True)
class Relation:
    """A table or view of the one catalog."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """Its full quoted name."""
        return ".".join(quoted(part) for part in (CATALOG, self.schema, self.name))


@dataclass(frozen=True)
class CsvTable:
    """A table over delivered CSV objects, every column text: the form in which seeds arrive."""

    relation: Relation
    columns: tuple[str, ...]
    location: str
    skip_lines: int


@dataclass(frozen=True)
class Plan:
    """What to do for one statement of Athena."""

    kind: Kind
    subtype: str
    statements: tuple[str, ...] = ()
    """For Trino, one after the other; the last one's result is the answer."""
    answer: Answer = "nothing"
    session: Mapping[str, str] = field(default_factory=dict)
    stores: str | None = None
    """A query whose columns become an Iceberg table's."""
    changes: Relation | None = None
    """Rows of this table change: it must be an Iceberg table."""
    csv: CsvTable | None = None
    parameters: tuple[Relation, Mapping[str, str]] | None = None
    """Glue parameters to set on a table."""


def plan(text: str, schema: str) -> Plan:
    """What Athena's statement ``text`` asks for, where a bare table is one of ``schema``.

    Raises:
        AwsError: Athena refuses to start it.
        QueryRefused: Athena starts it and it fails, or it isn't known here.

    """
    if len(text.encode()) > MAX_QUERY_BYTES:
        raise invalid_request(
            "1 validation error detected: Value at 'queryString' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_QUERY_BYTES}",
            "QUERY_TOO_LONG",
        )
    single = _single(text)
    reader = Reader(single)
    if reader.next.text.lower() in _REFUSED:
        raise invalid_request("Queries of this type are not supported", "NOT_SUPPORTED")
    _require_own_catalog(single)
    for words, understand in _STATEMENTS:
        if reader.found(*words):
            return understand(reader, schema)
    if reader.next.text == "(":
        return _query(reader, schema)
    for words in _UNKNOWN:
        if reader.found(*words):
            raise unknown_to_us(" ".join(words).upper())
    return reader.mismatch(
        "'ALTER', 'CREATE', 'DELETE', 'DESCRIBE', 'DROP', 'EXPLAIN', 'INSERT', 'MERGE', "
        "'OPTIMIZE', 'SHOW', 'UPDATE', 'VACUUM', <query>"
    )


def quoted(name: str) -> str:
    """A name as a Trino identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a Trino string."""
    return "'" + text.replace("'", "''") + "'"


def _single(text: str) -> str:
    reader = Reader(text)
    if reader.next.kind == "end":
        raise invalid_request("QueryString is empty", "MALFORMED_QUERY")
    while reader.next.kind != "end":
        end = reader.next.start
        if reader.take().text == ";":
            if reader.next.kind != "end":
                raise invalid_request(
                    "Only one sql statement is allowed. Got more than one.", "MALFORMED_QUERY"
                )
            return text[:end]
    return text


def _require_own_catalog(sql: str) -> None:
    """Trino's further catalogs don't exist here, wherever a statement names them."""
    found = tokens(sql)
    for first, dot, _, second_dot in zip(found, found[1:], found[2:], found[3:], strict=False):
        is_name = first.kind in ("word", "quoted") and (dot.text, second_dot.text) == (".", ".")
        if is_name and first.name in _OTHER_CATALOGS:
            raise QueryRefused("CATALOG_NOT_FOUND", f"Catalog '{first.name}' not found")


def _relation(reader: Reader, schema: str) -> Relation:
    names = [reader.name()]
    while len(names) < 3 and reader.found("."):
        names.append(reader.name())
    if len(names) == 3 and names[0] != CATALOG:
        raise QueryRefused("CATALOG_NOT_FOUND", f"Catalog '{names[0]}' not found")
    return Relation(names[-2] if len(names) > 1 else schema, names[-1])


# Rows


def _query(reader: Reader, _schema: str) -> Plan:
    return Plan("DML", "SELECT", (reader.sql,), "rows")


def _with(reader: Reader, schema: str) -> Plan:
    _require_named_query(reader)
    return _query(reader, schema)


def _require_named_query(reader: Reader) -> None:
    """After WITH: Trino knows WITH SESSION and WITH FUNCTION, Athena only names of queries."""
    following = Reader(reader.rest)
    if following.take().text.lower() in ("session", "function") and not (
        following.found("as") or following.next.text == "("
    ):
        reader.mismatch("<identifier>")


def _explain(reader: Reader, _schema: str) -> Plan:
    analyzes = reader.found("analyze")
    if analyzes:
        # ANALYZE runs what it explains: nothing that changes anything may pass this way.
        reader.found("verbose")
    if reader.next.text == "(" and _is_option(reader):
        reader.group()
    changes = set() if analyzes else {"insert", "delete", "update", "merge"}
    if reader.found("with"):
        _require_named_query(reader)
    elif reader.next.text.lower() not in {"select", "values", "("} | changes:
        reader.mismatch("<query>")
    return Plan("DML", "EXPLAIN", (reader.sql,), "text")


def _is_option(reader: Reader) -> bool:
    inside = Reader(reader.rest)
    inside.take()
    return inside.next.text.lower() in ("type", "format")


def _insert(reader: Reader, schema: str) -> Plan:
    reader.expect("into")
    return _change(reader, schema, "INSERT")


def _merge(reader: Reader, schema: str) -> Plan:
    reader.expect("into")
    return _change(reader, schema, "MERGE", _ONE_WRITER | _PATIENT_JOIN)


def _delete(reader: Reader, schema: str) -> Plan:
    reader.expect("from")
    return _change(reader, schema, "DELETE")


def _update(reader: Reader, schema: str) -> Plan:
    return _change(reader, schema, "UPDATE")


def _change(
    reader: Reader, schema: str, subtype: str, session: Mapping[str, str] = _ONE_WRITER
) -> Plan:
    target = _relation(reader, schema)
    return Plan("DML", subtype, (reader.sql,), "count", session, changes=target)


# Schemas


def _create_schema(reader: Reader, _schema: str) -> Plan:
    unless = "if not exists " if reader.found("if", "not", "exists") else ""
    name = f"{quoted(CATALOG)}.{quoted(reader.name())}"
    reader.end()
    return Plan("DDL", "CREATE_DATABASE", (f"create schema {unless}{name}",))


def _drop_schema(reader: Reader, _schema: str) -> Plan:
    if_exists = "if exists " if reader.found("if", "exists") else ""
    name = f"{quoted(CATALOG)}.{quoted(reader.name())}"
    cascade = " cascade" if reader.found("cascade") else ""
    reader.found("restrict")
    reader.end()
    return Plan("DDL", "DROP_DATABASE", (f"drop schema {if_exists}{name}{cascade}",))


# Tables


def _create_table(reader: Reader, schema: str) -> Plan:
    unless = "if not exists " if reader.found("if", "not", "exists") else ""
    target = _relation(reader, schema)
    if reader.next.text == "(":
        return _create_empty(reader, target, unless)
    properties = _properties(reader.group()) if reader.found("with") else {}
    reader.expect("as")
    return _create_as(reader.rest, target, unless, properties)


def _create_as(query: str, target: Relation, unless: str, properties: dict[str, str]) -> Plan:
    _require_iceberg(properties.pop("table_type", "'hive'"))
    if properties.pop("is_external", "false").lower() != "false":
        raise QueryRefused(
            "INVALID_TABLE_PROPERTY", "is_external must be false for an Iceberg table"
        )
    # The catalog of this lake chooses where a table lies; Athena can't do without being told.
    if properties.pop("location", None) is None:
        raise QueryRefused("INVALID_TABLE_PROPERTY", "location is required for an Iceberg table")
    session = dict(_ONE_WRITER)
    options = []
    for name, value in properties.items():
        if name == "format":
            options.append(f"format = {literal(_format(value))}")
        elif name == "partitioning":
            options.append(f"partitioning = {value}")
        elif name == "write_compression":
            session[f"{CATALOG}.compression_codec"] = value.strip("'").upper()
        elif not _UPKEEP.fullmatch(name):
            raise QueryRefused(
                "INVALID_TABLE_PROPERTY",
                f"Catalog '{CATALOG}' table property '{name}' does not exist",
            )
    with_options = f" with ({', '.join(options)})" if options else ""
    statement = f"create table {unless}{target.sql}{with_options} as {query}"
    return Plan("DDL", "CREATE_TABLE_AS_SELECT", (statement,), "count", session, stores=query)


def _create_empty(reader: Reader, target: Relation, unless: str) -> Plan:
    columns = [_column(text) for text in reader.group()]
    partitions = reader.group() if reader.found("partitioned", "by") else []
    location = reader.string() if reader.found("location") else None
    properties = _tblproperties(reader) if reader.found("tblproperties") else {}
    reader.end()
    if properties.pop("table_type", "").lower() != "iceberg":
        raise invalid_request("Only external table creation is supported.", "NOT_SUPPORTED")
    if location is None:
        raise QueryRefused("INVALID_TABLE_PROPERTY", "location is required for an Iceberg table")
    options = [f"format = {literal(_format(properties.pop('format', 'parquet')))}"]
    if partitions:
        terms = (literal(_partition_term(term)) for term in partitions)
        options.append(f"partitioning = ARRAY[{', '.join(terms)}]")
    properties.pop("write_compression", None)
    _require_known(properties)
    body = ", ".join(columns)
    statement = f"create table {unless}{target.sql} ({body}) with ({', '.join(options)})"
    return Plan("DDL", "CREATE_TABLE", (statement,))


def _create_external(reader: Reader, schema: str) -> Plan:
    reader.found("if", "not", "exists")
    target = _relation(reader, schema)
    columns = [_column_name_and_type(text) for text in reader.group()]
    if not reader.found("row", "format", "serde"):
        raise unknown_to_us("an external table without a SerDe")
    serde = reader.string()
    if serde != "org.apache.hadoop.hive.serde2.OpenCSVSerde":
        raise unknown_to_us(f"an external table of {serde}")
    reader.expect("location")
    location = reader.string()
    properties = _tblproperties(reader) if reader.found("tblproperties") else {}
    reader.end()
    skipped = properties.pop("skip.header.line.count", "0")
    if properties or not skipped.isdigit():
        raise unknown_to_us(f"a CSV table's properties {', '.join(properties)}")
    if any(kind.lower() != "string" for _, kind in columns):
        raise unknown_to_us("a CSV table with columns other than string")
    names = tuple(name for name, _ in columns)
    table = CsvTable(target, names, location, int(skipped))
    return Plan("DDL", "CREATE_TABLE", csv=table)


def _create_view(reader: Reader, schema: str) -> Plan:
    _relation(reader, schema)
    if reader.next.text.lower() == "security":
        reader.mismatch("'AS'")
    return Plan("DDL", "CREATE_VIEW", (reader.sql,))


def _drop(what: str) -> Callable[[Reader, str], Plan]:
    def understand(reader: Reader, schema: str) -> Plan:
        if_exists = "if exists " if reader.found("if", "exists") else ""
        target = _relation(reader, schema)
        reader.end()
        return Plan("DDL", f"DROP_{what.upper()}", (f"drop {what} {if_exists}{target.sql}",))

    return understand


def _alter_table(reader: Reader, schema: str) -> Plan:
    target = _relation(reader, schema)
    head = f"alter table {target.sql}"
    if reader.found("set", "tblproperties"):
        properties = _tblproperties(reader)
        _require_known(properties)
        reader.end()
        return Plan("DDL", "ALTER_TABLE_SET_PROPERTIES", parameters=(target, properties))
    if reader.found("rename", "to"):
        renamed = _relation(reader, target.schema)
        reader.end()
        return Plan("DDL", "ALTER_TABLE_RENAME", (f"{head} rename to {renamed.sql}",))
    if reader.found("add", "columns"):
        columns = [_column(text) for text in reader.group()]
        reader.end()
        added = tuple(f"{head} add column {column}" for column in columns)
        return Plan("DDL", "ALTER_TABLE_ADD_COLUMNS", added)
    if reader.found("drop", "column"):
        name = quoted(reader.name())
        reader.end()
        return Plan("DDL", "ALTER_TABLE_DROP_COLUMN", (f"{head} drop column {name}",))
    if reader.found("change", "column") or reader.found("change"):
        return _change_column(reader, head)
    raise unknown_to_us(f"ALTER TABLE … {reader.next.text.upper()}")


def _change_column(reader: Reader, head: str) -> Plan:
    old, new = reader.name(), reader.name()
    comment: str | None = None
    words = []
    while reader.next.kind != "end" and not reader.found("comment"):
        words.append(reader.take().text)
    if reader.next.kind == "string":
        comment = reader.string()
    reader.end()
    statements = []
    if old != new:
        statements.append(f"{head} rename column {quoted(old)} to {quoted(new)}")
    kind = hive_to_trino("".join(words))
    statements.append(f"{head} alter column {quoted(new)} set data type {kind}")
    if comment is not None:
        table = head.removeprefix("alter table ")
        statements.append(f"comment on column {table}.{quoted(new)} is {literal(comment)}")
    return Plan("DDL", "ALTER_TABLE_CHANGE_COLUMN", tuple(statements))


def _optimize(reader: Reader, schema: str) -> Plan:
    target = _relation(reader, schema)
    reader.expect("rewrite", "data", "using", "bin_pack")
    where = f" {reader.rest}" if reader.next.text.lower() == "where" else ""
    if not where:
        reader.end()
    statement = f"alter table {target.sql} execute optimize{where}"
    return Plan("DML", "OPTIMIZE", (statement,), changes=target)


def _vacuum(reader: Reader, schema: str) -> Plan:
    target = _relation(reader, schema)
    reader.end()
    procedures = ("expire_snapshots", "remove_orphan_files")
    statements = tuple(
        f"alter table {target.sql} execute {name}(retention_threshold => '{_SNAPSHOT_AGE}')"
        for name in procedures
    )
    return Plan("DML", "VACUUM", statements, session=_VACUUM_SESSION, changes=target)


# Looking


def _show_schemas(reader: Reader, _schema: str) -> Plan:
    reader.end()
    statement = f"show schemas from {quoted(CATALOG)}"
    return Plan("DDL", "SHOW_DATABASES", (statement,), "text")


def _show_tables(reader: Reader, schema: str) -> Plan:
    database = reader.name() if reader.found("in") or reader.found("from") else schema
    pattern = reader.string() if reader.next.kind == "string" else "*"
    reader.end()
    statement = (
        f"select table_name from {quoted(CATALOG)}.information_schema.tables"
        f" where table_schema = {literal(database)}"
        f" and regexp_like(table_name, {literal(_star_pattern(pattern))}) order by 1"
    )
    return Plan("DDL", "SHOW_TABLES", (statement,), "text")


def _show_columns(reader: Reader, schema: str) -> Plan:
    if not reader.found("in"):
        reader.expect("from")
    target = _relation(reader, schema)
    reader.end()
    return Plan("DDL", "SHOW_COLUMNS", (_columns_of(target, "column_name"),), "text")


def _show_create(reader: Reader, schema: str) -> Plan:
    what = "view" if reader.found("view") else "table"
    if what == "table":
        reader.expect("table")
    target = _relation(reader, schema)
    reader.end()
    statement = f"show create {what} {target.sql}"
    return Plan("DDL", f"SHOW_CREATE_{what.upper()}", (statement,), "text")


def _describe(reader: Reader, schema: str) -> Plan:
    target = _relation(reader, schema)
    reader.end()
    wanted = "column_name, data_type, coalesce(comment, '')"
    statement = _columns_of(target, wanted)
    return Plan("UTILITY", "DESCRIBE_TABLE", (statement,), "description")


def _columns_of(target: Relation, wanted: str) -> str:
    return (
        f"select {wanted} from {quoted(CATALOG)}.information_schema.columns"
        f" where table_schema = {literal(target.schema)} and table_name = {literal(target.name)}"
        " order by ordinal_position"
    )


# Parts of statements


def _properties(items: list[str]) -> dict[str, str]:
    pairs = [item.partition("=") for item in items]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _tblproperties(reader: Reader) -> dict[str, str]:
    found = {}
    for item in reader.group():
        inner = Reader(item)
        name = inner.string()
        inner.expect("=")
        found[name.lower()] = inner.string()
        inner.end()
    return found


def _require_known(properties: Mapping[str, str]) -> None:
    for name in properties:
        if name not in (_CLASSIFICATION, "format", "write_compression") and not _UPKEEP.fullmatch(
            name
        ):
            raise QueryRefused("NOT_SUPPORTED", f"Unsupported table property key: {name}")


def _require_iceberg(table_type: str) -> None:
    if table_type.strip("'").lower() != "iceberg":
        raise unknown_to_us("a table that isn't Iceberg's (set table_type: iceberg): it")


def _format(value: str) -> str:
    plain = value.strip("'").lower()
    if plain not in _TABLE_FORMATS:
        raise QueryRefused(
            "INVALID_TABLE_PROPERTY",
            f"Unable to set catalog '{CATALOG}' table property 'format' to [{plain}]",
        )
    return plain.upper()


def _column_name_and_type(text: str) -> tuple[str, str]:
    reader = Reader(text)
    name = reader.name()
    return name, reader.rest


def _column(text: str) -> str:
    reader = Reader(text)
    name = reader.name()
    start = reader.next.start
    end = len(text)
    comment = ""
    while reader.next.kind != "end":
        position = reader.next.start
        if reader.found("comment"):
            end, comment = position, f" comment {literal(reader.string())}"
        else:
            reader.take()
    return f"{quoted(name)} {hive_to_trino(text[start:end])}{comment}"


def _partition_term(text: str) -> str:
    """Athena writes ``bucket(16, id)`` and ``truncate(4, name)``; Trino has the number last."""
    reader = Reader(text)
    name = reader.name()
    if reader.next.kind == "end":
        return quoted(name)
    arguments = reader.group()
    reader.end()
    column = quoted(Reader(arguments[-1]).name())
    numbers = "".join(f", {int(number)}" for number in arguments[:-1])
    return f"{name}({column}{numbers})"


def _star_pattern(pattern: str) -> str:
    """Hive's patterns: ``*`` and ``|``, whole names, any case."""
    inside = "|".join(
        ".*".join(re.escape(part) for part in choice.split("*")) for choice in pattern.split("|")
    )
    return f"(?i)^({inside})$"


_STATEMENTS: tuple[tuple[tuple[str, ...], Callable[[Reader, str], Plan]], ...] = (
    (("select",), _query),
    (("with",), _with),
    (("values",), _query),
    (("explain",), _explain),
    (("insert",), _insert),
    (("merge",), _merge),
    (("delete",), _delete),
    (("update",), _update),
    (("create", "schema"), _create_schema),
    (("create", "database"), _create_schema),
    (("drop", "schema"), _drop_schema),
    (("drop", "database"), _drop_schema),
    (("create", "external", "table"), _create_external),
    (("create", "table"), _create_table),
    (("create", "or", "replace", "view"), _create_view),
    (("create", "view"), _create_view),
    (("drop", "table"), _drop("table")),
    (("drop", "view"), _drop("view")),
    (("alter", "table"), _alter_table),
    (("optimize",), _optimize),
    (("vacuum",), _vacuum),
    (("show", "databases"), _show_schemas),
    (("show", "schemas"), _show_schemas),
    (("show", "tables"), _show_tables),
    (("show", "columns"), _show_columns),
    (("show", "create"), _show_create),
    (("describe",), _describe),
    (("desc",), _describe),
)
_REFUSED = frozenset(
    (
        *("analyze", "call", "comment", "commit", "deny", "grant", "reset", "revoke"),
        *("rollback", "set", "start", "table", "truncate", "use"),
    )
)
"""First words of statements that Trino knows and Athena doesn't take."""
_UNKNOWN = (
    ("unload",),
    ("msck",),
    ("prepare",),
    ("execute",),
    ("deallocate",),
    ("show",),
    ("create",),
    ("drop",),
    ("alter",),
    ("using",),
)
