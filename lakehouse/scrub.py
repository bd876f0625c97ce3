"""Takes what identifies a person out of free text. Pure: text in, text out.

Found: e-mail addresses, phone numbers, card, account and social insurance numbers, postal codes and
customer ids. Numbers that carry check digits are recognised by them, in the groups in which people
write them; numbers without need a word beside them that says what they are ("account", "customer").
Not found: names, street addresses, digits spelled as words. UUIDs stay.
``scrub(scrub(text)) == scrub(text)``.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence

Span = tuple[int, int, str]

_CODED = re.compile(
    r"</?(?:[bipu]|br|em|strong|span|div|code|pre|font|t[drh]|li|[ou]l|sup|sub)"
    r"(?:\s(?:class|style)=[\"'][a-z :;\-]{0,60}[\"'])?\s*/?>"
    r"|&(?:#\d{1,6}|#x[0-9a-f]{1,5}|[a-z]{2,8});|%[0-9a-f]{2}|\\(?:u[0-9a-f]{4}|[bfnrt\"\\/])",
    re.IGNORECASE,
)
_MAYBE_CODED = re.compile(r"[<&%\\]")
# What is told by its form not to be anybody's number, and what was put in place of one. The latter
# holds words that would be taken to say what the next number is.
_SETTLED = re.compile(
    r"(?<![\w\-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w\-])"
    r"|(?<=\[)(?:e-mail|phone|card|account|SIN|postal code|customer id)(?=\])",
    re.IGNORECASE,
)

_SEPARATOR = r"[ .\-/_()]{0,3}"
_RUN = re.compile(rf"\+?\d(?:{_SEPARATOR}\d)*")
_GROUP = re.compile(r"\d+")
_FEWEST_DIGITS = 7
"""Of any number below but postal codes and customer ids."""
_SIN_SHAPES = ((9,), (3, 3, 3), (1,) * 9)
# Between the groups of one number; not what stands between amounts.
_APART = r"(?:[^\w$€£¥%]|_){1,5}"
_SPLIT_CARD = re.compile(rf"(?<!\d)\d{{4}}(?:{_APART}\d{{4,12}}){{1,3}}(?:{_APART}\d{{3}})?(?!\d)")
# No card begins with a year of ours.
_CARD_START = re.compile(r"[3-6]|2(?!0)")
_CARD_BRANDS = re.compile(
    r"4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|30[0-5]|3[689]|35|6011|62|64[4-9]|65"
)
_SPLIT_SIN = re.compile(
    r"(?<![\w,.\-$€£])(?:\d{3}[ \-]\d{6}|\d{6}[ \-]\d{3}|(?!19|20)\d{4} \d{5}|\d{3},\d{3},\d{3})"
    r"(?![\w\-]|[,.]\d|\s?[$€£%])"
)
_VERSION = re.compile(r"\b(?:version|release|build|v)\W{0,3}$", re.IGNORECASE)
# What begins like this has numbers of the same shapes, one in ten of them with a fitting digit.
_REFERENCE = re.compile(
    r"\b(?:ref(?:erence)?|ticket|order|case|transaction|confirmation|invoice|receipt|error|machine"
    r"|atm|branch|version|build|batch|file|serial|tracking|dossier|commande)s?\b"
    r"\W{0,3}(?:(?:numbers?|no|id|is|code)\b\W{0,3}){0,2}$",
    re.IGNORECASE,
)

_AT = r"(?:\s{0,3}(?:@|[(\[{<]\s?(?:at|@|arobase)\s?[)\]}>])\s{0,3}|\s{1,3}arobase\s{1,3})"
_BRACKETED_DOT = r"\s{0,3}[(\[{<]\s?(?:dot|point|\.)\s?[)\]}>]\s{0,3}"
_SAID_DOT = rf"(?:{_BRACKETED_DOT}|\s{{1,3}}dot\s{{1,3}})"
# After a blank behind it, a dot ends a sentence more often than a part of an address.
_DOT = (
    rf"(?:\.|{_SAID_DOT}|\s{{1,3}}point\s{{1,3}}"
    r"|\s{0,2}\.\s{0,2}(?=(?:com|ca|org|net|info|fr|uk)\b))"
)
_LOCAL_PART = rf"[\w.%+'\-]{{1,64}}(?:{_SAID_DOT}[\w.+\-]{{1,64}}){{0,3}}"
_LABEL = r"[\w\-]{1,63}"
_EMAIL = re.compile(
    rf"{_LOCAL_PART}{_AT}(?![\d.]+(?![\w.]))"
    rf"{_LABEL}(?:\s{{1,2}}\.\s{{0,2}}|{_DOT}){_LABEL}(?:{_DOT}{_LABEL})*"
    rf"|{_LOCAL_PART}\s{{1,3}}at\s{{1,3}}{_LABEL}(?:{_SAID_DOT}{_LABEL})+",
    re.IGNORECASE,
)
_MAYBE_EMAIL = re.compile(r"@|dot|arobase|[(\[{<]\s?at", re.IGNORECASE)
# Where one begins; the words after it look like further groups, so the check digits tell its end.
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?=[\s\-]?[A-Z0-9]{4})", re.IGNORECASE)
_IBAN_LENGTHS = range(15, 35)
# Transit (5), institution (3), account (7 to 12): how a Canadian cheque writes it.
_CHEQUE = re.compile(r"(?<!\d)\d{5}[ \-]\d{3}[ \-]\d{7,12}(?!\d)")
_SAYS = (
    r"(?:\s*(?:numbers?|numero|num|no|nr|n°|id|is|was|est|le|ending|#|№"
    r"|[:.=\"'\-()\[\]{}<>*`]))*\s*"
)
_DATE = re.compile(r"(?:19|20)\d\d-\d\d-\d\d(?!\d)")
_NO_DATE = rf"(?!{_DATE.pattern})"
_ACCOUNT = re.compile(
    rf"\b(?:accounts?|accts?|comptes?|iban|transit|chequing|savings|cards?|cartes?|visa|mastercard"
    rf"|debit|pan)\b{_SAYS}{_NO_DATE}(?P<number>\d(?:[ \-]?\d){{6,20}})(?!\d)",
    re.IGNORECASE,
)
_SIN = re.compile(
    rf"\b(?:sin|nas|social insurance|social security|ssn)\b{_SAYS}"
    r"(?P<number>\d(?:[\s.,\-/_]{0,2}\d){8})(?!\d)",
    re.IGNORECASE,
)
_NORTH_AMERICAN_PHONE = re.compile(
    r"(?<![\d.])(?:\+?1[ .\-]{0,2})?(?:\(\d{3}\)[\s.\-]{0,2}|\d{3}[ .\-])\d{3}[ .\-]\d{4}(?!\d)"
    # Over more than one line: not after or before what makes them amounts.
    r"|(?<![\d.,$])\(?[2-9]\d\d\)?[\s.\-]{1,3}[2-9]\d\d[\s.\-]{1,3}\d{4}(?![\d,]|\.\d)"
)
_SAID_PHONE = re.compile(
    rf"\b(?:phone|telephone|tel|cell|mobile|call|call me|text me|reach me|fax)\b"
    rf"(?:\s*(?:at|on|me))?{_SAYS}{_NO_DATE}"
    r"(?P<number>\d{3}\)?,\s?\d{3}[,\s.\-]{1,2}\d{4}|\+?\d(?:[ .\-()]{0,2}\d){6,14})(?!\d)",
    re.IGNORECASE,
)
_POSTAL_CODE = re.compile(
    r"(?<![A-Z0-9])[ABCEGHJ-NPRSTVXY]\d[ABCEGHJ-NPRSTV-Z][\s.,\-/_·]{0,6}"
    r"\d[ABCEGHJ-NPRSTV-Z]\d(?![A-Z0-9])"
    r"|(?<![\d\-])\d{5}-\d{4}(?![\d\-])"
    r"|\bzip(?: code)?\W{0,3}\d{5}(?!\d)",
    re.IGNORECASE,
)
_NO_COUNT = (
    r"(?!\s*(?:years?|yrs?|times?|days?|weeks?|months?|minutes?|hours?|dollars?|people|ans?\b|mois"
    r"|jours?|fois|accounts?|cards?|cad\b|bucks|[$€£%]|,\d|\.\d))"
)
_LONG_ID = rf"\d{{3,}}(?:[ \-](?!(?:19|20)\d\d\b)\d{{3,4}}\b{_NO_COUNT}){{0,3}}"
_ID = rf"(?:{_LONG_ID}|\d+)"
_CUSTOMER_ID = re.compile(
    r"\b(?:customer|client|cust|member|user)(?:'?s)?[ _\-]*(?:identification )?"
    rf"(?:ids?|numbers?|num|no|nr|n°|#|№){_SAYS}(?P<said>{_ID})"
    r"|(?<!\w)(?:numero|num|no|n°|id|identifiant)\.?\s*(?:de\s|du\s)?\s*(?:cliente?|membre)\b"
    rf"{_SAYS}(?P<dit>{_ID}\b){_NO_COUNT}"
    r"|\b(?:customer|client)(?: (?:code|file|ref))?[\s:=#(\[*\"'<]{1,4}(?!(?:19|20)\d\d\b)"
    rf"(?P<long>{_LONG_ID}\b){_NO_COUNT}"
    rf"|\bcustomer\s+#?(?P<bare>\d+)\b{_NO_COUNT}"
    rf"|\bmy (?:id|number)\b{_SAYS}(?P<mine>{_ID})"
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
    plain, starts, ends = _plain(text)
    pieces: list[str] = []
    position = 0
    for start, end, kind in _without_overlaps(_spans(plain)):
        pieces += [text[position : starts[start]], f"[{kind}]"]
        position = ends[end - 1]
    if not pieces:
        return text
    return "".join([*pieces, text[position:]])


def _plain(text: str) -> tuple[str, Sequence[int], Sequence[int]]:
    """``text`` as the patterns expect it, and where each of its characters begins and ends.

    Other scripts' digits, wide letters, typographic dashes and blanks read as ASCII; tags and
    escapes of HTML, URLs and JSON as what they stand for; invisible characters, with which numbers
    are cut apart, are left out. What is settled reads as letters that say nothing.
    """
    if text.isascii() and text.isprintable() and not _MAYBE_CODED.search(text):
        return _without_settled(text), range(len(text)), range(1, len(text) + 1)
    characters: list[str] = []
    places: list[tuple[int, int]] = []
    for character, start, end in _decoded(text):
        if plain_one := _plain_character(character):
            characters.append(plain_one)
            places.append((start, end))
    plain = _without_settled("".join(characters))
    return plain, [start for start, _ in places], [end for _, end in places]


def _without_settled(plain: str) -> str:
    if "-" not in plain and "[" not in plain:
        return plain
    return _SETTLED.sub(lambda settled: "x" * len(settled[0]), plain)


def _decoded(text: str) -> Iterator[tuple[str, int, int]]:
    """Each character of ``text`` with its place, tags and escapes as one."""
    position = 0
    for code in _CODED.finditer(text):
        for index in range(position, code.start()):
            yield text[index], index, index + 1
        position = code.start()
        if meant := _meant(code[0]):
            yield meant, *code.span()
            position = code.end()
    for index in range(position, len(text)):
        yield text[index], index, index + 1


def _meant(code: str) -> str | None:
    """The character that a tag or an escape stands for; None where it is none after all."""
    if code[0] == "<":
        return " "
    if code[0] == "&":
        meant = html.unescape(code)
        return meant if len(meant) == 1 else None
    if code[0] == "%":
        meant = chr(int(code[1:], 16))
        # "5%20" may be a rate as well: a digit is no escape's result, nor is a letter.
        return None if meant.isalnum() or not meant.isascii() else meant
    if code[1] in "uU":
        return chr(int(code[2:], 16))
    return code[1] if code[1] in '"\\/' else " "


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Pd" or character == "\u2212":
        return "-"
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category in ("Cf", "Mn") or (category == "Cc" and character not in "\n\r\t"):
        return ""
    # Without its accent: "numéro" is written either way.
    folded = unicodedata.normalize("NFKD", character)
    return folded[0] if len(folded) == 1 or unicodedata.combining(folded[1]) else character


def _spans(text: str) -> Iterator[Span]:
    """Every identifying part, the surest kind first."""
    # Most complaints hold nothing of the kind: what can't be there isn't looked for.
    if _MAYBE_EMAIL.search(text):
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
        elif character not in " -\n\t" or not text[position - 1].isalnum():
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
                if len(digits) >= 13 and _CARD_START.match(digits) and luhn.is_valid(digits):
                    yield start.start(), group.end(), "card"
                elif shape in _SIN_SHAPES and luhn.is_valid(digits):
                    yield start.start(), group.end(), "SIN"
    # Between other separators, only in the groups in which they are printed or dictated.
    for card in _SPLIT_CARD.finditer(text):
        digits = "".join(_GROUP.findall(card[0]))
        if len(digits) in (15, 16, 19) and _CARD_BRANDS.match(digits) and luhn.is_valid(digits):
            yield *card.span(), "card"
    for sin in _SPLIT_SIN.finditer(text):
        if luhn.is_valid("".join(_GROUP.findall(sin[0]))) and not _REFERENCE.search(
            text[max(0, sin.start() - 40) : sin.start()]
        ):
            yield *sin.span(), "SIN"


def _phone_spans(text: str) -> Iterator[Span]:
    for match in _NORTH_AMERICAN_PHONE.finditer(text):
        yield *match.span(), "phone"
    for match in _SAID_PHONE.finditer(text):
        yield *match.span("number"), "phone"
    if any(sum(map(str.isdigit, run.group())) >= 7 for run in _RUN.finditer(text)):
        import phonenumbers

        for found in phonenumbers.PhoneNumberMatcher(text, "CA"):
            before = text[max(0, found.start - 12) : found.start]
            if not _VERSION.search(before) and not _DATE.match(text, found.start):
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
