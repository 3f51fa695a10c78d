"""`textkit explain`: a model and a text, or a file of them; which words decided, in colour."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, gather, new_verb, verb
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    Format,
    LabelColumn,
    ModelFolder,
    TextColumn,
)
from textkit.cli.output import Display, note, show_coloured, to_json, write_line

app = new_verb()


class Method(StrEnum):
    """How the words are scored."""

    gradients = "gradients"
    occlusion = "occlusion"
    exact = "exact"


@dataclass(frozen=True, kw_only=True)
class ExplainedRows:
    """The texts, and how a file of them is read."""

    group: ClassVar = INPUT
    rows: Annotated[
        int, typer.Option(min=0, help="Rows of a file that are drawn; 0 explains all.")
    ] = 200
    seed: Annotated[int, typer.Option(min=0, help="What draws them.")] = 0
    labels: Annotated[
        bool, typer.Option("--labels", help="The rows have labels; show them beside the model's.")
    ] = False
    text_column: TextColumn = None
    label_column: LabelColumn = None
    delimiter: Delimiter = None
    format: Format = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked of the model."""

    group: ClassVar = MODEL
    label: Annotated[
        str | None, typer.Option(help="Label to explain; by default the predicted one.")
    ] = None
    against: Annotated[
        str | None, typer.Option(help="Compare it with this label, not the mean of the others.")
    ] = None
    method: Annotated[
        Method | None, typer.Option(help="By default the one that serves the model.")
    ] = None
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is measured and listed."""

    group: ClassVar = OUTPUT
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Also measure faithfulness: take the words away, beside a random order.",
        ),
    ] = False
    top: Annotated[int, typer.Option(min=1, help="Words listed for each label.")] = 15


@verb(app)
def explain(
    model: ModelFolder,
    source: Annotated[
        str,
        typer.Argument(
            metavar="TEXT|FILE", help="A text, a file of texts, or - for standard input."
        ),
    ],
    explained: ExplainedRows,
    question: Question,
    findings: Findings,
    as_json: AsJsonLine = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Also write a page here.", rich_help_panel=OUTPUT),
    ] = None,
) -> None:
    """Show which words of a text decided: blue speaks for the label, orange against it.

    Of a file, also the words that speak most for each label.

    Examples:
        textkit explain run/model "a good film with a weak end"
        textkit explain run/model "a good film" --label neg --json
        textkit explain run/model test.csv --labels --measure -o why.html
    """
    from textkit.evaluation.explanation_text import (
        render_explanation,
        render_faithfulness,
        render_tops,
    )
    from textkit.jobs import ExplainOptions, explain_file
    from textkit.jobs.explain import split_source

    options = gather(
        ExplainOptions, explained, question, findings, model=model, **split_source(source)
    )
    with Display() as watch:
        report = explain_file(options, watch=watch)
    if as_json:
        write_line(to_json(report.to_dict()))
    else:
        colour = sys.stdout.isatty()
        for explanation in report.explanations:
            show_coloured(render_explanation(explanation, colour=colour))
        if len(report.explanations) > 1:
            show_coloured(render_tops(report.tops))
        if report.faithfulness is not None:
            show_coloured(render_faithfulness(report.faithfulness))
    if out is not None:
        report.write_html(out)
        note(f"page: {out}")
