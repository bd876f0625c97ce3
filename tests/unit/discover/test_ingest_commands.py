"""Data in, from the command line: documents and exit codes that deliverers' scripts rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from discover import cli
from discover.land_report import visible
from discover.refresh import Report

HEADER = "atm_id,timestamp,amount,transaction_type,customer_id\n"
GOOD = "".join(f"7,2026-03-02 09:{n:02d}:00,20,deposit,{n + 1}\n" for n in range(40))


@pytest.fixture
def discover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run a command in a home without services: (exit code, the one JSON document, the rest)."""

    def run(*words: str) -> tuple[int, Any, str]:
        monkeypatch.setattr("sys.argv", ["discover", "--home", str(tmp_path / "home"), *words])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return code, json.loads(printed.out) if "--json" in words else printed.out, printed.err

    return run


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_check_of_a_good_file_ends_with_0(discover: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "atm.csv", HEADER + GOOD)
    code, document, _ = discover("land", "atm", path, "--check", "--rows", "--json")
    assert code == 0
    (file,) = document["files"]
    assert {name: file[name] for name in ("file", "state", "rows_in", "landed", "quarantined")} == {
        "file": path,
        "state": "landed",
        "rows_in": 40,
        "landed": 40,
        "quarantined": 0,
    }
    assert file["rejects"] == []
    assert file["rows"][0] == {
        "atm_id": 7,
        "timestamp": "2026-03-02 09:00:00",
        "amount": "20.00",
        "transaction_type": "deposit",
        "customer_id": 1,
    }


def test_one_bad_row_among_many_is_told_and_ends_with_0(discover: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "atm.csv", HEADER + GOOD + "7,2026-03-02 10:00:00,1e3,deposit,1\n")
    code, document, _ = discover("land", "atm", path, "--check", "--json")
    assert code == 0
    (reject,) = document["files"][0]["rejects"]
    assert (reject["line"], reject["field"]) == (42, "amount")
    assert reject["raw"] == "7,2026-03-02 10:00:00,1e3,deposit,1"
    assert "rows" not in document["files"][0]


def test_too_many_bad_rows_end_with_3(discover: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "atm.csv", HEADER + GOOD + 4 * "7,2026-03-02 10:00:00,0,deposit,1\n")
    code, document, told = discover("land", "atm", path, "--check", "--json")
    assert (code, document["files"][0]["quarantined"]) == (3, 4)
    assert "4 of 44 records are bad" in told


def test_a_file_quarantined_whole_ends_with_3(discover: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "atm.csv", HEADER.replace("amount", "amt") + GOOD)
    code, document, _ = discover("land", "atm", path, "--check", "--json")
    assert (code, document["files"][0]["state"]) == (3, "quarantined")


def test_a_person_sees_the_offending_characters(discover: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "atm.csv", HEADER + GOOD + "7,2026-03-02 10:00:00,20\u00a0,deposit,1\n")
    code, printed, _ = discover("land", "atm", path, "--check")
    assert code == 0
    assert "atm.csv: partly 41 records in, 40 land, 1 quarantined" in printed
    assert "20<U+00A0>,deposit" in printed
    assert "U+00A0 NO-BREAK SPACE" in printed


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_a_file_like_any_other(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "discover", "--home", str(tmp_path / "home")]
    command += ["land", "atm", name, "--check", "--json"]
    done = subprocess.run(command, input=HEADER + GOOD, text=True, capture_output=True, check=True)
    (file,) = json.loads(done.stdout)["files"]
    assert (file["file"], file["state"], file["landed"]) == ("stdin", "landed", 40)


def test_what_a_glob_passes_over_is_named(discover: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "atm.csv", HEADER + GOOD)
    (tmp_path / "archive").mkdir()
    code, document, _ = discover("land", "atm", f"{tmp_path}/a*", "--check", "--json")
    assert (code, [file["file"] for file in document["files"]]) == (0, [path])
    assert document["passed_over"] == [{"file": f"{tmp_path}/archive", "reason": "a folder"}]
    _, printed, _ = discover("land", "atm", f"{tmp_path}/a*", "--check")
    assert "archive: a folder" in printed


def test_a_source_adds_to_the_folder_and_the_report_names_what_is_left(
    discover: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, more = tmp_path / "in" / "atm" / "DAY1.CSV", tmp_path / "more.csv"
    inside.parent.mkdir(parents=True)
    for path in (inside, more, inside.with_name("day2.csv.gz")):
        path.write_text(HEADER + GOOD)
    seen: dict[str, Any] = {}

    def refresh(_: Any, inputs: Any, **options: Any) -> Report:
        seen.update(inputs)
        return Report("r", passed_over=[item.to_json() for item in options["passed_over"]])

    monkeypatch.setattr("discover.refresh.refresh", refresh)
    words = ("refresh", "--inputs", str(tmp_path / "in"), "--source", f"atm={more}")
    _, document, _ = discover(*words, "--json")
    assert seen == {"atm": [str(inside), str(more)]}
    (left,) = document["passed_over"]
    assert (Path(left["file"]).name, left["reason"]) == ("day2.csv.gz", "compressed: unpack it")


def test_wrong_words_end_with_2(discover: Any, tmp_path: Path) -> None:
    assert discover("land", "atms", "x.csv")[0] == 2
    assert discover("land", "atm")[0] == 2
    assert discover("land", "atm", str(tmp_path / "nothing*.csv"), "--check")[0] == 2
    assert discover("quarantine", "--source", "atms")[0] == 2
    assert discover("bank", "load", str(tmp_path / "nothing.sql"))[0] == 2


def test_a_lake_that_is_down_ends_with_5(
    discover: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCOVER_LAKE_ENDPOINT", "http://127.0.0.1:9")
    path = write(tmp_path / "atm.csv", HEADER + GOOD)
    for words in (("land", "atm", path), ("quarantine",), ("quarantine", "replay")):
        code, _, told = discover(*words)
        assert code == 5
        assert "discover up" in told


def test_generate_says_what_it_wrote(discover: Any, tmp_path: Path) -> None:
    words = [
        "generate",
        "--customers",
        "20",
        "--days",
        "2",
        "--seed",
        "1",
        "--end-date",
        "2026-03-31",
        "--out",
    ]
    code, document, _ = discover(*words, str(tmp_path / "out"), "--json")
    assert code == 0
    assert document["files"]["core_banking/customers.csv"] == 20
    assert document["end_date"] == "2026-03-31"


def test_generate_says_what_it_spoiled_and_a_check_finds_just_that(
    discover: Any, tmp_path: Path
) -> None:
    words = "generate --customers 60 --days 4 --seed 3 --end-date 2026-03-31 --defects 0.2 --out"
    _, written, _ = discover(*words.split(), str(tmp_path / "out"), "--json")
    for file in written["files"]:
        source = file.partition("/")[0]
        if source in written["expected"]:
            code, checked, _ = discover(
                "land", source, str(tmp_path / "out" / file), "--check", "--json"
            )
            (found,) = checked["files"]
            assert {name: found[name] for name in written["expected"][source]} == (
                written["expected"][source]
            )
            assert code == 3


def test_characters_that_look_alike_are_told_apart() -> None:
    assert visible("a\u200bb\tc\n") == "a<U+200B>b<U+0009>c<line feed>"


def test_a_stopped_batch_calls_no_file_landed(discover: Any, tmp_path: Path) -> None:
    bad = "7,2026-03-02 10:00:00,-1,deposit,1\n" * 10
    path = write(tmp_path / "atm.csv", HEADER + GOOD + bad)
    code, document, told = discover("land", "atm", path, "--check", "--json")
    assert code == 3
    (file,) = document["files"]
    assert (file["state"], file["landed"], file["quarantined"]) == ("stopped", 40, 10)
    assert "DISCOVER_BAD_SHARE_LIMIT" in document["stopped"]
    assert "DISCOVER_BAD_SHARE_LIMIT" in told
    _, printed, _ = discover("land", "atm", path, "--check")
    assert "40 good but none lands" in printed


def test_a_refresh_notices_a_missing_file_before_anything_lands(
    discover: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.land.land", lambda *_: pytest.fail("something landed"))
    present = write(tmp_path / "customers.csv", "customer_id,name,email,city\n")
    sources = ("--source", f"core_banking={present}", "--source", "atm=/nowhere/atm.csv")
    code, _, told = discover("refresh", *sources)
    assert code == 2
    assert "no file /nowhere/atm.csv" in told


@pytest.mark.parametrize(
    ("days", "out", "reason"),
    [
        ("800000", "data", "leave the years 1970 to 2099"),
        ("3", "file/data", "can't be written (Not a directory)"),
    ],
)
def test_what_cannot_be_generated_is_a_wrong_usage(
    days: str, out: str, reason: str, discover: Any, tmp_path: Path
) -> None:
    write(tmp_path / "file", "")
    size = ("--customers", "3", "--days", days, "--seed", "1")
    code, _, told = discover("generate", *size, "--out", str(tmp_path / out))
    assert code == 2
    assert reason in told
