"""The last business day of a version, and what is dated after any that it can be of."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from discover.publish import CODE, Built, _read_candidate, count_after, fingerprint_code
from lakehouse.errors import DiscoverError
from lakehouse.settings import load

LATEST = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("transactions", "complaints", "through", "after"),
    [
        (["2026-11-23", "2026-11-24"], ["2026-11-20"], "2026-11-24", 0),
        (["2026-11-24", "2062-11-24"], ["2026-11-20"], "2026-11-24", 1),
        (["2062-11-24"], ["2026-11-20"], "2026-11-20", 1),
        ([], ["2026-11-20"], "2026-11-20", 0),
        (["2062-11-24", "2062-11-23"], [], "2062-11-24", 2),
        ([], [], None, 0),
    ],
)
def test_a_slip_of_a_clock_does_not_move_today(
    tmp_path: Path, transactions: list[str], complaints: list[str], through: str | None, after: int
) -> None:
    file = tmp_path / "marts.duckdb"
    with duckdb.connect(str(file)) as marts:
        for table, column, days in (
            ("fct_atm_transactions", "transaction_date DATE", transactions),
            ("fct_complaints", "complaint_date DATE", complaints),
        ):
            marts.execute(f"CREATE TABLE {table} ({column})")
            for day in days:
                marts.execute(f"INSERT INTO {table} VALUES (?)", [day])
    assert _read_candidate(file, LATEST)[1] == through
    assert count_after(file, LATEST) == after


def test_code_below_a_folder_called_target_is_seen(tmp_path: Path) -> None:
    prints = []
    for name, text in (("one", "select 1"), ("two", "select 2")):
        root = tmp_path / "target" / name
        model = root / "dbt_project" / "models" / "a.sql"
        model.parent.mkdir(parents=True)
        model.write_text(text)
        for module in CODE:
            if module.endswith(".py"):
                (root / module).parent.mkdir(parents=True, exist_ok=True)
                (root / module).touch()
        prints.append(fingerprint_code(root))
    assert prints[0] != prints[1]


def test_a_process_goes_on_with_the_code_that_it_has_loaded(tmp_path: Path) -> None:
    for module in CODE:
        if module.endswith(".py"):
            (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / module).touch()
    loaded = fingerprint_code(tmp_path)
    (tmp_path / "discover" / "build.py").write_text("new")
    assert fingerprint_code(tmp_path) == loaded


def test_a_build_that_another_version_overtook_is_not_published(tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    built = Built(folder)
    built.record({}, "code", base="an older run")
    with pytest.raises(DiscoverError, match="discover build"):
        built.publish(load(tmp_path, "local"), "1")
