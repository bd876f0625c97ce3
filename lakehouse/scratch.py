"""Folders for work that is thrown away, inside the home.

What is landed passes through files of the bank's customers. In the system's temporary folder those
of a killed command would stay for good, where nobody looks for them; here the next one removes
them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder(home: Path, purpose: str) -> Iterator[Path]:
    """An empty folder, readable by its owner alone, that is gone afterwards.

    Folders of processes that were killed are removed first.

    Raises:
        OSError: the home can't be written.

    """
    parent = home / "scratch"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(parent):
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=parent))
        held = contextlib.ExitStack()
        held.enter_context(_locked(folder))
    with held:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, flags: int = fcntl.LOCK_EX) -> Iterator[None]:
    """The kernel's lock on a folder: it ends with its holder, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, flags)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        # Held by somebody who lives, or gone since it was listed.
        with (
            contextlib.suppress(BlockingIOError, FileNotFoundError),
            _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB),
        ):
            shutil.rmtree(folder, ignore_errors=True)
