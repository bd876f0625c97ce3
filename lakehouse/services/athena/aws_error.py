"""An error as AWS answers it."""

from __future__ import annotations


class AwsError(Exception):
    """``code`` is the error's type in AWS's own words; ``status`` the HTTP status it comes with."""

    def __init__(self, code: str, message: str, *, status: int = 400, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason
        """Athena's finer code (``AthenaErrorCode``), where it gives one."""


def invalid_request(message: str, reason: str = "") -> AwsError:
    """What Athena answers to a call that it doesn't take."""
    return AwsError("InvalidRequestException", message, reason=reason)


class QueryRefused(Exception):
    """A query that was taken and then fails: ``name`` is the engine's error name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


def unknown_to_us(what: str) -> QueryRefused:
    """For what Athena may well take, but this gateway doesn't translate."""
    return QueryRefused("NOT_SUPPORTED", f"{what} is not known to this local Athena")
