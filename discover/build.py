"""dbt in process: the marts of one candidate version, built and tested."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lakehouse import catalog, duck
from lakehouse.errors import DiscoverError
from lakehouse.settings import REPOSITORY, Settings
from lakehouse.users import Grant

PROJECT = REPOSITORY / "dbt_project"

_FAILED = frozenset({"error", "fail", "runtime error", "partial success"})


@dataclass(frozen=True)
class BuildReport:
    """What ``dbt build`` made of the marts. Names and counts only: no value of any customer."""

    tables: dict[str, int]
    """Rows by mart."""
    passed: int
    """Models, seeds and tests that succeeded, warnings included."""
    failures: list[str] = field(default_factory=list)
    """``<node>: <what dbt says of it>``, one a failed or broken node; empty is a clean build."""
    warnings: list[str] = field(default_factory=list)
    """The same for tests that only warn, such as transactions of unknown customers."""

    def to_json(self) -> dict[str, Any]:
        """The report as ``build --json`` prints it."""
        return asdict(self)


def build(
    settings: Settings,
    *,
    marts_file: Path,
    work_dir: Path,
    args: Sequence[str] = (),
    entitlements: list[Grant],
) -> BuildReport:
    """Build and test the marts into ``marts_file`` from the lake's raw tables.

    Args:
        settings: where the lake is and what opens it.
        marts_file: DuckDB file that holds the marts and nothing else; built on where it exists.
        work_dir: private folder: views, ``target/`` with dbt's manifests, ``logs/``.
        args: further arguments of ``dbt build``, such as ``--full-refresh`` or ``--select``.
        entitlements: rows of the mart of that name.

    Returns:
        The report. A failed model or test stands in ``failures``; nothing is raised for it.

    Raises:
        ServiceUnavailable: the lake does not answer.
        DiscoverError: dbt could not start, for example because of an argument it does not know.

    """
    work_dir.mkdir(parents=True, exist_ok=True)
    values = {
        "entitlements": [asdict(grant) for grant in entitlements],
        "timezone": settings.timezone,
    }
    # Parsing costs a quarter of a build. dbt takes from there what is still as it was, and nothing
    # where another dbt wrote it, or other grants or settings were in force. It would look for seeds
    # where the project stood then, so each place has a file of its own.
    place = hashlib.sha256(str(PROJECT.resolve()).encode()).hexdigest()[:8]
    parsed = work_dir.with_name(f"{work_dir.name}_parsed_{place}.msgpack")
    known = ["--partial-parse-file-path", str(parsed)] if parsed.exists() else []
    variables = ("--vars", json.dumps(values))
    results = run_dbt(
        settings,
        # Unit tests prove the models, not the data: they run with the project's own tests.
        ["build", "--exclude-resource-type", "unit_test", *variables, *known, *args],
        target="local",
        work_dir=work_dir,
        environment={
            "DISCOVER_MARTS_FILE": str(_under_one_name(marts_file, work_dir)),
            "DISCOVER_WORK_FILE": str(work_dir / "work.duckdb"),
        },
    )
    _keep_parsed(work_dir, parsed)
    outcomes = [(str(result.status), _sentence(result)) for result in results]
    failures = [sentence for status, sentence in outcomes if status in _FAILED]
    return BuildReport(
        tables=_count_rows(marts_file),
        passed=sum(status in {"success", "pass", "warn"} for status, _ in outcomes),
        failures=failures,
        warnings=[sentence for status, sentence in outcomes if status == "warn"],
    )


def build_views(settings: Settings, *, marts_file: Path, work_dir: Path) -> None:
    """Make the seeds and views that a part of the project stands on; they cost next to nothing.

    Raises:
        ServiceUnavailable: the lake does not answer.
        DiscoverError: dbt could not make one of them.

    """
    work_dir.mkdir(parents=True, exist_ok=True)
    results = run_dbt(
        settings,
        [
            *("build", "--select", "resource_type:seed", "staging", "intermediate"),
            *("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"),
        ],
        target="local",
        work_dir=work_dir,
        environment={
            "DISCOVER_MARTS_FILE": str(marts_file),
            "DISCOVER_WORK_FILE": str(work_dir / "work.duckdb"),
        },
    )
    failed = [_sentence(result) for result in results if str(result.status) in _FAILED]
    if failed:
        raise DiscoverError(f"dbt: {failed[0]}", f"see {work_dir}/logs")


def build_docs(settings: Settings) -> Path:
    """The documentation site of dbt as one page, with lineage from sources to exposures.

    The relations that it describes are built empty and aside: no published file is touched.

    Returns:
        The folder that holds ``index.html``.

    Raises:
        ServiceUnavailable: the lake does not answer.
        DiscoverError: dbt could not build or describe the models.

    """
    work_dir = settings.home / "work" / "docs"
    work_dir.mkdir(parents=True, exist_ok=True)
    environment = {
        "DISCOVER_MARTS_FILE": str(work_dir / "marts.duckdb"),
        "DISCOVER_WORK_FILE": str(work_dir / "work.duckdb"),
    }
    for command in (["build", "--empty", "--exclude-resource-type", "test"], ["docs", "generate"]):
        args = [*command, "--static"] if command[0] == "docs" else command
        results = run_dbt(
            settings, args, target="local", work_dir=work_dir, environment=environment
        )
        failed = [_sentence(result) for result in results if str(result.status) in _FAILED]
        if failed:
            raise DiscoverError(f"dbt: {failed[0]}", f"see {work_dir}/logs")
    site = work_dir / "site"
    site.mkdir(exist_ok=True)
    (work_dir / "target" / "static_index.html").replace(site / "index.html")
    return site


def run_dbt(
    settings: Settings,
    args: Sequence[str],
    *,
    target: str,
    work_dir: Path,
    environment: Mapping[str, str] | None = None,
) -> list[Any]:
    """Run one dbt command quietly; its log goes to ``<work_dir>/logs``.

    Returns:
        dbt's results, one a node; empty for a command without any.

    Raises:
        ServiceUnavailable: the lake does not answer.
        DiscoverError: dbt failed before it ran a node.

    """
    from dbt.cli.main import dbtRunner

    _equip(settings)
    command = [
        *("--quiet", "--no-print", "--log-level", "none", "--log-level-file", "info"),
        *("--log-path", str(work_dir / "logs")),
        *args,
        *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target", target),
        *("--target-path", str(work_dir / "target")),
    ]
    with _environment({"DISCOVER_HOME": str(settings.home), **(environment or {})}):
        try:
            outcome = dbtRunner().invoke(command)
        finally:
            release_dbt_files()
    if isinstance(outcome.exception, KeyboardInterrupt | SystemExit):
        # Somebody ended us, not dbt.
        raise outcome.exception
    if outcome.exception is not None:
        first = next(iter(str(outcome.exception).strip().splitlines()), "no message")
        raise DiscoverError(f"dbt: {first}", f"see {work_dir}/logs")
    return list(getattr(outcome.result, "results", ()))


def release_dbt_files() -> None:
    """Close the files that dbt-duckdb would hold open until this process ends."""
    from dbt.adapters.duckdb import connections

    manager: Any = connections.DuckDBConnectionManager
    if manager._ENV is not None:
        manager._ENV.close()
    manager.close_all_connections()


def _under_one_name(marts_file: Path, work_dir: Path) -> Path:
    """The file by a path that is the same in every run, or dbt would parse everything anew.

    It is the folder that is linked: the engine keeps its log beside the file.
    """
    link = work_dir / "candidate"
    link.unlink(missing_ok=True)
    link.symlink_to(marts_file.parent.resolve(), target_is_directory=True)
    return link / marts_file.name


def _keep_parsed(work_dir: Path, kept: Path) -> None:
    """Keep the parsed project for the next build, where dbt had to parse something of it."""
    made = work_dir / "target" / "partial_parse.msgpack"
    if made.exists():
        made.replace(kept)


def _equip(settings: Settings) -> None:
    """DuckDB's extensions and secrets, where dbt's profile looks for them."""
    extensions = settings.home / "duckdb_extensions"
    if len(list(extensions.rglob("*.duckdb_extension"))) < len(duck.EXTENSIONS):
        duck.install_extensions(extensions)
    duck.write_secrets(settings, settings.home / "duckdb_secrets")


def _sentence(result: Any) -> str:
    """A node's name and dbt's words on it, up to where an engine quotes a value ('…')."""
    lines = str(result.message or result.status).strip().splitlines()
    words = " ".join(line.strip() for line in lines[:2])
    return f"{result.node.name}: {words.split(chr(39))[0].strip()}"


def _count_rows(marts_file: Path) -> dict[str, int]:
    if not marts_file.exists():
        return {}
    with duck.connect_published(marts_file) as connection:
        present = {row[0] for row in connection.execute("SHOW TABLES").fetchall()}
        return {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for name in catalog.MARTS
            if name in present
        }


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
