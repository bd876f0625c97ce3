"""Make a checked candidate the version that everyone reads."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from lakehouse import catalog
from lakehouse.business_calendar import latest_day
from lakehouse.errors import DiscoverError, GateFailed
from lakehouse.settings import REPOSITORY, Settings, read_json
from lakehouse.versions import Manifest, Versions

CODE = (
    "dbt_project",
    "discover/build.py",
    "discover/publish.py",
    "expectations",
    "ingest",
    "kb_export",
    "lakehouse/catalog.py",
    "lakehouse/complaint.py",
    "lakehouse/landing.py",
    "lakehouse/scrub.py",
    "lakehouse/business_calendar.py",
)
"""What shapes a published version: the rest of the code may change without a new one."""
CODE_SUFFIXES = {".py", ".sql", ".yml", ".csv", ".md"}
BUILT_FOLDERS = {"target", "logs", "dbt_packages", "__pycache__"}


def publish(settings: Settings, run_id: str, inputs: dict[str, str], code: str) -> Manifest:
    """Publish candidate ``run_id``; everyone sees it from this moment, whole.

    Raises:
        GateFailed: the candidate lacks a mart.

    """
    versions = Versions(settings.home)
    tables, data_through = _read_candidate(
        versions.marts_file(run_id), latest_day(settings.timezone)
    )
    missing = [mart for mart in catalog.MARTS if mart not in tables]
    if missing:
        raise GateFailed(f"the candidate lacks {', '.join(missing)}", "run: discover build")
    manifest = Manifest(
        run_id=run_id,
        published_at=datetime.now(UTC).isoformat(timespec="seconds"),
        inputs=inputs,
        code=code,
        tables={mart: tables[mart] for mart in catalog.MARTS},
        timezone=settings.timezone,
        data_through=data_through,
    )
    versions.publish(manifest)
    return manifest


def built_folder(home: Path) -> Path:
    """Where ``discover build`` leaves marts that are not published yet."""
    return home / "work" / "build"


@dataclass(frozen=True)
class Built:
    """Marts that ``discover build`` made and tested, waiting for ``discover publish``."""

    folder: Path

    @property
    def marts_file(self) -> Path:
        """The DuckDB file of the marts."""
        return self.folder / "marts.duckdb"

    @property
    def exists(self) -> bool:
        """Whether a build ended well and was not published since."""
        return self._record.exists()

    @property
    def _record(self) -> Path:
        return self.folder / "built.json"

    def record(self, inputs: dict[str, str], code: str, base: str | None) -> None:
        """Say that this build ended well, what it was made from, and on which version."""
        said = {"inputs": inputs, "code": code, "base": base}
        self._record.write_text(json.dumps(said))

    def publish(self, settings: Settings, run_id: str) -> Manifest:
        """Check the marts once more and make them the version that everyone reads.

        Raises:
            DiscoverError: no build is waiting, or another version was published since it began.
            GateFailed: an expectation on the marts does not hold.

        """
        from expectations.marts import check_marts

        if not self.exists:
            raise DiscoverError("no build is waiting to be published", "run: discover build")
        made_from, versions = read_json(self._record), Versions(settings.home)
        if (now := versions.current_run_id()) != made_from.get("base"):
            raise DiscoverError(
                f"{now} was published since this build began: it would take that back",
                "build again: discover build",
            )
        checked = check_marts(settings, self.marts_file)
        if not checked.passed:
            names = ", ".join(f"{check.table}: {check.name}" for check in checked.failed[:3])
            raise GateFailed(f"expectations failed: {names}", "see: discover check marts")
        shutil.copyfile(self.marts_file, versions.candidate(run_id))
        shutil.copyfile(
            self.folder / "target" / "semantic_manifest.json",
            versions.semantic_manifest_file(run_id),
        )
        manifest = publish(settings, run_id, made_from["inputs"], made_from["code"])
        versions.sweep(settings.versions_kept)
        shutil.rmtree(self.folder)
        return manifest


def count_after(marts_file: Path, latest: date) -> int:
    """Transactions of a version that are dated after ``latest``."""
    with duckdb.connect(str(marts_file), read_only=True) as connection:
        found: int = connection.execute(
            "SELECT count(*) FROM fct_atm_transactions WHERE transaction_date > $latest",
            {"latest": latest},
        ).fetchall()[0][0]
    return found


def _read_candidate(marts_file: Path, latest: date) -> tuple[dict[str, int], str | None]:
    """Rows by table, and the bank's last day that any fact has. Folds the log into the file.

    A day after ``latest`` is a slip of some clock and moves nobody's "today", unless all are.
    """
    with duckdb.connect(str(marts_file)) as connection:
        connection.execute("CHECKPOINT")
        names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
        tables = {
            name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()[0][0]
            for name in names
        }
        last = None
        if {"fct_atm_transactions", "fct_complaints"} <= set(tables):
            last = connection.execute(
                "SELECT coalesce(max(day) FILTER (day <= $latest), max(day)) FROM"
                " (SELECT transaction_date AS day FROM fct_atm_transactions UNION ALL"
                " SELECT complaint_date FROM fct_complaints)",
                {"latest": latest},
            ).fetchall()[0][0]
    return tables, last.isoformat() if last else None


@functools.cache
def fingerprint_code(root: Path = REPOSITORY) -> str:
    """Digest of every file that shapes a published version, as they were when it was first asked.

    A process that repeats refreshes goes on with the code that it has loaded.
    """
    digest = hashlib.sha256()
    for name in CODE:
        place = root / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            inside = path.relative_to(root)
            if path.suffix in CODE_SUFFIXES and BUILT_FOLDERS.isdisjoint(inside.parts):
                digest.update(str(inside).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
