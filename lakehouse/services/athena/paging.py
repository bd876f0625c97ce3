"""Lists in pages: MaxResults and NextToken, as all three services have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from lakehouse.services.athena.aws_error import invalid_request

T = TypeVar("T")


class Pages:
    """How much of a list one call asks for."""

    def __init__(self, body: Mapping[str, Any], most: int) -> None:
        self._size = min(int(body.get("MaxResults") or most), most)
        token = body.get("NextToken") or "0"
        if not str(token).isdigit():
            raise invalid_request("Invalid NextToken", "INVALID_INPUT")
        self._start = int(token)

    def cut(self, everything: Sequence[T]) -> tuple[list[T], dict[str, str]]:
        """This page, and what the answer says of the next one: nothing at the end."""
        end = self._start + self._size
        token = {"NextToken": str(end)} if end < len(everything) else {}
        return list(everything[self._start : end]), token
