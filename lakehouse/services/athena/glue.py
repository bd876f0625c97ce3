"""The Glue calls: databases and tables as the Iceberg catalog has them, in Glue's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lakehouse.services.athena.aws_error import AwsError
from lakehouse.services.athena.column_types import iceberg_to_hive
from lakehouse.services.athena.paging import Pages
from lakehouse.services.athena.rest_catalog import NotThere
from lakehouse.services.athena.sql import CATALOG, Relation, literal, quoted

ACCOUNT = "000000000000"
PARAMETER = "athena.parameter."
"""Prefix of the Iceberg properties in which Glue's free parameters of a table are kept."""
CSV_LOCATION = "athena.csv-location"
"""Iceberg property of a table that stands for a CSV table: where its objects lie."""

_OWN_PARAMETERS = ("EXTERNAL", "table_type", "metadata_location", "comment", "presto_view")
_PAGE = 100

Document = dict[str, Any]


class Catalog(Protocol):
    """What is asked of the Iceberg REST catalog."""

    def namespaces(self) -> list[str]:
        """Names of all namespaces."""

    def tables(self, namespace: str) -> list[str]:
        """Names of a namespace's tables."""

    def views(self, namespace: str) -> list[str]:
        """Names of a namespace's views."""

    def table(self, namespace: str, name: str) -> Document:
        """One table's metadata; empty where there is none."""

    def view(self, namespace: str, name: str) -> Document:
        """One view's metadata; empty where there is none."""

    def set_properties(self, namespace: str, name: str, properties: dict[str, str]) -> None:
        """Set properties of a table."""


class Glue:
    """Answers Glue's calls; ``ask`` runs one statement on Trino."""

    def __init__(self, catalog: Catalog, ask: Callable[[str], object]) -> None:
        self._catalog, self._ask = catalog, ask

    def answer(self, action: str, body: Document) -> Document:
        """The answer to one call.

        Raises:
            AwsError: in Glue's words; for a call that isn't known, naming it.

        """
        known: dict[str, Callable[[Document], Document]] = {
            "GetDatabases": self._get_databases,
            "GetDatabase": self._get_database,
            "DeleteDatabase": self._delete_database,
            "GetTables": self._get_tables,
            "GetTable": self._get_table,
            "GetTableVersions": self._get_table_versions,
            "UpdateTable": self._update_table,
            "DeleteTable": self._delete_table,
            "GetPartitions": self._get_partitions,
        }
        if action not in known:
            raise AwsError(
                "UnknownOperationException", f"Glue {action} is not known to this local Athena"
            )
        return known[action](body)

    def databases(self) -> list[Document]:
        """All databases."""
        return [_database(name) for name in self._catalog.namespaces()]

    def database(self, name: str) -> Document:
        """One database.

        Raises:
            AwsError: there is none of that name.

        """
        if name.lower() not in self._catalog.namespaces():
            raise AwsError("EntityNotFoundException", f"Database {name} not found.")
        return _database(name.lower())

    def table_names(self, database: str) -> list[str]:
        """Names of a database's tables and views, sorted.

        Raises:
            AwsError: there is no such database.

        """
        name = self.database(database)["Name"]
        try:
            return sorted([*self._catalog.tables(name), *self._catalog.views(name)])
        except NotThere:
            raise AwsError("EntityNotFoundException", f"Database {database} not found.") from None

    def table(self, database: str, name: str) -> Document:
        """One table or view.

        Raises:
            AwsError: there is none of that name.

        """
        namespace, name = database.lower(), name.lower()
        try:
            return glue_table(namespace, name, self._catalog.table(namespace, name))
        except NotThere:
            pass
        try:
            return glue_view(namespace, name, self._catalog.view(namespace, name))
        except NotThere:
            raise AwsError("EntityNotFoundException", f"Table {name} not found.") from None

    def set_parameters(self, relation: Relation, parameters: dict[str, str]) -> None:
        """Keep free parameters with an Iceberg table."""
        kept = {f"{PARAMETER}{name}": value for name, value in parameters.items()}
        self._catalog.set_properties(relation.schema, relation.name, kept)

    def _get_databases(self, body: Document) -> Document:
        found, token = Pages(body, _PAGE).cut(self.databases())
        return {"DatabaseList": found, **token}

    def _get_database(self, body: Document) -> Document:
        return {"Database": self.database(body["Name"])}

    def _delete_database(self, body: Document) -> Document:
        name = self.database(body["Name"])["Name"]
        self._ask(f"drop schema {quoted(CATALOG)}.{quoted(name)} cascade")
        return {}

    def _get_tables(self, body: Document) -> Document:
        database = body["DatabaseName"]
        names, token = Pages(body, _PAGE).cut(self.table_names(database))
        found = []
        for name in names:
            try:
                found.append(self.table(database, name))
            except AwsError as error:
                # Dropped since it was listed.
                if error.code != "EntityNotFoundException":
                    raise
        return {"TableList": found, **token}

    def _get_table(self, body: Document) -> Document:
        return {"Table": self.table(body["DatabaseName"], body["Name"])}

    def _get_table_versions(self, body: Document) -> Document:
        table = self.table(body["DatabaseName"], body["TableName"])
        return {"TableVersions": [{"Table": table, "VersionId": table["VersionId"]}]}

    def _get_partitions(self, body: Document) -> Document:
        self.table(body["DatabaseName"], body["TableName"])
        # An Iceberg table keeps its partitions in its own metadata; Glue knows none.
        return {"Partitions": []}

    def _delete_table(self, body: Document) -> Document:
        table = self.table(body["DatabaseName"], body["Name"])
        kind = "view" if table["TableType"] == "VIRTUAL_VIEW" else "table"
        self._ask(f"drop {kind} {Relation(table['DatabaseName'], table['Name']).sql}")
        return {}

    def _update_table(self, body: Document) -> Document:
        wanted = body["TableInput"]
        current = self.table(body["DatabaseName"], wanted["Name"])
        if _structure(current) != _structure(wanted):
            raise AwsError(
                "InvalidInputException",
                "UpdateTable: this local Athena changes descriptions, comments and parameters only",
            )
        relation = Relation(current["DatabaseName"], current["Name"])
        is_view = current["TableType"] == "VIRTUAL_VIEW"
        if (text := wanted.get("Description", "")) != current.get("Description", ""):
            kind = "view" if is_view else "table"
            self._ask(f"comment on {kind} {relation.sql} is {literal(text)}")
        before = _comments(current)
        for name, comment in _comments(wanted).items():
            if comment != before[name]:
                self._ask(f"comment on column {relation.sql}.{quoted(name)} is {literal(comment)}")
        changed = {
            name: value
            for name, value in wanted.get("Parameters", {}).items()
            if name not in _OWN_PARAMETERS and current["Parameters"].get(name) != value
        }
        if changed and not is_view:
            self.set_parameters(relation, changed)
        return {}


def glue_table(namespace: str, name: str, document: Document) -> Document:
    """An Iceberg table's document as Glue's ``Table``."""
    metadata = document["metadata"]
    properties = metadata.get("properties", {})
    parameters = {"EXTERNAL": "TRUE"}
    location = properties.get(CSV_LOCATION)
    if location is None:
        location = metadata["location"]
        parameters |= {
            "table_type": "ICEBERG",
            "metadata_location": document.get("metadata-location", ""),
        }
    parameters |= {
        key.removeprefix(PARAMETER): value
        for key, value in properties.items()
        if key.startswith(PARAMETER)
    }
    comment = properties.get("comment", "")
    if comment:
        parameters["comment"] = comment
    return {
        **_common(namespace, name, comment, metadata.get("last-updated-ms", 0)),
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
        "StorageDescriptor": {
            "Columns": _columns(metadata, metadata["current-schema-id"]),
            "Location": location,
        },
    }


def glue_view(namespace: str, name: str, document: Document) -> Document:
    """An Iceberg view's document as Glue's ``Table``."""
    metadata = document["metadata"]
    versions = {version["version-id"]: version for version in metadata["versions"]}
    version = versions[metadata["current-version-id"]]
    comment = metadata.get("properties", {}).get("comment", "")
    return {
        **_common(namespace, name, comment, version.get("timestamp-ms", 0)),
        "TableType": "VIRTUAL_VIEW",
        "ViewOriginalText": version["representations"][0]["sql"],
        "Parameters": {"presto_view": "true", "comment": comment or "Presto View"},
        "StorageDescriptor": {"Columns": _columns(metadata, version["schema-id"]), "Location": ""},
    }


def _common(namespace: str, name: str, comment: str, updated_ms: int) -> Document:
    return {
        "Name": name,
        "DatabaseName": namespace,
        "CatalogId": ACCOUNT,
        "VersionId": "0",
        "Owner": "hadoop",
        "PartitionKeys": [],
        "CreateTime": updated_ms / 1000,
        "UpdateTime": updated_ms / 1000,
        **({"Description": comment} if comment else {}),
    }


def _columns(metadata: Document, schema_id: int) -> list[Document]:
    schemas = {schema["schema-id"]: schema for schema in metadata["schemas"]}
    return [
        {
            "Name": field["name"],
            "Type": iceberg_to_hive(field["type"]),
            **({"Comment": field["doc"]} if field.get("doc") else {}),
            "Parameters": {
                "iceberg.field.current": "true",
                "iceberg.field.id": str(field["id"]),
                "iceberg.field.optional": str(not field["required"]).lower(),
            },
        }
        for field in schemas[schema_id]["fields"]
    ]


def _database(name: str) -> Document:
    return {"Name": name, "CatalogId": ACCOUNT}


def _structure(table: Document) -> tuple[object, ...]:
    storage = table["StorageDescriptor"]
    columns = [(column["Name"], column.get("Type")) for column in storage["Columns"]]
    return columns, storage.get("Location", ""), table.get("TableType")


def _comments(table: Document) -> dict[str, str]:
    columns = table["StorageDescriptor"]["Columns"]
    return {column["Name"]: column.get("Comment", "") for column in columns}
