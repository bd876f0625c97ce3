"""Superset's configuration, run as Superset runs it, with a stand-in for Superset itself."""

from __future__ import annotations

import json
import runpy
import sys
import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.settings import REPOSITORY, Settings

CONFIG = REPOSITORY / "dashboard" / "superset_config.py"


@dataclass(frozen=True)
class Url:
    """As much of SQLAlchemy's URL as the configuration uses."""

    drivername: str
    database: str = "/published/marts.duckdb"

    def set(self, database: str) -> Url:
        return replace(self, database=database)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    log = types.ModuleType("superset.utils.log")
    log.AbstractEventLogger = object  # type: ignore[attr-defined]
    flask = types.ModuleType("flask")
    flask.g = {}  # type: ignore[attr-defined]
    flask.has_request_context = lambda: bool(flask.g)  # type: ignore[attr-defined]
    for name, module in (
        ("flask", flask),
        ("superset", types.ModuleType("superset")),
        ("superset.utils", types.ModuleType("superset.utils")),
        ("superset.utils.log", log),
    ):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("DISCOVER_HOME", str(tmp_path))
    monkeypatch.setenv("DISCOVER_PAGE_URL", "http://127.0.0.1:18090")
    monkeypatch.setenv("DISCOVER_SUPERSET_SECRET_KEY", "s" * 32)
    monkeypatch.setenv("DISCOVER_SUPERSET_GUEST_SECRET", "g" * 32)
    return monkeypatch


def config() -> dict[str, Any]:
    return runpy.run_path(str(CONFIG))


@pytest.mark.parametrize("name", ["DISCOVER_SUPERSET_SECRET_KEY", "DISCOVER_SUPERSET_GUEST_SECRET"])
@pytest.mark.parametrize("value", ["", "short"])
def test_it_refuses_to_start_without_real_secrets(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(RuntimeError, match=name):
        config()


def test_each_connection_opens_the_version_that_is_published_then(
    environment: pytest.MonkeyPatch, bank: Settings
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    mutate = config()["DB_CONNECTION_MUTATOR"]

    def opened() -> str:
        url, params = mutate(Url("duckdb"), {}, None, None, None)
        assert params["connect_args"]["read_only"] is True
        assert params["connect_args"]["config"]["enable_external_access"] == "false"
        return str(url.database)

    before = opened()
    assert before == str(bank.home / "versions" / "20261102T000000Z" / "marts.duckdb")
    (bank.home / "published.json").write_text(json.dumps({"run_id": "next"}))
    assert opened() == str(bank.home / "versions" / "next" / "marts.duckdb")


@pytest.mark.parametrize(
    ("last_name", "version"),
    [("20261101T000000Z", "20261101T000000Z"), ("", "20261102T000000Z")],
)
def test_a_guest_reads_the_version_that_its_token_names(
    environment: pytest.MonkeyPatch, bank: Settings, last_name: str, version: str
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    token = {"user": {"username": "analyst", "last_name": last_name}}
    guest = types.SimpleNamespace(guest_token=token)
    environment.setattr(sys.modules["flask"], "g", {"user": guest})
    url, _ = config()["DB_CONNECTION_MUTATOR"](Url("duckdb"), {}, None, None, None)
    assert url.database == str(bank.home / "versions" / version / "marts.duckdb")


@pytest.mark.parametrize(
    "escape",
    [
        "COPY (SELECT from_hex('00') AS log) TO '{file}.wal' (FORMAT blob)",
        "SELECT * FROM read_blob('{file}')",
        "SELECT * FROM '/etc/passwd'",
        "SET disabled_filesystems = ''",
        "DELETE FROM dim_customers",
    ],
)
def test_what_superset_opens_is_a_closed_room(
    environment: pytest.MonkeyPatch, bank: Settings, escape: str
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    url, params = config()["DB_CONNECTION_MUTATOR"](Url("duckdb"), {}, None, None, None)
    ((on_connect, event),) = params["pool_events"]
    assert event == "connect"
    folder = Path(url.database).parent
    before = sorted(folder.iterdir())
    # Twice: the connections of one process share one database.
    with duckdb.connect(url.database, **params["connect_args"]) as first:
        on_connect(first, None)
        with duckdb.connect(url.database, **params["connect_args"]) as second:
            on_connect(second, None)
            assert second.execute("SELECT count(*) FROM dim_customers").fetchone()
            with pytest.raises(duckdb.Error):
                second.execute(escape.format(file=url.database))
    assert sorted(folder.iterdir()) == before


def test_other_databases_are_left_alone(environment: pytest.MonkeyPatch) -> None:
    url = Url("trino", "lake")
    assert config()["DB_CONNECTION_MUTATOR"](url, {"a": 1}, None, None, None) == (url, {"a": 1})


@pytest.mark.parametrize(
    ("rules", "accepted"),
    [
        ([{"dataset": 1, "clause": "customer_id in (1)"}], True),
        ([], False),
        ([{"clause": "customer_id in (1)"}], False),
        ([{"dataset": 1, "clause": ""}], False),
    ],
)
def test_a_guest_without_row_rules_is_refused(
    environment: pytest.MonkeyPatch, rules: list[dict[str, Any]], accepted: bool
) -> None:
    assert config()["GUEST_TOKEN_VALIDATOR_HOOK"]({"rls": rules}) is accepted


def test_no_figure_is_kept_from_one_version_to_the_next(environment: pytest.MonkeyPatch) -> None:
    found = config()
    for name in ("DATA_CACHE_CONFIG", "CACHE_CONFIG"):
        assert found[name] == {"CACHE_TYPE": "NullCache"}


def test_only_the_host_page_may_frame_it(environment: pytest.MonkeyPatch) -> None:
    policy = config()["TALISMAN_CONFIG"]["content_security_policy"]
    assert policy["frame-ancestors"] == [
        "'self'",
        "http://127.0.0.1:18090",
        "http://localhost:18090",
    ]
