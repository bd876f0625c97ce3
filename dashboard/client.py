"""A small client of Superset's REST API: one account, one session, JSON in and out."""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any

from lakehouse.errors import DiscoverError, ServiceUnavailable, UsageError
from lakehouse.settings import Settings


class Refused(DiscoverError):
    """Superset answered with an error; ``status`` is its HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, "see the log: superset.log in the home's logs")
        self.status = status


class Superset:
    """Superset as seen by one account, or by a guest once :meth:`be_guest` was called."""

    def __init__(self, url: str, *, timeout: float = 60) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._headers: dict[str, str] = {}
        self._start_session()

    def log_in(self, name: str, password: str) -> None:
        """Take this account's rights for all that follows.

        Raises:
            Refused: unknown account or wrong password.
            ServiceUnavailable: nothing answers.

        """
        # A kept session cookie would speak for whoever was logged in before.
        self._start_session()
        account = {"username": name, "password": password, "provider": "db"}
        token = self.post("/api/v1/security/login", account)["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self.take_csrf_token()

    def be_guest(self, token: str) -> None:
        """Take the rights of a guest token, as the embedded dashboard does."""
        self._start_session()
        self._headers = {"X-GuestToken": token}

    def take_csrf_token(self) -> None:
        """Get the token that Superset wants with most changes."""
        token = self.get("/api/v1/security/csrf_token/")["result"]
        self._headers |= {"Referer": self.url, "X-CSRFToken": token}

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The JSON object at ``path``."""
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        return self._send(self._request(f"{path}{suffix}"))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON; the JSON object that comes back."""
        request = self._request(path, json.dumps(body).encode())
        request.add_header("Content-Type", "application/json")
        return self._send(request)

    def post_form(
        self, path: str, fields: Mapping[str, str], files: Mapping[str, bytes] | None = None
    ) -> dict[str, Any]:
        """Post a multipart form; the JSON object that comes back."""
        boundary = uuid.uuid4().hex
        parts = []
        for name, text in fields.items():
            head = f'Content-Disposition: form-data; name="{name}"'
            parts.append(f"--{boundary}\r\n{head}\r\n\r\n{text}\r\n".encode())
        for name, content in (files or {}).items():
            head = f'Content-Disposition: form-data; name="{name}"; filename="{name}.zip"'
            kind = "Content-Type: application/zip"
            parts.append(f"--{boundary}\r\n{head}\r\n{kind}\r\n\r\n".encode() + content + b"\r\n")
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        request = self._request(path, body)
        request.add_header("Content-Type", f"multipart/form-data; boundary={boundary}")
        return self._send(request)

    def _request(self, path: str, body: bytes | None = None) -> urllib.request.Request:
        if not self.url.startswith(("http://", "https://")):
            raise UsageError(f"Superset's address {self.url!r}", "set DISCOVER_SUPERSET_URL")
        return urllib.request.Request(f"{self.url}{path}", data=body)  # noqa: S310 - checked above

    def _start_session(self) -> None:
        self._headers = {}
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        # No proxy: the session must go where the settings say and nowhere else.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def _send(self, request: urllib.request.Request) -> dict[str, Any]:
        for name, value in self._headers.items():
            request.add_header(name, value)
        request.add_header("Accept", "application/json")
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, f"Superset: {_reason(error)}") from None
        except (OSError, json.JSONDecodeError):
            raise ServiceUnavailable(
                f"Superset does not answer at {self.url}", "run: discover dashboard up"
            ) from None
        return answer


def as_account(settings: Settings, name: str) -> Superset:
    """A session of ``admin`` (everything) or ``embed`` (guest tokens only).

    Raises:
        ServiceUnavailable: Superset doesn't answer.

    """
    passwords = {
        "admin": settings.superset_admin_password,
        "embed": settings.superset_service_password,
    }
    superset = Superset(settings.superset_url)
    superset.log_in(name, passwords[name].get_secret_value())
    return superset


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        answer = json.load(error)
    except (OSError, json.JSONDecodeError, UnicodeDecodeError):
        return f"HTTP {error.code}"
    message = answer.get("message") or answer.get("errors") or answer.get("error") or answer
    return f"HTTP {error.code}: {json.dumps(message)[:600]}"
