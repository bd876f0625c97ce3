"""Rows of a query on a terminal, a pipe or a file, without losing a name or a value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from discover.land_report import visible
from lakehouse.console import out

NARROWEST = 12
"""Characters of the terminal that a column needs, with its frame, to be readable."""


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table, or a block for each row where the columns don't fit side by side.

    Values wrap on a terminal. Elsewhere a line has room for everything.
    """
    names = [shown(name) for name in columns]
    cells = [["" if value is None else shown(value) for value in row] for row in rows]
    if out.is_terminal and len(names) * NARROWEST > out.width:
        for number, row in enumerate(cells, 1):
            _print_block(number, names, row)
        return
    table = Table()
    for name in names:
        table.add_column(escape(name), overflow="fold")
    for row in cells:
        table.add_row(*map(escape, row))
    if not out.is_terminal:
        # Rich cuts at the console's width, which is 80 where there is no terminal.
        room = out.options.update(width=1_000_000)
        out.width = max(out.width, Measurement.get(out, room, table).maximum)
    out.print(table)


def shown(value: object) -> str:
    """A value's text, without the characters that a terminal would obey."""
    return "\n".join(map(visible, str(value).split("\n")))


def _print_block(number: int, names: Sequence[str], row: Sequence[str]) -> None:
    width = max(map(cell_len, names))
    out.print(f"── {number} ".ljust(width + 3, "─"))
    for name, text in zip(names, row, strict=True):
        first, *more = text.split("\n")
        out.print(f"{name}{' ' * (width - cell_len(name))}  {first}".rstrip(), markup=False)
        for line in more:
            out.print(f"{' ' * width}  {line}".rstrip(), markup=False)
