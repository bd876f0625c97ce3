"""No name and no value of a query's rows is lost, whatever they are printed on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from discover import tables

COLUMNS = [f"column_{number}" for number in range(30)]
ROWS = [[f"value {row} {number}" for number in range(30)] for row in range(2)]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> io.StringIO:
    """Eighty columns; a terminal or a pipe."""
    text = io.StringIO()
    console = Console(
        file=text, width=80, highlight=False, soft_wrap=True, force_terminal=request.param
    )
    monkeypatch.setattr(tables, "out", console)
    return text


@pytest.mark.parametrize("printed", [True, False], indirect=True, ids=["terminal", "pipe"])
def test_every_name_and_value_of_many_columns_is_readable(printed: io.StringIO) -> None:
    tables.print_rows(COLUMNS, ROWS)
    text = printed.getvalue()
    for word in [*COLUMNS, *ROWS[0], *ROWS[1]]:
        assert word in text


@pytest.mark.parametrize("printed", [True, False], indirect=True, ids=["terminal", "pipe"])
@pytest.mark.parametrize("count", [1, 30])
def test_values_are_neither_markup_nor_control_characters(printed: io.StringIO, count: int) -> None:
    tables.print_rows(COLUMNS[:count], [["[red]x[/red] \x1b[2J", *[None] * (count - 1)]])
    assert "[red]x[/red] <U+001B>[2J" in printed.getvalue()


@pytest.mark.parametrize("printed", [False], indirect=True)
def test_a_line_of_a_pipe_is_as_long_as_its_values(printed: io.StringIO) -> None:
    tables.print_rows(["a", "b"], [["x" * 300, "y" * 300]])
    assert f"│ {'x' * 300} │ {'y' * 300} │" in printed.getvalue()
