"""The Iceberg REST catalog, asked directly: what Glue would know of databases, tables and views."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import quote

from lakehouse.services.athena.aws_error import AwsError

_TOKEN_SECONDS = 600
_REQUEST_SECONDS = 30


class NotThere(Exception):
    """The catalog has no such object."""


class RestCatalog:
    """A thin client. Thread-safe: each request is a connection of its own pool."""

    def __init__(self, uri: str, warehouse: str, key: str, secret: str) -> None:
        import requests

        self._uri, self._warehouse, self._key, self._secret = uri, warehouse, key, secret
        self._session = requests.Session()
        self._lock = threading.Lock()
        self._until = 0.0
        self._prefix = ""

    def namespaces(self) -> list[str]:
        """Names of all databases, sorted."""
        found = self._get_all("namespaces", "namespaces")
        return sorted(levels[0] for levels in found)

    def tables(self, namespace: str) -> list[str]:
        """Names of the tables of one.

        Raises:
            NotThere: no such namespace.

        """
        return self._names(namespace, "tables")

    def views(self, namespace: str) -> list[str]:
        """Names of the views of one.

        Raises:
            NotThere: no such namespace.

        """
        return self._names(namespace, "views")

    def table(self, namespace: str, name: str) -> dict[str, Any]:
        """The catalog's document of a table: ``metadata``, ``metadata-location``.

        Raises:
            NotThere: no such table.

        """
        return self._call("GET", f"namespaces/{quote(namespace)}/tables/{quote(name)}")

    def view(self, namespace: str, name: str) -> dict[str, Any]:
        """The catalog's document of a view.

        Raises:
            NotThere: no such view.

        """
        return self._call("GET", f"namespaces/{quote(namespace)}/views/{quote(name)}")

    def set_properties(self, namespace: str, name: str, properties: dict[str, str]) -> None:
        """Set properties of a table.

        Raises:
            NotThere: no such table.

        """
        change = {"action": "set-properties", "updates": properties}
        document = {
            "identifier": {"namespace": [namespace], "name": name},
            "requirements": [],
            "updates": [change],
        }
        path = f"namespaces/{quote(namespace)}/tables/{quote(name)}"
        self._call("POST", path, json=document)

    def _names(self, namespace: str, what: str) -> list[str]:
        found = self._get_all(f"namespaces/{quote(namespace)}/{what}", "identifiers")
        return sorted(identifier["name"] for identifier in found)

    def _get_all(self, path: str, field: str) -> list[Any]:
        found: list[Any] = []
        token = ""
        while True:
            parameters = {"pageToken": token} if token else {}
            page = self._call("GET", path, params=parameters)
            found += page.get(field) or []
            token = page.get("next-page-token") or ""
            if not token:
                return found

    def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        import requests

        try:
            headers = self._authorize()
            url = "/".join(part for part in (f"{self._uri}/v1", self._prefix, path) if part)
            answer = self._session.request(
                method, url, headers=headers, timeout=_REQUEST_SECONDS, **arguments
            )
            if answer.status_code == 404:
                raise NotThere(path)
            answer.raise_for_status()
            document: dict[str, Any] = answer.json() if answer.content else {}
        except requests.RequestException as error:
            raise AwsError(
                "InternalServiceException",
                f"the lake's catalog doesn't answer ({type(error).__name__})",
                status=500,
            ) from None
        return document

    def _authorize(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() > self._until:
                answer = self._session.post(
                    f"{self._uri}/v1/oauth/tokens",
                    data={
                        "grant_type": "client_credentials",
                        "client_id": self._key,
                        "client_secret": self._secret,
                        "scope": "catalog",
                    },
                    timeout=_REQUEST_SECONDS,
                )
                answer.raise_for_status()
                self._token = answer.json()["access_token"]
                configuration = self._session.get(
                    f"{self._uri}/v1/config",
                    params={"warehouse": self._warehouse},
                    headers={"Authorization": f"Bearer {self._token}"},
                    timeout=_REQUEST_SECONDS,
                )
                configuration.raise_for_status()
                self._prefix = configuration.json().get("overrides", {}).get("prefix", "")
                self._until = time.monotonic() + _TOKEN_SECONDS
            return {"Authorization": f"Bearer {self._token}"}
