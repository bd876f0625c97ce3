"""DuckDB connections: one that reaches the lake, one that reaches a published file only."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

from lakehouse.errors import ServiceUnavailable, UsageError
from lakehouse.scratch import scratch_folder
from lakehouse.settings import Settings

EXTENSIONS = ("httpfs", "avro", "iceberg")
"""In load order: iceberg wants avro loaded before it."""
HTTP_SECONDS = 30
"""The engine's own limit of a request, before it repeats it."""


def extension_file(name: str) -> Path:
    """The extension's file inside its wheel; a machine without internet can't download one."""
    spec = importlib.util.find_spec(f"duckdb_extension_{name}")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"duckdb-extension-{name} is not installed")
    root = Path(spec.submodule_search_locations[0])
    return root / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def install_extensions(directory: Path) -> None:
    """Put the wheels' extensions into ``directory``, so that dbt can load them by name."""
    directory.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"extension_directory": str(directory)}) as connection:
        for name in EXTENSIONS:
            connection.execute(f"INSTALL '{extension_file(name)}'")


def write_secrets(settings: Settings, directory: Path) -> None:
    """Keep what opens the lake as DuckDB secrets in ``directory``, readable by the owner alone.

    A connection whose ``secret_directory`` this is attaches the lake by
    ``ATTACH 'lake' AS lake (TYPE iceberg, SECRET lake_catalog)``: endpoint and keys stand in the
    secret, so that dbt needs neither an export nor a key in its profile.

    Raises:
        UsageError: the settings hold no keys (AWS's own credential chain is dbt-athena's business).
        ServiceUnavailable: the catalog, which is asked for a token, does not answer.

    """
    if settings.lake_access_key_id is None or settings.lake_secret_access_key is None:
        raise UsageError(
            "dbt on DuckDB needs keys for the lake", "run discover up, or use dbt's target athena"
        )
    key = settings.lake_access_key_id
    secret = settings.lake_secret_access_key.get_secret_value()
    catalog = (
        f"CREATE PERSISTENT SECRET lake_catalog (TYPE iceberg, CLIENT_ID '{key}',"
        f" CLIENT_SECRET '{secret}', ENDPOINT '{settings.catalog_uri}',"
        f" OAUTH2_SERVER_URI '{settings.catalog_uri}/v1/oauth/tokens')"
    )
    store = lake_statements(settings, attach=False)[0].replace("CREATE", "CREATE PERSISTENT", 1)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    directory.chmod(0o700)
    # Written beside and moved over: a dbt that starts now finds the old secret or the new one.
    with tempfile.TemporaryDirectory(dir=directory) as aside:
        with duckdb.connect(
            config={"secret_directory": aside, "autoinstall_known_extensions": "false"}
        ) as connection:
            for name in EXTENSIONS:
                connection.execute(f"LOAD '{extension_file(name)}'")
            try:
                for statement in (catalog, store):
                    connection.execute(statement)
            except duckdb.Error:
                # From None: the engine's words may quote the statement, and that holds the key.
                raise ServiceUnavailable(
                    f"the lake's catalog does not answer at {settings.catalog_uri}",
                    "start it: discover up seaweedfs",
                ) from None
        for written in Path(aside).iterdir():
            written.replace(directory / written.name)


@contextlib.contextmanager
def connect_lake(settings: Settings, *, attach: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
    """In-memory connection with the lake's S3 and, attached as ``lake``, its Iceberg catalog.

    What doesn't fit into memory is spilled into a scratch folder of the home.
    """
    with contextlib.ExitStack() as held:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",
            # Its default is the folder that the caller happens to stand in.
            "temp_directory": str(held.enter_context(scratch_folder(settings.home, "lake"))),
        }
        connection = held.enter_context(duckdb.connect(config=config))
        for name in EXTENSIONS:
            connection.execute(f"LOAD '{extension_file(name)}'")
        if settings.lake_patience < HTTP_SECONDS:
            connection.execute(f"SET http_timeout = {math.ceil(settings.lake_patience)}")
            connection.execute("SET http_retries = 0")
        for statement in lake_statements(settings, attach=attach):
            connection.execute(statement)
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def lake_statements(settings: Settings, *, attach: bool) -> list[str]:
    """The SQL that gives a connection the lake: an S3 secret, then the catalog."""
    if settings.lake_access_key_id and settings.lake_secret_access_key:
        key = settings.lake_access_key_id
        secret = settings.lake_secret_access_key.get_secret_value()
        endpoint = (settings.lake_endpoint or "").removeprefix("http://").removeprefix("https://")
        tls = str((settings.lake_endpoint or "https").startswith("https")).lower()
        where = f", ENDPOINT '{endpoint}', URL_STYLE 'path', USE_SSL {tls}" if endpoint else ""
        statements = [
            (
                f"CREATE SECRET lake_s3 (TYPE s3, KEY_ID '{key}', SECRET '{secret}',"
                f" REGION '{settings.region}'{where})"
            )
        ]
        options = (
            f"ENDPOINT '{settings.catalog_uri}', CLIENT_ID '{key}', CLIENT_SECRET '{secret}',"
            f" OAUTH2_SERVER_URI '{settings.catalog_uri}/v1/oauth/tokens'"
        )
    else:
        statements = [
            (
                "CREATE SECRET lake_s3 (TYPE s3, PROVIDER credential_chain,"
                f" REGION '{settings.region}')"
            )
        ]
        options = f"ENDPOINT '{settings.catalog_uri}', AUTHORIZATION_TYPE 'sigv4'"
    if attach:
        statements.append(
            f"ATTACH '{settings.catalog_warehouse.removeprefix('s3://')}' AS lake"
            f" (TYPE iceberg, {options})"
        )
    return statements


def connect_published(file: Path) -> duckdb.DuckDBPyConnection:
    """Read-only connection on one version's marts, attached as ``marts`` and made current.

    Everything else is shut: no file, no network, no extension, no setting can be changed. What
    doesn't fit into memory isn't spilled to disk but refused.
    """
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
    )
    attach_published(connection, file)
    connection.execute("USE marts")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    # Without external access DuckDB still opens the attached file by its path, and writes beside it
    # the log that the next reader would replay; what is open by now stays open.
    connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
    connection.execute("SET lock_configuration = true")
    return connection


def attach_published(
    connection: duckdb.DuckDBPyConnection, file: Path, name: str = "marts"
) -> None:
    """Attach one version's marts under ``name``, read-only, wherever the home is."""
    path = str(file).replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS {name} (READ_ONLY)")
