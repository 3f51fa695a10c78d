"""Measure models side by side: every row of a file goes through all of them.

In: a reader of labelled rows, and the places of models. Out: a SideBySide. The file is read once, a
chunk at a time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.classify import model_folder
from textkit.classify.fitted import Fitted, TokenModel
from textkit.classify.linear import LinearModel
from textkit.classify.profiling import count_tokens, measure_latency
from textkit.data.labels import LabelCells
from textkit.data.targets import Task
from textkit.errors import UsageError
from textkit.evaluation import MultiLabelStream, RegressionStream, Stream
from textkit.evaluation.paired import PairedMetric
from textkit.evaluation.side_by_side import (
    Agreement,
    Contender,
    Curve,
    Measured,
    NumbersEvaluation,
    SideBySide,
    score_of,
)
from textkit.io.corpus import Row, RowReader
from textkit.jobs import runs
from textkit.jobs.measure import read_chunks, read_numbers
from textkit.watch import Watch

_LATENCIES = 100  # predictions of one text that the percentiles are of
_CURVES = ("train_loss", "valid_loss", "valid_accuracy")
Truth = str | list[str] | list[float]


def measure_side_by_side(
    reader: RowReader,
    places: Mapping[str, Path],
    samples: Mapping[Path, tuple[str, int]],
    *,
    n_changed: int,
    separator: str | None = None,
    allow: Sequence[str] = (),
    watch: Watch = Watch(),
) -> SideBySide:
    """Measure models by name.

    samples: models that learnt from fewer rows, each the name of the model that it belongs to and
    the number of its rows; only their accuracy counts. separator: between the labels of a row, for
    multi-label. Raises UsageError for models of different tasks, DataError for a file without rows.
    """
    models = [_open(name, place, allow) for name, place in places.items()]
    smaller = [_open(name, place, allow) for place, (name, _) in samples.items()]
    known = {str(label) for model in models for label in model.fitted.classes}
    task = _one_task(models + smaller)
    several = task == "multi-label"
    cells = LabelCells(separator if several else None, words=known)
    agreement = Agreement(len(models), n_changed=n_changed)
    metric = PairedMetric(
        len(models), "micro F1" if several else "MAE", lower_is_better=not several
    )
    some: list[str] = []

    def read(row: Row) -> Truth:
        if task == "single-label":
            return cells.label(row.label, else_=", and the models give one")
        if several:
            return cells.labels(row.label, listed=row.listed)
        return read_numbers(cells, row, n=len(models[0].fitted.classes))

    for pairs in read_chunks(reader, read, None, watch):
        texts, truth = [row.text for row, _ in pairs], [label for _, label in pairs]
        some += texts[: _LATENCIES - len(some)]
        said = [model.predict(texts, truth) for model in models]
        if task != "regression":
            agreement.add(
                [_spell(label) for label in truth],
                [[_spell(label) for label in labels] for labels in said],
                texts,
            )
        if task != "single-label":
            metric.add(np.stack([_parts(truth, labels) for labels in said], axis=1))
        for model in smaller:
            model.predict(texts, truth)
    sizes: dict[str, list[tuple[float, float]]] = {}
    for model, (name, n_rows) in zip(smaller, samples.values(), strict=True):
        sizes.setdefault(name, []).append((float(n_rows), abs(score_of(model.result()))))
    contenders = [_finish(model, some, sizes.get(model.name, [])) for model in models]
    pair = agreement.pair if task == "single-label" else metric.pair
    return SideBySide.of(contenders, agreement, pair)


def _one_task(models: Sequence[_Measured]) -> Task:
    for model in models[1:]:
        if model.fitted.task != models[0].fitted.task:
            raise UsageError(
                f"{models[0].place} is a {models[0].fitted.task} model and {model.place} a"
                f" {model.fitted.task} one; models of one task are compared"
            )
    return models[0].fitted.task


def _spell(label: Truth) -> str:
    return label if isinstance(label, str) else ", ".join(sorted(map(str, label)))


def _parts(truth: Sequence[Truth], said: Sequence[Truth]) -> NDArray[np.float64]:
    """Give the parts of the metric of each row, (n, 2): of micro F1 twice the hits over all labels,
    of the mean absolute error the error over one.
    """
    rows = []
    for true, guessed in zip(truth, said, strict=True):
        if (true and isinstance(true[0], float)) or (guessed and isinstance(guessed[0], float)):
            errors = np.abs(np.subtract(true, guessed, dtype=np.float64))
            rows.append((float(errors.mean()), 1.0))
        else:
            both = len({*true} & {*guessed})
            rows.append((2.0 * both, float(len({*true}) + len({*guessed}))))
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


@dataclass
class _Measured:
    """A model while the rows go through it."""

    name: str
    place: Path
    fitted: Fitted
    stream: Stream | MultiLabelStream | list[RegressionStream]
    seconds: float = 0.0
    n_tokens: int = 0

    def predict(self, texts: list[str], truth: list[Any]) -> list[Truth]:
        """Predict and count some rows; give the label, the labels or the numbers of each."""
        began = time.perf_counter()
        is_number = isinstance(self.stream, list)
        made: NDArray[Any] = (
            self.fitted.logits(texts) if is_number else self.fitted.probabilities(texts)
        )
        self.seconds += time.perf_counter() - began
        said: list[Truth]
        if isinstance(self.stream, Stream):
            self.stream.add(self.stream.encode(truth), made)
            said = [self.stream.classes[i] for i in made.argmax(axis=1)]
        elif isinstance(self.stream, MultiLabelStream):
            classes = self.stream.classes
            chosen = made > self.fitted.thresholds
            sets = [[str(classes[i]) for i in row.nonzero()[0]] for row in chosen]
            self.stream.add(truth, sets, made)
            said = [*sets]
        else:
            numbers = made.astype(np.float64)
            for at, stream in enumerate(self.stream):
                stream.add([row[at] for row in truth], numbers[:, at].tolist())
            said = [*numbers.tolist()]
        if isinstance(self.fitted.model, LinearModel | TokenModel):
            self.n_tokens += count_tokens(self.fitted, texts)
        return said

    def result(self) -> Measured:
        """Give its evaluation on the rows so far."""
        if not isinstance(self.stream, list):
            return self.stream.result()
        names = map(str, self.fitted.classes.tolist())
        return NumbersEvaluation(
            {name: each.result() for name, each in zip(names, self.stream, strict=True)}
        )


def _open(name: str, place: Path, allow: Sequence[str]) -> _Measured:
    fitted = model_folder.load(runs.find_model(place), allow=allow)
    classes = [str(label) for label in fitted.classes.tolist()]
    if fitted.task == "single-label":
        return _Measured(name, place, fitted, Stream(classes, n_mistakes=0))
    if fitted.task == "multi-label":
        sets = MultiLabelStream(classes, thresholds=fitted.thresholds, n_mistakes=0)
        return _Measured(name, place, fitted, sets)
    return _Measured(name, place, fitted, [RegressionStream(n_mistakes=0) for _ in classes])


def _finish(model: _Measured, texts: list[str], sizes: list[tuple[float, float]]) -> Contender:
    """Gather the numbers of a model; `sizes` gets the whole training file as its last point."""
    folder = runs.find_model(model.place)
    latency = measure_latency(model.fitted, texts, batch_size=1, n=_LATENCIES)
    result, report = model.result(), _read_run(folder.parent)
    curves: dict[str, Curve] = {}
    if report is not None:
        lines = [epoch.to_dict() for epoch in report.history.epochs]
        curves = {
            name: [(line["epoch"], line[name]) for line in lines if name in line]
            for name in _CURVES
        }
        sizes = [*sizes, (float(report.n_rows), abs(score_of(result)))] if sizes else []
    return Contender(
        name=model.name,
        evaluation=result,
        n_weights=model.fitted.model.n_weights,
        n_bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        predict_seconds=model.seconds,
        n_tokens=model.n_tokens,
        p50=latency.p50,
        p95=latency.p95,
        train_seconds=None if report is None else report.history.seconds,
        curves=curves,
        sizes=sizes,
    )


def _read_run(folder: Path) -> runs.TrainReport | None:
    """Read the run that a model folder lies in, if it does."""
    return runs.read_report(folder) if (folder / runs.REPORT).is_file() else None
