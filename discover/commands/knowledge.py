"""Commands of the documents and the knowledge base."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from discover.context import settings
from lakehouse import console
from lakehouse.errors import DiscoverError
from lakehouse.versions import Versions

JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.command("export-kb")(export_kb)
    app.command("sync-kb")(sync_kb)
    app.command("document")(document)


def export_kb(as_json: JsonFlag = False) -> None:
    """Write the published version's documents to S3: only those that changed."""
    from kb_export.upload import export

    current = settings()
    with (
        Versions(current.home).lock(f"export-kb-{uuid.uuid4().hex[:8]}"),
        _bar("documents") as advance,
    ):
        report = export(current, on_progress=advance)
    if as_json:
        console.print_json(asdict(report))
    else:
        console.out.print(
            f"documents: {report.written:,} written, {report.unchanged:,} unchanged,"
            f" {report.deleted:,} deleted; {report.puts:,} PUTs"
        )


def sync_kb(as_json: JsonFlag = False) -> None:
    """Create or reuse the Bedrock knowledge base, ingest the documents, print its statistics."""
    from kb_export.knowledge_base import sync

    def tell(status: str, scanned: int) -> None:
        console.progress.print(f"ingestion {status.lower()}: {scanned:,} documents scanned")

    current = settings()
    Versions(current.home).require_current()
    report = sync(current, on_progress=tell)
    if as_json:
        console.print_json(asdict(report))
    else:
        console.out.print(
            f"knowledge base {report.knowledge_base_id}"
            f" ({'created' if report.created else 'reused'}): {report.scanned:,} documents scanned,"
            f" {report.indexed:,} new, {report.modified:,} modified, {report.deleted:,} deleted,"
            f" {report.failed:,} failed, in {report.seconds:.1f} s"
        )


def document(
    customer_id: Annotated[int, typer.Argument(help="The customer's id.", max=2**63 - 1)],
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The rendition that Bedrock reads.")
    ] = False,
) -> None:
    """Print one customer's document of the published version."""
    from kb_export.upload import customer_objects, customer_paths, published_facts

    facts = published_facts(settings(), customer_id)
    if facts is None:
        raise DiscoverError(
            f"the published version has no customer {customer_id}",
            'list them: discover sql "SELECT customer_id FROM dim_customers"',
        )
    json_path, markdown_path, _ = customer_paths(customer_id)
    objects = customer_objects(facts)
    # The very bytes, on any terminal.
    sys.stdout.flush()
    sys.stdout.buffer.write(objects[markdown_path if markdown else json_path])
    sys.stdout.buffer.flush()


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; silent without a terminal."""
    from rich.progress import Progress

    with Progress(
        console=console.progress, transient=True, disable=not console.progress.is_terminal
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
