"""The ``discover`` command."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from types import FrameType

import typer
from rich.markup import escape

from discover.context import take_global_options
from lakehouse.console import progress, tolerate_narrow_terminals
from lakehouse.errors import DiscoverError

COMMAND_MODULES = (
    "services",
    "ingest",
    "lake",
    "build",
    "batch",
    "knowledge",
    "stream",
    "chat",
    "dashboard",
    "demo",
)

app = typer.Typer(
    name="discover",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="BMO Discover: a customer-insights lakehouse. "
    "Everywhere: --home DIR (state, default .discover/), --profile local|compose|aws, --debug.",
)

for _name in COMMAND_MODULES:
    importlib.import_module(f"discover.commands.{_name}").register(app)


def main() -> None:
    """Run one command; turn every failure into one line and its exit code."""
    tolerate_narrow_terminals()
    # What is written here holds customers: it is its owner's alone, whoever may pass by.
    os.umask(0o077)
    debug = False
    before = signal.signal(signal.SIGTERM, _end_tidily)
    try:
        arguments, debug = take_global_options(sys.argv[1:])
        app(args=arguments, prog_name="discover")
    except DiscoverError as error:
        if debug:
            traceback.print_exc()
        _say(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        progress.print("interrupted")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback for users
        if debug:
            traceback.print_exc()
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
        _say(f"{type(error).__name__}: {reason} — run again with --debug for the traceback")
        sys.exit(1)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end_tidily(number: int, _frame: FrameType | None) -> None:
    """Leave by way of every ``finally``, so that locks and candidates go; a second one kills."""
    signal.signal(number, signal.SIG_DFL)
    raise SystemExit(128 + number)


def _say(message: str) -> None:
    """One line of cause and what to do. The message may quote brackets, which are no markup."""
    progress.print("[red]error:[/red]", escape(message))
