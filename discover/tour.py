"""A day of the lakehouse, on invented data: what ``make demo`` and ``make day2`` show."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from discover.commands.batch import print_stage, print_summary
from lakehouse.business_calendar import today
from lakehouse.console import out, progress
from lakehouse.errors import DiscoverError, ServiceUnavailable
from lakehouse.settings import Settings
from lakehouse.versions import Versions

CUSTOMERS = 2_000
DAYS = 60
COMPLAINTS = 500
SEED = 23
QUESTIONS = (
    "How many customers do we have?",
    "What is the total loan amount by loan type?",
    "Which 5 customers withdrew the most?",
)
DISK_GB = 4
"""Free disk that the whole tour needs, environments included: 3.2 GB measured, rounded up."""


def demo(load: Callable[[], Settings]) -> None:
    """The whole system once, from nothing to the page.

    Args:
        load: reads the settings; called anew once the services have taken their ports.

    """
    from lakehouse.services import up

    started = time.monotonic()
    home = load().home
    _require_disk(home)
    progress.print(
        f"[bold]BMO Discover[/bold]: {CUSTOMERS:,} invented customers, {DAYS} days of ATM"
        f" activity, {COMPLAINTS} complaints. State: {home}"
    )
    with _step("services"):
        up(home)
    settings = load()
    delivered = _first_delivery(settings)
    end = date.fromisoformat(delivered.name)
    _generate(settings, delivered, end)
    _stream(settings)
    _refresh(settings, delivered, _redelivered(settings, delivered))
    _ask(settings)
    _show(load)
    progress.print(f"\nready in {time.monotonic() - started:.0f} s")
    _next_steps(load())


def _generate(settings: Settings, delivered: Path, end: date) -> None:
    from ingest.bank import load as load_bank
    from ingest.generate import generate

    with _step("generate") as note:
        counts = generate(CUSTOMERS, DAYS, SEED, delivered, end)
        load_bank(settings, delivered / "core_banking" / "customers.csv", replace=True)
        note(", ".join(f"{count:,} {name}" for name, count in counts.items() if count))


def _stream(settings: Settings) -> None:
    from streaming.consume import consume
    from streaming.produce import produce
    from streaming.sink import sink
    from streaming.status import status

    with _step("complaint stream") as note:
        missing = COMPLAINTS - status(settings)["topic"]["messages"]
        if missing > 0:
            produce(settings, count=missing, rate=0, seed=SEED)
        lags = status(settings)["groups"]
        if lags["dynamodb"]["lag"]:
            consume(settings, until_idle=True)
        if lags["lake"]["lag"]:
            sink(settings, until_idle=True)
        found = status(settings)
        note(
            f"{found['topic']['messages']} in Kafka, {found['dynamodb']['items']} in DynamoDB, "
            f"{found['lake']['rows']} in the lake"
        )


def _refresh(settings: Settings, delivered: Path, extra: dict[str, list[str]] | None = None) -> Any:
    from discover.refresh import refresh

    inputs = extra or {
        "credit_bureau": [str(delivered / "credit_bureau" / "credit_data.json")],
        "atm": [str(delivered / "atm" / "atm_activity.csv")],
    }
    report = refresh(settings, inputs, on_stage=print_stage)
    print_summary(report)
    if report.state == "stopped":
        raise DiscoverError("the refresh stopped: nothing was published", report.failures[0])
    return report


def _ask(settings: Settings) -> None:
    from chat.answer import ask
    from chat.plan import Scope

    assert settings.user is not None
    for question in QUESTIONS:
        answer = ask(settings, question, user=settings.user, scope=Scope())
        out.print(f"\n[bold]{question}[/bold]")
        out.print(f"  {answer['answer']}", markup=False)
        ledger = answer["ledger"]
        cited = ", ".join(citation["id"] for citation in answer["citations"])
        out.print(
            f"  [dim]cites {cited} · {ledger['warehouse_queries']} warehouse queries · "
            f"{ledger['ms']} ms[/dim]"
        )
    out.print()


def _show(load: Callable[[], Settings]) -> None:
    from dashboard.load import ensure_loaded
    from discover.commands.dashboard import start

    with _step("dashboard") as note:
        start(load())
        ensure_loaded(load())
        note("four tabs loaded into Superset")


def _next_steps(settings: Settings) -> None:
    out.print(f"[bold]Open {settings.page_url}[/bold]: the dashboard with the chat beside it")
    out.print(
        f"Superset itself: {settings.superset_url} (login admin, password in "
        f"{settings.home}/secrets.json)"
    )
    out.print(
        "Then: make day2 · .venv/bin/discover chat ask 'Average credit score by city' · "
        ".venv/bin/discover sql 'SELECT * FROM fct_customers LIMIT 5' · make down"
    )


def day2(load: Callable[[], Settings]) -> None:
    """New ATM activity, 1 % of the credit profiles changed, one broken file: what moved.

    Raises:
        DiscoverError: the demo has not been run in this home.

    """
    settings = load()
    before = Versions(settings.home).require_current()
    delivered = _first_delivery(settings)
    if not delivered.exists():
        raise DiscoverError("day 2 follows the demo", "run: make demo")
    files = _deliver_day2(settings, delivered)
    report = _refresh(settings, files.pop("folder"), files)
    after = Versions(settings.home).require_current()
    for mart, rows in after.tables.items():
        moved = rows - before.tables[mart]
        out.print(f"  {mart:<22}{rows:>9,} rows  " + (f"{moved:+,}" if moved else "same count"))
    out.print(
        f"  documents: {report.documents.get('written', 0):,} rewritten, "
        f"{report.documents.get('unchanged', 0):,} untouched"
    )


def _deliver_day2(settings: Settings, first: Path) -> Any:
    """Make the second delivery; the same again when it is made twice."""
    end = date.fromisoformat(first.name) + timedelta(days=1)
    folder = settings.home / "demo" / "day2"
    credit, good, changed = deliver_next_day(first, folder, CUSTOMERS, SEED + 1, end)
    broken = folder / "atm" / "atm_renamed_column.csv"
    broken.write_bytes(good.read_bytes()[: good.stat().st_size // 2].replace(b"amount", b"amt", 1))
    out.print(
        f"delivered: one day of ATM activity ({end}), {changed} changed credit profiles, "
        "one ATM file with a renamed column"
    )
    return {"folder": folder, "credit_bureau": [str(credit)], "atm": [str(good), str(broken)]}


def deliver_next_day(
    before: Path, folder: Path, customers: int, seed: int, end: date
) -> tuple[Path, Path, int]:
    """Make the delivery of the day after ``before``: its ATM file, 1 % of the profiles changed.

    Returns:
        The credit file, the ATM file, and how many profiles changed.

    """
    from ingest.generate import ATM_FILE, CREDIT_FILE, generate

    shutil.rmtree(folder, ignore_errors=True)
    generate(customers, 1, seed, folder, end)
    profiles = json.loads((before / CREDIT_FILE).read_text())
    changed = profiles[::100]
    for profile in changed:
        profile["credit_score"] = min(900, profile["credit_score"] + 15)
    credit = folder / CREDIT_FILE
    credit.write_text(json.dumps(profiles))
    return credit, folder / ATM_FILE, len(changed)


def _redelivered(settings: Settings, delivered: Path) -> dict[str, list[str]] | None:
    """A demo after day 2 delivers day 2's credit profiles: the older ones would undo them."""
    credit = settings.home / "demo" / "day2" / "credit_bureau" / "credit_data.json"
    if not credit.exists():
        return None
    return {
        "credit_bureau": [str(credit)],
        "atm": [str(delivered / "atm" / "atm_activity.csv")],
    }


def _require_disk(home: Path) -> None:
    home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(home).free / 1e9
    if free < DISK_GB:
        raise ServiceUnavailable(
            f"{free:.1f} GB free at {home}; the demo needs {DISK_GB} GB", "free some disk"
        )


def _first_delivery(settings: Settings) -> Path:
    """Folder of the demo's files, named for their last day: yesterday, when it is made.

    A demo repeated on another day delivers the same files again, not sixty further days.
    """
    folder = settings.home / "demo"
    made = sorted(path for path in folder.glob("20*") if path.is_dir())
    yesterday = today(settings.timezone) - timedelta(days=1)
    return made[0] if made else folder / yesterday.isoformat()


@contextlib.contextmanager
def _step(name: str) -> Iterator[Callable[[str], None]]:
    notes: list[str] = []
    started = time.monotonic()
    yield notes.append
    seconds = time.monotonic() - started
    progress.print(f"  [green]done[/green]   {name:<22}{seconds:>7.1f} s  {' '.join(notes)}")
