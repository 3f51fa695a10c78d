"""Measure models side by side: every row of a file goes through all of them.

In: a reader of labelled rows, and the places of models. Out: a SideBySide. The file is read once, a
chunk at a time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textkit.classify import model_folder
from textkit.classify.fitted import Fitted, TokenModel
from textkit.classify.linear import LinearModel
from textkit.classify.profiling import count_tokens, measure_latency
from textkit.data.labels import LabelCells
from textkit.errors import UsageError
from textkit.evaluation.side_by_side import Agreement, Contender, Curve, SideBySide
from textkit.evaluation.stream import Stream
from textkit.io.corpus import Row, RowReader
from textkit.jobs import runs
from textkit.jobs.measure import read_chunks
from textkit.watch import Watch

_LATENCIES = 100  # predictions of one text that the percentiles are of
_CURVES = ("train_loss", "valid_loss", "valid_accuracy")


def measure_side_by_side(
    reader: RowReader,
    places: Mapping[str, Path],
    samples: Mapping[Path, tuple[str, int]],
    *,
    n_changed: int,
    allow: Sequence[str] = (),
    watch: Watch = Watch(),
) -> SideBySide:
    """Measure models by name.

    samples: models that learnt from fewer rows, each the name of the model that it belongs to and
    the number of its rows; only their accuracy counts. Raises UsageError for a model that gives no
    single label, DataError for a file without rows.
    """
    models = [_open(name, place, allow) for name, place in places.items()]
    smaller = [_open(name, place, allow) for place, (name, _) in samples.items()]
    known = {str(label) for model in models for label in model.fitted.classes}
    cells, agreement = LabelCells(words=known), Agreement(len(models), n_changed=n_changed)
    some: list[str] = []

    def read(row: Row) -> str:
        return cells.label(row.label, else_=", and the models give one")

    for pairs in read_chunks(reader, read, None, watch):
        texts, labels = [row.text for row, _ in pairs], [label for _, label in pairs]
        some += texts[: _LATENCIES - len(some)]
        agreement.add(labels, [model.predict(texts, labels) for model in models], texts)
        for model in smaller:
            model.predict(texts, labels)
    sizes: dict[str, list[tuple[float, float]]] = {}
    for model, (name, n_rows) in zip(smaller, samples.values(), strict=True):
        sizes.setdefault(name, []).append((float(n_rows), model.stream.result().accuracy))
    contenders = [_finish(model, some, sizes.get(model.name, [])) for model in models]
    return SideBySide.of(contenders, agreement)


@dataclass
class _Measured:
    """A model while the rows go through it."""

    name: str
    place: Path
    fitted: Fitted
    stream: Stream
    seconds: float = 0.0
    n_tokens: int = 0

    def predict(self, texts: list[str], labels: list[str]) -> list[str]:
        """Predict and count some rows; give the labels."""
        began = time.perf_counter()
        probabilities = self.fitted.probabilities(texts)
        self.seconds += time.perf_counter() - began
        self.stream.add(self.stream.encode(labels), probabilities)
        if isinstance(self.fitted.model, LinearModel | TokenModel):
            self.n_tokens += count_tokens(self.fitted, texts)
        return [self.stream.classes[i] for i in probabilities.argmax(axis=1)]


def _open(name: str, place: Path, allow: Sequence[str]) -> _Measured:
    fitted = model_folder.load(runs.find_model(place), allow=allow)
    if fitted.task != "single-label":
        raise UsageError(
            f"{place} is a {fitted.task} model; only models of one label a text are compared"
        )
    classes = [str(label) for label in fitted.classes.tolist()]
    return _Measured(name, place, fitted, Stream(classes, n_mistakes=0))


def _finish(model: _Measured, texts: list[str], sizes: list[tuple[float, float]]) -> Contender:
    """Gather the numbers of a model; `sizes` gets the whole training file as its last point."""
    folder = runs.find_model(model.place)
    latency = measure_latency(model.fitted, texts, batch_size=1, n=_LATENCIES)
    result, report = model.stream.result(), _read_run(folder.parent)
    curves: dict[str, Curve] = {}
    if report is not None:
        lines = [epoch.to_dict() for epoch in report.history.epochs]
        curves = {
            name: [(line["epoch"], line[name]) for line in lines if name in line]
            for name in _CURVES
        }
        sizes = [*sizes, (float(report.n_rows), result.accuracy)] if sizes else []
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
