"""A city or a name is the same one on every engine."""

from __future__ import annotations

from typing import Any

from lakehouse.settings import Settings, ports
from lakehouse.text import key_sql, keys
from tests.portability.texts import TEXTS


def test_trino_gives_every_text_the_key_that_duckdb_gives(lake: Settings) -> None:
    from trino.dbapi import connect

    rows = ", ".join("('" + text.replace("'", "''") + "')" for text in TEXTS)
    query = f"select given, {key_sql('given', 'default')} from (values {rows}) as t (given)"
    with connect(host="127.0.0.1", port=ports(lake.home)["trino"]["http"], user="test") as trino:
        cursor = trino.cursor()
        cursor.execute(query)
        found: dict[str, Any] = dict(tuple(row) for row in cursor.fetchall())
    expected = keys(TEXTS)
    assert {text: key for text, key in found.items() if key != expected[text]} == {}
    assert len(found) == len(set(TEXTS))
