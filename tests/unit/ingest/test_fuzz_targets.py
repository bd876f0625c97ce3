"""The fuzz targets of ``tests/fuzz`` on random bytes and damaged seeds, so that they stay alive."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import csv_lines, strict_json
from tests.fuzz.targets import TARGETS, seeds
from tests.unit.ingest.mutants import damaged


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_any_bytes(name: str) -> None:
    @settings(max_examples=150, deadline=None, derandomize=True)
    @given(
        st.binary(max_size=300)
        | st.text(alphabet='{}[]",:\\\n\r01ab é', max_size=60).map(str.encode)
    )
    def holds(data: bytes) -> None:
        TARGETS[name](data)

    holds()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_holds_for_damaged_seeds(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)
        for number in range(300 // len(seeds(name))):
            data = seed
            for turn in range(1 + number % 3):
                data = damaged(random.Random(f"{number} {turn}"), data or b"x")
            TARGETS[name](data)


def test_a_target_finds_a_reader_that_takes_fields_apart_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_lines, "_note_quotes", lambda *_: {})
    with pytest.raises((AssertionError, ValueError)):
        test_a_target_holds_for_damaged_seeds("csv")


def test_a_target_finds_a_key_that_cannot_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        strict_json.RepeatedKey,
        "__init__",
        lambda self, key: strict_json.Problem.__init__(self, key, "twice"),
    )
    with pytest.raises(UnicodeEncodeError):
        TARGETS["json-value"](b'{"\\ud800": 1, "\\ud800": 2}')
