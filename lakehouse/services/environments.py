"""Environments of services whose pins can't stand beside ours: made on demand, hash-checked."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from lakehouse.console import note
from lakehouse.errors import DiscoverError
from lakehouse.services.service import program
from lakehouse.settings import REPOSITORY


def folder(name: str) -> Path:
    """Where the environment of this name is, ready or not: next to the main environment.

    So two main environments, such as one on Python 3.11 and one on 3.12, share no service's.
    """
    main = Path(sys.prefix)
    return main.with_name(f"{main.name}-{name}")


def is_ready(name: str) -> bool:
    """Whether the environment holds exactly what its lock file says."""
    stamp = _stamp(name)
    made = (folder(name) / "bin" / "python").exists() and stamp.is_file()
    return made and stamp.read_text() == _fingerprint(name)


def ensure(name: str, *, megabytes: int) -> Path:
    """The environment's ``bin`` folder; installs ``requirements/<name>.txt`` first where needed.

    ``megabytes`` is what it takes on the disk.

    Raises:
        DiscoverError: the lock file or uv is missing, the disk is full, the installation failed.

    """
    if not is_ready(name):
        with (Path(sys.prefix) / f".{name}.lock").open("w") as lock:
            # Two commands may want it at once; the second finds it ready.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_ready(name):
                _install(name, megabytes)
    return folder(name) / "bin"


def _install(name: str, megabytes: int) -> None:
    uv = program("uv", "uv")
    environment = folder(name)
    began = time.monotonic()
    python = environment / "bin" / "python"
    fresh = not python.exists()
    if fresh:
        free = shutil.disk_usage(sys.prefix).free >> 20
        if free < megabytes:
            raise DiscoverError(
                f"the environment of {name} needs {megabytes} MB, {free} MB are free",
                "free some space and run the command again",
            )
        note(f"{name}: installing its environment (about {megabytes} MB)")
        _run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], name)
    locked = str(_lock_file(name))
    _run([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), locked], name)
    _stamp(name).write_text(_fingerprint(name))
    if fresh:
        note(f"{name}: installed in {time.monotonic() - began:.0f} s")


def _run(arguments: list[str], name: str) -> None:
    # The system's certificates include those of a company's proxy; uv's own list doesn't.
    variables = {"UV_SYSTEM_CERTS": "1", **os.environ}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        reason = " ".join(done.stderr.split())[:300] or f"uv ended with {done.returncode}"
        raise DiscoverError(
            f"the environment of {name} can't be installed: {reason}",
            f"run by hand: {' '.join(arguments)}",
        )


def _lock_file(name: str) -> Path:
    path = REPOSITORY / "requirements" / f"{name}.txt"
    if not path.is_file():
        raise DiscoverError(f"{path} is missing", "run from a clone of the repository")
    return path


def _stamp(name: str) -> Path:
    return folder(name) / ".ready"


def _fingerprint(name: str) -> str:
    return hashlib.sha256(_lock_file(name).read_bytes()).hexdigest()
