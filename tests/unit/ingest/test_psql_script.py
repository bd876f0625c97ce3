"""A psql script is read for its rows; nothing in it is run, and no row is lost silently."""

from __future__ import annotations

import pytest

from ingest.psql_script import parse
from lakehouse.errors import InputRejected

INSERT = "INSERT INTO customers (name, email, city) VALUES "


def rows(script: str) -> list[list[str | None]]:
    return [list(row.values.values()) for row in parse(script, "customers").rows]


def test_one_long_insert_over_many_lines() -> None:
    script = f"""\\c banking_data
-- people; of 'all' kinds
/* two /* nested */ comments; */
{INSERT}
('Siobhán O''Brien', 'siobhan@example.com', 'St. John''s'),  -- note
('a;b -- c', 'x@example.com', NULL);
"""
    assert rows(script) == [
        ["Siobhán O'Brien", "siobhan@example.com", "St. John's"],
        ["a;b -- c", "x@example.com", None],
    ]
    assert [row.line for row in parse(script, "customers").rows] == [5, 6]


def test_statements_other_than_insert_are_named_not_run() -> None:
    script = f"CREATE TABLE customers (x int); DROP TABLE customers; {INSERT}('a', 'b', 'c')"
    found = parse(script, "customers")
    assert found.not_run == ["CREATE TABLE", "DROP TABLE"]
    assert len(found.rows) == 1


def test_spelling_of_names_is_postgres_own() -> None:
    assert rows("insert into CUSTOMERS (\"name\", Email) values ('a', 'b');") == [["a", "b"]]
    assert rows("INSERT INTO customers (customer_id, name) VALUES (17, 'a');") == [["17", "a"]]


@pytest.mark.parametrize("command", ["c bank", "c bank;", "connect bank me host 5432", "echo a; b"])
def test_commands_that_change_no_row_are_passed_over(command: str) -> None:
    assert rows(f"\\{command}\n\\timing\n{INSERT}('a', 'b', 'c');") == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("INSERT INTO loans (a) VALUES ('x');", "another table"),
        ("INSERT INTO customers VALUES ('x');", "name"),
        (f"{INSERT}('a', 'b');", "2 values for 3"),
        (f"{INSERT}('a', 'b', 'c') ON CONFLICT DO NOTHING;", "after a row"),
        (f"{INSERT}('a', 'b', 'c'), ('d", "plain values"),
        (f"{INSERT}('a', 'b', ", "never closed"),
        (f"{INSERT}('a', E'b\\n', 'c');", "plain values|can be read"),
        (f"{INSERT}('a', lower('B'), 'c');", "plain values"),
        (f"{INSERT}('a', 'b' || 'x', 'c');", "plain values"),
        (f"{INSERT}('a', 1.5, 'c');", "can be read"),
        ("INSERT INTO customers (name) SELECT name FROM people;", "VALUES is missing"),
        ("COPY customers FROM '/etc/passwd';", "COPY can't be read"),
        ("WITH x AS (SELECT 1) INSERT INTO customers (name) VALUES ('a');", "WITH can't"),
        ("/* open", "never closed"),
        (f"INSERTX INTO customers (name) VALUES ('a'); {INSERT}('a', 'b', 'c');", "can't be read"),
        ("\\NSERT INTO customers (name) VALUES ('a');", "can't be passed over"),
        ("\\i more.sql", "can't be passed over"),
        ("\\copy customers from 'x.csv'", "can't be passed over"),
        (f"\\c bank{INSERT}('a', 'b', 'c');", "can't be passed over"),
        (f"\\echo loading {INSERT}('a', 'b', 'c');", "a statement stands behind"),
    ],
)
def test_an_insert_that_cannot_be_read_is_an_error(script: str, reason: str) -> None:
    with pytest.raises(InputRejected, match=reason):
        parse(script, "customers")
