"""What is meant is taken; what isn't is named."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ingest.delivery import as_file, deliver, in_folder, match_keys, require_files
from lakehouse.errors import InputRejected, UsageError
from lakehouse.settings import Settings, load

HEADER = "atm_id,timestamp,amount,transaction_type,customer_id\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(tmp_path / "home", "local")


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER)


def test_a_folder_of_deliveries_is_taken_or_named_file_by_file(tmp_path: Path) -> None:
    meant = ("atm/day1.csv", "atm/DAY2.CSV", "atm/ two.csv", "CREDIT_BUREAU/credit.JSON")
    write(tmp_path, *meant, "atm/archive/old.csv", "atm/day3.csv.gz", "atm/.hidden.csv")
    write(tmp_path, "atm/~$day1.csv", "atm/day1.csv~", "atm/day4.csv.part", "atm/notes.txt")
    write(tmp_path, "core_banking/customers.sql", "atms/day1.csv", "day9.csv")
    (tmp_path / "feedback").mkdir()
    (tmp_path / "atm" / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    os.mkfifo(tmp_path / "atm" / "pipe.csv")
    taken, passed_over = in_folder(tmp_path)
    assert taken == {
        "atm": [str(tmp_path / name) for name in ("atm/ two.csv", "atm/DAY2.CSV", "atm/day1.csv")],
        "credit_bureau": [str(tmp_path / "CREDIT_BUREAU/credit.JSON")],
    }
    named = {str(Path(item.file).relative_to(tmp_path)): item.reason for item in passed_over}
    assert named == {
        "atm/.hidden.csv": "a hidden file",
        "atm/archive": "a folder: name its files with --source",
        "atm/day1.csv~": "a temporary file",
        "atm/day3.csv.gz": "compressed: unpack it",
        "atm/day4.csv.part": "a temporary file",
        "atm/gone.csv": "a link to nothing",
        "atm/notes.txt": "not a .csv, .json or .jsonl file",
        "atm/pipe.csv": "not a regular file",
        "atm/~$day1.csv": "a temporary file",
        "atms": "not a source's folder: core_banking, credit_bureau, atm, feedback",
        "core_banking/customers.sql": "a psql script: load it with discover bank load",
        "day9.csv": "not in a source's folder",
        "feedback": "an empty folder",
    }


def test_a_folder_without_any_file_to_take_says_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, "atm/day1.csv.gz")
    with pytest.raises(InputRejected, match=r"day1.csv.gz: compressed"):
        in_folder(tmp_path)
    with pytest.raises(UsageError, match="can't be read"):
        in_folder(tmp_path / "nowhere")


KEYS = ["in/a.csv", "in/b.CSV", "in/.c.csv", "in/archive/old.csv", "in/archive/2025/older.csv"]
GLOBS = {
    "in/*": (["in/a.csv", "in/b.CSV"], ["in/archive"]),
    "in/*.csv": (["in/a.csv"], []),
    "in/?.csv": (["in/a.csv"], []),
    "in/[ab].*": (["in/a.csv", "in/b.CSV"], []),
    "*/*.csv": (["in/a.csv"], []),
    "in/*/*.csv": (["in/archive/old.csv"], []),
    "in/.*.csv": (["in/.c.csv"], []),
    "in/**/*.csv": (["in/a.csv", "in/archive/2025/older.csv", "in/archive/old.csv"], []),
    "**/old*": (["in/archive/2025/older.csv", "in/archive/old.csv"], []),
    "in/archive/**": (["in/archive/2025/older.csv", "in/archive/old.csv"], []),
}


@pytest.mark.parametrize("pattern", GLOBS)
def test_a_glob_names_the_same_on_disk_and_in_the_store(
    pattern: str, tmp_path: Path, settings: Settings
) -> None:
    write(tmp_path, *KEYS)
    taken, folders = GLOBS[pattern]
    assert match_keys(KEYS, pattern) == (taken, folders)
    delivered, passed_over = deliver(settings, [f"{tmp_path}/{pattern}"], tmp_path)
    assert sorted(file.name for file in delivered) == [f"{tmp_path}/{name}" for name in taken]
    assert [item.file for item in passed_over] == [f"{tmp_path}/{name}" for name in folders]


def test_a_glob_names_a_link_to_nothing(tmp_path: Path, settings: Settings) -> None:
    write(tmp_path, "a.csv")
    (tmp_path / "b.csv").symlink_to("nowhere")
    _, (link,) = deliver(settings, [f"{tmp_path}/*.csv"], tmp_path)
    assert (link.file, link.reason) == (f"{tmp_path}/b.csv", "a link to nothing")
    (tmp_path / "a.csv").unlink()
    with pytest.raises(UsageError, match=r"b.csv is a link to nothing"):
        require_files(settings, [f"{tmp_path}/*.csv"])


def test_a_file_whose_name_looks_like_a_glob_is_that_file(
    tmp_path: Path, settings: Settings
) -> None:
    write(tmp_path, "a[1].csv", "a1.csv")
    (delivered,), _ = deliver(settings, [f"{tmp_path}/a[1].csv"], tmp_path)
    assert delivered.name == f"{tmp_path}/a[1].csv"


def test_a_pipe_is_copied_and_a_file_is_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=(HEADER,))
    writer.start()
    delivered = as_file(str(tmp_path / "pipe"), tmp_path)
    writer.join()
    assert delivered.name == str(tmp_path / "pipe")
    assert delivered.path.read_text() == HEADER
    write(tmp_path, "a.csv")
    assert as_file(f"{tmp_path}/a.csv", tmp_path).path == tmp_path / "a.csv"
    reader, end = os.pipe()
    os.write(end, HEADER.encode())
    os.close(end)
    assert as_file(f"/dev/fd/{reader}", tmp_path).name == f"pipe-{reader}"
    os.close(reader)


@pytest.mark.parametrize("name", ["nothing", "folder", "socket-like"])
def test_what_is_no_file_is_named(name: str, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=name):
        require_files(settings, [str(tmp_path / name)])
