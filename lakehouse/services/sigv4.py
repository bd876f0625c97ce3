"""AWS Signature Version 4: who signed a request, when, and what the signature must be.

Standard library only: it also runs in the emulator's environment.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

ALLOWED_SKEW = timedelta(minutes=15)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/,\s]+)/(\d{8})/([\w-]+)/([\w-]+)/aws4_request,\s*"
    r"SignedHeaders=([\w;-]+),\s*Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Claim:
    """What an ``Authorization`` header says of itself."""

    key_id: str
    day: str
    region: str
    service: str
    names: tuple[str, ...]
    """Headers that are signed."""
    signature: str


def claim(authorization: str) -> Claim | None:
    """What the header says; None where it is no signature."""
    match = _AUTHORIZATION.fullmatch(authorization)
    if match is None:
        return None
    key_id, day, region, service, signed, signature = match.groups()
    return Claim(key_id, day, region, service, tuple(signed.split(";")), signature)


def is_recent(stamp: str, day: str, now: datetime) -> bool:
    """Whether ``X-Amz-Date`` belongs to the signature's day and to these minutes."""
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return stamp.startswith(day) and abs(now - signed_at) <= ALLOWED_SKEW


def signature(
    claimed: Claim,
    secret: str,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> str:
    """The signature that these parts of a request must have; ``path`` and ``query`` as sent.

    Header names are in lower case. S3's senders state the body's digest themselves, as they may
    leave the body unsigned.
    """
    pairs = sorted(parse_qsl(query, keep_blank_values=True))
    canonical_query = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in pairs)
    signed = "".join(
        f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in claimed.names
    )
    digest = headers.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    if claimed.service != "s3":
        path = quote(path, safe="/~")
    lines = (method, path or "/", canonical_query, signed, ";".join(claimed.names), digest)
    canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = f"{claimed.day}/{claimed.region}/{claimed.service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{headers.get('x-amz-date', '')}\n{scope}\n{canonical}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest()
