"""What the global options say, for every command of one process."""

from __future__ import annotations

import os

from lakehouse.errors import UsageError
from lakehouse.settings import Settings, load

GLOBAL_OPTIONS = ("--home", "--profile")


def take_global_options(arguments: list[str]) -> tuple[list[str], bool]:
    """The arguments without the global options, wherever they stood before ``--``.

    Returns:
        The other arguments, and whether ``--debug`` was among them.

    Raises:
        UsageError: ``--home`` or ``--profile`` without a value: an unset variable of a script must
            not mean the default home.

    """
    rest: list[str] = []
    debug = False
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
            break
        name, equals, value = word.partition("=")
        if word == "--debug":
            debug = True
        elif name in GLOBAL_OPTIONS:
            given = value if equals else next(words, "")
            if not given:
                raise UsageError(
                    f"{name} has no value", f"write {name} and a value, or leave it out"
                )
            # This process and its children (dbt, Sail, gunicorn) find the same home.
            os.environ[f"DISCOVER_{name.removeprefix('--').upper()}"] = given
        else:
            rest.append(word)
    return rest, debug


def settings() -> Settings:
    """The settings of the home and profile that the command line names, read anew at each call."""
    return load()
