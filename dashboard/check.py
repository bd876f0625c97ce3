"""Every chart's figures three times: as Superset gives them, from the mart, from the chat.

Under each of some choices of the dashboard's filters, sent as the page sends them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dashboard.client import Superset
from dashboard.figures import PROVINCES, Chart, Rows, agree, charts, keyed, mart_rows
from dashboard.guest import GuestTokens
from dashboard.load import Loaded, ensure_loaded
from dashboard.scopes import EVERYTHING, CheckedScope, scopes
from lakehouse.business_calendar import days_of_range
from lakehouse.duck import connect_published
from lakehouse.errors import UsageError
from lakehouse.settings import Settings
from lakehouse.versions import Versions

Ask = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""Answers one question within a scope, as the chat does (its JSON document)."""


def check(
    settings: Settings,
    ask: Ask | None = None,
    *,
    quick: bool = False,
    on_scope: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run every chart's query with the user's guest token and compare.

    Returns ``{"charts": [{"scope", "tab", "chart", "superset", "mart", "chat", "equal"}],
    "scopes": [{"scope", "filters", "chat"}]}``. A figure is a decimal as a string; a grouped chart
    has a list of rows, the figure last. ``chat`` is None where the chat did not answer (then
    ``equal`` is false) or was not asked (``ask`` is None).

    Args:
        settings: the home, and whose dashboard it is.
        ask: the chat.
        quick: without any filter only.
        on_scope: is told the name of each scope before it is checked.

    Raises:
        DiscoverError: nothing is published, or Superset refuses a query.
        ServiceUnavailable: Superset doesn't answer.

    """
    user = _user(settings)
    manifest = Versions(settings.home).require_current()
    loaded = ensure_loaded(settings)
    guest, tokens = Superset(settings.superset_url), GuestTokens(settings)
    last_day = manifest.last_business_day
    found, listed = [], []
    queried: dict[str, Rows] = {}
    with connect_published(Versions(settings.home).marts_file(manifest.run_id)) as marts:
        for scope in [EVERYTHING] if quick else scopes(marts, user, last_day):
            if on_scope:
                on_scope(scope.name)
            # A token lasts five minutes, all scopes on a busy machine perhaps longer.
            guest.be_guest(tokens.mint(user, loaded))
            days = days_of_range(scope.dates or "", last_day)
            within = scope.of_the_chat(days)
            filters = {**scope.chosen, **({"date": scope.dates} if scope.dates else {})}
            listed.append({"scope": scope.name, "filters": filters, "chat": within})
            for chart in charts():
                mart = mart_rows(marts, chart, user, scope.chosen, days)
                # A filter that doesn't reach the chart leaves its query as it was.
                query = json.dumps([chart.key, scope.extra_form_data(chart)])
                superset = queried.get(query) or superset_rows(guest, loaded, chart, scope)
                queried[query] = superset
                chat = chat_rows(ask(chart.question, within)) if ask else None
                compared = _compare(chart, superset, mart, chat, asked=ask is not None)
                found.append({"scope": scope.name, **compared})
    return {"charts": found, "scopes": listed}


def superset_rows(
    guest: Superset, loaded: Loaded, chart: Chart, scope: CheckedScope = EVERYTHING
) -> Rows:
    """The chart's figures through Superset's API, as its guest gets them under the filters."""
    form = {**chart.params, "slice_id": loaded.charts[chart.key], "dashboardId": loaded.dashboard}
    extra = scope.extra_form_data(chart)
    form["extra_form_data"] = extra
    if chart.kind == "country_map":
        return _map_rows(guest, loaded, chart, form)
    query = {
        "columns": list(chart.columns),
        "metrics": [chart.metric],
        "filters": [*_own_filters(chart), *extra.get("filters", [])],
        "orderby": [[chart.metric, False]],
        "row_limit": chart.limit or 10_000,
        "extras": {},
    }
    if "time_range" in extra:
        query["time_range"] = extra["time_range"]
    body = {
        "datasource": {"id": loaded.datasets[chart.dataset], "type": "table"},
        "queries": [query],
        "form_data": form,
        "result_format": "json",
        "result_type": "full",
    }
    data = guest.post("/api/v1/chart/data", body)["result"][0]["data"]
    wanted = [*chart.columns, chart.metric]
    return keyed([_value(name, row[name]) for name in wanted] for row in data)


def _own_filters(chart: Chart) -> list[dict[str, Any]]:
    """The chart's own conditions: the column of days that the date filter takes over."""
    return [
        {"col": found["subject"], "op": found["operator"], "val": found["comparator"]}
        for found in chart.params["adhoc_filters"]
    ]


def _map_rows(guest: Superset, loaded: Loaded, chart: Chart, form: Mapping[str, Any]) -> Rows:
    # The map is drawn from Superset's older API.
    asked = {**form, "datasource": f"{loaded.datasets[chart.dataset]}__table"}
    data = (
        guest.post_form("/superset/explore_json/", {"form_data": json.dumps(asked)})["data"] or []
    )
    return keyed([[_value("province_code", row["country_id"]), row["metric"]] for row in data])


def chat_rows(answer: Mapping[str, Any]) -> Rows | None:
    """The figures of a chat's answer; None when it gave none."""
    if answer.get("status") != "answered":
        return None
    return keyed(answer["rows"])


def _compare(
    chart: Chart, superset: Rows, mart: Rows, chat: Rows | None, *, asked: bool
) -> dict[str, Any]:
    said = chat is not None and agree(superset, chat, chart.limit)
    shown = superset.keys() if chart.limit else None
    return {
        "tab": chart.tab,
        "chart": chart.title,
        "superset": _written(superset, chart, shown),
        "mart": _written(mart, chart, shown),
        "chat": None if chat is None else _written(chat, chart, shown),
        "equal": agree(superset, mart, chart.limit) and (said or not asked),
    }


def _written(
    rows: Rows, chart: Chart, shown: Collection[tuple[str, ...]] | None
) -> str | list[list[str | None]] | None:
    """Figures in one written form, so that equal ones read equal; they are compared unrounded."""

    def text(figure: Decimal | None) -> str | None:
        return None if figure is None else f"{figure:.{chart.places}f}"

    if not chart.columns:
        return text(rows.get(()))
    return [[*key, text(rows[key])] for key in sorted(rows) if shown is None or key in shown]


def _value(column: str, value: Any) -> Any:
    """A value as the marts write it, from how Superset gives it."""
    if value is None:
        return None
    if column.endswith("_date") and not isinstance(value, str):
        # A day comes as the milliseconds of its midnight.
        return datetime.fromtimestamp(value / 1000, UTC).date()
    if column == "weekday":
        return int(value[0])
    if column == "province_code":
        return PROVINCES[value]
    return value


def _user(settings: Settings) -> str:
    if not settings.user:
        raise UsageError("nobody is named to look at the dashboard", "set DISCOVER_USER")
    return settings.user
