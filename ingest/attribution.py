"""The customer whom a refused credit record names, read from its text. No other value is taken.

A wrong customer would be worse than none. So the text must name exactly one id wherever the key
occurs, and it must be clear where the id ends: ``1,234`` isn't customer 1, and a record cut after
``"customer_id": 20`` may be customer 201's.
"""

from __future__ import annotations

import re
from decimal import Decimal

from ingest.sources.contract import LARGEST_ID

_KEY = re.compile(
    r"""
    (?<!\w)                      # not old_customer_id
    (?: customer[_ -]?id
      | customer ["']? \s* : \s* \{ \s* ["']? id
    )
    (?!\w)                       # not customer_id_type
    """,
    re.VERBOSE | re.IGNORECASE,
)

_NUMBER = r"\+? [0-9]{1,20} (?: \.[0-9]{1,20} )? (?: e [+-]? [0-9]{1,2} )?"
_ENDED = r"(?= \s* (?: [,;] (?! \s* [0-9.] ) | [}\]] ) | \s+ [\"'] )"
_ID = rf""" (?: {_NUMBER} {_ENDED} | " \s* {_NUMBER} \s* " | ' \s* {_NUMBER} \s* ' ) """
_VALUE = re.compile(
    rf"""
    \s* ["']? \s* [:=] \s*
    (?: (?P<plain> {_ID} )
      | \[ \s* (?P<listed> {_ID} ) \s* \]
      | \{{ \s* ["']? (?: value | id | \$number(?:int|long) ) ["']? \s* : \s*
        (?P<wrapped> {_ID} ) \s* \}}
    )
    """,
    re.VERBOSE | re.IGNORECASE,
)

_ESCAPED_ASCII = re.compile(r"\\u00([0-7][0-9a-f])", re.IGNORECASE)


def named_customer(raw: bytes) -> int | None:
    """The one customer whom a refused record names; None where it names none, or several."""
    text = raw.decode("utf-8", "replace")
    text = _ESCAPED_ASCII.sub(lambda code: chr(int(code[1], 16)), text)
    # A record delivered as a string has escaped quotes.
    text = text.replace('\\"', '"')
    found = {_id_after(text, key.end()) for key in _KEY.finditer(text)}
    return found.pop() if len(found) == 1 else None


def _id_after(text: str, position: int) -> int | None:
    value = _VALUE.match(text, position)
    if value is None:
        return None
    written = value["plain"] or value["listed"] or value["wrapped"]
    number = Decimal(written.strip("\"'").strip())
    if not 1 <= number <= LARGEST_ID or number != int(number):
        return None
    return int(number)
