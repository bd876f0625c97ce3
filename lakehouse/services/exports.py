"""The environment variables with which other tools reach the parts of a home or profile."""

from __future__ import annotations

from lakehouse.catalog import BANK_DATABASE
from lakehouse.services import registry
from lakehouse.settings import Settings, ports


def exports(settings: Settings) -> dict[str, str]:
    """Variables for dbt, the AWS CLI, boto3, psql, PyIceberg (``load_catalog("lake")``), notebooks.

    dbt needs the home alone: endpoints and keys lie there as DuckDB's secrets. No endpoint is
    exported under a name that ``discover`` itself obeys, so that an old shell can't point a later
    command at ports that have moved.
    """
    variables = {
        "DISCOVER_HOME": str(settings.home),
        "DISCOVER_PROFILE": settings.profile,
        "AWS_REGION": settings.region,
        "AWS_DEFAULT_REGION": settings.region,
    }
    if settings.lake_access_key_id and settings.lake_secret_access_key:
        secret = settings.lake_secret_access_key.get_secret_value()
        variables |= {
            "AWS_ACCESS_KEY_ID": settings.lake_access_key_id,
            "AWS_SECRET_ACCESS_KEY": secret,
            "PYICEBERG_CATALOG__LAKE__CREDENTIAL": f"{settings.lake_access_key_id}:{secret}",
            "PYICEBERG_CATALOG__LAKE__S3__ACCESS_KEY_ID": settings.lake_access_key_id,
            "PYICEBERG_CATALOG__LAKE__S3__SECRET_ACCESS_KEY": secret,
        }
    if settings.lake_endpoint:
        variables |= {
            "AWS_ENDPOINT_URL_S3": settings.lake_endpoint,
            "PYICEBERG_CATALOG__LAKE__S3__ENDPOINT": settings.lake_endpoint,
        }
    if settings.aws_endpoint:
        for service in ("DYNAMODB", "BEDROCK", "BEDROCK_AGENT", "BEDROCK_AGENT_RUNTIME"):
            variables[f"AWS_ENDPOINT_URL_{service}"] = settings.aws_endpoint
    if settings.knowledge_base_endpoint:
        # Where it isn't the lake's S3: aws s3 --endpoint-url "$KNOWLEDGE_BASE_ENDPOINT_URL" …
        variables["KNOWLEDGE_BASE_ENDPOINT_URL"] = settings.knowledge_base_endpoint
    if settings.catalog_uri:
        variables |= {
            "PYICEBERG_CATALOG__LAKE__TYPE": "rest",
            "PYICEBERG_CATALOG__LAKE__URI": settings.catalog_uri,
            "PYICEBERG_CATALOG__LAKE__WAREHOUSE": settings.catalog_warehouse,
            "PYICEBERG_CATALOG__LAKE__OAUTH2_SERVER_URI": f"{settings.catalog_uri}/v1/oauth/tokens",
            "PYICEBERG_CATALOG__LAKE__S3__REGION": settings.region,
        }
    if settings.postgres_dsn.get_secret_value():
        variables |= _postgres(settings.postgres_dsn.get_secret_value())
    variables["KAFKA_BOOTSTRAP_SERVERS"] = settings.kafka_bootstrap
    if settings.profile == "local":
        # Only dbt's profile reads it.
        variables["DISCOVER_TRINO_PORT"] = str(ports(settings.home)["trino"]["http"])
        if registry.record(settings.home, "athena").get("pid"):
            # Only while it runs: else the AWS CLI and dbt would be kept from the real ones.
            endpoint = f"http://127.0.0.1:{ports(settings.home)['athena']['http']}"
            for service in ("ATHENA", "GLUE", "STS"):
                variables[f"AWS_ENDPOINT_URL_{service}"] = endpoint
            variables["DISCOVER_ATHENA_POLL_SECONDS"] = "0.1"
    return variables


def _postgres(dsn: str) -> dict[str, str]:
    """What libpq reads, so that a bare ``psql`` reaches the bank's database."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(dsn)
    names = {
        "PGHOST": parts.get("host"),
        "PGPORT": parts.get("port"),
        "PGUSER": parts.get("user"),
        "PGPASSWORD": parts.get("password"),
        "PGDATABASE": parts.get("dbname", BANK_DATABASE),
    }
    return {name: str(value) for name, value in names.items() if value}
