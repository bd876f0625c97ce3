"""The Superset assets hold together, and show nothing that may not be shown."""

from __future__ import annotations

import io
import re
import uuid
import zipfile

import duckdb
import pytest
import yaml

import lakehouse.filters
from chat.plan import Scope
from dashboard.figures import METRICS, PROVINCES, charts
from dashboard.load import ASSETS, bundle, native_filters, read_assets
from lakehouse.filters import NO_SCORE
from lakehouse.settings import REPOSITORY

NAMES = uuid.uuid5(uuid.NAMESPACE_DNS, "discover.dashboard")
CUSTOMER_FILTERS = {"customer", "city", "credit_band", "loan_type"}
COMPLAINTS_TAB = "TAB-complaints"

DATASETS = read_assets("datasets/*")
CHARTS = read_assets("charts")
(DASHBOARD,) = read_assets("dashboards").values()
FILTERS = {native["id"].removeprefix("NATIVE_FILTER-"): native for native in native_filters()}


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("databases", "database"),
        ("datasets/*", "dataset"),
        ("charts", "chart"),
        ("dashboards", "dashboard"),
    ],
)
def test_ids_come_from_names_so_that_every_environment_has_the_same(folder: str, kind: str) -> None:
    for name, asset in read_assets(folder).items():
        assert asset["uuid"] == str(uuid.uuid5(NAMES, f"{kind}:{name}")), name


def test_there_are_four_tabs_with_three_to_eight_charts_each() -> None:
    by_tab: dict[str, int] = {}
    for chart in charts():
        by_tab[chart.tab] = by_tab.get(chart.tab, 0) + 1
    assert list(by_tab) == [
        "Location & credit",
        "Loans",
        "ATM activity",
        "Complaints (anonymous)",
    ]
    assert all(3 <= count <= 8 for count in by_tab.values()), by_tab


def test_every_chart_stands_on_the_dashboard_once() -> None:
    assert sorted(chart.key for chart in charts()) == sorted(CHARTS)


def test_every_chart_asks_a_question_that_the_chat_can_be_asked() -> None:
    questions = [chart.question for chart in charts()]
    assert all(question.endswith("?") for question in questions)
    assert len(set(questions)) == len(questions)


def test_every_metric_is_a_metric_of_the_dbt_project_by_the_same_name() -> None:
    defined = set()
    for file in (REPOSITORY / "dbt_project" / "models").rglob("*.yml"):
        found = yaml.safe_load(file.read_text()) or {}
        defined |= {metric["name"] for metric in found.get("metrics", [])}
    for name, dataset in DATASETS.items():
        shown = {metric["metric_name"] for metric in dataset["metrics"]}
        assert shown <= defined, name
    assert {chart.metric for chart in charts()} <= METRICS.keys()


def test_metrics_are_plain_aggregates_that_every_engine_reads_alike() -> None:
    plain = re.compile(
        r"(COUNT|AVG)\((\*|(DISTINCT )?[a-z_]+)\)|(COALESCE\()?SUM\([a-z_]+\)(, 0\))?"
    )
    for dataset in DATASETS.values():
        for metric in dataset["metrics"]:
            assert plain.fullmatch(metric["expression"]), metric["expression"]


def test_charts_use_only_metrics_and_columns_of_their_dataset() -> None:
    for chart in charts():
        dataset = DATASETS[chart.dataset]
        assert chart.metric in {metric["metric_name"] for metric in dataset["metrics"]}, chart.key
        assert set(chart.columns) <= {c["column_name"] for c in dataset["columns"]}, chart.key


def test_datasets_run_on_the_marts_and_give_the_columns_they_declare(
    marts: duckdb.DuckDBPyConnection,
) -> None:
    for name, dataset in DATASETS.items():
        given = [column[0] for column in marts.execute(dataset["sql"]).description or []]
        assert sorted(given) == sorted(c["column_name"] for c in dataset["columns"]), name


def test_no_dataset_has_an_address_or_a_bare_name() -> None:
    for dataset in DATASETS.values():
        columns = {column["column_name"] for column in dataset["columns"]}
        assert not columns & {"email", "customer_name", "description", "latitude", "longitude"}


def test_complaints_know_no_customer_and_no_customer_filter_reaches_them() -> None:
    columns = {column["column_name"] for column in DATASETS["complaints"]["columns"]}
    assert columns == {"feedback_id", "category", "complaint_date"}
    assert FILTERS.keys() == CUSTOMER_FILTERS | {"date"}
    for name in CUSTOMER_FILTERS:
        assert COMPLAINTS_TAB not in FILTERS[name]["scope"]["rootPath"], name
    assert COMPLAINTS_TAB in FILTERS["date"]["scope"]["rootPath"]
    note = DASHBOARD["position"]["MARKDOWN-complaints"]["meta"]["code"]
    assert "never apply here" in note


def test_filters_reach_only_tabs_whose_datasets_have_the_column() -> None:
    position = DASHBOARD["position"]
    numbers = {chart.key: position[f"CHART-{chart.key}"]["meta"]["chartId"] for chart in charts()}
    titles = {
        tab: DASHBOARD["position"][tab]["meta"]["text"]
        for tab in DASHBOARD["position"]["TABS-main"]["children"]
    }
    for name in CUSTOMER_FILTERS:
        (target,) = FILTERS[name]["targets"]
        for tab in FILTERS[name]["scope"]["rootPath"]:
            for chart in charts():
                if chart.tab == titles[tab]:
                    columns = {c["column_name"] for c in DATASETS[chart.dataset]["columns"]}
                    excluded = numbers[chart.key] in FILTERS[name]["scope"]["excluded"]
                    assert (target["column"]["name"] in columns) is not excluded, (name, chart.key)


def test_the_date_filter_can_narrow_every_chart_of_its_tabs() -> None:
    # Superset applies a time filter only where the chart names the column that it means.
    for chart in charts():
        column = DATASETS[chart.dataset]["main_dttm_col"]
        if column:
            (condition,) = chart.params["adhoc_filters"]
            assert condition["operator"] == "TEMPORAL_RANGE", chart.key
            assert condition["subject"] == column, chart.key


def test_lines_have_markers_else_a_lone_day_would_be_invisible() -> None:
    lines = [chart for chart in charts() if chart.kind == "echarts_timeseries_line"]
    assert lines
    assert all(chart.params["markerEnabled"] for chart in lines)


def test_the_map_knows_every_province_that_a_city_can_lie_in() -> None:
    sql = DATASETS["customers"]["sql"]
    for code, province in PROVINCES.items():
        assert f"when '{province}' then '{code}'" in sql
    seed = (REPOSITORY / "dbt_project" / "seeds" / "city_locations.csv").read_text().splitlines()
    position = seed[0].split(",").index("province")
    assert {line.split(",")[position] for line in seed[1:]} <= set(PROVINCES.values())


def test_the_bundle_is_the_same_bytes_each_time() -> None:
    assert bundle() == bundle()
    assert (ASSETS / "metadata.yaml").exists()


def test_the_filters_are_those_that_are_declared_with_the_tabs_that_they_narrow() -> None:
    assert "native_filter_configuration" not in DASHBOARD["metadata"]
    tabs = {name: native["scope"]["rootPath"] for name, native in FILTERS.items()}
    of_customers = ["TAB-location", "TAB-loans", "TAB-atm"]
    assert tabs == {
        "customer": of_customers,
        "city": of_customers,
        "credit_band": of_customers,
        "loan_type": ["TAB-loans"],
        "date": ["TAB-atm", "TAB-complaints"],
    }
    with zipfile.ZipFile(io.BytesIO(bundle())) as archive:
        name = "assets/dashboards/customer_insights.yaml"
        imported = yaml.safe_load(archive.read(name))
    assert imported["metadata"]["native_filter_configuration"] == native_filters()


def test_every_filter_sets_fields_of_the_chats_scope_and_all_of_them() -> None:
    fields = [field for declared in lakehouse.filters.FILTERS for field in declared.fields]
    assert sorted(fields) == sorted(Scope.model_fields)


def test_no_score_has_one_name_in_the_datasets_and_in_the_chat() -> None:
    wanted = f"'{NO_SCORE}'"
    semantic = REPOSITORY / "dbt_project" / "models" / "marts" / "_semantic_models.yml"
    assert semantic.read_text().count(f"coalesce(credit_band, {wanted})") == 2
    for name in ("customers", "loans", "atm_transactions", "credit_bands"):
        assert wanted in DATASETS[name]["sql"], name
