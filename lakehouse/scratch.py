"""Folders for work that is thrown away, inside the home.

Files of the bank's customers pass through them. In the system's temporary folder those of a killed
command would stay for good, where nobody looks for them; here the next command that needs such a
folder removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from lakehouse.console import note
from lakehouse.errors import DiscoverError


@contextlib.contextmanager
def scratch_folder(home: Path, purpose: str) -> Iterator[Path]:
    """An empty folder, readable by its owner alone, that is gone afterwards.

    Beside it stands a file whose lock its holder keeps: folders without a holder, those of
    processes that were killed, are removed first.

    Raises:
        DiscoverError: the home can't be written.

    """
    with contextlib.ExitStack() as held:
        try:
            folder = _make(home, purpose, held)
        except OSError as error:
            raise DiscoverError(
                f"no working folder can be made in {home}: {error.strerror}",
                "make the home writable, or name another one: --home",
            ) from None
        yield folder


def _make(home: Path, purpose: str, held: contextlib.ExitStack) -> Path:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    parent = home / "scratch"
    parent.mkdir(exist_ok=True)
    # A Postgres that can't run as root passes through. Nobody else can list it, and each folder
    # in it is its owner's alone.
    parent.chmod(0o711 if os.geteuid() == 0 else 0o700)
    folder = parent / f"{purpose}-{secrets.token_hex(6)}"
    # A folder must not be seen before its lock is held.
    with _locked(home / "scratch.lock"):
        for lock in parent.glob("*.lock"):
            _remove_if_abandoned(lock)
        held.enter_context(_locked(_lock_of(folder)))
        held.callback(_remove, folder)
        folder.mkdir(mode=0o700)
    return folder


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


@contextlib.contextmanager
def _locked(file: Path, flags: int = fcntl.LOCK_EX) -> Iterator[None]:
    """The kernel's lock on a file: it ends with its holder, however that ends."""
    with file.open("w") as stream:
        fcntl.flock(stream, flags)
        yield


def _remove_if_abandoned(lock: Path) -> None:
    try:
        with _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _remove(lock.with_suffix(""))
    except BlockingIOError:
        pass  # Somebody is at work in it.
    except OSError as error:
        note(f"{lock.with_suffix('')} of an earlier run stays: {error.strerror}")


def _remove(folder: Path) -> None:
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        note(f"{folder} can't be removed ({error.strerror}): it may hold data of customers")
    else:
        _lock_of(folder).unlink(missing_ok=True)
