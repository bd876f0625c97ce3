"""A version appears whole or not at all, and only one refresh works at a time."""

import os
from pathlib import Path

import duckdb
import pytest

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


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "refresh.lock").write_text('{"run_id": "x", "pid": 1, "process_started": 1.0}')
    with Versions(tmp_path).lock("next"):
        pass
    assert not (tmp_path / "refresh.lock").exists()


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
    ],
)
def test_a_published_file_is_a_closed_room(tmp_path: Path, escape: str) -> None:
    versions = Versions(tmp_path)
    publish(versions, "1", rows=1)
    with connect_published(versions.marts_file("1")) as connection, pytest.raises(duckdb.Error):
        connection.execute(escape)
