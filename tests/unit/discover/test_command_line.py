"""Global options stand anywhere; values print as the contract says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from datetime import date, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import duckdb
import pytest
import typer
from typer.testing import CliRunner

from discover import cli
from discover.cli import COMMANDS
from discover.commands.batch import parse_interval, plain
from discover.context import take_global_options
from lakehouse import duck
from lakehouse.errors import UsageError
from lakehouse.settings import REPOSITORY
from lakehouse.versions import Manifest, Versions


def test_global_options_are_taken_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCOVER_HOME", "")
    monkeypatch.setenv("DISCOVER_PROFILE", "")
    arguments = ["sql", "SELECT 1", "--home", "/tmp/a", "--json", "--profile=local"]
    assert take_global_options(arguments) == (["sql", "SELECT 1", "--json"], False)


def test_what_follows_two_dashes_belongs_to_dbt() -> None:
    arguments = ["build", "--", "--profile", "x", "--debug"]
    assert take_global_options(arguments) == (arguments, False)


def test_debug_stands_anywhere() -> None:
    assert take_global_options(["sql", "--debug", "SELECT 1"]) == (["sql", "SELECT 1"], True)


@pytest.mark.parametrize("words", [["--home"], ["--home="], ["--home", ""], ["--profile="]])
def test_an_empty_home_is_not_the_default_one(words: list[str]) -> None:
    with pytest.raises(UsageError, match="has no value"):
        take_global_options(["status", *words])


def test_decimals_print_as_exact_strings() -> None:
    row = [Decimal("1234567890123456.70"), date(2026, 1, 2), None, True, 3, [Decimal("0.10")]]
    assert [plain(value) for value in row] == [
        "1234567890123456.70",
        "2026-01-02",
        None,
        True,
        3,
        ["0.10"],
    ]


def test_what_json_has_no_number_for_is_a_string_and_structs_stay_structs() -> None:
    row = [float("nan"), float("-inf"), 1.5, {"amount": Decimal("0.10"), "inner": [{"x": None}]}]
    assert [plain(value) for value in row] == [
        "nan",
        "-inf",
        1.5,
        {"amount": "0.10", "inner": [{"x": None}]},
    ]


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from discover.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, env={**os.environ, **environment})


@pytest.fixture
def published_home(tmp_path: Path) -> Path:
    """A home with a blank and a quote in its name, and one published mart."""
    home = tmp_path / "it's a home"
    versions = Versions(home)
    with duckdb.connect(str(versions.candidate("r1"))) as connection:
        connection.execute("CREATE TABLE dim_customers AS SELECT 'Zoë · [b]#1[/]' AS label")
    versions.publish(
        Manifest(
            run_id="r1", published_at="2026-11-24T06:00:00+00:00", inputs={}, code="c", tables={}
        )
    )
    return home


def test_a_terminal_without_utf8_gets_results_and_json_stays_exact(published_home: Path) -> None:
    narrow = {"PYTHONIOENCODING": "ascii"}
    query = ("sql", "SELECT label FROM dim_customers", "--home", str(published_home))
    told = _run(*query, **narrow)
    assert told.returncode == 0
    assert b"Zo? ? [b]#1[/]" in told.stdout
    exact = _run(*query, "--json", **narrow)
    assert json.loads(exact.stdout)["rows"] == [{"label": "Zoë · [b]#1[/]"}]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "0 SQL statements"),
        ("SELECT 1; SELECT 2", "2 SQL statements"),
        ("SELECT 1 AS a, 2 AS a", "two columns are called a"),
    ],
)
def test_a_query_whose_result_would_lose_something_is_refused(
    published_home: Path, query: str, told: str
) -> None:
    refused = _run("sql", query, "--json", "--home", str(published_home))
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert told in refused.stderr.decode()


def test_what_a_command_writes_is_its_owners_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ("--customers", "2", "--days", "1", "--seed", "1", "--out", str(out))
    assert _run("generate", *options).returncode == 0
    written = [out, *out.rglob("*")]
    assert len(written) > 1
    assert not any(path.stat().st_mode & 0o077 for path in written)


@pytest.mark.parametrize(("text", "hours"), [("90m", 1.5), ("6h", 6), ("1d", 24)])
def test_intervals(text: str, hours: float) -> None:
    assert parse_interval(text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["", "1", "d", "0d", "-1d", "1w", "1.5h"])
def test_an_unreadable_interval_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_interval(text)


@pytest.mark.parametrize("module", COMMANDS)
def test_a_module_registers_the_commands_that_it_is_listed_for(module: str) -> None:
    part = typer.Typer()
    import_module(f"discover.commands.{module}").register(part)
    assert set(COMMANDS[module]) == set(typer.main.get_group(part).commands)


def test_a_command_imports_no_other_commands() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from discover.cli import app;"
        "assert CliRunner().invoke(app, ['land', '--help']).exit_code == 0;"
        "print(*(name for name in sys.modules if name.startswith('discover.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["discover.commands.ingest"]


def test_a_mistyped_command_is_told_the_near_one() -> None:
    done = _run("flaten")
    assert done.returncode == 2
    assert b"Did you mean 'flatten'" in done.stderr


def test_what_is_not_installed_is_named_with_its_fix(published_home: Path) -> None:
    code = "import sys; sys.modules['duckdb'] = None; from discover.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "sql", "SELECT 1", "--home", str(published_home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "duckdb is not installed" in done.stderr
    assert "bmo-discover[pipeline" in done.stderr


def test_a_missing_module_of_another_package_is_not_called_a_missing_extra(
    published_home: Path, tmp_path: Path
) -> None:
    """PySpark 3.5 on Python 3.12 without setuptools failed in this way."""
    (tmp_path / "duckdb.py").write_text("import distutils_of_old\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r});from discover.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "sql", "SELECT 1", "--home", str(published_home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "distutils_of_old, which duckdb needs, is not installed" in done.stderr
    assert "make setup" in done.stderr
    assert "bmo-discover[" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("importer", "module", "extra"),
    [
        ("ingest.flatten", "pyarrow", False),
        ("ingest.flatten", "pyiceberg.catalog", False),
        ("discover.cli", "lakehouse.landing", False),
        ("lakehouse.duck", "duckdb", True),
        ("chat.render", "dbt_metricflow.cli", True),
        ("pyspark.sql", "distutils", False),
        ("pandas", "numpy", False),
    ],
)
def test_the_extras_are_named_only_for_what_they_bring(
    importer: str, module: str, extra: bool
) -> None:
    code = f"raise ModuleNotFoundError('No module', name={module!r})"
    with pytest.raises(ModuleNotFoundError) as failure:
        exec(code, {"__name__": importer})
    said = cli._not_installed(failure.value)
    assert said.startswith(module)
    assert ("bmo-discover[pipeline,local]" in said) == extra


def test_the_lists_for_missing_modules_are_those_of_the_project() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert list(cli.PACKAGES) == wheel
    brought = {
        re.split(r"[^\w-]", requirement)[0].replace("-", "_")
        for requirement in settings["project"]["dependencies"]
    }
    assert set(cli._WITHOUT_EXTRAS) == brought - {"rich", "typer"} | {"pydantic"}


def test_flatten_needs_only_what_the_wheel_brings() -> None:
    """The rest is an extra: a Spark cluster installs the wheel alone."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = {
        re.split(r"[^\w-]", requirement)[0].replace("-", "_")
        for group in project["optional-dependencies"].values()
        for requirement in group
    }
    # On a cluster Spark brings itself; PyArrow is in both lists, pinned in the second.
    absent = extras - {"pyspark", "pyarrow", "pyiceberg_core"} | {"yaml", "kafka", "dbt"}
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)!r}))\n"
        "from typer.testing import CliRunner; from discover.cli import app\n"
        "assert CliRunner().invoke(app, ['flatten', '--help']).exit_code == 0\n"
        "from ingest.flatten import FLAT_TABLES, session; from ingest.raw_tables import *\n"
        "from ingest.sources import REGISTRY; from lakehouse import clients, landing\n"
        "[iceberg_schema(flat) for flat in FLAT_TABLES]\n"
        "[source.schema() for source in REGISTRY.values()]\n"
        "import obstore.store, pyiceberg.catalog.rest\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_home_whose_lake_was_never_started_says_so(tmp_path: Path) -> None:
    for command in (["flatten"], ["quarantine"], ["refresh", "--source", f"atm={__file__}"]):
        done = _run(*command, DISCOVER_HOME=str(tmp_path))
        assert done.returncode == 5, done.stderr
        assert b"discover up" in done.stderr


def test_a_store_that_fails_is_a_service_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from obstore.exceptions import GenericError

    def fails(*_: object, **__: object) -> None:
        raise GenericError("Generic S3 error: 500\n\nDebug source: a page of it")

    monkeypatch.setattr(cli, "app", fails)
    monkeypatch.setattr(sys, "argv", ["discover", "flatten"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 5
    said = capsys.readouterr().err
    assert "the object store failed: Generic S3 error: 500" in said
    assert "Debug" not in said


def test_a_query_leaves_signals_to_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine computes without a look at them: a handler of ours would wait for its end."""

    class Engine:
        description = (("x",),)
        heard: ClassVar[list[object]] = []

        def __enter__(self) -> Engine:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def extract_statements(self, query: str) -> list[str]:
            return [query]

        def execute(self, _: str) -> Engine:
            self.heard += [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
            return self

        def fetchall(self) -> list[tuple[int]]:
            return [(1,)]

    manifest = Manifest(
        run_id="1", published_at="2026-01-01T00:00:00+00:00", code="c", inputs={}, tables={}
    )
    monkeypatch.setattr(Versions, "require_current", lambda _: manifest)
    monkeypatch.setattr(duck, "connect_published", lambda _: Engine())
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    done = CliRunner().invoke(
        cli.app, ["sql", "SELECT 1", "--json"], env={"DISCOVER_HOME": str(tmp_path)}
    )
    assert done.exit_code == 0, done.output
    assert Engine.heard == [signal.SIG_DFL, signal.SIG_DFL]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
