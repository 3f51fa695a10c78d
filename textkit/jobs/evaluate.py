"""Evaluate a model on a test file.

In: a model folder and a file of texts and labels. Out: a report of the model's task, which gives
its numbers as JSON values or text, and draws and writes what is asked of it. The file is read,
predicted and counted a chunk at a time, so its size does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from textkit.errors import UsageError, require
from textkit.evaluation import MultiLabelStream, RegressionStream
from textkit.evaluation.slices import LabelCounts, Slice, Slices, SliceStream
from textkit.io import files, hub, zipped
from textkit.io.corpus import RowReader
from textkit.jobs.evaluate_reports import (
    EvaluateOptions,
    EvaluateReport,
    LabelReport,
    LabelSetReport,
    NumberReport,
)
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


def evaluate_file(options: EvaluateOptions, *, watch: Watch = Watch()) -> EvaluateReport:
    """Measure a model on every row of a test file.

    `watch` hears of the rows done, and what was guessed, dropped or unknown. Raises UsageError for
    a comparison that the model's task has not, DataError for rows that cannot be used.

    >>> from pathlib import Path
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
