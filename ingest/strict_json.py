"""JSON as RFC 8259 means it: one reading for every text, or none.

Python's decoder takes NaN, keeps the last of equal keys and rounds numbers; this one refuses the
first two and keeps a number as it was written.
"""

from __future__ import annotations

import json
from typing import Any


class Number(str):
    """A number as it was written; never rounded, and no ordinary string."""

    __slots__ = ()


class Problem(Exception):
    """Why a record can't be taken: the field (a path; empty for the whole) and the reason."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class RepeatedKey(Problem):
    """An object names a key twice."""

    def __init__(self, key: str) -> None:
        # A key may be no text that can be stored: a lone surrogate.
        shown = key[:60].encode("utf-8", "backslashreplace").decode()
        super().__init__(shown, "key given twice")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RepeatedKey(key)
            seen.add(key)
    return found


def _refuse_constant(text: str) -> Any:
    raise Problem("", f"{text} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=Number,
    parse_int=Number,
    parse_constant=_refuse_constant,
)


def decode(raw: bytes) -> Any:
    """One JSON value; numbers come as :class:`Number`.

    Raises:
        Problem: not exactly one strict JSON value in UTF-8.

    """
    try:
        return _decoder.decode(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Problem("", f"not UTF-8 (byte {error.start + 1} of the record)") from None
    except json.JSONDecodeError as error:
        raise Problem("", f"not JSON: {error.msg} (character {error.pos + 1})") from None
    except RecursionError:
        raise Problem("", "nested too deep") from None
