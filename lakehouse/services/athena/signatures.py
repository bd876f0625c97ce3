"""AWS Signature Version 4 of a request, verified with the lake's key."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from lakehouse.services import sigv4
from lakehouse.services.athena.aws_error import AwsError


@dataclass(frozen=True)
class Request:
    """The parts of an HTTP request that are signed; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def verify(request: Request, access_key_id: str, secret: str, now: datetime) -> str:
    """The service that the request was signed for.

    Raises:
        AwsError: it isn't signed, or not with this key, or not now; in AWS's words.

    """
    claimed = sigv4.claim(request.headers.get("authorization", ""))
    if claimed is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    if not hmac.compare_digest(claimed.key_id.encode(), access_key_id.encode()):
        raise AwsError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    stamp = request.headers.get("x-amz-date", "")
    if not sigv4.is_recent(stamp, claimed.day, now):
        raise AwsError(
            "InvalidSignatureException", f"Signature expired: {stamp} is too far from {now:%FT%TZ}"
        )
    if "host" not in claimed.names or "x-amz-date" not in claimed.names:
        raise AwsError("InvalidSignatureException", "'Host' and 'X-Amz-Date' must be signed.")
    # Only S3 may leave its body unsigned.
    headers = {k: v for k, v in request.headers.items() if k != "x-amz-content-sha256"}
    expected = sigv4.signature(
        claimed,
        secret,
        method=request.method,
        path=request.path,
        query=request.query,
        headers=headers,
        body=request.body,
    )
    if not hmac.compare_digest(expected, claimed.signature):
        raise AwsError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )
    return claimed.service
