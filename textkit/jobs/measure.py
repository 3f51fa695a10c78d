"""Measure a classifier on the rows of a test file, a chunk at a time.

In: a classifier, a reader of labelled rows, whatever else predicts the same rows. Out: the
evaluation of its task, and comparisons. Memory does not grow with the file, but for the two numbers
a row of a regression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from textkit.batch import cut_rows
from textkit.data.label_spelling import ClassSpelling
from textkit.data.labels import LabelCells, Missing, no_rows, read_labelled, read_usable
from textkit.errors import DataError, UsageError
from textkit.evaluation import (
    Comparison,
    MultiLabelStream,
    RegressionStream,
    Stream,
    fit_baseline,
)
from textkit.evaluation import compare as count
from textkit.evaluation.baseline import BASELINE
from textkit.evaluation.predictions import PredictionFile
from textkit.evaluation.slices import LabelCounts, SliceStream
from textkit.io import hub
from textkit.io.corpus import Row, RowReader
from textkit.jobs.runs import find_model
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier

CHUNK_ROWS = 1024
Read = TypeVar("Read")


@dataclass(frozen=True)
class Rival:
    """Something else that predicts the same rows: its name, its labels for texts, a check when
    all rows are done.
    """

    name: str
    predict: Callable[[Sequence[str]], Sequence[object]]
    finish: Callable[[], None] = lambda: None


def measure_labels(
    classifier: TextClassifier,
    reader: RowReader,
    rivals: Sequence[Rival] = (),
    *,
    n_mistakes: int,
    missing: Missing = "error",
    normalize: bool = False,
    slices: SliceStream[LabelCounts] | None = None,
    watch: Watch = Watch(),
) -> tuple[Stream, dict[str, Comparison]]:
    """Predict and count every row, a chunk at a time; each rival predicts the same rows.

    slices: counts the rows of each value of the reader's kept column too. normalize: as of
    ClassSpelling.

    Raises DataError for a file without rows, or one of whose labels the model knows none.
    """
    classes = [str(label) for label in classifier.classes_.tolist()]
    stream = Stream(classes, n_mistakes=n_mistakes)
    comparisons = {rival.name: Comparison() for rival in rivals}
    cells = LabelCells(words=classes)
    known = ClassSpelling(classifier.classes_.tolist(), normalize=normalize)

    def read(row: Row) -> str:
        return known.spell(cells.label(row.label, else_=", and the model gives one"))

    others = ClassSpelling(classifier.classes_.tolist(), normalize=normalize)
    for pairs in read_chunks(reader, read, missing, watch):
        texts = [row.text for row, _ in pairs]
        labels = [label for _, label in pairs]
        probabilities = classifier.predict_proba(texts)
        codes, guessed = stream.encode(labels), probabilities.argmax(axis=1)
        stream.add(codes, probabilities, texts)
        if slices is not None:
            for held, at in slices.groups(_kept(pairs)):
                held.add(codes[at], guessed[at])
        own = [classes[i] for i in guessed]
        for rival in rivals:
            guesses = [others.spell(str(label)) for label in rival.predict(texts)]
            comparisons[rival.name] += count(labels, own, guesses)
    for rival in rivals:
        rival.finish()
    for line in known.notes(reader.name):
        watch.note(line)
    result = stream.result()
    if sum(result.unseen.values()) == result.n_rows:
        raise _no_label_known(reader, next(iter(result.unseen)), classes)
    return stream, comparisons


def measure_label_sets(
    classifier: TextClassifier,
    reader: RowReader,
    *,
    separator: str | None,
    n_mistakes: int,
    missing: Missing = "error",
    normalize: bool = False,
    slices: SliceStream[MultiLabelStream] | None = None,
    watch: Watch = Watch(),
) -> MultiLabelStream:
    """Predict and count every row of a multi-label task.

    separator: what stands between the labels of a row.
    """
    classes = [str(label) for label in classifier.classes_.tolist()]
    stream = MultiLabelStream(classes, thresholds=classifier.thresholds_, n_mistakes=n_mistakes)
    cells = LabelCells(separator, words=classes)
    known = ClassSpelling(classifier.classes_.tolist(), normalize=normalize)

    def read(row: Row) -> list[str]:
        labels = map(known.spell, cells.labels(row.label, listed=row.listed))
        return list(dict.fromkeys(labels))

    for pairs in read_chunks(reader, read, missing, watch):
        texts = [row.text for row, _ in pairs]
        truth = [labels for _, labels in pairs]
        probabilities = classifier.predict_proba(texts)
        predicted = [
            [classes[i] for i in row.nonzero()[0]] for row in probabilities > classifier.thresholds_
        ]
        stream.add(truth, predicted, probabilities, texts)
        if slices is not None:
            for held, at in slices.groups(_kept(pairs)):
                held.add([truth[i] for i in at], [predicted[i] for i in at])
    for line in (*cells.notes(reader.name), *known.notes(reader.name)):
        watch.note(line)
    result = stream.result()
    if result.unseen and result.support.sum() == sum(result.unseen.values()):
        raise _no_label_known(reader, next(iter(result.unseen)), classes)
    return stream


def measure_numbers(
    classifier: TextClassifier,
    reader: RowReader,
    *,
    n_mistakes: int,
    missing: Missing = "error",
    slices: SliceStream[list[RegressionStream]] | None = None,
    watch: Watch = Watch(),
) -> dict[str, RegressionStream]:
    """Predict every row of a regression: a stream for each of its outputs, by name."""
    streams = {
        str(name): RegressionStream(n_mistakes=n_mistakes) for name in classifier.classes_.tolist()
    }
    cells = LabelCells()

    def read(row: Row) -> list[float]:
        return read_numbers(cells, row, n=len(streams))

    for pairs in read_chunks(reader, read, missing, watch):
        texts = [row.text for row, _ in pairs]
        truth = [numbers for _, numbers in pairs]
        predicted = classifier.predict(texts).reshape(len(pairs), len(streams)).T
        for stream, true, guessed in zip(
            streams.values(), zip(*truth, strict=True), predicted, strict=True
        ):
            stream.add(true, guessed, texts)
        if slices is not None:
            for held, at in slices.groups(_kept(pairs)):
                for output, part in enumerate(held):
                    part.add([truth[i][output] for i in at], predicted[output][at].tolist())
    return streams


def _kept(pairs: Sequence[tuple[Row, object]]) -> list[object]:
    """Give the column by which rows are sliced."""
    return [row.kept[0] for row, _ in pairs]


def open_rival(path: Path, *, allow: Sequence[str] = ()) -> Rival:
    """Open another model's folder or run folder, one on the hub, or a file of its predictions."""
    if not (path.is_dir() or hub.is_name(path)):
        file = PredictionFile(path)
        return Rival(str(path), lambda texts: file.take(len(texts)), file.finish)
    from textkit import TextClassifier

    other = TextClassifier.load(find_model(path), allow=allow)
    if other.task_ != "single-label":
        raise UsageError(
            f"{path} is a {other.task_} model; only models of one label a text can be compared"
        )
    return Rival(str(path), lambda texts: other.predict(texts).tolist())


def train_rival(path: Path, columns: dict[str, str | None], *, watch: Watch = Watch()) -> Rival:
    """Train the baseline on a file."""
    rows = read_labelled(
        path, task="single-label", on_bad="stop", missing=None, note=watch.note, **columns
    )
    return Rival(BASELINE, fit_baseline(rows.texts, [str(label) for label in rows.labels]))


def read_chunks(
    reader: RowReader, read: Callable[[Row], Read], missing: Missing | None, watch: Watch
) -> Iterator[list[tuple[Row, Read]]]:
    """Give the rows in chunks, each with what `read` makes of its label, and say how many are
    done; say at the end what was guessed and left out.

    Refuse a file without rows.
    """
    empty = True
    for chunk in cut_rows(reader, n_rows=CHUNK_ROWS):
        pairs = list(read_usable(reader, chunk, read, missing))
        if pairs:
            empty = False
            yield pairs
        watch.progress(Progress("evaluating", reader.n_rows))
    if empty:
        raise no_rows(reader)
    for line in reader.notes():
        watch.note(line)


def name_some(names: Iterable[str], n: int) -> str:
    """Name the first n, and say how many more there are.

    >>> name_some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    names = list(names)
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more


def read_numbers(cells: LabelCells, row: Row, *, n: int) -> list[float]:
    """Give the numbers of a row; ValueError where they are not n."""
    values = cells.numbers(row.label, listed=row.listed)
    if len(values) != n:
        raise ValueError(f"the label has {len(values)} numbers, and the model predicts {n}")
    return values


def _no_label_known(reader: RowReader, found: str, classes: Sequence[str]) -> DataError:
    return DataError(
        f"the model knows none of the labels, as '{found}'; it knows {name_some(classes, 5)};"
        f" is '{reader.label_column or 'label'}' the right column? name it with --label-column",
        where=reader.name,
    )
