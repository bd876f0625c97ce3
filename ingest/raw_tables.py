"""The raw Iceberg tables as objects of the catalog: made before the first row.

PyIceberg and not Spark: it needs no session, and types and partitions are exact on every catalog.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ingest.flat_table import FlatTable
from lakehouse import clients
from lakehouse.errors import DiscoverError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.schema import Schema

PROPERTIES = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "write.parquet.compression-codec": "zstd",
    # A column that outgrows this hardly repeats: give its dictionary up early.
    "write.parquet.dict-size-bytes": str(64 * 1024),
    "write.target-file-size-bytes": str(128 * 1024 * 1024),
}


def ensure_tables(settings: Settings, tables: Iterable[FlatTable]) -> list[str]:
    """Make the tables that are missing; returns their names.

    Raises:
        DiscoverError: a table stands with other columns than its source's contract.

    """
    catalog = clients.iceberg(settings)
    made = []
    for flat in tables:
        identifier = flat.table.identifier
        if catalog.table_exists(identifier):
            _require_columns(catalog.load_table(identifier).schema(), flat)
            continue
        schema = iceberg_schema(flat)
        catalog.create_namespace_if_not_exists(flat.table.namespace)
        catalog.create_table_if_not_exists(
            identifier, schema, partition_spec=_partitions(schema, flat), properties=PROPERTIES
        )
        made.append(identifier)
    return made


def iceberg_schema(flat: FlatTable) -> Schema:
    """The table's columns as Iceberg types. All are optional: engines disagree on required ones."""
    from pyiceberg import types
    from pyiceberg.schema import Schema

    by_name: dict[str, types.IcebergType] = {
        "bigint": types.LongType(),
        "int": types.IntegerType(),
        "string": types.StringType(),
        "boolean": types.BooleanType(),
        "date": types.DateType(),
        "decimal(18,2)": types.DecimalType(18, 2),
        "timestamp_ntz": types.TimestampType(),
    }
    fields = [
        types.NestedField(field_id=number, name=name, field_type=by_name[kind], required=False)
        for number, (name, kind) in enumerate(flat.schema.items(), start=1)
    ]
    return Schema(*fields)


def _partitions(schema: Schema, flat: FlatTable) -> PartitionSpec:
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.transforms import MonthTransform

    if flat.month_of is None:
        return PartitionSpec()
    column = schema.find_field(flat.month_of)
    return PartitionSpec(
        PartitionField(
            source_id=column.field_id,
            field_id=1000,
            transform=MonthTransform(),
            name=f"{flat.month_of}_month",
        )
    )


def _require_columns(standing: Schema, flat: FlatTable) -> None:
    found = {field.name: str(field.field_type) for field in standing.fields}
    wanted = {field.name: str(field.field_type) for field in iceberg_schema(flat).fields}
    if found != wanted:
        differing = sorted(
            name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
        )
        raise DiscoverError(
            f"table {flat.table.identifier} stands with other columns: {', '.join(differing)}",
            "a changed contract needs a migration of the table before the next flatten",
        )
