"""Which of very many hashes occur more than once, on disk and in bounded memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ingest.frame import Array

AT_ONCE = 16 << 20
"""Hashes in memory at a time (8 bytes each)."""


class RowHashes:
    """Unsigned 64-bit hashes, added in groups that are in order and free of repeats."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        path.write_bytes(b"")

    def add(self, group: Array) -> None:
        """Append one group."""
        with self.path.open("ab") as stream:
            group.astype(np.uint64).tofile(stream)
        self.count += len(group)

    def repeated(self) -> Array:
        """The hashes that stand in several groups, each once, in order."""
        bits = max(0, (max(self.count, 1) - 1).bit_length() - (AT_ONCE.bit_length() - 1))
        found = [self._repeated_of(part, bits) for part in range(1 << bits)]
        return np.concatenate(found)

    def discard(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _repeated_of(self, part: int, bits: int) -> Array:
        """Those whose first ``bits`` bits are ``part``."""
        groups = []
        with self.path.open("rb") as stream:
            while len(block := np.fromfile(stream, dtype=np.uint64, count=AT_ONCE)):
                groups.append(block[block >> np.uint64(64 - bits) == part] if bits else block)
        hashes = np.concatenate(groups) if groups else np.empty(0, dtype=np.uint64)
        # Stable means merging here, and the groups are in order already.
        hashes.sort(kind="stable")
        repeated: Array = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
        return repeated
