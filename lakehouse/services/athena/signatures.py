"""AWS Signature Version 4 of a request, verified with the lake's key."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from lakehouse.services.athena.aws_error import AwsError

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([\w-]+)/(\w+)/aws4_request,\s*"
    r"SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})"
)
_ALLOWED_SKEW = timedelta(minutes=15)


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
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if match is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    key_id, day, region, service, signed, signature = match.groups()
    if not hmac.compare_digest(key_id.encode(), access_key_id.encode()):
        raise AwsError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    stamp = request.headers.get("x-amz-date", "")
    _require_recent(stamp, day, now)
    scope = f"{day}/{region}/{service}/aws4_request"
    names = signed.split(";")
    if "host" not in names or "x-amz-date" not in names:
        raise AwsError("InvalidSignatureException", "'Host' and 'X-Amz-Date' must be signed.")
    canonical = _canonical(request, names)
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    expected = hmac.new(key, to_sign.encode(), "sha256").hexdigest()
    if not hmac.compare_digest(expected, signature):
        raise AwsError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )
    return service


def _require_recent(stamp: str, day: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        signed_at = datetime.min.replace(tzinfo=UTC)
    if not stamp.startswith(day) or abs(now - signed_at) > _ALLOWED_SKEW:
        raise AwsError(
            "InvalidSignatureException", f"Signature expired: {stamp} is too far from {now:%FT%TZ}"
        )


def _canonical(request: Request, names: list[str]) -> bytes:
    pairs = sorted(parse_qsl(request.query, keep_blank_values=True))
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names
    )
    digest = hashlib.sha256(request.body).hexdigest()
    lines = (request.method, request.path or "/", query, headers, ";".join(names), digest)
    return "\n".join(lines).encode()
