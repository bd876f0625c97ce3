"""psql scripts of many kinds: Postgres decides what they leave, and that is what is taken."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ingest.sql_script import Outcome, passed_over, problems, run_script, start_psql
from lakehouse import postgres_wheel
from lakehouse.errors import InputRejected
from lakehouse.scratch import scratch_folder
from lakehouse.scratch_postgres import scratch_postgres

DISCOVER = Path(sys.executable).with_name("discover")
TABLE = """CREATE TABLE customers (
    customer_id serial PRIMARY KEY,
    name varchar(100), email varchar(100) UNIQUE, city varchar(50)
);
"""
TRIGGER = "CREATE TRIGGER t BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION f();\n"
INSERT = "INSERT INTO customers (name, email, city) VALUES "
ANN = "('Ann Ray', 'ann@example.com', 'Toronto')"
BO = "('Bo Lee', 'bo@example.com', 'Calgary')"
ANN_1, BO_1, BO_2 = (
    ["1", "Ann Ray", "ann@example.com", "Toronto"],
    ["1", "Bo Lee", "bo@example.com", "Calgary"],
    ["2", "Bo Lee", "bo@example.com", "Calgary"],
)


@pytest.fixture(scope="module", autouse=True)
def _one_initdb() -> Iterator[None]:
    """Let initdb run once and copy its cluster: that is faster."""
    with (
        tempfile.TemporaryDirectory(prefix="discover-script-") as made,
        pytest.MonkeyPatch.context() as patch,
    ):
        first = Path(made) / "cluster"

        really_run = postgres_wheel.run

        def initdb(words: list[str], user: str | None) -> None:
            (data,) = [word.partition("=")[2] for word in words if word.startswith("--pgdata=")]
            if not first.exists():
                really_run(words, user)
                subprocess.run(["cp", "-a", data, first], check=True)
            else:
                subprocess.run(["cp", "-a", f"{first}/.", data], check=True)

        patch.setattr("lakehouse.postgres_wheel.run", initdb)
        yield


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder to which Postgres' own user has a way; pytest shuts the one to its own."""
    with tempfile.TemporaryDirectory(prefix="discover-script-") as made:
        yield Path(made)


def outcome(folder: Path, script: str | bytes, seconds: int = 60) -> Outcome:
    path = folder / "script.sql"
    path.write_bytes(script.encode() if isinstance(script, str) else script)
    return run_script(path, "script.sql", folder, seconds)


def rows(found: Outcome) -> list[list[str]]:
    with found.rows.open(newline="", encoding="utf-8") as stream:
        header, *others = csv.reader(stream)
    assert header == ["customer_id", "name", "email", "city"]
    return others


GOOD = {
    "INSERT alone, into the table that the bank has": (f"{INSERT}{ANN}, {BO};", [ANN_1, BO_2]),
    "no semicolon at the end": (f"{INSERT}{ANN}, {BO}", [ANN_1, BO_2]),
    "it creates the table": (f"{TABLE}{INSERT}{ANN};", [ANN_1]),
    "it creates the table where there is none": (
        TABLE.replace("TABLE", "TABLE IF NOT EXISTS") + f"{INSERT}{ANN};",
        [ANN_1],
    ),
    "it drops the table first": (
        f"DROP TABLE IF EXISTS customers CASCADE;\n{TABLE}{INSERT}{ANN};",
        [ANN_1],
    ),
    "it drops a table that has to exist": (
        f"DROP TABLE customers;\n{TABLE}{INSERT}{ANN};",
        [ANN_1],
    ),
    "it creates the database and connects to it": (
        (
            f"DROP DATABASE IF EXISTS banking_data;\nCREATE DATABASE banking_data;\n"
            f"\\c banking_data;\n{TABLE}{INSERT}{ANN};"
        ),
        [ANN_1],
    ),
    "a database of a locale that this machine lacks": (
        (
            "CREATE DATABASE banking_data LOCALE 'en_CA.UTF-8';\n"
            f'\\connect "banking_data"\n{INSERT}{ANN};'
        ),
        [ANN_1],
    ),
    "comments hide nothing": (
        f"-- INSERT INTO customers\n/* a /* nested */ {INSERT}{BO}; */ {INSERT}{ANN}; -- {BO}",
        [ANN_1],
    ),
    "dollar quotes hide nothing": (
        f"{INSERT}{ANN};\nCOMMENT ON TABLE customers IS $$The bank's customers$$;\n{INSERT}{BO};",
        [ANN_1, BO_2],
    ),
    "a function that nobody calls": (
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n"
            f"{INSERT}{BO}; END $$;\n{INSERT}{ANN};"
        ),
        [ANN_1],
    ),
    "a function that is called": (
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN\n"
            f"{INSERT}{BO}; END $$;\nSELECT f();"
        ),
        [BO_1],
    ),
    "a DO block": (
        (
            "DO $$ BEGIN FOR n IN 1..3 LOOP INSERT INTO customers (name, email, city)"
            " VALUES ('N' || n, 'n' || n || '@example.com', 'Regina'); END LOOP; END $$;"
        ),
        [[str(n), f"N{n}", f"n{n}@example.com", "Regina"] for n in (1, 2, 3)],
    ),
    "a DO block that passes over a table that isn't there": (
        f"DO $$ BEGIN {INSERT}{ANN}; EXCEPTION WHEN undefined_table THEN NULL; END $$;",
        [ANN_1],
    ),
    "a trigger": (
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN NEW.city := 'Halifax'; RETURN NEW; END $$;\n"
            f"{TABLE}{TRIGGER}"
            f"{INSERT}{ANN};"
        ),
        [[*ANN_1[:3], "Halifax"]],
    ),
    "triggers that a dump of data switches off": (
        (
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RETURN NULL; END $$;\n"
            f"{TABLE}{TRIGGER}"
            f"SET session_replication_role = replica;\n{INSERT}{ANN};"
        ),
        [ANN_1],
    ),
    "a transaction that is rolled back": (
        f"BEGIN;\n{INSERT}{ANN};\nROLLBACK;\nBEGIN;\n{INSERT}{BO};\nCOMMIT;",
        [BO_2],
    ),
    "a transaction that is never committed": (f"{INSERT}{ANN};\nBEGIN;\n{INSERT}{BO};", [ANN_1]),
    "a savepoint": (
        f"BEGIN;\n{INSERT}{ANN};\nSAVEPOINT s;\n{INSERT}{BO};\nROLLBACK TO s;\nCOMMIT;",
        [ANN_1],
    ),
    "UPDATE and DELETE": (
        (
            f"{INSERT}{ANN}, {BO};\nUPDATE customers SET city = 'Montreal'"
            " WHERE name = 'Ann Ray';\n"
            "DELETE FROM customers WHERE name = 'Bo Lee';"
        ),
        [[*ANN_1[:3], "Montreal"]],
    ),
    "TRUNCATE": (f"{INSERT}{BO};\nTRUNCATE customers RESTART IDENTITY;\n{INSERT}{ANN};", [ANN_1]),
    "ON CONFLICT": (
        f"{INSERT}{ANN};\n{INSERT}{ANN} ON CONFLICT (email) DO UPDATE SET city = 'Regina';",
        [[*ANN_1[:3], "Regina"]],
    ),
    "a temporary table that is copied from": (
        (
            "CREATE TEMP TABLE t (n text);\nINSERT INTO t VALUES ('Ann Ray');\n"
            "INSERT INTO customers (name, email, city) SELECT n, 'ann@example.com', 'Toronto'"
            " FROM t;"
        ),
        [ANN_1],
    ),
    "WITH and RETURNING": (
        f"WITH x AS ({INSERT}{ANN} RETURNING customer_id) SELECT * FROM x;",
        [ANN_1],
    ),
    "COPY": (
        (
            "COPY customers (name, email, city) FROM stdin;\n"
            "Ann Ray\tann@example.com\tToronto\nBo Lee\tbo@example.com\tCalgary\n\\.\n"
            "SELECT setval('customers_customer_id_seq', 2);"
        ),
        [ANN_1, BO_2],
    ),
    "COPY of CSV": (
        (
            "COPY public.customers FROM stdin WITH (FORMAT csv);\n"
            '1,Ann Ray,ann@example.com,Toronto\n2,"Bo Lee",bo@example.com,Calgary\n\\.\n'
        ),
        [ANN_1, BO_2],
    ),
    "ids of the script": (
        "INSERT INTO customers VALUES (17, 'Ann Ray', 'ann@example.com', 'Toronto');",
        [["17", *ANN_1[1:]]],
    ),
    "DEFAULT as id": (
        (
            "INSERT INTO customers VALUES (DEFAULT, 'Ann Ray', 'ann@example.com', 'Toronto'),"
            " (DEFAULT, 'Bo Lee', 'bo@example.com', 'Calgary');"
        ),
        [ANN_1, BO_2],
    ),
    "an identity column, overridden": (
        TABLE.replace("serial", "int GENERATED ALWAYS AS IDENTITY")
        + f"INSERT INTO customers OVERRIDING SYSTEM VALUE VALUES (2, {BO[1:]};\n{INSERT}{ANN};",
        [ANN_1, BO_2],
    ),
    "an id that a refused row has used up": (
        f"{INSERT}('x', 'ann@example.com', 'Regina') ;\nDELETE FROM customers;\n{INSERT}{BO};",
        [BO_2],
    ),
    "names in capitals and in quotes": (
        f'INSERT INTO PUBLIC.Customers ("name", EMAIL, "city") VALUES {ANN};',
        [ANN_1],
    ),
    "quotes, escapes and code points": (
        (
            "INSERT INTO customers (name, email, city) VALUES"
            " ('Liam O''Brien', E'l\\x40example.com', U&'Qu\\00E9bec'),"
            " ($q$a;b -- c$q$, 'x@example.com', 'Tor'\n'onto');"
        ),
        [
            ["1", "Liam O'Brien", "l@example.com", "Québec"],
            ["2", "a;b -- c", "x@example.com", "Toronto"],
        ],
    ),
    "backslashes as before 2010": (
        (
            "SET standard_conforming_strings = off;\nSET escape_string_warning = off;\n"
            "INSERT INTO customers (name, email, city) VALUES ('Ann\\040Ray', 'ann@example.com',"
            " 'Toronto');"
        ),
        [ANN_1],
    ),
    "a backslash command inside a string": (
        (
            f"{INSERT}('Ann Ray', 'ann@example.com', 'Toronto');\n"
            "COMMENT ON TABLE customers IS '\n\\c banking_data\n\\! id\n';"
        ),
        [ANN_1],
    ),
    "Windows line ends and a byte-order mark": (
        b"\xef\xbb\xbf" + f"{INSERT}\n{ANN},\n{BO};\n".replace("\n", "\r\n").encode(),
        [ANN_1, BO_2],
    ),
    "another encoding, named as dumps do": (
        f"SET client_encoding = 'LATIN1';\n{INSERT}('Zoé Côté', 'z@example.com', 'Québec');".encode(
            "latin-1"
        ),
        [["1", "Zoé Côté", "z@example.com", "Québec"]],
    ),
    "other columns, in another order": (
        (
            "CREATE TABLE customers"
            " (city char(20), phone text, email text, customer_id bigint, name text);\n"
            "INSERT INTO customers VALUES"
            " ('Toronto', '555', 'ann@example.com', 1, 'Ann Ray');"
        ),
        [ANN_1],
    ),
    "a partitioned table": (
        TABLE.replace(");\n", ") PARTITION BY RANGE (customer_id);\n").replace(" UNIQUE", "")
        + f"CREATE TABLE p PARTITION OF customers DEFAULT;\n{INSERT}{ANN};",
        [ANN_1],
    ),
    "an enumeration as city": (
        "CREATE TYPE cities AS ENUM ('Toronto');\n"
        + TABLE.replace("city varchar(50)", "city cities")
        + f"{INSERT}{ANN};",
        [ANN_1],
    ),
    "roles, owners and grants": (
        (
            f"CREATE ROLE app LOGIN;\n{TABLE}ALTER TABLE customers OWNER TO app;\n"
            f"ALTER TABLE customers OWNER TO bank_owner;\nGRANT SELECT ON customers TO reporting;\n"
            f"{INSERT}{ANN};\nREVOKE ALL ON customers FROM postgres;"
        ),
        [ANN_1],
    ),
    "extensions": (
        (
            'CREATE EXTENSION IF NOT EXISTS plpgsql;\nCREATE EXTENSION "uuid-ossp";\n'
            f"COMMENT ON EXTENSION plpgsql IS 'x';\nCREATE EXTENSION citext;\n{INSERT}{ANN};"
        ),
        [ANN_1],
    ),
    "a setting that Postgres doesn't know": (f"SET new_setting = 0;\n{INSERT}{ANN};", [ANN_1]),
    "psql commands that only print": (
        f"\\set ON_ERROR_STOP on\n\\timing\n\\echo loading {INSERT}{BO};\n{INSERT}{ANN};\n\\dt+",
        [ANN_1],
    ),
    "a long result, which nobody reads": (
        f"{INSERT}{ANN};\nSELECT repeat('x', 1000) FROM generate_series(1, 50000);",
        [ANN_1],
    ),
    "row-level security": (
        f"{TABLE}ALTER TABLE customers ENABLE ROW LEVEL SECURITY;\n{INSERT}{ANN};",
        [ANN_1],
    ),
    "another database's settings": (
        f"ALTER DATABASE banking_data SET search_path = nowhere;\n{TABLE}{INSERT}{ANN};",
        [ANN_1],
    ),
}


@pytest.mark.parametrize("kind", GOOD)
def test_what_postgres_has_afterwards_is_taken(kind: str, folder: Path) -> None:
    script, expected = GOOD[kind]
    assert rows(outcome(folder, script)) == expected


def test_the_callers_variables_are_for_another_server(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as those of ``eval "$(discover env)"``."""
    variables = {"PGHOST": "nowhere.invalid", "PGPORT": "1", "PGDATA": "/nowhere", "PGUSER": "x"}
    for name, value in (variables | {"PGDATABASE": "x", "PGTZ": "x", "PGSSLMODE": "x"}).items():
        monkeypatch.setenv(name, value)
    assert rows(outcome(folder, f"{TABLE}{INSERT}{ANN};")) == [ANN_1]


BAD = {
    "a statement fails": (f"{INSERT}{ANN};\n\n{INSERT}{ANN};", "line 3: duplicate key"),
    "a statement over many lines fails": (
        f"{INSERT}{ANN};\nINSERT INTO customers (name,\n email, city)\nVALUES (1, nosuch(), 3);",
        r"line 4: function nosuch\(\) does not exist",
    ),
    "a row of COPY fails": (
        (
            "\nCOPY customers (name, email, city) FROM stdin;\nAnn Ray\tann@example.com\tToronto\n"
            "Bo Lee\tbo@example.com\n\\.\n"
        ),
        r"line \d: missing data for column .* \(COPY customers, line 2\)",
    ),
    "a typing error": (f"INSRT INTO customers VALUES {ANN};", "line 1: syntax error"),
    "a string that is never closed": (f"{INSERT}{ANN}, ('Bo", "line 1: unterminated quoted string"),
    "a tolerated error inside a transaction undoes it": (
        f"BEGIN;\n{TABLE}GRANT SELECT ON customers TO reporting;\n{INSERT}{ANN};\nCOMMIT;",
        "current transaction is aborted",
    ),
    "no row": (f"BEGIN;\n{INSERT}{ANN};", "the script leaves no row in public.customers"),
    "its own table is taken back": (
        f"BEGIN;\n{TABLE}{INSERT}{ANN};\nROLLBACK;",
        "the script leaves no table public.customers",
    ),
    "nothing": ("SELECT 1;", "the script leaves no row in public.customers"),
    "another database": (f"\\c shop\n{INSERT}{ANN};", r"line 1: \\c shop: .*restricted"),
    "another database, created first": (
        f"CREATE DATABASE shop;\n\\connect shop\n{TABLE}{INSERT}{ANN};",
        r"line 2: \\connect shop: ",
    ),
    "another schema": (
        "CREATE SCHEMA crm;\nSET search_path = crm;\n" + TABLE + f"{INSERT}{ANN};",
        "leaves no row in public.customers, but there is also crm.customers",
    ),
    "a name in quotes and capitals": (
        TABLE.replace("customers", '"Customers"')
        + "INSERT INTO \"Customers\" (name) VALUES ('A');",
        'leaves no row in public.customers, but there is also public."Customers"',
    ),
    "a view": (
        "CREATE TABLE t AS SELECT 1 AS customer_id;\nCREATE VIEW customers AS SELECT * FROM t;",
        "customers is a view",
    ),
    "a column is missing": (
        (
            "CREATE TABLE customers (id int, name text, email text, city text);\n"
            "INSERT INTO customers VALUES (1, 'Ann Ray', 'a@example.com', 'Toronto');"
        ),
        "script.sql: customers has no column customer_id, only id, name, email, city",
    ),
    "a column has another type": (
        TABLE.replace("name varchar(100)", "name bytea") + f"{INSERT}{ANN};",
        "column name of customers has type bytea, not text",
    ),
    "bytes in no encoding": (
        f"{INSERT}('Zoé', 'z@example.com', 'x');".encode("latin-1"),
        "line 1: invalid byte sequence",
    ),
    "UTF-16": (f"{INSERT}{ANN};".encode("utf-16"), "UTF-16, not UTF-8"),
    "gzip": (b"\x1f\x8b\x08\x00", "compressed with gzip"),
    "pg_dump's custom format": (b"PGDMP\x01\x0f\x00 and more", "custom format"),
    "pg_dump's tar format": (b"toc.dat" + b"\x00" * 93 + b"0000600", "tar format"),
    "a dump that is cut": (
        f"--\n-- PostgreSQL database dump\n--\n{TABLE}{INSERT}{ANN};\n",
        "is cut",
    ),
    "empty": ("", "empty file"),
    "too long": ("SELECT pg_sleep(20);", "ran longer than 2 s|statement timeout"),
    "too long, without a timeout of its own": (
        "SET statement_timeout = 0;\nSELECT pg_sleep(20);",
        "ran longer than 2 s",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_doubtful_outcome_is_refused_and_says_where(kind: str, folder: Path) -> None:
    script, reason = BAD[kind]
    with pytest.raises(InputRejected, match=reason) as caught:
        outcome(folder, script, seconds=2 if kind.startswith("too long") else 60)
    assert "\n" not in str(caught.value)


DOORS = {
    "\\! touch {file}": "restricted",
    "\\o {file}": "restricted",
    "SELECT 1 \\g {file}": "restricted",
    "SELECT 1 \\g |touch {file}": "restricted",
    "\\copy customers TO '{file}'": "restricted",
    "\\copy customers FROM PROGRAM 'touch {file}'": "restricted",
    "\\i /etc/hostname": "restricted",
    "\\lo_import /etc/hostname": "restricted",
    "\\set x `touch {file}`": "restricted",
    "\\echo `touch {file}` \\i x": "restricted",
    "\\cd /": "restricted",
    "\\if true": "restricted",
    "\\q": "restricted",
    "\\encoding LATIN1": "restricted",
    "\\set AUTOCOMMIT off": "restricted",
    "COPY customers TO '{file}';": "permission denied",
    "COPY customers FROM '/etc/hostname';": "permission denied",
    "COPY customers TO PROGRAM 'touch {file}';": "permission denied",
    "COPY customers FROM PROGRAM 'touch {file}';": "permission denied",
    "SELECT pg_read_file('/etc/hostname');": "permission denied",
    "SELECT pg_ls_dir('/');": "permission denied",
    "SELECT lo_import('/etc/hostname');": "permission denied",
    "SELECT lo_export(1, '{file}');": "permission denied",
    "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;": "not exist",
    "CREATE EXTENSION dblink; SELECT dblink('host=127.0.0.1', 'select 1');": "not exist",
    "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system';": "permission denied",
    "ALTER SYSTEM SET shared_preload_libraries = 'x';": "permission denied",
    "ALTER ROLE postgres SUPERUSER; SELECT pg_ls_dir('/');": "permission denied",
    "GRANT pg_execute_server_program TO postgres; COPY customers TO PROGRAM 'touch {file}';": (
        "permission denied"
    ),
    "CREATE ROLE r SUPERUSER; SET ROLE r; COPY customers TO PROGRAM 'touch {file}';": (
        "permission denied"
    ),
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p;": "permission denied",
    "CREATE TABLESPACE t LOCATION '/tmp';": "permission denied",
    "\\unrestrict 0123\n\\! touch {file}": "restricted",
}


def test_a_script_reaches_no_file_program_or_network(folder: Path) -> None:
    """All doors in one script; a load would stop at the first."""
    file = Path("/tmp") / f"{folder.name}-door"
    script = TABLE
    doors = {}
    for door in DOORS:
        doors[script.count("\n") + 1] = door
        script += door.replace("{file}", str(file)) + "\n;\n"
    path = folder / "script.sql"
    path.write_text(script)
    with scratch_postgres(folder / "postgres") as postgres, path.open("rb") as stream:
        process = start_psql(postgres, stream, 60)
        assert process.stderr
        found = list(problems(process.stderr))
        process.wait()
    assert not file.exists()
    with path.open("rb") as again:
        refused = [
            problem for problem in found if passed_over(problem, enumerate(again, 1)) is None
        ]
    for first, door in doors.items():
        lines = range(first, first + door.count("\n") + 1)
        messages = [problem.message for problem in refused if problem.line in lines]
        assert any(DOORS[door] in message for message in messages), (door, messages)


def test_a_refused_script_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    """Also one that is stopped in the middle, by SIGTERM or by kill -9."""
    with tempfile.TemporaryDirectory(prefix="discover-script-") as short:
        # Longer than the name of a socket can be.
        home = Path(short) / ("h" * 120)
        script = Path(short) / "slow.sql"
        script.write_text("SELECT pg_sleep(300);")
        for number in (signal.SIGTERM, signal.SIGKILL):
            command = [DISCOVER, "--home", home, "bank", "load", script]
            process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            children = wait_for(process.pid)
            process.send_signal(number)
            process.wait()
            _, alive = psutil.wait_procs(children, timeout=10)
            assert alive == []
            if number == signal.SIGTERM:
                assert process.returncode == 128 + signal.SIGTERM
                assert list((home / "scratch").iterdir()) == []
        with scratch_folder(home, "next"):
            assert len(list((home / "scratch").iterdir())) == 2


def sleeping(pid: int) -> list[psutil.Process]:
    """The servers and psql of a load, once its script runs."""
    children = psutil.Process(pid).children(recursive=True)
    return children if any("SELECT" in command_of(child) for child in children) else []


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        # It has just ended: initdb starts many that do.
        return ""


def wait_for(pid: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if processes := sleeping(pid):
            return processes
        time.sleep(0.1)
    raise AssertionError("the script never ran")
