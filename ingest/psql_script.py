"""Reads the rows out of a psql script that fills one table. Nothing of the script is ever run.

Understood: comments, backslash commands such as the one that connects (passed over), and
``INSERT INTO customers (columns) VALUES (…), (…);`` with strings, whole numbers and NULL. Other
statements that Postgres knows are named, not run. What can't be read is an error, because its rows
would be lost: also a statement or a backslash command that psql doesn't know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from lakehouse.errors import InputRejected

_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\r\n\f\v]+ | --[^\n]*)
  | (?P<command>(?m:^)[ \t]*\\[^\n]*)
  | (?P<escape>[eEbBxX]'|[uU]&['"]|\$)
  | (?P<string>'(?:[^']|'')*')
  | (?P<name>"(?:[^"]|"")*" | [A-Za-z_][A-Za-z0-9_]*)
  | (?P<number>-?[0-9]+(?![0-9A-Za-z_.]))
  | (?P<sign>[(),;.])
    """,
    re.VERBOSE,
)
# Commands that neither read other files nor send what was typed so far.
_COMMAND = re.compile(
    r"[ \t]*\\(?:(?:c|connect)(?:[ \t]+[^\s;]+){0,4}[ \t]*;?[ \t]*"
    r"|(?:conninfo|echo|qecho|warn|set|unset|pset|encoding|timing|x|a|t|f|H|r|p|prompt|restrict"
    r"|unrestrict)(?:[ \t].*)?)"
)
_STATEMENT = re.compile(r"insert|values|\(", re.IGNORECASE)
_KNOWN_STATEMENTS = re.compile(
    r"ABORT|ALTER|ANALYZE|BEGIN|CALL|CHECKPOINT|CLOSE|CLUSTER|COMMENT|COMMIT|CREATE"
    r"|DEALLOCATE|DECLARE|DELETE|DISCARD|DO|DROP|END|EXECUTE|EXPLAIN|FETCH|GRANT|IMPORT"
    r"|LISTEN|LOAD|LOCK|MERGE|MOVE|NOTIFY|PREPARE|REASSIGN|REFRESH|REINDEX|RELEASE|RESET"
    r"|REVOKE|ROLLBACK|SAVEPOINT|SECURITY|SELECT|SET|SHOW|START|TABLE|TRUNCATE|UNLISTEN"
    r"|UPDATE|VACUUM|VALUES"
)
_COMMENT_PART = re.compile(r"/\*|\*/")


@dataclass(frozen=True)
class Row:
    """One row to insert: values by column (None is NULL), and the line on which it starts."""

    line: int
    values: dict[str, str | None]


@dataclass
class Script:
    """What a script says."""

    rows: list[Row] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    """First words of statements that fill no table."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    line: int


def parse(text: str, table: str) -> Script:
    """The rows that a script inserts into ``table``.

    Raises:
        InputRejected: a statement that inserts can't be read, or is for another table.

    """
    script = Script()
    statement: list[_Token] = []
    for token in _tokens(text):
        if token.kind == "command" and not statement:
            _expect_harmless(token)
            continue
        if token.text == ";" and token.kind == "sign":
            _take(statement, table, script)
            statement = []
        else:
            statement.append(token)
    # Like psql, which runs what stands at the end of a file without a semicolon.
    _take(statement, table, script)
    return script


def _tokens(text: str) -> Iterator[_Token]:
    position, line = 0, 1
    while position < len(text):
        if text.startswith("/*", position):
            end = _end_of_comment(text, position, line)
            line += text.count("\n", position, end)
            position = end
            continue
        match = _TOKEN.match(text, position)
        kind = match.lastgroup if match else "other"
        found = match.group() if match else text[position]
        if kind != "blank":
            yield _Token(str(kind), found, line)
        line += found.count("\n")
        position += len(found)


def _end_of_comment(text: str, position: int, line: int) -> int:
    depth = 0
    for part in _COMMENT_PART.finditer(text, position):
        depth += 1 if part.group() == "/*" else -1
        if depth == 0:
            return part.end()
    raise _unreadable(_Token("comment", "/*", line), "a comment that is never closed")


def _expect_harmless(command: _Token) -> None:
    if not _COMMAND.fullmatch(command.text):
        raise _unreadable(command, f"{command.text.strip()[:40]!r} can't be passed over")
    if _STATEMENT.search(command.text):
        raise _unreadable(command, "a statement stands behind a backslash command")


def _take(statement: list[_Token], table: str, script: Script) -> None:
    if not statement:
        return
    words = [token.text.upper() for token in statement[:2]]
    if _KNOWN_STATEMENTS.fullmatch(words[0]):
        script.not_run.append(" ".join(words))
        return
    if words != ["INSERT", "INTO"]:
        raise _unreadable(statement[0], f"{words[0][:40]} can't be read, only INSERT INTO … VALUES")
    rest = iter(statement[2:])
    if _table(rest, statement[0]) != table:
        raise _unreadable(statement[0], f"it fills another table than {table}")
    columns = [_name(token) for token in _list(rest, statement[0])]
    if len(set(columns)) != len(columns):
        raise _unreadable(statement[0], "a column is named twice")
    values = next(rest, None)
    if values is None or values.text.upper() != "VALUES":
        raise _unreadable(statement[0], "VALUES is missing")
    while True:
        row = _list(rest, statement[0])
        if len(row) != len(columns):
            raise _unreadable(row[0], f"{len(row)} values for {len(columns)} columns")
        named = {name: _value(token) for name, token in zip(columns, row, strict=True)}
        script.rows.append(Row(row[0].line, named))
        separator = next(rest, None)
        if separator is None:
            return
        if separator.text != ",":
            raise _unreadable(separator, f"{separator.text[:40]!r} after a row")


def _table(rest: Iterator[_Token], start: _Token) -> str:
    token = next(rest, None)
    if token is None or token.kind != "name":
        raise _unreadable(start, "no table is named")
    return _name(token)


def _list(rest: Iterator[_Token], start: _Token) -> list[_Token]:
    """The items of ``(a, b, …)``."""
    opening = next(rest, None)
    if opening is None or opening.text != "(":
        raise _unreadable(opening or start, "an opening parenthesis is missing")
    items: list[_Token] = []
    for item in rest:
        separator = next(rest, None)
        if separator is None:
            break
        items.append(item)
        if separator.text == ")" and separator.kind == "sign":
            return items
        if separator.text != "," or separator.kind != "sign":
            raise _unreadable(separator, "only plain values can be read")
    raise _unreadable(opening, "a parenthesis is never closed")


def _name(token: _Token) -> str:
    if token.kind != "name":
        raise _unreadable(token, f"{token.text[:40]!r} where a name belongs")
    if token.text.startswith('"'):
        return token.text[1:-1].replace('""', '"')
    return token.text.lower()


def _value(token: _Token) -> str | None:
    if token.kind == "string":
        return token.text[1:-1].replace("''", "'")
    if token.kind == "number":
        return token.text
    if token.kind == "name" and token.text.upper() == "NULL":
        return None
    raise _unreadable(token, "only strings, whole numbers and NULL can be read as values")


def _unreadable(token: _Token, why: str) -> InputRejected:
    return InputRejected(
        f"line {token.line} of the script: {why}",
        "nothing was loaded; deliver INSERT INTO customers (name, email, city) VALUES …, or a CSV",
    )
