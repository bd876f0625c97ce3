"""ministack: DynamoDB, Bedrock and the S3 that Bedrock reads, in an environment of its own."""

from __future__ import annotations

import json
import urllib.request

from lakehouse.services import environments
from lakehouse.services.service import Launch, Service

MEGABYTES = 100


class Ministack(Service):
    """The AWS emulator. It writes DynamoDB to the disk only when it ends cleanly."""

    name = "ministack"
    stop_seconds = 30

    def url(self) -> str:
        """The endpoint of all its services."""
        return f"http://127.0.0.1:{self.ports['aws']}"

    def install(self) -> None:
        """Make its environment."""
        environments.ensure(self.name, megabytes=MEGABYTES)

    def launch(self) -> Launch:
        """The emulator on loopback, keeping everything under the home."""
        settings = self.settings
        assert settings.lake_secret_access_key is not None
        return Launch(
            [str(environments.folder(self.name) / "bin" / "ministack")],
            {
                "GATEWAY_PORT": str(self.ports["aws"]),
                "BIND_HOST": "127.0.0.1",
                "MINISTACK_REGION": settings.region,
                "AWS_ACCESS_KEY_ID": settings.lake_access_key_id or "",
                "AWS_SECRET_ACCESS_KEY": settings.lake_secret_access_key.get_secret_value(),
                "PERSIST_STATE": "1",
                "STATE_DIR": str(self.data / "state"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(self.data / "s3"),
                # Listeners on other ports, and containers, that nothing here asks for.
                "SFTP_ENABLED": "0",
                "IOT_MTLS_ENABLED": "0",
                "DOCKER_HOST": f"unix://{self.data}/no-docker.sock",
                # It keeps a pid file there, named by its port.
                "TMPDIR": str(self.data),
                # Its requests carry customers' words; a log must not.
                "LOG_LEVEL": "WARNING",
            },
        )

    def probe(self) -> None:
        """List the DynamoDB tables. Spoken by hand: importing boto3 costs half a second."""
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self.url(),
            data=b"{}",
            headers={
                "Content-Type": "application/x-amz-json-1.0",
                "X-Amz-Target": "DynamoDB_20120810.ListTables",
                "Authorization": "AWS4-HMAC-SHA256 Credential="
                f"{self.settings.lake_access_key_id}/20000101/{self.settings.region}/dynamodb/"
                "aws4_request, SignedHeaders=host, Signature=0",
            },
        )
        with urllib.request.urlopen(request, timeout=3) as answer:  # noqa: S310
            if "TableNames" not in json.load(answer):
                raise OSError("ListTables answered without table names")
