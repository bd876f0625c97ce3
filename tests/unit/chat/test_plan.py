"""Plans are validated, literals are bound, and one shape is rendered once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chat.plan import NotCovered, Population, Renderer, compose, from_json
from chat.published import opened
from chat.registry import describe, read
from lakehouse.settings import Settings

OFF = [
    {"metric": "salary_total"},
    {"metric": "loan_total; DROP TABLE x"},
    {"metric": "loan_total", "group_by": ["transaction_type"]},
    {"metric": "loan_total", "group_by": ["day"]},
    {"metric": "loan_total", "from": "2026-10-01"},
    {"metric": "loan_total", "filters": [{"field": "city", "values": ["x' OR 1=1 --"]}]},
    {"metric": "loan_total", "filters": [{"field": "city", "op": "= 1 OR", "values": ["Toronto"]}]},
    {"metric": "loan_total", "filters": [{"field": "customer", "values": ["1 OR 1=1"]}]},
    {"metric": "loan_total", "filters": [{"field": "credit_score", "op": ">", "values": ["NaN"]}]},
    {"metric": "loan_total", "filters": [], "surprise": 1},
    {"metric": "loan_total", "show": "customers"},
    {"metric": "loan_total", "rank": "highest"},
    {"metric": "loan_total", "limit": 0},
    {"metric": "complaint_count", "filters": [{"field": "city", "values": ["Toronto"]}]},
    {
        "metric": "customer_count",
        "conditions": [{"metric": "complaint_count", "op": ">", "value": 0}],
    },
    {"metric": "average_credit_score", "show": "share"},
    {"metric": "transaction_count", "from": "2026-10-02", "to": "2026-10-01"},
    "loan_total",
    None,
]


@pytest.mark.parametrize("raw", OFF)
def test_a_plan_that_the_registry_does_not_have_is_refused(bank: Settings, raw: Any) -> None:
    with pytest.raises(NotCovered):
        from_json(raw, opened(bank.home).registry)


def test_literals_are_bound_and_never_in_the_sql(bank: Settings) -> None:
    version = opened(bank.home)
    plan = from_json(
        {
            "metric": "deposit_total",
            "filters": [{"field": "city", "values": ["toronto"]}],
            "conditions": [{"metric": "average_credit_score", "op": ">", "value": 600}],
            "from": "2026-10-01",
        },
        version.registry,
    )
    population = Population(False, "customer_id = ANY($s_customers)", {"s_customers": [1, 2]})
    query = compose(plan, population, version.registry, version.renderer)
    for literal in ("oronto", "600", "2026-10", "[1"):
        assert literal not in query.sql
    assert ["Toronto"] in query.parameters.values()
    assert version.rows(query)[1][0][0] is not None


def test_a_shape_is_rendered_once_and_kept_for_the_next_process(
    bank: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = opened(bank.home)
    first = Renderer(version.renderer.manifest_file, tmp_path)
    where = ["{{ Dimension('customer__city') }} = ANY($p0)"]
    sql = first.sql("customer_count", ["customer__province"], where)
    second = Renderer(version.renderer.manifest_file, tmp_path)
    monkeypatch.setattr(second, "_render", lambda *_: pytest.fail("rendered again"))
    assert second.sql("customer_count", ["customer__province"], where) == sql
    # Half a file, as a killed process would leave, is rendered anew.
    for file in tmp_path.iterdir():
        file.write_text("{")
    third = Renderer(version.renderer.manifest_file, tmp_path)
    assert third.sql("customer_count", ["customer__province"], where) == sql


def test_a_metric_added_in_dbt_is_askable_without_code_here(
    bank: Settings, semantic_manifest: Path
) -> None:
    manifest = json.loads(semantic_manifest.read_text())
    added = json.loads(
        json.dumps(next(m for m in manifest["metrics"] if m["name"] == "loan_total"))
    )
    added |= {"name": "exposure_total", "label": "Exposure"}
    added["config"]["meta"]["synonyms"] = ["credit at risk"]
    manifest["metrics"].append(added)
    from datetime import date

    from chat.question import Parser

    parser = Parser(read(manifest))
    for question in ("What is the exposure by loan type?", "total credit at risk by loan type"):
        plan = parser.understand(question, date(2026, 11, 23), lambda *_: {}).plan
        assert (plan.metric, plan.group_by) == ("exposure_total", ("loan_type",))


def test_metrics_says_what_can_be_asked(bank: Settings) -> None:
    found = describe(opened(bank.home).registry)
    names = {metric["name"] for metric in found["metrics"]}
    assert {"customer_count", "loan_total", "net_flow", "complaint_count"} <= names
    dimensions = {dimension["name"]: dimension for dimension in found["dimensions"]}
    assert dimensions["loan_type"]["values"] == ["business", "car", "house", "personal", "student"]
    assert "customer_name" not in dimensions
    assert dimensions["customer"]["values"] == []


def test_every_metric_answers_by_every_dimension_and_agrees_with_its_total(bank: Settings) -> None:
    version = opened(bank.home)
    for metric in version.registry.metrics.values():
        for name in metric.dimensions:
            if version.registry.dimensions[name].kind == "date":
                continue
            plan = from_json({"metric": metric.name, "group_by": [name]}, version.registry)
            everyone = Population(everyone=True)
            query = compose(plan, everyone, version.registry, version.renderer)
            rows = version.rows(query)[1]
            total = compose(
                from_json({"metric": metric.name}, version.registry),
                everyone,
                version.registry,
                version.renderer,
            )
            if metric.additive:
                summed = sum(row[-1] or 0 for row in rows)
                assert summed == version.rows(total)[1][0][0], (metric.name, name)
