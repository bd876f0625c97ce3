"""The commands and the web interface: the same answers, and nothing but JSON where asked."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner

from chat.app import router
from discover.cli import app
from lakehouse.errors import UsageError
from lakehouse.settings import Settings, load


@pytest.fixture
def command(bank_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("DISCOVER_HOME", str(bank_home))

    def run(*arguments: str) -> Any:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


def test_ask_prints_one_document(command: Any, tmp_path: Path) -> None:
    (answer,) = command("chat", "ask", "total loans", "--customers", "1,3", "--json")
    assert answer["rows"] == [["270000.50"]]
    history = tmp_path / "history.json"
    history.write_text(json.dumps([{"question": answer["question"], "plan": answer["plan"]}]))
    scope = tmp_path / "scope.json"
    scope.write_text(json.dumps({"cities": ["Toronto"]}))
    places = ("--history", str(history), "--scope", str(scope))
    (answer,) = command("chat", "ask", "and the average?", *places, "--json")
    assert answer["rows"] == [["95000.166667"]]


def test_batch_answers_line_by_line_in_order(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    lines = [
        {"id": "a", "question": "How many customers are in Toronto?"},
        {"id": 2, "question": "and in Calgary?", "history": ["How many customers are in Toronto?"]},
        {"id": "c", "question": "How many customers?", "customers": [3]},
        {"id": "d", "question": "Who will win the cup?"},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answers = command("chat", "batch", str(file), "--json")
    assert [answer["id"] for answer in answers] == ["a", 2, "c", "d"]
    assert [answer["rows"] for answer in answers] == [[[2]], [[2]], [[1]], []]


def test_metrics_users_and_explain(command: Any, bank_home: Path) -> None:
    (found,) = command("metrics", "--json")
    assert found["examples"]
    try:
        (users,) = command("users", "add", "ana", "--customers", "city:Calgary", "--json")
        assert users == [{"user": "ana", "customers": ["city:Calgary"], "unknown": []}]
        (users,) = command("users", "add", "bo", "--customers", "3,99", "--json")
        assert users == [
            {"user": "bo", "customers": ["customer:3", "customer:99"], "unknown": ["customer 99"]}
        ]
        (answer,) = command("chat", "ask", "How many customers?", "--as", "ana", "--json")
        assert answer["rows"] == [[2]]
    finally:
        (bank_home / "users.json").unlink()
    (traced,) = command("explain", "total loans in Toronto", "--json")
    assert traced["metric"] == "loan_total"
    assert traced["mart"] == "marts.main.fct_loans"
    amounts = sorted(row[3] for row in traced["mart_rows"]["rows"])
    assert amounts == ["15000.00", "20000.50", "250000.00"]


def test_the_examples_that_metrics_gives_are_answered(command: Any) -> None:
    (found,) = command("metrics", "--json")
    for example in found["examples"]:
        (answer,) = command("chat", "ask", example, "--json")
        assert answer["status"] == "answered", example


@pytest.mark.parametrize(
    "arguments",
    [
        ("chat", "ask", "x", "--customers", "1;2"),
        ("chat", "ask", "x", "--scope", "/nowhere.json"),
        ("chat", "batch", "/nowhere.jsonl"),
        ("explain", "no such thing"),
    ],
)
def test_wrong_usage_is_said(
    bank_home: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DISCOVER_HOME", str(bank_home))
    result = CliRunner().invoke(app, list(arguments))
    assert isinstance(result.exception, UsageError)


@pytest.fixture
def address(bank: Settings) -> Iterator[str]:
    yield from _served(bank)


def _served(settings: Settings) -> Iterator[str]:
    web = FastAPI()
    web.include_router(router(settings))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(web, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def _post(address: str, body: dict[str, Any]) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{address}/api/chat", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_web_gives_the_same_document(address: str) -> None:
    status, answer = _post(
        address, {"question": "total loans", "scope": {"customers": [1, 3]}, "history": []}
    )
    assert (status, answer["rows"]) == (200, [["270000.50"]])
    with urllib.request.urlopen(f"{address}/api/metrics") as response:
        assert json.load(response)["metrics"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"question": "total loans", "user": "admin"}, 422),
        ({"question": "total loans", "scope": {"customer": [1]}}, 400),
        ({"question": "x" * 5_000}, 422),
    ],
)
def test_a_request_names_no_user_and_keeps_to_its_form(
    address: str, body: dict[str, Any], status: int
) -> None:
    assert _post(address, body)[0] == status


def test_before_anything_is_published_the_web_says_so(tmp_path: Path) -> None:
    served = _served(load(tmp_path, "local"))
    status, body = _post(next(served), {"question": "How many customers?"})
    assert status == 503
    assert "nothing is published" in body["detail"]
    next(served, None)
