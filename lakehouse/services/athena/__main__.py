"""The gateway's process: ``python -m lakehouse.services.athena`` with DISCOVER_HOME set."""

from __future__ import annotations

import logging
import sys

import uvicorn

from lakehouse import clients, settings
from lakehouse.services.athena import csv_tables
from lakehouse.services.athena.api import Athena
from lakehouse.services.athena.app import Face, create_app
from lakehouse.services.athena.engine import Engine
from lakehouse.services.athena.executions import Executions
from lakehouse.services.athena.glue import Glue
from lakehouse.services.athena.output import S3Output
from lakehouse.services.athena.rest_catalog import RestCatalog


def main() -> None:
    """Serve until asked to end; then cancel what still runs."""
    logging.basicConfig(format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("lakehouse").setLevel(logging.INFO)
    values = settings.load()
    port = settings.ports(values.home)
    key, secret = values.lake_access_key_id, values.lake_secret_access_key
    assert key is not None
    assert secret is not None
    assert values.catalog_uri is not None
    engine = Engine("127.0.0.1", port["trino"]["http"])
    engine.end_orphans()
    catalog = RestCatalog(
        values.catalog_uri, values.catalog_warehouse, key, secret.get_secret_value()
    )
    glue = Glue(catalog, engine.ask)
    s3 = clients.lake_s3(values)
    executions = Executions(
        engine,
        glue,
        S3Output(s3),
        lambda table: csv_tables.create(clients.iceberg(values), s3, table),
        values.home / "services" / "athena" / "results",
    )
    face = Face(Athena(executions, glue), glue, key, secret.get_secret_value())
    try:
        uvicorn.run(
            create_app(face, engine, glue),
            host="127.0.0.1",
            port=port["athena"]["http"],
            log_level="warning",
            timeout_graceful_shutdown=5,
        )
    finally:
        executions.close()


if __name__ == "__main__":
    main()
