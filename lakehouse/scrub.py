"""Takes what identifies a person out of free text. Pure: text in, text out.

Found: e-mail addresses, phone numbers, card, account and social insurance numbers, postal codes and
customer ids. Numbers that carry check digits are recognised by them, wherever they stand; numbers
without need a word beside them that says what they are ("account", "customer"). Not found: names,
street addresses, digits spelled as words. ``scrub(scrub(text)) == scrub(text)``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

Span = tuple[int, int, str]

_SEPARATOR = r"[ .\-/_()]{0,3}"
_RUN = re.compile(rf"\+?\d(?:{_SEPARATOR}\d)*")
_GROUP = re.compile(r"\d+")
_FEWEST_DIGITS = 7
"""Of any number below but postal codes and customer ids."""
_SIN_SHAPES = ((9,), (3, 3, 3), (1,) * 9)

_EMAIL = re.compile(
    r"[\w.%+'\-]{1,64}\s?@\s?[\w\-]{1,63}(?:\.[\w\-]{1,63})+"
    r"|[\w.+\-]{1,64}\s{0,3}(?:\(at\)|\[at\]|\{at\}|\bat\b)\s{0,3}[\w\-]{1,63}"
    r"(?:\s{0,3}(?:\(dot\)|\[dot\]|\{dot\}|\bdot\b)\s{0,3}[\w\-]{1,63})+",
    re.IGNORECASE,
)
# Where one begins; the words after it look like further groups, so the check digits tell its end.
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?= ?[A-Z0-9]{4})", re.IGNORECASE)
_IBAN_LENGTHS = range(15, 35)
# Transit (5), institution (3), account (7 to 12): how a Canadian cheque writes it.
_CHEQUE = re.compile(r"(?<!\d)\d{5}[ \-]\d{3}[ \-]\d{7,12}(?!\d)")
_SAYS = r"(?:\s*(?:numbers?|num|no|nr|id|is|was|ending|#|№|[:.=\"'\-]))*\s*"
_ACCOUNT = re.compile(
    rf"\b(?:accounts?|accts?|comptes?|iban|transit|chequing|savings|cards?|cartes?|visa|mastercard"
    rf"|debit|pan)\b{_SAYS}(?P<number>\d(?:[ \-]?\d){{6,20}})(?!\d)",
    re.IGNORECASE,
)
_SIN = re.compile(
    rf"\b(?:sin|nas|social insurance|social security|ssn)\b{_SAYS}"
    r"(?P<number>\d{3}[ .\-]?\d{2,3}[ .\-]?\d{3,4})(?!\d)",
    re.IGNORECASE,
)
_NORTH_AMERICAN_PHONE = re.compile(
    r"(?<![\d.])(?:\+?1[ .\-]{0,2})?(?:\(\d{3}\)[ .\-]{0,2}|\d{3}[ .\-])\d{3}[ .\-]\d{4}(?![\d])"
)
_SAID_PHONE = re.compile(
    rf"\b(?:phone|telephone|tel|cell|mobile|call me|text me|reach me|fax)\b"
    rf"(?:\s*(?:at|on|me))?{_SAYS}(?P<number>\+?\d(?:[ .\-()]{{0,2}}\d){{6,14}})(?!\d)",
    re.IGNORECASE,
)
_POSTAL_CODE = re.compile(
    r"(?<![A-Z0-9])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][ \-]{0,2}"
    r"\d[ABCEGHJ-NPRSTV-Z]\d(?![A-Z0-9])"
    r"|(?<![\d\-])\d{5}-\d{4}(?![\d\-])"
    r"|\bzip(?: code)?\W{0,3}\d{5}(?!\d)",
    re.IGNORECASE,
)
_CUSTOMER_ID = re.compile(
    r"\b(?:customer|client|cust|member|user)s?[ _\-]*(?:id|numbers?|num|no|nr|#|№)"
    r"(?:\s*(?:is|was|[#:.=\"'\-]))*\s*(?P<said>\d+)"
    r"|\bcustomer\s+#?(?P<bare>\d+)\b"
    r"(?!\s*(?:years?|times?|days?|weeks?|months?|minutes?|hours?|dollars?|people|%|,\d|\.\d))"
    r"|\bmy (?:id|number)(?:\s*(?:is|was|[#:=]))*\s*(?P<mine>\d+)"
    r"|·\s*#(?P<label>\d+)",
    re.IGNORECASE,
)


def scrub(text: str) -> str:
    """``text`` with every identifying part replaced by its kind in brackets: ``[phone]``."""
    while True:
        # What was cut at a replaced part may identify somebody by itself.
        found = _once(text)
        if found == text:
            return text
        text = found


def _once(text: str) -> str:
    plain, origin = _plain(text)
    pieces: list[str] = []
    position = 0
    for start, end, kind in _without_overlaps(_spans(plain)):
        pieces += [text[position : origin[start]], f"[{kind}]"]
        position = origin[end - 1] + 1
    if not pieces:
        return text
    return "".join([*pieces, text[position:]])


def _plain(text: str) -> tuple[str, range | list[int]]:
    """``text`` as the patterns expect it, and for each of its characters the place in ``text``.

    Other scripts' digits, wide letters, typographic dashes and blanks read as ASCII; invisible
    characters, with which numbers are cut apart, are left out.
    """
    if text.isascii() and text.isprintable():
        return text, range(len(text))
    characters: list[str] = []
    origin: list[int] = []
    for index, character in enumerate(text):
        category = unicodedata.category(character)
        if category == "Nd":
            plain = str(unicodedata.decimal(character))
        elif category == "Pd" or character == "\u2212":
            plain = "-"
        elif category in ("Zs", "Zl", "Zp"):
            plain = " "
        elif category in ("Cf", "Mn") or (category == "Cc" and character not in "\n\r\t"):
            continue
        else:
            folded = unicodedata.normalize("NFKC", character)
            plain = folded if len(folded) == 1 else character
        characters.append(plain)
        origin.append(index)
    return "".join(characters), origin


def _spans(text: str) -> Iterator[Span]:
    """Every identifying part, the surest kind first."""
    # Most complaints hold nothing of the kind: what can't be there isn't looked for.
    if "@" in text or "dot" in text.lower():
        for match in _EMAIL.finditer(text):
            yield *match.span(), "e-mail"
    digits = sum(map(str.isdigit, text))
    if not digits:
        return
    for match in _POSTAL_CODE.finditer(text):
        yield *match.span(), "postal code"
    yield from _account_spans(text)
    if digits >= _FEWEST_DIGITS:
        yield from _checked_number_spans(text)
        for match in _SIN.finditer(text):
            yield *match.span("number"), "SIN"
        yield from _phone_spans(text)
        for match in _ACCOUNT.finditer(text):
            yield *match.span("number"), "account"
    for match in _CUSTOMER_ID.finditer(text):
        yield *match.span(match.lastgroup or 0), "customer id"


def _account_spans(text: str) -> Iterator[Span]:
    for match in _IBAN.finditer(text):
        if end := _iban_end(text, match.start()):
            yield match.start(), end, "account"
    for match in _CHEQUE.finditer(text):
        yield *match.span(), "account"


def _iban_end(text: str, start: int) -> int | None:
    """Where the longest valid IBAN that begins at ``start`` ends, at a word's end."""
    from stdnum import iban

    characters = ""
    found = None
    for position in range(start, min(len(text), start + 2 * _IBAN_LENGTHS.stop)):
        character = text[position]
        if character.isascii() and character.isalnum():
            characters += character
            if len(characters) not in _IBAN_LENGTHS or text[position + 1 : position + 2].isalnum():
                continue
            if iban.is_valid(characters, check_country=False):
                found = position + 1
        elif character != " " or text[position - 1] == " ":
            break
    return found


def _checked_number_spans(text: str) -> Iterator[Span]:
    """Cards and social insurance numbers: runs of digit groups whose check digit fits."""
    from stdnum import luhn

    for run in _RUN.finditer(text):
        groups = list(_GROUP.finditer(text, *run.span()))
        for first, start in enumerate(groups):
            digits = ""
            shape: tuple[int, ...] = ()
            for group in groups[first:]:
                digits += group.group()
                shape += (len(group.group()),)
                if len(digits) > 19:
                    break
                if len(digits) >= 13 and digits[0] in "23456" and luhn.is_valid(digits):
                    yield start.start(), group.end(), "card"
                elif shape in _SIN_SHAPES and luhn.is_valid(digits):
                    yield start.start(), group.end(), "SIN"


def _phone_spans(text: str) -> Iterator[Span]:
    for match in _NORTH_AMERICAN_PHONE.finditer(text):
        yield *match.span(), "phone"
    for match in _SAID_PHONE.finditer(text):
        yield *match.span("number"), "phone"
    if any(sum(map(str.isdigit, run.group())) >= 7 for run in _RUN.finditer(text)):
        import phonenumbers

        for found in phonenumbers.PhoneNumberMatcher(text, "CA"):
            yield found.start, found.end, "phone"


def _without_overlaps(spans: Iterator[Span]) -> list[Span]:
    """The spans, those that overlap as one, of the kind that was found first.

    A card number after another number: some of the digits of both may pass for a card as well, and
    if only those went, the rest of the real one would stay.
    """
    kept: list[Span] = []
    for start, end, kind in spans:
        apart = []
        for other in kept:
            if end <= other[0] or other[1] <= start:
                apart.append(other)
            else:
                start, end, kind = min(start, other[0]), max(end, other[1]), other[2]
        kept = [*apart, (start, end, kind)]
    return sorted(kept)
