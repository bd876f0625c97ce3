"""Whatever was delivered, and in whatever order: incremental, built anew and from scratch are one.

Two histories in a usual run. More of them, and other ones each time:

    HISTORIES=20 .venv/bin/python -m pytest tests/faults/test_histories.py -o faulthandler_timeout=0
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note
from hypothesis import settings as how
from hypothesis import strategies as st

from lakehouse import catalog, clients, services
from lakehouse.catalog import KNOWLEDGE_BASE_BUCKET
from lakehouse.duck import connect_published
from lakehouse.settings import Settings, load
from lakehouse.versions import Versions
from tests.faults.histories import EVENTS, Bank, Event
from tests.faults.refreshes import Refreshes

HISTORIES = int(os.environ.get("HISTORIES", "2"))


@st.composite
def histories(draw: st.DrawFn) -> list[list[Event]]:
    """Deliveries of events, in any order. The simplest one, which always comes first, has all."""
    names = draw(st.permutations(list(EVENTS)))
    names = names[draw(st.integers(0, len(names) - 6)) :]
    events = [(name, draw(st.integers(0, 999))) for name in names]
    at_once = draw(st.sampled_from((10, 7, 5)))
    return [events[start : start + at_once] for start in range(0, len(events), at_once)]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What refreshes say, of all histories."""
    return tmp_path_factory.mktemp("histories") / "log.txt"


@pytest.fixture(scope="module")
def refreshes(log: Path) -> Iterator[Refreshes]:
    """One server for every home: its imports are what a refresh costs most."""
    with pytest.MonkeyPatch.context() as environment:
        # Customers come and go here by the third, and strangers are one in ten.
        environment.setenv("DISCOVER_BAD_SHARE_LIMIT", "1")
        environment.setenv("DISCOVER_ROW_LOSS_LIMIT", "1")
        running = Refreshes(log.parent, log)
        try:
            yield running
        finally:
            running.close()


@how(
    max_examples=HISTORIES,
    deadline=None,
    derandomize="HISTORIES" not in os.environ,
    # A history takes most of a minute: one that fails is read as it is.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(history=histories())
def test_incremental_is_full_is_from_scratch(
    refreshes: Refreshes, log: Path, history: list[list[Event]]
) -> None:
    for number, events in enumerate(history, start=2):
        note(f"delivery {number}: {events}")

    def refresh(settings: Settings, inputs: Mapping[str, list[str]], **options: Any) -> None:
        refreshes.home = settings.home
        ended, _ = refreshes.run(inputs, options=options)
        assert ended == 0, log.read_text()[-2_000:]

    with home_of_its_own() as settings, tempfile.TemporaryDirectory() as folder:
        bank = Bank(Path(folder))
        refresh(settings, bank.begin())
        for events in history:
            inputs = bank.deliver(events)
            refresh(settings, inputs)
            if any(name == "nothing" for name, _ in events):
                standing = run_id(settings)
                refresh(settings, inputs)
                assert run_id(settings) == standing, "nothing came, and something was published"
        incremental = published(settings)
        refresh(settings, bank.delivered, full=True)
        assert differences(incremental, published(settings)) == {}
        with home_of_its_own() as clean:
            refresh(clean, bank.delivered)
            scratch = published(clean)
        assert differences(without_history(incremental), without_history(scratch)) == {}


@contextlib.contextmanager
def home_of_its_own() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="discover-history-") as folder:
        home = Path(folder).resolve()
        services.up(home, ["seaweedfs", "ministack"])
        try:
            yield load(home, "local")
        finally:
            services.down(home)


def run_id(settings: Settings) -> str:
    return Versions(settings.home).require_current().run_id


def published(settings: Settings) -> dict[str, list[Any]]:
    """All that readers get: rows by relation, and documents by object with their hashes."""
    versions = Versions(settings.home)
    with connect_published(versions.marts_file(run_id(settings))) as marts:
        found: dict[str, list[Any]] = {
            name: marts.execute(f"FROM {name} ORDER BY ALL").fetchall()
            for (name,) in marts.execute("SHOW TABLES").fetchall()
        }
    store = clients.knowledge_base_store(settings, KNOWLEDGE_BASE_BUCKET)
    paths = [entry["path"] for page in store.list() for entry in page]
    found["documents"] = [
        (path, hashlib.sha256(bytes(store.get(path).bytes())).hexdigest())
        for path in sorted(paths)
        # The export's own book-keeping.
        if not path.startswith("export/")
    ]
    found["data through"] = [versions.require_current().data_through]
    return found


def without_history(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: rows for name, rows in found.items() if name not in catalog.HISTORIES}


def differences(left: dict[str, list[Any]], right: dict[str, list[Any]]) -> dict[str, Any]:
    """By relation, some of the rows that stand on one side only; {} where all is equal."""
    assert left.keys() == right.keys()
    return {
        name: (
            [row for row in left[name] if row not in right[name]][:5],
            [row for row in right[name] if row not in left[name]][:5],
        )
        for name in left
        if left[name] != right[name]
    }


def test_one_row_that_differs_is_seen_and_what_tells_when_it_came_may() -> None:
    left = {"fct_loans": [(1, 1), (2, 1)], "fct_credit_history": [("monday",)], "documents": []}
    right = {**left, "fct_loans": [(1, 1), (2, 2)], "fct_credit_history": [("friday",)]}
    assert differences(left, left) == {}
    assert differences(left, right).keys() == {"fct_loans", "fct_credit_history"}
    seen = differences(without_history(left), without_history(right))
    assert seen == {"fct_loans": ([(2, 1)], [(2, 2)])}
