"""When two texts are the same city or name: dbt's macro ``text_key``, evaluated by DuckDB.

The macro is the only definition. The marts hold what it makes of the delivered texts; here it is
asked about the words of a question, a filter or a grant, so that both sides follow one rule.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from functools import cache

import duckdb

from lakehouse.settings import REPOSITORY

MACROS = REPOSITORY / "dbt_project" / "macros"


def key_sql(expression: str, engine: str = "duckdb") -> str:
    """The SQL for the key of a text; ``default`` is the SQL of Trino and Athena."""
    return _template(engine).replace(_PLACE, expression)


def key(text: str) -> str:
    """The key of one text; texts with equal keys are the same city or name."""
    return keys([text])[text]


def keys(texts: Iterable[str]) -> dict[str, str]:
    """The key of each text. Those not asked before cost one query together."""
    given = list(dict.fromkeys(texts))
    with _lock:
        if missing := [text for text in given if text not in _known]:
            if len(_known) > _REMEMBERED:
                _known.clear()
                missing = given
            sql = f"SELECT {key_sql('given')} FROM (SELECT unnest($1::VARCHAR[]) AS given)"
            rows = _engine().execute(sql, [[_storable(text) for text in missing]]).fetchall()
            _known.update({text: row[0] for text, row in zip(missing, rows, strict=True)})
        return {text: _known[text] for text in given}


def spellings_of(asked: str, known: Sequence[str]) -> list[str]:
    """Those of ``known`` that are the text ``asked``: none, or in published marts one."""
    found = keys([asked, *known])
    return [text for text in known if found[text] == found[asked]]


_PLACE = "{{text}}"
_REMEMBERED = 50_000
_known: dict[str, str] = {}
_lock = threading.Lock()


def _storable(text: str) -> str:
    """A lone surrogate is no character, so DuckDB can't take it."""
    return text.encode("utf-8", "replace").decode()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": "1"})


@cache
def _template(engine: str) -> str:
    from jinja2 import Environment

    # Of the two files only the macros are wanted; dbt's own functions are never called.
    jinja = Environment(autoescape=False, extensions=["jinja2.ext.do"])  # noqa: S701
    engines = jinja.from_string((MACROS / "engines" / "unaccented.sql").read_text("utf-8"))
    jinja.globals["unaccented"] = getattr(engines.module, f"{engine}__unaccented")
    macro = jinja.from_string((MACROS / "text_key.sql").read_text("utf-8"))
    return str(macro.module.text_key(_PLACE))  # type: ignore[attr-defined]
