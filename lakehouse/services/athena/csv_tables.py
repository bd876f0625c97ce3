"""Tables over delivered CSV objects: read once, when they are made, into a table of texts."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lakehouse.services.athena.aws_error import QueryRefused
from lakehouse.services.athena.glue import CSV_LOCATION
from lakehouse.services.athena.sql import CsvTable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from pyiceberg.catalog import Catalog


def create(catalog: Catalog, s3: S3Client, table: CsvTable) -> None:
    """Make the table with the rows of every object below its location.

    Raises:
        QueryRefused: a table of that name exists, its database doesn't, or a row doesn't fit.

    """
    import pyarrow as pa
    from pyiceberg.exceptions import NoSuchNamespaceError, TableAlreadyExistsError

    rows = list(_rows(s3, table))
    schema = pa.schema([pa.field(name, pa.string()) for name in table.columns])
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    data = pa.table(columns, schema=schema) if rows else schema.empty_table()
    identifier = (table.relation.schema, table.relation.name)
    try:
        made = catalog.create_table(identifier, schema, properties={CSV_LOCATION: table.location})
    except TableAlreadyExistsError:
        raise QueryRefused(
            "TABLE_ALREADY_EXISTS", f"Table {'.'.join(identifier)} already exists"
        ) from None
    except NoSuchNamespaceError:
        raise QueryRefused("SCHEMA_NOT_FOUND", f"Schema {identifier[0]} not found") from None
    made.append(data)


def _rows(s3: S3Client, table: CsvTable) -> Iterator[list[str]]:
    place = urlsplit(table.location)
    prefix = place.path.strip("/") + "/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=place.netloc, Prefix=prefix)
    for page in pages:
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=place.netloc, Key=entry["Key"])["Body"].read()
            lines = csv.reader(io.StringIO(body.decode("utf-8"), newline=""))
            for number, row in enumerate(lines):
                if number < table.skip_lines:
                    continue
                if len(row) != len(table.columns):
                    raise QueryRefused(
                        "HIVE_BAD_DATA",
                        f"line {number + 1} has {len(row)} fields, not {len(table.columns)}",
                    )
                yield row
