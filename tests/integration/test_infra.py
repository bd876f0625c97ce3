"""The CloudFormation template on the emulator: everything but S3 Vectors, which it doesn't know."""

from __future__ import annotations

import re
from pathlib import Path

import boto3

from lakehouse.settings import Settings

TEMPLATE = Path(__file__).parents[2] / "infra" / "discover.yaml"
REGION = "ca-central-1"
"""Not the session's: its tables stay untouched."""


def _without_vectors(template: str) -> str:
    cut = re.sub(r"  VectorBucket:\n.*?(?=  KnowledgeBaseRole:)", "", template, flags=re.DOTALL)
    assert "AWS::S3Vectors" not in cut
    return cut.replace("!GetAtt VectorIndex.IndexArn", "arn:aws:s3vectors:x:0:bucket/b/index/i")


def test_the_stack_is_created(settings: Settings) -> None:
    assert settings.lake_secret_access_key is not None

    def client(service: str):
        return boto3.client(
            service,
            endpoint_url=settings.aws_endpoint,
            region_name=REGION,
            aws_access_key_id=settings.lake_access_key_id,
            aws_secret_access_key=settings.lake_secret_access_key.get_secret_value(),
        )

    stacks = client("cloudformation")
    stacks.create_stack(
        StackName="discover-test",
        TemplateBody=_without_vectors(TEMPLATE.read_text()),
        Parameters=[
            {"ParameterKey": f"{name}BucketName", "ParameterValue": f"stack-{name.lower()}"}
            for name in ("Lake", "Table", "KnowledgeBase")
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    stacks.get_waiter("stack_create_complete").wait(
        StackName="discover-test", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    outputs = stacks.describe_stacks(StackName="discover-test")["Stacks"][0]["Outputs"]
    roles = {output["OutputValue"] for output in outputs}
    assert any(role.endswith(":role/discover-knowledge-base") for role in roles)
    table = client("dynamodb").describe_table(TableName="CustomerFeedback")["Table"]
    assert [index["IndexName"] for index in table["GlobalSecondaryIndexes"]] == [
        "by_category_and_day"
    ]
    databases = client("glue").get_databases()["DatabaseList"]
    assert {"raw_atm", "marts"} <= {database["Name"] for database in databases}
