"""`textkit evaluate`: a model and a test file in; numbers with intervals, pictures, a report and
comparisons out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, gather, new_verb, verb
from textkit.cli.options import (
    Allow,
    AsJsonLine,
    Delimiter,
    LabelColumn,
    LabelSeparator,
    Missing,
    MissingLabel,
    ModelFolder,
    NormalizeLabels,
    OnBad,
    OnBadLabelledRow,
    TextColumn,
)
from textkit.cli.output import Display, note, show_line, to_json, write_line

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class MeasuredRows:
    """The model and the rows that it is measured on."""

    group: ClassVar = INPUT
    model: ModelFolder
    data: Annotated[
        Path,
        typer.Argument(
            metavar="TEST",
            help="csv, tsv, jsonl, xlsx, or txt with __label__NAME; or a folder of folders.",
        ),
    ]
    text_column: TextColumn = None
    label_column: LabelColumn = None
    label_separator: LabelSeparator = "|"
    delimiter: Delimiter = None
    on_bad: OnBadLabelledRow = OnBad.stop
    missing: MissingLabel = Missing.error
    normalize_labels: NormalizeLabels = False


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """What the model is compared with."""

    group: ClassVar = MODEL
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Another run or model, or a file of predictions; may be repeated."),
    ] = None
    allow: Allow = None
    baseline: Annotated[
        Path | None,
        typer.Option(help="Training file: also train TF-IDF + LinearSVC on it and compare."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is written, and where."""

    group: ClassVar = OUTPUT
    as_json: AsJsonLine = False
    html: Annotated[
        Path | None, typer.Option(help="Also write a report: one HTML page with everything.")
    ] = None
    png: Annotated[
        Path | None,
        typer.Option(
            help="Picture; by default confusion.png, labels.png or predictions.png, beside MODEL,"
            " and reliability.png."
        ),
    ] = None
    by: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Also the figures of each value of this column, as a language.",
        ),
    ] = None
    errors: Annotated[int, typer.Option(min=0, help="Worst errors that the report lists.")] = 50


@verb(app)
def evaluate(rows: MeasuredRows, rivals: Rivals, findings: Findings) -> None:
    """Measure a model on a test file.

    Examples:
        textkit evaluate runs/first test.csv
        textkit evaluate runs/first test.csv --html report.html --baseline train.csv
        textkit evaluate runs/first test.csv --by language --compare other/run --json
    """
    from textkit.jobs import EvaluateOptions, evaluate_file

    options = gather(EvaluateOptions, rows, rivals, by=findings.by, n_mistakes=findings.errors)
    with Display() as watch:
        report = evaluate_file(options, watch=watch)
    if findings.as_json:
        write_line(to_json(report.to_dict()))
    else:
        show_line(report.to_text())
    pictures = report.draw(findings.png)
    if findings.html is not None:
        report.write_html(findings.html)
    for picture in pictures:
        note(f"picture: {picture}")
    if findings.html is not None:
        note(f"report: {findings.html}")
