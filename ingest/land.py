"""Land delivered files: keep the bytes, type or quarantine each record, show the batch at once."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from ingest import customers_table, quarantine
from ingest.assess import Assessed, Assessment, sha256_of
from ingest.delivery import Delivered, PassedOver, deliver, download
from ingest.first_landed import first_landed
from ingest.rejects import Reject
from ingest.sources import REGISTRY
from lakehouse.catalog import CUSTOMERS_TABLE, LAKE_BUCKET, SOURCES, raw_prefix
from lakehouse.clients import lake_store
from lakehouse.errors import UsageError
from lakehouse.landing import (
    Batch,
    LandedFile,
    batch_ids,
    batches,
    landing_alone,
    new_batch_id,
    next_moment,
    object_name,
    parquet_key,
    read_batch,
    require_lake,
    write_batch,
)
from lakehouse.scratch import scratch_folder
from lakehouse.settings import Settings

_BLOCK = 1 << 20

OnFile = Callable[[str, int], Callable[[int], None] | None]
"""Told a file's name and size before it is read; may return a listener for bytes read."""


@dataclass(frozen=True)
class FileReport:
    """What became of one delivered file."""

    file: str
    state: str
    """``landed``, ``partly``, ``quarantined`` (no record of it is good), ``known``, or ``stopped``:
    the batch is, and so none of its good records lands."""
    rows_in: int = 0
    landed: int = 0
    """Good records; of a stopped batch and of a check none is written."""
    quarantined: int = 0
    rejects: list[Reject] = field(default_factory=list)
    """The first thousand; the quarantine holds all."""
    rows: list[dict[str, Any]] | None = None
    columns: tuple[str, ...] = ()
    """Of a CSV file: its header, in the order of the file."""

    def to_json(self) -> dict[str, Any]:
        """The file's part of the command's document."""
        document: dict[str, Any] = {
            "file": self.file,
            "state": self.state,
            "rows_in": self.rows_in,
            "landed": self.landed,
            "quarantined": self.quarantined,
            "rejects": [reject.to_json() for reject in self.rejects],
        }
        return document if self.rows is None else {**document, "rows": self.rows}


@dataclass(frozen=True)
class LandReport:
    """What became of one landing. ``stopped`` says why nothing of it is visible."""

    source: str
    files: list[FileReport]
    batch_id: str | None = None
    stopped: str | None = None
    passed_over: list[PassedOver] = field(default_factory=list)
    """What a glob named that is no file."""

    @property
    def rejected(self) -> str | None:
        """Why the input as delivered isn't good enough (exit code 3), or None."""
        if self.stopped:
            return self.stopped
        names = [file.file for file in self.files if file.state == "quarantined"]
        return f"quarantined as a whole: {', '.join(names)}" if names else None

    def to_json(self) -> dict[str, Any]:
        """The command's document."""
        return {
            "source": self.source,
            "batch_id": self.batch_id,
            "stopped": self.stopped,
            "files": [file.to_json() for file in self.files],
            "passed_over": [item.to_json() for item in self.passed_over],
        }


def land(
    settings: Settings,
    source: str,
    paths: Sequence[str],
    *,
    check: bool = False,
    rows: bool = False,
    on_file: OnFile | None = None,
) -> LandReport:
    """Land files of one source as one batch.

    Args:
        settings: where the lake is, and the rules that may differ between banks.
        source: one of the four sources. ``core_banking`` without paths is read from Postgres.
        paths: files, pipes, globs or ``s3://`` URLs (globs too).
        check: only say what would happen; no service is needed.
        rows: add the typed rows as they land to the report.
        on_file: progress.

    Raises:
        UsageError: unknown source, or a path that names no file.
        ServiceUnavailable: the lake or Postgres doesn't answer.

    """
    if source not in SOURCES:
        raise UsageError(f"unknown source {source!r}", f"one of: {', '.join(SOURCES)}")
    if not paths and source != "core_banking":
        raise UsageError(f"no files of {source} named", f"discover land {source} PATH…")
    if not check:
        require_lake(settings)
    with scratch_folder(settings.home, "land") as folder:
        if paths:
            delivered, passed_over = deliver(settings, paths, folder)
        else:
            delivered, passed_over = [_bank_snapshot(settings, folder)], []
        report = land_files(
            settings, source, delivered, folder, check=check, rows=rows, on_file=on_file
        )
        return replace(report, passed_over=passed_over)


def land_bank(settings: Settings) -> LandReport:
    """Land a full snapshot of the customers in Postgres."""
    return land(settings, "core_banking", [])


def land_files(
    settings: Settings,
    source: str,
    delivered: Sequence[Delivered],
    folder: Path,
    *,
    check: bool = False,
    rows: bool = False,
    again: bool = False,
    on_file: OnFile | None = None,
) -> LandReport:
    """Land files that stand on local disk; ``again`` takes files that are known already.

    ``folder`` is for what is at work.
    """
    now = datetime.now(UTC) if check else next_moment(settings, source)
    hashes = [sha256_of(file.path) for file in delivered]
    batch_id = new_batch_id(now, " ".join(hashes))
    seen = set() if check or again else _known(settings, source, hashes)
    if seen.issuperset(hashes):
        # What assesses files costs a third of a second before it has read one.
        return LandReport(source, [FileReport(file.name, "known") for file in delivered])
    with (
        Assessment(settings, source, batch_id, now, folder) as assessment,
        contextlib.ExitStack() as alone,
    ):
        found: list[Assessed | FileReport] = []
        for file, sha256 in zip(delivered, hashes, strict=True):
            if sha256 in seen:
                found.append(FileReport(file.name, "known"))
                continue
            seen.add(sha256)
            listener = on_file(file.name, file.path.stat().st_size) if on_file else None
            found.append(assessment.read(file.name, file.path, sha256, listener))
        if source == "feedback" and not check:
            # Of two landings under way the second has to know what the first landed.
            alone.enter_context(landing_alone(settings, source))
            assessment.finish(partial(first_landed, settings, source))
        else:
            assessment.finish()
        stopped = _why_stopped(settings, source, assessment.files)
        together = [quarantine.FileId(file.name, file.sha256) for file in assessment.files]
        reports: list[FileReport] = []
        parts: list[LandedFile] = []
        for item in found:
            if isinstance(item, FileReport):
                reports.append(item)
                continue
            parquet = assessment.write(item)
            typed = assessment.rows(parquet) if rows and parquet else []
            reports.append(_report(item, typed if rows else None, stopped=stopped is not None))
            if check:
                continue
            _keep(settings, source, item, assessment.folder)
            file_id = quarantine.FileId(item.name, item.sha256)
            quarantine.write(settings, source, batch_id, file_id, item.rejects.path, together)
            if stopped is None and not item.whole:
                parts.append(_upload(settings, source, batch_id, item, parquet))
        if not parts or (again and _stands(settings, source, parts)):
            return LandReport(source, reports, None, stopped)
        at = now.isoformat()
        write_batch(settings, Batch(batch_id, source, at, assessment.source.SNAPSHOT, tuple(parts)))
        return LandReport(source, reports, batch_id)


def replay(settings: Settings, source: str | None = None) -> list[LandReport]:
    """Land again every file that stands in quarantine, from the bytes that were kept of it.

    Rows that land become visible, what is still rejected stays in quarantine. Of feedback no bytes
    are kept: its files have to be delivered again. Of a snapshot source only the newest landing is
    replayed, all its files together.
    """
    require_lake(settings)
    reports = []
    for name in [source] if source else SOURCES:
        found = quarantine.files(settings, name) if name != "feedback" else []
        if REGISTRY[name].SNAPSHOT:
            visible = batches(settings, name)
            found = [f for f in found[-1:] if not visible or f.batch_id >= visible[-1].batch_id]
            landings = [list(file.together) for file in found]
        else:
            landings = [[file.file] for file in found]
        for files in landings:
            with scratch_folder(settings.home, "replay") as folder:
                kept = [_kept(settings, name, file, folder) for file in files]
                reports.append(land_files(settings, name, kept, folder, again=True))
    return reports


def _known(settings: Settings, source: str, hashes: list[str]) -> set[str]:
    """Hashes among ``hashes`` whose landing would change nothing."""
    if REGISTRY[source].SNAPSHOT:
        # Together these files are the snapshot that stands; an older one again is news.
        newest = batch_ids(settings, source)[-1:]
        standing = [read_batch(settings, source, batch_id).hashes for batch_id in newest]
        return set(hashes) if standing == [set(hashes)] else set()
    visible = batches(settings, source)
    return {sha256 for batch in visible for sha256 in batch.hashes} & set(hashes)


def _stands(settings: Settings, source: str, parts: Sequence[LandedFile]) -> bool:
    """Whether the visible batches hold just these rows of these files."""
    visible = batches(settings, source)
    if REGISTRY[source].SNAPSHOT:
        visible = visible[-1:]
    # The last landing of a file tells: what it landed before, it landed again.
    landed = {file.sha256: file.landed for batch in visible for file in batch.files}
    return {part.sha256: part.landed for part in parts}.items() <= landed.items()


def _why_stopped(settings: Settings, source: str, files: Sequence[Assessed]) -> str | None:
    if not files:
        return None
    snapshot, limit = REGISTRY[source].SNAPSHOT, settings.bad_share_limit_of(source)
    whole = [file.name for file in files if file.whole]
    if snapshot and whole:
        return f"a snapshot needs all of its files, and {', '.join(whole)} is broken as a whole"
    name = "bad_share_limits" if source in settings.bad_share_limits else "bad_share_limit"
    rows_in = sum(file.rows_in for file in files if not file.whole)
    bad = sum(file.quarantined for file in files if not file.whole)
    if rows_in and bad / rows_in > limit:
        return (
            f"{bad} of {rows_in} records are bad"
            f" ({100 * bad / rows_in:.1f} %, more than the {100 * limit:g} % of"
            f" DISCOVER_{name.upper()})"
        )
    if snapshot and not rows_in:
        return "a snapshot without any record would empty the source"
    return None


def _report(file: Assessed, rows: list[dict[str, Any]] | None, *, stopped: bool) -> FileReport:
    if file.whole or (file.rows_in and not file.landed):
        state = "quarantined"
    elif stopped:
        state = "stopped"
    else:
        state = "partly" if file.quarantined else "landed"
    return FileReport(
        file.name,
        state,
        file.rows_in,
        file.landed,
        file.quarantined,
        file.rejects.listed,
        rows,
        tuple(file.columns),
    )


def _keep(settings: Settings, source: str, file: Assessed, folder: Path) -> None:
    """Keep the original bytes, compressed, under their hash. Feedback's are personal: not kept."""
    if source == "feedback":
        return
    import pyarrow as pa

    # A store's work grows with the bytes that it takes, by more than compressing them costs.
    packed = folder / f"{file.number}.zst"
    with file.path.open("rb") as stream, pa.output_stream(packed, compression="zstd") as target:
        shutil.copyfileobj(stream, target, _BLOCK)
    key = f"{raw_prefix(source)}{file.sha256}/{object_name(file.name)}.zst"
    lake_store(settings, LAKE_BUCKET).put(key, packed)
    packed.unlink()


def _upload(
    settings: Settings, source: str, batch_id: str, file: Assessed, parquet: Path | None
) -> LandedFile:
    key = None
    if parquet is not None:
        key = parquet_key(source, batch_id, f"{file.number}-{object_name(file.name)}")
        lake_store(settings, LAKE_BUCKET).put(key, parquet)
    return LandedFile(file.name, file.sha256, file.rows_in, file.landed, file.quarantined, key)


def _kept(settings: Settings, source: str, file: quarantine.FileId, folder: Path) -> Delivered:
    store = lake_store(settings, LAKE_BUCKET)
    prefix = f"{raw_prefix(source)}{file.sha256}/"
    key = next(found["path"] for page in store.list(prefix) for found in page)
    kept = download(settings, LAKE_BUCKET, key, file.file, folder)
    # Homes of earlier versions hold the bytes themselves.
    if sha256_of(kept.path) == file.sha256:
        return kept
    import pyarrow as pa

    path = kept.path.with_name("unpacked")
    with pa.input_stream(kept.path, compression="zstd") as stream, path.open("wb") as target:
        shutil.copyfileobj(stream, target, _BLOCK)
    return Delivered(kept.name, path)


def _bank_snapshot(settings: Settings, folder: Path) -> Delivered:
    path = folder / f"{CUSTOMERS_TABLE}.csv"
    with customers_table.bank(settings) as connection:
        customers_table.copy_out(connection, path)
    return Delivered(f"postgres:{CUSTOMERS_TABLE}", path)
