"""The batch path, from delivered files to a published version, as one readable list of stages."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from discover import orphans
from discover.publish import (
    Built,
    built_folder,
    count_after,
    fingerprint_code,
    publish,
)
from lakehouse import catalog
from lakehouse.clients import lake_answers
from lakehouse.errors import DiscoverError, GateFailed, InputRejected
from lakehouse.landing import batch_ids
from lakehouse.settings import Settings
from lakehouse.today import latest_day
from lakehouse.users import read_grants
from lakehouse.versions import Manifest, Versions

if TYPE_CHECKING:
    from expectations.report import CheckReport
    from ingest.delivery import PassedOver


@dataclass
class Stage:
    """One step of a run: how it ended, how long it took, what went in and out."""

    name: str
    state: str = "running"
    seconds: float = 0.0
    rows_in: int | None = None
    rows_out: int | None = None
    note: str = ""


@dataclass
class Report:
    """What one refresh did; :meth:`to_json` is the contract of ``refresh --json``."""

    run_id: str
    """Of the version that it published, or found to be current; of a run that stopped, its own."""
    state: str = "stopped"
    stages: list[Stage] = field(default_factory=list)
    quarantined: int = 0
    rejected_files: list[dict[str, Any]] = field(default_factory=list)
    passed_over: list[dict[str, str]] = field(default_factory=list)
    """Files and folders next to the deliveries that were not taken, each with its reason."""
    tables: dict[str, int] = field(default_factory=dict)
    orphans: dict[str, int] = field(default_factory=dict)
    """What is kept of customers unknown to core banking; see :mod:`discover.orphans`."""
    warnings: list[str] = field(default_factory=list)
    """``<test>: <what dbt says of it>``, one a test that only warns; of a run that built."""
    documents: dict[str, int] = field(default_factory=dict)
    ledger: dict[str, Any] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    exit_code: int = 0

    def to_json(self) -> dict[str, Any]:
        """The report as ``refresh --json`` prints it."""
        document = asdict(self)
        document.pop("exit_code")
        return document


OnStage = Callable[[Stage], None]


def refresh(
    settings: Settings,
    inputs: Mapping[str, Sequence[str]],
    *,
    passed_over: Sequence[PassedOver] = (),
    force: bool = False,
    full: bool = False,
    on_stage: OnStage = lambda _: None,
) -> Report:
    """Bring everything that is published up to the delivered data.

    Args:
        settings: the home and profile.
        inputs: delivered files by source; ``core_banking`` without files is read from Postgres.
        passed_over: what whoever chose the inputs left out; the report names it.
        force: build and publish even when inputs and code equal the published version's.
        full: the same, and build incremental marts anew from all raw rows.
        on_stage: told when a stage begins (``running``) and again when it ended.

    Returns:
        The report; ``state`` is ``published``, ``unchanged`` or ``stopped`` (see ``failures``).

    Raises:
        UsageError: a path names no file; nothing has landed then.
        DiscoverError: another refresh holds the lock, or a service can't be reached.

    """
    from ingest.delivery import require_files

    for paths in inputs.values():
        require_files(settings, paths)
    versions = Versions(settings.home)
    run_id = versions.next_run_id()
    report = Report(run_id, passed_over=[item.to_json() for item in passed_over])
    started = time.process_time(), time.monotonic()
    with versions.lock(run_id):
        run = _Run(settings, report, versions, on_stage)
        try:
            with lake_answers():
                run.land(inputs)
                run.bring_up_to_date(force or full, anew=full)
        except (InputRejected, GateFailed) as error:
            report.state, report.exit_code = "stopped", error.exit_code
            report.failures.append(str(error))
        finally:
            if report.state == "stopped":
                versions.discard(run_id)
    report.ledger["cpu_seconds"] = round(time.process_time() - started[0], 2)
    report.ledger["seconds"] = round(time.monotonic() - started[1], 2)
    return report


def rollback(
    settings: Settings, run_id: str | None, *, on_stage: OnStage = lambda _: None
) -> Manifest:
    """Serve an older version (without ``run_id`` the one before), documents included.

    Raises:
        DiscoverError: a refresh holds the lock, or there is no such version.

    """
    versions = Versions(settings.home)
    report = Report(versions.next_run_id())
    with versions.lock(f"rollback {report.run_id}"):
        manifest = versions.rollback(run_id)
        _Run(settings, report, versions, on_stage).document(manifest)
    return manifest


def publish_built(settings: Settings) -> Manifest:
    """Publish what ``discover build`` made; ``export-kb`` and ``sync-kb`` bring its documents.

    Raises:
        DiscoverError: a refresh holds the lock, or no build is waiting.
        GateFailed: an expectation on the marts does not hold.

    """
    versions = Versions(settings.home)
    run_id = versions.next_run_id()
    with versions.lock(f"publish {run_id}"):
        return Built(built_folder(settings.home)).publish(settings, run_id)


class _Run:
    """The stages of one run, in their order."""

    def __init__(
        self, settings: Settings, report: Report, versions: Versions, on_stage: OnStage
    ) -> None:
        self.settings = settings
        self.report = report
        self.versions = versions
        self.on_stage = on_stage

    def land(self, inputs: Mapping[str, Sequence[str]]) -> None:
        from ingest.land import land, land_bank

        stopped = []
        for source in catalog.SOURCES:
            paths = inputs.get(source, ())
            if not paths and source != "core_banking":
                continue
            with self._stage(f"land {source}") as stage:
                landed = land(self.settings, source, paths) if paths else land_bank(self.settings)
                self.report.passed_over += [item.to_json() for item in landed.passed_over]
                stage.rows_in = sum(file.rows_in for file in landed.files)
                stage.rows_out = 0 if landed.stopped else sum(file.landed for file in landed.files)
                rejected = [file for file in landed.files if file.state == "quarantined"]
                self.report.quarantined += sum(file.quarantined for file in landed.files)
                self.report.rejected_files += [
                    {
                        "source": source,
                        "file": file.file,
                        "reason": file.rejects[0].reason if file.rejects else "",
                    }
                    for file in rejected
                ]
                if all(file.state == "known" for file in landed.files):
                    stage.note = "known"
                if landed.stopped:
                    stage.state, stage.note = "failed", landed.stopped
                    stopped.append(f"{source}: {landed.stopped}")
        # The other sources have landed by now, and the next run takes them from there.
        if stopped:
            raise InputRejected(
                "; ".join(stopped), "mend and deliver again; see: discover quarantine"
            )

    def bring_up_to_date(self, force: bool, *, anew: bool) -> None:
        inputs, code = fingerprint_inputs(self.settings), fingerprint_code()
        published = self.versions.current()
        if published is None or force or not _is_current(published, inputs, code):
            published = self._publish_new(inputs, code, anew=anew)
        elif published.documents_complete:
            # Of a source that brings nothing new any more, nothing else would tell.
            self._check_freshness()
            self.report.state, self.report.run_id = "unchanged", published.run_id
            self.report.tables = published.tables
            self._count_orphans(published.run_id)
            self.report.documents = {
                "written": 0,
                "unchanged": published.documents,
                "deleted": 0,
                "puts": 0,
            }
            return
        # A run that was cut after it had published is finished under its own name.
        self.report.run_id = published.run_id
        self.report.tables = published.tables
        self.document(published)
        self.report.state = "published"

    def document(self, manifest: Manifest) -> None:
        """Bring S3 and the knowledge base to what a published version says."""
        try:
            self._export(manifest)
            self._sync()
        except DiscoverError as error:
            raise type(error)(
                f"version {manifest.run_id} is published, its documents are not: {error.message}",
                f"{error.fix}; then refresh again",
            ) from error
        done = self.report.documents
        self.versions.publish(
            manifest.model_copy(
                update={
                    "documents": done["written"] + done["unchanged"],
                    "documents_complete": True,
                }
            )
        )

    def _publish_new(self, inputs: dict[str, str], code: str, *, anew: bool) -> Manifest:
        self._flatten()
        self._check_raw()
        published = self.versions.current()
        self._build(anew=anew or published is None or published.code != code)
        self._check_marts()
        return self._publish(inputs, code)

    def _flatten(self) -> None:
        from ingest.flatten import flatten

        with self._stage("flatten") as stage:
            tables = flatten(self.settings)
            stage.rows_in = sum(table.rows_in for table in tables)
            stage.rows_out = sum(table.rows_out for table in tables)

    def _check_raw(self) -> None:
        from expectations.raw import check_raw

        with self._stage("check raw") as stage:
            self._require(check_raw(self.settings), stage)

    def _build(self, *, anew: bool) -> None:
        from discover.build import build

        with self._stage("build") as stage:
            work = self.settings.home / "work" / "refresh"
            # What a run that failed or died left for its reader.
            shutil.rmtree(work, ignore_errors=True)
            built = build(
                self.settings,
                marts_file=self.versions.candidate(self.report.run_id),
                work_dir=work,
                # What older code stored in an incremental fact may not be what this code makes.
                args=["--full-refresh"] if anew else (),
                entitlements=read_grants(self.settings.home),
            )
            self.report.tables = dict(built.tables)
            self.report.warnings = list(built.warnings)
            stage.rows_out = sum(built.tables.values())
            stage.note = f"{built.passed} models and tests"
            if built.warnings:
                stage.note += f", {len(built.warnings)} warn"
            if built.failures:
                raise GateFailed(
                    f"dbt: {len(built.failures)} failed, first {built.failures[0]}",
                    f"see {work}/logs",
                )
            semantic = self.versions.semantic_manifest_file(self.report.run_id)
            shutil.copyfile(work / "target" / "semantic_manifest.json", semantic)
            shutil.rmtree(work)

    def _check_marts(self) -> None:
        from expectations.marts import check_marts

        with self._stage("check marts") as stage:
            marts_file = self.versions.marts_file(self.report.run_id)
            self._require(check_marts(self.settings, marts_file), stage)
            self._count_orphans(self.report.run_id)
            latest = latest_day(self.settings)
            if late := count_after(marts_file, latest):
                self.report.warnings.append(
                    f"{late:,} transactions are dated after {latest}: they count, but the data's"
                    " last day leaves them out"
                )

    def _check_freshness(self) -> None:
        limits = (self.settings.freshness_limit_of(source) for source in catalog.SOURCES)
        if all(limit is None for limit in limits):
            return
        from expectations.freshness import check_freshness

        with self._stage("check freshness") as stage:
            self._require(check_freshness(self.settings), stage)

    def _count_orphans(self, run_id: str) -> None:
        self.report.orphans = orphans.count(self.versions.marts_file(run_id))

    def _publish(self, inputs: dict[str, str], code: str) -> Manifest:
        with self._stage("publish"):
            manifest = publish(self.settings, self.report.run_id, inputs, code)
            self.versions.sweep(self.settings.versions_kept)
            return manifest

    def _export(self, manifest: Manifest) -> None:
        from kb_export.upload import export

        with self._stage("export documents") as stage:
            exported = export(self.settings)
            stage.rows_in = manifest.tables["dim_customers"]
            stage.rows_out = exported.written
            self.report.documents = {
                "written": exported.written,
                "unchanged": exported.unchanged,
                "deleted": exported.deleted,
                "puts": exported.puts,
            }

    def _sync(self) -> None:
        from kb_export.knowledge_base import retrieve, sync

        with self._stage("sync knowledge base") as stage:
            stage.rows_out = sync(self.settings).scanned
            found = retrieve(self.settings, "credit score and loans", results=1)
            stage.note = f"retrieved {found[0].uri.rsplit('/', 1)[-1]}" if found else "it is empty"

    def _require(self, checked: CheckReport, stage: Stage) -> None:
        stage.note = f"{len(checked.checks)} checks"
        if checked.passed:
            return
        from expectations import pages

        folder = self.settings.home / "quality" / self.report.run_id / stage.name.replace(" ", "-")
        page = pages.write(checked, folder, f"{stage.name}, run {self.report.run_id}")
        # All that say what allows them; of the others a few tell enough.
        told = [check for check in checked.failed if check.note]
        told += [check for check in checked.failed if not check.note][:3]
        named = ", ".join(f"{check.table}: {check.name} ({check.found})" for check in told)
        raise GateFailed(
            f"{len(checked.failed)} expectations failed: {named}",
            f"which rows: {page}; mend the data, then refresh again",
        )

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[Stage]:
        stage = Stage(name)
        self.report.stages.append(stage)
        self.on_stage(stage)
        started = time.monotonic()
        try:
            yield stage
            if stage.state == "running":
                stage.state = "done"
        except DiscoverError:
            stage.state = "failed"
            raise
        finally:
            stage.seconds = round(time.monotonic() - started, 2)
            self.on_stage(stage)


def _is_current(published: Manifest, inputs: dict[str, str], code: str) -> bool:
    """Whether a refresh would publish the same; a version rolled back to outlives new code."""
    return published.inputs == inputs and (published.code == code or published.pinned)


def fingerprint_inputs(settings: Settings) -> dict[str, str]:
    """Digests: one a source over its landed batches, of the entitlements, of the bank's zone."""
    prints = {source: _digest(batch_ids(settings, source)) for source in catalog.SOURCES}
    prints["entitlements"] = _digest(str(grant) for grant in read_grants(settings.home))
    prints["timezone"] = _digest([settings.timezone])
    return prints


def _digest(parts: Iterator[str] | Sequence[str] | Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()[:16]
