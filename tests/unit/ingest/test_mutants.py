"""Good files damaged at random: nothing that was not delivered lands without a sign.

A few thousand of them here, seeded; ``make bench ONLY=mutants`` tries many more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ingest import torn_lines
from ingest.sources import atm
from ingest.sources.contract import Column, Rule
from tests.unit.ingest.mutants import (
    Delivery,
    Mutant,
    deliveries,
    expected,
    judge,
    landed,
    scrubbed,
    verdicts,
)

MUTANTS = {
    "ATM file": 400,
    "ATM file, CRLF, quoted": 200,
    "customers file": 200,
    "credit records, array": 150,
    "credit records, lines": 150,
    "complaints": 600,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_undamaged_file_lands_as_the_other_reader_reads_it(name: str, tmp_path: Path) -> None:
    delivery = scrubbed(deliveries()[name])
    ((rows, quarantined),) = landed(delivery.source, [b"".join(delivery.pieces)], tmp_path)
    assert quarantined == 0
    assert Counter(rows) == Counter(expected(delivery))
    assert len(rows) >= 5


@pytest.mark.parametrize("name", MUTANTS)
def test_no_damage_is_taken_silently(name: str, tmp_path: Path) -> None:
    found, silent = verdicts(deliveries()[name], MUTANTS[name], 20261124, tmp_path)
    assert [mutant.stretches for mutant in silent] == []
    assert found["caught"] > MUTANTS[name] / 3
    assert found["beside"] <= MUTANTS[name] / 100
    # The damage does reach the values.
    assert found["indistinguishable"] > 0


def test_a_landing_that_only_casts_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cast_only(column: Column) -> Column:
        if column.name == "timestamp":
            return column
        return replace(column, rules=(Rule(f"t_{column.name} IS NOT NULL", "no value"),))

    lenient = replace(atm.CONTRACT, columns=tuple(map(cast_only, atm.CONTRACT.columns)))
    monkeypatch.setattr(atm, "CONTRACT", lenient)
    assert verdicts(deliveries()["ATM file"], 100, 20261124, tmp_path)[0]["silent"] > 0


def test_a_landing_that_takes_torn_rows_is_found_out(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant = changed(delivery, delivery.pieces[1].replace(b"13\n", b"1\n3\n"))
    (strict,) = landed("atm", [mutant.data], tmp_path)
    assert judge(delivery, mutant, *strict) == "caught"
    monkeypatch.setattr(torn_lines.TornLines, "find", lambda *_: [])
    (lenient,) = landed("atm", [mutant.data], tmp_path)
    assert judge(delivery, mutant, *lenient) == "silent"


# ---- the judge itself


@pytest.fixture
def delivery() -> Delivery:
    return deliveries()["ATM file"]


def changed(delivery: Delivery, text: bytes) -> Mutant:
    """The first row of the file (machine 7, customer 13) with other text."""
    pieces = list(delivery.pieces)
    pieces[1] = text
    return Mutant(b"".join(pieces), ((1, text),), len(pieces))


def test_another_valid_value_is_indistinguishable(delivery: Delivery) -> None:
    text = delivery.pieces[1].replace(b"7,", b"8,", 1)
    rows = [(8, *expected(delivery)[0][1:]), *expected(delivery)[1:]]
    assert judge(delivery, changed(delivery, text), rows, 0) == "indistinguishable"


def test_a_value_that_the_text_does_not_say_is_silent(delivery: Delivery) -> None:
    text = delivery.pieces[1].replace(b"7,", b"8,", 1)
    rows = [(9, *expected(delivery)[0][1:]), *expected(delivery)[1:]]
    assert judge(delivery, changed(delivery, text), rows, 0) == "silent"


def test_a_valid_row_beside_its_own_broken_rest_is_silent_even_if_that_is_told(
    delivery: Delivery,
) -> None:
    text = delivery.pieces[1].replace(b"13\n", b"1\n3\n")
    rows = [(*expected(delivery)[0][:-1], 1), *expected(delivery)[1:]]
    assert judge(delivery, changed(delivery, text), rows, 1) == "silent"
    assert judge(delivery, changed(delivery, text), rows[1:], 2) == "caught"


def test_a_moved_line_break_is_a_bad_row_beside_a_good_one(delivery: Delivery) -> None:
    text = delivery.pieces[1].replace(b"13\n", b"1\n3") + delivery.pieces[2]
    mutant = Mutant(
        delivery.pieces[0] + text + b"".join(delivery.pieces[3:]),
        ((1, text),),
        len(delivery.pieces),
    )
    rows = [(*expected(delivery)[0][:-1], 1), *expected(delivery)[2:]]
    assert judge(delivery, mutant, rows, 1) == "indistinguishable"
    broken = text.replace(b"1\n3", b"1\n0")
    assert judge(delivery, Mutant(b"", ((1, broken),), len(delivery.pieces)), rows, 1) == "beside"
    assert judge(delivery, Mutant(b"", ((1, broken),), len(delivery.pieces)), rows, 0) == "silent"


def test_a_row_that_is_gone_without_a_trace_is_silent(delivery: Delivery) -> None:
    text = delivery.pieces[1].replace(b"7,", b"07,", 1)
    assert judge(delivery, changed(delivery, text), expected(delivery)[1:], 0) == "silent"
    assert judge(delivery, changed(delivery, text), expected(delivery)[1:], 1) == "caught"
    assert judge(delivery, changed(delivery, text), expected(delivery), 0) == "unchanged"
