"""``<home>/services.json``: the ports and the process of each service; and the home's lock."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lakehouse.console import note
from lakehouse.errors import DiscoverError
from lakehouse.settings import read_json

_writing = threading.Lock()


def record(home: Path, name: str) -> dict[str, Any]:
    """What is known of a service: ``ports``, ``pid``, ``started``, ``settled``, ``settings``.

    Each is optional.
    """
    found: dict[str, Any] = _read(home).get(name, {})
    return found


def names(home: Path) -> list[str]:
    """Services that were ever started in this home."""
    return list(_read(home))


def update(home: Path, name: str, **values: Any) -> None:
    """Change some values of a service's record; a value of None is taken out."""
    with _writing:
        everything = _read(home)
        merged = {**everything.get(name, {}), **values}
        everything[name] = {key: value for key, value in merged.items() if value is not None}
        temporary = home / f"services.json.{os.getpid()}.tmp"
        temporary.write_text(json.dumps(everything, indent=1, sort_keys=True))
        temporary.replace(home / "services.json")


@contextlib.contextmanager
def lock(home: Path, seconds: float = 300) -> Iterator[None]:
    """Let one command at a time start and stop the services of a home. Ends with its holder.

    Raises:
        DiscoverError: another command held it for too long.

    """
    # New ones are their owner's alone: they will hold customers.
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "services.lock").open("w") as stream:
        deadline = time.monotonic() + seconds
        told = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    note("waiting for another command that starts or stops services")
                    told = True
                if time.monotonic() > deadline:
                    raise DiscoverError(
                        f"another command has held {home / 'services.lock'} for {seconds:.0f} s",
                        "let it end, or stop it",
                    ) from None
                time.sleep(0.2)
        yield


def _read(home: Path) -> dict[str, Any]:
    return read_json(home / "services.json")
