"""A source is wired in everywhere, or this names the place that is missing."""

from __future__ import annotations

import yaml

import expectations.raw
from ingest.sources import REGISTRY
from lakehouse import catalog
from lakehouse.settings import REPOSITORY

STAGING = REPOSITORY / "dbt_project" / "models" / "staging"


def missing_places(source: str, tables: list[str]) -> list[str]:
    places = []
    if source not in catalog.SOURCES:
        places.append("lakehouse/catalog.py: SOURCES")
    if source not in REGISTRY:
        places.append("ingest/sources/__init__.py: REGISTRY")
    declared: set[str] = set()
    sources_file = STAGING / source / f"_{source}__sources.yml"
    if sources_file.exists():
        (entry,) = yaml.safe_load(sources_file.read_text())["sources"]
        declared = {table["name"] for table in entry["tables"]}
    flat = {flat.table.name for flat in getattr(REGISTRY.get(source), "FLAT_TABLES", ())}
    for table in tables:
        if table not in flat:
            places.append(f"ingest/sources/{source}.py: FLAT_TABLES has no {table}")
        if table not in declared:
            places.append(f"{sources_file.relative_to(REPOSITORY)}: no {table}")
        if not (STAGING / source / f"stg_{source}__{table}.sql").exists():
            places.append(f"dbt_project/models/staging/{source}/stg_{source}__{table}.sql")
        if not hasattr(expectations.raw._Raw, table):
            places.append(f"expectations/raw.py: no {table}()")
    return places


def test_every_source_is_wired_in_everywhere() -> None:
    for source in catalog.SOURCES:
        tables = [table.name for table in catalog.RAW_TABLES if table.source == source]
        assert tables, f"lakehouse/catalog.py: RAW_TABLES has none of {source}"
        assert missing_places(source, tables) == []


def test_a_source_that_is_only_an_idea_lacks_all_of_it() -> None:
    assert missing_places("mortgages", ["mortgages"]) == [
        "lakehouse/catalog.py: SOURCES",
        "ingest/sources/__init__.py: REGISTRY",
        "ingest/sources/mortgages.py: FLAT_TABLES has no mortgages",
        "dbt_project/models/staging/mortgages/_mortgages__sources.yml: no mortgages",
        "dbt_project/models/staging/mortgages/stg_mortgages__mortgages.sql",
        "expectations/raw.py: no mortgages()",
    ]
