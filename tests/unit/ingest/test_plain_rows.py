"""The good path lands just what the rules would: same rows, same values, same rejects."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import append_stage, csv_lines, frame, row_hashes
from ingest.assess import Assessment
from ingest.plain_rows import split_rows
from ingest.rejects import Reject
from ingest.row_hashes import RowHashes
from ingest.sources import atm
from lakehouse.scratch import scratch_folder
from lakehouse.settings import load

HEADER = "atm_id,timestamp,amount,transaction_type,customer_id\n"
ZONE = "America/Toronto"
NOW = datetime(2026, 6, 20, tzinfo=UTC)

ids = st.one_of(
    st.integers(0, 2_147_483_650).map(str),
    st.sampled_from(["", "0", "007", "-1", "1.0", " 1", "2147483647", "2147483648", "٣"]),
)
times = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat(" ", "seconds")),
    st.datetimes().map(lambda moment: moment.isoformat(" ")),
    st.sampled_from(
        [
            "2026-02-29 12:00:00",
            "2024-02-29 12:00:00",
            "2026-03-08 02:30:00",
            "2026-03-08 03:00:00",
            "2026-11-01 01:30:00",
            "2026-06-30 24:00:00",
            "2026-06-30 23:60:00",
            "2026-00-10 10:00:00",
            "2026-13-10 10:00:00",
            "2026-10-00 10:00:00",
            "2026-10-32 10:00:00",
            "2026-06-30T23:00:00",
            "2026-06-30 23.00:00",
            "1969-12-31 23:59:59",
            "1970-01-01 00:00:00",
            "2099-12-31 23:59:59",
            "2100-01-01 00:00:00",
            "",
        ]
    ),
)
amounts = st.one_of(
    st.decimals("0.01", "99999999999999", places=2).map(str),
    st.sampled_from(
        [
            "0.00",
            "0",
            "00.50",
            "0.50",
            ".50",
            "5",
            "5.",
            "5.1",
            "5.100",
            "-5.00",
            "1e3",
            "5,00",
            "9999999999999.99",
            "99999999999999.99",
            "9999999999999999.99",
            "5.0x",
            "5x00",
            "..50",
        ]
    ),
)
types = st.sampled_from(["deposit", "withdrawal", "Deposit", "deposit ", "", "transfer"])
lines = st.tuples(ids, times, amounts, types, ids).map(",".join)


def landed(text: str, folder: Path) -> tuple[pa.Table, list[Reject]]:
    """Landed rows and rejects of one ATM file."""
    path = folder / "delivered.csv"
    path.write_text(text)
    with (
        scratch_folder(folder, "land") as at_work,
        Assessment(load(folder, "local"), "atm", "batch", NOW, at_work) as assessment,
    ):
        file = assessment.read("delivered.csv", path, "0" * 64)
        assessment.finish()
        parquet = assessment.write(file)
        table = pq.read_table(parquet) if parquet else atm.schema().empty_table()
        return table, file.rejects.listed


@given(st.lists(lines, min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_both_ways_land_the_same(
    tmp_path_factory: pytest.TempPathFactory, delivered: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("both")
    text = HEADER + "".join(f"{line}\n" for line in delivered)
    rows, rejects = landed(text, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(append_stage, "split_rows", lambda table, *_: (None, table))
        by_rules, rejects_by_rules = landed(text, folder)
    assert rows.to_pydict() == by_rules.to_pydict()
    assert rejects == rejects_by_rules


def test_the_good_path_is_taken() -> None:
    plain = {
        "atm_id": ["7", "2147483647"],
        "timestamp": ["2024-02-29 00:00:00", "2099-12-31 23:59:59"],
        "amount": ["0.01", "9999999999999.99"],
        "transaction_type": ["deposit", "withdrawal"],
        "customer_id": ["1", "17"],
        "line": [2, 3],
    }
    typed, others = split_rows(pa.table(plain), atm.CONTRACT, ZONE)
    assert others.num_rows == 0
    assert typed["normal"].to_pylist() == [
        "7|2024-02-29 00:00:00|0.01|deposit|1",
        "2147483647|2099-12-31 23:59:59|9999999999999.99|withdrawal|17",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("atm_id", "0"),
        ("atm_id", "07"),
        ("atm_id", "2147483648"),
        ("atm_id", "1/"),
        ("atm_id", "1:"),
        ("timestamp", "2026-03-08 02:30:00"),
        ("timestamp", "2026-02-29 00:00:00"),
        ("timestamp", "2026-02-2: 00:00:00"),
        ("amount", "0.00"),
        ("amount", "5.0"),
        ("amount", "05.00"),
        ("transaction_type", "deposits"),
        ("customer_id", ""),
    ],
)
def test_what_the_bytes_do_not_prove_is_left_to_the_rules(name: str, value: str) -> None:
    row = ["7", "2026-03-08 01:30:00", "5.00", "deposit", "1"]
    columns = {key: [text] * 3 for key, text in zip(atm.CONTRACT.names, row, strict=True)}
    columns[name][1] = value
    table = pa.table(columns).append_column("line", [[2, 3, 4]])
    typed, others = split_rows(table, atm.CONTRACT, ZONE)
    assert typed["line"].to_pylist() == [2, 4]
    assert others.select(table.column_names) == table.slice(1, 1)


def test_twins_in_different_parts_of_a_file_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = "7,2026-06-01 10:00:00,5.00,deposit,1\n"
    written = "7,2026-06-01 10:00:00,5,deposit,1\n"
    between = "".join(f"8,2026-06-01 10:{n:02d}:00,5.00,deposit,{n + 1}\n" for n in range(60))
    text = HEADER + twin + between + written + between.replace("8,", "9,") + twin + twin
    whole, _ = landed(text, tmp_path)
    monkeypatch.setattr(csv_lines, "read_lines", partial(frame.read_lines, chunk=500))
    parts, _ = landed(text, tmp_path)
    assert parts.sort_by("_source_row").to_pydict() == whole.sort_by("_source_row").to_pydict()
    assert sum(parts["is_twin"].to_pylist()) == 3
    assert len(set(parts["transaction_id"].to_pylist())) == 124


@pytest.mark.parametrize("at_once", [4, 64, 1 << 20])
def test_repeated_hashes_are_found_in_any_amount_of_memory(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_hashes, "AT_ONCE", at_once)
    draws = np.random.default_rng(5)
    hashes = RowHashes(tmp_path / "hashes")
    groups = [np.unique(draws.integers(0, 2**64, 100, dtype=np.uint64)) for _ in range(5)]
    groups[3] = np.unique(np.append(groups[3], [groups[0][7], groups[1][9]]))
    groups[4] = np.unique(np.append(groups[4], groups[0][7]))
    for group in groups:
        hashes.add(group)
    assert hashes.repeated().tolist() == sorted([groups[0][7], groups[1][9]])


def test_no_hashes_repeat_in_an_empty_file(tmp_path: Path) -> None:
    assert len(RowHashes(tmp_path / "hashes").repeated()) == 0
