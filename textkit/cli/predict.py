"""`textkit predict`: texts in, one line of labels and probabilities out for each."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from textkit.cli.output import note, to_json, write_line
from textkit.corpus import RowReader

app = typer.Typer(rich_markup_mode=None)

# Rows that are read before the first answer: few for a person who types, many for a file.
_CHUNK_ROWS = 1024


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, as RUN/model.")],
    data: Annotated[str, typer.Argument(metavar="[FILE]", help="txt, csv, tsv, jsonl; - is standard input.")] = "-",
    top: Annotated[int, typer.Option("--top", "-k", min=1, help="Labels a line, the most probable first.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON lines.")] = False,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    format: Annotated[str | None, typer.Option(help="Input format, where the name does not tell.")] = None,
) -> None:
    """Label texts: one line out for each row in, as LABEL<tab>PROBABILITY, repeated for --top."""
    from textkit import TextClassifier

    classifier = TextClassifier.load(model)
    reader = RowReader(data, text_column=text_column, format=format)
    rows = iter(reader)
    step = 1 if data == "-" and sys.stdin.isatty() else _CHUNK_ROWS
    while texts := [row.text for row in itertools.islice(rows, step)]:
        for probabilities in classifier.predict_proba(texts):
            write_line(_render(classifier.classes_.tolist(), probabilities, top=top, as_json=as_json))
        sys.stdout.buffer.flush()
    for line in reader.notes():
        note(line)


def _render(classes: list[Any], probabilities: Any, *, top: int, as_json: bool) -> str:
    best = [(classes[i], float(probabilities[i])) for i in (-probabilities).argsort(kind="stable")[:top]]
    if as_json:
        return to_json({"labels": [{"label": label, "probability": round(p, 6)} for label, p in best]})
    return "\t".join(f"{label}\t{p:.4f}" for label, p in best)
