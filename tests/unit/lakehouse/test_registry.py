"""The home's record of its services, and the lock around changing them."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lakehouse.errors import DiscoverError
from lakehouse.services import registry


def test_an_update_keeps_what_it_does_not_name_and_takes_none_out(tmp_path: Path) -> None:
    registry.update(tmp_path, "kafka", ports={"kafka": 1}, pid=7)
    registry.update(tmp_path, "postgres", pid=8)
    registry.update(tmp_path, "kafka", pid=None, settled=True)
    assert registry.record(tmp_path, "kafka") == {"ports": {"kafka": 1}, "settled": True}
    assert registry.record(tmp_path, "postgres") == {"pid": 8}


def test_updates_from_many_threads_are_all_kept(tmp_path: Path) -> None:
    def write(number: int) -> None:
        registry.update(tmp_path, f"service{number}", pid=number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(registry.names(tmp_path)) == sorted(f"service{n}" for n in range(20))


def test_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        registry.lock(tmp_path),
        pytest.raises(DiscoverError, match=r"services\.lock"),
        registry.lock(tmp_path, seconds=0.3),
    ):
        pass


def test_a_killed_holder_loses_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from lakehouse.services import registry\n"
        f"with registry.lock(pathlib.Path({str(tmp_path)!r})): print('held', flush=True);"
        " time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(DiscoverError), registry.lock(tmp_path, seconds=0.3):
        pass
    holder.kill()
    holder.communicate()
    with registry.lock(tmp_path, seconds=5):
        pass
