"""Histories of deliveries: what a bank sends, day after day, with all that goes wrong about it.

A history is drawn as a list of deliveries, a delivery as a list of events. :class:`Bank` plays them
and writes the files; the same events write the same bytes.
"""

from __future__ import annotations

import csv
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

CUSTOMERS = 12
CITIES = ("Toronto", "Montreal", "Halifax", "Nowhere-by-the-Sea")
LOAN_TYPES = ("car", "house", "business", "student", "personal")
CATEGORIES = ("ATM Issue", "Account Problem", "Card Issue", "Service Feedback")
FIRST_DAY = datetime.fromisoformat("2026-02-10 09:00:00")
LATE_DAYS = (
    # A month that stands, one that no delivery has touched, and the hour that there was twice.
    "2026-02-11 23:59:59.999999",
    "2025-12-31 23:59:59",
    "2026-01-31 00:00:00",
    "2025-11-02 01:30:00",
    # An hour that the clocks skipped: set aside.
    "2026-03-08 02:30:00",
)

Row = tuple[str, ...]
Event = tuple[str, int]
"""What happens, and a number that decides to whom."""


@dataclass(frozen=True)
class Credit:
    """One customer's record at the bureau; ``spoiled`` breaks a rule, so that it is set aside."""

    score: int
    loans: tuple[tuple[str, str], ...]
    spoiled: bool = False


@dataclass
class Bank:
    """What has been delivered so far, and the files of it."""

    folder: Path
    people: dict[int, str] = field(default_factory=dict)
    """City by customer."""
    credits: dict[int, Credit] = field(default_factory=dict)
    files: list[list[Row]] = field(default_factory=list)
    complaints: list[dict[str, str]] = field(default_factory=list)
    day: datetime = FIRST_DAY
    delivered: dict[str, list[str]] = field(default_factory=dict)
    """All files by source, in the order of delivery; of a snapshot source the newest alone."""
    _new: dict[str, list[str]] = field(default_factory=dict)
    _written: int = 0

    def begin(self) -> dict[str, list[str]]:
        """The first delivery: everybody, two months of transactions, a few complaints."""
        random_ = random.Random(1)
        self.people = {one: CITIES[one % 3] for one in range(1, CUSTOMERS + 1)}
        # Customer 5 has no file at the bureau.
        self.credits = {one: credit(random_) for one in self.people if one != 5}
        return self.deliver([("new rows", 1), ("new rows", 2), ("late rows", 0), ("complaints", 1)])

    def deliver(self, events: list[Event]) -> dict[str, list[str]]:
        """Let events happen and write what is then delivered: inputs of one refresh."""
        self._new = {}
        for name, number in events:
            EVENTS[name](self, random.Random(number))
        self._snapshot("core_banking", "csv", self._people_file)
        self._snapshot("credit_bureau", "json", self._credit_file)
        for source, files in self._new.items():
            self.delivered.setdefault(source, []).extend(files)
        # Postgres would be asked for customers of whom no file is named.
        return {**self._new, "core_banking": self.delivered["core_banking"]}

    def write_rows(self, rows: list[Row], name: str | None = None) -> None:
        """Deliver one ATM file."""
        self.files.append(rows)
        path = self._path("atm", f"{name or self._number()}.csv")
        with path.open("w", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(["atm_id", "timestamp", "amount", "transaction_type", "customer_id"])
            writer.writerows(rows)
        self._new.setdefault("atm", []).append(str(path))

    def write_complaints(self, complaints: list[dict[str, str]]) -> None:
        """Deliver one file of complaints."""
        self.complaints += complaints
        path = self._path("feedback", f"{self._number()}.jsonl")
        path.write_text("".join(f"{json.dumps(complaint)}\n" for complaint in complaints))
        self._new.setdefault("feedback", []).append(str(path))

    def write_again(self, source: str, path: str) -> None:
        """Deliver a file that was delivered before, as it is."""
        self._new.setdefault(source, []).append(path)

    def write_broken(self) -> None:
        """Deliver an ATM file that is cut off in its header."""
        path = self._path("atm", f"{self._number()}.csv")
        path.write_text("atm_id,timest")
        self._new.setdefault("atm", []).append(str(path))

    def transaction(self, random_: random.Random, at: str, customer: int | None = None) -> Row:
        """Some transaction at a local time."""
        who = customer or random_.randint(1, CUSTOMERS)
        amount = f"{random_.randint(1, 500)}.{random_.choice(('5', '25', '00'))}"
        kind = random_.choice(("deposit", "withdrawal"))
        return (str(random_.randint(1, 4)), at, amount, kind, str(who))

    def somebody(self, random_: random.Random) -> int:
        """A customer whom the bank has now."""
        return random_.choice(sorted(self.people))

    def _snapshot(self, source: str, kind: str, content: Callable[[], str]) -> None:
        text, standing = content(), self.delivered.get(source, [])
        if standing and Path(standing[-1]).read_text() == text:
            return
        path = self._path(source, f"{self._number()}.{kind}")
        path.write_text(text)
        self._new[source] = [str(path)]
        self.delivered[source] = []

    def _people_file(self) -> str:
        rows = [
            f"{one},Customer Number{one},c{one}@example.com,{city}\n"
            for one, city in sorted(self.people.items())
        ]
        return "customer_id,name,email,city\n" + "".join(rows)

    def _credit_file(self) -> str:
        records = [
            {
                "customer_id": one,
                "credit_score": 9999 if known.spoiled else known.score,
                "delinquencies": known.score % 3,
                "outstanding_loans": [
                    {"type": kind, "amount": float(amount)} for kind, amount in known.loans
                ],
            }
            for one, known in sorted(self.credits.items())
        ]
        return json.dumps(records, indent=1)

    def _path(self, source: str, name: str) -> Path:
        path = self.folder / source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _number(self) -> str:
        # Names sort as the files came: of complaints that contradict each other the first counts.
        self._written += 1
        return f"{self._written:04}"


def credit(random_: random.Random) -> Credit:
    """Some record with none to three loans."""
    loans = [
        (random_.choice(LOAN_TYPES), f"{random_.randint(1, 90_000)}.{random_.choice('05')}1")
        for _ in range(random_.randint(0, 3))
    ]
    return Credit(random_.randint(300, 900), tuple(loans))


def late_rows(bank: Bank, random_: random.Random) -> None:
    """Rows of days that are long past."""
    days = random_.sample(LATE_DAYS, 3)
    bank.write_rows([bank.transaction(random_, day) for day in days])


def new_rows(bank: Bank, random_: random.Random) -> None:
    """The next days' rows, over a month's end now and then."""
    rows = []
    for _ in range(random_.randint(4, 8)):
        bank.day += timedelta(hours=random_.randint(5, 120))
        rows.append(bank.transaction(random_, bank.day.isoformat(sep=" ")))
    bank.write_rows(rows)


def overlapping_file(bank: Bank, random_: random.Random) -> None:
    """Half of a file that came before, and something new."""
    old = random_.choice(bank.files)
    bank.day += timedelta(hours=7)
    new = bank.transaction(random_, bank.day.isoformat(sep=" "))
    bank.write_rows([*old[len(old) // 2 :], new])


def corrected_month(bank: Bank, random_: random.Random) -> None:
    """A file again with another amount in one row, and with one row less."""
    old = random_.choice(bank.files)
    row = old[0]
    bank.write_rows([(row[0], row[1], "77.77", *row[3:]), *old[2:]])


def same_file_again(bank: Bank, random_: random.Random) -> None:
    """A file just as it was."""
    bank.write_again("atm", random_.choice(bank.delivered["atm"]))


def same_bytes_elsewhere(bank: Bank, random_: random.Random) -> None:
    """A file's bytes under another name."""
    bank.write_rows(random_.choice(bank.files), name=f"copy-{bank._number()}")


def twins(bank: Bank, random_: random.Random) -> None:
    """Rows of an old file, each twice: the second ones are new."""
    old = random_.choice(bank.files)
    bank.write_rows([row for row in old for _ in range(2)])


def rows_of_a_stranger(bank: Bank, random_: random.Random) -> None:
    """Rows of a customer whom the bank doesn't know, or not yet."""
    bank.day += timedelta(hours=3)
    stranger = max(bank.people) + 1
    bank.write_rows([bank.transaction(random_, bank.day.isoformat(sep=" "), stranger)])
    if random_.random() < 0.5:
        bank.credits[stranger] = credit(random_)


def rows_that_are_bad(bank: Bank, random_: random.Random) -> None:
    """Rows that are set aside among others."""
    bank.day += timedelta(hours=2)
    good = bank.transaction(random_, bank.day.isoformat(sep=" "))
    bank.write_rows([good, (good[0], "yesterday", *good[2:]), (*good[:2], "-5", *good[3:])])


def broken_file(bank: Bank, random_: random.Random) -> None:
    """A file that is set aside whole."""
    bank.write_broken()


def new_customer(bank: Bank, random_: random.Random) -> None:
    """The next number: perhaps somebody who has rows already."""
    bank.people[max(bank.people) + 1] = random_.choice(CITIES)


def removed_customer(bank: Bank, random_: random.Random) -> None:
    """Somebody leaves; what they did stays."""
    if len(bank.people) > 3:
        del bank.people[bank.somebody(random_)]


def returned_customer(bank: Bank, random_: random.Random) -> None:
    """Somebody who had left is back, elsewhere."""
    gone = sorted(set(range(1, max(bank.people))) - set(bank.people))
    if gone:
        bank.people[random_.choice(gone)] = random_.choice(CITIES)


def moved_customer(bank: Bank, random_: random.Random) -> None:
    """Another city, for all transactions of the past as well."""
    bank.people[bank.somebody(random_)] = random_.choice(CITIES)


def changed_credit(bank: Bank, random_: random.Random) -> None:
    """Another score, other loans."""
    bank.credits[bank.somebody(random_)] = credit(random_)


def spoiled_credit(bank: Bank, random_: random.Random) -> None:
    """A record that breaks a rule from now on."""
    one = random_.choice(sorted(bank.credits))
    # A snapshot without any good record would be refused.
    if sum(not known.spoiled for known in bank.credits.values()) > 2:
        bank.credits[one] = replace(bank.credits[one], spoiled=True)


def removed_credit(bank: Bank, random_: random.Random) -> None:
    """A record that the bureau doesn't have any more."""
    if sum(not known.spoiled for known in bank.credits.values()) > 2:
        del bank.credits[random_.choice(sorted(bank.credits))]


def complaints(bank: Bank, random_: random.Random) -> None:
    """Some complaints; one in three is older than its time was asked for."""
    made = []
    for _ in range(random_.randint(1, 4)):
        number = len(bank.complaints) + len(made)
        complaint = {
            "feedback_id": str(uuid.UUID(int=0xABC0_0000_0000_4000_8000 << 48 | number)),
            "category": random_.choice(CATEGORIES),
            "description": f"It was slow, time {number}.",
        }
        if random_.random() < 0.67:
            at = bank.day - timedelta(days=random_.randint(0, 60))
            complaint["occurred_at"] = f"{at.isoformat()}Z"
        made.append(complaint)
    bank.write_complaints(made)


def complaint_again(bank: Bank, random_: random.Random) -> None:
    """A complaint under an id that there is, with other words: the first ones count."""
    first = random_.choice(bank.complaints)
    other = {**first, "description": "It was something else.", "category": CATEGORIES[0]}
    bank.write_complaints([first, other] if random_.random() < 0.5 else [other])


def nothing(bank: Bank, random_: random.Random) -> None:
    """The same delivery once more, before anything else."""


EVENTS: dict[str, Callable[[Bank, random.Random], None]] = {
    "late rows": late_rows,
    "changed credit": changed_credit,
    "overlapping file": overlapping_file,
    "moved customer": moved_customer,
    "new rows": new_rows,
    "removed customer": removed_customer,
    "spoiled credit": spoiled_credit,
    "complaints": complaints,
    "corrected month": corrected_month,
    "rows of a stranger": rows_of_a_stranger,
    "new customer": new_customer,
    "removed credit": removed_credit,
    "returned customer": returned_customer,
    "twins": twins,
    "complaint again": complaint_again,
    "same file again": same_file_again,
    "same bytes elsewhere": same_bytes_elsewhere,
    "rows that are bad": rows_that_are_bad,
    "broken file": broken_file,
    "nothing": nothing,
}
