"""Documents to S3, incrementally: unchanged costs nothing, gone is deleted, a cut run is repaired.

Beside the documents stands a manifest: for each customer the fingerprint of the rows and the hashes
of the objects written. Equal rows are not even read; equal bytes are not written. A marker stands
while objects are being written; an export that finds one, or a manifest of another form, trusts the
store's own listing instead.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from kb_export import document, portfolio, rows
from lakehouse import catalog, clients
from lakehouse.duck import connect_published
from lakehouse.errors import ServiceUnavailable
from lakehouse.services.own import require_own
from lakehouse.settings import Settings
from lakehouse.versions import Versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from obstore.store import ObjectStore

BATCH = 500
"""Documents in memory at once, and written concurrently."""
CONCURRENT_PUTS = 32
HASH_BYTES = 16
"""Of one object."""
HASHES_BYTES = 3 * HASH_BYTES
"""Of one document: its objects' hashes, one after the other."""

T = TypeVar("T")

Progress = Callable[[int, int], None]
"""Told (documents looked at, documents in all)."""


@dataclass
class ExportReport:
    """What one export did; ``written``, ``unchanged`` and ``deleted`` count documents."""

    written: int = 0
    unchanged: int = 0
    deleted: int = 0
    puts: int = 0
    """Objects written: JSON, Markdown, sidecars; of a changing run also the manifest and marker."""


def export(
    settings: Settings, marts_file: Path | None = None, on_progress: Progress | None = None
) -> ExportReport:
    """Bring the documents in S3 to what the marts say; the published ones unless a file is given.

    The caller holds the refresh lock: one export at a time.

    Raises:
        DiscoverError: nothing is published yet.
        ServiceUnavailable: the knowledge base's S3 does not answer.

    """
    import obstore.exceptions

    marts_file = marts_file or _published_file(settings)
    ensure_bucket(settings)
    store = clients.knowledge_base_store(settings, catalog.KNOWLEDGE_BASE_BUCKET)
    try:
        return export_to(store, marts_file, on_progress)
    except obstore.exceptions.BaseError as error:
        raise _unavailable(settings) from error


def export_to(
    store: ObjectStore, marts_file: Path, on_progress: Progress | None = None
) -> ExportReport:
    """The same into any object store."""
    with connect_published(marts_file) as connection:
        return _Export(store, connection, on_progress or (lambda _done, _all: None)).run()


def ensure_bucket(settings: Settings) -> None:
    """Make the knowledge base's bucket where there is none.

    Raises:
        ServiceUnavailable: the knowledge base's S3 does not answer.

    """
    from botocore.exceptions import BotoCoreError, ClientError

    require_own(settings, "ministack", settings.knowledge_base_endpoint)
    s3 = clients.knowledge_base_s3(settings)
    try:
        s3.head_bucket(Bucket=catalog.KNOWLEDGE_BASE_BUCKET)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status >= 500:
            raise _unavailable(settings) from error
        if status != 404:
            raise
        if settings.region == "us-east-1":
            s3.create_bucket(Bucket=catalog.KNOWLEDGE_BASE_BUCKET)
        else:
            s3.create_bucket(
                Bucket=catalog.KNOWLEDGE_BASE_BUCKET,
                CreateBucketConfiguration={"LocationConstraint": settings.region},  # type: ignore[typeddict-item]
            )
    except BotoCoreError as error:
        raise _unavailable(settings) from error


def published_facts(settings: Settings, customer_id: int) -> document.CustomerFacts | None:
    """What the published version's document of one customer is built from; None: no such customer.

    Raises:
        DiscoverError: nothing is published yet.

    """
    with connect_published(_published_file(settings)) as connection:
        return next(rows.facts(connection, [customer_id]), None)


def customer_objects(facts: document.CustomerFacts) -> dict[str, bytes]:
    """Path → bytes of one customer's three objects."""
    built = document.build(facts)
    paths = customer_paths(facts.customer.customer_id)
    texts = (
        document.to_json(built),
        document.to_markdown(built),
        document.to_sidecar(built),
    )
    return {path: text.encode() for path, text in zip(paths, texts, strict=True)}


def customer_paths(customer_id: int) -> tuple[str, str, str]:
    """Where a customer's JSON, Markdown and sidecar stand in the knowledge-base bucket."""
    return _paths(f"customers/{customer_id}")


def portfolio_objects(name: str, built: dict[str, Any]) -> dict[str, bytes]:
    """Path → bytes of one portfolio document's three objects."""
    texts = (document.to_json(built), portfolio.to_markdown(built), portfolio.to_sidecar(built))
    paths = _paths(f"portfolio/{name}")
    return {path: text.encode() for path, text in zip(paths, texts, strict=True)}


def _published_file(settings: Settings) -> Path:
    versions = Versions(settings.home)
    return versions.marts_file(versions.require_current().run_id)


def _paths(name: str) -> tuple[str, str, str]:
    rendition = f"{catalog.RENDITIONS_PREFIX}{name}.md"
    return f"{catalog.DOCUMENTS_PREFIX}{name}.json", rendition, f"{rendition}.metadata.json"


def _unavailable(settings: Settings) -> ServiceUnavailable:
    where = settings.knowledge_base_endpoint or f"Amazon S3 in {settings.region}"
    return ServiceUnavailable(
        f"the knowledge base's S3 ({where}) does not answer",
        "start it: discover up ministack"
        if settings.profile == "local"
        else "check DISCOVER_KNOWLEDGE_BASE_ENDPOINT and the credentials",
    )


@dataclass
class _Written:
    """The manifest: what stands in the store, customers by ascending id.

    ``hashes`` and ``portfolio`` hold those of each document's objects (:func:`_hashes`).
    """

    code: str = ""
    ids: NDArray[np.int64] | None = None
    fingerprints: NDArray[np.uint64] | None = None
    hashes: list[bytes] | None = None
    portfolio: dict[str, str] = field(default_factory=dict)

    def between(self, first: int, last: int) -> dict[int, tuple[int, bytes]]:
        """``customer_id`` → (fingerprint, hashes) of one chunk."""
        if self.ids is None or self.fingerprints is None or self.hashes is None:
            return {}
        start, end = self.ids.searchsorted(first, "left"), self.ids.searchsorted(last, "right")
        return {
            int(self.ids[i]): (int(self.fingerprints[i]), self.hashes[i]) for i in range(start, end)
        }


class _Export:
    """One run; holds what it has seen of the store and what it will say in the new manifest."""

    def __init__(
        self, store: ObjectStore, connection: duckdb.DuckDBPyConnection, on_progress: Progress
    ) -> None:
        self.store, self.connection, self.on_progress = store, connection, on_progress
        self.report = ExportReport()
        self.code = _code_fingerprint()
        self.marked = False
        self.now: list[tuple[int, int, bytes]] = []
        self.old, self.stored = self._what_stands()
        """``stored``: path → entity tag of every object, when the manifest can't be trusted."""

    def run(self) -> ExportReport:
        recovering = self.stored is not None
        total = _count(self.connection)
        for first, last in rows.chunks(self.connection):
            self._chunk(first, last)
            self.on_progress(len(self.now), total)
        portfolio_hashes = self._portfolio()
        self._delete_gone(portfolio_hashes)
        if self.marked or recovering or self._manifest_moved(portfolio_hashes):
            self._put({catalog.DOCUMENTS_MANIFEST: self._manifest(portfolio_hashes)})
        if self.marked or recovering:
            self.store.delete([catalog.EXPORT_MARKER])
        return self.report

    def _what_stands(self) -> tuple[_Written, dict[str, str] | None]:
        marker = _get(self.store, catalog.EXPORT_MARKER)
        manifest = _get(self.store, catalog.DOCUMENTS_MANIFEST)
        written = _read_manifest(manifest) if manifest is not None and marker is None else None
        return (_Written(), _list(self.store)) if written is None else (written, None)

    def _chunk(self, first: int, last: int) -> None:
        old = self.old.between(first, last)
        current = dict(rows.fingerprints(self.connection, first, last))
        same_code = self.old.code == self.code
        unread = {
            key: old[key][1]
            for key, value in current.items()
            if same_code and key in old and old[key][0] == value
        }
        self.report.unchanged += len(unread)
        hashes = dict(unread)
        to_read = [key for key in current if key not in unread]
        for batch in _batches(rows.facts(self.connection, to_read), BATCH):
            objects: dict[str, bytes] = {}
            for facts in batch:
                key = facts.customer.customer_id
                built = customer_objects(facts)
                hashes[key] = _hashes(built)
                objects |= self._needed(built, hashes[key], old[key][1] if key in old else None)
            self._put(objects)
        self.now += [(key, value, hashes[key]) for key, value in current.items()]

    def _portfolio(self) -> dict[str, str]:
        hashes = {}
        objects: dict[str, bytes] = {}
        documents = portfolio.build_all(rows.portfolio_facts(self.connection))
        for name, built in documents.items():
            found = portfolio_objects(name, built)
            new, old = _hashes(found), self.old.portfolio.get(name)
            hashes[name] = new.hex()
            objects |= self._needed(found, new, bytes.fromhex(old) if old else None)
        self._put(objects)
        return hashes

    def _needed(self, objects: dict[str, bytes], new: bytes, old: bytes | None) -> dict[str, bytes]:
        """Those of one document's objects that differ from what stands; counts the document."""
        if self.stored is not None:
            tags = {path: self.stored.pop(path, None) for path in objects}
            needed = {path: body for path, body in objects.items() if tags[path] != _tag(body)}
        elif old is None:
            needed = objects
        else:
            places = range(0, HASHES_BYTES, HASH_BYTES)
            differs = [new[at : at + HASH_BYTES] != old[at : at + HASH_BYTES] for at in places]
            needed = dict(itertools.compress(objects.items(), differs))
        if needed:
            self.report.written += 1
        else:
            self.report.unchanged += 1
        return needed

    def _delete_gone(self, portfolio_hashes: Mapping[str, str]) -> None:
        if self.stored is not None:
            gone = sorted(self.stored)
            documents = sum(path.startswith(catalog.DOCUMENTS_PREFIX) for path in gone)
        else:
            kept = {row[0] for row in self.now}
            old_ids = () if self.old.ids is None else self.old.ids.tolist()
            left = [customer_paths(key) for key in old_ids if key not in kept]
            left += [
                _paths(f"portfolio/{name}")
                for name in self.old.portfolio
                if name not in portfolio_hashes
            ]
            gone, documents = [path for paths in left for path in paths], len(left)
        if gone:
            self._mark()
            for batch in _batches(gone, 1000):
                self.store.delete(batch)
        self.report.deleted += documents

    def _put(self, objects: Mapping[str, bytes]) -> None:
        if not objects:
            return
        if set(objects) != {catalog.DOCUMENTS_MANIFEST}:
            self._mark()
        asyncio.run(_put_all(self.store, objects))
        self.report.puts += len(objects)

    def _mark(self) -> None:
        if not self.marked:
            self.marked = True
            self.store.put(catalog.EXPORT_MARKER, b"")
            self.report.puts += 1

    def _manifest_moved(self, portfolio_hashes: Mapping[str, str]) -> bool:
        """Rows moved without a word of a document changing: remember, to not read them again."""
        old = self.old
        if old.code != self.code or old.portfolio != portfolio_hashes:
            return True
        if old.ids is None or old.fingerprints is None:
            return bool(self.now)
        return bool(old.fingerprints.tolist() != [row[1] for row in self.now])

    def _manifest(self, portfolio_hashes: Mapping[str, str]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(
            {
                "customer_id": pa.array([row[0] for row in self.now], pa.int64()),
                "fingerprint": pa.array([row[1] for row in self.now], pa.uint64()),
                "hashes": pa.array([row[2] for row in self.now], pa.binary(HASHES_BYTES)),
            }
        ).replace_schema_metadata(
            {"code": self.code, "portfolio": json.dumps(portfolio_hashes, sort_keys=True)}
        )
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()


async def _put_all(store: ObjectStore, objects: Mapping[str, bytes]) -> None:
    gate = asyncio.Semaphore(CONCURRENT_PUTS)

    async def put(path: str, body: bytes) -> None:
        async with gate:
            await store.put_async(path, body)

    await asyncio.gather(*(put(path, body) for path, body in objects.items()))


def _get(store: ObjectStore, path: str) -> bytes | None:
    try:
        return bytes(store.get(path).bytes())
    except FileNotFoundError:
        return None


def _list(store: ObjectStore) -> dict[str, str]:
    found: dict[str, str] = {}
    for prefix in (catalog.DOCUMENTS_PREFIX, catalog.RENDITIONS_PREFIX):
        for page in store.list(prefix, chunk_size=1000):
            found |= {entry["path"]: (entry["e_tag"] or "").strip('"') for entry in page}
    return found


def _read_manifest(content: bytes) -> _Written | None:
    """What a manifest says; None for one of before, when a document had one hash for all."""
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    if "hashes" not in table.schema.names:
        return None
    metadata = table.schema.metadata
    return _Written(
        code=metadata[b"code"].decode(),
        ids=table["customer_id"].to_numpy(),
        fingerprints=table["fingerprint"].to_numpy(),
        hashes=table["hashes"].to_pylist(),
        portfolio=json.loads(metadata[b"portfolio"]),
    )


def _hashes(objects: Mapping[str, bytes]) -> bytes:
    """128 bits of the path and bytes of each of a document's three objects, in their order."""
    return b"".join(
        hashlib.sha256(path.encode() + b"\0" + body).digest()[:HASH_BYTES]
        for path, body in objects.items()
    )


def _tag(body: bytes) -> str:
    """S3's entity tag of an object put in one part without KMS. Any other tag: written again."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _code_fingerprint() -> str:
    """Changes with this package's code and with DuckDB, whose ``hash`` may differ by version."""
    digest = hashlib.sha256(duckdb.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _count(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute("SELECT count(*) FROM fct_customers").fetchone()
    return int(found[0]) if found else 0


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
