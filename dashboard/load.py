"""Bring the assets into Superset: import, allow embedding, remember what it is called there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dashboard.client import Superset, as_account
from lakehouse.filters import DATASETS, FILTERS, DashboardFilter, Narrows
from lakehouse.settings import Settings, read_json
from lakehouse.versions import Versions

ASSETS = Path(__file__).parent / "assets"
SLUG = "customer-insights"
_FIXED_TIME = (2026, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Loaded:
    """What the imported assets are called in one Superset: its ids differ between environments."""

    superset: str
    """URL of the Superset that this is about."""
    embedded: str
    """Id under which the page embeds the dashboard."""
    dashboard: int
    datasets: dict[str, int]
    charts: dict[str, int]
    """Ids by the asset's file name."""
    assets: str
    """Fingerprint of the assets and of the page's address."""


def load(settings: Settings) -> Loaded:
    """Import all assets, replacing what stood there, and let the host page embed the dashboard.

    Raises:
        DiscoverError: nothing is published yet, or Superset refuses the assets.
        ServiceUnavailable: Superset doesn't answer.

    """
    # Superset reads the tables while it imports; without a version it would answer in riddles.
    Versions(settings.home).require_current()
    superset = as_account(settings, "admin")
    superset.post_form("/api/v1/assets/import/", {"passwords": "{}"}, {"bundle": bundle()})
    domains = {"allowed_domains": page_origins(settings.page_url)}
    embedded = superset.post(f"/api/v1/dashboard/{SLUG}/embedded", domains)["result"]["uuid"]
    charts = _ids(superset, "chart")
    datasets = _ids(superset, "dataset")
    loaded = Loaded(
        superset=settings.superset_url,
        embedded=embedded,
        dashboard=superset.get(f"/api/v1/dashboard/{SLUG}")["result"]["id"],
        datasets={n: datasets[a["uuid"]] for n, a in read_assets("datasets/*").items()},
        charts={n: charts[a["uuid"]] for n, a in read_assets("charts").items()},
        assets=fingerprint(settings),
    )
    _remember(settings.home, loaded)
    return loaded


def loaded(settings: Settings) -> Loaded | None:
    """What :func:`load` last brought in, if it is still what the repository holds."""
    found = read_json(_memory(settings.home))
    if not found or found["assets"] != fingerprint(settings):
        return None
    return Loaded(**found)


def ensure_loaded(settings: Settings) -> Loaded:
    """What is loaded; loads first where the assets have changed."""
    return loaded(settings) or load(settings)


@cache
def read_assets(folder: str) -> dict[str, dict[str, Any]]:
    """The assets of one folder by file name, e.g. ``charts``; in the order of their names.

    Read once a process: nothing may change what comes back.
    """
    files = sorted(ASSETS.glob(f"{folder}/*.yaml"))
    # The C parser is ten times as fast, and every command that touches the dashboard reads all.
    return {file.stem: yaml.load(file.read_bytes(), yaml.CSafeLoader) for file in files}


@cache
def bundle() -> bytes:
    """The assets as the zip file that Superset imports; same assets, same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(ASSETS.rglob("*.yaml")):
            name = f"assets/{file.relative_to(ASSETS).as_posix()}"
            content = file.read_bytes()
            if file.parent.name == "dashboards":
                content = _with_filters(content)
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), content)
    return buffer.getvalue()


@cache
def _with_filters(dashboard: bytes) -> bytes:
    # The page asks for the bundle's fingerprint with each request.
    asset = yaml.load(dashboard, yaml.CSafeLoader)
    asset["metadata"]["native_filter_configuration"] = native_filters()
    return yaml.dump(asset, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False).encode()


def native_filters() -> list[dict[str, Any]]:
    """The dashboard's filters as Superset knows them, from :data:`lakehouse.filters.FILTERS`."""
    return [_native(declared) for declared in FILTERS]


def native_scope(narrows: Narrows) -> tuple[list[str], list[int]]:
    """Ids of the tabs with charts that a kind of filter narrows, and of their other charts."""
    (dashboard,) = read_assets("dashboards").values()
    position = dashboard["position"]
    names = {asset["uuid"]: name for name, asset in read_assets("datasets/*").items()}
    datasets = {
        asset["uuid"]: names[asset["dataset_uuid"]] for asset in read_assets("charts").values()
    }
    narrowed: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    for item in position.values():
        if isinstance(item, dict) and item.get("type") == "CHART":
            reached = datasets[item["meta"]["uuid"]] in DATASETS[narrows]
            tab = item["parents"][2]
            (narrowed if reached else others).setdefault(tab, []).append(item["meta"]["chartId"])
    tabs = [tab for tab in position["TABS-main"]["children"] if tab in narrowed]
    return tabs, sorted(number for tab in tabs for number in others.get(tab, ()))


def _native(declared: DashboardFilter) -> dict[str, Any]:
    tabs, excluded = native_scope(declared.narrows)
    found: dict[str, Any] = {
        "id": f"NATIVE_FILTER-{declared.key}",
        "name": declared.title,
        "type": "NATIVE_FILTER",
        "filterType": "filter_time" if declared.dataset is None else "filter_select",
        "description": "",
        "targets": [{}],
        "scope": {"rootPath": tabs, "excluded": excluded},
        "tabsInScope": tabs,
        "cascadeParentIds": [],
        "defaultDataMask": {"extraFormData": {}, "filterState": {}},
        "controlValues": {"enableEmptyFilter": False},
    }
    if declared.dataset is None:
        return found
    uuid = read_assets("datasets/*")[declared.dataset]["uuid"]
    found["targets"] = [{"datasetUuid": uuid, "column": {"name": declared.column}}]
    found["controlValues"] |= {
        "multiSelect": True,
        "defaultToFirstItem": False,
        "inverseSelection": False,
        "searchAllOptions": True,
        "sortAscending": True,
    }
    # A choice "none" would mean other rows on a tile than in the chat.
    known = {"clause": "WHERE", "expressionType": "SIMPLE", "operator": "IS NOT NULL"}
    found["adhoc_filters"] = [known | {"subject": declared.column}]
    return found


def fingerprint(settings: Settings) -> str:
    """What must be loaded anew when it changes: assets, Superset's place, the page's place."""
    digest = hashlib.sha256(bundle())
    digest.update(f"{settings.superset_url} {settings.page_url}".encode())
    return digest.hexdigest()


def page_origins(page_url: str) -> list[str]:
    """The addresses from which the page may embed; ``localhost`` names the same machine."""
    origins = [page_url.rstrip("/")]
    if "//127.0.0.1:" in origins[0]:
        origins.append(origins[0].replace("//127.0.0.1:", "//localhost:"))
    return origins


def _ids(superset: Superset, kind: str) -> dict[str, int]:
    query = "(columns:!(id,uuid),page_size:1000)"
    found = superset.get(f"/api/v1/{kind}/", q=query)["result"]
    return {item["uuid"]: item["id"] for item in found}


def _remember(home: Path, loaded_now: Loaded) -> None:
    path = _memory(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(asdict(loaded_now), indent=1, sort_keys=True))
    temporary.replace(path)


def _memory(home: Path) -> Path:
    # Beside Superset's own database, so that whoever removes that removes this too.
    return home / "services" / "superset" / "loaded.json"
