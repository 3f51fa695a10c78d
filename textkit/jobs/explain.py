"""Explain texts, or a sample of the rows of a file: why does the model say so?

In: a model folder and a text or a file. Out: an ExplainReport: an explanation each, the words of
each label, and how faithful the explanations are. It gives JSON values and writes a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from textkit.data.labels import no_rows
from textkit.errors import DataError, UsageError
from textkit.evaluation.explanation_page import write_explanations
from textkit.evaluation.explanations import (
    Explanation,
    Faithfulness,
    Method,
    TopWord,
    top_words,
)
from textkit.io.corpus import LABEL_SEPARATOR, Row, RowReader
from textkit.io.inputs import FORMATS, is_stream, split_sheet
from textkit.jobs.runs import find_model
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """What is explained, and how.

    - model: a model folder, or a run folder. text: one text; or data: a file of rows, - for
      standard input.
    - label, against, method: as in TextClassifier.explain.
    - rows: of a file, so many are drawn with `seed`, in the file's order; 0 explains all.
    - measure: also take the words away and look at what happens (Faithfulness).
    - top: words listed for each label.
    - text_column, label_column, delimiter, format: how the file is read; guessed where not given.
      labels: whether its rows have labels, to stand beside what the model says.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    model: Path
    text: str | None = None
    data: str | Path | None = None
    label: str | None = None
    against: str | None = None
    method: Method | None = None
    rows: int = 200
    measure: bool = False
    top: int = 15
    seed: int = 0
    labels: bool = False
    text_column: str | None = None
    label_column: str | None = None
    delimiter: str | None = None
    format: str | None = None
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class ExplainReport:
    """Explanations in the order of the rows; words by label; faithfulness where it was measured.

    n_rows: of the file, of which these are a sample.
    """

    of: ExplainOptions
    explanations: Sequence[Explanation]
    tops: dict[str, list[TopWord]]
    n_rows: int
    faithfulness: Faithfulness | None = None

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "texts": [explanation.to_dict() for explanation in self.explanations],
            "top_words": {
                label: [vars(word) for word in words] for label, words in self.tops.items()
            },
            "faithfulness": None if self.faithfulness is None else self.faithfulness.to_dict(),
        }

    def write_html(self, path: Path) -> None:
        """Write the page."""
        n, source = len(self.explanations), self.of.data
        sample = f"{n:,} of {self.n_rows:,} rows of {source}, drawn with seed {self.of.seed}"
        said = f"{n:,} rows of {source}" if n == self.n_rows else sample
        write_explanations(
            path,
            self.explanations,
            title=f"Why {self.of.model} says so",
            subtitle="" if self.of.text is not None else said,
            tops=self.tops,
            faithfulness=self.faithfulness,
        )


def explain_file(options: ExplainOptions, *, watch: Watch = Watch()) -> ExplainReport:
    """Explain a text or rows of a file.

    `watch` hears of the rows done, of what was guessed and of a sample that was drawn. Raises
    UsageError for a label or method that the model has not, DataError for a file without rows.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("model")
    >>> report = explain_file(ExplainOptions(model=Path("model"), text="a good film"))
    >>> report.explanations[0].label, report.tops["pos"][0].word
    ('pos', 'good')
    """
    from textkit import TextClassifier

    if (options.text is None) == (options.data is None):
        raise UsageError("expected a text or a file to explain, and not both")
    classifier = TextClassifier.load(find_model(options.model), allow=options.allow or ())
    if options.text is not None:
        rows, n_rows = [Row(options.text, None, 1)], 1
    else:
        rows, n_rows = _read(options, watch)
    return _explain_rows(classifier, rows, n_rows, options, watch)


def _explain_rows(
    classifier: TextClassifier,
    rows: Sequence[Row],
    n_rows: int,
    options: ExplainOptions,
    watch: Watch,
) -> ExplainReport:
    from textkit.classify.explain import Explainer
    from textkit.classify.explain_removal import measure_faithfulness

    explainer = Explainer(
        classifier.fitted_, label=options.label, against=options.against, method=options.method
    )
    explanations = []
    for number, row in enumerate(rows, start=1):
        truth = None if row.label is None else row.label.replace(LABEL_SEPARATOR, ", ")
        explanations.append(explainer.explain(row.text, truth=truth))
        watch.progress(Progress("explaining", number, len(rows)))
    measured = None
    if options.measure:
        measured = measure_faithfulness(
            explanations,
            explainer.probability,
            seed=options.seed,
            step=lambda done: watch.progress(Progress("measuring", done, len(rows))),
        )
    return ExplainReport(
        options, explanations, top_words(explanations, n=options.top), n_rows, measured
    )


def _read(options: ExplainOptions, watch: Watch) -> tuple[list[Row], int]:
    """Read a file, and keep a sample of its rows in their order (reservoir sampling)."""
    assert options.data is not None
    reader = RowReader(
        options.data,
        labelled=options.labels or options.label_column is not None,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
        format=options.format,
    )
    kept: list[tuple[int, Row]] = []
    luck, n = np.random.default_rng(options.seed), 0
    for n, row in enumerate(reader, start=1):
        if not options.rows or len(kept) < options.rows:
            kept.append((n, row))
        elif (place := int(luck.integers(n))) < options.rows:
            kept[place] = (n, row)
    if not kept:
        raise no_rows(reader)
    for line in reader.notes():
        watch.note(line)
    if len(kept) < n:
        watch.note(f"{len(kept):,} of {n:,} rows are explained, drawn with seed {options.seed}")
    return [row for _, row in sorted(kept, key=lambda pair: pair[0])], n


def split_source(source: str) -> dict[str, str]:
    """Tell a file from a text: what exists, or is -, is a file, all else a text.

    Raises DataError for what is written like a file and is none.

    >>> split_source("a good film")
    {'text': 'a good film'}
    """
    try:
        is_file = is_stream(source) or split_sheet(source)[0].is_file()
    except (OSError, ValueError):  # longer than a name can be, or with a null character
        is_file = False
    if is_file:
        return {"data": source}
    ending = str(split_sheet(source)[0]).rsplit(".", 1)[-1].lower()
    if " " not in source and "." in source and ending in (*FORMATS, "xlsm", "gz", "zst"):
        raise DataError(
            "no such file; to explain it as a text, pipe it in and give - as the file", where=source
        )
    return {"text": source}
