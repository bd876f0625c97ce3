"""``install``, ``demo`` and ``day2``: the tour that the Makefile gives."""

from __future__ import annotations

import typer

from discover.context import settings


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.command("install")(install_command)
    app.command("demo")(demo_command)
    app.command("day2")(day2_command)


def install_command() -> None:
    """Install the environments of the emulator and of Superset (locked, hash-checked)."""
    from lakehouse.services import install

    install()


def demo_command() -> None:
    """Run everything on invented data: services, stream, refresh, questions, dashboard."""
    from discover.tour import demo

    demo(settings)


def day2_command() -> None:
    """The day after: a new ATM file, changed credit profiles, one broken file."""
    from discover.tour import day2

    day2(settings)
