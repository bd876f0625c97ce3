"""Trino as one of the home's services: over the same catalog that flatten writes, for us alone."""

from __future__ import annotations

import psutil

from lakehouse import services
from lakehouse.duck import connect_lake
from lakehouse.services.service import family
from tests.jvm.conftest import Warehouse


def test_it_reads_what_flatten_wrote(warehouse: Warehouse) -> None:
    counted = "SELECT count(*), sum(amount), max(transacted_at_local) FROM {}raw_atm.transactions"
    with connect_lake(warehouse.settings) as connection:
        expected = connection.execute(counted.format("lake.")).fetchall()
    assert [tuple(row) for row in warehouse.sql(counted.format("lake."))] == expected
    assert expected[0][0] > 1000


def test_it_listens_once_on_loopback_and_no_key_stands_in_a_command_or_a_file(
    warehouse: Warehouse,
) -> None:
    home = warehouse.settings.home
    (state,) = services.status(home, ["trino"])
    assert state.state == "running"
    process = psutil.Process(state.pid)
    heard = [
        connection.laddr
        for member in family(process)
        for connection in member.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert [address.port for address in heard] == [warehouse.port]
    assert heard[0].ip.removeprefix("::ffff:") == "127.0.0.1"
    secret = warehouse.settings.lake_secret_access_key
    assert secret is not None
    assert secret.get_secret_value() not in " ".join(process.cmdline())
    for file in (home / "services" / "trino").rglob("*.properties"):
        assert secret.get_secret_value() not in file.read_text(), file
    assert secret.get_secret_value() not in (home / "logs" / "trino.log").read_text()
