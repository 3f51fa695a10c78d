"""Measure a model on a test file, a chunk of rows at a time.

What `textkit evaluate` does before it writes.

In: a classifier, a reader of labelled rows, whatever else predicts the same rows. Out: the
evaluation of its task, and comparisons. Memory does not grow with the file, but for the two numbers
a row of a regression.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textkit.cli.output import ProgressBar, note
from textkit.cli.train import read_labelled, read_labels
from textkit.errors import DataError, UsageError
from textkit.io import corpus

if TYPE_CHECKING:
    from textkit.evaluation import Comparison, MultiLabelStream, RegressionStream, Stream

CHUNK_ROWS = 1024
BASELINE = "TF-IDF + LinearSVC"


@dataclass(frozen=True)
class Rival:
    """Something else that predicts the same rows: its name, its labels for texts, a check when
    all rows are done.
    """

    name: str
    predict: Callable[[Sequence[str]], Sequence[Any]]
    finish: Callable[[], None] = lambda: None


def measure_labels(
    classifier: Any, reader: corpus.RowReader, rivals: Sequence[Rival], *, n_mistakes: int
) -> tuple[Stream, dict[str, Comparison]]:
    """Predict and count every row, a chunk at a time; each rival predicts the same rows.

    Raises DataError for a file without rows, or one of whose labels the model knows none.
    """
    from textkit.evaluation import Comparison, Stream
    from textkit.evaluation import compare as count

    classes = [str(label) for label in classifier.classes_.tolist()]
    stream = Stream(classes, n_mistakes=n_mistakes)
    comparisons = {rival.name: Comparison() for rival in rivals}
    with ProgressBar("evaluating") as progress:
        for rows in read_chunks(reader):
            several = next((row for row in rows if corpus.LABEL_SEPARATOR in str(row.label)), None)
            if several is not None:
                raise reader.error(
                    "the row has several labels, and the model gives one", line=several.line
                )
            texts, labels = [row.text for row in rows], [str(row.label) for row in rows]
            probabilities = classifier.predict_proba(texts)
            stream.add(stream.encode(labels), probabilities, texts)
            own = [classes[i] for i in probabilities.argmax(axis=1)]
            for rival in rivals:
                guesses = [str(label) for label in rival.predict(texts)]
                comparisons[rival.name] += count(labels, own, guesses)
            progress.update(stream.n_rows)
    for rival in rivals:
        rival.finish()
    found = stream.result()
    if sum(found.unseen.values()) == found.n_rows:
        raise _no_label_known(reader, next(iter(found.unseen)), classes)
    return stream, comparisons


def measure_label_sets(
    classifier: Any, reader: corpus.RowReader, *, separator: str, n_mistakes: int
) -> MultiLabelStream:
    """Predict and count every row of a multi-label task.

    separator: what stands between the labels of a row.
    """
    from textkit.evaluation import MultiLabelStream

    classes = [str(label) for label in classifier.classes_.tolist()]
    stream = MultiLabelStream(classes, thresholds=classifier.thresholds_, n_mistakes=n_mistakes)
    marks = str.maketrans({separator: corpus.LABEL_SEPARATOR}) if len(separator) == 1 else {}
    with ProgressBar("evaluating") as progress:
        for rows in read_chunks(reader, empty=True):
            texts = [row.text for row in rows]
            marked = [row._replace(label=(row.label or "").translate(marks)) for row in rows]
            probabilities = classifier.predict_proba(texts)
            predicted = [
                [classes[i] for i in row.nonzero()[0]]
                for row in probabilities > classifier.thresholds_
            ]
            stream.add(read_labels(marked, "multi-label"), predicted, probabilities, texts)
            progress.update(stream.n_rows)
    result = stream.result()
    if result.unseen and result.support.sum() == sum(result.unseen.values()):
        raise _no_label_known(reader, next(iter(result.unseen)), classes)
    return stream


def measure_numbers(
    classifier: Any, reader: corpus.RowReader, *, n_mistakes: int
) -> dict[str, RegressionStream]:
    """Predict every row of a regression: a stream for each of its outputs, by name."""
    from textkit.evaluation import RegressionStream

    streams = {
        str(name): RegressionStream(n_mistakes=n_mistakes) for name in classifier.classes_.tolist()
    }
    n_rows = 0
    with ProgressBar("evaluating") as progress:
        for rows in read_chunks(reader):
            texts = [row.text for row in rows]
            truth = [_read_numbers(reader, row, n=len(streams)) for row in rows]
            predicted = classifier.predict(texts).reshape(len(rows), len(streams)).T
            for stream, true, found in zip(
                streams.values(), zip(*truth, strict=True), predicted, strict=True
            ):
                stream.add(true, found, texts)
            n_rows += len(rows)
            progress.update(n_rows)
    return streams


def open_rival(path: Path) -> Rival:
    """Open another model's folder, or a file of its predictions."""
    from textkit import TextClassifier
    from textkit.evaluation.predictions import PredictionFile

    if not path.is_dir():
        file = PredictionFile(path)
        return Rival(str(path), lambda texts: file.take(len(texts)), file.finish)
    other = TextClassifier.load(path)
    if task_of(other) != "single-label":
        raise UsageError(
            f"{path} is a {task_of(other)} model; only models of one label a text can be compared"
        )
    return Rival(str(path), lambda texts: other.predict(texts).tolist())


def train_rival(path: Path, columns: dict[str, str | None]) -> Rival:
    """Train the baseline on a file."""
    from textkit.evaluation import fit_baseline

    rows = read_labelled(path, **columns)
    return Rival(
        BASELINE, fit_baseline([row.text for row in rows], [str(row.label) for row in rows])
    )


def read_chunks(reader: corpus.RowReader, *, empty: bool = False) -> Iterator[list[corpus.Row]]:
    """Give the rows in chunks; say at the end what was guessed.

    Refuse a file without rows and an empty label.

    empty: a row may be without labels.
    """
    rows = iter(reader)
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        bare = next((row for row in chunk if row.label == ""), None)
        if bare is not None and not empty:
            raise reader.error("the label is empty", line=bare.line)
        yield chunk
    if not reader.n_rows:
        raise reader.error("no rows after the header; expected texts and labels")
    for line in reader.notes():
        note(line)


def task_of(classifier: Any) -> str:
    """Name the task of a fitted classifier."""
    return str(classifier.task_)


def name_some(names: Iterable[str], n: int) -> str:
    """Name the first n, and say how many more there are.

    >>> name_some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    names = list(names)
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more


def _read_numbers(reader: corpus.RowReader, row: corpus.Row, *, n: int) -> list[float]:
    try:
        values = [float(value) for value in (row.label or "").split(corpus.LABEL_SEPARATOR)]
    except ValueError as err:
        raise reader.error(
            f"the label '{row.label}' is no number, and the model predicts numbers", line=row.line
        ) from err
    if len(values) != n:
        raise reader.error(
            f"the label has {len(values)} numbers, and the model predicts {n}", line=row.line
        )
    return values


def _no_label_known(reader: corpus.RowReader, found: str, classes: Sequence[str]) -> DataError:
    return DataError(
        f"the model knows none of the labels, as '{found}'; it knows {name_some(classes, 5)};"
        f" is '{reader.label_column or 'label'}' the right column? name it with --label-column",
        where=reader.name,
    )
