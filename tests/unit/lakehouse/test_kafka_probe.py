"""The probe speaks enough of Kafka's protocol to know a broker from anything else."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lakehouse.services.kafka import brokers_in_metadata


@contextmanager
def answering(body: bytes) -> Iterator[int]:
    """A server that reads one request and answers with these bytes, then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(body)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    thread.join(5)
    listener.close()


def metadata(correlation: int) -> bytes:
    broker = struct.pack(">ih", 111, 9) + b"127.0.0.1" + struct.pack(">ih", 19092, -1)
    body = struct.pack(">ii", correlation, 1) + broker + struct.pack(">ii", 111, 0)
    return struct.pack(">i", len(body)) + body


def test_the_brokers_are_read() -> None:
    with answering(metadata(7)) as port:
        assert brokers_in_metadata("127.0.0.1", port) == [("127.0.0.1", 19092)]


def test_an_answer_to_another_question_is_none() -> None:
    with answering(metadata(8)) as port, pytest.raises(OSError, match="another request"):
        brokers_in_metadata("127.0.0.1", port)


def test_a_closed_connection_is_no_answer() -> None:
    with answering(b"") as port, pytest.raises(ConnectionError):
        brokers_in_metadata("127.0.0.1", port)


def test_a_silent_server_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        brokers_in_metadata("127.0.0.1", silent.getsockname()[1], seconds=0.2)
