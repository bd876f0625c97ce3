"""Trino: SQL on the lake's own catalog, in the dialect that Athena speaks. Started by name only."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar

from lakehouse import jvm
from lakehouse.catalog import TABLE_BUCKET
from lakehouse.services.service import Launch, Service

MEGABYTES = 768
"""Of heap. Two cores and this are enough for the marts of a million transactions."""

ATHENAS_CATALOG = "awsdatacatalog"
"""The same lake once more, under the name that statements written for Athena give it."""

_PLUGIN = "plugin/iceberg"
# Clouds and caches that a REST catalog on S3 never opens: a third of what would be unpacked.
_LEFT_OUT = (
    "com.azure*",
    "com.google.cloud_*",
    "io.grpc_grpc-xds*",
    "net.snowflake_snowflake-jdbc*",
    "org.alluxio*",
    "org.rocksdb_rocksdbjni*",
)

_CONFIG = """\
node.id=local-1
node.environment=local
node.bind-ip=127.0.0.1
node.internal-address=127.0.0.1
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
plugin.dir={program}/plugin
catalog.config-dir={data}/etc/catalog
web-ui.enabled=false
sql.forced-session-time-zone=UTC
query.max-memory-per-node=300MB
memory.heap-headroom-per-node=200MB
query.max-history=50
query.min-expire-age=1m
# Whose client was killed must not commit minutes later.
query.client.timeout=1m
"""
_LOG_LEVELS = """\
io.trino=WARN
io.airlift=WARN
Bootstrap=WARN
org.eclipse.jetty=WARN
"""
# What ENV names is read from the process's own environment: no key stands in a file.
_CATALOG = """\
connector.name=iceberg
iceberg.catalog.type=rest
iceberg.rest-catalog.uri={catalog_uri}
iceberg.rest-catalog.warehouse={warehouse}
iceberg.rest-catalog.security=OAUTH2
iceberg.rest-catalog.oauth2.credential=${{ENV:LAKE_ACCESS_KEY_ID}}:${{ENV:LAKE_SECRET_ACCESS_KEY}}
iceberg.rest-catalog.oauth2.server-uri={catalog_uri}/v1/oauth/tokens
fs.native-s3.enabled=true
s3.endpoint={endpoint}
s3.region={region}
s3.path-style-access=true
s3.aws-access-key=${{ENV:LAKE_ACCESS_KEY_ID}}
s3.aws-secret-key=${{ENV:LAKE_SECRET_ACCESS_KEY}}
"""


class Trino(Service):
    """One node that coordinates and works; its catalog ``lake`` is the one that flatten writes."""

    name = "trino"
    needs: ClassVar[tuple[str, ...]] = ("seaweedfs",)
    start_seconds = 180

    def url(self) -> str:
        """Where it is, for any client of Trino."""
        return f"http://127.0.0.1:{self.ports['http']}"

    def install(self) -> None:
        """Fetch a JDK, where none is here, and the server (540 MB, once for all homes)."""
        jvm.java_home(*jvm.JAVA_FOR_TRINO)
        server()

    def prepare(self) -> None:
        """Write its configuration, and remove what a killed one left in its temporary folder."""
        super().prepare()
        shutil.rmtree(self.data / "tmp", ignore_errors=True)
        (self.data / "tmp").mkdir(mode=0o700)
        catalogs = self.data / "etc" / "catalog"
        catalogs.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(data=self.data, port=self.ports["http"], program=server())
        (catalogs.parent / "config.properties").write_text(config)
        (catalogs.parent / "log.properties").write_text(_LOG_LEVELS)
        settings = self.settings
        catalog = _CATALOG.format(
            catalog_uri=settings.catalog_uri,
            warehouse=settings.catalog_warehouse,
            endpoint=settings.lake_endpoint,
            region=settings.region,
        )
        for name in (TABLE_BUCKET, ATHENAS_CATALOG):
            (catalogs / f"{name}.properties").write_text(catalog)

    def launch(self) -> Launch:
        """The server, on loopback, with a small heap and no tuning that needs more cores."""
        settings = self.settings
        assert settings.lake_secret_access_key is not None
        etc = self.data / "etc"
        return Launch(
            [
                str(jvm.java_home(*jvm.JAVA_FOR_TRINO) / "bin" / "java"),
                f"-Xmx{MEGABYTES}M",
                "-XX:+UseSerialGC",
                "-XX:+ExitOnOutOfMemoryError",
                "-XX:ReservedCodeCacheSize=256M",
                "-XX:+EnableDynamicAgentLoading",
                "-Djdk.attach.allowAttachSelf=true",
                "--enable-native-access=ALL-UNNAMED",
                "--sun-misc-unsafe-memory-access=allow",
                f"-Djava.io.tmpdir={self.data / 'tmp'}",
                "-Duser.timezone=UTC",
                f"-Dconfig={etc / 'config.properties'}",
                f"-Dlog.levels-file={etc / 'log.properties'}",
                "-cp",
                f"{server()}/lib/*",
                "io.trino.server.TrinoServer",
            ],
            {
                "LAKE_ACCESS_KEY_ID": settings.lake_access_key_id or "",
                "LAKE_SECRET_ACCESS_KEY": settings.lake_secret_access_key.get_secret_value(),
            },
        )

    def probe(self) -> None:
        """Ask for the catalog's schemas: server and lake both have to answer."""
        from trino import dbapi as untyped

        dbapi: Any = untyped

        connection = dbapi.connect(
            host="127.0.0.1",
            port=self.ports["http"],
            user="probe",
            request_timeout=3,
            max_attempts=1,
        )
        try:
            cursor = connection.cursor()
            cursor.execute(f"SELECT count(*) FROM {TABLE_BUCKET}.information_schema.schemata")
            cursor.fetchall()
        finally:
            connection.close()


def server() -> Path:
    """The server's folder with ``lib`` and ``plugin``; fetched and unpacked where it isn't here.

    Raises:
        DiscoverError: it can't be fetched, or what came isn't what the lock says.

    """
    return jvm.unpacked("trino", _unpack, recipe=" ".join((_PLUGIN, *_LEFT_OUT)))


def _unpack(archives: Path, folder: Path) -> None:
    """``lib`` and NOTICE of the server, and the Iceberg plugin without what is left out."""
    (server_archive,) = archives.glob("trino-server-core-*.tar.gz")
    with tarfile.open(server_archive) as tar:
        members = []
        for member in tar:
            _, _, inside = member.name.partition("/")
            if inside == "NOTICE" or inside.startswith("lib/"):
                member.name = inside
                members.append(member)
        tar.extractall(folder, members, filter="data")
    (plugin_archive,) = archives.glob("trino-iceberg-*.zip")
    plugin = folder / _PLUGIN
    plugin.mkdir(parents=True)
    with zipfile.ZipFile(plugin_archive) as archive:
        for entry in archive.infolist():
            name = Path(entry.filename).name
            if entry.is_dir() or any(fnmatch(name, pattern) for pattern in _LEFT_OUT):
                continue
            with archive.open(entry) as source, (plugin / name).open("wb") as target:
                shutil.copyfileobj(source, target)
