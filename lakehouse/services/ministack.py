"""ministack: DynamoDB, Bedrock and the S3 that Bedrock reads, in an environment of its own."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.services import environments, sigv4
from lakehouse.services.service import Launch, Service

MEGABYTES = 100
FORBIDDEN = 403


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
            [
                str(environments.folder(self.name) / "bin" / "python"),
                # Its folder has modules named as packages that the emulator looks for.
                "-P",
                str(Path(__file__).with_name("ministack_guard.py")),
                str(Path(sigv4.__file__)),
            ],
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
        """List the DynamoDB tables, signed; without a signature nothing may be answered.

        Spoken by hand: importing boto3 costs half a second.
        """
        with urllib.request.urlopen(self._list_tables(signed=True), timeout=3) as answer:  # noqa: S310
            if "TableNames" not in json.load(answer):
                raise OSError("ListTables answered without table names")
        try:
            urllib.request.urlopen(self._list_tables(signed=False), timeout=3).close()  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == FORBIDDEN:
                return
        raise OSError("it answers requests that nobody signed")

    def _list_tables(self, *, signed: bool) -> urllib.request.Request:
        settings = self.settings
        assert settings.lake_secret_access_key is not None
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        headers = {
            "host": self.url().removeprefix("http://"),
            "x-amz-date": stamp,
            "content-type": "application/x-amz-json-1.0",
            "x-amz-target": "DynamoDB_20120810.ListTables",
        }
        names = tuple(sorted(headers))
        claim = sigv4.Claim(
            settings.lake_access_key_id or "", stamp[:8], settings.region, "dynamodb", names, ""
        )
        signature = sigv4.signature(
            claim,
            settings.lake_secret_access_key.get_secret_value(),
            method="POST",
            path="/",
            query="",
            headers=headers,
            body=b"{}",
        )
        if signed:
            headers["Authorization"] = (
                f"AWS4-HMAC-SHA256 Credential={claim.key_id}/{claim.day}/{claim.region}/dynamodb/"
                f"aws4_request, SignedHeaders={';'.join(names)}, Signature={signature}"
            )
        return urllib.request.Request(self.url(), data=b"{}", headers=headers)  # noqa: S310
