"""``discover stream …``: complaints through Kafka, into DynamoDB and the lake."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from discover.context import settings
from lakehouse.console import out, print_json, progress

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
UntilIdle = Annotated[
    bool, typer.Option("--until-idle", help="End at the topic's end, instead of waiting for more.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to ``app``."""
    stream = typer.Typer(no_args_is_help=True, help="The complaint stream: produce, read, repair.")
    stream.command()(produce)
    stream.command()(consume)
    stream.command()(sink)
    stream.command()(status)
    stream.command("replay-dead-letters")(replay_dead_letters)
    stream.command("rebuild-dynamodb")(rebuild_dynamodb)
    app.add_typer(stream, name="stream")


def produce(
    count: Annotated[
        int | None, typer.Option(min=0, help="How many; without it, until stopped.")
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Messages a second; 0 is as fast as it goes.")
    ] = 0.2,
    seed: Annotated[
        int | None, typer.Option(help="Same seed and days, same complaints (at rate 0).")
    ] = None,
    days: Annotated[
        int, typer.Option(min=1, max=36_500, help="At rate 0: spread over so many days…")
    ] = 60,
    end_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="… up to this one (yesterday).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send invented complaints to the topic, each confirmed by the broker."""
    from streaming.produce import produce as run
    from streaming.reading import stopped_by_signals

    with stopped_by_signals() as stop, progress.status("producing") as shown:
        done = run(
            settings(),
            count,
            rate,
            seed,
            days=days,
            end_date=end_date.date() if end_date else None,
            stop=stop,
            on_progress=lambda sent: shown.update(f"{sent:,} complaints sent"),
        )
    _show(asdict(done), as_json, f"{done.sent:,} complaints sent and confirmed")


def consume(until_idle: UntilIdle = False, as_json: Json = False) -> None:
    """Bring complaints from Kafka into DynamoDB."""
    from streaming.consume import consume as run
    from streaming.reading import stopped_by_signals

    with stopped_by_signals() as stop, progress.status("joining the group") as shown:
        done = run(
            settings(),
            until_idle,
            stop=stop,
            say=progress.print,
            on_progress=lambda so_far: shown.update(f"{so_far.stored:,} complaints stored"),
        )
    _show(
        asdict(done),
        as_json,
        f"{done.read:,} read: {done.stored:,} stored in DynamoDB, {done.repeated:,} known already,"
        f" {done.dead_letters:,} to dead letters",
    )


def sink(
    until_idle: UntilIdle = False,
    flush_seconds: Annotated[
        float, typer.Option(min=0, help="Longest time until a complaint stands in landing.")
    ] = 30,
    as_json: Json = False,
) -> None:
    """Bring complaints from Kafka into the lake's landing."""
    from streaming.reading import stopped_by_signals
    from streaming.sink import sink as run

    with stopped_by_signals() as stop, progress.status("joining the group") as shown:
        done = run(
            settings(),
            until_idle,
            stop=stop,
            flush_seconds=flush_seconds,
            say=progress.print,
            on_progress=lambda so_far: shown.update(f"{so_far.landed:,} complaints landed"),
        )
    _show(
        asdict(done),
        as_json,
        f"{done.read:,} read: {done.landed:,} landed, {done.repeated:,} known already,"
        f" {done.dead_letters:,} to dead letters",
    )


def status(as_json: Json = False) -> None:
    """How far the stream is: messages, lags, stored items, landed rows, dead letters."""
    from streaming.status import status as run

    found = run(settings())
    lags = found["groups"]
    _show(
        found,
        as_json,
        f"topic        {found['topic']['messages']:,} messages"
        f" in {found['topic']['partitions']} partitions\n"
        + "".join(
            f"             partition {held['partition']}: a transaction that is still open holds"
            f" back everything from offset {held['offset']} on\n"
            for held in found["topic"]["open_transactions"]
        )
        + f"DynamoDB     {found['dynamodb']['items']:,} items, {lags['dynamodb']['lag']:,} behind\n"
        f"lake         {found['lake']['rows']:,} rows, {lags['lake']['lag']:,} behind\n"
        f"dead letters {found['dead_letters']:,}",
    )


def replay_dead_letters(as_json: Json = False) -> None:
    """Send refused messages again that today's rules accept."""
    from streaming.dead_letters import replay

    done = replay(settings())
    _show(
        asdict(done),
        as_json,
        f"{done.read:,} dead letters: {done.replayed:,} sent again, {done.kept:,} still refused",
    )


def rebuild_dynamodb(as_json: Json = False) -> None:
    """Bring into DynamoDB what the lake has and it lost; stop `stream consume` before."""
    from streaming.rebuild import rebuild

    with progress.status("comparing DynamoDB with the lake"):
        done = rebuild(settings())
    _show(
        asdict(done),
        as_json,
        f"{done.landed:,} complaints in the lake: {done.written:,} written to DynamoDB,"
        f" {done.equal:,} stood there already; consume goes on where the lake ends",
    )


def _show(document: dict[str, Any], as_json: bool, text: str) -> None:
    if as_json:
        print_json(document)
    else:
        out.print(text, soft_wrap=True)
