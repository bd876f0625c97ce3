"""``refresh``, and what looks at versions: ``versions``, ``diff``, ``rollback``, ``sql``."""

from __future__ import annotations

import contextlib
import csv
import math
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from discover.context import settings
from discover.schedule import after
from discover.tables import print_rows
from lakehouse import catalog
from lakehouse.console import out, print_json, progress
from lakehouse.errors import DiscoverError, UsageError, in_one_line
from lakehouse.settings import Settings
from lakehouse.versions import Manifest, Versions

CLOCK_CHECK_SECONDS = 30
"""How long a repeating refresh waits before it looks at the wall's clock again."""

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.command("refresh")(refresh_command)
    app.command("publish")(publish_command)
    app.command("versions")(versions_command)
    app.command("diff")(diff_command)
    app.command("rollback")(rollback_command)
    app.command("sql")(sql_command)


def refresh_command(
    inputs: Annotated[
        Path | None,
        typer.Option(help="Folder with <source>/ folders of delivered files; --source adds to it."),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="SOURCE=PATH (file, glob or s3:// URL); repeatable.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Publish even if nothing changed.")] = False,
    full: Annotated[
        bool, typer.Option(help="Build incremental marts anew, from all rows.")
    ] = False,
    every: Annotated[str | None, typer.Option(help="Repeat: 30m, 6h, 1d.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the published version up to date: land, flatten, check, build, publish, export."""

    def once() -> int:
        return _refresh_once(settings(), inputs, source or [], force, full, as_json)

    raise typer.Exit(_repeat(once, parse_interval(every)) if every else once())


def _repeat(once: Callable[[], int], every: timedelta) -> int:
    """Run again and again until told to end; the exit code of the last run."""
    stopping = threading.Event()
    before: dict[int, Any] = {}

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        # A second one doesn't wait.
        signal.signal(number, before[number])
        progress.print("ends after this run; once more to stop at once")

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, stop)
    due = datetime.now(UTC)
    is_first = True
    while True:
        progress.print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", style="dim")
        try:
            code = once()
        except DiscoverError as error:
            # Words that are off are told before anybody relies on it.
            if is_first and isinstance(error, UsageError):
                raise
            # What is away now may be back by the next run.
            code = error.exit_code
            progress.print("[red]error:[/red]", escape(str(error)))
        except Exception as error:  # noqa: BLE001 - the disk may have room again by the next run
            code = 1
            progress.print("[red]error:[/red]", escape(in_one_line(error)))
        is_first = False
        coming = after(due, datetime.now(UTC), every, random.random())
        due = coming.due
        if coming.missed and not stopping.is_set():
            progress.print(f"{coming.missed} missed meanwhile; making up for it now")
        if _stopped_while_waiting(stopping, coming.wait):
            return code


def _stopped_while_waiting(stopping: threading.Event, wait: timedelta) -> bool:
    """Wait by both clocks, whichever comes first; whether it was told to stop meanwhile.

    The clock that only waiting drives stands still while the machine sleeps.
    """
    ends = datetime.now(UTC) + wait
    left = wait.total_seconds()
    while left > 0:
        step = min(left, CLOCK_CHECK_SECONDS)
        if stopping.wait(step):
            return True
        left = min(left - step, (ends - datetime.now(UTC)).total_seconds())
    return stopping.is_set()


def _refresh_once(
    current: Settings,
    folder: Path | None,
    sources: list[str],
    force: bool,
    full: bool,
    as_json: bool,
) -> int:
    from discover.refresh import Report, refresh
    from ingest.delivery import in_folder

    named: dict[str, list[str]] = {}
    for word in sources:
        name, equals, path = word.partition("=")
        if name not in catalog.SOURCES or not equals or not path:
            raise UsageError(
                f"--source {word!r}", f"write SOURCE=PATH; SOURCE is one of {catalog.SOURCES}"
            )
        named.setdefault(name, []).append(path)
    try:
        paths, passed_over = in_folder(folder) if folder else ({}, [])
        for name, more in named.items():
            paths[name] = list(dict.fromkeys([*paths.get(name, []), *more]))
        report = refresh(
            current,
            paths,
            passed_over=passed_over,
            force=force,
            full=full,
            on_stage=print_stage,
        )
    except DiscoverError as error:
        if as_json and not isinstance(error, UsageError):
            print_json(Report("", failures=[str(error)]).to_json())
        raise
    if as_json:
        print_json(report.to_json())
    else:
        print_summary(report)
        served = Versions(current.home).current()
        if report.state != "published" and served is not None:
            _say_which(served)
    return report.exit_code


def parse_interval(text: str) -> timedelta:
    """``30m``, ``6h`` or ``1d`` as a duration.

    Raises:
        UsageError: anything else.

    """
    match = re.fullmatch(r"([1-9][0-9]*)([smhd])", text)
    if match is None:
        raise UsageError(f"--every {text!r}", "write a number and s, m, h or d, such as 1d")
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def print_stage(stage: Any) -> None:
    """One line a stage on standard error once it ended."""
    if stage.state == "running":
        return
    mark = "[green]done[/green]  " if stage.state == "done" else "[red]failed[/red]"
    rows = ""
    if stage.rows_in is not None:
        rows += f"  {stage.rows_in:>9,} in"
    if stage.rows_out is not None:
        rows += f"  {stage.rows_out:>9,} out"
    note = f"  {stage.note}" if stage.note else ""
    progress.print(f"  {mark} {stage.name:<22}{stage.seconds:>7.1f} s{rows}{note}")


def print_summary(report: Any) -> None:
    """What a person wants to know at the end of a refresh."""
    from discover.orphans import sentence

    colour = {"published": "green", "unchanged": "cyan", "stopped": "red"}[report.state]
    run_id = "" if report.state == "unchanged" else f" {report.run_id}"
    out.print(f"[{colour}]{report.state}[/{colour}]{run_id}", end="")
    out.print(f" in {report.ledger['seconds']} s", end="")
    out.print(f", {report.quarantined:,} records quarantined" if report.quarantined else "")
    for rejected in report.rejected_files:
        out.print(f"  quarantined whole: {rejected['file']}: {rejected['reason']}", markup=False)
    for item in report.passed_over:
        out.print(f"  passed over: {item['file']}: {item['reason']}", markup=False)
    for failure in report.failures:
        out.print(f"  {failure}", markup=False)
    if report.state == "published":
        counts = ", ".join(f"{name} {rows:,}" for name, rows in report.tables.items())
        out.print(f"  {counts}")
        for warning in report.warnings:
            out.print(f"  warning: {warning}", markup=False)
        if kept := sentence(report.orphans):
            out.print(f"  kept and flagged: {kept}")
        documents = ", ".join(f"{rows:,} {name}" for name, rows in report.documents.items())
        out.print(f"  documents: {documents}")


def publish_command(as_json: AsJson = False) -> None:
    """Publish the marts that ``discover build`` made, after checking them."""
    from discover.refresh import publish_built

    with progress.status("checking and publishing"):
        manifest = publish_built(settings())
    if as_json:
        print_json(manifest.model_dump())
    else:
        out.print(f"published {manifest.run_id}; next: discover export-kb, discover sync-kb")


def versions_command(as_json: AsJson = False) -> None:
    """The kept versions, newest first."""
    versions = Versions(settings().home)
    current = versions.current()
    now = datetime.now(UTC)
    rows = [
        manifest.model_dump()
        | {
            "current": current is not None and manifest.run_id == current.run_id,
            "pinned": current is not None and current.pinned and manifest.run_id == current.run_id,
            "age": manifest.age(now),
        }
        for manifest in versions.all()
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print("no version yet; make one: discover refresh")
    for row in rows:
        out.print(
            f"{'→' if row['current'] else ' '} {row['run_id']}  {row['age']:>14}"
            f"  through {row['data_through']}"
            f"  {row['tables']['dim_customers']:>9,} customers"
            f"  {row['tables']['fct_atm_transactions']:>11,} transactions"
            f"{'  rolled back to: stays until new input' if row['pinned'] else ''}",
        )


def diff_command(
    run_a: Annotated[
        str | None, typer.Argument(help="Run id; default: the version before the other.")
    ] = None,
    run_b: Annotated[str | None, typer.Argument(help="Run id; default: the published one.")] = None,
    customers: Annotated[
        int, typer.Option(min=0, help="How many of the customers that moved to list.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """What moved from version RUN_A to RUN_B: metrics, rows, customers, and by how much."""
    from discover.diff import diff

    current = settings()
    versions = Versions(current.home)
    published = versions.require_current()
    newer = run_b or published.run_id
    if run_a is None and run_b is None and published.pinned:
        # What the rollback took back.
        run_a = versions.all()[0].run_id
    older = run_a or versions.before(newer).run_id
    found = diff(current.home, older, newer, customers)
    if as_json:
        print_json(plain(found.to_json()))
    else:
        ages = [versions.get(run_id).age(datetime.now(UTC)) for run_id in (older, newer)]
        out.print(f"{older}, {ages[0]} → {newer}, {ages[1]}")
        print_difference(found)


def print_difference(found: Any) -> None:
    """What moved, for a person; what didn't is left out."""
    if found.equal:
        out.print("equal: every mart has the same rows")
    moved = [metric for metric in found.metrics if metric.before != metric.after]
    if moved:
        table = Table("metric", box=None)
        for side in ("before", "after", "change"):
            table.add_column(side, justify="right")
        for metric in moved:
            figures = (metric.before, metric.after, metric.change)
            table.add_row(escape(metric.label), *map(_figure, figures))
        out.print(table)
    for mart in found.tables:
        if mart.moved:
            columns = ", ".join(f"{name} {rows:,}" for name, rows in mart.columns.items())
            shape = [f"new column {name}" for name in mart.new_columns]
            shape += [f"column {name} is gone" for name in mart.dropped_columns]
            out.print(
                f"{mart.table}: {mart.added:,} rows added, {mart.removed:,} removed,"
                f" {mart.changed:,} changed{f' ({columns})' if columns else ''}"
                f"{''.join(f'; {change}' for change in shape)}",
                markup=False,
            )
    for customer in found.customers:
        values = ", ".join(
            f"{name} {_figure(value['before'])} → {_figure(value['after'])}"
            for name, value in customer.columns.items()
        )
        out.print(
            f"  customer {customer.customer_id} {customer.state}  {values}".rstrip(), markup=False
        )
    more = found.customers_moved - len(found.customers)
    if more:
        out.print(f"  and {more:,} more customers; list them: --customers {found.customers_moved}")


def _figure(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Decimal | float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def rollback_command(
    run_id: Annotated[str | None, typer.Argument(help="Default: the version before.")] = None,
    as_json: AsJson = False,
) -> None:
    """Serve an older version; it stays until new input, ``refresh --force`` or ``--full``."""
    from discover.refresh import rollback

    manifest = rollback(settings(), run_id, on_stage=print_stage)
    if as_json:
        print_json(manifest.model_dump())
    else:
        out.print(f"now serving {manifest.run_id}")


_HINTS = ("Candidate", "Did you mean")
"""How the engine begins to say what was meant perhaps."""


def sql_command(
    query: Annotated[str, typer.Argument(help="Read-only SQL; mart names resolve as they are.")],
    version: Annotated[str | None, typer.Option(help="A kept run id.")] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv")] = False,
) -> None:
    """Run SQL on the published version: read-only, no files, no network."""
    import duckdb

    from lakehouse.duck import connect_published

    if as_json and as_csv:
        raise UsageError("--json and --csv", "name one of them")
    versions = Versions(settings().home)
    manifest = versions.get(version) if version else versions.require_current()
    with _ended_at_once(), connect_published(versions.marts_file(manifest.run_id)) as connection:
        try:
            statements = connection.extract_statements(query)
            if len(statements) != 1:
                raise UsageError(f"{len(statements)} SQL statements", "write one")
            result = connection.execute(statements[0])
            columns = [column[0] for column in result.description or []]
            rows = result.fetchall()
        except duckdb.Error as error:
            said = str(error).splitlines()
            hints = [line for line in said[1:] if line.startswith(_HINTS)]
            raise DiscoverError(
                said[0], hints[0] if hints else "see: discover sql 'SHOW TABLES'"
            ) from None
    if as_json:
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise UsageError(f"two columns are called {twice[0]}", "tell them apart with AS")
        printable = [dict(zip(columns, map(plain, row), strict=True)) for row in rows]
        print_json({"columns": columns, "rows": printable})
    elif as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(map(_no_formula, columns))
        writer.writerows(map(_no_formula, row) for row in rows)
    else:
        print_rows(columns, rows)
        _say_which(manifest)


def _say_which(manifest: Manifest) -> None:
    """Of which version figures are, and how old it is."""
    back = "; rolled back to, until there is new input or refresh --force" * manifest.pinned
    out.print(f"version {manifest.run_id}, {manifest.age(datetime.now(UTC))}{back}", style="dim")


@contextlib.contextmanager
def _ended_at_once() -> Iterator[None]:
    """Leave signals to the system: the engine doesn't look up, and nothing has to be tidied."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _no_formula(value: object) -> object:
    """A cell that no spreadsheet runs: text that begins like a formula gets an apostrophe.

    Numbers are no text: a negative one stays as it is.
    """
    if isinstance(value, int | float | Decimal | date | datetime | None):
        return value
    text = str(value)
    return f"'{text}" if text.lstrip(" \n").startswith(("=", "+", "-", "@", "\t", "\r")) else value


def plain(value: Any) -> Any:
    """A value as JSON holds it: decimals and times as strings, numbers and booleans as they are.

    JSON has no number for infinity and "not a number": these are strings too.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
