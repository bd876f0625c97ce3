"""Grants: each once, by one rule for names, and a file edited by hand that is read or named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lakehouse.errors import UsageError
from lakehouse.users import Grant, add_user, parse_grants, read_grants, unknown_in


def test_a_grant_given_twice_is_one(tmp_path: Path) -> None:
    assert add_user(tmp_path, "dup", "3,3,03") == [Grant("dup", "customer", "3")]
    assert read_grants(tmp_path)[1:] == [Grant("dup", "customer", "3")]


def test_only_the_grants_of_the_user_are_returned(tmp_path: Path) -> None:
    add_user(tmp_path, "ana", "all")
    assert add_user(tmp_path, "bo", "city:Calgary") == [Grant("bo", "city", "Calgary")]
    both = [Grant("bo", "city", "Calgary"), Grant("bo", "city", "St. John's")]
    assert parse_grants("bo", "city:Calgary, city:St. John's,city:Calgary") == both
    for wrong in ("city:", "city:Calgary,city:", "3,city:Calgary"):
        with pytest.raises(UsageError):
            parse_grants("bo", wrong)
    assert add_user(tmp_path, "bo", "7") == [Grant("bo", "customer", "7")]
    kept = [grant.user_name for grant in read_grants(tmp_path)]
    assert kept == ["ana", "analyst", "bo"], "whoever could see everyone before still can"


@pytest.mark.parametrize("user", ["", "a b", "é", "x" * 101, "a;b", "a\n"])
def test_a_name_that_the_dashboard_refuses_is_refused_at_once(tmp_path: Path, user: str) -> None:
    with pytest.raises(UsageError, match="user name"):
        parse_grants(user, "all")


def test_a_file_edited_by_hand_is_tidied(tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text(
        json.dumps(
            {
                "ana": [
                    {"group_type": "customer", "group_value": 3},
                    {"group_type": "customer", "group_value": "03"},
                    {"group_type": "city", "group_value": " TORONTO "},
                ],
                "bo": [{"group_type": "all"}],
            }
        )
    )
    assert read_grants(tmp_path) == [
        Grant("ana", "customer", "3"),
        Grant("ana", "city", "TORONTO"),
        Grant("bo", "all", "*"),
    ]


@pytest.mark.parametrize(
    ("users", "named"),
    [
        ({"ana": [{"group_type": "province", "group_value": "Ontario"}]}, "ana.*province"),
        ({"ana": [{"group_type": "customer", "group_value": "x"}]}, "ana.*customer: 'x'"),
        ({"ana": [{"group_type": "city"}]}, "ana.*city"),
        ({"ana": "all"}, "ana are not a list"),
        ({"ana": ["all"]}, "ana"),
        ({"a b": []}, "a b"),
        ([1], "not an object"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_user(
    tmp_path: Path, users: Any, named: str
) -> None:
    (tmp_path / "users.json").write_text(json.dumps(users))
    with pytest.raises(UsageError, match=rf"users\.json: .*{named}"):
        read_grants(tmp_path)


def test_customers_and_cities_that_a_version_lacks_are_named(bank_home: Path) -> None:
    from lakehouse.versions import Versions
    from tests.unit.conftest import RUN_ID

    grants = [
        *parse_grants("ana", "1,99"),
        *parse_grants("ana", "city:MONTRÉAL"),
        *parse_grants("ana", "city:Atlantis"),
        *parse_grants("bo", "all"),
    ]
    marts = Versions(bank_home).marts_file(RUN_ID)
    assert unknown_in(marts, grants) == ["customer 99", "city Atlantis"]
