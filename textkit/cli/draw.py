"""`textkit draw`: a model or a recipe as a picture or a diagram, or one text walked through it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, new_verb, verb
from textkit.cli.options import Allow, AsJsonLine, Overrides
from textkit.cli.output import note, show_line, to_json, write_line

app = new_verb()


@verb(app)
def draw(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL|RECIPE",
            help="Model folder, run folder, or recipe file.",
            rich_help_panel=MODEL,
        ),
    ],
    text: Annotated[
        str | None,
        typer.Option(
            help="Walk this text through: tokens, ids, mask, shapes, heat maps, attention.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    overrides: Overrides = None,
    allow: Allow = None,
    as_json: AsJsonLine = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Picture to write: .svg, .png, or .mmd.", rich_help_panel=OUTPUT
        ),
    ] = None,
) -> None:
    """Draw a network as stages with shapes, weights and dropout; without -o as a mermaid diagram.

    Examples:
        textkit draw run/model -o net.svg
        textkit draw pipelines/word-cnn.toml --set encoder.dim=64 -o net.png
        textkit draw run/model --text "a good film" -o walk.png
    """
    from textkit.jobs import DrawOptions, draw_model

    drawing = draw_model(
        DrawOptions(source=source, text=text, overrides=overrides or (), allow=allow)
    )
    if as_json:
        write_line(to_json(drawing.to_dict()))
    elif out is None or text is not None:
        show_line(drawing.to_text())
    if out is not None:
        drawing.write(out)
        note(f"picture: {out}")
