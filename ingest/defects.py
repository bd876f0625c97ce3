"""Planted defects: each spoils exactly one record, and all are written down."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Fields = list[str]
Document = dict[str, Any]


def _field(position: int, change: Callable[[str], str]) -> Callable[[Fields], bytes]:
    def spoil(fields: Fields) -> bytes:
        changed = [change(value) if n == position else value for n, value in enumerate(fields)]
        return ",".join(changed).encode()

    return spoil


def _key(name: str, change: Callable[[Any], Any]) -> Callable[[Document], bytes]:
    return lambda found: json.dumps({**found, name: change(found[name])}).encode()


def _cut(fields: Fields) -> bytes:
    return ",".join(fields[:-1]).encode()


def _nul(fields: Fields) -> bytes:
    return ",".join(fields).encode() + b"\0"


def _not_utf8(fields: Fields) -> bytes:
    return b"\xe9" + ",".join(fields).encode()


def _twice(found: Document) -> bytes:
    text = json.dumps(found)
    first = next(iter(found))
    return f"{text[:-1]}, {json.dumps(first)}: {json.dumps(found[first])}}}".encode()


_ATM: dict[str, Callable[[Fields], bytes]] = {
    "atm_id with a leading zero": _field(0, lambda v: f"0{v}"),
    "atm_id with a decimal": _field(0, lambda v: f"{v}.5"),
    "impossible date": _field(1, lambda v: f"{v[:5]}02-30{v[10:]}"),
    "hour 24": _field(1, lambda v: f"{v[:10]} 24{v[13:]}"),
    "offset in a timestamp": _field(1, lambda v: f"{v}-04:00"),
    "epoch number": _field(1, lambda _: "1764000000"),
    "negative amount": _field(2, lambda v: f"-{v}"),
    "amount of zero": _field(2, lambda _: "0.00"),
    "three decimals": _field(2, lambda v: f"{v}5"),
    "currency sign": _field(2, lambda v: f"${v}"),
    "decimal comma": _field(2, lambda v: v.replace(".", ",")),
    "NaN": _field(2, lambda _: "NaN"),
    "unknown type": _field(3, lambda _: "transfer"),
    "type in capitals": _field(3, lambda v: v.upper()),
    "missing field": _cut,
    "blank before customer_id": _field(4, lambda v: f" {v}"),
    "open quote": _field(3, lambda v: f'"{v}'),
    "NUL byte": _nul,
    "not UTF-8": _not_utf8,
}
_CORE_BANKING: dict[str, Callable[[Fields], bytes]] = {
    "customer_id with a leading zero": _field(0, lambda v: f"0{v}"),
    "control character in a name": _field(1, lambda v: f"{v}\a"),
    "no e-mail address": _field(2, lambda v: v.replace("@", " at ")),
    "city too long": _field(3, lambda v: v * 51),
    "missing field": _cut,
    "not UTF-8": _not_utf8,
}
_CREDIT_BUREAU: dict[str, Callable[[Document], bytes]] = {
    "score out of range": _key("credit_score", lambda _: 1000),
    "score as a string": _key("credit_score", str),
    "score with a decimal": _key("credit_score", lambda v: v + 0.5),
    "negative delinquencies": _key("delinquencies", lambda _: -1),
    "boolean as a number": _key("delinquencies", lambda _: True),
    "NaN": _key("credit_score", lambda _: float("nan")),
    "loans null": _key("outstanding_loans", lambda _: None),
    "unknown loan type": _key("outstanding_loans", lambda v: [*v, {"type": "boat", "amount": 100}]),
    "three decimals": _key("outstanding_loans", lambda v: [*v, {"type": "car", "amount": 1.005}]),
    "key given twice": _twice,
    "unknown key": lambda found: json.dumps({**found, "note": "x"}).encode(),
    "missing key": lambda found: json.dumps({k: found[k] for k in list(found)[:-1]}).encode(),
    "trailing comma": lambda found: json.dumps(found)[:-1].encode() + b",}",
}
_FEEDBACK: dict[str, Callable[[Document], bytes]] = {
    "unknown category": _key("category", lambda _: "Weather"),
    "no UUID": _key("feedback_id", lambda v: v[:-1]),
    "description is a number": _key("description", lambda _: 5),
    "impossible time": _key("occurred_at", lambda _: "2026-02-30T10:00:00Z"),
    "missing key": lambda found: json.dumps({"feedback_id": found["feedback_id"]}).encode(),
    "not JSON": lambda found: json.dumps(found)[:-1].encode(),
}
KINDS: dict[str, dict[str, Callable[[Any], bytes]]] = {
    "core_banking": _CORE_BANKING,
    "credit_bureau": _CREDIT_BUREAU,
    "atm": _ATM,
    "feedback": _FEEDBACK,
}


class Planter:
    """Spoils a share of the records and keeps the list in ``defects.json``."""

    def __init__(self, path: Path, rate: float, seed: int) -> None:
        self.rate = rate
        self.seed = seed
        self.counts: dict[str, dict[str, int]] = {}
        self._stream = path.open("w", encoding="utf-8")
        self._stream.write('{"defects": [')
        self._first = True

    def spoil(self, source: str, file: str, first_line: int, records: list[bytes]) -> list[bytes]:
        """The records with some spoiled; ``first_line`` is the line of the first."""
        draws = np.random.default_rng([self.seed, 99, list(KINDS).index(source), first_line])
        kinds = list(KINDS[source].items())
        count = self.counts.setdefault(source, {"rows_in": 0, "landed": 0, "quarantined": 0})
        chosen = np.flatnonzero(draws.random(len(records)) < self.rate).tolist()
        spoiled = list(records)
        for index in chosen:
            kind, spoil = kinds[int(draws.integers(len(kinds)))]
            text = records[index].decode()
            csv = source in ("core_banking", "atm")
            spoiled[index] = spoil(text.split(",") if csv else json.loads(text))
            self._write(source, file, first_line + index, kind)
        count["rows_in"] += len(records)
        count["quarantined"] += len(chosen)
        count["landed"] += len(records) - len(chosen)
        return spoiled

    def close(self) -> None:
        """Finish the list: what landing has to find, by source."""
        self._stream.write(f'\n], "expected": {json.dumps(self.counts)}}}\n')
        self._stream.close()

    def _write(self, source: str, file: str, line: int, kind: str) -> None:
        entry = {"source": source, "file": file, "line": line, "kind": kind}
        self._stream.write(("\n" if self._first else ",\n") + json.dumps(entry))
        self._first = False
