"""One published version, opened for questions: its marts, its registry, its parser, its SQL."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from chat.phrases import Person
from chat.plan import Query, Renderer
from chat.question import Parser
from chat.registry import LISTED_VALUES, RANGE, Registry, listed, read
from lakehouse import business_calendar
from lakehouse.duck import connect_published
from lakehouse.errors import DiscoverError
from lakehouse.text import key_sql, spellings_of
from lakehouse.versions import Manifest, Versions

_opened: dict[tuple[Path, str], Published] = {}
_opening = threading.Lock()


class Published:
    """Answers come from here and nowhere else: no warehouse, no other version."""

    def __init__(self, home: Path, manifest: Manifest) -> None:
        versions = Versions(home)
        self.manifest = manifest
        self.connection = connect_published(versions.marts_file(manifest.run_id))
        semantic = versions.semantic_manifest_file(manifest.run_id)
        if not semantic.exists():
            raise DiscoverError(
                f"version {manifest.run_id} has no semantic manifest", "run: discover refresh"
            )
        cache = home / "cache" / "chat" / manifest.run_id
        self.renderer = Renderer(semantic, cache)
        registry = read(json.loads(semantic.read_text()))
        self.registry = self._with_values(registry, cache / "values.json")
        if registry.past is not None:
            past = self._with_values(registry.past, cache / "past_values.json")
            published = datetime.fromisoformat(manifest.published_at)
            through = business_calendar.day_of(published, manifest.timezone)
            past = replace(past, begins=self._begins(past), through=through)
            self.registry = replace(self.registry, past=past)
        self.parser = Parser(self.registry)
        self._cities: list[str] | None = None
        self._names, self._name_key = self._name_column()
        self.today = manifest.last_business_day

    def rows(self, query: Query) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Column names and rows."""
        # A cursor each: questions of several people run beside each other.
        result = self.connection.cursor().execute(query.sql, query.parameters or None)
        names = [column[0] for column in result.description or ()]
        return names, result.fetchall()

    def figure(self, sql: str, parameters: Mapping[str, Any]) -> Any:
        """The first value of the first row."""
        rows = self.rows(Query(sql, dict(parameters)))[1]
        return rows[0][0] if rows else None

    def people(
        self, names: Sequence[str], parts: bool, predicate: str, parameters: Mapping[str, Any]
    ) -> dict[str, list[Person]]:
        """Customers whom ``predicate`` lets through, by the key of a full name or of a word of it.

        A name that nobody has as it was typed is found without its full stops too.
        """
        name = f"unnest(string_split({self._name_key}, ' '))" if parts else self._name_key
        sql = (
            f"SELECT DISTINCT name, customer_id, customer_label FROM (SELECT {name} AS name,"
            f" customer_id, customer_label FROM {self.registry.customers}"
            f"{f' JOIN {self._names} USING (customer_id)' if self._names else ''}"
            f"{' WHERE ' + predicate if predicate else ''}) WHERE name = ANY($names)"
            " OR replace(name, '.', '') = ANY($plain_names) ORDER BY customer_id"
        )
        plain = {asked: asked.replace(".", "") for asked in names}
        given = {**parameters, "names": list(names), "plain_names": list(plain.values())}
        exact: dict[str, list[Person]] = {}
        loose: dict[str, list[Person]] = {}
        for found, customer_id, label in self.rows(Query(sql, given))[1]:
            person = Person(customer_id, label)
            exact.setdefault(found, []).append(person)
            loose.setdefault(found.replace(".", ""), []).append(person)
        people = {asked: exact.get(asked) or loose.get(plain[asked]) for asked in names}
        return {asked: found for asked, found in people.items() if found}

    def spellings_of(self, city: str) -> list[str]:
        """The cities of customers that ``city`` means: none, or one.

        In a version of before cities had one spelling there may be more.
        """
        if self._cities is None:
            sql = f"SELECT DISTINCT city FROM {self.registry.customers} WHERE city IS NOT NULL"
            self._cities = [row[0] for row in self.rows(Query(f"{sql} ORDER BY city", {}))[1]]
        return spellings_of(city, self._cities)

    def _name_column(self) -> tuple[str, str]:
        """The mart and the SQL of a name's key; older versions have none stored."""
        mart = "dim_customers"
        # In full, because a cursor forgets which database is current.
        names = f"(SELECT customer_id, customer_name_key FROM marts.main.{mart})"
        stored = (
            "SELECT count(*) FROM duckdb_columns()"
            " WHERE (table_name, column_name) = ($mart, 'customer_name_key')"
        )
        if self.figure(stored, {"mart": mart}):
            return names, "customer_name_key"
        return "", key_sql("customer_name")

    def _begins(self, past: Registry) -> date | None:
        """The first day of the history."""
        relation = next(iter(past.metrics.values())).relation
        found = self.figure(f"SELECT min({RANGE[0]}) FROM {relation}", {})
        return found if isinstance(found, date) else None

    def _with_values(self, registry: Registry, file: Path) -> Registry:
        """The registry with its dimensions' values, read once a version. They name nobody."""
        try:
            values: dict[str, list[Any]] = json.loads(file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            values = {}
            for dimension in listed(registry):
                sql = (
                    f"SELECT DISTINCT {dimension.expression} AS value FROM {dimension.relation}"
                    f" WHERE value IS NOT NULL ORDER BY value LIMIT {LISTED_VALUES + 1}"
                )
                found = [row[0] for row in self.rows(Query(sql, {}))[1]]
                number = bool(found) and not isinstance(found[0], str)
                # Of numbers one tells that they are numbers; too many names can't be listed.
                values[dimension.name] = (
                    [int(found[0])] if number else found if len(found) <= LISTED_VALUES else []
                )
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(values))
            temporary.replace(file)
        return registry.with_values(values)


def opened(home: Path) -> Published:
    """The version that is published now; one connection a process and version.

    Raises:
        DiscoverError: nothing is published yet.

    """
    manifest = Versions(home).require_current()
    key = (home, manifest.run_id)
    with _opening:
        if key not in _opened:
            try:
                found = Published(home, manifest)
            except duckdb.Error as error:
                raise DiscoverError(
                    f"version {manifest.run_id} can't be opened: {str(error).splitlines()[0]}",
                    "run: discover rollback, or discover refresh --force",
                ) from None
            for other in [old for old in _opened if old[0] == home]:
                # Questions still running on it hold it open by themselves.
                del _opened[other]
            _opened[key] = found
        return _opened[key]
