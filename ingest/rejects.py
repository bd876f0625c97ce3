"""What isn't taken, and why."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

RAW_SHOWN = 1_000
"""Characters of a rejected record that stand beside its reason; its file is kept whole."""
LISTED = 1_000
"""Rejects a report lists; the quarantine holds all of them."""


@dataclass(frozen=True)
class Reject:
    """One record that can't be taken.

    ``line`` is the line on which it starts, ``record`` its number in a JSON array; both from 1.
    ``field`` is empty where the record as a whole is broken.
    """

    line: int
    field: str
    reason: str
    raw: str
    record: int | None = None
    customer_id: int | None = None
    """Of a credit record: the one customer whom its text names, see ``ingest.attribution``."""

    def to_json(self) -> dict[str, Any]:
        """The reject without what it doesn't have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class FileRejected(Exception):
    """The frame is broken: no record of the file can be trusted."""

    def __init__(self, reason: str, *, line: int = 1, field: str = "", raw: bytes = b"") -> None:
        super().__init__(reason)
        self.reject = Reject(line, field, reason, shown(raw))


class RejectLog:
    """The rejects of one file: all on disk, the first ones at hand."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.listed: list[Reject] = []
        path.write_bytes(b"")

    def add(self, rejects: list[Reject]) -> None:
        """Append; costs memory only for the first :data:`LISTED`."""
        if not rejects:
            return
        with self.path.open("a", encoding="utf-8") as stream:
            for reject in rejects:
                stream.write(json.dumps(reject.to_json(), ensure_ascii=False) + "\n")
        self.count += len(rejects)
        self.listed += rejects[: LISTED - len(self.listed)]

    def restart_with(self, reject: Reject) -> None:
        """Forget what was said about records: the file as a whole is rejected."""
        self.path.write_bytes(b"")
        self.count, self.listed = 0, []
        self.add([reject])


def shown(raw: bytes) -> str:
    """Bytes as text that can be stored and shown; what isn't UTF-8 appears as hexadecimal."""
    text = raw[: 4 * RAW_SHOWN].decode("utf-8", "backslashreplace")[:RAW_SHOWN]
    return text if len(text.encode()) >= len(raw) else f"{text}… ({len(raw)} bytes)"
