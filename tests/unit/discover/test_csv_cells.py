"""No cell of ``sql --csv`` is run by a spreadsheet."""

from decimal import Decimal

import pytest

from discover.commands.batch import _no_formula


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\ta", "\ra", " =1+1"])
def test_text_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert _no_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, -1.5, Decimal("-2.50"), None, True, "Ann", "a=b", ""])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert _no_formula(value) == value
