"""One Spark session, whoever answers: a Sail of our own, or Apache Spark here or on a cluster.

A job asks for ``session(settings, engine)`` and never for the engine again.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from lakehouse.catalog import TABLE_BUCKET
from lakehouse.errors import DiscoverError, ServiceUnavailable, UsageError
from lakehouse.scratch import scratch_folder
from lakehouse.settings import REPOSITORY, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Engine = Literal["sail", "spark"]
SAIL_RETRIES = 3
"""Waits of 50, 200 and 800 ms."""
_DESCRIBES_SPARK = ("PYSPARK_GATEWAY_PORT", "SPARK_CONF_DIR", "SPARK_HOME")
"""The first is how ``spark-submit`` says that it started this process."""


@contextlib.contextmanager
def session(settings: Settings, engine: Engine = "sail") -> Iterator[SparkSession]:
    """A session whose catalog ``lake`` is the Iceberg catalog and whose zone is UTC.

    ``sail`` starts a Spark Connect server beside this process, on a free loopback port, and stops
    it at the end. ``spark`` takes the classic session that ``spark-submit``, ``SPARK_CONF_DIR`` or
    ``SPARK_HOME`` describes: master, jars, catalog and keys are the cluster's business. Where
    nothing does, the local profile sets one up in this process.

    Raises:
        DiscoverError: Java or the jars of a local classic Spark can't be fetched.
        ServiceUnavailable: the Iceberg catalog does not answer.
        UsageError: the engine is not one of the two, or nothing describes a classic Spark.

    """
    if engine not in ("sail", "spark"):
        raise UsageError(f"engine {engine!r}", "use --engine sail or --engine spark")
    with _sail(settings) if engine == "sail" else _classic(settings) as spark:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
        yield spark


@contextlib.contextmanager
def _sail(settings: Settings) -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    with (
        scratch_folder(settings.home, "sail") as scratch,
        _sail_server(
            sail_environment(settings, _catalog_token(settings)) | {"TMPDIR": str(scratch)}
        ) as port,
    ):
        # Not getOrCreate: an older session of this process would point at a stopped server.
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
        # Picking up a broken stream is for networks; here it only costs a call an answer.
        spark.client.disable_reattachable_execute()
        # On loopback one that doesn't answer is dead: the usual fifteen tries take ten minutes.
        spark.client._retry_policy["max_retries"] = SAIL_RETRIES
        try:
            yield spark
        finally:
            spark.stop()


@contextlib.contextmanager
def _sail_server(changes: Mapping[str, str | None]) -> Iterator[int]:
    """A Sail server of this block's own; gives its port. It ends with the block or with us.

    Raises:
        DiscoverError: it did not start, or died while it was used.

    """
    environment = {**os.environ, **{name: value for name, value in changes.items() if value}}
    for name in (name for name, value in changes.items() if value is None):
        environment.pop(name, None)
    server = subprocess.Popen(
        [sys.executable, "-m", "lakehouse.sail_server"],
        env=environment,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl+C in a terminal is for us, who may finish first; it ends with us in any case.
        start_new_session=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        if not port:
            raise DiscoverError(
                f"Sail did not start (exit code {server.wait()})", "run: discover doctor"
            )
        yield int(port)
    except Exception as error:
        if isinstance(error, DiscoverError) or server.poll() is None:
            raise
        raise DiscoverError(
            f"Sail ended in the middle (exit code {server.returncode})",
            "run the command again; it may have lacked memory: discover doctor",
        ) from error
    finally:
        server.stdin.close()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        server.stdout.close()


@contextlib.contextmanager
def _classic(settings: Settings) -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    variables = classic_variables(settings)
    builder = SparkSession.builder.appName("discover-flatten")
    with contextlib.ExitStack() as held:
        if variables:
            # Ours: what it shuffles and uploads must not stay in /tmp when it is killed.
            scratch = str(held.enter_context(scratch_folder(settings.home, "spark")))
            builder = builder.config("spark.local.dir", scratch)
            builder = builder.config("spark.sql.catalog.lake.s3.staging-dir", scratch)
        # Apache Spark's own Connect server listens on every interface, so SPARK_REMOTE isn't used.
        held.enter_context(_environment({"SPARK_REMOTE": None, **variables}))
        spark = builder.getOrCreate()
        try:
            yield spark
        finally:
            spark.stop()


def classic_variables(settings: Settings) -> dict[str, str]:
    """What to set so that a classic Spark starts here; nothing where somebody described one."""
    if any(name in os.environ for name in _DESCRIBES_SPARK):
        return {}
    if settings.profile != "local":
        raise UsageError(
            "nothing says which Spark is meant",
            "run by spark-submit, or set SPARK_CONF_DIR or SPARK_HOME; see docs/operations.md",
        )
    # Only here is Java needed, and what fetches it.
    from lakehouse import jvm

    return jvm.spark_variables(settings, settings.home / "spark")


def sail_environment(settings: Settings, token: str | None) -> dict[str, str | None]:
    """What Sail reads from its environment: the lake's S3, and the catalog ``lake``."""
    options: dict[str, object] = {
        "name": TABLE_BUCKET,
        "type": "iceberg-rest",
        "uri": settings.catalog_uri or "",
        "warehouse": settings.catalog_warehouse,
    }
    if token:
        options["bearer_access_token"] = token
    catalogs: list[dict[str, object]] = [
        {"name": "sail", "type": "memory", "initial_database": ["default"]},
        options,
    ]
    environment: dict[str, str | None] = {
        "SAIL_CATALOG__LIST": f"[{', '.join(_inline_table(entry) for entry in catalogs)}]",
        "SAIL_CATALOG__DEFAULT_CATALOG": "sail",
        # It logs its own start and stop to standard error, at every level above.
        "RUST_LOG": "error",
        "AWS_REGION": settings.region,
        # A profile or role of the user's own must not win over the lake's keys.
        "AWS_PROFILE": None,
        "AWS_SESSION_TOKEN": None,
    }
    if settings.lake_endpoint:
        environment |= {
            "AWS_ENDPOINT": settings.lake_endpoint,
            "AWS_ENDPOINT_URL": settings.lake_endpoint,
            "AWS_ALLOW_HTTP": str(settings.lake_endpoint.startswith("http://")).lower(),
        }
    if settings.lake_access_key_id and settings.lake_secret_access_key:
        environment |= {
            "AWS_ACCESS_KEY_ID": settings.lake_access_key_id,
            "AWS_SECRET_ACCESS_KEY": settings.lake_secret_access_key.get_secret_value(),
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    else:
        del environment["AWS_PROFILE"], environment["AWS_SESSION_TOKEN"]
    return environment


def _inline_table(options: Mapping[str, object]) -> str:
    """TOML's inline table; JSON's strings and arrays are TOML's too."""
    return "{" + ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items()) + "}"


def _catalog_token(settings: Settings) -> str | None:
    """A fresh bearer token (the catalog's live for an hour); None where the catalog has no keys."""
    if not (settings.lake_access_key_id and settings.lake_secret_access_key):
        return None
    form = urllib.parse.urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": settings.lake_access_key_id,
            "client_secret": settings.lake_secret_access_key.get_secret_value(),
            "scope": "PRINCIPAL_ROLE:ALL",
        }
    )
    request = urllib.request.Request(  # noqa: S310 - the endpoint is the settings', not a user's
        f"{settings.catalog_uri}/v1/oauth/tokens", data=form.encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            token: str = json.load(response)["access_token"]
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise ServiceUnavailable(
            f"the Iceberg catalog at {settings.catalog_uri} does not answer: {error}",
            "start it: discover up seaweedfs",
        ) from None
    return token


@contextlib.contextmanager
def _environment(values: Mapping[str, str | None]) -> Iterator[None]:
    """Set these variables (None removes one) and put back what stood there."""
    before = {name: os.environ.get(name) for name in values}
    _apply(values)
    try:
        yield
    finally:
        _apply(before)


def _apply(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
