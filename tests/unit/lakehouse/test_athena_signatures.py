"""Signatures: made by botocore, verified by the gateway."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from lakehouse.services.athena.aws_error import AwsError
from lakehouse.services.athena.signatures import Request, verify

KEY, SECRET = "lake-key", "lake-secret"


def signed(body: bytes = b"{}", query: str = "", secret: str = SECRET) -> Request:
    url = "http://127.0.0.1:18082/" + (f"?{query}" if query else "")
    request = AWSRequest("POST", url, {"X-Amz-Target": "AmazonAthena.ListDatabases"}, body)
    SigV4Auth(Credentials(KEY, secret), "athena", "us-east-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request("POST", "/", query, {"host": "127.0.0.1:18082", **headers}, body)


def with_headers(request: Request, **headers: str) -> Request:
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "/", request.query, {**request.headers, **changed}, request.body)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.mark.parametrize("query", ["", "b=2&a=1%20%2F", "a="])
def test_what_botocore_signs_is_let_in(query: str) -> None:
    assert verify(signed(query=query), KEY, SECRET, now()) == "athena"


@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "/", "", signed().headers, b'{"a": 1}'),
        with_headers(signed(), x_amz_target="AmazonAthena.StopQueryExecution"),
        with_headers(signed(), host="127.0.0.1:1"),
        Request("POST", "/", "a=1", signed().headers, b"{}"),
        signed(secret="another"),
    ],
    ids=["body", "header", "host", "query", "secret"],
)
def test_what_was_changed_or_forged_is_not(request_: Request) -> None:
    with pytest.raises(AwsError) as refused:
        verify(request_, KEY, SECRET, now())
    assert refused.value.code == "InvalidSignatureException"


@pytest.mark.parametrize("authorization", ["", "Bearer x", "AWS4-HMAC-SHA256 Credential=a/b"])
def test_a_request_without_a_signature(authorization: str) -> None:
    with pytest.raises(AwsError) as refused:
        verify(with_headers(signed(), authorization=authorization), KEY, SECRET, now())
    assert refused.value.code == "MissingAuthenticationTokenException"


def test_an_unknown_key() -> None:
    with pytest.raises(AwsError) as refused:
        verify(signed(), "another-key", SECRET, now())
    assert refused.value.code == "UnrecognizedClientException"


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_old_request_is_not_replayed(hours: int) -> None:
    with pytest.raises(AwsError, match="Signature expired"):
        verify(signed(), KEY, SECRET, now() + timedelta(hours=hours))
