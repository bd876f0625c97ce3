"""How the services of the other profiles answer: the same questions, asked as any client asks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from lakehouse import clients
from lakehouse.catalog import LAKE_BUCKET
from lakehouse.services.kafka import brokers_in_metadata
from lakehouse.services.lifecycle import ServiceState, in_short
from lakehouse.settings import Settings


def remote_status(settings: Settings) -> list[ServiceState]:
    """Whether each interface of a profile answers. There is no process to tell of."""
    aws = f"https://{{}}.{settings.region}.amazonaws.com"
    probes: dict[str, tuple[str, Callable[[], object]]] = {
        "lake": (
            settings.lake_endpoint or aws.format("s3"),
            lambda: clients.lake_s3(settings).head_bucket(Bucket=LAKE_BUCKET),
        ),
        "catalog": (
            settings.catalog_uri or "",
            lambda: clients.iceberg(settings).list_namespaces(),
        ),
        "dynamodb": (
            settings.aws_endpoint or aws.format("dynamodb"),
            lambda: clients.dynamodb(settings).list_tables(),
        ),
        "kafka": (settings.kafka_bootstrap, lambda: _kafka(settings)),
        "postgres": (_postgres_url(settings), lambda: _postgres(settings)),
    }
    with ThreadPoolExecutor(len(probes)) as pool:
        return list(pool.map(lambda item: _state(item[0], *item[1]), probes.items()))


def _state(name: str, url: str, probe: Callable[[], object]) -> ServiceState:
    if not url:
        setting = {"catalog": "DISCOVER_CATALOG_URI", "postgres": "DISCOVER_POSTGRES_DSN"}[name]
        return ServiceState(name, url, None, "failing", 0.0, f"{setting} is not set")
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
        return ServiceState(name, url, None, "failing", 0.0, in_short(error))
    return ServiceState(name, url, None, "running", 0.0)


def _kafka(settings: Settings) -> None:
    host, _, port = settings.kafka_bootstrap.split(",")[0].rpartition(":")
    brokers_in_metadata(host, int(port))


def _postgres(settings: Settings) -> None:
    import psycopg

    dsn = settings.postgres_dsn.get_secret_value()
    with psycopg.connect(dsn, connect_timeout=3) as connection:
        connection.execute("select 1")


def _postgres_url(settings: Settings) -> str:
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(settings.postgres_dsn.get_secret_value())
    return (
        f"postgresql://{parts.get('host', '')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    )
