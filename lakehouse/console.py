"""What a person or a program sees: results on standard output, all else on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from typing import Any

from rich.console import Console

progress = Console(stderr=True, highlight=False, soft_wrap=True)
"""For progress and notes. Plain text without a terminal."""

out = Console(highlight=False, soft_wrap=True)
"""For results that a person reads; never used together with :func:`print_json`."""


def note(text: str) -> None:
    """One line of progress, never wrapped, so that a log or a test finds it whole."""
    progress.print(text, soft_wrap=True, markup=False)


def print_json(document: Any) -> None:
    """One JSON document, and nothing else, on standard output: UTF-8, or escapes where that isn't.

    Raises:
        ValueError: a number that JSON can't hold; bring it into words before.

    """
    ascii_only = not _speaks_unicode(sys.stdout)
    text = json.dumps(document, default=str, ensure_ascii=ascii_only, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tolerate_narrow_terminals() -> None:
    """On a terminal or a pipe that isn't UTF-8, a letter that it lacks becomes a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _speaks_unicode(stream):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="replace")


def _speaks_unicode(stream: Any) -> bool:
    return str(getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
