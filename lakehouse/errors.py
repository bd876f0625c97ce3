"""The ways in which a command can end, each with its exit code."""

from __future__ import annotations


class DiscoverError(Exception):
    """A failure that a user can act on: ``message`` says what happened, ``fix`` what to do."""

    exit_code = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} — {self.fix}" if self.fix else self.message


def in_one_line(error: Exception) -> str:
    """What an error that nobody foresaw says: its type, and the first line of its message."""
    said = str(error).strip()
    return f"{type(error).__name__}: {said.splitlines()[0] if said else 'no message'}"


class UsageError(DiscoverError):
    """The command's words are off."""

    exit_code = 2


class InputRejected(DiscoverError):
    """Delivered data broke its contract beyond what may be set aside."""

    exit_code = 3


class GateFailed(DiscoverError):
    """A quality check failed; nothing was published."""

    exit_code = 4


class ServiceUnavailable(DiscoverError):
    """A service does not answer; ``fix`` names the command that starts it."""

    exit_code = 5
