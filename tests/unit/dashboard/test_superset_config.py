"""Superset's configuration, run as Superset runs it, with a stand-in for Superset itself."""

from __future__ import annotations

import json
import runpy
import sys
import types
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse.settings import REPOSITORY, Settings

READERS = (
    "superset.utils.date_parser",
    "superset.common.utils.time_range_utils",
    "superset.views.api",
    "superset.viz",
)
CONFIG = REPOSITORY / "dashboard" / "superset_config.py"


@dataclass(frozen=True)
class Url:
    """As much of SQLAlchemy's URL as the configuration uses."""

    drivername: str
    database: str = "/published/marts.duckdb"

    query: dict[str, str] = field(default_factory=dict)

    def set(self, **changes: Any) -> Url:
        return replace(self, **changes)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    stand_ins: dict[str, dict[str, Any]] = {
        "flask": {"g": {}, "has_request_context": lambda: bool(sys.modules["flask"].g)},
        "superset": {},
        "superset.exceptions": {
            "QueryObjectValidationError": type("QueryObjectValidationError", (Exception,), {})
        },
        "superset.utils": {},
        "superset.utils.date_parser": {"get_since_until": None},
        "superset.utils.log": {"AbstractEventLogger": object},
        "superset.views.api": {"get_since_until": None},
        "superset.viz": {"get_since_until": None},
        "superset.common.utils.time_range_utils": {"get_since_until": None},
        "duckdb_engine": {"Dialect": type("Dialect", (), {"_backslash_escapes": True})},
    }
    for name, content in stand_ins.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    parent = sys.modules["superset.utils"]
    parent.date_parser = sys.modules["superset.utils.date_parser"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "business_calendar", types.ModuleType("business_calendar"))
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
    ("last_name", "version", "yesterday"),
    [
        ("20261101T000000Z", "20261101T000000Z", date(2026, 9, 29)),
        ("", "20261102T000000Z", date(2026, 10, 31)),
    ],
)
def test_a_guest_reads_the_version_that_its_token_names(
    environment: pytest.MonkeyPatch, bank: Settings, last_name: str, version: str, yesterday: date
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    older = bank.home / "versions" / "20261101T000000Z"
    older.mkdir(exist_ok=True)
    older_manifest = {"run_id": older.name, "data_through": "2026-09-30"}
    (older / "manifest.json").write_text(json.dumps(older_manifest))
    token = {"user": {"username": "analyst", "last_name": last_name}}
    guest = types.SimpleNamespace(guest_token=token)
    environment.setattr(sys.modules["flask"], "g", {"user": guest})
    read = config()
    url, _ = read["DB_CONNECTION_MUTATOR"](Url("duckdb"), {}, None, None, None)
    assert url.database == str(bank.home / "versions" / version / "marts.duckdb")
    # Its days count from that version's last business day, too.
    assert read["days_of_the_bank"]("Last day")[0].date() == yesterday


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


@pytest.mark.parametrize(
    "option", [{"access_mode": "READ_WRITE"}, {"enable_external_access": "true"}]
)
@pytest.mark.parametrize("file", ["/published/marts.duckdb", ":memory:", "the file itself"])
def test_no_option_and_no_other_connection_opens_it_for_writing(
    environment: pytest.MonkeyPatch, bank: Settings, option: dict[str, str], file: str
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    if file == "the file itself":
        file = str(bank.home / "versions" / "20261102T000000Z" / "marts.duckdb")
    asked = {"connect_args": {"read_only": False, "config": dict(option)}, "pool_events": []}
    url, params = config()["DB_CONNECTION_MUTATOR"](
        Url("duckdb", file, dict(option)), asked, None, None, None
    )
    # duckdb-engine lays what is behind the "?" over everything else.
    arguments = params["connect_args"]
    arguments["config"] = {**arguments["config"], **url.query}
    with duckdb.connect(url.database, **arguments) as connection:
        params["pool_events"][0][0](connection, None)
        # Whoever may write locks the file, and readers out.
        opened = connection.execute("SELECT readonly FROM duckdb_databases() WHERE NOT internal")
        assert opened.fetchall() == [(True,)]
        for statement in ("DELETE FROM dim_customers", "COPY dim_customers TO '/tmp/x.csv'"):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)


@pytest.mark.parametrize("driver", ["sqlite", "shillelagh", "shillelagh+safe", "sqlite+pysqlite"])
def test_what_opens_any_local_file_is_refused(environment: pytest.MonkeyPatch, driver: str) -> None:
    with pytest.raises(ValueError, match="local files"):
        config()["DB_CONNECTION_MUTATOR"](Url(driver), {}, None, None, None)


def test_the_log_stays_within_bounds_while_it_is_written(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bounded = config()["BoundedLog"]
    log = tmp_path / "superset.log"
    with log.open("ab") as stream:
        handler = bounded(stream.fileno(), limit=1_000)
        for number in range(100):
            stream.write(f"line {number:03}, {'x' * 80}\n".encode())
            stream.flush()
            handler.emit(None)
            assert log.stat().st_size <= 1_100
    old = log.with_suffix(".old.log").read_bytes()
    assert old.count(b"\n") >= 10
    # The newest line is in one of the two, at its beginning.
    assert (old + log.read_bytes()).splitlines()[-1].startswith(b"line 099")


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


@pytest.mark.parametrize(
    ("words", "since", "until"),
    [
        ("No filter", None, None),
        (None, None, None),
        ("Last week", "2026-10-19", "2026-10-26"),
        ("Current month", "2026-11-01", "2026-11-02"),
        ("2026-10-16T00:00:00 : 2026-10-22T00:00:00", "2026-10-16", "2026-10-23"),
    ],
)
def test_date_ranges_are_the_banks_days_and_end_after_their_last_one(
    environment: pytest.MonkeyPatch, bank: Settings, words: str, since: str, until: str
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    config()
    for name in READERS:
        found = sys.modules[name].get_since_until(time_range=words, relative_start="now")
        assert tuple(moment and moment.date().isoformat() for moment in found) == (since, until)


def test_a_range_that_has_no_days_is_refused_in_words(
    environment: pytest.MonkeyPatch, bank: Settings
) -> None:
    environment.setenv("DISCOVER_HOME", str(bank.home))
    read = config()["days_of_the_bank"]
    with pytest.raises(ValueError, match="the data ends on 2026-11-01"):
        read("2026-11-02 : 2026-11-05")
    with pytest.raises(ValueError, match="choose Last"):
        read("Last 3 hours")
    with pytest.raises(ValueError, match="shifted"):
        read("Last week", time_shift="1 week")


def test_it_refuses_to_start_where_a_reader_has_another_calendar(
    environment: pytest.MonkeyPatch,
) -> None:
    start = config()["_require_one_calendar"]
    start()
    environment.setattr(sys.modules["superset.viz"], "get_since_until", print)
    with pytest.raises(RuntimeError, match=r"superset\.viz"):
        start()
    environment.delitem(sys.modules, "superset.viz")
    with pytest.raises(RuntimeError, match=r"superset\.viz"):
        start()


def test_a_backslash_in_a_literal_is_not_doubled(environment: pytest.MonkeyPatch) -> None:
    config()
    assert sys.modules["duckdb_engine"].Dialect._backslash_escapes is False
