"""Rejected records in the lake, one object a file: what stands here is what is wrong now.

The same bytes landed again, as by a replay, take the place of their earlier rejects. A mended file
is other bytes: the rejects of those delivered before stay, as a record of what was wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lakehouse.catalog import LAKE_BUCKET, SOURCES, quarantine_prefix
from lakehouse.clients import lake_store
from lakehouse.landing import object_name
from lakehouse.settings import Settings


@dataclass(frozen=True)
class FileId:
    """A delivered file: the name it came under, and its content."""

    file: str
    sha256: str


def write(
    settings: Settings,
    source: str,
    batch_id: str,
    file: FileId,
    rejects: Path,
    together: Sequence[FileId],
) -> None:
    """Put one file's rejects (JSON lines) into quarantine, in place of its earlier ones.

    ``together``: all the files of that landing, for a replay of a snapshot.
    """
    store = lake_store(settings, LAKE_BUCKET)
    key = f"{quarantine_prefix(source)}{batch_id}/{file.sha256}-{object_name(file.file)}.jsonl"
    earlier = [found for found in _keys(settings, source) if _sha256(found) == file.sha256]
    if rejects.stat().st_size:
        head = {
            "source": source,
            "batch": batch_id,
            **asdict(file),
            "together": [asdict(part) for part in together],
        }
        with rejects.open("rb") as stream:
            store.put(key, _lines(json.dumps(head).encode() + b"\n", stream))
    for old in earlier:
        if old != key:
            store.delete(old)


def listing(settings: Settings, source: str | None = None) -> Iterator[dict[str, Any]]:
    """Every rejected record: source, batch, file, line, field, reason, raw (and record)."""
    store = lake_store(settings, LAKE_BUCKET)
    for name in [source] if source else SOURCES:
        for key in _keys(settings, name):
            head, *lines = bytes(store.get(key).bytes()).splitlines()
            of_file = json.loads(head)
            del of_file["together"]
            for line in lines:
                yield {**of_file, **json.loads(line)}


@dataclass(frozen=True)
class Quarantined:
    """A file that has rejects, the landing that left them, and all files of that landing."""

    batch_id: str
    file: FileId
    together: tuple[FileId, ...]


def files(settings: Settings, source: str) -> list[Quarantined]:
    """Every file that has rejects, in the order in which they were landed."""
    store = lake_store(settings, LAKE_BUCKET)
    found = []
    for key in _keys(settings, source):
        head = json.loads(bytes(store.get(key).bytes()).split(b"\n", 1)[0])
        together = tuple(FileId(**part) for part in head["together"])
        found.append(Quarantined(head["batch"], FileId(head["file"], head["sha256"]), together))
    return found


def _sha256(key: str) -> str:
    return key.split("/")[-1][:64]


def _keys(settings: Settings, source: str) -> list[str]:
    store = lake_store(settings, LAKE_BUCKET)
    return sorted(found["path"] for page in store.list(quarantine_prefix(source)) for found in page)


def _lines(head: bytes, stream: Any) -> Iterator[bytes]:
    yield head
    while block := stream.read(1 << 20):
        yield block
