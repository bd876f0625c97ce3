"""``python -m benchmarks [NAME…]``: every figure that is claimed, measured."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "generate",
    "flatten",
    "scale",
    "refresh",
    "kill",
    "mutants",
    "stream",
    "stream-kill",
    "scrub",
)


def main(*names: str) -> int:
    """Run the named benchmarks, or all."""
    if unknown := [name for name in names if name not in NAMES]:
        sys.stderr.write(f"no benchmark {unknown[0]!r}; there are: {', '.join(NAMES)}\n")
        return 2
    # Some take arguments of their own where they are run alone.
    del sys.argv[1:]
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name.replace('-', '_')}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
