"""The ``discover`` command."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from discover.context import take_global_options
from lakehouse.clients import lake_answers
from lakehouse.console import progress, tolerate_narrow_terminals
from lakehouse.errors import DiscoverError, in_one_line

if TYPE_CHECKING:
    from typer._click import Command, Context

# Nothing here multiplies matrices, and BLAS's threads cost a tenth of a second at every start.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# dbt and Great Expectations make objects by the million and keep most: looking for garbage among
# them as often as Python does by itself is a fourteenth of a refresh.
gc.set_threshold(100_000, 20, 100)

COMMANDS = {
    "services": ("up", "down", "status", "doctor", "env"),
    "ingest": ("generate", "bank", "land", "quarantine"),
    "lake": ("flatten", "check"),
    "build": ("build", "docs"),
    "batch": ("refresh", "publish", "versions", "diff", "rollback", "sql"),
    "knowledge": ("export-kb", "sync-kb", "document"),
    "stream": ("stream",),
    "chat": ("chat", "users", "metrics", "explain"),
    "dashboard": ("dashboard",),
    "demo": ("install", "demo", "day2"),
}
"""The commands that each module of ``discover.commands`` registers, in the order of the help."""

PACKAGES = (
    "discover",
    "lakehouse",
    "ingest",
    "streaming",
    "expectations",
    "kb_export",
    "chat",
    "dashboard",
)
"""The packages of this project."""

_WITHOUT_EXTRAS = ("obstore", "pyarrow", "pydantic", "pydantic_settings", "pyiceberg")
"""What the packages import of the wheel's own dependencies; ``rich`` and ``typer`` run already."""

_MODULE_OF = {name: module for module, names in COMMANDS.items() for name in names}


class _Commands(TyperGroup):
    """Imports a module only when one of its commands, or the list of all, is asked for."""

    def list_commands(self, ctx: Context) -> list[str]:
        """All names."""
        del ctx
        return list(_MODULE_OF)

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command, or None; then all are loaded, so that a near name can be suggested."""
        del ctx
        wanted = [_MODULE_OF[cmd_name]] if cmd_name in _MODULE_OF else list(COMMANDS)
        if cmd_name not in self.commands:
            for module in wanted:
                part = typer.Typer()
                importlib.import_module(f"discover.commands.{module}").register(part)
                self.commands.update(typer.main.get_group(part).commands)
        return self.commands.get(cmd_name)


app = typer.Typer(
    name="discover",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback(
    help="BMO Discover: a customer-insights lakehouse. "
    "Everywhere: --home DIR (state, default .discover/), --profile local|compose|aws, --debug."
)
def _nothing_before_a_command() -> None:
    pass


def main() -> None:
    """Run one command; turn every failure into one line and its exit code."""
    tolerate_narrow_terminals()
    # What is written here holds customers: it is its owner's alone, whoever may pass by.
    os.umask(0o077)
    debug = False
    before = signal.signal(signal.SIGTERM, _end_tidily)
    try:
        arguments, debug = take_global_options(sys.argv[1:])
        with lake_answers():
            app(args=arguments, prog_name="discover")
    except DiscoverError as error:
        if debug:
            traceback.print_exc()
        _say(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        progress.print("interrupted")
        sys.exit(1)
    except ModuleNotFoundError as error:
        if debug:
            traceback.print_exc()
        _say(_not_installed(error))
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback for users
        if debug:
            traceback.print_exc()
        _say(f"{in_one_line(error)} — run again with --debug for the traceback")
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_tidily(number: int, _frame: FrameType | None) -> None:
    """Leave by way of every ``finally``, so that locks and candidates go; a second one kills."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def _not_installed(error: ModuleNotFoundError) -> str:
    """Which module is missing and what to do: the extras bring what our own code imports.

    A module that another package imports is missing because that package's installation is
    incomplete, or because it doesn't support this Python.
    """
    missing = error.name or in_one_line(error)
    importer = _importer(error)
    if importer not in PACKAGES:
        needed_by = f", which {importer} needs," if importer else ""
        return (
            f"{missing}{needed_by} is not installed: the environment is incomplete"
            " — in a clone: rm -r .venv, then make setup; else install what brings it"
        )
    top = missing.partition(".")[0]
    if top in PACKAGES:
        return f"{missing} is not installed: bmo-discover is incomplete — install it again"
    if top in _WITHOUT_EXTRAS:
        return (
            f"{missing} is not installed — in a clone: make setup; else: pip install bmo-discover"
        )
    return (
        f"{missing} is not installed — the wheel alone has what flatten needs on a Spark"
        " cluster; for all commands: pip install 'bmo-discover[pipeline,local]'"
    )


def _importer(error: ModuleNotFoundError) -> str | None:
    """The top-level package that imports what is missing."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = (str(frame.f_globals.get("__name__")).partition(".")[0] for frame in reversed(frames))
    return next((name for name in names if name != "importlib"), None)


def _say(message: str) -> None:
    """One line of cause and what to do. The message may quote brackets, which are no markup."""
    from rich.markup import escape

    progress.print("[red]error:[/red]", escape(message))
