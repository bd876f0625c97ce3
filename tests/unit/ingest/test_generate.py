"""Invented deliveries: the same twice, believable, and what is planted is what landing finds."""

from __future__ import annotations

import csv
import json
import tracemalloc
from collections import Counter
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from ingest import generate as module
from ingest import people
from ingest.defects import KINDS
from ingest.generate import ATM_FILE, COMPLAINTS_FILE, CREDIT_FILE, CUSTOMERS_FILE, generate
from ingest.land import land
from lakehouse.errors import UsageError
from lakehouse.settings import REPOSITORY, load

END = date(2026, 3, 31)
FILES = (CUSTOMERS_FILE, CREDIT_FILE, ATM_FILE, COMPLAINTS_FILE)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("delivery")
    generate(300, 40, 5, folder, END, complaints=60)
    return folder


def test_same_arguments_same_bytes(delivery: Path, tmp_path: Path) -> None:
    generate(300, 40, 5, tmp_path, END, complaints=60)
    for file in FILES:
        assert (tmp_path / file).read_bytes() == (delivery / file).read_bytes()
    generate(300, 40, 6, tmp_path, END, complaints=60)
    for file in FILES:
        assert (tmp_path / file).read_bytes() != (delivery / file).read_bytes()


def test_all_of_it_lands(delivery: Path) -> None:
    settings = load(delivery, "local")
    for file in FILES:
        found = land(settings, file.partition("/")[0], [str(delivery / file)], check=True)
        assert found.files[0].state == "landed"
        assert found.files[0].rows_in > 0


def test_customers_differ_as_people_do(delivery: Path) -> None:
    with (delivery / CUSTOMERS_FILE).open(encoding="utf-8", newline="") as stream:
        customers = list(csv.DictReader(stream))
    assert [c["customer_id"] for c in customers] == [str(n) for n in range(1, 301)]
    assert len({c["email"] for c in customers}) == 300
    assert len({c["name"] for c in customers}) > 270
    assert len({c["city"] for c in customers}) > 30
    assert all(c["email"].rpartition("@")[2].startswith("example.") for c in customers)


def test_some_have_no_loan_no_credit_file_no_activity(delivery: Path) -> None:
    records = json.loads((delivery / CREDIT_FILE).read_text())
    assert 270 < len(records) < 300
    without = sum(not record["outstanding_loans"] for record in records)
    assert 0.25 < without / len(records) < 0.5
    assert all(300 <= record["credit_score"] <= 900 for record in records)
    with (delivery / ATM_FILE).open(newline="") as stream:
        active = {row["customer_id"] for row in csv.DictReader(stream)}
    assert 200 < len(active) < 300


def test_activity_follows_hours_and_weekdays_and_is_in_order(delivery: Path) -> None:
    with (delivery / ATM_FILE).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    assert times == sorted(times)
    assert {time.date() for time in times} == {
        date.fromordinal(END.toordinal() - n) for n in range(40)
    }
    hours, days = Counter(t.hour for t in times), Counter(t.weekday() for t in times)
    assert hours[12] > 8 * max(1, hours[3])
    assert days[4] > 1.4 * days[6]
    # 2,000 customers make about 100,000 in 60 days.
    assert len(rows) == pytest.approx(300 * 40 * 100_000 / 120_000, rel=0.05)


def test_no_time_falls_into_the_hour_that_clocks_skip(tmp_path: Path) -> None:
    generate(30_000, 1, 1, tmp_path, date(2026, 3, 8))
    hours = Counter(
        line.split(b",")[1][11:13] for line in (tmp_path / ATM_FILE).read_bytes().splitlines()[1:]
    )
    assert hours[b"02"] == 0
    assert hours[b"03"] > 0


def test_cities_are_those_that_the_warehouse_knows() -> None:
    with (REPOSITORY / "dbt_project/seeds/city_locations.csv").open(encoding="utf-8") as stream:
        known = {row["city"] for row in csv.DictReader(stream)}
    assert set(people.CITIES) <= known


def test_memory_does_not_grow_with_customers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CUSTOMERS_AT_ONCE", 500)
    monkeypatch.setattr(module, "_TRANSACTIONS_AT_ONCE", 500)

    def peak(customers: int) -> int:
        tracemalloc.start()
        generate(customers, 1, 1, tmp_path, END)
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(10)  # what is loaded once
    assert peak(20_000) < 1.5 * peak(2_000)


@pytest.mark.parametrize(("rate", "seed"), [(0.01, 1), (0.03, 9), (0.3, 2), (1.0, 3)])
def test_planted_defects_are_exactly_what_landing_finds(
    rate: float, seed: int, tmp_path: Path
) -> None:
    generate(400, 10, seed, tmp_path, END, complaints=200, defects=rate)
    planted = json.loads((tmp_path / "defects.json").read_text())
    settings = load(tmp_path, "local")
    for file in FILES:
        source = file.partition("/")[0]
        (found,) = land(settings, source, [str(tmp_path / file)], check=True).files
        assert {
            "rows_in": found.rows_in,
            "landed": found.landed,
            "quarantined": found.quarantined,
        } == planted["expected"][source]
        lines = [d["line"] for d in planted["defects"] if d["source"] == source]
        assert lines
        assert sorted(reject.line for reject in found.rejects) == lines[:1000]


def test_every_kind_of_defect_is_one_that_landing_finds(tmp_path: Path) -> None:
    generate(400, 10, 4, tmp_path, END, complaints=200, defects=1)
    planted = json.loads((tmp_path / "defects.json").read_text())
    for source, kinds in KINDS.items():
        assert {d["kind"] for d in planted["defects"] if d["source"] == source} == set(kinds)


def test_a_later_run_without_defects_leaves_no_list_behind(tmp_path: Path) -> None:
    generate(5, 1, 1, tmp_path, END, defects=0.5)
    generate(5, 1, 1, tmp_path, END)
    assert not (tmp_path / "defects.json").exists()


def test_one_customer_is_enough(tmp_path: Path) -> None:
    for seed in range(25):
        generate(1, 2, seed, tmp_path, END)
    assert people.activity(0, np.arange(1, 1_000)).min() == 0


def test_impossible_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        generate(0, 1, 1, tmp_path, END)
