"""``dashboard up``, ``dashboard load``, ``dashboard check``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from discover.context import settings
from lakehouse.console import out, print_json, progress
from lakehouse.errors import GateFailed
from lakehouse.settings import Settings
from lakehouse.users import read_grants
from lakehouse.versions import Versions

_NAMED = 5
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]

group = typer.Typer(no_args_is_help=True, help="The dashboard: Superset and the page around it.")


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.add_typer(group, name="dashboard")


@group.command()
def up() -> None:
    """Start Superset and the host page, load the dashboard, print where it is."""
    current = start(settings())
    if Versions(current.home).current() is None:
        progress.print("nothing is published yet: the page will say so until discover refresh")
    else:
        from dashboard.load import ensure_loaded

        ensure_loaded(current)
    out.print(f"page      {current.page_url}", soft_wrap=True)
    out.print(f"superset  {current.superset_url}  (user admin)", soft_wrap=True)
    if current.profile == "local":
        where = current.home / "secrets.json"
        out.print(f"password  superset_admin_password in {where}", soft_wrap=True)


@group.command()
def load() -> None:
    """Import the dashboard's assets into Superset; safe to repeat."""
    from dashboard.load import load as load_assets

    loaded = load_assets(settings())
    progress.print(f"{len(loaded.charts)} charts on {len(loaded.datasets)} datasets loaded")


@group.command()
def check(
    quick: Annotated[bool, typer.Option("--quick", help="Without filters only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare every chart's figures: through Superset, in the published mart, from the chat.

    Under each filter alone, combinations, an empty choice, and awkward names.
    """
    from dashboard.check import check as compare

    current = start(settings())
    report = compare(
        current,
        lambda question, scope: _ask(current, question, scope),
        quick=quick,
        on_scope=lambda name: progress.print(f"scope: {name}", style="dim"),
    )
    different = [chart for chart in report["charts"] if not chart["equal"]]
    if as_json:
        print_json(report)
    else:
        for chart in report["charts"]:
            mark = "[green]equal[/green]" if chart["equal"] else "[red]differs[/red]"
            place = escape(f"{chart['scope']} · {chart['tab']} · {chart['chart']}")
            out.print(f"{mark}  {place}", soft_wrap=True)
    if different:
        names = ", ".join(f"{chart['chart']} ({chart['scope']})" for chart in different[:_NAMED])
        more = f" and {len(different) - _NAMED} more" if len(different) > _NAMED else ""
        raise GateFailed(
            f"{len(different)} figures differ: {names}{more}",
            "compare the three figures: discover dashboard check --json",
        )


def start(current: Settings) -> Settings:
    """Start page and Superset where this machine runs them; the settings with their addresses."""
    if current.profile == "local":
        from lakehouse import services

        services.up(current.home, ["page", "superset"])
        current = settings()
    say_if_nothing_is_shown(current)
    return current


def say_if_nothing_is_shown(current: Settings) -> None:
    """Warn where the page's user may see no customers: it has no rows then."""
    user = current.user or "nobody"
    if not any(grant.user_name == user for grant in read_grants(current.home)):
        progress.print(
            f"the page is for {user}, who may see no customers;"
            f" run: discover users add {current.user or 'NAME'} --customers …, then refresh"
        )


def _ask(current: Settings, question: str, scope: Mapping[str, Any]) -> Mapping[str, Any]:
    from chat.answer import ask, read_scope

    return ask(current, question, user=current.user, scope=read_scope(scope))
