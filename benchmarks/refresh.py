"""A refresh when nothing, a little, or everything is to be done, beside dbt alone.

``make bench ONLY=refresh``. Three ways to one state must end in equal marts and documents: the
refreshes one after the other, a full one, and a clean home that got the same deliveries at once.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks.bench import DISCOVER, PYTHON, Bench, Measured, bench, report
from discover.tour import deliver_next_day
from lakehouse import catalog, clients
from lakehouse.duck import connect_published
from lakehouse.settings import REPOSITORY, Settings
from lakehouse.versions import Versions

CUSTOMERS, DAYS, COMPLAINTS, SEED, LAST_DAY = 100_000, 12, 5_000, 1, date(2026, 6, 25)
UNCHANGED_CPU_SECONDS, TIMES_LESS = 1.0, 10.0
"""The goals: what a refresh without news may cost, and a small one beside a full one."""
NOTHING, PROFILES, DAY, FULL = (
    "nothing changed",
    "1 % of the credit profiles",
    "1 % of the credit profiles, one ATM day",
    "full, of that same state",
)
SERVICES = ("seaweedfs", "ministack")
DBT = str(Path(PYTHON).with_name("dbt"))
NOTE = """{customers:,} customers, {transactions:,} transactions in the end ({last:,} in the last \
day), {complaints:,} complaints; one run each, one after the other (without news: the median of \
three). \
`make bench ONLY=refresh`. CPU is of the whole process tree (Sail, which a refresh starts and \
ends, is part of it); what SeaweedFS and ministack worked meanwhile stands beside it. Written is \
what the tree sent to disks, less the copy of the published marts that a new version starts from, \
which stands in a column of its own; what the two stores wrote is apart, too. Objects in the lake \
are those that were new or other afterwards. The dbt rows are `dbt build` (target `dev`, without \
unit tests, as a refresh runs it) of the same models on the same raw tables, into a file of its \
own, with the parsed project kept from build to build.

{goals}

Where the factor of ten goes: a million transactions are little to DuckDB, so that a full refresh \
costs hardly more than what every refresh that has news does: dbt's models and tests, and the \
checks at both ends. It writes no document that stands already. An ATM day touches more than half \
of all customers here, and each has two objects to be written.

{equal}"""


@dataclass(frozen=True)
class Refreshed:
    """One refresh: what it used, and what it said of itself."""

    run: Measured
    said: dict[str, Any]
    copied_mb: float
    lake_objects: int

    def row(self, name: str) -> dict[str, Any]:
        """Its line of the table."""
        return {
            "run": name,
            "CPU s": self.run.cpu_seconds,
            "SeaweedFS + ministack CPU s": self.run.services_cpu_seconds,
            "wall s": self.run.seconds,
            "written MB": round(max(0.0, self.run.written_mb - self.copied_mb), 1),
            "marts copied MB": self.copied_mb,
            "stores wrote MB": self.run.services_written_mb,
            "document PUTs": self.said["documents"]["puts"],
            "objects in the lake": self.lake_objects,
        }


@dataclass(frozen=True)
class Files:
    """One delivery: files by source."""

    customers: Path
    credit: Path
    atm: Sequence[Path]
    complaints: Path

    def options(self) -> list[str]:
        """What names them to ``refresh``."""
        named = [("core_banking", self.customers), ("credit_bureau", self.credit)]
        named += [("atm", path) for path in self.atm] + [("feedback", self.complaints)]
        return [word for source, path in named for word in ("--source", f"{source}={path}")]


def main() -> None:
    """Measure, compare, report; says of each goal whether it is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=CUSTOMERS)
    parser.add_argument(
        "--home", type=Path, help="one that has the first delivery already; it is left running"
    )
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        if chosen.home:
            home = Bench(chosen.home, SERVICES)
        else:
            home = stack.enter_context(bench(*SERVICES))
        first, profiles, day = _deliveries(home, chosen.customers)
        began = _refresh(home, first)
        dbt = Dbt(home)
        dbt.build()
        runs = {} if chosen.home else {"from nothing": began}
        idle = sorted(
            (_refresh(home, first) for _ in range(3)), key=lambda one: one.run.cpu_seconds
        )
        runs[NOTHING] = idle[1]
        runs[PROFILES] = _refresh(home, profiles)
        runs[DAY] = _refresh(home, day)
        marts = {"refreshes one after the other": _marts(home.settings)}
        dbts = {
            "dbt build alone": dbt.build(),
            "dbt build --full-refresh alone": dbt.build("--full-refresh"),
        }
        same = dbt.marts() == _lasting(marts["refreshes one after the other"])
        runs[FULL] = _refresh(home, day, "--full")
        marts["a full one"] = _marts(home.settings)
        tables = Versions(home.home).require_current().tables
        papers = _documents(home.settings)
        clean = stack.enter_context(bench("seaweedfs"))
        once = Files(first.customers, day.credit, [*first.atm, *day.atm], first.complaints)
        marts["a clean home"], clean_papers = _at_once(clean, once)
    rows = [run.row(name) for name, run in runs.items()]
    rows += [_dbt_row(name, run) for name, run in dbts.items()]
    full = runs[FULL].run.cpu_seconds
    note = NOTE.format(
        customers=chosen.customers,
        transactions=tables["fct_atm_transactions"],
        last=_rows_landed(runs[DAY], "land atm"),
        complaints=COMPLAINTS,
        goals=_goals(runs),
        equal="\n".join(
            [
                *_equal_marts(marts),
                _equal_documents(runs[FULL], papers, clean_papers),
                f"- dbt alone made {'the same' if same else 'OTHER'} rows.",
            ]
        ),
    )
    rows = [{**row, "full / it": round(full / row["CPU s"], 2)} for row in rows]
    report("refresh", "What a refresh costs", note, rows)


def _deliveries(home: Bench, customers: int) -> tuple[Files, Files, Files]:
    data, profiles, day = (home.home / name for name in ("data", "profiles", "day"))
    size = ["--customers", str(customers), "--days", str(DAYS), "--seed", str(SEED)]
    size += ["--complaints", str(COMPLAINTS), "--end-date", str(LAST_DAY)]
    home.run(DISCOVER, "generate", *size, "--out", str(data))
    first = Files(
        data / "core_banking/customers.csv",
        data / "credit_bureau/credit_data.json",
        [data / "atm/atm_activity.csv"],
        data / "feedback/complaints.jsonl",
    )
    end = LAST_DAY + timedelta(days=1)
    changed, _, _ = deliver_next_day(data, profiles, customers, SEED + 1, end)
    again, atm, _ = deliver_next_day(profiles, day, customers, SEED + 2, end)
    return (
        first,
        Files(first.customers, changed, first.atm, first.complaints),
        Files(first.customers, again, [atm], first.complaints),
    )


def _refresh(home: Bench, files: Files, *options: str) -> Refreshed:
    versions, lake = Versions(home.home), _lake(home.settings)
    published = versions.current()
    copied = versions.marts_file(published.run_id).stat().st_size if published else 0
    run = home.discover("refresh", "--json", *files.options(), *options)
    said = json.loads(run.output)
    if said["state"] == "unchanged":
        copied = 0
    after = _lake(home.settings)
    return Refreshed(run, said, round(copied / 1e6, 1), len(after.items() - lake.items()))


class Dbt:
    """The usual way: ``dbt build`` in the project's folder, on marts of its own."""

    def __init__(self, home: Bench) -> None:
        self.home = home
        self.folder = home.home / "dbt"

    def build(self, *options: str) -> Measured:
        """Build what there is to build."""
        project = str(REPOSITORY / "dbt_project")
        return self.home.run(
            *(DBT, "--quiet", "build", "--exclude-resource-type", "unit_test", *options),
            *("--project-dir", project, "--profiles-dir", project),
            *(
                "--target-path",
                str(self.folder / "target"),
                "--log-path",
                str(self.folder / "logs"),
            ),
            environment={**os.environ, "DISCOVER_HOME": str(self.home.home)},
        )

    def marts(self) -> dict[str, tuple[Any, ...]]:
        """What it built."""
        return _lasting(_hashes(self.home.home / "dev_marts.duckdb"))


def _dbt_row(name: str, run: Measured) -> dict[str, Any]:
    return {
        "run": name,
        "CPU s": run.cpu_seconds,
        "SeaweedFS + ministack CPU s": run.services_cpu_seconds,
        "wall s": run.seconds,
        "written MB": run.written_mb,
        "marts copied MB": 0.0,
        "stores wrote MB": run.services_written_mb,
        "document PUTs": 0,
        "objects in the lake": 0,
    }


def _at_once(clean: Bench, files: Files) -> tuple[dict[str, Any], dict[str, str]]:
    """The same deliveries in a clean home; its documents go into memory, which is quicker."""
    from obstore.store import MemoryStore

    from kb_export.upload import export_to

    for source, paths in (
        ("core_banking", [files.customers]),
        ("credit_bureau", [files.credit]),
        ("atm", files.atm),
        ("feedback", [files.complaints]),
    ):
        clean.discover("land", source, *map(str, paths))
    for stage in ("flatten", "build", "publish"):
        clean.discover(stage)
    store = MemoryStore()
    export_to(store, _published(clean.settings))
    papers = {
        entry["path"]: hashlib.md5(
            bytes(store.get(entry["path"]).bytes()), usedforsecurity=False
        ).hexdigest()
        for page in store.list()
        for entry in page
    }
    return _lasting(_marts(clean.settings)), _without_bookkeeping(papers)


def _published(settings: Settings) -> Path:
    versions = Versions(settings.home)
    return versions.marts_file(versions.require_current().run_id)


def _marts(settings: Settings) -> dict[str, tuple[Any, ...]]:
    return _hashes(_published(settings))


def _hashes(file: Path) -> dict[str, tuple[Any, ...]]:
    """Of each mart: rows, and the sum of the hashes of all their columns."""
    with connect_published(file) as connection:
        return {
            mart: connection.execute(
                f"SELECT count(*), sum(CAST(hash(m) AS HUGEINT)) FROM {mart} AS m"
            ).fetchall()[0]
            for mart in catalog.MARTS
        }


def _lasting(marts: Mapping[str, Any]) -> dict[str, Any]:
    """All but the histories, which only the home has that took one delivery after the other."""
    return {name: found for name, found in marts.items() if name not in catalog.HISTORIES}


def _documents(settings: Settings) -> dict[str, str]:
    """Path and MD5 of every document's objects, by the store's own listing."""
    store = clients.knowledge_base_store(settings, catalog.KNOWLEDGE_BASE_BUCKET)
    return _without_bookkeeping(
        {
            entry["path"]: (entry["e_tag"] or "").strip('"')
            for page in store.list(chunk_size=1000)
            for entry in page
        }
    )


def _without_bookkeeping(papers: Mapping[str, str]) -> dict[str, str]:
    return {path: tag for path, tag in papers.items() if not path.startswith("export/")}


def _lake(settings: Settings) -> dict[str, str | None]:
    """Path and tag of every object in the lake."""
    return {
        f"{bucket}/{entry['path']}": entry["e_tag"]
        for bucket in (catalog.LAKE_BUCKET, catalog.TABLE_BUCKET)
        for page in clients.lake_store(settings, bucket).list()
        for entry in page
    }


def _rows_landed(run: Refreshed, name: str) -> int:
    return next(int(stage["rows_out"]) for stage in run.said["stages"] if stage["name"] == name)


def _goals(runs: Mapping[str, Refreshed]) -> str:
    nothing, full = runs[NOTHING].run.cpu_seconds, runs[FULL].run.cpu_seconds
    lines = [_goal(f"{NOTHING}: at most 1 CPU s", f"{nothing}", nothing <= UNCHANGED_CPU_SECONDS)]
    for name in (PROFILES, DAY):
        times = full / runs[name].run.cpu_seconds
        lines.append(_goal(f"{name}: 10 times less than full", f"{times:.1f}", times >= TIMES_LESS))
    return "\n".join(lines)


def _goal(goal: str, found: str, met: bool) -> str:
    return f"- Goal, {goal}: {found}, **{'met' if met else 'missed'}**."


def _equal_marts(marts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line for every other way to this state: whether its marts are those of the first way."""
    (name, first), *others = marts.items()
    lines = []
    for other, found in others:
        different = ", ".join(mart for mart in found if found[mart] != first[mart])
        rows = sum(count for count, _ in found.values())
        verdict = f"NOT EQUAL: {different}" if different else "equal"
        lines.append(
            f"- Marts after {name} and {other} ({rows:,} rows of {len(found)} marts):"
            f" **{verdict}**."
        )
    return lines


def _equal_documents(full: Refreshed, papers: Mapping[str, str], clean: Mapping[str, str]) -> str:
    """Whether the full refresh found every document as it should be, and the clean home too."""
    said = full.said["documents"]
    moved = said["written"] + said["deleted"]
    different = len(papers.items() ^ clean.items())
    verdict = f"NOT EQUAL: {moved} and {different}" if moved or different else "equal"
    return f"- Documents after the same three ({len(papers):,} objects): **{verdict}**."


if __name__ == "__main__":
    main()
