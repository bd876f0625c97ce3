"""Texts on which engines could disagree about what the same city or name is."""

from __future__ import annotations

import unicodedata

_RANGES = (
    range(0x20, 0x250),  # Latin, with its accents and special letters
    range(0x2B0, 0x370),  # modifier letters, marks
    range(0x370, 0x530),  # Greek, Cyrillic
    range(0x1E00, 0x2070),  # Vietnamese, polytonic Greek, blanks, dashes, quotes, invisible ones
    range(0xFB00, 0xFB07),
)
_ALONE = "\t\u3000\ufe63\ufeff\uff07\uff0d李龙각👩"
NAMES = (
    *("St. John", "St. John's", "St. John’s", "  ST.\u00a0JOHN'S ", "St  Johns", "Saint John"),
    *("Montréal", "Montre\u0301al", "MONTREAL", "Trois-Rivières", "Trois Rivieres", "", " \t "),
    *("Straße", "STRASSE", "Œuvre", "Łódź", "Ðorđe", "İstanbul", "ΣΊΣΥΦΟΣ", "Nguyễn Văn Ánh"),
    *(
        "O’Neil",
        "Jean‑Luc",
        "J. R. Hart",
        "d'Arcy-Smith",
        "BoB B  BB",
        "a\u200bb\u00adc",
        "Zoe\u0301\u0327",
    ),
)
TEXTS = tuple(
    text
    for text in (
        *NAMES,
        *(f"a{chr(point)} B" for points in _RANGES for point in points),
        *(f"a{letter}B" for letter in _ALONE),
    )
    # What one engine's Unicode has and another's hasn't yet is nobody's name.
    if all(unicodedata.category(character) != "Cn" for character in text)
)
