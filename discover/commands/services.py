"""Commands that start, stop and look at the local services."""

from __future__ import annotations

import shlex
import signal
from dataclasses import asdict
from typing import Annotated

import typer

from discover.context import settings
from lakehouse.console import note, out, print_json
from lakehouse.settings import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
STARTED_ELSEWHERE = {
    "compose": "profile compose runs in containers: docker compose up --detach",
    "aws": "profile aws runs in your account: see infra/",
}


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    for command in (up, down, status, doctor, env):
        app.command()(command)


def up(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Names; without any, all but superset and page.", show_default=False),
    ] = None,
) -> None:
    """Start the local services and wait until each answers; running ones are left alone."""
    from lakehouse import services as local

    current = settings()
    if not _is_local(current):
        return
    # Asked to end half-way, it stops what it has started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    states = local.up(current.home, services or None)
    note(", ".join(f"{state.name} {state.state}" for state in states))
    if any(state.name == "page" for state in states):
        from discover.commands.dashboard import say_if_nothing_is_shown

        say_if_nothing_is_shown(current)


def down(
    services: Annotated[
        list[str] | None, typer.Argument(help="Names; without any, all.", show_default=False)
    ] = None,
) -> None:
    """Stop the local services; data stays."""
    from lakehouse import services as local

    current = settings()
    if not _is_local(current):
        return
    stopped = local.down(current.home, services or None)
    note(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


def status(json: JsonOption = False) -> None:
    """Show whether each service answers, where, and how much memory it takes."""
    from rich.table import Table

    from lakehouse import services as local

    current = settings()
    if current.profile == "local":
        states = local.status(current.home)
    else:
        states = local.remote_status(current)
    if json:
        print_json([asdict(state) for state in states])
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "state", "url", "pid", "MB", ""):
        table.add_column(heading, overflow="fold", justify="right" if heading == "MB" else "left")
    for state in states:
        memory = f"{state.rss_mb:.0f}" if state.pid else ""
        pid = str(state.pid or "")
        table.add_row(state.name, state.state, state.url, pid, memory, state.detail)
    out.print(table)


def doctor(json: JsonOption = False) -> None:
    """Say what this machine lacks, and the fix; exit code 1 when something does."""
    from lakehouse.services.doctor import examine

    current = settings()
    checks = examine(current.home, current.timezone)
    if json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            word = "[green]ok     [/green]" if check.ok else "[red]missing[/red]"
            fix = f" — {check.fix}" if check.fix else ""
            out.print(f"{word} {check.name}: {check.detail}{fix}", soft_wrap=True)
    if not all(check.ok for check in checks):
        raise typer.Exit(1)


def env(json: JsonOption = False) -> None:
    """Print the exports that dbt, the AWS CLI, psql or a notebook need: eval "$(discover env)"."""
    from lakehouse.services.exports import exports

    variables = exports(settings())
    if json:
        print_json(variables)
        return
    for name, value in variables.items():
        # Not through rich: a terminal's width must not break a line.
        typer.echo(f"export {name}={shlex.quote(value)}")


def _is_local(current: Settings) -> bool:
    """Whether services are ours to start; says who starts them where they aren't."""
    if current.profile != "local":
        note(STARTED_ELSEWHERE[current.profile])
    return current.profile == "local"
