"""The Athena calls. What isn't known is named, never guessed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from lakehouse.services.athena.aws_error import AwsError, invalid_request
from lakehouse.services.athena.executions import Ask, Executions, document
from lakehouse.services.athena.glue import ACCOUNT, Glue
from lakehouse.services.athena.paging import Pages
from lakehouse.services.athena.results import MAX_PAGE
from lakehouse.services.athena.sql import CATALOG

WORK_GROUP = "primary"

Document = dict[str, Any]

_LISTED = 50
_START = {
    "QueryString",
    "ClientRequestToken",
    "QueryExecutionContext",
    "ResultConfiguration",
    "WorkGroup",
    "ResultReuseConfiguration",
}


class Athena:
    """Answers Athena's calls."""

    def __init__(self, executions: Executions, glue: Glue) -> None:
        self._executions, self._glue = executions, glue

    def answer(self, action: str, body: Document) -> Document:
        """The answer to one call.

        Raises:
            AwsError: in Athena's words; for a call that isn't known, naming it.

        """
        known: dict[str, Callable[[Document], Document]] = {
            "StartQueryExecution": self._start,
            "GetQueryExecution": self._get,
            "BatchGetQueryExecution": self._get_batch,
            "ListQueryExecutions": self._list,
            "StopQueryExecution": self._stop,
            "GetQueryResults": self._results,
            "GetWorkGroup": self._work_group,
            "GetDataCatalog": self._data_catalog,
            "ListDataCatalogs": self._data_catalogs,
            "GetDatabase": self._database,
            "ListDatabases": self._databases,
            "GetTableMetadata": self._table,
            "ListTableMetadata": self._tables,
        }
        if action not in known:
            raise AwsError(
                "UnknownOperationException", f"Athena {action} is not known to this local Athena"
            )
        return known[action](body)

    def _start(self, body: Document) -> Document:
        unknown = sorted(set(body) - _START)
        if unknown:
            raise invalid_request(f"{', '.join(unknown)} is not known to this local Athena")
        _require_work_group(body.get("WorkGroup", WORK_GROUP))
        context = body.get("QueryExecutionContext", {})
        _require_catalog(context.get("Catalog", CATALOG))
        location = body.get("ResultConfiguration", {}).get("OutputLocation")
        if not location:
            raise invalid_request(
                "No output location provided. An output location is required either through the "
                "Workgroup result configuration setting or as an API input."
            )
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/.*)?", location):
            raise invalid_request("outputLocation is not a valid S3 path.")
        ask = Ask(body["QueryString"], context.get("Database", "default").lower(), location)
        return {"QueryExecutionId": self._executions.start(ask, body.get("ClientRequestToken"))}

    def _get(self, body: Document) -> Document:
        return {"QueryExecution": document(self._executions.get(body["QueryExecutionId"]))}

    def _get_batch(self, body: Document) -> Document:
        found, missing = [], []
        for query_id in body["QueryExecutionIds"]:
            try:
                found.append(document(self._executions.get(query_id)))
            except AwsError as error:
                missing.append({"QueryExecutionId": query_id, "ErrorMessage": error.message})
        return {"QueryExecutions": found, "UnprocessedQueryExecutionIds": missing}

    def _list(self, body: Document) -> Document:
        _require_work_group(body.get("WorkGroup", WORK_GROUP))
        ids, token = Pages(body, _LISTED).cut(self._executions.ids())
        return {"QueryExecutionIds": ids, **token}

    def _stop(self, body: Document) -> Document:
        self._executions.stop(body["QueryExecutionId"])
        return {}

    def _results(self, body: Document) -> Document:
        limit = int(body.get("MaxResults", MAX_PAGE))
        if limit > MAX_PAGE:
            raise invalid_request(f"MaxResults is more than maximum allowed length {MAX_PAGE}.")
        if limit < 1:
            raise invalid_request("MaxResults is less than minimum allowed length 1.")
        return self._executions.results(body["QueryExecutionId"], limit, body.get("NextToken"))

    def _work_group(self, body: Document) -> Document:
        _require_work_group(body["WorkGroup"])
        return {
            "WorkGroup": {
                "Name": WORK_GROUP,
                "State": "ENABLED",
                "Configuration": {
                    "ResultConfiguration": {},
                    "EnforceWorkGroupConfiguration": False,
                    "EngineVersion": {
                        "SelectedEngineVersion": "AUTO",
                        "EffectiveEngineVersion": "Athena engine version 3",
                    },
                },
            }
        }

    def _data_catalog(self, body: Document) -> Document:
        _require_catalog(body["Name"])
        catalog = {
            "Name": "AwsDataCatalog",
            "Type": "GLUE",
            "Parameters": {"catalog-id": ACCOUNT},
        }
        return {"DataCatalog": catalog}

    def _data_catalogs(self, _body: Document) -> Document:
        return {"DataCatalogsSummary": [{"CatalogName": "AwsDataCatalog", "Type": "GLUE"}]}

    def _database(self, body: Document) -> Document:
        _require_catalog(body["CatalogName"])
        with _MetadataErrors():
            return {"Database": {"Name": self._glue.database(body["DatabaseName"])["Name"]}}

    def _databases(self, body: Document) -> Document:
        _require_catalog(body["CatalogName"])
        names = [{"Name": database["Name"]} for database in self._glue.databases()]
        found, token = Pages(body, _LISTED).cut(names)
        return {"DatabaseList": found, **token}

    def _table(self, body: Document) -> Document:
        _require_catalog(body["CatalogName"])
        with _MetadataErrors():
            table = self._glue.table(body["DatabaseName"], body["TableName"])
        return {"TableMetadata": table_metadata(table)}

    def _tables(self, body: Document) -> Document:
        _require_catalog(body["CatalogName"])
        pattern = re.compile(body.get("Expression") or ".*", re.IGNORECASE)
        database = body["DatabaseName"]
        with _MetadataErrors():
            names = [name for name in self._glue.table_names(database) if pattern.search(name)]
            cut, token = Pages(body, _LISTED).cut(names)
            found = [table_metadata(self._glue.table(database, name)) for name in cut]
        return {"TableMetadataList": found, **token}


def table_metadata(table: Document) -> Document:
    """Glue's ``Table`` as Athena's ``TableMetadata``."""
    columns = [
        {key: column[key] for key in ("Name", "Type", "Comment") if key in column}
        for column in table["StorageDescriptor"]["Columns"]
    ]
    location = table["StorageDescriptor"]["Location"]
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "LastAccessTime": 0,
        "TableType": table["TableType"],
        "Columns": columns,
        "PartitionKeys": [],
        "Parameters": {**table["Parameters"], **({"location": location} if location else {})},
    }


class _MetadataErrors:
    """Athena calls every failure to read metadata by one name."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AwsError) and error.code == "EntityNotFoundException":
            raise AwsError("MetadataException", error.message) from None


def _require_work_group(name: str) -> None:
    if name != WORK_GROUP:
        raise invalid_request(f"WorkGroup {name} is not found.")


def _require_catalog(name: str) -> None:
    if name.lower() != CATALOG:
        raise invalid_request(f"DataCatalog {name} was not found")
