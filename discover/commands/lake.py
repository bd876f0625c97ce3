"""Single stages over the lake: flatten, and the checks at both boundaries."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from discover.context import settings
from lakehouse.console import out, print_json, progress
from lakehouse.errors import GateFailed

if TYPE_CHECKING:
    from expectations.report import CheckReport
    from ingest.flatten import FlattenedTable

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.command("flatten")(flatten)
    app.command("check")(check)


def flatten(
    engine: Annotated[
        Literal["sail", "spark"],
        typer.Option(
            help="Sail, or Apache Spark: the one that spark-submit, SPARK_CONF_DIR or SPARK_HOME "
            "describes, else one in this process."
        ),
    ] = "sail",
    as_json: Json = False,
) -> None:
    """Bring landed batches into the raw Iceberg tables, with PySpark."""
    from ingest.flatten import flatten as run
    from lakehouse.versions import Versions

    current = settings()
    versions = Versions(current.home)
    # Two at once would both find a batch pending, and both append it.
    with (
        versions.lock(f"flatten {versions.next_run_id()}"),
        _waiting("flattening", "landed batches → Iceberg"),
    ):
        tables = run(current, engine)
    if as_json:
        print_json({"engine": engine, "tables": [asdict(table) for table in tables]})
    else:
        out.print(_tables(tables))


def check(
    boundary: Annotated[
        Literal["raw", "marts"], typer.Argument(help="raw: before dbt. marts: as published.")
    ],
    as_json: Json = False,
) -> None:
    """Run the expectations of one boundary; exit code 4 when one does not hold."""
    with _waiting("checking", boundary):
        report = _check(boundary)
    if as_json:
        print_json(report.to_json())
    else:
        out.print(_checks(report))
    if not report.passed:
        first = report.failed[0]
        raise GateFailed(
            f"{len(report.failed)} of {len(report.checks)} checks failed, first"
            f" {first.table}: {first.name} ({first.found})",
            "mend the data, then run: discover refresh",
        )


def _check(boundary: str) -> CheckReport:
    if boundary == "raw":
        from expectations.raw import check_raw

        return check_raw(settings())
    from discover.publish import Built, built_folder
    from expectations.marts import check_marts
    from lakehouse.versions import Versions

    current = settings()
    built = Built(built_folder(current.home))
    if built.exists:
        return check_marts(current, built.marts_file)
    versions = Versions(current.home)
    return check_marts(current, versions.marts_file(versions.require_current().run_id))


def _waiting(verb: str, what: str) -> contextlib.AbstractContextManager[object]:
    return progress.status(f"{verb} {what}")


def _tables(tables: list[FlattenedTable]) -> Table:
    table = Table("table", "rows in", "rows out", "changed")
    for done in tables:
        table.add_row(
            done.table, f"{done.rows_in:,}", f"{done.rows_out:,}", "yes" if done.changed else "no"
        )
    return table


def _checks(report: CheckReport) -> Table:
    table = Table("table", "check", "holds", "observed")
    for check in report.checks:
        found = "\n".join(part for part in (check.found, str(check.keys or "")) if part)
        holds = "yes" if check.passed else "[red]NO[/red]"
        table.add_row(check.table, check.name, holds, escape(found))
    return table
