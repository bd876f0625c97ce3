"""Which part of the dbt project a refresh builds."""

from __future__ import annotations

import pytest

from discover.build import args_for

WORK_FILE = ["--select", "resource_type:seed", "staging", "intermediate"]


@pytest.mark.parametrize(
    ("moved", "marts"),
    [
        ({"atm"}, ["source:atm+"]),
        ({"feedback", "core_banking"}, ["source:core_banking+", "source:feedback+"]),
        ({"entitlements"}, ["entitlements"]),
        ({"credit_bureau", "entitlements"}, ["source:credit_bureau+", "entitlements"]),
    ],
)
def test_what_stands_on_a_moved_input_is_built(moved: set[str], marts: list[str]) -> None:
    assert args_for(moved) == [*WORK_FILE, *marts]


@pytest.mark.parametrize("moved", [set(), {"timezone"}, {"atm", "timezone"}, {"of a later time"}])
def test_what_moves_everything_or_is_not_known_builds_everything(moved: set[str]) -> None:
    assert args_for(moved) == []
