"""`textkit evaluate`: a model and a test file in; numbers with intervals, pictures, a report, a comparison out.

The test file is read, predicted and counted a chunk at a time, so its size does not matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textkit import corpus
from textkit.cli.output import Progress, note, to_json, write_line
from textkit.cli.train import read_labelled
from textkit.errors import DataError, UsageError

if TYPE_CHECKING:
    from textkit.evaluation import Comparison, Evaluation, RegressionEvaluation, Stream

app = typer.Typer(rich_markup_mode=None)

# A wider matrix does not fit a terminal line; the PNG, the report and --json hold it whole.
_MATRIX_CLASSES = 12
_CHUNK_ROWS = 1024
BASELINE = "TF-IDF + LinearSVC"


@dataclass(frozen=True)
class Rival:
    """Something else that predicts the same rows: its name, its labels for texts, a check when all rows are done."""

    name: str
    predict: Callable[[Sequence[str]], Sequence[Any]]
    finish: Callable[[], None] = lambda: None


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, as RUN/model.")],
    data: Annotated[Path, typer.Argument(metavar="TEST", help="csv, tsv, jsonl, or txt with __label__NAME.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON.")] = False,
    html: Annotated[Path | None, typer.Option(help="Also write a report: one HTML page with everything.")] = None,
    png: Annotated[
        Path | None,
        typer.Option(help="Confusion matrix; by default confusion.png and reliability.png beside MODEL."),
    ] = None,
    compare: Annotated[
        list[Path] | None, typer.Option(help="Another model folder, or a file of predictions; may be repeated.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help=f"Training file: also train {BASELINE} on it and compare.")
    ] = None,
    errors: Annotated[int, typer.Option(min=0, help="Worst errors that the report lists.")] = 50,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Field delimiter of a csv file.")] = None,
) -> None:
    """Measure a model on a test file."""
    from textkit import TextClassifier

    classifier = TextClassifier.load(model)
    columns = {"text_column": text_column, "label_column": label_column, "delimiter": delimiter}
    reader = corpus.RowReader(data, labelled=True, **columns)  # type: ignore[arg-type]
    if _task(classifier) == "regression":
        if html or png or compare or baseline:
            raise UsageError(f"{model} predicts numbers; --html, --png, --compare and --baseline are for labels")
        result = measure_numbers(classifier, reader)
        write_line(to_json(result.to_dict()) if as_json else render_numbers(result))
        return
    if _task(classifier) != "single-label":
        raise UsageError(
            f"{model} is a {_task(classifier)} model, which this verb does not measure;"
            " use textkit.evaluation.evaluate_multilabel"
        )
    rivals = [open_rival(other) for other in compare or []]
    if baseline is not None:
        rivals.append(train_rival(baseline, columns))
    stream, comparisons = measure_labels(classifier, reader, rivals, n_mistakes=errors)
    found = stream.result()
    _say_unseen(found, data)
    if as_json:
        write_line(to_json(_report(found, comparisons)))
    else:
        write_line(render(found))
        for name, pair in comparisons.items():
            write_line("\n" + render_comparison(name, pair))
    _draw(found, model, png)
    if html is not None:
        from textkit.evaluation import write_html

        title = f"{model} on {data.name}"
        write_html(found, html, title=title, mistakes=stream.mistakes(), comparisons=comparisons)
        note(f"report: {html}")


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
    with Progress("evaluating") as progress:
        for rows in _read_chunks(reader):
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
        raise DataError(
            f"the model knows none of the labels, as '{next(iter(found.unseen))}'; it knows {_list(classes, 5)};"
            f" is '{reader.label_column or 'label'}' the right column? name it with --label-column",
            where=reader.name,
        )
    return stream, comparisons


def measure_numbers(classifier: Any, reader: corpus.RowReader) -> RegressionEvaluation:
    """Predict every row of a regression; what is kept are two numbers a row."""
    from array import array

    from textkit.evaluation import evaluate_regression

    truth, predicted = array("d"), array("d")
    with Progress("evaluating") as progress:
        for rows in _read_chunks(reader):
            for row in rows:
                try:
                    truth.append(float(str(row.label)))
                except ValueError as err:
                    message = f"the label '{row.label}' is no number, and the model predicts numbers"
                    raise reader.error(message, line=row.line) from err
            predicted.extend(classifier.predict([row.text for row in rows]).tolist())
            progress.update(len(truth))
    return evaluate_regression(truth, predicted)


def open_rival(path: Path) -> Rival:
    """Open another model's folder, or a file of its predictions."""
    from textkit import TextClassifier
    from textkit.evaluation.predictions import PredictionFile

    if not path.is_dir():
        file = PredictionFile(path)
        return Rival(str(path), lambda texts: file.take(len(texts)), file.finish)
    other = TextClassifier.load(path)
    if _task(other) != "single-label":
        raise UsageError(f"{path} is a {_task(other)} model; only models of one label a text can be compared")
    return Rival(str(path), lambda texts: other.predict(texts).tolist())


def train_rival(path: Path, columns: dict[str, str | None]) -> Rival:
    """Train the baseline on a file."""
    from textkit.evaluation import fit_baseline

    rows = read_labelled(path, **columns)
    return Rival(BASELINE, fit_baseline([row.text for row in rows], [str(row.label) for row in rows]))


def render(result: Evaluation) -> str:
    """Write the numbers, the table a class and, for up to 12 classes, the confusion matrix."""
    from textkit.evaluation import shorten

    width = max(10, *(min(len(name), 30) for name in result.classes))
    lines = [*_numbers(result), "", f"{'class':<{width}}  precision  recall     f1  support"]
    columns = zip(result.classes, result.precision, result.recall, result.f1, result.support, strict=True)
    lines += [f"{shorten(name, width):<{width}}  {p:9.3f}  {r:6.3f}  {f:5.3f}  {n:7,}" for name, p, r, f, n in columns]
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
        f"this model's gain: {pair.difference:+.3f} ({interval.low:+.3f} to {interval.high:+.3f}), McNemar's p"
        f" {f'{p:.3f}' if p >= 0.001 else '< 0.001'} ({pair.only_first:,} rows only this one has right,"
        f" {pair.only_second:,} only the other)"
    )


def render_numbers(result: RegressionEvaluation) -> str:
    """Write the numbers of a regression."""
    names = {"mae": "mean absolute error", "rmse": "root mean squared error", "r2": "R squared", "n_rows": "rows"}
    values = result.to_dict()
    values["n_rows"] = values.pop("n_rows")  # last, as for labels
    shown = {name: "-" if value is None else f"{value:,.4g}" for name, value in values.items()}
    return "\n".join(f"{names.get(name, name):<24}{value:>10}" for name, value in shown.items())


def _numbers(result: Evaluation) -> Iterator[str]:
    values = {"accuracy": result.accuracy, "macro_f1": result.macro_f1, "weighted_f1": result.weighted_f1}
    if result.scores is not None:
        scores = result.scores
        values |= {"roc_auc": scores.roc_auc, "log_loss": scores.log_loss, "brier": scores.brier}
        values["calibration_error"] = scores.calibration_error
    names = {"macro_f1": "macro F1", "weighted_f1": "weighted F1", "roc_auc": "ROC-AUC", "brier": "Brier score"}
    intervals = result.intervals()
    for key, value in values.items():
        interval = f"   95 %: {intervals[key]}" if key in intervals else ""
        shown = f"{value:.3f}" if value == value else "-"
        yield f"{names.get(key, key.replace('_', ' ')):<18}{shown:>7}{interval}"
    yield f"{'rows':<18}{result.n_rows:>7,}"


def _report(result: Evaluation, comparisons: dict[str, Comparison]) -> dict[str, Any]:
    report = result.to_dict() | {"comparisons": {name: pair.to_dict() for name, pair in comparisons.items()}}
    if BASELINE in comparisons:
        report["baseline_accuracy"] = comparisons[BASELINE].accuracies[1]
    return report


def _draw(result: Evaluation, model: Path, png: Path | None) -> None:
    from textkit.evaluation.figures import draw_confusion, draw_reliability

    confusion = png or model.parent / "confusion.png"
    reliability = png.with_name(f"{png.stem}-reliability.png") if png else model.parent / "reliability.png"
    draw_confusion(result, confusion)
    draw_reliability(result, reliability)
    note(f"picture: {confusion}")
    note(f"picture: {reliability}")


def _say_unseen(result: Evaluation, data: Path) -> None:
    if result.n_unseen:
        rows = sum(result.unseen.values())
        note(
            f"{data}: {result.n_unseen} labels are unknown to the model and count as wrong: {_list(result.unseen, 5)}"
            f" ({rows:,} of {result.n_rows:,} rows)"
        )


def _read_chunks(reader: corpus.RowReader) -> Iterator[list[corpus.Row]]:
    """Give the rows in chunks; say at the end what was guessed; refuse a file without rows and an empty label."""
    rows = iter(reader)
    while chunk := list(itertools.islice(rows, _CHUNK_ROWS)):
        empty = next((row for row in chunk if row.label == ""), None)
        if empty is not None:
            raise reader.error("the label is empty", line=empty.line)
        yield chunk
    if not reader.n_rows:
        raise reader.error("no rows after the header; expected texts and labels")
    for line in reader.notes():
        note(line)


def _task(classifier: Any) -> str:
    return str(getattr(classifier, "task_", "single-label"))


def _list(names: Any, n: int) -> str:
    names = list(names)
    more = f" and {len(names) - n} more" if len(names) > n else ""
    return ", ".join(names[:n]) + more
