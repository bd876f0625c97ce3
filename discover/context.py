"""What the global options say, for every command of one process."""

from __future__ import annotations

import os

from lakehouse.settings import Settings, load

GLOBAL_OPTIONS = ("--home", "--profile")
_given: dict[str, str] = {}


def take_global_options(arguments: list[str]) -> list[str]:
    """The arguments without ``--home X`` and ``--profile X``, wherever they stood before ``--``."""
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            return [*rest, word, *words]
        name, equals, value = word.partition("=")
        if name in GLOBAL_OPTIONS:
            given = value if equals else next(words, "")
            _given[name.removeprefix("--")] = given
            # Children (dbt, Sail, gunicorn) find the same home.
            os.environ[f"DISCOVER_{name.removeprefix('--').upper()}"] = given
        else:
            rest.append(word)
    return rest


def settings() -> Settings:
    """The settings of the home and profile that the command line names, read anew at each call."""
    return load(_given.get("home"), _given.get("profile"))
