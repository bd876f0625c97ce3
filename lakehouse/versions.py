"""The published version: one manifest, one DuckDB file of the marts, never written again.

Layout under the home::

    published.json                     the manifest of the version that everyone reads
    versions/<run_id>/marts.duckdb     the marts and nothing else
    versions/<run_id>/manifest.json    the same manifest, kept for history and rollback
    versions/<run_id>/semantic_manifest.json   metrics, as they were when this version was built

A candidate is built under its own run id; one atomic rename of ``published.json`` shows it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import psutil
from pydantic import BaseModel, ConfigDict

from lakehouse import business_calendar
from lakehouse.errors import DiscoverError
from lakehouse.settings import read_json

RUN_ID_TIME = "%Y%m%dT%H%M%S.%fZ"


class Manifest(BaseModel):
    """What a published version is made of, and from which inputs and code."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    published_at: str
    """UTC, ISO 8601."""
    inputs: dict[str, str]
    """Fingerprint of every input, by name; equal inputs and code mean nothing to do."""
    code: str
    """Fingerprint of everything that shapes the result."""
    tables: dict[str, int]
    """Rows by mart."""
    timezone: str = "UTC"
    """The bank's, by which its days are counted."""
    data_through: str | None = None
    """The last business day in the data (ISO date): the chat's "today"."""
    documents: int = 0
    """Customer and portfolio documents of this version."""
    documents_complete: bool = False
    """Whether S3 and the knowledge base hold this version's documents: they follow the marts."""
    pinned: bool = False
    """Set by rollback: kept until there is new input or ``--force``."""

    @property
    def last_business_day(self) -> date:
        """The day from which this version's relative periods count."""
        return business_calendar.last_business_day(self.model_dump())

    def age(self, now: datetime) -> str:
        """How old it is, as people say it: "3 hours old"."""
        minutes = int((now - datetime.fromisoformat(self.published_at)).total_seconds() // 60)
        for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
            if (count := minutes // length) > 0:
                return f"{count} {unit}{'s' if count > 1 else ''} old"
        return "less than a minute old"


class Versions:
    """The versions of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home / "versions"
        self.pointer = home / "published.json"

    def current(self) -> Manifest | None:
        """The manifest that everyone reads now."""
        found = read_json(self.pointer)
        return Manifest(**found) if found else None

    def current_run_id(self) -> str | None:
        """The run id of the version that everyone reads now."""
        manifest = self.current()
        return manifest.run_id if manifest else None

    def require_current(self) -> Manifest:
        """The published manifest.

        Raises:
            DiscoverError: nothing has been published yet.

        """
        manifest = self.current()
        if manifest is None:
            raise DiscoverError("nothing is published yet", "run: discover refresh")
        return manifest

    def get(self, run_id: str) -> Manifest:
        """The manifest of one kept version.

        Raises:
            DiscoverError: no complete version has this run id.

        """
        found = next((manifest for manifest in self.all() if manifest.run_id == run_id), None)
        if found is None:
            raise DiscoverError(f"no version {run_id}", "list them: discover versions")
        return found

    def all(self) -> list[Manifest]:
        """All versions that were published and are kept, newest first."""
        kept = [Manifest(**read_json(path)) for path in self.folder.glob("*/manifest.json")]
        found = {manifest.run_id: manifest for manifest in kept}
        # A run that was cut right after it had published hasn't kept its manifest yet.
        if (current := self.current()) is not None:
            found.setdefault(current.run_id, current)
        return sorted(found.values(), key=lambda manifest: manifest.run_id, reverse=True)

    def before(self, run_id: str) -> Manifest:
        """The newest version that is older than ``run_id``.

        Raises:
            DiscoverError: none is kept.

        """
        older = [manifest for manifest in self.all() if manifest.run_id < run_id]
        if not older:
            raise DiscoverError(f"no version before {run_id}", "list them: discover versions")
        return older[0]

    def next_run_id(self) -> str:
        """A run id by the clock, and above all that were: newer versions have higher ids."""
        now = datetime.now(UTC)
        known = [path.name for path in self.folder.glob("*")]
        if (manifest := self.current()) is not None:
            known.append(manifest.run_id)
        for run_id in known:
            with contextlib.suppress(ValueError):
                taken = datetime.strptime(run_id, RUN_ID_TIME).replace(tzinfo=UTC)
                now = max(now, taken + timedelta(microseconds=1))
        return now.strftime(RUN_ID_TIME)

    def marts_file(self, run_id: str) -> Path:
        """The DuckDB file of one version."""
        return self.folder / run_id / "marts.duckdb"

    def semantic_manifest_file(self, run_id: str) -> Path:
        """The MetricFlow manifest of one version."""
        return self.folder / run_id / "semantic_manifest.json"

    def candidate(self, run_id: str) -> Path:
        """A writable marts file for a new version: a copy of the published one, or none yet."""
        folder = self.folder / run_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        manifest = self.current()
        if manifest is not None:
            shutil.copyfile(self.marts_file(manifest.run_id), folder / "marts.duckdb")
        return folder / "marts.duckdb"

    def discard(self, run_id: str) -> None:
        """Remove a candidate that failed; a version that was published in between stays."""
        current = self.current()
        if current is None or current.run_id != run_id:
            shutil.rmtree(self.folder / run_id, ignore_errors=True)

    def publish(self, manifest: Manifest) -> None:
        """Make one complete candidate the version that everyone reads, atomically."""
        self._keep_current()
        self.marts_file(manifest.run_id).chmod(0o444)
        _write_atomically(self.pointer, manifest.model_dump())
        self._keep_current()

    def _keep_current(self) -> None:
        """Keep the published manifest beside its marts: after it was published, never before.

        A candidate whose run died must not look like a version that one can go back to.
        """
        current = self.current()
        if current is None or current.pinned:
            return
        kept = self.folder / current.run_id / "manifest.json"
        if read_json(kept) != current.model_dump():
            _write_atomically(kept, current.model_dump())

    def rollback(self, run_id: str | None) -> Manifest:
        """Point everyone at an older version; it stays until there is new input or ``--force``.

        Its documents have to be exported again: those in S3 are of the version left. Who may see
        which customers counts as new input where it isn't what the older version was built with.

        Raises:
            DiscoverError: there is no older version, or none with this run id.

        """
        current = self.require_current()
        older = [m.run_id for m in self.all() if m.run_id < current.run_id]
        if run_id is None and not older:
            raise DiscoverError("there is no older version", "list them: discover versions")
        target = self.get(run_id or older[0])
        self._keep_current()
        # Data of the version rolled back from: only data newer than those ends the pin. Grants of
        # the one rolled back to: where others hold now, the next refresh must not find it current.
        inputs = current.inputs | {
            name: found for name, found in target.inputs.items() if name == "entitlements"
        }
        pinned = target.model_copy(
            update={"pinned": True, "inputs": inputs, "documents_complete": False}
        )
        _write_atomically(self.pointer, pinned.model_dump())
        return pinned

    def sweep(self, keep: int) -> list[str]:
        """Remove all but the newest ``keep`` versions and the published one; returns what went."""
        current = self.current()
        complete = [manifest.run_id for manifest in self.all()]
        keepers = set(complete[:keep]) | ({current.run_id} if current else set())
        gone = [path.name for path in self.folder.glob("*") if path.name not in keepers]
        for name in gone:
            shutil.rmtree(self.folder / name, ignore_errors=True)
        return sorted(gone)

    @contextlib.contextmanager
    def lock(self, run_id: str) -> Iterator[None]:
        """Hold the right to refresh. It ends with its holder, however that ends.

        The lock is the kernel's, on ``refresh.lock``; what stands in the file only says who has it.

        Raises:
            DiscoverError: someone else holds it; names run, process and since when.

        """
        self.home.mkdir(parents=True, exist_ok=True)
        path = self.home / "refresh.lock"
        # Never removed: of a file that one unlinks while another opens it, there are two.
        with os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR, 0o600), "r+") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DiscoverError(_held(stream), "wait for it to end") from None
            try:
                _say_who_holds(stream, run_id)
                yield
            finally:
                stream.seek(0)
                stream.truncate()


def _say_who_holds(stream: TextIO, run_id: str) -> None:
    holder = {
        "run_id": run_id,
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    stream.seek(0)
    stream.truncate()
    json.dump(holder, stream)
    stream.flush()


def _held(stream: TextIO) -> str:
    """Who holds the lock, as far as they have said: what a dead holder left isn't theirs."""
    for _ in range(20):
        stream.seek(0)
        with contextlib.suppress(ValueError, KeyError):
            other = json.load(stream)
            if other["host"] != socket.gethostname() or psutil.pid_exists(other["pid"]):
                return (
                    f"refresh {other['run_id']} holds the lock since {other['since']}"
                    f" (process {other['pid']} on {other['host']})"
                )
        # Its holder has it this moment, and is about to write who it is.
        time.sleep(0.05)
    return "another refresh holds the lock since this moment"


def _write_atomically(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("w") as stream:
        json.dump(content, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
