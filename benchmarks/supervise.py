"""Run one command and account for its whole process tree: ``supervise RESULT.json COMMAND…``.

CPU is what the kernel charged every process of the tree, orphans included, because they are handed
to this process. Memory is the tree's proportional set size, sampled (a page that several share
counts once), or the largest single process's resident size where that was more. What was written
is what the kernel counted for this process, which takes over the count of every child that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

_SAMPLE_SECONDS = 0.2
_BECOME_PARENT_OF_ORPHANS = 36


def main(result: str, *command: str) -> int:
    """Write ``result`` and return the command's exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_BECOME_PARENT_OF_ORPHANS, 1, 0, 0, 0)
    before = written_bytes(os.getpid())
    began = time.monotonic()
    child = subprocess.Popen(command)
    memory = _Memory()
    memory.start()
    cpu, largest, code = 0.0, 0, -1
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, usage = os.wait4(-1, 0)
            cpu += usage.ru_utime + usage.ru_stime
            largest = max(largest, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
            if pid == child.pid:
                code = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    memory.ended.set()
    memory.join()
    document = {
        "cpu_seconds": round(cpu, 2),
        "seconds": round(seconds, 2),
        "peak_mb": round(max(memory.peak, largest) / 2**20),
        "written_mb": round((written_bytes(os.getpid()) - before) / 1e6, 1),
    }
    Path(result).write_text(json.dumps(document))
    return code


def written_bytes(pid: int) -> int:
    """Bytes that a process and its ended children sent to disks; 0 where no kernel says so."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    counts = dict(line.split(": ") for line in lines)
    # Of a file that is removed before its pages went to the disk, they never do.
    return int(counts["write_bytes"]) - int(counts["cancelled_write_bytes"])


class _Memory(threading.Thread):
    """Samples the memory of all descendants of this process until told to end."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.peak = 0

    def run(self) -> None:
        """Sample."""
        me = psutil.Process()
        while not self.ended.wait(_SAMPLE_SECONDS):
            total = 0
            for process in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    found = process.memory_full_info()
                    total += getattr(found, "pss", found.rss)
            self.peak = max(self.peak, total)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
