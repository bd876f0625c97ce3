"""Run a psql script in a Postgres of its own and take the table ``customers`` that it leaves.

Nothing of the script is parsed here: psql and Postgres decide about its outcome. It runs as a role
without superuser, in psql's restricted mode, so it reaches no file, program or network.

Any error makes the outcome doubtful and refuses the script. The exceptions are statements and psql
commands that can't change a row of the table, such as a GRANT to a role of another server.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ingest.customers_table import CREATE, fault, other_columns, shape_query
from ingest.frame import read_lines
from ingest.rejects import LISTED, FileRejected
from ingest.sources.core_banking import CONTRACT
from lakehouse.catalog import BANK_DATABASE, CUSTOMERS_TABLE
from lakehouse.errors import DiscoverError, InputRejected
from lakehouse.scratch_postgres import ROLE, ScratchPostgres, scratch_postgres

DISK_LIMIT = 20 << 30
"""Bytes that a script may fill."""
_DISK_LEFT = 512 << 20
"""Bytes that it must leave free."""
_TABLE = f"public.{CUSTOMERS_TABLE}"
_OID = f"SELECT to_regclass('{_TABLE}')::oid"
_OTHERS = f"""
SELECT format('%I.%I', nspname, relname)
FROM pg_class JOIN pg_namespace ON relnamespace = pg_namespace.oid
WHERE lower(relname) = '{CUSTOMERS_TABLE}' AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND nspname <> 'information_schema' AND nspname !~ '^pg_'
  AND pg_class.oid IS DISTINCT FROM to_regclass('{_TABLE}')
ORDER BY 1"""
_SAFE = "-c search_path=pg_catalog -c row_security=off -c client_min_messages=error"
"""For statements after the script: names mean what they mean, and no row is hidden."""
_UNDEFINED_TABLE, _DUPLICATE_TABLE = "42P01", "42P07"
_SHOWN = 120
_DUMP_BEGINS, _DUMP_ENDS = b"-- PostgreSQL database dump\n", b"-- PostgreSQL database dump complete"
_OTHER_FORMATS = {b"PGDMP": "custom", b"toc.dat\0": "tar"}
"""How pg_dump's other formats begin."""
_EDGE = 4096
"""Bytes at both ends of a script in which a dump says that it begins and ends."""

_HEAD = re.compile(rb"psql:<stdin>:(\d+): (?:(?:ERROR|FATAL|PANIC):  (?:([0-9A-Z]{5}): )?|error: )")
_ANY_HEAD = re.compile(rb"psql(?::<stdin>:\d+)?: ")
_STATEMENT = re.compile(rb"psql:<stdin>:\d+: STATEMENT:  ")
_LINE_OF_STATEMENT = re.compile(rb"LINE (\d+): ")
_COPIED = re.compile(rb"CONTEXT:  (COPY [^,]+, line \d+)")
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*", re.DOTALL)

_ROLE_STATES = ("42704", "42501", "42710", "22023", "0LP01")
_MAY_FAIL = (
    # Who owns what and who may do what. Roles of another server don't exist here.
    (r"GRANT\b|REVOKE\b|ALTER\s+DEFAULT\s+PRIVILEGES\b|ALTER\b.*\bOWNER\s+TO\b", _ROLE_STATES),
    (r"(CREATE|ALTER|DROP)\s+(ROLE|USER|GROUP)\b|SET\s+(SESSION\s+AUTH|ROLE\b)", _ROLE_STATES),
    # The database exists, and the script is in it.
    (rf'(CREATE|DROP|ALTER|COMMENT\s+ON)\s+DATABASE\s+(IF\s+EXISTS\s+)?"?{BANK_DATABASE}\b', ()),
    (r'CREATE\s+SCHEMA\s+"?public\b', ("42P06",)),
    # If the script needs the extension, a later statement fails.
    (r"CREATE\s+EXTENSION\b", ("42501", "0A000", "58P01")),
    (r"COMMENT\s+ON\s+EXTENSION\b", ("42501", "42704")),
    # A setting of another version of Postgres.
    (r"SET\s", ("42704",)),
)
"""Statements that a load outlives, with the SQLSTATEs; none given is any."""
_OF_DUMPS = re.compile(rb"\\(?:un)?restrict\b.*")
"""They only protect a restore, as the load itself does."""
_COMMAND = re.compile(
    rb"\\(?:(?:c|connect)(?:[ \t]+(?:%(name)s|\"%(name)s\"|'%(name)s'|-)(?:[ \t]+[^\s;\\]+){0,3})?"
    rb"|(?:echo|qecho|warn|timing|conninfo|pset|x|a|t|H|p|z|l|d\w*\+?)(?:\s.*)?"
    rb"|set[ \t]+(?:ON_ERROR_STOP|ON_ERROR_ROLLBACK|ECHO|QUIET|VERBOSITY|SHOW_CONTEXT)\b.*)"
    rb"[ \t;]*" % {b"name": BANK_DATABASE.encode()}
)
"""psql commands that change no row. psql has refused them; they are passed over."""


@dataclass(frozen=True)
class Outcome:
    """The table that a script left."""

    rows: Path
    """CSV with the contract's columns, in the order of ``customer_id``."""
    not_run: list[str]
    """Each with its line, and why."""
    notes: list[str]
    """Of the outcome: what is not loaded."""
    made_by_script: bool
    """Whether the script created the table itself."""


@dataclass
class Problem:
    """An error that psql printed."""

    line: int
    state: str
    message: str
    statement: str = ""
    first_line: int | None = None
    copied: str = ""

    def __str__(self) -> str:
        where = f" ({self.copied})" if self.copied else ""
        return f"line {self.first_line or self.line}: {self.message}{where}"


class _Refused(Exception):
    def __init__(self, problem: Problem, fix: str) -> None:
        super().__init__(str(problem))
        self.problem = problem
        self.fix = fix


def run_script(
    script: Path, name: str, folder: Path, seconds: int, present: Path | None = None
) -> Outcome:
    """Run a script and write the customers that it leaves into ``folder``.

    The script finds an empty database. Where it needs a table ``customers``, it runs once more and
    finds one: empty, or with the rows of the CSV file ``present``.

    Raises:
        InputRejected: a statement failed, or there is no usable table afterwards; says where.
        ServiceUnavailable: no scratch Postgres can be started.

    """
    _require_plain_text(script, name)
    left_none: _NoTable | None = None
    try:
        if present is None:
            try:
                return _attempt(script, folder / "empty", seconds, None)
            except _Refused as refused:
                if refused.problem.state != _UNDEFINED_TABLE:
                    raise
            except _NoTable as missing:
                if not missing.at_all:
                    raise
                left_none = missing
        data = folder / ("table" if present is None else "table-with-rows")
        return _attempt(script, data, seconds, _Given(present))
    except _Refused as refused:
        if left_none and refused.problem.state == _DUPLICATE_TABLE:
            # It creates the table itself, and takes it back.
            raise InputRejected(f"{name}: {left_none}", "nothing was loaded") from None
        raise InputRejected(f"{name}, {refused}", refused.fix) from None
    except _NoTable as missing:
        raise InputRejected(f"{name}: {missing}", "nothing was loaded") from None


class _NoTable(Exception):
    """Afterwards there is no table that can be loaded; ``at_all``: there is none of this name."""

    def __init__(self, reason: str, *, at_all: bool = False) -> None:
        super().__init__(reason)
        self.at_all = at_all


@dataclass(frozen=True)
class _Given:
    """A table ``customers`` that the script finds, with these rows."""

    rows: Path | None


def _attempt(script: Path, data: Path, seconds: int, given: _Given | None) -> Outcome:
    with scratch_postgres(data) as postgres:
        before = _create_table(postgres, given) if given else b""
        not_run = _run(postgres, script, data, seconds)
        rows = data.with_suffix(".csv")
        try:
            notes = _look(postgres)
            _copy_out(postgres, rows)
            made_by_script = postgres.run(_OID, settings=_SAFE) != before
        except DiscoverError as error:
            raise _NoTable(f"the table that the script leaves can't be read: {error}") from None
    return Outcome(rows, not_run, notes, made_by_script)


def _create_table(postgres: ScratchPostgres, given: _Given) -> bytes:
    postgres.run(CREATE)
    if given.rows is not None:
        names = ", ".join(CONTRACT.names)
        with given.rows.open("rb") as stream:
            postgres.run(
                f"COPY {CUSTOMERS_TABLE} ({names}) FROM STDIN (FORMAT csv, HEADER)", stdin=stream
            )
        postgres.run(
            f"SELECT setval('{CUSTOMERS_TABLE}_customer_id_seq', max(customer_id))"
            f" FROM {CUSTOMERS_TABLE} HAVING count(*) > 0"
        )
    return postgres.run(_OID)


def _run(postgres: ScratchPostgres, script: Path, folder: Path, seconds: int) -> list[str]:
    """Run the script to its end or to its first real error; returns what was passed over."""
    not_run: list[str] = []
    with script.open("rb") as stream, script.open("rb") as again:
        lines = enumerate(again, 1)
        process = start_psql(postgres, stream, seconds)
        limits = _Limits(process.kill, folder, seconds)
        assert process.stderr
        try:
            with limits:
                for problem in problems(process.stderr):
                    what = passed_over(problem, lines)
                    if what is None:
                        raise _Refused(problem, _fix(problem))
                    if what and len(not_run) < LISTED:
                        not_run.append(what)
                process.wait()
        finally:
            process.kill()
            process.wait()
    if limits.exceeded:
        raise InputRejected(f"the script {limits.exceeded}", "nothing was loaded")
    if process.returncode:
        raise InputRejected(
            f"psql ended with {process.returncode} before the script did", "nothing was loaded"
        )
    return not_run


def start_psql(
    postgres: ScratchPostgres, script: IO[bytes], seconds: int
) -> subprocess.Popen[bytes]:
    """Start psql on a script: restricted, and with everything in its errors."""
    return postgres.psql(
        "--echo-errors",
        "--set=VERBOSITY=verbose",
        # A long result is not collected in memory.
        "--set=FETCH_COUNT=1000",
        f"--command=\\restrict {secrets.token_hex(16)}",
        "--file=-",
        settings=f"-c client_min_messages=error -c statement_timeout={seconds}s",
        stdin=script,
    )


def problems(errors: IO[bytes]) -> Iterator[Problem]:
    """What psql complained about, each as soon as the next line of its output begins."""
    found: Problem | None = None
    more_lines: int | None = None
    inner_line = 1
    # A statement can be as long as the script: only its beginning is kept.
    while piece := errors.readline(1 << 16):
        if match := _STATEMENT.match(piece):
            if found:
                found.statement = piece[match.end() :].decode("utf-8", "replace")
                more_lines = 0
            continue
        if _ANY_HEAD.match(piece):
            if found:
                yield _located(found, more_lines, inner_line)
            found, more_lines, inner_line = None, None, 1
            if match := _HEAD.match(piece):
                message = piece[match.end() :].decode("utf-8", "replace").strip()
                found = Problem(int(match[1]), (match[2] or b"").decode(), message[:300])
        elif found and more_lines is not None:
            more_lines += piece.endswith(b"\n")
            if len(found.statement) < 10 * _SHOWN:
                found.statement += piece.decode("utf-8", "replace")
        elif found and (match := _LINE_OF_STATEMENT.match(piece)):
            inner_line = int(match[1])
        elif found and (match := _COPIED.match(piece)):
            found.copied = match[1].decode("utf-8", "replace")
    if found:
        yield _located(found, more_lines, inner_line)


def _located(problem: Problem, more_lines: int | None, inner_line: int) -> Problem:
    """The problem with its own line: psql names the one on which the statement ends."""
    if more_lines is not None and not problem.copied:
        problem.first_line = max(1, problem.line - more_lines + inner_line - 1)
    return problem


def passed_over(problem: Problem, lines: Iterator[tuple[int, bytes]]) -> str | None:
    """How to name it, if the load can go on, or '' if nobody has to know; None if it can't."""
    if not problem.state and not problem.statement:
        text = next((text for number, text in lines if number == problem.line), b"").rstrip()
        command = text[text.find(b"\\") :]
        if text.count(b"\\") == 1 and _OF_DUMPS.fullmatch(command):
            return ""
        shown = command.decode("utf-8", "replace")[:_SHOWN]
        problem.message = f"{shown}: {problem.message}"
        if text.count(b"\\") == 1 and _COMMAND.fullmatch(command):
            return f"line {problem.line}: {shown}"
        return None
    start = _COMMENTS.match(problem.statement)
    statement = problem.statement[start.end() if start else 0 :]
    for words, states in _MAY_FAIL:
        if re.match(words, statement, re.IGNORECASE | re.DOTALL) and (
            not states or problem.state in states
        ):
            shown = " ".join(statement.split())[:_SHOWN]
            return f"line {problem.first_line}: {shown} ({problem.message})"
    return None


def _fix(problem: Problem) -> str:
    if problem.state:
        return "nothing was loaded; correct the script"
    return (
        f"nothing was loaded; a script uses the database {BANK_DATABASE} and plain SQL:"
        " remove the psql command"
    )


def _look(postgres: ScratchPostgres) -> list[str]:
    """Make sure that there is a table to load; returns what it has besides."""
    others = postgres.run(_OTHERS, settings=_SAFE).decode().split("\n")[:-1]
    shape = postgres.run(shape_query(_TABLE), settings=_SAFE)
    if not shape.strip():
        instead = f", only {', '.join(others)}" if others else ""
        raise _NoTable(f"the script leaves no table {_TABLE}{instead}", at_all=True)
    if wrong := fault(json.loads(shape), must_be_table=True):
        raise _NoTable(wrong)
    # A dump may take the owner's own right away; the owner can give it back.
    with contextlib.suppress(DiscoverError):
        postgres.run(f"GRANT SELECT ON {_TABLE} TO {ROLE}", settings=_SAFE)
    if postgres.run(f"SELECT count(*) FROM {_TABLE}", settings=_SAFE).strip() == b"0":
        instead = f", but there is also {', '.join(others)}" if others else ""
        raise _NoTable(f"the script leaves no row in {_TABLE}{instead}")
    notes = [f"table {other} is not loaded" for other in others]
    if columns := other_columns(json.loads(shape)):
        notes.append(f"columns that are not loaded: {', '.join(columns)}")
    return notes


def _copy_out(postgres: ScratchPostgres, rows: Path) -> None:
    """Write the table as CSV.

    A line break in a value becomes another control character: the contract refuses both, and rows
    and lines stay the same.
    """
    columns = ", ".join(
        rf"translate({name}::text, E'\n\r', E'\v\v') AS {name}" for name in CONTRACT.names
    )
    with rows.open("wb") as stream:
        postgres.run(
            f"COPY (SELECT {columns} FROM {_TABLE} ORDER BY {_TABLE}.customer_id)"
            " TO STDOUT (FORMAT csv, HEADER)",
            settings=_SAFE,
            stdout=stream,
        )


def _require_plain_text(script: Path, name: str) -> None:
    """Refuse what psql can't read, and a dump without its end."""
    with script.open("rb") as stream:
        begins = stream.read(_EDGE)
        stream.seek(max(0, script.stat().st_size - _EDGE))
        ends = stream.read()
    for magic, kind in _OTHER_FORMATS.items():
        if begins.startswith(magic):
            raise InputRejected(
                f"{name} is a dump in pg_dump's {kind} format", "use --format=plain"
            )
    try:
        next(read_lines(script))
    except FileRejected as error:
        fix = "deliver a psql script as plain text, such as pg_dump writes without --format"
        raise InputRejected(f"{name}: {error.reject.reason}", fix) from None
    if _DUMP_BEGINS in begins and _DUMP_ENDS not in ends:
        raise InputRejected(
            f"{name} is cut: it is a dump without its last lines", "dump or copy it again"
        )


class _Limits(threading.Thread):
    """Ends psql when the script takes too long or fills the disk."""

    def __init__(self, end: Callable[[], None], folder: Path, seconds: int) -> None:
        super().__init__(daemon=True)
        self.exceeded = ""
        self._end = end
        self._folder = folder
        self._seconds = seconds
        self._done = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look every half second."""
        deadline = time.monotonic() + self._seconds
        while not self._done.wait(0.5):
            if time.monotonic() > deadline:
                self.exceeded = f"ran longer than {self._seconds} s (DISCOVER_BANK_SCRIPT_SECONDS)"
            elif _size(self._folder) > DISK_LIMIT:
                self.exceeded = f"filled more than {DISK_LIMIT >> 30} GB of disk"
            elif shutil.disk_usage(self._folder).free < _DISK_LEFT:
                self.exceeded = f"left less than {_DISK_LEFT >> 20} MB of disk free"
            if self.exceeded:
                self._end()
                return


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # Postgres removes files meanwhile.
        with contextlib.suppress(OSError):
            total += path.lstat().st_size
    return total
