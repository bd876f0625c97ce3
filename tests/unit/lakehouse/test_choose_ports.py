"""Defaults where free, the remembered ones where known, others where taken."""

import socket
from pathlib import Path

import pytest

from lakehouse.services.choose_ports import GRPC_OFFSET, choose, port_is_free
from lakehouse.settings import DEFAULT_PORTS

HOME = Path("/a/home")
DEFAULTS = {"s3": 18333, "master": 19333}


def test_defaults_are_tried_first() -> None:
    assert choose({}, DEFAULTS, reserved=(), home=HOME, free=lambda port: True) == DEFAULTS


def test_remembered_ports_are_kept_although_the_defaults_are_free_again() -> None:
    remembered = {"s3": 18433, "master": 19333}
    chosen = choose(remembered, DEFAULTS, reserved=(), home=HOME, free=lambda port: True)
    assert chosen == remembered


def test_only_the_taken_port_moves_and_back_to_the_default_before_elsewhere() -> None:
    remembered = {"s3": 18433, "master": 19333}
    chosen = choose(remembered, DEFAULTS, reserved=(), home=HOME, free=lambda port: port != 18433)
    assert chosen == DEFAULTS


def test_ports_of_the_homes_other_services_are_left_to_them() -> None:
    chosen = choose({}, {"http": 18088}, reserved={18088}, home=HOME, free=lambda port: True)
    assert chosen["http"] != 18088


def test_a_port_whose_grpc_neighbour_is_taken_moves_too() -> None:
    chosen = choose(
        {},
        DEFAULTS,
        reserved=(),
        home=HOME,
        shadows=("s3",),
        free=lambda port: port != 18333 + GRPC_OFFSET,
    )
    assert chosen["s3"] != 18333
    assert chosen["master"] == 19333


def test_moved_ports_stay_below_those_that_systems_hand_out() -> None:
    for defaults in DEFAULT_PORTS.values():
        used: set[int] = set(defaults.values())
        chosen = choose({}, defaults, reserved=used, home=HOME, free=lambda port: True)
        assert all(port + GRPC_OFFSET < 32768 for port in chosen.values())


def test_no_free_port_says_for_what() -> None:
    with pytest.raises(OSError, match="no free port for s3"):
        choose({}, DEFAULTS, reserved=(), home=HOME, free=lambda port: False)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not port_is_free(port)
    assert port_is_free(port)


def test_a_listener_on_every_address_counts() -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        assert not port_is_free(listener.getsockname()[1])
