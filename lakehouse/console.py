"""What a person or a program sees: results on standard output, all else on standard error."""

from __future__ import annotations

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
    """One JSON document, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()
