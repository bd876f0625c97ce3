"""Scratch folders: gone after use, and after a kill with the next use."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.errors import DiscoverError
from lakehouse.scratch import scratch_folder

HOLD = """
import sys
from pathlib import Path
from lakehouse.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1]), "land") as folder:
    (folder / "customers.csv").write_text("a name")
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_its_owners_alone_and_gone_afterwards(tmp_path: Path) -> None:
    with scratch_folder(tmp_path, "land") as folder:
        assert folder.is_relative_to(tmp_path)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "spill").mkdir()
        (folder / "spill" / "rows").write_text("a name")
    assert not folder.exists()


def test_a_folder_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), scratch_folder(tmp_path, "land") as folder:
        raise ValueError("broken")
    assert not folder.exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_uses_stays(tmp_path: Path) -> None:
    with _holder(tmp_path) as killed, _holder(tmp_path) as living:
        assert killed.stdout
        assert living.stdout
        left, used = (Path(process.stdout.readline().strip()) for process in (killed, living))
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert (left / "customers.csv").exists()

        with scratch_folder(tmp_path, "bank") as mine:
            assert not left.exists()
            assert (used / "customers.csv").exists()
            assert mine.exists()
        living.communicate("")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_nobody_else_can_list_the_folder_of_all_whoever_made_it(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir(mode=0o755)
    with scratch_folder(tmp_path, "land"):
        # Root lets Postgres' user pass through.
        mode = 0o711 if os.geteuid() == 0 else 0o700
        assert stat.S_IMODE((tmp_path / "scratch").stat().st_mode) == mode


def test_a_leftover_that_cannot_be_removed_is_named_and_stops_nobody(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scratch").mkdir()
    lock = tmp_path / "scratch" / "land-of-old.lock"
    lock.symlink_to(lock)
    with scratch_folder(tmp_path, "land") as folder:
        assert folder.is_dir()
    assert "scratch/land-of-old of an earlier run stays" in capfd.readouterr().err


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DiscoverError, match=r"file/home: Not a directory") as caught,
        scratch_folder(tmp_path / "file" / "home", "land"),
    ):
        pass
    assert "--home" in caught.value.fix


def _holder(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
