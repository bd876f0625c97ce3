"""Queries from their start to their last page: states, statistics, results; no more than fit."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from lakehouse.services.athena.aws_error import AwsError, QueryRefused, invalid_request
from lakehouse.services.athena.column_types import require_iceberg_can_store
from lakehouse.services.athena.engine import Cancelled, Engine, Run
from lakehouse.services.athena.glue import Glue
from lakehouse.services.athena.results import Column, Spool, column_info, described, page
from lakehouse.services.athena.sql import CsvTable, Plan, Relation, plan

WORKERS = 8
QUEUED_AT_MOST = 100
KEPT_EXECUTIONS = 500
KEPT_BYTES = 512 * 1024 * 1024
"""Of spooled rows; the oldest finished queries are forgotten first."""
KEPT_SQL_CHARACTERS = 16 * 1024 * 1024

State = Literal["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED"]
_ICEBERG_ERROR, _INTERNAL_ERROR, _USER_ERROR = 233, 200, 1003
_SYSTEM, _USER = 1, 2

log = logging.getLogger(__name__)


class Output(Protocol):
    """Where result files go."""

    def require(self, location: str) -> None:
        """Refuse a location that can't take results."""

    def put(self, path: Path, location: str) -> None:
        """Copy a local file to an ``s3://`` location."""


@dataclass(frozen=True)
class Ask:
    """One StartQueryExecution."""

    sql: str
    schema: str
    location: str
    """``s3://`` prefix under which the result is left."""


@dataclass
class Execution:
    """One query. Changed by its worker alone, but for ``stopped``."""

    id: str
    ask: Ask
    submitted: float
    state: State = "QUEUED"
    plan: Plan | None = None
    run: Run | None = None
    token: str | None = None
    started: float | None = None
    completed: float | None = None
    error: QueryRefused | None = None
    reason: str = ""
    columns: list[Column] = field(default_factory=list)
    update_count: int = 0
    rows: Path | None = None
    size: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def finished(self) -> bool:
        """Whether its state is a last one."""
        return self.state in ("SUCCEEDED", "FAILED", "CANCELLED")

    @property
    def location(self) -> str:
        """The ``s3://`` address of its result."""
        answer = self.plan.answer if self.plan else "rows"
        ending = {"rows": ".csv", "text": ".txt", "description": ".txt", "nothing": ".txt"}
        return f"{self.ask.location.rstrip('/')}/{self.id}{ending.get(answer, '')}"


class Executions:
    """All queries that the gateway remembers."""

    def __init__(
        self,
        engine: Engine,
        glue: Glue,
        output: Output,
        create_csv_table: Callable[[CsvTable], None],
        folder: Path,
    ) -> None:
        self._engine, self._glue, self._output = engine, glue, output
        self._create_csv_table = create_csv_table
        self._folder = folder
        self._lock = threading.Lock()
        self._all: OrderedDict[str, Execution] = OrderedDict()
        self._tokens: dict[str, str] = {}
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="query")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Rows of a gateway that was killed: nobody can ask for them any more.
        for left in folder.iterdir():
            left.unlink()

    def start(self, ask: Ask, token: str | None) -> str:
        """Begin a query; the same token and query again is the same execution.

        Raises:
            AwsError: it isn't taken.

        """
        with self._lock:
            if token is not None and (known := self._tokens.get(token)) is not None:
                if self._all[known].ask != ask:
                    raise invalid_request("Idempotent parameters do not match")
                return known
            waiting = sum(execution.state == "QUEUED" for execution in self._all.values())
            if waiting >= QUEUED_AT_MOST:
                raise AwsError(
                    "TooManyRequestsException",
                    "You have exceeded the limit for the number of queries you can run "
                    "concurrently. Please reduce the number of concurrent queries submitted.",
                )
        execution = Execution(str(uuid.uuid4()), ask, time.time(), token=token)
        try:
            execution.plan = plan(ask.sql, ask.schema)
        except QueryRefused as refused:
            self._remember(execution)
            self._end(execution, "FAILED", refused)
            return execution.id
        self._output.require(ask.location)
        known_or_new = self._remember(execution)
        if known_or_new is execution:
            self._workers.submit(self._work, execution)
        return known_or_new.id

    def get(self, query_id: str) -> Execution:
        """One query.

        Raises:
            AwsError: it isn't known, or not any more.

        """
        with self._lock:
            if query_id not in self._all:
                raise invalid_request(f"QueryExecution {query_id} was not found")
            return self._all[query_id]

    def ids(self) -> list[str]:
        """All that are remembered, the newest first."""
        with self._lock:
            return list(reversed(self._all))

    def stop(self, query_id: str) -> None:
        """Cancel a query, also in Trino; one that has ended stays as it is.

        Raises:
            AwsError: it isn't known.

        """
        execution = self.get(query_id)
        execution.stopped.set()
        with self._lock:
            waits = execution.state == "QUEUED"
            if waits:
                execution.state = "CANCELLED"
        if waits:
            # No worker has it, and none need be waited for.
            self._end(execution, "CANCELLED")
        elif execution.run is not None and not execution.finished:
            execution.run.cancel()

    def results(self, query_id: str, limit: int, token: str | None) -> dict[str, Any]:
        """Athena's answer to GetQueryResults.

        Raises:
            AwsError: the query isn't done, failed, or isn't known.

        """
        execution = self.get(query_id)
        if not execution.finished:
            raise invalid_request(
                f"Query has not yet finished. Current state: {execution.state}",
                "QUERY_NOT_FINISHED",
            )
        if execution.state != "SUCCEEDED":
            raise invalid_request(
                f"Query did not finish successfully. Final query state: {execution.state}"
            )
        rows: list[Any] = []
        following: str | None = None
        if execution.rows is not None:
            try:
                rows, following = page(execution.rows, query_id, limit, token)
            except FileNotFoundError:
                raise invalid_request(f"QueryExecution {query_id} was not found") from None
        columns = [column_info(column) for column in execution.columns]
        return {
            "ResultSet": {"Rows": rows, "ResultSetMetadata": {"ColumnInfo": columns}},
            "UpdateCount": execution.update_count,
            **({"NextToken": following} if following else {}),
        }

    def close(self) -> None:
        """Cancel what runs: nothing may go on in Trino that nobody waits for."""
        for query_id in self.ids():
            self.stop(query_id)
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _remember(self, execution: Execution) -> Execution:
        with self._lock:
            if execution.token is not None:
                # Two equal requests may have come at once; the first one counts.
                known = self._tokens.setdefault(execution.token, execution.id)
                if known != execution.id:
                    return self._all[known]
            self._all[execution.id] = execution
        return execution

    def _work(self, execution: Execution) -> None:
        with self._lock:
            if execution.state != "QUEUED":
                return
            execution.state = "RUNNING"
        assert execution.plan is not None
        execution.started = time.time()
        try:
            self._perform(execution, execution.plan)
        except Cancelled:
            self._end(execution, "CANCELLED")
        except QueryRefused as refused:
            self._end(execution, "FAILED", refused)
        except AwsError as error:
            self._end(execution, "FAILED", QueryRefused(error.code, error.message))
        except Exception as error:  # noqa: BLE001 - a query must not be left running for ever
            log.error("query %s: %s", execution.id, type(error).__name__)
            unforeseen = QueryRefused("GENERIC_INTERNAL_ERROR", type(error).__name__)
            self._end(execution, "FAILED", unforeseen)
        else:
            self._end(execution, "SUCCEEDED")

    def _perform(self, execution: Execution, todo: Plan) -> None:
        if todo.csv is not None:
            self._create_csv_table(todo.csv)
        if todo.parameters is not None:
            self._glue.set_parameters(todo.parameters[0], dict(todo.parameters[1]))
        if todo.changes is not None:
            self._require_iceberg(todo.changes)
        execution.run = run = Run(self._engine, execution.ask.schema or None, todo.session)
        if execution.stopped.is_set():
            raise Cancelled
        if todo.stores is not None:
            # An engine newer than Athena's stores types that Athena refuses.
            for _ in run.execute(f"select * from (\n{todo.stores}\n) where false"):
                pass
            require_iceberg_can_store([(column.name, column.kind) for column in run.columns])
        for statement in todo.statements[:-1]:
            for _ in run.execute(statement):
                pass
        last = run.execute(todo.statements[-1]) if todo.statements else iter(())
        if todo.answer == "count":
            for row in last:
                execution.update_count = int(row[0] or 0) if row else 0
        elif todo.answer == "nothing":
            for _ in last:
                pass
        else:
            self._spool(execution, todo, run, last)

    def _spool(self, execution: Execution, todo: Plan, run: Run, rows: Any) -> None:
        path = self._folder / f"{execution.id}.rows"
        copy = self._folder / f"{execution.id}.out"
        # The header is known with the first row, or when there turns out to be none.
        first = next(rows, None)
        execution.rows = path
        try:
            with (
                path.open("w", encoding="utf-8") as spooled,
                copy.open("w", encoding="utf-8") as out,
            ):
                spool = Spool(spooled, out, run.columns)
                if todo.answer == "rows":
                    execution.columns = run.columns
                    spool.header([column.name for column in run.columns])
                else:
                    execution.columns = [_text_column(column.name) for column in run.columns]
                while first is not None:
                    if todo.answer == "rows":
                        spool.add(first)
                    elif todo.answer == "description":
                        spool.add_text(described(*first))
                    else:
                        for line in str(first[0]).split("\n"):
                            spool.add_text(line)
                    first = next(rows, None)
            execution.size = path.stat().st_size
            self._output.put(copy, execution.location)
        finally:
            copy.unlink(missing_ok=True)

    def _require_iceberg(self, relation: Relation) -> None:
        try:
            table = self._glue.table(relation.schema, relation.name)
        except AwsError as error:
            if error.code != "EntityNotFoundException":
                raise
            return  # Trino says it better: with the place in the statement
        if table["TableType"] != "VIRTUAL_VIEW" and "table_type" not in table["Parameters"]:
            raise QueryRefused(
                "NOT_SUPPORTED",
                "Modifying Hive table rows is only supported for transactional tables",
            )

    def _end(self, execution: Execution, state: State, error: QueryRefused | None = None) -> None:
        execution.completed = time.time()
        execution.error = error
        execution.reason = {"FAILED": str(error), "CANCELLED": "Query cancelled by user"}.get(
            state, ""
        )
        if state != "SUCCEEDED" and execution.rows is not None:
            execution.rows.unlink(missing_ok=True)
            execution.rows = None
        execution.state = state
        what = execution.plan.subtype if execution.plan else "-"
        # No text of a query and none of its errors: both may hold a customer's data.
        log.info(
            "%s %s %s %d ms %d bytes %s",
            execution.id,
            what,
            state,
            1000 * (execution.completed - execution.submitted),
            scanned_bytes(execution),
            error.name if error else "",
        )
        self._sweep()

    def _sweep(self) -> None:
        with self._lock:
            done = sorted(
                (one for one in self._all.values() if one.finished and one.completed is not None),
                key=lambda execution: execution.completed or 0.0,
            )
            count = len(done)
            size = sum(execution.size for execution in done)
            characters = sum(len(execution.ask.sql) for execution in done)
            # The last to end stays, however large and long it was: its client reads it now.
            for execution in done[:-1]:
                if (
                    count <= KEPT_EXECUTIONS
                    and size <= KEPT_BYTES
                    and characters <= KEPT_SQL_CHARACTERS
                ):
                    break
                count -= 1
                size -= execution.size
                characters -= len(execution.ask.sql)
                del self._all[execution.id]
                if execution.token is not None:
                    self._tokens.pop(execution.token, None)
                if execution.rows is not None:
                    execution.rows.unlink(missing_ok=True)


def scanned_bytes(execution: Execution) -> int:
    """What Trino read for it."""
    return execution.run.statistics()["physicalInputBytes"] if execution.run else 0


def document(execution: Execution) -> dict[str, Any]:
    """Athena's ``QueryExecution``."""
    todo = execution.plan
    status: dict[str, Any] = {
        "State": execution.state,
        "SubmissionDateTime": execution.submitted,
    }
    if execution.completed is not None:
        status["CompletionDateTime"] = execution.completed
    if execution.reason:
        status["StateChangeReason"] = execution.reason
    if execution.error is not None:
        status["AthenaError"] = athena_error(execution.error)
    return {
        "QueryExecutionId": execution.id,
        "Query": execution.ask.sql,
        "StatementType": todo.kind if todo else "DDL",
        **({"SubstatementType": todo.subtype} if todo else {}),
        "Status": status,
        "Statistics": _statistics(execution),
        "ResultConfiguration": {"OutputLocation": execution.location},
        "ResultReuseConfiguration": {"ResultReuseByAgeConfiguration": {"Enabled": False}},
        "QueryExecutionContext": {
            "Database": execution.ask.schema,
            "Catalog": "awsdatacatalog",
        },
        "WorkGroup": "primary",
        "EngineVersion": {
            "SelectedEngineVersion": "AUTO",
            "EffectiveEngineVersion": "Athena engine version 3",
        },
    }


def athena_error(error: QueryRefused) -> dict[str, Any]:
    """Athena's ``AthenaError``: what dbt-athena decides by whether to try again."""
    if error.name.startswith("ICEBERG_"):
        category, kind = _USER, _ICEBERG_ERROR
    elif error.name == "GENERIC_INTERNAL_ERROR":
        category, kind = _SYSTEM, _INTERNAL_ERROR
    else:
        category, kind = _USER, _USER_ERROR
    return {
        "ErrorCategory": category,
        "ErrorType": kind,
        "Retryable": False,
        "ErrorMessage": str(error),
    }


def _statistics(execution: Execution) -> Mapping[str, Any]:
    until = execution.completed or time.time()
    known = execution.run.statistics() if execution.run else {}
    begun = execution.started or until
    return {
        "DataScannedInBytes": known.get("physicalInputBytes", 0),
        "EngineExecutionTimeInMillis": known.get("elapsedTimeMillis", 0),
        "QueryQueueTimeInMillis": int(1000 * (begun - execution.submitted)),
        "TotalExecutionTimeInMillis": int(1000 * (until - execution.submitted)),
        "ResultReuseInformation": {"ReusedPreviousResult": False},
    }


def _text_column(name: str) -> Column:
    return Column(name, "varchar")
