"""Searches for bytes that break a parser, guided by coverage (Atheris, libFuzzer).

    .venv/bin/python -m tests.fuzz.run csv --seconds 60

Atheris is no part of the locked environment: it has no wheels for every machine. Once:

    .venv/bin/uv pip install --python .venv/bin/python --target .fuzz/lib atheris==2.3.0

What it learns stays in ``.fuzz/<target>``; bytes that broke something stand beside it.
"""

from __future__ import annotations

import argparse
import importlib
import sys

from lakehouse.settings import REPOSITORY

FOLDER = REPOSITORY / ".fuzz"
TARGETS = ("csv", "json", "json-value", "complaint")
_MODULES = ("ingest.frame", "ingest.csv_lines", "ingest.strict_json", "lakehouse.complaint", "json")


def main() -> None:
    """Fuzz one target until something breaks or the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    sys.path.insert(0, str(FOLDER / "lib"))
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        raise SystemExit(f"Atheris is not installed:\n{__doc__}") from None
    with atheris.instrument_imports(include=list(_MODULES)):
        targets = importlib.import_module("tests.fuzz.targets")
    corpus = FOLDER / chosen.target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(targets.seeds(chosen.target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={chosen.seconds}", f"-artifact_prefix={FOLDER}/", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], targets.TARGETS[chosen.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
