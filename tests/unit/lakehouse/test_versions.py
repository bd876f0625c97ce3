"""A version appears whole or not at all, and only one refresh works at a time."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakehouse import versions as versions_module
from lakehouse.duck import connect_published
from lakehouse.errors import DiscoverError
from lakehouse.versions import Manifest, Versions


def publish(versions: Versions, run_id: str, rows: int, **inputs: str) -> Manifest:
    file = versions.candidate(run_id)
    with duckdb.connect(str(file)) as connection:
        connection.execute(f"CREATE OR REPLACE TABLE dim_customers AS SELECT * FROM range({rows})")
    manifest = Manifest(
        run_id=run_id,
        published_at="2026-01-01T00:00:00+00:00",
        inputs=inputs,
        code="c",
        tables={"dim_customers": rows},
    )
    versions.publish(manifest)
    return manifest


@pytest.mark.parametrize(
    ("later", "age"),
    [
        (timedelta(seconds=59), "less than a minute old"),
        (timedelta(minutes=1), "1 minute old"),
        (timedelta(minutes=119), "1 hour old"),
        (timedelta(hours=47), "1 day old"),
        (timedelta(days=30, hours=5), "30 days old"),
        (timedelta(hours=-1), "less than a minute old"),
    ],
)
def test_a_version_tells_its_age(tmp_path: Path, later: timedelta, age: str) -> None:
    manifest = publish(Versions(tmp_path), "1", rows=1)
    assert manifest.age(datetime(2026, 1, 1, tzinfo=UTC) + later) == age


def test_nothing_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DiscoverError, match="discover refresh"):
        Versions(tmp_path).require_current()


def test_a_candidate_starts_from_the_published_file_and_leaves_it_alone(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=3)
    candidate = versions.candidate("2")
    with duckdb.connect(str(candidate)) as connection:
        connection.execute("INSERT INTO dim_customers VALUES (99)")
    with connect_published(versions.marts_file("1")) as published:
        assert published.execute("SELECT count(*) FROM dim_customers").fetchone() == (3,)
    assert versions.require_current().run_id == "1"


def test_discard_never_takes_the_version_that_everyone_reads(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=3)
    versions.candidate("2")
    for run_id in ("1", "2"):
        versions.discard(run_id)
    assert versions.marts_file("1").exists()
    assert not versions.marts_file("2").exists()


def test_rollback_serves_the_version_before_and_pins_it(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=1, atm="old")
    publish(versions, "2", rows=2, atm="new")
    versions.rollback(None)
    current = versions.require_current()
    assert (current.run_id, current.pinned, current.inputs) == ("1", True, {"atm": "new"})
    assert versions.get("2").tables == {"dim_customers": 2}


def test_rollback_with_nothing_older_is_refused(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=1)
    with pytest.raises(DiscoverError, match="no older version"):
        versions.rollback(None)


def test_sweep_keeps_the_newest_and_the_published_one(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    for number in "12345":
        publish(versions, number, rows=1)
    versions.rollback("1")
    versions.candidate("6")
    assert versions.sweep(keep=2) == ["2", "3", "6"]
    assert [manifest.run_id for manifest in versions.all()] == ["5", "4", "1"]


def test_a_second_refresh_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    with (
        versions.lock("first"),
        pytest.raises(DiscoverError, match=rf"first holds the lock .*process {os.getpid()}"),
        versions.lock("second"),
    ):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from lakehouse.errors import DiscoverError
from lakehouse.versions import Versions
home, go = Path(sys.argv[1]), Path(sys.argv[1]) / "go"
print("ready", flush=True)
while not go.exists():
    pass
try:
    with Versions(home).lock(sys.argv[2]):
        print("holds", flush=True)
        sys.stdin.read()
except DiscoverError as error:
    print(error, flush=True)
"""


def contender(home: Path, run_id: str) -> subprocess.Popen[str]:
    """Another process that takes the lock once ``go`` stands, and holds it until told to end."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home), run_id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_lock_of_a_killed_process_is_free_and_only_one_of_many_gets_it(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    dead = contender(tmp_path, "dead")
    assert (heard(dead), heard(dead)) == ("ready", "holds")
    dead.kill()
    dead.communicate()
    assert '"dead"' in (tmp_path / "refresh.lock").read_text(), "it could not tidy up"

    (tmp_path / "go").unlink()
    many = [contender(tmp_path, f"run {number}") for number in range(4)]
    assert {heard(process) for process in many} == {"ready"}
    (tmp_path / "go").touch()
    said = [heard(process) for process in many]
    assert said.count("holds") == 1, said
    others = [text for text in said if text != "holds"]
    assert all("holds the lock" in text for text in others)
    assert not any("dead" in text for text in others), "nobody is told of a holder that is gone"
    for process in many:
        process.communicate("")
    with Versions(tmp_path).lock("next"):
        pass


@pytest.mark.parametrize(
    "escape",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY dim_customers TO '/tmp/stolen.csv'",
        "ATTACH '/tmp/other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "EXPORT DATABASE '/tmp/stolen'",
        "DELETE FROM dim_customers",
        "CREATE TABLE more AS SELECT 1",
        "SELECT * FROM glob('/etc/*')",
        # The file itself stays attached, and DuckDB lets its path and its log's through.
        "SELECT * FROM read_blob('{file}')",
        "COPY (SELECT 1) TO '{file}' (FORMAT csv, USE_TMP_FILE false)",
        "COPY (SELECT from_hex('00') AS log) TO '{file}.wal' (FORMAT blob)",
        "ATTACH '{file}' AS once_more",
    ],
)
def test_a_published_file_is_a_closed_room(tmp_path: Path, escape: str) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=1)
    file = versions.marts_file("1")
    before = {path: path.read_bytes() for path in file.parent.iterdir()}
    with connect_published(file) as connection, pytest.raises(duckdb.Error):
        connection.execute(escape.format(file=file))
    assert {path: path.read_bytes() for path in file.parent.iterdir()} == before


def test_a_candidate_whose_run_died_is_no_version_to_go_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions, written = Versions(tmp_path), versions_module._write_atomically

    def dies_at(number: int) -> Callable[..., None]:
        left = [number]

        def write(*arguments: Any) -> None:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            written(*arguments)

        return write

    publish(versions, "1", rows=1)
    for run_id, step in (("2", 1), ("3", 2)):
        monkeypatch.setattr(versions_module, "_write_atomically", dies_at(step))
        with pytest.raises(KeyboardInterrupt):
            publish(versions, run_id, rows=2)
    monkeypatch.undo()
    # The second was cut before it was published, the third right after.
    assert versions.require_current().run_id == "3"
    assert [manifest.run_id for manifest in versions.all()] == ["3", "1"]
    assert versions.get("3").run_id == "3"
    publish(versions, "4", rows=2)
    assert [manifest.run_id for manifest in versions.all()] == ["4", "3", "1"]
    assert versions.sweep(5) == ["2"]
    assert versions.rollback(None).run_id == "3"


def test_grants_that_are_not_those_of_the_version_rolled_back_to_are_new_input(
    tmp_path: Path,
) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=1, atm="a", entitlements="wide")
    publish(versions, "2", rows=2, atm="b", entitlements="narrow")
    assert versions.rollback("1").inputs == {"atm": "b", "entitlements": "wide"}


def test_a_run_id_is_above_all_others_though_the_clock_went_back(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    publish(versions, "29991231T235959.999999Z", rows=1)
    later = versions.next_run_id()
    assert later == "30000101T000000.000000Z"
    publish(versions, later, rows=2)
    assert versions.all()[0].run_id == later
    assert versions.before(later).tables == {"dim_customers": 1}
