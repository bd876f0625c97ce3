"""What a delivery says, read a second time by other means: one regular expression a record.

Written apart from ``ingest`` and sharing nothing with it, so that the two can disagree. A reader
takes some text of a file and returns the records in it, or None where anything in the text is not a
whole valid record. It is slow and refuses spellings that landing may take (another order of keys).
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Records = list[tuple[Any, ...]] | None

TORONTO = ZoneInfo("America/Toronto")
NOW = datetime.fromisoformat("2026-11-24 12:00:00")

_TIME = r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,6})?"
_AMOUNT = r"(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,2})?"
_ID = r"[1-9][0-9]{0,9}"
_ATM = re.compile(rf"({_ID}),({_TIME}),({_AMOUNT}),(deposit|withdrawal),({_ID})")
_PLAIN_LINE = re.compile(r'(?:"[^",]*"|[^",]*)(?:,(?:"[^",]*"|[^",]*))*')
_FIELD = r'("(?:[^"]|"")*"|[^",]*)'
_CUSTOMER = re.compile(rf"({_ID}),{_FIELD},{_FIELD},{_FIELD}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_S = r"[ \t\r\n]*"
_LOAN = (
    rf'\{{{_S}"type"{_S}:{_S}"(?:car|house|business|student|personal)"{_S},'
    rf'{_S}"amount"{_S}:{_S}{_AMOUNT}{_S}\}}'
)
_CREDIT = re.compile(
    rf'{_S}\{{{_S}"customer_id"{_S}:{_S}(?P<id>{_ID}){_S},'
    rf'{_S}"credit_score"{_S}:{_S}(?P<score>[1-9][0-9]{{2}}){_S},'
    rf'{_S}"delinquencies"{_S}:{_S}(?P<late>0|[1-9][0-9]{{0,9}}){_S},'
    rf'{_S}"outstanding_loans"{_S}:{_S}\[{_S}(?P<loans>(?:{_LOAN}(?:{_S},{_S}{_LOAN})*)?){_S}\]'
    rf"{_S}\}}{_S},?{_S}"
)
_ONE_LOAN = re.compile(rf'"(car|house|business|student|personal)"[^0-9]*({_AMOUNT})')

_STRING = r'"((?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*)"'
_COMPLAINT = re.compile(
    rf'{_S}\{{{_S}"feedback_id"{_S}:{_S}"([0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}})"'
    rf'{_S},{_S}"category"{_S}:{_S}"(ATM Issue|Account Problem|Card Issue|Service Feedback)"'
    rf'{_S},{_S}"description"{_S}:{_S}{_STRING}'
    rf'(?:{_S},{_S}"occurred_at"{_S}:{_S}"([0-9-]{{10}})[T ]([0-9:]{{8}})(\.[0-9]{{1,6}})?'
    rf'(?:Z|\+00:00)?")?{_S}\}}{_S}'
)


def atm(data: bytes) -> Records:
    """Lines of the ATM file, each with its ending."""
    return _lines(data, _atm_line)


def customers(data: bytes) -> Records:
    """Lines of the customers file, each with its ending."""
    return _lines(data, _customer_line)


def credit(data: bytes) -> Records:
    """Credit records, with or without a comma after each."""
    return _texts(data, _CREDIT, _credit_record)


def complaints(data: bytes) -> Records:
    """Complaints, one a line; the description as delivered, not yet scrubbed."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    found: list[tuple[Any, ...]] = []
    for line in lines:
        if not line.strip(" \t\r"):
            continue
        match = _COMPLAINT.fullmatch(line)
        record = _complaint(match) if match else None
        if record is None:
            return None
        found.append(record)
    return found


def exists(moment: datetime) -> bool:
    """Whether clocks in Toronto showed this time; one that they skipped comes back as another."""
    there = moment.replace(tzinfo=TORONTO).astimezone(ZoneInfo("UTC")).astimezone(TORONTO)
    return there.replace(tzinfo=None) == moment


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _lines(data: bytes, read: Any) -> Records:
    text = _text(data)
    if text == "":
        return []
    if text is None or not text.endswith(("\n", "\r")):
        return None
    text = text.replace("\r\n", "\n")
    if "\n" not in text:
        text = text.replace("\r", "\n")
    found = []
    for line in text.split("\n"):
        if line:
            record = read(line)
            if record is None:
                return None
            found.append(record)
    return found


def _texts(data: bytes, pattern: re.Pattern[str], read: Any) -> Records:
    text = _text(data)
    if text is None:
        return None
    found, position = [], 0
    while text[position:].strip(" \t\r\n"):
        match = pattern.match(text, position)
        record = read(match) if match else None
        if record is None or match is None:
            return None
        found.append(record)
        position = match.end()
    return found


def _atm_line(line: str) -> tuple[Any, ...] | None:
    if '"' in line:
        if not _PLAIN_LINE.fullmatch(line):
            return None
        line = line.replace('"', "")
    match = _ATM.fullmatch(line)
    if not match:
        return None
    machine, _, day, clock, fraction, amount, kind, customer = match.groups()
    moment = _moment(day, clock, fraction)
    if moment is None or not 1970 <= moment.year <= 2099 or Decimal(amount) <= 0:
        return None
    if max(int(machine), int(customer)) > 2_147_483_647:
        return None
    if not exists(moment):
        return None
    return int(machine), moment, Decimal(amount), kind, int(customer)


def _customer_line(line: str) -> tuple[Any, ...] | None:
    match = _CUSTOMER.fullmatch(line)
    if not match or int(match[1]) > 2_147_483_647:
        return None
    fields = [f[1:-1].replace('""', '"') if f.startswith('"') else f for f in match.groups()[1:]]
    name, email, city = (field if field.strip() else None for field in fields)
    for value, longest in ((name, 100), (email, 100), (city, 50)):
        if value is not None and (len(value) > longest or _CONTROL.search(value)):
            return None
    if email is not None and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        return None
    return int(match[1]), name, email, city


def _credit_record(match: re.Match[str]) -> tuple[Any, ...] | None:
    customer, score, late = (int(match[name]) for name in ("id", "score", "late"))
    loans = [(kind, Decimal(amount)) for kind, amount in _ONE_LOAN.findall(match["loans"])]
    if max(customer, late) > 2_147_483_647 or not 300 <= score <= 900:
        return None
    if any(amount <= 0 for _, amount in loans):
        return None
    return customer, score, late, tuple(loans)


def _complaint(match: re.Match[str]) -> tuple[Any, ...] | None:
    feedback_id, category, literal, day, clock, fraction = match.groups()
    text = json.loads(f'"{literal}"')
    moment = _moment(day, clock, fraction) if day else None
    if day and (moment is None or moment > NOW + timedelta(minutes=5)):
        return None
    if (
        not text.strip()
        or len(text) > 10_000
        or re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", text)
    ):
        return None
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return None
    return feedback_id.lower(), category, text, moment


def _moment(day: str, clock: str, fraction: str | None) -> datetime | None:
    try:
        # Python 3.11's fromisoformat takes more than this: the pattern was matched before.
        return datetime.fromisoformat(f"{day} {clock}{(fraction or '.0').ljust(7, '0')}")
    except ValueError:
        return None
