"""`textkit predict`: texts in, one line of labels and probabilities out for each."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from textkit.cli.output import note, to_json, write_line
from textkit.io.corpus import RowReader

app = typer.Typer(rich_markup_mode=None)

# Rows that are read before the first answer: few for a person who types, many for a file.
_CHUNK_ROWS = 1024


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, as RUN/model.")],
    data: Annotated[
        str, typer.Argument(metavar="[FILE]", help="txt, csv, tsv, jsonl; - is standard input.")
    ] = "-",
    top: Annotated[
        int | None,
        typer.Option(
            "--top", "-k", min=1, help="Labels a line, the most probable first; by default 1."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON lines.")] = False,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    format: Annotated[
        str | None, typer.Option(help="Input format, where the name does not tell.")
    ] = None,
) -> None:
    """Label texts: one line out for each row in, as LABEL<tab>PROBABILITY, repeated for --top.

    A multi-label model gives the labels above their thresholds, a regression its numbers.
    """
    from textkit import TextClassifier

    classifier = TextClassifier.load(model)
    reader = RowReader(data, text_column=text_column, format=format)
    rows = iter(reader)
    step = 1 if data == "-" and sys.stdin.isatty() else _CHUNK_ROWS
    while texts := [row.text for row in itertools.islice(rows, step)]:
        for line in _predict(classifier, texts, top=top, as_json=as_json):
            write_line(line)
        sys.stdout.buffer.flush()
    for line in reader.notes():
        note(line)


def _predict(classifier: Any, texts: list[str], *, top: int | None, as_json: bool) -> Iterator[str]:
    """Give a line for each text: its labels with their probabilities, or its numbers in a
    regression.
    """
    if classifier.task_ == "regression":
        for numbers in classifier.predict_logits(texts).tolist():
            yield (
                to_json({"values": numbers})
                if as_json
                else "\t".join(f"{number:.6g}" for number in numbers)
            )
        return
    classes = classifier.classes_.tolist()
    for row in classifier.predict_proba(texts):
        order = (-row).argsort(kind="stable")
        if (
            classifier.task_ == "multi-label" and top is None
        ):  # those above their thresholds, perhaps none
            order = [i for i in order if row[i] > classifier.thresholds_[i]]
        else:
            order = order[: top or 1]
        yield _render([(classes[i], float(row[i])) for i in order], as_json=as_json)


def _render(best: list[tuple[Any, float]], *, as_json: bool) -> str:
    if as_json:
        return to_json(
            {"labels": [{"label": label, "probability": round(p, 6)} for label, p in best]}
        )
    return "\t".join(f"{label}\t{p:.4f}" for label, p in best)
