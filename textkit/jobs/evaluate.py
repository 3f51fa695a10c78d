"""Evaluate a model on a test file.

In: a model folder and a file of texts and labels. Out: a report of the model's task, which gives
its numbers as JSON values or text, and draws and writes what is asked of it. The file is read,
predicted and counted a chunk at a time, so its size does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from textkit.data.given_labels import Missing
from textkit.data.labels import OnBad
from textkit.errors import UsageError, require
from textkit.evaluation import (
    Comparison,
    Evaluation,
    LabelMistake,
    Mistake,
    MultiLabelEvaluation,
    MultiLabelStream,
    NumberMistake,
    RegressionEvaluation,
    RegressionStream,
    draw_confusion,
    draw_labels,
    draw_regression,
    draw_reliability,
    write_html,
    write_multilabel_html,
    write_regression_html,
)
from textkit.evaluation.baseline import BASELINE
from textkit.evaluation.slices import LabelCounts, Slice, Slices, SliceStream
from textkit.evaluation.text import (
    render_comparison,
    render_label_sets,
    render_labels,
    render_numbers,
)
from textkit.io import files, hub, zipped
from textkit.io.corpus import RowReader
from textkit.jobs.measure import (
    measure_label_sets,
    measure_labels,
    measure_numbers,
    name_some,
    open_rival,
    train_rival,
)
from textkit.jobs.runs import find_model
from textkit.watch import Watch

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is measured on what.

    - model: a model folder, a run folder, or a name on the hub. data: the test file.
    - text_column, label_column, delimiter: where its texts and labels stand; guessed where not
      given. label_separator: as in TrainOptions.
    - compare: other model folders, or files of predictions, for one label a text. baseline: a
      training file; TF-IDF + LinearSVC is trained on it and compared too.
    - on_bad, missing, normalize_labels: as in TrainOptions; what was skipped stands in `rejects`,
      beside the model, or here for one on the hub.
    - allow: each `package.module:Name` of the models that may be imported.
    - by: a column; the rows of each of its values are measured for themselves too.
    - n_mistakes: how many of the worst errors the report keeps.
    """

    model: Path
    data: Path
    compare: Sequence[Path] | None = None
    baseline: Path | None = None
    by: str | None = None
    n_mistakes: int = 50
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str = "|"
    delimiter: str | None = None
    on_bad: OnBad = "stop"
    missing: Missing = "error"
    normalize_labels: bool = False
    allow: Sequence[str] | None = None

    @property
    def rejects(self) -> Path:
        """Where the rows that were skipped are written down, if there are any."""
        return self._beside / f"{self.data.name}.rejects.txt"

    @property
    def _beside(self) -> Path:
        return Path() if hub.is_name(self.model) else self.model.parent

    @property
    def title(self) -> str:
        """What stands over the report."""
        return f"{self.model} on {self.data.name}"

    def picture(self, name: str, png: Path | None, *, more: str = "") -> Path:
        """Give the path of a picture: NAME.png beside the model, or `png`, its stem followed by
        `more`.
        """
        if png is None:
            return self._beside / f"{name}.png"
        return png.with_stem(png.stem + more)


class EvaluateReport(Protocol):
    """What an evaluation gives, whatever the task."""

    def to_dict(self) -> dict[str, object]:
        """Give all numbers as plain JSON values."""

    def to_text(self) -> str:
        """Write the numbers for a terminal, many lines."""

    def draw(self, png: Path | None = None) -> list[Path]:
        """Draw the pictures beside the model, or at `png` and beside it; say which were drawn."""

    def write_html(self, path: Path) -> None:
        """Write the report: one HTML page with everything."""


@dataclass(frozen=True)
class LabelReport:
    """One label a text: the evaluation, the surest mistakes, comparisons by the other's name.

    measured: what it is of; the name of the file, and the SHA-256 of the model's manifest.
    """

    of: EvaluateOptions
    evaluation: Evaluation
    mistakes: Sequence[Mistake]
    comparisons: Mapping[str, Comparison]
    slices: Slices | None = None
    measured: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        pairs = {name: pair.to_dict() for name, pair in self.comparisons.items()}
        report = {
            "measured": self.measured,
            **self.evaluation.to_dict(),
            "comparisons": pairs,
            **_by(self.slices),
        }
        if BASELINE in self.comparisons:
            report["baseline_accuracy"] = self.comparisons[BASELINE].accuracies[1]
        return report

    def to_text(self) -> str:
        pairs = (f"\n{render_comparison(name, pair)}" for name, pair in self.comparisons.items())
        return "\n".join([render_labels(self.evaluation), *_table(self.slices), *pairs])

    def draw(self, png: Path | None = None) -> list[Path]:
        confusion = self.of.picture("confusion", png)
        reliability = self.of.picture("reliability", png, more="-reliability")
        draw_confusion(self.evaluation, confusion)
        draw_reliability(self.evaluation, reliability)
        return [confusion, reliability]

    def write_html(self, path: Path) -> None:
        write_html(
            self.evaluation,
            path,
            title=self.of.title,
            mistakes=self.mistakes,
            comparisons=self.comparisons,
            slices=self.slices,
        )


@dataclass(frozen=True)
class LabelSetReport:
    """Several labels a text: the evaluation and the rows with the largest loss."""

    of: EvaluateOptions
    evaluation: MultiLabelEvaluation
    mistakes: Sequence[LabelMistake]
    slices: Slices | None = None
    measured: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        return {"measured": self.measured, **self.evaluation.to_dict(), **_by(self.slices)}

    def to_text(self) -> str:
        return "\n".join([render_label_sets(self.evaluation), *_table(self.slices)])

    def draw(self, png: Path | None = None) -> list[Path]:
        labels = self.of.picture("labels", png)
        reliability = self.of.picture("reliability", png, more="-reliability")
        draw_labels(self.evaluation, labels)
        draw_reliability(self.evaluation, reliability)
        return [labels, reliability]

    def write_html(self, path: Path) -> None:
        write_multilabel_html(
            self.evaluation,
            path,
            title=self.of.title,
            mistakes=self.mistakes,
            slices=self.slices,
        )


@dataclass(frozen=True)
class NumberReport:
    """Numbers: the evaluation of each output, and its largest errors, by the output's name."""

    of: EvaluateOptions
    evaluations: Mapping[str, RegressionEvaluation]
    mistakes: Mapping[str, Sequence[NumberMistake]]
    slices: Mapping[str, Slices] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        reports = {
            output: {**result.to_dict(), **_by(self.slices.get(output))}
            for output, result in self.evaluations.items()
        }
        values = {"outputs": reports} if len(reports) > 1 else next(iter(reports.values()))
        return {"measured": self.measured, **values}

    def to_text(self) -> str:
        blocks = [render_numbers(self.evaluations)]
        for output, slices in self.slices.items():
            named = [f"\n{output}"] if len(self.slices) > 1 else []
            blocks += [*named, *_table(slices)]
        return "\n".join(blocks)

    def draw(self, png: Path | None = None) -> list[Path]:
        picture = self.of.picture("predictions", png)
        draw_regression(self.evaluations, picture)
        return [picture]

    def write_html(self, path: Path) -> None:
        write_regression_html(
            self.evaluations,
            path,
            title=self.of.title,
            mistakes=self.mistakes,
            slices=self.slices,
        )


def _by(slices: Slices | None) -> dict[str, object]:
    return {} if slices is None else {"by": slices.to_dict()}


def _table(slices: Slices | None) -> list[str]:
    return [] if slices is None else ["", slices.to_text()]


def evaluate_file(options: EvaluateOptions, *, watch: Watch = Watch()) -> EvaluateReport:
    """Measure a model on every row of a test file.

    `watch` hears of the rows done, and what was guessed, dropped or unknown. Raises UsageError for
    a comparison that the model's task has not, DataError for rows that cannot be used.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> small = {"encoder__dim": 4, "embedding__dim": 4, "training__epochs": 1, "seed": 1}
    >>> TextClassifier(**small).fit(texts, labels).save("run/model")
    >>> data = Path("test.csv")
    >>> _ = data.write_text("text,label\\ngood film,pos\\nodd,new\\n", encoding="utf-8")
    >>> report = evaluate_file(EvaluateOptions(model=Path("run/model"), data=data))
    >>> report.to_dict()["n_rows"], [str(path) for path in report.draw()]
    (2, ['run/confusion.png', 'run/reliability.png'])
    """
    from textkit import TextClassifier

    require("matplotlib", needed_by="an evaluation")
    place = find_model(options.model)
    classifier = TextClassifier.load(place, allow=options.allow or ())
    if not hub.is_name(options.model):
        options = replace(options, model=place)
    task = classifier.task_
    if task != "single-label" and (options.compare or options.baseline):
        raise UsageError(
            f"{options.model} is a {task} model; --compare and --baseline are for one label a text"
        )
    skips = (options.on_bad, options.missing) != ("stop", "error")
    if skips and not all(path.is_dir() or hub.is_name(path) for path in options.compare or ()):
        raise UsageError(
            "a file of predictions has a line for each row: --compare it without --on-bad and"
            " --missing"
        )
    reader = _open(options)
    report = _TASKS[task](classifier, reader, options, watch)
    if reader.rejects:
        files.write_text(options.rejects, "\n".join(reader.rejects) + "\n")
        watch.note(f"left out: {options.rejects}")
    measured = {"data": options.data.name, "manifest": zipped.hash_manifest(place)}
    return replace(report, measured=measured)


def _open(options: EvaluateOptions) -> RowReader:
    return RowReader(
        options.data,
        labelled=True,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
        keep=() if options.by is None else (options.by,),
        on_bad=options.on_bad,
    )


def _evaluate_labels(
    classifier: TextClassifier, reader: RowReader, options: EvaluateOptions, watch: Watch
) -> LabelReport:
    rivals = [open_rival(path, allow=options.allow or ()) for path in options.compare or ()]
    if options.baseline is not None:
        columns = {
            "text_column": options.text_column,
            "label_column": options.label_column,
            "delimiter": options.delimiter,
        }
        rivals.append(train_rival(options.baseline, columns, watch=watch))
    slices = None if options.by is None else SliceStream(options.by, LabelCounts)
    stream, comparisons = measure_labels(
        classifier,
        reader,
        rivals,
        n_mistakes=options.n_mistakes,
        missing=options.missing,
        normalize=options.normalize_labels,
        slices=slices,
        watch=watch,
    )
    result = stream.result()
    _note_unseen(options, result.unseen, result.n_rows, watch)
    sliced = None if slices is None else slices.finish(lambda held: Slice.of(held.result()))
    return LabelReport(options, result, stream.mistakes(), comparisons, sliced)


def _evaluate_label_sets(
    classifier: TextClassifier, reader: RowReader, options: EvaluateOptions, watch: Watch
) -> LabelSetReport:
    classes = [str(label) for label in classifier.classes_.tolist()]
    slices = None
    if options.by is not None:
        slices = SliceStream(options.by, lambda: MultiLabelStream(classes, n_mistakes=0))
    stream = measure_label_sets(
        classifier,
        reader,
        separator=options.label_separator,
        n_mistakes=options.n_mistakes,
        missing=options.missing,
        normalize=options.normalize_labels,
        slices=slices,
        watch=watch,
    )
    result = stream.result()
    _note_unseen(options, result.unseen, result.n_rows, watch)
    sliced = None if slices is None else slices.finish(lambda held: Slice.of(held.result()))
    return LabelSetReport(options, result, stream.mistakes(), sliced)


def _evaluate_numbers(
    classifier: TextClassifier, reader: RowReader, options: EvaluateOptions, watch: Watch
) -> NumberReport:
    n_outputs = len(classifier.classes_)
    slices = None
    if options.by is not None:
        slices = SliceStream(
            options.by, lambda: [RegressionStream(n_mistakes=0) for _ in range(n_outputs)]
        )
    streams = measure_numbers(
        classifier,
        reader,
        n_mistakes=options.n_mistakes,
        missing=options.missing,
        slices=slices,
        watch=watch,
    )
    sliced: dict[str, Slices] = {}
    if slices is not None:
        for at, name in enumerate(streams):
            parts = {value: held[at] for value, held in slices.held.items()}
            sliced[name] = Slices.of(
                options.by or "", {v: Slice.of(part.result()) for v, part in parts.items()}
            )
    return NumberReport(
        options,
        {name: stream.result() for name, stream in streams.items()},
        {name: stream.mistakes() for name, stream in streams.items()},
        sliced,
    )


Measure = Callable[
    ["TextClassifier", RowReader, EvaluateOptions, Watch],
    LabelReport | LabelSetReport | NumberReport,
]
_TASKS: dict[str, Measure] = {
    "single-label": _evaluate_labels,
    "multi-label": _evaluate_label_sets,
    "regression": _evaluate_numbers,
}


def _note_unseen(
    options: EvaluateOptions, unseen: Mapping[str, int], n_rows: int, watch: Watch
) -> None:
    if unseen:
        rows = f"{sum(unseen.values()):,} of {n_rows:,} rows"
        watch.note(
            f"{options.data}: {len(unseen)} labels are unknown to the model and count as wrong:"
            f" {name_some(unseen, 5)} ({rows})"
        )
