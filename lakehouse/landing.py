"""Landing in the lake: typed Parquet objects, and the batch manifests that make them visible.

An object counts only once a manifest names it, and a manifest is one PUT: a landing that dies
half-way leaves objects that nobody reads.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lakehouse.catalog import LAKE_BUCKET, batches_prefix, flattened_prefix, landing_prefix
from lakehouse.clients import lake_store
from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

ID_TIME = "%Y%m%dT%H%M%S.%fZ"
MICROSECOND = timedelta(microseconds=1)

PARQUET_OPTIONS: dict[str, Any] = {"compression": "zstd", "compression_level": 1}


@dataclass(frozen=True)
class LandedFile:
    """One delivered file inside a batch. ``object`` is None when no row of it landed."""

    file: str
    sha256: str
    rows_in: int
    landed: int
    quarantined: int
    object: str | None

    def __post_init__(self) -> None:
        if self.rows_in != self.landed + self.quarantined:
            raise AssertionError(
                f"{self.file}: {self.rows_in} rows in, but {self.landed} landed"
                f" and {self.quarantined} quarantined"
            )


@dataclass(frozen=True)
class Batch:
    """One visible landing of one source. ``snapshot``: it replaces all that stood before."""

    batch_id: str
    source: str
    landed_at: str
    """UTC, ISO 8601."""
    snapshot: bool
    files: tuple[LandedFile, ...]

    @property
    def objects(self) -> list[str]:
        """Keys of the Parquet objects in the lake's bucket."""
        return [file.object for file in self.files if file.object]

    @property
    def hashes(self) -> set[str]:
        """SHA-256 of every delivered file."""
        return {file.sha256 for file in self.files}


def lineage_fields() -> list[pa.Field]:
    """The four columns that say where a row came from; the last ones of every landed schema."""
    import pyarrow as pa

    return [
        pa.field("_source_file", pa.string(), nullable=False),
        pa.field("_source_row", pa.int64(), nullable=False),
        pa.field("_batch_id", pa.string(), nullable=False),
        pa.field("_ingested_at", pa.timestamp("us"), nullable=False),
    ]


def new_batch_id(now: datetime, seed: str) -> str:
    """Id that sorts by time; ``seed`` (what is landed) tells two of one microsecond apart."""
    digest = hashlib.sha256(f"{now.isoformat()} {seed}".encode()).hexdigest()
    return f"{now.strftime(ID_TIME)}-{digest[:8]}"


def next_moment(settings: Settings, source: str) -> datetime:
    """Now in UTC; where the clock went back, the microsecond after the newest batch.

    Of two batches the later one has the higher id: the newest snapshot is the one that counts.
    """
    now = datetime.now(UTC)
    store = lake_store(settings, LAKE_BUCKET)
    prefix = batches_prefix(source)
    ids = (
        found["path"].removeprefix(prefix).partition("-")[0]
        for page in store.list(prefix)
        for found in page
    )
    newest = max(ids, default="")
    if not newest:
        return now
    return max(now, datetime.strptime(newest, ID_TIME).replace(tzinfo=UTC) + MICROSECOND)


def object_name(name: str) -> str:
    """A delivered file's name as part of an object key: odd characters become ``_``."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", Path(name).name).lstrip(".")[:120] or "_"


def url(key: str) -> str:
    """``s3://`` URL of an object in the lake's bucket."""
    return f"s3://{LAKE_BUCKET}/{key}"


def write_parquet(
    settings: Settings, source: str, batch_id: str, name: str, table: pa.Table
) -> str:
    """Write one typed Parquet object of a batch; returns its key."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, **PARQUET_OPTIONS)
    key = parquet_key(source, batch_id, name)
    lake_store(settings, LAKE_BUCKET).put(key, buffer.getvalue())
    return key


def parquet_key(source: str, batch_id: str, name: str) -> str:
    """Key of one typed Parquet object."""
    return f"{landing_prefix(source)}{batch_id}/{object_name(name)}.parquet"


def write_batch(settings: Settings, batch: Batch) -> str:
    """Make a batch visible: the last write of a landing. Returns the manifest's key."""
    key = f"{batches_prefix(batch.source)}{batch.batch_id}.json"
    content = json.dumps(asdict(batch), indent=1).encode()
    lake_store(settings, LAKE_BUCKET).put(key, content)
    return key


def batches(settings: Settings, source: str) -> list[Batch]:
    """All visible batches of a source, oldest first."""
    return [read_batch(settings, source, batch_id) for batch_id in batch_ids(settings, source)]


def batch_ids(settings: Settings, source: str) -> list[str]:
    """Ids of all visible batches of a source, oldest first: one listing, and no batch is read."""
    store = lake_store(settings, LAKE_BUCKET)
    prefix = batches_prefix(source)
    return sorted(
        found["path"].removeprefix(prefix).removesuffix(".json")
        for page in store.list(prefix)
        for found in page
        if found["path"].endswith(".json")
    )


def read_batch(settings: Settings, source: str, batch_id: str) -> Batch:
    """One visible batch."""
    key = f"{batches_prefix(source)}{batch_id}.json"
    return _parse(bytes(lake_store(settings, LAKE_BUCKET).get(key).bytes()))


@contextlib.contextmanager
def landing_alone(settings: Settings, source: str, seconds: float = 600) -> Iterator[None]:
    """Let one process of this machine at a time decide what of a source is new, and land it.

    Raises:
        ServiceUnavailable: another one has been at it for too long.

    """
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.home / f"landing-{source}.lock").open("w") as stream:
        deadline = time.monotonic() + seconds
        while True:
            try:
                # The kernel's lock: it ends with its holder, however that ends.
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServiceUnavailable(
                        f"another landing of {source} has been under way for {seconds:.0f} s",
                        "let it end, then try again",
                    ) from None
                time.sleep(0.05)
        yield


def flattened_batch_ids(settings: Settings, source: str) -> set[str]:
    """Ids of the batches that stand in the raw tables."""
    store = lake_store(settings, LAKE_BUCKET)
    prefix = flattened_prefix(source)
    return {found["path"].removeprefix(prefix) for page in store.list(prefix) for found in page}


def mark_flattened(settings: Settings, batch: Batch) -> None:
    """Say that the raw tables hold a batch: to be called after their commit, never before."""
    key = f"{flattened_prefix(batch.source)}{batch.batch_id}"
    lake_store(settings, LAKE_BUCKET).put(key, b"")


def require_lake(settings: Settings) -> None:
    """Ask once whether the lake's S3 answers at all: its client would retry for minutes.

    Raises:
        ServiceUnavailable: nothing answers at the configured endpoint, or this home has no lake.

    """
    if not settings.lake_endpoint:
        return
    if settings.profile == "local" and settings.lake_access_key_id is None:
        # Without keys of its own, what answers there is another home's.
        raise ServiceUnavailable(
            f"the lake of {settings.home} was never started", "start it: discover up seaweedfs"
        )
    parts = urlsplit(settings.lake_endpoint)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    client = kind(parts.hostname or "", parts.port, timeout=3)
    try:
        client.connect()
        # A store that is frozen still takes connections. Any answer counts, also one that is cut
        # off: whether it comes better a second time is for its client to find out.
        with contextlib.suppress(HTTPException, ConnectionError):
            client.request("HEAD", "/")
            client.getresponse()
    except OSError as error:
        raise ServiceUnavailable(
            f"the lake's S3 at {settings.lake_endpoint} does not answer ({error})",
            "start it: discover up seaweedfs",
        ) from None
    finally:
        client.close()


def _parse(content: bytes) -> Batch:
    document = json.loads(content)
    files = tuple(LandedFile(**file) for file in document.pop("files"))
    return Batch(files=files, **document)
