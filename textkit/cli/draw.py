"""`textkit draw`: a model, a recipe or an expression as a picture or a diagram, or one text walked
through a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, new_verb, verb
from textkit.cli.options import Allow, AsJsonLine, Overrides
from textkit.cli.output import note, show_line, to_json, write_line

if TYPE_CHECKING:
    from textkit.evaluation.computation import Computation
    from textkit.jobs import Drawing

app = new_verb()


@verb(app)
def draw(
    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|RECIPE|EXPRESSION",
            help="Model folder, run folder, or recipe file; with --at an expression.",
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
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Numbers of an expression, as x=2,w=-0.3; may be repeated.",
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
        textkit draw "tanh(x * w + b)" --at x=2,w=-0.3,b=0.4 -o graph.svg
    """
    from textkit.errors import UsageError
    from textkit.jobs import DrawOptions, draw_expression, draw_model
    from textkit.jobs.draw import read_numbers

    drawing: Computation | Drawing
    if at is not None:
        if text is not None or overrides or allow:
            raise UsageError("--text, --set and --allow are for a model; --at is for an expression")
        drawing = draw_expression(source, read_numbers(at))
    else:
        drawing = draw_model(
            DrawOptions(source=Path(source), text=text, overrides=overrides or (), allow=allow)
        )
    if as_json:
        write_line(to_json(drawing.to_dict()))
    elif out is None or text is not None:
        show_line(drawing.to_text())
    if out is not None:
        drawing.write(out)
        note(f"picture: {out}")
