"""The HTTP face: JSON 1.1 for Athena and Glue, the query protocol for STS, signatures for all."""

from __future__ import annotations

import json
import logging
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from lakehouse.services.athena import signatures
from lakehouse.services.athena.api import Athena
from lakehouse.services.athena.aws_error import AwsError, QueryRefused
from lakehouse.services.athena.engine import Engine
from lakehouse.services.athena.glue import ACCOUNT, Glue

MAX_BODY = 2 * 1024 * 1024
"""Bytes: a query of 262,144 characters, each escaped as ``\\u0000``, and its surroundings."""

log = logging.getLogger(__name__)


class Face:
    """Takes a request apart, has it answered, and puts the answer into AWS's form."""

    def __init__(self, athena: Athena, glue: Glue, access_key_id: str, secret: str) -> None:
        self._athena, self._glue = athena, glue
        self._access_key_id, self._secret = access_key_id, secret

    def answer(self, request: signatures.Request) -> Response:
        """The answer to one signed call."""
        target = request.headers.get("x-amz-target", "")
        if not target:
            return self._sts(request)
        try:
            self._verify(request)
            body = self._dispatch(target, request.body)
        except AwsError as error:
            fine = {"AthenaErrorCode": error.reason} if error.reason else {}
            body = {"__type": error.code, "message": error.message, **fine}
            return _json(body, error.status)
        return _json(body, 200)

    def _dispatch(self, target: str, raw: bytes) -> dict[str, Any]:
        prefix, _, action = target.partition(".")
        services: dict[str, Athena | Glue] = {"AmazonAthena": self._athena, "AWSGlue": self._glue}
        if prefix not in services:
            raise AwsError("UnknownOperationException", f"{target} is not known here")
        try:
            body = json.loads(raw or b"{}")
            if not isinstance(body, dict):
                raise ValueError
        except ValueError:
            raise AwsError("SerializationException", "the body is not a JSON object") from None
        try:
            return services[prefix].answer(action, body)
        except KeyError as error:
            raise AwsError("InvalidRequestException", f"{error.args[0]} is required") from None
        except QueryRefused as refused:
            raise AwsError("InvalidInputException", str(refused)) from None
        except AwsError:
            raise
        except Exception as error:  # noqa: BLE001 - an answer in AWS's form, whatever happened
            log.error("%s: %s", action, type(error).__name__)
            raise AwsError(
                "InternalServerException", f"{action}: {type(error).__name__}", status=500
            ) from None

    def _sts(self, request: signatures.Request) -> Response:
        action = parse_qs(request.body.decode("utf-8", "replace")).get("Action", ["?"])[0]
        try:
            self._verify(request)
            if action != "GetCallerIdentity":
                raise AwsError("InvalidAction", f"STS {action} is not known to this local Athena")
        except AwsError as error:
            return Response(_xml_error(error), 400, media_type="text/xml")
        return Response(_IDENTITY, media_type="text/xml")

    def _verify(self, request: signatures.Request) -> None:
        signatures.verify(request, self._access_key_id, self._secret, datetime.now(UTC))


def create_app(face: Face, engine: Engine, glue: Glue) -> FastAPI:
    """The web service; ``/health`` answers only while engine and catalog do."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/health")
    def health() -> dict[str, Any]:
        engine.ping()
        return {"databases": len(glue.databases())}

    @app.post("/")
    async def call(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                too_large = AwsError("RequestEntityTooLargeException", "the request is too large")
                return _json({"__type": too_large.code, "message": too_large.message}, 413)
        signed = signatures.Request(
            "POST", "/", request.url.query, dict(request.headers), bytes(body)
        )
        return await run_in_threadpool(face.answer, signed)

    return app


def _json(body: dict[str, Any], status: int) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if "__type" in body:
        headers["x-amzn-ErrorType"] = body["__type"]
    content = json.dumps(body, ensure_ascii=False).encode()
    return Response(content, status, headers, media_type="application/x-amz-json-1.1")


_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_IDENTITY = (
    f'<GetCallerIdentityResponse xmlns="{_NAMESPACE}"><GetCallerIdentityResult>'
    f"<Arn>arn:aws:iam::{ACCOUNT}:user/discover</Arn><UserId>discover</UserId>"
    f"<Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
    "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)


def _xml_error(error: AwsError) -> str:
    return (
        f'<ErrorResponse xmlns="{_NAMESPACE}"><Error><Type>Sender</Type>'
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message></Error>"
        "<RequestId>local</RequestId></ErrorResponse>"
    )
