"""Commands that start, stop and look at the local services."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from discover.context import settings
from lakehouse.console import out, print_json, progress

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]


def register(app: typer.Typer) -> None:
    """Add ``up``, ``down``, ``status``, ``doctor``, ``env`` and ``install``."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(
    services: Annotated[
        list[str] | None, typer.Argument(help="Default: all but superset.", show_default=False)
    ] = None,
) -> None:
    """Start the local services and wait until each answers. Running ones are left alone."""
    from lakehouse import services as local

    states = local.up(settings().home, services or None)
    for state in states:
        progress.print(f"{state.name}: {state.state} at {state.url}")


def down(
    services: Annotated[
        list[str] | None, typer.Argument(help="Default: all.", show_default=False)
    ] = None,
) -> None:
    """Stop the local services. Data stays."""
    from lakehouse import services as local

    stopped = local.down(settings().home, services or None)
    progress.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(json: JsonOption = False) -> None:
    """Show whether each service answers, where, and how much memory it takes."""
    from lakehouse import services as local

    states = local.status(settings().home)
    if json:
        print_json([asdict(state) for state in states])
        return
    for state in states:
        out.print(f"{state.name}  {state.state}  {state.url}  {state.rss_mb} MB  {state.detail}")
