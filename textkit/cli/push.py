"""`textkit push`: a model in; on the hub its files, and a card made from its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, gather, new_verb, verb
from textkit.cli.options import AsJsonLine, ModelFolder, Overwrite
from textkit.cli.output import Display, note, show_line, to_json, write_line

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class PushedModel:
    """The model, and its name on the hub."""

    group: ClassVar = MODEL
    model: ModelFolder
    name: Annotated[
        str, typer.Argument(metavar="USER/NAME", help="Its name on the hub, made where it is new.")
    ]


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What the card says that no file of the model knows."""

    group: ClassVar = INPUT
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", "--license", help="Under which others may use it, as mit; needed."
        ),
    ] = None
    language: Annotated[
        list[str] | None, typer.Option(help="Language of its texts, as en; may be repeated.")
    ] = None
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Data set on the hub that it learnt from; may be repeated."
        ),
    ] = None
    evaluation: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What textkit evaluate --json wrote of this model."),
    ] = None
    run: Annotated[
        Path | None, typer.Option(help="Run that it came from, where it does not lie in it.")
    ] = None
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Card of your own in the place of it.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class PushPlace:
    """How it is pushed, and where the card is written."""

    group: ClassVar = OUTPUT
    private: Annotated[bool, typer.Option("--private", help="For you alone.")] = False
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Branch to push to; else main.")
    ] = None
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Push nothing; print the card, or write it to -o.")
    ] = False
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write the card to as well.")
    ] = None
    overwrite: Overwrite = False


@verb(app)
def push(
    model: PushedModel, card: CardFacts, place: PushPlace, as_json: AsJsonLine = False
) -> None:
    """Push a model to the hub, with a card made from its run.

    The files of the model and the card leave the machine, nothing else. The account is that of the
    environment variable HF_TOKEN.

    Examples:
        textkit push run ann/reviews --licence mit --language en
        textkit push run ann/reviews --licence mit --dry-run -o card.md
        textkit predict hf:ann/reviews texts.csv
    """
    from textkit.jobs import PushOptions, push_model

    with Display() as watch:
        report = push_model(gather(PushOptions, model, card, place), watch=watch)
    if as_json:
        write_line(to_json(report.to_dict()))
    elif report.url is not None:
        show_line(report.url)
    elif place.out is None:
        show_line(report.card)
    if report.url is None:
        for name, n_bytes in report.files.items():
            note(f"{n_bytes:>12,}  {name}")
    verb_said = "would be pushed" if report.url is None else "pushed"
    note(f"{verb_said}: {len(report.files)} files, {report.n_bytes:,} bytes")
    if place.out is not None:
        note(f"card: {place.out}")
