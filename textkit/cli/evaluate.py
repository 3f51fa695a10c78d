"""`textkit evaluate`: a model and a test file in.

Numbers with intervals, pictures, a report, a comparison out.

The test file is read, predicted and counted a chunk at a time, so its size does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textkit.cli.measure import (
    BASELINE,
    measure_label_sets,
    measure_labels,
    measure_numbers,
    name_some,
    open_rival,
    task_of,
    train_rival,
)
from textkit.cli.output import note, to_json, write_line
from textkit.errors import UsageError, require
from textkit.io import corpus

if TYPE_CHECKING:
    from textkit.evaluation import (
        Comparison,
        Evaluation,
        Interval,
        MultiLabelEvaluation,
        MultiLabelStream,
        RegressionEvaluation,
        RegressionStream,
        Stream,
    )

app = typer.Typer(rich_markup_mode=None)

# A wider matrix does not fit a terminal line; the PNG, the report and --json hold it whole.
_MATRIX_CLASSES = 12
_NAMES = {
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
    "hamming_loss": "Hamming loss",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
    "r2": "R squared",
    "bias": "mean residual",
}


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, as RUN/model.")],
    data: Annotated[
        Path, typer.Argument(metavar="TEST", help="csv, tsv, jsonl, or txt with __label__NAME.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write a report: one HTML page with everything.")
    ] = None,
    png: Annotated[
        Path | None,
        typer.Option(
            help="Picture; by default confusion.png, labels.png or predictions.png, beside MODEL,"
            " and reliability.png."
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(help="Another model folder, or a file of predictions; may be repeated."),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help=f"Training file: also train {BASELINE} on it and compare.")
    ] = None,
    errors: Annotated[int, typer.Option(min=0, help="Worst errors that the report lists.")] = 50,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    label_separator: Annotated[
        str, typer.Option(help="Between the labels of a row, for multi-label.")
    ] = "|",
    delimiter: Annotated[str | None, typer.Option(help="Field delimiter of a csv file.")] = None,
) -> None:
    """Measure a model on a test file."""
    from textkit import TextClassifier

    require("matplotlib", needed_by="an evaluation")
    classifier = TextClassifier.load(model)
    columns = {"text_column": text_column, "label_column": label_column, "delimiter": delimiter}
    reader = corpus.RowReader(data, labelled=True, **columns)  # type: ignore[arg-type]
    task = task_of(classifier)
    if task != "single-label" and (compare or baseline):
        raise UsageError(
            f"{model} is a {task} model; --compare and --baseline are for one label a text"
        )
    output = _Output(model, data, as_json, html, png)
    if task == "regression":
        _tell_numbers(measure_numbers(classifier, reader, n_mistakes=errors), output)
    elif task == "multi-label":
        _tell_label_sets(
            measure_label_sets(classifier, reader, separator=label_separator, n_mistakes=errors),
            output,
        )
    else:
        rivals = [open_rival(other) for other in compare or []]
        if baseline is not None:
            rivals.append(train_rival(baseline, columns))
        _tell_labels(*measure_labels(classifier, reader, rivals, n_mistakes=errors), output)


@dataclass(frozen=True)
class _Output:
    """What was measured on what, and where its numbers, pictures and report go."""

    model: Path
    data: Path
    as_json: bool
    html: Path | None
    png: Path | None

    @property
    def title(self) -> str:
        return f"{self.model} on {self.data.name}"

    def picture(self, name: str, *, more: str = "") -> Path:
        """Give the path of a picture: NAME.png beside the model, or the one of --png, its stem
        followed by `more`.
        """
        return (
            self.model.parent / f"{name}.png"
            if self.png is None
            else self.png.with_stem(self.png.stem + more)
        )


def _tell_labels(stream: Stream, comparisons: dict[str, Comparison], output: _Output) -> None:
    from textkit.evaluation import write_html
    from textkit.evaluation.figures import draw_confusion, draw_reliability

    found = stream.result()
    _say_unseen(found.unseen, found.n_rows, output.data)
    if output.as_json:
        write_line(to_json(_report(found, comparisons)))
    else:
        write_line(render(found))
        for name, pair in comparisons.items():
            write_line("\n" + render_comparison(name, pair))
    confusion, reliability = (
        output.picture("confusion"),
        output.picture("reliability", more="-reliability"),
    )
    draw_confusion(found, confusion)
    draw_reliability(found, reliability)
    if output.html is not None:
        write_html(
            found,
            output.html,
            title=output.title,
            mistakes=stream.mistakes(),
            comparisons=comparisons,
        )
    _say_written(confusion, reliability, report=output.html)


def _tell_label_sets(stream: MultiLabelStream, output: _Output) -> None:
    from textkit.evaluation import write_multilabel_html
    from textkit.evaluation.figures import draw_labels, draw_reliability

    found = stream.result()
    _say_unseen(found.unseen, found.n_rows, output.data)
    write_line(to_json(found.to_dict()) if output.as_json else render_label_sets(found))
    labels, reliability = (
        output.picture("labels"),
        output.picture("reliability", more="-reliability"),
    )
    draw_labels(found, labels)
    draw_reliability(found, reliability)
    if output.html is not None:
        write_multilabel_html(found, output.html, title=output.title, mistakes=stream.mistakes())
    _say_written(labels, reliability, report=output.html)


def _tell_numbers(streams: dict[str, RegressionStream], output: _Output) -> None:
    from textkit.evaluation import write_regression_html
    from textkit.evaluation.figures import draw_regression

    results = {name: stream.result() for name, stream in streams.items()}
    write_line(to_json(_numbers_report(results)) if output.as_json else render_numbers(results))
    picture = output.picture("predictions")
    draw_regression(results, picture)
    if output.html is not None:
        mistakes = {name: stream.mistakes() for name, stream in streams.items()}
        write_regression_html(results, output.html, title=output.title, mistakes=mistakes)
    _say_written(picture, report=output.html)


def _say_written(*pictures: Path, report: Path | None) -> None:
    for picture in pictures:
        note(f"picture: {picture}")
    if report is not None:
        note(f"report: {report}")


def render(result: Evaluation) -> str:
    """Write the numbers, the table a class and, for up to 12 classes, the confusion matrix."""
    from textkit.evaluation import shorten

    width = max(10, *(min(len(name), 30) for name in result.classes))
    lines = [*_numbers(result), "", f"{'class':<{width}}  precision  recall     f1  support"]
    columns = zip(
        result.classes, result.precision, result.recall, result.f1, result.support, strict=True
    )
    lines += [
        f"{shorten(name, width):<{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:7,}"
        for name, p, r, f, n in columns
    ]
    if len(result.classes) <= _MATRIX_CLASSES:
        heads = "".join(f"{shorten(name, 8):>9}" for name in result.classes)
        lines += ["", f"{'true, down':<{width}}{heads}   <- predicted"]
        lines += [
            f"{shorten(name, width):<{width}}" + "".join(f"{count:9,}" for count in row)
            for name, row in zip(result.classes, result.counts, strict=True)
        ]
    return "\n".join(lines)


def render_comparison(name: str, pair: Comparison) -> str:
    """Write what the difference to another model is, and whether chance explains it."""
    interval, p = pair.interval(), pair.p_value
    heading = f"{BASELINE} on the same files" if name == BASELINE else name
    return (
        f"{heading}: accuracy {pair.accuracies[1]:.3f}\n"
        f"this model's gain: {pair.difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}),"
        f" McNemar's p"
        f" {f'{p:.3f}' if p >= 0.001 else '< 0.001'} ({pair.only_first:,} rows only this one has"
        f" right,"
        f" {pair.only_second:,} only the other)"
    )


def render_label_sets(result: MultiLabelEvaluation) -> str:
    """Write the numbers of a multi-label task and the table a label."""
    from textkit.evaluation import shorten

    width = max(10, *(min(len(name), 30) for name in result.classes))
    numbers = {
        "micro_f1": result.micro_f1,
        "macro_f1": result.macro_f1,
        "subset_accuracy": result.subset_accuracy,
        "hamming_loss": result.hamming_loss,
        "mean_average_precision": result.mean_average_precision,
        "calibration_error": float("nan") if result.bins is None else result.bins.calibration_error,
    }
    intervals = result.intervals()
    lines = [
        f"{_NAMES.get(key, key.replace('_', ' ')):<24}{_shown(value):>7}"
        f"{_interval(intervals.get(key))}"
        for key, value in numbers.items()
    ]
    lines += [f"{'rows':<24}{result.n_rows:>7,}", ""]
    lines.append(f"{'label':<{width}}  precision  recall     f1  average precision  support")
    columns = zip(
        result.classes,
        result.precision,
        result.recall,
        result.f1,
        result.average_precision.tolist(),
        result.support,
        strict=True,
    )
    return "\n".join(
        lines
        + [
            f"{shorten(name, width):<{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {_shown(area):>17} "
            f" {n:7,}"
            for name, p, r, f, area, n in columns
        ]
    )


def render_numbers(results: dict[str, RegressionEvaluation]) -> str:
    """Write the numbers of a regression, a block an output."""
    blocks = []
    for output, result in results.items():
        intervals = result.intervals()
        lines = [output] if len(results) > 1 else []
        lines += [
            f"{_NAMES.get(key, key):<24}{_shown(value, '.4g'):>10}"
            f"{_interval(intervals.get(key), '.4g')}"
            for key, value in result.scores.items()
        ]
        blocks.append("\n".join([*lines, f"{'rows':<24}{result.n_rows:>10,}"]))
    return "\n\n".join(blocks)


def _numbers_report(results: dict[str, RegressionEvaluation]) -> dict[str, Any]:
    reports = {output: result.to_dict() for output, result in results.items()}
    return {"outputs": reports} if len(reports) > 1 else next(iter(reports.values()))


def _shown(value: float, style: str = ".3f") -> str:
    return format(value, style) if value == value else "-"


def _interval(interval: Interval | None, style: str = ".3f") -> str:
    return "" if interval is None else f"   95 %: {interval:{style}}"


def _numbers(result: Evaluation) -> Iterator[str]:
    values = {
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1,
        "weighted_f1": result.weighted_f1,
    }
    if result.scores is not None:
        scores = result.scores
        values |= {"roc_auc": scores.roc_auc, "log_loss": scores.log_loss, "brier": scores.brier}
        values["calibration_error"] = scores.calibration_error
    intervals = result.intervals()
    for key, value in values.items():
        name = _NAMES.get(key, key.replace("_", " "))
        yield f"{name:<18}{_shown(value):>7}{_interval(intervals.get(key))}"
    yield f"{'rows':<18}{result.n_rows:>7,}"


def _report(result: Evaluation, comparisons: dict[str, Comparison]) -> dict[str, Any]:
    report = result.to_dict() | {
        "comparisons": {name: pair.to_dict() for name, pair in comparisons.items()}
    }
    if BASELINE in comparisons:
        report["baseline_accuracy"] = comparisons[BASELINE].accuracies[1]
    return report


def _say_unseen(unseen: dict[str, int], n_rows: int, data: Path) -> None:
    if unseen:
        rows = f"{sum(unseen.values()):,} of {n_rows:,} rows"
        note(
            f"{data}: {len(unseen)} labels are unknown to the model and count as wrong:"
            f" {name_some(unseen, 5)} ({rows})"
        )
