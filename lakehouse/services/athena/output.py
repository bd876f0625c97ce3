"""Result files on the lake's S3."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lakehouse.services.athena.aws_error import invalid_request

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Output:
    """Puts files where clients look for them."""

    def __init__(self, s3: S3Client) -> None:
        self._s3 = s3
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def require(self, location: str) -> None:
        """Refuse a bucket that isn't there; asked once a bucket.

        Raises:
            AwsError: it isn't, or can't be asked.

        """
        from botocore.exceptions import BotoCoreError, ClientError

        bucket = urlsplit(location).netloc
        with self._lock:
            if bucket in self._seen:
                return
        try:
            self._s3.head_bucket(Bucket=bucket)
        except (BotoCoreError, ClientError):
            raise invalid_request(f"Unable to verify/create output bucket {bucket}") from None
        with self._lock:
            self._seen.add(bucket)

    def put(self, path: Path, location: str) -> None:
        """Upload a file, in parts where it is large."""
        place = urlsplit(location)
        self._s3.upload_file(str(path), place.netloc, place.path.lstrip("/"))
