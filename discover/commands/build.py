"""dbt: ``build`` as a single stage, and ``docs``."""

from __future__ import annotations

import functools
import shutil
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from discover.context import settings
from discover.publish import Built, built_folder, fingerprint_code
from lakehouse import catalog
from lakehouse.console import out, print_json, progress
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from lakehouse.users import read_grants
from lakehouse.versions import Versions

DOCS_PORT = 18091


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.command("build")(build_command)
    app.command("docs")(docs_command)


def build_command(
    args: Annotated[
        list[str] | None,
        typer.Argument(help="After --: arguments of dbt build, such as --select fct_loans."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document on standard output.")
    ] = False,
) -> None:
    """Build and test the marts aside, on a copy of the published version; publishes nothing."""
    from discover.build import build, build_views

    current = settings()
    work_dir = built_folder(current.home)
    shutil.rmtree(work_dir, ignore_errors=True)
    work_dir.mkdir(parents=True)
    marts_file, base = _copy_of_published(current.home, work_dir)
    with progress.status("dbt build"):
        if args:
            build_views(current, marts_file=marts_file, work_dir=work_dir)
        report = build(
            current,
            marts_file=marts_file,
            work_dir=work_dir,
            args=args or (),
            entitlements=read_grants(current.home),
        )
    if as_json:
        print_json(report.to_json())
    else:
        table = Table("mart", "rows")
        for name, rows in report.tables.items():
            table.add_row(name, f"{rows:,}")
        out.print(table)
        out.print(f"{report.passed} models, seeds and tests passed")
        for warning in report.warnings:
            out.print(f"warning: {warning}", markup=False, soft_wrap=True)
    if report.failures:
        raise GateFailed(
            f"dbt: {len(report.failures)} failed, first {report.failures[0]}",
            f"see {work_dir}/logs",
        )
    Built(work_dir).record(*_fingerprints(current, partial=bool(args)), base)
    progress.print("next: discover check marts, discover publish")


def docs_command(
    port: Annotated[int, typer.Option(help="Another is taken where it isn't free.")] = DOCS_PORT,
) -> None:
    """Build dbt's documentation, with lineage from sources to exposures, and serve it here."""
    from discover.build import build_docs

    with progress.status("dbt docs generate"):
        site = build_docs(settings())
    with _server(site, port) as server:
        out.print(f"dbt docs: http://127.0.0.1:{server.server_port} (stop with Ctrl+C)")
        server.serve_forever()


def _fingerprints(current: Settings, *, partial: bool) -> tuple[dict[str, str], str]:
    """What the marts were built from; unknown where some of it is not in the raw tables yet."""
    from discover.refresh import fingerprint_inputs
    from ingest.flatten import pending_batches

    pending = any(pending_batches(current, source) for source in catalog.SOURCES)
    inputs = {} if partial or pending else fingerprint_inputs(current)
    return inputs, fingerprint_code()


def _copy_of_published(home: Path, work_dir: Path) -> tuple[Path, str | None]:
    """The file to build in, and the version that it is a copy of."""
    versions = Versions(home)
    published = versions.current_run_id()
    marts_file = work_dir / "marts.duckdb"
    if published is not None:
        shutil.copyfile(versions.marts_file(published), marts_file)
    return marts_file, published


def _server(site: Path, port: int) -> ThreadingHTTPServer:
    handler = functools.partial(_QuietHandler, directory=str(site))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: standard error is for progress."""
