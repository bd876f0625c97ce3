"""The real services of real homes, driven by the command as a user drives it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pyarrow as pa
import pytest

from lakehouse import clients, services
from lakehouse.catalog import LAKE_BUCKET
from lakehouse.services.service import MARK
from lakehouse.settings import DEFAULT_PORTS, Settings, load, ports

COMMAND = [str(Path(sys.executable).parent / "discover")]
NAMES = ["seaweedfs", "postgres", "ministack", "kafka"]


def discover(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "--home", str(home), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def status(home: Path) -> dict[str, dict[str, Any]]:
    shown = discover(home, "status", "--json")
    assert shown.returncode == 0, shown.stderr
    return {state["name"]: state for state in json.loads(shown.stdout)}


def processes_of(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            marked = process.environ().get(MARK, "").startswith(f"{home}:")
            if marked or process.cwd().startswith(f"{home}/"):
                found.append(process.name())
        except psutil.Error:
            continue
    return found


@pytest.fixture
def own_home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="discover-services-") as folder:
        home = Path(folder).resolve()
        yield home
        services.down(home)


def write(settings: Settings) -> None:
    """A row, an object, a table, an item, a document and a message."""
    from kafka import KafkaProducer

    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as bank:
        bank.execute("create table kept (id int primary key)")
        bank.execute("insert into kept values (1)")
    clients.lake_store(settings, LAKE_BUCKET).put("kept/object", b"1")
    catalog = clients.iceberg(settings)
    catalog.create_namespace("kept")
    table = catalog.create_table("kept.rows", pa.schema([("id", pa.int64())]))
    table.append(pa.table({"id": [1]}))
    dynamodb = clients.dynamodb(settings)
    dynamodb.create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="kept", Item={"id": {"S": "1"}})
    documents = clients.knowledge_base_s3(settings)
    documents.create_bucket(Bucket="kept-documents")
    documents.put_object(Bucket="kept-documents", Key="a/b.md", Body=b"1")
    producer = KafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    producer.send("kept", b"1").get(10)
    producer.close()


def read(settings: Settings) -> dict[str, int]:
    """How much of each is there."""
    from kafka import KafkaConsumer

    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as bank:
        counted = bank.execute("select count(*) from kept").fetchone()
    store = clients.lake_store(settings, LAKE_BUCKET)
    documents = clients.knowledge_base_s3(settings)
    consumer = KafkaConsumer(
        "kept",
        bootstrap_servers=settings.kafka_bootstrap,
        auto_offset_reset="earliest",
        group_id=None,
        consumer_timeout_ms=60_000,
    )
    message = next(iter(consumer))
    consumer.close()
    return {
        "row": counted[0] if counted else 0,
        "object": int(bytes(store.get("kept/object").bytes())),
        "table": clients.iceberg(settings).load_table("kept.rows").scan().to_arrow().num_rows,
        "item": clients.dynamodb(settings).scan(TableName="kept")["Count"],
        "document": int(documents.get_object(Bucket="kept-documents", Key="a/b.md")["Body"].read()),
        "message": int(message.value),
    }


ALL_KEPT = dict.fromkeys(["row", "object", "table", "item", "document", "message"], 1)


def test_the_life_of_a_home(own_home: Path) -> None:
    first = discover(own_home, "up")
    assert first.returncode == 0, first.stderr
    started = status(own_home)
    assert list(started) == NAMES
    assert {state["state"] for state in started.values()} == {"running"}
    assert all(state["rss_mb"] > 1 for state in started.values())

    # What the stages and dbt count on.
    settings = load(own_home, "local")
    clients.lake_s3(settings).head_bucket(Bucket=LAKE_BUCKET)
    assert list((own_home / "duckdb_extensions").rglob("iceberg.duckdb_extension"))
    assert (own_home / "duckdb_secrets").stat().st_mode & 0o077 == 0
    assert (own_home / "secrets.json").stat().st_mode & 0o777 == 0o600
    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as bank:
        role = bank.execute("select rolsuper from pg_roles where rolname = current_user")
        assert role.fetchone() == (False,)
    wrong = settings.postgres_dsn.get_secret_value().replace("bank:", "bank:wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    write(settings)

    # A second start changes nothing.
    assert discover(own_home, "up").returncode == 0
    assert {n: s["pid"] for n, s in status(own_home).items()} == {
        n: s["pid"] for n, s in started.items()
    }

    # Killed ones are seen and repaired. (The emulator keeps DynamoDB only over a clean end.)
    killed = ("seaweedfs", "postgres", "kafka")
    for name in killed:
        os.kill(started[name]["pid"], signal.SIGKILL)
    seen = status(own_home)
    assert {(seen[name]["state"], seen[name]["pid"]) for name in killed} == {("dead", None)}
    assert seen["ministack"]["state"] == "running"
    repaired = discover(own_home, "up")
    assert repaired.returncode == 0, repaired.stderr
    assert {state["state"] for state in status(own_home).values()} == {"running"}
    assert read(settings) == ALL_KEPT

    # A clean end leaves no process, and a new start finds all data.
    assert discover(own_home, "down").returncode == 0
    assert processes_of(own_home) == []
    assert {state["state"] for state in status(own_home).values()} == {"stopped"}
    assert discover(own_home, "up").returncode == 0
    assert read(settings) == ALL_KEPT
    assert discover(own_home, "down").returncode == 0
    assert processes_of(own_home) == []

    # No secret is in a log.
    secrets = json.loads((own_home / "secrets.json").read_text()).values()
    for log in (own_home / "logs").iterdir():
        assert not [secret for secret in secrets if secret in log.read_text(errors="replace")]
    # The store's own log tells the access key's id: it is for the owner alone.
    log = own_home / "services" / "seaweedfs" / "log"
    assert list(log.iterdir())
    assert log.stat().st_mode & 0o077 == 0


def test_ports_move_with_the_data_and_two_homes_run_side_by_side(
    own_home: Path, settings: Settings
) -> None:
    blocked = [numbers for name, numbers in ports(own_home).items() if name in NAMES]
    listeners = []
    try:
        # Those that the session's own home doesn't hold already.
        for number in {number for numbers in blocked for number in numbers.values()}:
            try:
                listeners.append(socket.create_server(("127.0.0.1", number)))
            except OSError:
                continue
        started = discover(own_home, "up")
        assert started.returncode == 0, started.stderr
        moved = ports(own_home)
        for name in NAMES:
            assert not set(moved[name].values()) & set(DEFAULT_PORTS[name].values())
            assert not set(moved[name].values()) & set(ports(settings.home)[name].values())
    finally:
        for listener in listeners:
            listener.close()
    mine = load(own_home, "local")
    write(mine)

    # Each home has keys of its own.
    stranger = mine.model_copy(
        update={
            "lake_access_key_id": settings.lake_access_key_id,
            "lake_secret_access_key": settings.lake_secret_access_key,
        }
    )
    with pytest.raises(Exception, match=r"403|InvalidAccessKeyId"):
        clients.lake_s3(stranger).head_bucket(Bucket=LAKE_BUCKET)

    # Moved once more, the data comes along.
    assert discover(own_home, "down").returncode == 0
    numbers = moved["seaweedfs"].values()
    listeners = [socket.create_server(("127.0.0.1", number)) for number in numbers]
    try:
        assert discover(own_home, "up").returncode == 0
    finally:
        for listener in listeners:
            listener.close()
    assert ports(own_home)["seaweedfs"] != moved["seaweedfs"]
    assert ports(own_home)["postgres"] == moved["postgres"]
    assert read(load(own_home, "local")) == ALL_KEPT
    assert {state.state for state in services.status(settings.home)} == {"running"}


def test_services_listen_on_loopback_only(settings: Settings) -> None:
    for state in services.status(settings.home):
        assert state.pid is not None
        process = psutil.Process(state.pid)
        for member in [process, *process.children(recursive=True)]:
            # Postgres's processes for one connection come and go.
            connections = []
            with contextlib.suppress(psutil.NoSuchProcess):
                connections = member.net_connections(kind="inet")
            for connection in connections:
                if connection.status == psutil.CONN_LISTEN:
                    assert connection.laddr.ip == "127.0.0.1", (state.name, connection)


def test_a_start_that_can_not_succeed_says_so_in_one_line_and_leaves_nothing(
    own_home: Path,
) -> None:
    (own_home / "services").mkdir()
    (own_home / "services" / "seaweedfs").write_text("a file where a folder must be")
    failed = discover(own_home, "up", "seaweedfs")
    assert failed.returncode == 5
    assert failed.stdout == ""
    # Before it, ports that moved may be told.
    line = failed.stderr.splitlines()[-1]
    assert line.startswith("error: seaweedfs can't be prepared: FileExistsError")
    assert line.endswith("run: discover doctor")
    assert "Traceback" not in failed.stderr
    assert processes_of(own_home) == []


def test_env_lets_other_tools_reach_the_home(settings: Settings) -> None:
    shown = discover(settings.home, "env")
    script = f'{shown.stdout}\necho "$PGPORT|$AWS_ENDPOINT_URL_S3|$DISCOVER_HOME"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    port = ports(settings.home)["postgres"]["postgres"]
    assert done.stdout == f"{port}|{settings.lake_endpoint}|{settings.home}\n"
