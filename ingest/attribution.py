"""The customer whom a refused credit record names, read from its text. No other value is taken.

A wrong customer would be worse than none. So the text must name exactly one id wherever the key
occurs, one of them as a key of the record itself and not of a part such as a co-borrower. It must
be clear where the id ends: ``1,234`` isn't customer 1, and a record cut after ``"customer_id": 20``
may be customer 201's.
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

_IS_KEY = re.compile(r"""\{ \s* ["']? \s* \Z | [,;\d\]}"'] \s* ["'] \s* \Z""", re.VERBOSE)
"""Before a key: an object begins, or a quote opens that isn't the quote of a value."""
_BEFORE = re.compile(r"""[\s\[(,"'\ufeff]*""")
_WRAPPERS = re.compile(
    rf"""{_BEFORE.pattern} (?: \{{ \s* ["']? \w+ ["']? \s* [:=] [\s\["']* )*""", re.VERBOSE
)
_AFTER = re.compile(r"""[\s\])},;"']*""")
_OTHER_KEYS = re.compile(r"credit_score|delinquencies|outstanding_loans")

_ESCAPED_LETTER = re.compile(r"\\u00([4-7][0-9a-f])", re.IGNORECASE)


def named_customer(raw: bytes) -> int | None:
    """The one customer whom a refused record names; None where it names none, or several."""
    text = raw.decode("utf-8", "replace")
    text = _ESCAPED_LETTER.sub(lambda code: chr(int(code[1], 16)), text)
    # A record delivered as a string has escaped quotes.
    text = text.replace('\\"', '"')
    keys = list(_KEY.finditer(text))
    found = {_id_after(text, key.end()) for key in keys}
    # A record has its id once, or a few times by mistake; looking at each takes time.
    if len(found) != 1 or len(keys) > 20 or not any(_is_own(text, key.start()) for key in keys):
        return None
    return found.pop()


def _is_own(text: str, position: int) -> bool:
    """Whether a key there belongs to the record itself, which may be wrapped in other objects."""
    opened: list[int] = []
    for brace in re.finditer(r"[{}]", text[:position]):
        if brace[0] == "{":
            opened.append(brace.start())
        elif opened:
            opened.pop()
    if not opened or not _IS_KEY.search(text, opened[-1], position):
        return False
    before, (record, after) = text[: opened[-1]], _object(text[opened[-1] :])
    if _AFTER.fullmatch(after) is None:
        return False
    if _BEFORE.fullmatch(before):
        return True
    return bool(_WRAPPERS.fullmatch(before) and _OTHER_KEYS.search(record))


def _object(text: str) -> tuple[str, str]:
    """The object that a text begins with, as far as it goes, and what follows it."""
    depth = 0
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[: brace.end()], text[brace.end() :]
    return text, ""


def _id_after(text: str, position: int) -> int | None:
    value = _VALUE.match(text, position)
    if value is None:
        return None
    written = value["plain"] or value["listed"] or value["wrapped"]
    number = Decimal(written.strip("\"'").strip())
    if not 1 <= number <= LARGEST_ID or number != int(number):
        return None
    return int(number)
