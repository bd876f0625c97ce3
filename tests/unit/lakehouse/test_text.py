"""One rule says when two texts are the same city or name; Unicode itself is the second opinion."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.text import key, key_sql, keys, spellings_of
from tests.portability.texts import TEXTS

SAME = [
    ("Toronto", "TORONTO"),
    ("Toronto", " toronto\u00a0"),
    ("Toronto", "Tor\u200bonto"),
    ("Quebec City", "Québec \t City"),
    ("Montréal", "Montre\u0301al"),
    ("Zoé", "ZOE"),
    ("Łódź", "Lodz"),
    ("Strasse", "Straße"),
    ("Oeuvre", "Œuvre"),
    ("Soren", "Søren"),
    ("O'Neil", "O’Neil"),
    ("Jean-Luc", "Jean\u2011Luc"),
]
DIFFERENT = [
    ("St. John", "St. John's"),
    ("St. John", "St John"),
    ("Jean-Luc", "Jean Luc"),
    ("Trois-Rivières", "Trois Rivières"),
    ("O'Neil", "ONeil"),
    ("Ann Ray", "AnnRay"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_case_accents_and_blanks_tell_no_texts_apart(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_punctuation_and_the_place_of_a_blank_do(one: str, other: str) -> None:
    assert key(one) != key(other)


def by_unicode(text: str) -> str:
    """The rule in Python's own terms, for characters whose key isn't written out in the macro."""
    decomposed = unicodedata.normalize("NFD", text)
    plain = "".join(mark for mark in decomposed if unicodedata.category(mark)[0] != "M")
    lower = "".join(character.lower() for character in plain)
    return " ".join(unicodedata.normalize("NFC", lower).split(" ")).strip(" ")


WRITTEN_OUT = set("ßæœþðøđħıłŧſς`´") | {chr(point) for point in range(0x2B0, 0x300)}


def test_letters_have_the_key_that_unicode_gives_them() -> None:
    letters = [
        text
        for text in TEXTS
        if all(character.isalnum() or character == " " for character in text)
        and "  " not in text
        and not WRITTEN_OUT & set(text.lower() + by_unicode(text))
    ]
    assert len(letters) > 1_300
    found = keys(letters)
    assert {text: found[text] for text in letters if found[text] != by_unicode(text)} == {}


@given(st.text())
def test_a_key_is_its_own_key_whatever_the_text(text: str) -> None:
    found = key(text)
    assert key(found) == found
    assert "  " not in found
    assert found == found.strip(" ")


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"], max_codepoint=0x24F)))
def test_a_key_is_the_same_in_both_forms_of_unicode_and_in_capitals(text: str) -> None:
    assert key(unicodedata.normalize("NFD", text)) == key(unicodedata.normalize("NFC", text))
    assert key(f"  {text}\u00a0") == key(text)
    # Some letters have no capital of one character; the micro sign's is a Greek letter.
    if len(text.upper()) == len(text) and "µ" not in text:
        assert key(text.upper()) == key(text)


def test_many_texts_at_once_have_the_keys_that_they_have_alone() -> None:
    assert keys(TEXTS[:50]) == {text: key(text) for text in TEXTS[:50]}


def test_a_text_is_found_among_those_that_are_known() -> None:
    known = ["Montreal", "St. John's"]
    assert spellings_of("MONTRÉAL", known) == ["Montreal"]
    assert spellings_of("st. john’s", known) == ["St. John's"]
    assert spellings_of("St. John", known) == []


def test_dbt_compiles_the_sql_that_the_questions_words_go_through(semantic_manifest: Path) -> None:
    """``lakehouse.text`` renders dbt's macro without dbt: both must be the same SQL."""
    import subprocess
    import sys

    from lakehouse.settings import REPOSITORY

    project = str(REPOSITORY / "dbt_project")
    target = semantic_manifest.parent
    shown = subprocess.run(
        [
            *(Path(sys.executable).with_name("dbt"), "--quiet", "compile", "--target", "offline"),
            *("--inline", "select {{ text_key('name') }} as name_key", "--target-path", target),
            *("--project-dir", project, "--profiles-dir", project, "--log-path", target),
        ],
        check=True,
        capture_output=True,
    )
    assert f"select {key_sql('name')} as name_key" in shown.stdout.decode()
