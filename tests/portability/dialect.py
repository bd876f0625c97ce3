"""Is this SQL written so that Trino and Athena run it as DuckDB does? Answered without an engine.

sqlglot reads more than its dialects allow (``QUALIFY``, ``::``, ``GROUP BY ALL``), so what stands
in a statement is compared with what may: functions as they are written with Trino's own list, all
else with the short list of constructs that the project needs. Something new is one line more here,
once it has been seen on the engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.tokens import Token, TokenType

ENGINES = ("trino", "athena")

FUNCTIONS_FILE = Path(__file__).with_name("trino_functions.txt")

Columns = dict[str, dict[str, dict[str, dict[str, str]]]]
"""Types by database, schema, relation and column: what a statement may name."""

_BARE_TRIM = "takes tabs on Trino, no-break spaces on DuckDB: write trim(both ' ' from …)"
_BEFORE_THE_FIRST = "from 0 or before the first character the engines count otherwise"
DIFFERENT = {
    "concat": "one NULL makes it NULL on Trino, DuckDB leaves NULLs out: use ||",
    "contains": "Trino's is for arrays: write strpos(…) > 0",
    "date_diff": "Trino counts whole units, DuckDB the boundaries between",
    "greatest": "one NULL makes it NULL on Trino, DuckDB leaves NULLs out: use case",
    "least": "one NULL makes it NULL on Trino, DuckDB leaves NULLs out: use case",
    "listagg": "Trino's wants WITHIN GROUP: write dbt.listagg",
    "log": "Trino's wants a base: write ln or log10",
    "ltrim": _BARE_TRIM,
    "md5": "Trino's is of bytes, DuckDB's of text",
    "millisecond": "DuckDB counts the seconds in",
    "regexp_extract": "what isn't found is NULL on Trino, '' on DuckDB",
    "regexp_replace": "replaces all on Trino, the first on DuckDB",
    "reverse": "DuckDB keeps composed characters together",
    "rtrim": _BARE_TRIM,
    "split_part": "past the end it is NULL on Trino, '' on DuckDB",
    "substr": _BEFORE_THE_FIRST,
    "substring": _BEFORE_THE_FIRST,
    "trim": _BARE_TRIM,
    "upper": "of ß it is ẞ on DuckDB",
}
"""Functions of both engines that don't mean the same."""
_MEANT = {"both", "normalize"}
"""What follows the parenthesis where such a function is meant: trim() that says which blanks, and
regexp_replace() in `unaccented`, which DuckDB never gets."""

_COUNTED_DIFFERENTLY = {"dow", "dayofweek", "day_of_week", "millisecond"}

# Followed by "(" without being functions of SHOW FUNCTIONS.
_GRAMMAR = {"all", "and", "any", "as", "between", "by", "case", "distinct", "else", "exists"}
_GRAMMAR |= {"filter", "from", "group", "having", "in", "intersect", "join", "like", "not", "on"}
_GRAMMAR |= {"or", "over", "partition", "select", "then", "union", "using", "values", "when"}
_GRAMMAR |= {"where", "with", "cast", "try_cast", "coalesce", "nullif", "if", "extract"}
_TYPES = {"bigint", "boolean", "date", "decimal", "double", "integer", "timestamp", "varchar"}
_PUNCTUATION = set("(),.+-*/%=<>") | {"<>", "!=", "<=", ">=", "||"}

_WHOLE = {
    "Add",
    "Alias",
    "And",
    "Anonymous",
    "AtTimeZone",
    "Between",
    "Boolean",
    "CTE",
    "Case",
    "Cast",
    "Column",
}
_WHOLE |= {"DPipe", "DataType", "DataTypeParam", "Div", "EQ", "Except", "Exists", "Filter", "From"}
_WHOLE |= {"GT", "GTE", "Having", "Identifier", "If", "In", "Intersect", "Is", "LT", "LTE", "Like"}
_WHOLE |= {"Limit", "Literal", "Mod", "Mul", "NEQ", "Neg", "Not", "Null", "Or", "Order", "Ordered"}
_WHOLE |= {"Paren", "Sub", "Subquery", "TableAlias", "TryCast", "Tuple", "Union", "Values", "Var"}
_WHOLE |= {"Where", "Window", "WindowSpec"}
_IN_PART = {
    "Distinct": {"expressions"},
    "Group": {"expressions"},
    "Join": {"this", "side", "kind", "on", "using"},
    "Select": {"with_", "expressions", "from_", "joins", "where", "group", "having", "order"}
    | {"limit", "distinct"},
    "Star": set[str](),
    "Table": {"this", "db", "catalog", "alias"},
    "With": {"expressions"},
}
"""sqlglot's names of what may stand in a statement beside functions, and with which parts."""
_JOINS = {f"{side} {kind}".strip() for side in ("LEFT", "RIGHT", "FULL") for kind in ("", "OUTER")}
_JOINS |= {"", "CROSS", "INNER"}


def findings(sql: str, engine: str, columns: Columns | None = None) -> list[str]:
    """What an engine would refuse, or read otherwise than DuckDB does; empty is portable.

    Args:
        sql: one statement, as dbt or MetricFlow rendered it.
        engine: sqlglot's name of the dialect.
        columns: where given, each column must be one of them or of a query in the statement.

    """
    try:
        tokens = Dialect.get_or_raise(engine).tokenize(sql)
        tree = sqlglot.parse_one(sql, dialect=engine)
    except SqlglotError as error:
        return [f"doesn't parse: {str(error).splitlines()[0]}"]
    found = [*_written(tokens, tree), *_structure(tokens, tree)]
    if columns is not None and not found:
        found += _unknown_columns(tree, engine, columns)
    return list(dict.fromkeys(found))


@cache
def trino_functions() -> frozenset[str]:
    """The names that Trino answers to ``SHOW FUNCTIONS``."""
    lines = FUNCTIONS_FILE.read_text().splitlines()
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _written(tokens: list[Token], tree: exp.Expression) -> Iterator[str]:
    """Functions, types and operators, by the words in which they are written."""
    relations = {node.name.lower() for node in tree.find_all(exp.TableAlias, exp.CTE) if node.name}
    relations |= {node.alias.lower() for node in tree.find_all(exp.CTE, exp.Subquery)}
    enclosing = [""]
    for position, token in enumerate(tokens):
        word = token.text.lower()
        before = tokens[position - 1].text.lower() if position else ""
        if token.token_type is TokenType.L_PAREN:
            is_name = before[:1].isalpha() or before[:1] == "_"
            enclosing.append(before if is_name else "")
            if is_name and before not in _GRAMMAR | _TYPES | relations:
                if before not in trino_functions():
                    yield f"function {before} is unknown to Trino"
                elif before in DIFFERENT and tokens[position + 1].text.lower() not in _MEANT:
                    yield f"function {before}: {DIFFERENT[before]}"
        elif token.token_type is TokenType.R_PAREN:
            enclosing.pop()
        elif before == "as" and enclosing[-1] in {"cast", "try_cast"} and word not in _TYPES:
            yield f"type {word} is not one of the project's"
        if not any(character.isalnum() or character == "_" for character in token.text):
            quoted = token.token_type in {TokenType.STRING, TokenType.IDENTIFIER}
            if not quoted and token.text not in _PUNCTUATION:
                yield f"operator {token.text} is not among the portable ones"


def _structure(tokens: list[Token], tree: exp.Expression) -> Iterator[str]:
    selects = sum(token.token_type is TokenType.SELECT for token in tokens)
    if selects != sum(1 for _ in tree.find_all(exp.Select)):
        yield "FROM without SELECT"
    for node in tree.walk():
        kind = type(node).__name__
        if kind in _IN_PART:
            parts = {name for name, value in node.args.items() if value}
            for part in sorted(parts - _IN_PART[kind]):
                yield f"{kind} with {part.strip('_')} is not among the portable constructs"
        elif kind not in _WHOLE and not isinstance(node, exp.Func):
            yield f"{kind} is not among the portable constructs"
        if isinstance(node, exp.Join) and f"{node.side} {node.kind}".strip() not in _JOINS:
            yield f"{node.side} {node.kind} JOIN is not Trino's".replace("  ", " ")
        if isinstance(node, exp.Column) and node.name.lower() == "all" and not node.this.quoted:
            yield "ORDER BY ALL is not Trino's"
        if isinstance(node, exp.Extract) and node.name.lower() in _COUNTED_DIFFERENTLY:
            yield f"extract({node.name} …) counts otherwise on DuckDB"
        if isinstance(node, exp.AtTimeZone) and node.this.name.lower() != "with_timezone":
            yield "a plain timestamp AT TIME ZONE is UTC's on Trino: write bank_time()"
        if isinstance(node, exp.Having):
            yield from _aliases_in(node)
        if isinstance(node, exp.Div) and not (
            isinstance(node.this, exp.Cast) and node.this.to.is_type("double")
        ):
            yield "7 / 2 is 3 on Trino, 3.5 on DuckDB: cast what is divided to double"
        if isinstance(node, exp.DataType) and node.is_type("varchar") and node.expressions:
            yield "varchar(n) cuts on Trino, DuckDB leaves the text whole"


def _aliases_in(having: exp.Having) -> Iterator[str]:
    """What sqlglot's scopes let pass: HAVING comes before the columns have their aliases."""
    assert isinstance(having.parent, exp.Select)
    aliases = {found.alias for found in having.parent.selects if isinstance(found, exp.Alias)}
    for column in having.find_all(exp.Column):
        if column.name in aliases and not column.table:
            yield f"columns: HAVING knows no alias {column.name}"


def _unknown_columns(tree: exp.Expression, engine: str, columns: Columns) -> Iterator[str]:
    """DuckDB lets a column's alias stand in WHERE, GROUP BY and other columns; Trino doesn't."""
    try:
        qualify(
            tree.copy(),
            dialect=engine,
            schema=columns,
            expand_alias_refs=False,
            quote_identifiers=False,
        )
    except SqlglotError as error:
        yield f"columns: {str(error).splitlines()[0]}"
