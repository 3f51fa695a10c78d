"""`textkit evaluate`: a model and a test file in; accuracy, a table a class, and the confusion matrix out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from textkit.cli.output import note, to_json, write_line
from textkit.cli.train import read_labelled

if TYPE_CHECKING:
    from textkit.evaluation import Evaluation

app = typer.Typer(rich_markup_mode=None)

# A wider matrix does not fit a terminal line; the PNG and --json hold it whole.
_MATRIX_CLASSES = 12


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, as RUN/model.")],
    data: Annotated[Path, typer.Argument(metavar="TEST", help="csv, tsv, jsonl, or txt with __label__NAME.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write one line of JSON.")] = False,
    png: Annotated[
        Path | None, typer.Option(help="Where the picture goes; by default confusion.png beside MODEL.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Training file: also train TF-IDF + LinearSVC on it and compare.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
) -> None:
    """Measure a model on a test file."""
    from textkit import TextClassifier
    from textkit.evaluation import evaluate as count

    classifier = TextClassifier.load(model)
    rows = read_labelled(data, text_column=text_column, label_column=label_column)
    texts, labels = [row.text for row in rows], [str(row.label) for row in rows]
    classes = [str(label) for label in classifier.classes_.tolist()]
    predicted = [str(label) for label in classifier.predict(texts).tolist()]
    result = count(labels, predicted, classes=classes)
    unseen = [name for name in result.classes if name not in classes]
    if unseen:
        note(f"{len(unseen)} labels are unknown to the model and count as wrong: {', '.join(unseen[:5])}")
    report = result.to_dict()
    if baseline is not None:
        report["baseline_accuracy"] = score_baseline(baseline, texts, labels, text_column, label_column)
    if as_json:
        write_line(to_json(report))
    else:
        write_line(render(result))
        if baseline is not None:
            write_line(f"\nTF-IDF + LinearSVC on the same files: accuracy {report['baseline_accuracy']:.3f}")
    picture = png or model.parent / "confusion.png"
    result.save_png(picture)
    note(f"picture: {picture}")


def score_baseline(
    train: Path, texts: list[str], labels: list[str], text_column: str | None, label_column: str | None
) -> float:
    """Train the baseline on a file and give its accuracy on these rows."""
    from textkit.evaluation import predict_baseline

    rows = read_labelled(train, text_column=text_column, label_column=label_column)
    predicted = predict_baseline([row.text for row in rows], [str(row.label) for row in rows], texts)
    return float(sum(guess == label for guess, label in zip(predicted, labels, strict=True)) / len(labels))


def render(result: Evaluation) -> str:
    """Write the numbers, the table a class and, for up to 12 classes, the confusion matrix."""
    from textkit.evaluation import shorten

    width = max(10, *(min(len(name), 30) for name in result.classes))
    lines = [
        f"accuracy {result.accuracy:.3f}   macro F1 {result.macro_f1:.3f}   {result.n_rows:,} rows",
        "",
        f"{'class':<{width}}  precision  recall     f1  support",
    ]
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
