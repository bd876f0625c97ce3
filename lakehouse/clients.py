"""Clients of the four interfaces, steered by the settings alone. Nothing here knows a profile."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.errors import ServiceUnavailable
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_bedrock_agent import AgentsforBedrockClient
    from mypy_boto3_bedrock_agent_runtime import AgentsforBedrockRuntimeClient
    from mypy_boto3_bedrock_runtime import BedrockRuntimeClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from obstore.store import S3Store
    from pyiceberg.catalog import Catalog

LONGEST_REQUEST = 30.0
"""Seconds that one request to the object store may take before it is repeated."""


def _keys(settings: Settings) -> dict[str, Any]:
    """Explicit keys where the settings hold some; else boto3's own chain."""
    if settings.lake_access_key_id is None or settings.lake_secret_access_key is None:
        return {}
    return {
        "aws_access_key_id": settings.lake_access_key_id,
        "aws_secret_access_key": settings.lake_secret_access_key.get_secret_value(),
    }


def _client(
    settings: Settings,
    service: str,
    endpoint: str | None,
    *,
    attempts: int = 3,
    read_timeout: float = 60,
    validated: bool = True,
) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        s3={"addressing_style": "path"} if endpoint else {},
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=3,
        read_timeout=read_timeout,
        parameter_validation=validated,
        # A checksum that only AWS answers with breaks some S3 servers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint,
        region_name=settings.region,
        config=config,
        **_keys(settings),
    )


def lake_s3(settings: Settings) -> S3Client:
    """boto3 client of the lake's S3. For many objects use :func:`lake_store`: it costs 20x less."""
    client: S3Client = _client(settings, "s3", settings.lake_endpoint)
    return client


def lake_store(settings: Settings, bucket: str) -> S3Store:
    """Object store of one bucket of the lake, for bulk reads and writes."""
    return _store(settings, bucket, settings.lake_endpoint)


@contextlib.contextmanager
def lake_answers() -> Iterator[None]:
    """Say of a store that fails although its client has tried again what it said, and what to do.

    Raises:
        ServiceUnavailable: an object could not be read or written.

    """
    try:
        yield
    except Exception as error:
        # Not imported here: whoever never used the client met none of its errors.
        client = sys.modules.get("obstore.exceptions")
        if client is None or not isinstance(error, client.BaseError):
            raise
        raise ServiceUnavailable(
            f"the object store failed: {str(error).splitlines()[0][:300]}",
            "see: discover status; then run it again",
        ) from error


def knowledge_base_store(settings: Settings, bucket: str) -> S3Store:
    """Object store of the bucket that Bedrock reads."""
    return _store(settings, bucket, settings.knowledge_base_endpoint)


def _store(settings: Settings, bucket: str, endpoint: str | None) -> S3Store:
    from obstore.store import S3Store

    options: dict[str, Any] = {"region": settings.region}
    if endpoint:
        options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    if settings.lake_access_key_id and settings.lake_secret_access_key:
        options |= {
            "access_key_id": settings.lake_access_key_id,
            "secret_access_key": settings.lake_secret_access_key.get_secret_value(),
        }
    allow_http = bool(endpoint and endpoint.startswith("http://"))
    return S3Store(
        bucket,
        client_options={
            "allow_http": allow_http,
            "timeout": timedelta(seconds=min(LONGEST_REQUEST, settings.lake_patience)),
        },
        retry_config={"retry_timeout": timedelta(seconds=settings.lake_patience)},
        **options,
    )


def knowledge_base_s3(settings: Settings) -> S3Client:
    """boto3 client of the S3 that Bedrock reads (the lake's on AWS, the emulator's locally)."""
    client: S3Client = _client(settings, "s3", settings.knowledge_base_endpoint)
    return client


def dynamodb(settings: Settings) -> DynamoDBClient:
    """DynamoDB client. It doesn't retry: the stream does, and stops at once when asked to.

    It doesn't look at every attribute of every item either, which would take a tenth of a write:
    one function makes them all, and DynamoDB checks them again.
    """
    client: DynamoDBClient = _client(
        settings,
        "dynamodb",
        settings.aws_endpoint,
        attempts=1,
        read_timeout=5,
        validated=False,
    )
    return client


def bedrock_agent(settings: Settings) -> AgentsforBedrockClient:
    """Bedrock's control plane: knowledge bases, data sources, ingestion jobs."""
    # The emulator ingests within the call that starts a job: a hundred thousand documents take it
    # a minute, on a busy machine several, and a second try would only begin anew.
    client: AgentsforBedrockClient = _client(
        settings, "bedrock-agent", settings.aws_endpoint, read_timeout=600
    )
    return client


def bedrock_agent_runtime(settings: Settings) -> AgentsforBedrockRuntimeClient:
    """Bedrock's retrieval."""
    client: AgentsforBedrockRuntimeClient = _client(
        settings, "bedrock-agent-runtime", settings.aws_endpoint
    )
    return client


def bedrock_runtime(settings: Settings) -> BedrockRuntimeClient:
    """Bedrock's models."""
    client: BedrockRuntimeClient = _client(settings, "bedrock-runtime", settings.aws_endpoint)
    return client


def iceberg(settings: Settings) -> Catalog:
    """PyIceberg catalog ``lake`` over the REST endpoint; for schema changes and maintenance."""
    from pyiceberg.catalog import load_catalog

    properties: dict[str, Any] = {
        "type": "rest",
        "uri": settings.catalog_uri,
        "warehouse": settings.catalog_warehouse,
        "s3.region": settings.region,
    }
    if settings.lake_endpoint:
        properties["s3.endpoint"] = settings.lake_endpoint
    if settings.lake_access_key_id and settings.lake_secret_access_key:
        secret = settings.lake_secret_access_key.get_secret_value()
        # Else the S3 client inside PyArrow asks EC2's metadata address, keys or not.
        os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
        properties |= {
            "credential": f"{settings.lake_access_key_id}:{secret}",
            "oauth2-server-uri": f"{settings.catalog_uri}/v1/oauth/tokens",
            "s3.access-key-id": settings.lake_access_key_id,
            "s3.secret-access-key": secret,
        }
    else:
        properties |= {"rest.sigv4-enabled": "true", "rest.signing-name": "glue"}
    return load_catalog("lake", **properties)
