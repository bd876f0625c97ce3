"""infra/discover.yaml, as far as it can be judged without an account: code and template agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kb_export.knowledge_base import EMBEDDING_MODEL
from lakehouse import catalog
from streaming.table import DEFINITION

TEMPLATE = Path(__file__).parents[3] / "infra" / "discover.yaml"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short functions, kept as ``{"Ref": …}`` and ``{"Fn::Sub": …}``."""


def _function(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    assert isinstance(node, yaml.ScalarNode)
    return {suffix if suffix == "Ref" else f"Fn::{suffix}": loader.construct_scalar(node)}


_Loader.add_multi_constructor("!", _function)


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(TEMPLATE.read_text(), _Loader)
    return loaded


def _of_type(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def _references(value: Any) -> set[str]:
    """Names that a value refers to by Ref, GetAtt or Sub."""
    if isinstance(value, list):
        return {name for part in value for name in _references(part)}
    if not isinstance(value, dict):
        return set()
    found: set[str] = set()
    for key, part in value.items():
        if key == "Ref":
            found.add(part)
        elif key == "Fn::GetAtt":
            found.add(part.split(".")[0])
        elif key == "Fn::Sub":
            found |= {text.split("}")[0].split(".")[0] for text in part.split("${")[1:]}
        else:
            found |= _references(part)
    return found


def test_there_are_no_yaml_aliases() -> None:
    """CloudFormation reads none."""
    events = yaml.parse(TEMPLATE.read_text(), _Loader)
    assert not [event for event in events if isinstance(event, yaml.AliasEvent)]


def test_every_reference_exists(template: dict) -> None:
    known = set(template["Resources"]) | set(template["Parameters"])
    found = _references([template["Resources"], template["Outputs"]])
    assert {name for name in found if not name.startswith("AWS::")} <= known
    assert "LakeBucket" in found


def test_the_complaints_table_is_the_one_that_the_consumer_makes(template: dict) -> None:
    (table,) = _of_type(template, "AWS::DynamoDB::Table").values()
    wanted = {key: DEFINITION[key] for key in DEFINITION if key != "SSESpecification"}
    assert {key: table[key] for key in wanted} == wanted
    assert table["SSESpecification"] == {"SSEEnabled": True}


def test_the_databases_are_those_of_the_raw_tables_and_the_marts(template: dict) -> None:
    databases = _of_type(template, "AWS::Glue::Database").values()
    names = {database["DatabaseInput"]["Name"] for database in databases}
    assert names == {table.namespace for table in catalog.RAW_TABLES} | {"marts"}


def test_the_buckets_are_the_codes_and_shut(template: dict) -> None:
    parameters = template["Parameters"]
    buckets = _of_type(template, "AWS::S3::Bucket")
    names = {parameters[bucket["BucketName"]["Ref"]]["Default"] for bucket in buckets.values()}
    assert names == {
        catalog.LAKE_BUCKET,
        catalog.TABLE_BUCKET,
        catalog.KNOWLEDGE_BASE_BUCKET,
    }
    policies = _of_type(template, "AWS::S3::BucketPolicy").values()
    assert {policy["Bucket"]["Ref"] for policy in policies} == set(buckets)
    for bucket in buckets.values():
        assert all(bucket["PublicAccessBlockConfiguration"].values())


def test_the_role_may_read_the_renditions_and_nothing_else(template: dict) -> None:
    (role,) = _of_type(template, "AWS::IAM::Role").values()
    (policy,) = role["Policies"]
    statements = {part["Sid"]: part for part in policy["PolicyDocument"]["Statement"]}
    prefix = catalog.RENDITIONS_PREFIX
    read = statements["ReadRenditions"]
    assert read["Resource"]["Fn::Sub"] == f"${{KnowledgeBaseBucket.Arn}}/{prefix}*"
    assert statements["ListRenditions"]["Condition"]["StringLike"]["s3:prefix"] == [f"{prefix}*"]
    for statement in statements.values():
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert not action.endswith("*"), action
        assert statement["Resource"] != "*"
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert set(trust["Condition"]) == {"StringEquals", "ArnLike"}
    assert template["Parameters"]["EmbeddingModelId"]["Default"] == EMBEDDING_MODEL
