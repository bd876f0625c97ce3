"""Data in: generate, bank load, land, quarantine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape
from rich.table import Table

from discover.context import settings
from discover.land_report import SHOWN, explained, show, visible
from lakehouse.catalog import SOURCES
from lakehouse.console import out, print_json, progress
from lakehouse.errors import InputRejected, UsageError

if TYPE_CHECKING:
    from ingest.land import LandReport

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.command()(generate)
    bank = typer.Typer(no_args_is_help=True, help="The bank's own database.")
    bank.command("load")(bank_load)
    app.add_typer(bank, name="bank")
    app.command()(land)
    quarantine = typer.Typer(help="Rejected records.", invoke_without_command=True)
    quarantine.callback()(quarantine_list)
    quarantine.command("replay")(quarantine_replay)
    app.add_typer(quarantine, name="quarantine")


def generate(
    customers: Annotated[int, typer.Option(help="How many customers.", min=1)],
    days: Annotated[int, typer.Option(help="Days of activity.", min=1)],
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.", min=0)],
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    end_date: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day of activity. [default: yesterday]"),
    ] = None,
    complaints: Annotated[int, typer.Option(help="How many complaints.", min=0)] = 0,
    defects: Annotated[
        float, typer.Option(help="Share of records to spoil; see defects.json.", min=0, max=1)
    ] = 0.0,
    load: Annotated[bool, typer.Option("--load", help="Also load them into Postgres.")] = False,
    as_json: Json = False,
) -> None:
    """Write invented customers, credit records, ATM activity and complaints."""
    from ingest.bank import load_file
    from ingest.generate import CUSTOMERS_FILE, expected, yesterday
    from ingest.generate import generate as run

    current = settings()
    last = end_date.date() if end_date else yesterday(datetime.now(ZoneInfo(current.timezone)))
    counts = _generated(
        lambda told: run(
            customers, days, seed, out_folder, last, complaints, defects, on_progress=told
        )
    )
    document: dict[str, Any] = {"files": counts, "end_date": str(last)}
    if defects:
        document["expected"] = expected(out_folder)
    if load:
        document["bank"] = load_file(current, out_folder / CUSTOMERS_FILE).to_json()
    if as_json:
        print_json(document)
        return
    for file, count in counts.items():
        out.print(f"{count:>12,} records  {out_folder / file}", soft_wrap=True)
    for source, count in document.get("expected", {}).items():
        out.print(f"{count['quarantined']:>12,} of {count['rows_in']:,} spoiled in {source}")
    if load:
        out.print(f"{document['bank']['loaded']:>12,} customers loaded into the bank")


def bank_load(
    file: Annotated[
        str, typer.Argument(help="A .csv, a psql script, or a plain pg_dump; - is standard input.")
    ],
    replace: Annotated[bool, typer.Option("--replace", help="Empty the table first.")] = False,
    as_json: Json = False,
) -> None:
    """Load customers into Postgres. A script runs in a scratch database, without any rights."""
    from ingest.bank import load_file

    report = load_file(settings(), file, replace=replace)
    if as_json:
        print_json(report.to_json())
        return
    out.print(f"{report.loaded:,} customers loaded, {report.present:,} were there already")
    for statement in report.not_run[:SHOWN]:
        out.print(f"passed over: {escape(visible(statement))}")
    if len(report.not_run) > SHOWN:
        out.print(f"passed over: {len(report.not_run) - SHOWN:,} more; all: --json")
    for remark in report.notes:
        out.print(escape(visible(remark)))
    if report.rejected:
        out.print(f"{report.rejected:,} rows not loaded:")
        for reject in report.rejects[:SHOWN]:
            for line in explained(reject, unit=report.unit):
                out.print(line)


def land(
    source: Annotated[str, typer.Argument(help=" ".join(SOURCES))],
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, globs, s3:// URLs, - (stdin). Without: core_banking from Postgres."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Land nothing; just report.")] = False,
    rows: Annotated[bool, typer.Option("--rows", help="Add the typed rows as they land.")] = False,
    as_json: Json = False,
) -> None:
    """Type or quarantine every record of the files of one source."""
    from ingest.land import land as run

    with _reading() as on_file:
        report = run(settings(), source, paths or [], check=check, rows=rows, on_file=on_file)
    if as_json:
        print_json(report.to_json())
    else:
        _show(report, check)
    if report.rejected:
        raise InputRejected(
            report.rejected,
            "nothing was written" if check else "see: discover quarantine",
        )


def quarantine_list(
    context: typer.Context,
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    as_json: Json = False,
) -> None:
    """List every rejected record with file, line, field, reason, raw text and batch."""
    if context.invoked_subcommand:
        return
    from ingest.quarantine import listing
    from lakehouse.landing import require_lake

    _require_source(source)
    current = settings()
    require_lake(current)
    if as_json:
        print_json(list(listing(current, source)))
        return
    table = Table(title="quarantine")
    for name in ("source", "file", "line", "field", "reason", "raw"):
        table.add_column(name, overflow="fold")
    count = 0
    for count, found in enumerate(listing(current, source), 1):
        if count <= SHOWN:
            told = {**found, "raw": visible(found["raw"]), "file": Path(found["file"]).name}
            table.add_row(*(escape(str(told[str(c.header)])) for c in table.columns))
    table.caption = f"{min(count, SHOWN)} of {count:,}; all: discover quarantine --json"
    out.print(table)


def quarantine_replay(
    source: Annotated[str | None, typer.Option(help="Only this source.")] = None,
    as_json: Json = False,
) -> None:
    """Land quarantined files again, after a setting or the code was mended."""
    from ingest.land import replay

    _require_source(source)
    reports = replay(settings(), source)
    if as_json:
        print_json([report.to_json() for report in reports])
        return
    for report in reports:
        _show(report, check=False)
    if not reports:
        out.print("nothing to replay")


def _require_source(source: str | None) -> None:
    if source is not None and source not in SOURCES:
        raise UsageError(f"unknown source {source!r}", f"one of: {', '.join(SOURCES)}")


def _show(report: LandReport, check: bool) -> None:
    limit = settings().bad_share_limit_of(report.source)
    show(report, check=check, limit=limit, console=out)
    for file in report.files:
        if file.rows is not None:
            print_json(file.rows)


@contextmanager
def _reading() -> Iterator[Callable[[str, int], Callable[[int], None]] | None]:
    """A bar of bytes read for each file, where a person watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=progress, transient=True) as bars:

        def on_file(name: str, size: int) -> Callable[[int], None]:
            task = bars.add_task(escape(Path(name).name), total=size)
            return lambda count: bars.advance(task, count)

        yield on_file


def _generated(
    run: Callable[[Callable[[str, int], None]], dict[str, int]],
) -> dict[str, int]:
    """Run with a counter of records for each file, where a person watches."""
    if not sys.stderr.isatty():
        return run(lambda _file, _count: None)
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=progress, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def told(file: str, count: int) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=None)
            bars.advance(tasks[file], count)

        return run(told)
