"""Asking: ``chat ask|batch|serve``, ``metrics``, ``explain``, ``users``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from discover.context import settings
from lakehouse.console import out, print_json, progress
from lakehouse.errors import UsageError
from lakehouse.users import Grant, add_user, read_grants, unknown_in
from lakehouse.versions import Versions

chat_commands = typer.Typer(no_args_is_help=True, help="Ask the published version.")
users_commands = typer.Typer(no_args_is_help=True, help="Who may see which customers.")

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
As = Annotated[str | None, typer.Option("--as", help="Who asks.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    app.add_typer(chat_commands, name="chat")
    app.add_typer(users_commands, name="users")
    app.command()(metrics)
    app.command()(explain)


@chat_commands.command()
def ask(
    question: Annotated[str, typer.Argument(help="Plain English.")],
    as_: As = None,
    customers: Annotated[str | None, typer.Option(help="Ids such as 3,17.")] = None,
    scope: Annotated[Path | None, typer.Option(help="The dashboard's filters, JSON.")] = None,
    history: Annotated[Path | None, typer.Option(help="Earlier questions and plans, JSON.")] = None,
    json_: Json = False,
) -> None:
    """Answer one question."""
    from chat.answer import ask as answer

    if customers is not None and scope is not None:
        raise UsageError("--customers and --scope", "give one of them")
    raw = {} if customers is None else {"customers": _ids(customers)}
    current = settings()
    document = answer(
        current,
        question,
        user=as_ or current.user,
        scope=_scope(raw if scope is None else _read(scope)),
        history=_history(_read(history), plain=False) if history else (),
    )
    if json_:
        print_json(document)
    else:
        _show(document)


@chat_commands.command()
def batch(
    file: Annotated[Path, typer.Argument(help="Lines of id, question, customers?, history?.")],
    as_: As = None,
    json_: Json = False,  # noqa: ARG001 - lines of JSON are the only form
) -> None:
    """Answer many questions in one process, one document a line, in order."""
    from chat.answer import ask as answer

    current = settings()
    questions = [_line(number, text) for number, text in _lines(file)]
    for asked in questions:
        raw = dict(asked.get("scope") or {})
        if asked.get("customers") is not None:
            raw["customers"] = asked["customers"]
        document = answer(
            current,
            asked["question"],
            user=as_ or current.user,
            scope=_scope(raw),
            history=_history(asked.get("history") or [], plain=True),
        )
        print_json({"id": asked.get("id"), **document})


@chat_commands.command()
def serve() -> None:
    """Serve the page and the chat on this machine alone, until stopped."""
    from discover.serve import serve as run

    run(settings())


def metrics(json_: Json = False) -> None:
    """All that can be asked: metrics, dimensions, values, examples."""
    from chat.published import opened
    from chat.registry import describe

    found = describe(opened(settings().home).registry)
    if json_:
        print_json(found)
        return
    for metric in found["metrics"]:
        out.print(f"[bold]{metric['label']}[/bold] ({metric['unit']}) {metric['description']}")
    out.print("\nby " + ", ".join(dimension["label"] for dimension in found["dimensions"]))
    out.print("\nfor example:")
    for example in found["examples"]:
        out.print(f"  {example}", markup=False)


def explain(
    figure: Annotated[str, typer.Argument(help="A metric's name, a question, or a plan as JSON.")],
    as_: As = None,
    json_: Json = False,
) -> None:
    """Trace a figure to its metric, its SQL and the mart rows behind it."""
    from chat.answer import explain as trace

    current = settings()
    document = trace(current, figure, user=as_ or current.user)
    if json_:
        print_json(document)
        return
    out.print(f"[bold]{document['metric']}[/bold] {document['description']}")
    out.print(document["sql"], markup=False)
    out.print(f"with {document['parameters']}", markup=False)
    for row in document["mart_rows"]["rows"]:
        out.print(row, markup=False)


@users_commands.command("add")
def users_add(
    name: str,
    customers: Annotated[
        str, typer.Option(help="all, ids such as 3,17, or city:Calgary,city:Regina.")
    ],
    json_: Json = False,
) -> None:
    """Say which customers a user may see; replaces what was said before."""
    current = settings()
    grants = add_user(current.home, name, customers)
    versions = Versions(current.home)
    published = versions.current()
    unknown = unknown_in(versions.marts_file(published.run_id), grants) if published else []
    groups = [_group(grant) for grant in grants]
    if json_:
        print_json([{"user": name, "customers": groups, "unknown": unknown}])
        return
    out.print(f"{name}: {', '.join(groups)}", markup=False)
    progress.print("the chat follows at once, the dashboard's tiles with the next refresh")
    if unknown:
        progress.print(
            f"the published version has no {', no '.join(unknown)}: the grant holds once it does",
            markup=False,
        )


@users_commands.command("list")
def users_list(json_: Json = False) -> None:
    """Show who may see which customers."""
    users: dict[str, list[str]] = {}
    for grant in read_grants(settings().home):
        users.setdefault(grant.user_name, []).append(_group(grant))
    if json_:
        print_json([{"user": user, "customers": groups} for user, groups in users.items()])
        return
    for user, groups in users.items():
        out.print(f"{user}: {', '.join(groups)}", markup=False)


def _group(grant: Grant) -> str:
    return "all" if grant.group_type == "all" else f"{grant.group_type}:{grant.group_value}"


def _show(document: Mapping[str, Any]) -> None:
    from discover.tables import print_rows

    out.print(document["answer"], markup=False)
    if len(document["rows"]) > 1:
        print_rows([column["name"] for column in document["columns"]], document["rows"])
    cited = ", ".join(
        f"{found['kind']} {found['id']}"
        + (f" ({found['title']})" if found["kind"] == "run" else "")
        for found in document["citations"]
    )
    if document["reading"]:
        out.print(f"read as: {document['reading']}", markup=False, style="dim")
    out.print(f"from: {cited} · {document['ledger']['ms']} ms", markup=False, style="dim")


def _scope(raw: Any) -> Any:
    from chat.answer import read_scope

    return read_scope(raw)


def _ids(text: str) -> list[int]:
    parts = [part.strip().removeprefix("#") for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(f"customers {text!r}", "write ids such as 3,17")
    return [int(part) for part in parts]


def _read(file: Path) -> Any:
    try:
        return json.loads(_text(file))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is no JSON: {error}", "mend it") from None


def _text(file: Path) -> str:
    try:
        # Editors on Windows put a byte order mark in front.
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"no file {file}", "check its path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}", "give a file of UTF-8 text") from None


def _lines(file: Path) -> list[tuple[int, str]]:
    # Not splitlines: a question may hold a character that Unicode calls a line's end.
    lines = enumerate(_text(file).split("\n"), start=1)
    return [(number, line) for number, line in lines if line.strip()]


def _line(number: int, text: str) -> dict[str, Any]:
    try:
        asked = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"line {number} is no JSON: {error}", "one object a line") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("question"), str):
        raise UsageError(f"line {number} has no question", 'write {"id": …, "question": "…"}')
    return asked


def _history(raw: Any, *, plain: bool) -> list[Any]:
    kinds = (dict, str) if plain else (dict,)
    if not isinstance(raw, list) or not all(isinstance(step, kinds) for step in raw):
        raise UsageError("history", 'a list of {"question", "plan"} pairs as an answer gives them')
    return raw
