"""What keeps a growing Iceberg table quick to read and its folder small.

Every batch adds a snapshot, and to each of its months a file. Catalogs differ in what they tidy up
by themselves, and PyIceberg's expiry forgets snapshots without removing a file, so this does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ingest.flat_table import FlatTable
from lakehouse import clients
from lakehouse.catalog import TABLE_BUCKET
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyspark.sql import SparkSession

SNAPSHOTS_LIVE = timedelta(days=7)
"""The current snapshot always stays."""
SNAPSHOTS_KEPT = 50
"""No more than these: who refreshes every minute doesn't keep a week of minutes."""
READERS_LIVE = timedelta(days=1)
"""Younger ones stay, however many: a reader may have pinned one and goes on reading its files."""
SMALL = 16 * 1024 * 1024
"""Bytes of a file that is opened for little."""
SMALL_FILES_A_MONTH = 12
"""More of them are made one."""
TARGET = 128 * 1024 * 1024
"""Bytes of a good file."""
WRITTEN_BEFORE = timedelta(hours=6)
"""A file that nothing names may belong to a commit that is under way; an older one does not."""


def merge_small_files(settings: Settings, spark: SparkSession, flat: FlatTable) -> list[date]:
    """Rewrite the months that many small deliveries left in pieces; returns their first days.

    A month is one commit and has the same rows: a reader sees it before or after.
    """
    if flat.month_of is None:
        return []
    sizes = defaultdict(list)
    for task in clients.iceberg(settings).load_table(flat.table.identifier).scan().plan_files():
        # None is the month of rows without a time, which no landing makes.
        if (month := task.file.partition[0]) is not None:
            sizes[month].append(task.file.file_size_in_bytes)
    ragged = {
        month: sum(found)
        for month, found in sizes.items()
        if sum(size < SMALL for size in found) > SMALL_FILES_A_MONTH
    }
    for month, size in ragged.items():
        rows = spark.table(f"{TABLE_BUCKET}.{flat.table.identifier}").where(
            f"{flat.month_of} >= TIMESTAMP_NTZ '{_first_day(month)} 00:00:00'"
            f" AND {flat.month_of} < TIMESTAMP_NTZ '{_first_day(month + 1)} 00:00:00'"
        )
        whole = rows.coalesce(1 + size // TARGET)
        whole.writeTo(f"{TABLE_BUCKET}.{flat.table.identifier}").overwritePartitions()
    return [_first_day(month) for month in sorted(ragged)]


def tidy(settings: Settings, identifiers: Iterable[str]) -> None:
    """Forget the snapshots that no reader needs, and remove the files that nothing names then."""
    catalog = clients.iceberg(settings)
    for identifier in identifiers:
        table = catalog.load_table(identifier)
        states = _metadata_of(table)
        _remove_unnamed(
            settings, table, "metadata/", ".metadata.json", states, {table.metadata_location}
        )
        if expired := _expired(table):
            table.maintenance.expire_snapshots().by_ids(expired).commit()
            named = _files_of(catalog.load_table(identifier))
            _remove_unnamed(settings, table, "metadata/", ".avro", named)
            _remove_unnamed(settings, table, "data/", ".parquet", named)


def _expired(table: Table) -> list[int]:
    """Ids of the snapshots that are too old or too many, of no branch or tag."""
    pinned = {reference.snapshot_id for reference in table.metadata.refs.values()}
    newest_first = sorted(table.snapshots(), key=lambda snapshot: -snapshot.timestamp_ms)
    now = datetime.now(UTC)
    old, in_use = ((now - span).timestamp() * 1000 for span in (SNAPSHOTS_LIVE, READERS_LIVE))
    return [
        snapshot.snapshot_id
        for age, snapshot in enumerate(newest_first)
        if (age >= SNAPSHOTS_KEPT or snapshot.timestamp_ms < old)
        and snapshot.timestamp_ms < in_use
        and snapshot.snapshot_id not in pinned
    ]


def _metadata_of(table: Table) -> set[str]:
    """The table's state, and those before it that it still names: catalogs keep all others too."""
    older = {entry.metadata_file for entry in table.metadata.metadata_log}
    return older | {table.metadata_location}


def _files_of(table: Table) -> set[str]:
    """Manifest lists, manifests and data of every snapshot that is left."""
    named: set[str] = set()
    for snapshot in table.snapshots():
        named.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in named:
                named.add(manifest.manifest_path)
                entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
                named.update(entry.data_file.file_path for entry in entries)
    return named


def _remove_unnamed(
    settings: Settings,
    table: Table,
    folder: str,
    suffix: str,
    named: set[str],
    listed: set[str] | None = None,
) -> None:
    """Remove what ``named`` doesn't hold; nothing where ``listed`` (all named) isn't found."""
    place = urlsplit(table.location())
    store = clients.lake_store(settings, place.netloc)
    limit = datetime.now(UTC) - WRITTEN_BEFORE
    standing = {
        f"{place.scheme}://{place.netloc}/{found['path']}": found
        for page in store.list(f"{place.path.strip('/')}/{folder}")
        for found in page
        if found["path"].endswith(suffix)
    }
    mine = {name for name in named if name.endswith(suffix)}
    if not (mine if listed is None else listed) <= standing.keys():
        # Names are spelled in another way than the listing: none of it may be taken for unnamed.
        return
    unnamed = [
        found["path"]
        for name, found in standing.items()
        if name not in mine and found["last_modified"] < limit
    ]
    if unnamed:
        store.delete(unnamed)


def _first_day(month: int) -> date:
    """Of a month as Iceberg counts them: from 1970."""
    return date(1970 + month // 12, 1 + month % 12, 1)
