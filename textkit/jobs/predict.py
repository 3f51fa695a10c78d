"""Predict texts: one prediction for each row of a file, in order, while it is read.

In: a model folder or a classifier, and texts. Out: predictions one after the other (`predict_file`,
`predict_texts`). A file of them, beside the columns of their rows, is made by
textkit/jobs/predictions.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.batch import cut_rows
from textkit.data.labels import OnBad
from textkit.data.targets import Label
from textkit.io.bulk import Inputs
from textkit.io.corpus import ReadOptions
from textkit.io.text_folders import expand_texts
from textkit.io.text_lines import DEFAULT_LIMIT, RowLimit
from textkit.jobs.answer_output import RUNS
from textkit.jobs.runs import find_model
from textkit.watch import Watch

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """What is predicted, and how much of it is told.

    - model: a model folder, or a run folder. data: a file of texts, or - for standard input; or
      a folder: of tables, whose rows are read one after the other, or else of a file for each
      text, in order of name.
    - text_column, delimiter, format: how it is read; guessed where not given.
    - top: labels a row, the most probable first. Without it one; of a multi-label model those
      above their thresholds.
    - on_bad: stop at a row that cannot be read, or leave it out and say how many were.
    - max_row_mb: a longer row is a LimitError.
    - allow: each `package.module:Name` of the model that may be imported.
    - chunk_rows: rows that are read before the first prediction.
    """

    model: Path
    data: str | Path = "-"
    top: int | None = None
    text_column: str | None = None
    delimiter: str | None = None
    format: str | None = None
    on_bad: OnBad = "stop"
    max_row_mb: int = DEFAULT_LIMIT.megabytes
    allow: Sequence[str] | None = None
    chunk_rows: int = 1024


@dataclass(frozen=True)
class Prediction:
    """What a model says of one text.

    labels: with their probabilities, the most probable first; perhaps none. values: the numbers of
    a regression, else None.

    >>> Prediction(labels=(("pos", 0.75),)).to_dict()
    {'labels': [{'label': 'pos', 'probability': 0.75}]}
    """

    labels: tuple[tuple[Label, float], ...] = ()
    values: tuple[float, ...] | None = None

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values, probabilities rounded to six places."""
        if self.values is not None:
            return {"values": list(self.values)}
        return {
            "labels": [{"label": label, "probability": round(p, 6)} for label, p in self.labels]
        }

    def to_text(self, *, spreadsheet_safe: bool = False) -> str:
        """Write one line: LABEL<tab>PROBABILITY, repeated, or numbers with tabs between.

        spreadsheet_safe: put ' before a label that a spreadsheet would run as a formula.

        >>> Prediction(labels=(("=1+1", 0.5),)).to_text(spreadsheet_safe=True)
        "'=1+1\\t0.5000"
        """
        if self.values is not None:
            return "\t".join(f"{number:.6g}" for number in self.values)
        cells: list[str] = []
        for label, p in self.labels:
            runs = spreadsheet_safe and isinstance(label, str) and label.startswith(RUNS)
            cells.append(f"{chr(39) if runs else ''}{label}\t{p:.4f}")
        return "\t".join(cells)


def predict_file(options: PredictOptions, *, watch: Watch = Watch()) -> Iterator[Prediction]:
    """Predict every row of a file; the model is opened at the first prediction asked for.

    `watch` hears at the end what was guessed.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> small = {"encoder__dim": 4, "embedding__dim": 4, "training__epochs": 1, "seed": 1}
    >>> TextClassifier(**small).fit(texts, labels).save("model")
    >>> _ = Path("new.txt").write_text("a film\\na plot\\n", encoding="utf-8")
    >>> options = PredictOptions(model=Path("model"), data="new.txt", top=2)
    >>> [len(prediction.labels) for prediction in predict_file(options)]
    [2, 2]
    """
    from textkit import TextClassifier

    classifier = TextClassifier.load(find_model(options.model), allow=options.allow or ())
    reading: ReadOptions = {
        "text_column": options.text_column,
        "delimiter": options.delimiter,
        "format": options.format,
        "on_bad": options.on_bad,
        "limit": RowLimit(options.max_row_mb, "--max-row-mb"),
    }
    notes: list[str] = []
    source = Inputs(expand_texts([str(options.data)], note=notes.append), reading, notes)
    for rows in cut_rows(source, n_rows=options.chunk_rows):
        yield from predict_texts(classifier, [row.text for row in rows], top=options.top)
    for line in source.notes:
        watch.note(line)


def predict_texts(
    classifier: TextClassifier, texts: Sequence[str], *, top: int | None = None
) -> Iterator[Prediction]:
    """Predict texts at once: a prediction for each, in order; `top` is as in PredictOptions."""
    task = classifier.task_
    if task == "regression":
        for numbers in classifier.predict_logits(texts).tolist():
            yield Prediction(values=tuple(numbers))
        return
    classes = classifier.classes_.tolist()
    for row in classifier.predict_proba(texts):
        order = (-row).argsort(kind="stable").tolist()
        if task == "multi-label" and top is None:
            chosen = [i for i in order if row[i] > classifier.thresholds_[i]]
        else:
            chosen = order[: top or 1]
        yield Prediction(tuple((classes[i], float(row[i])) for i in chosen))
