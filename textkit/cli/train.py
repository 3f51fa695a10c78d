"""`textkit train`: a file of texts and labels in, a run folder out.

The run folder is described in textkit/jobs/runs.py. Ctrl-C or SIGTERM stops after the present step,
keeps the best model so far and a checkpoint; `--resume` goes on from there, also after a kill.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from textkit.cli.errors import StopSignal
from textkit.cli.output import ProgressBar, clock, note
from textkit.errors import DataError, UsageError, require
from textkit.io import corpus
from textkit.version import __version__

app = typer.Typer(rich_markup_mode=None)


@app.command()
def train(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="TRAIN", help="csv, tsv, jsonl, or txt with __label__NAME; also .gz."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder; by default runs/NAME-TIME.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", "-r", help="Recipe file (TOML).")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override, as encoder.dim=128."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in -o from where it was stopped.")
    ] = False,
    init_from: Annotated[
        Path | None, typer.Option(help="Model folder whose tokenizer and weights to start from.")
    ] = None,
    valid: Annotated[
        Path | None,
        typer.Option(help="Validation file; without it a share of the rows is held out."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="single-label, multi-label or regression.")
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", "-t", help="Kind to train, or a saved one.")
    ] = None,
    encoder: Annotated[
        str | None, typer.Option("--encoder", "-e", help="bag, cnn, lstm, ..., or a plug-in.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data at most.")] = None,
    time_limit: Annotated[
        str | None, typer.Option(help="Stop after this time with the best model: 90s, 5m, 2h.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    label_separator: Annotated[
        str, typer.Option(help="Between the labels of a row, for multi-label.")
    ] = "|",
    delimiter: Annotated[str | None, typer.Option(help="Field delimiter of a csv file.")] = None,
    baseline: Annotated[
        bool, typer.Option("--baseline/--no-baseline", help="Compare with TF-IDF + LinearSVC.")
    ] = True,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="For files larger than memory: tokenize once into mapped files."
        ),
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write TensorBoard logs.")
    ] = False,
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr", help="Do not train: sweep the learning rate, draw the curve, suggest one."
        ),
    ] = False,
) -> None:
    """Train a text classifier; the columns are guessed by their names, and the guess is said."""
    from textkit.jobs import runs
    from textkit.recipe import complete_recipe, read_recipe

    require(
        "torch",
        "accelerate",
        "matplotlib",
        *(["sklearn"] if baseline else []),
        needed_by="training",
    )

    shortcuts = _shortcuts(tokenizer, encoder, epochs, seed, device, task, time_limit)
    run = out or Path("runs") / f"{data.name.split('.')[0]}-{time.strftime('%Y%m%d-%H%M%S')}"
    asked = recipe is not None or shortcuts or overrides
    chosen = (
        complete_recipe(read_recipe(recipe, [*shortcuts, *(overrides or [])]))
        if asked or not resume
        else None
    )
    if resume:
        if out is None:
            raise UsageError("--resume goes on with a run; name its folder with -o")
        chosen, over = runs.open_again(run, data, chosen)
        if over:
            note(f"{run} is over; its model is {run / runs.MODEL}")
            return
    elif is_main():
        runs.check_new(run)
    assert chosen is not None
    columns = {"text_column": text_column, "label_column": label_column, "delimiter": delimiter}
    separator = label_separator if chosen.head.task == "multi-label" else None
    if stream and (find_lr or init_from is not None):
        raise UsageError("--stream goes with neither --find-lr nor --init-from; leave one out")
    rows = [] if stream else read_labelled(data, **columns, separator=separator)
    valid_rows = (
        None if valid is None or stream else read_labelled(valid, **columns, separator=separator)
    )
    if find_lr:
        _sweep(rows, chosen, run)
        return
    if not resume and is_main():
        runs.begin(run, data, chosen)
    files = (data, valid, {**columns, "separator": separator}) if stream else None
    with StopSignal() as stop:
        _train_rows(
            rows,
            valid_rows,
            chosen,
            run,
            stop,
            baseline=baseline and not stream,
            tensorboard=tensorboard,
            init_from=init_from,
            files=files,
        )


def _sweep(rows: list[corpus.Row], recipe: Any, run: Path) -> None:
    """Find a learning rate; write its picture and say how to use it."""
    from textkit.classify.lr_finder import find_rate

    found = find_rate([row.text for row in rows], read_labels(rows, recipe.head.task), recipe)
    found.save_png(run / "lr.png")
    note(f"suggested: --set training.lr={found.suggested:.1e}  (picture: {run / 'lr.png'})")


def is_main() -> bool:
    """Tell whether this process speaks and writes: of those that torchrun started, the first."""
    return os.environ.get("RANK", "0") == "0"


def _train_rows(
    rows: list[corpus.Row],
    valid_rows: list[corpus.Row] | None,
    recipe: Any,
    run: Path,
    stop: StopSignal,
    *,
    baseline: bool,
    tensorboard: bool,
    init_from: Path | None,
    files: tuple[Path, Path | None, dict[str, Any]] | None,
) -> None:
    from textkit import TextClassifier
    from textkit.jobs import runs
    from textkit.training import processes
    from textkit.training.board import Board
    from textkit.watch import Epoch, Step, Watch

    lines: list[dict[str, Any]] = []
    board = Board(run / "tensorboard") if tensorboard and is_main() else None
    with ProgressBar("training", unit="batches", silent=not is_main()) as progress:

        def show_step(step: Step) -> None:
            score = "" if step.valid_score is None else f"  valid {step.valid_score:.3f}"
            details = f"loss {step.loss:.3f}{score}  {step.tokens_per_second:,.0f} tokens/s"
            progress.update(step.done, total=step.total, details=details)
            if board is not None:
                board.step(step)

        def show_epoch(epoch: Epoch) -> None:
            lines.append(epoch.to_dict())
            if is_main():
                runs.write_metrics(run, lines)
            scores = "  ".join(
                f"{name.replace('_', ' ')} {value:.3f}" for name, value in epoch.scores.items()
            )
            progress.message(
                f"epoch {epoch.epoch:2d}  train loss {epoch.train_loss:.3f}  valid loss"
                f" {epoch.valid_loss:.3f}"
                f"  valid {scores}  padding {epoch.padding_share:.1%}"
            )
            if board is not None:
                board.epoch(epoch)

        watch = Watch(
            step=show_step, epoch=show_epoch, note=progress.message, should_stop=stop.is_set
        )
        if files is not None:
            data, valid, columns = files
            model = TextClassifier(recipe).fit_file(
                data, validation=valid, checkpoints=run / runs.CHECKPOINTS, watch=watch, **columns
            )
        else:
            model = TextClassifier(recipe).fit(
                [row.text for row in rows],
                read_labels(rows, recipe.head.task),
                validation=None
                if valid_rows is None
                else ([row.text for row in valid_rows], read_labels(valid_rows, recipe.head.task)),
                init_from=None if init_from is None else TextClassifier.load(init_from),
                checkpoints=run / runs.CHECKPOINTS,
                watch=watch,
            )
    processes.leave()
    if not is_main():
        return
    model.save(run / runs.MODEL)
    _finish(model, rows, valid_rows, run, baseline=baseline and not stop.is_set())
    if stop.is_set():
        raise stop.error(
            f"stopped by a signal; {run / runs.MODEL} holds the best weights so far; to go on: the"
            f" same command with --resume -o {run}"
        )
    shutil.rmtree(run / runs.CHECKPOINTS, ignore_errors=True)


def _finish(
    model: Any,
    rows: list[corpus.Row],
    valid_rows: list[corpus.Row] | None,
    run: Path,
    *,
    baseline: bool,
) -> None:
    """Write run.json and the curves, and say what came out, the baseline beside it."""
    from textkit.io import files
    from textkit.jobs import runs
    from textkit.training.curves import draw_curves

    history = model.history_
    n_weights = sum(weight.numel() for weight in model.network_.parameters())
    report: dict[str, Any] = {
        "textkit_version": __version__,
        "device": history.device,
        "seconds": round(history.seconds, 3),
        "tokens_per_second": round(history.tokens_per_second),
        "n_rows": model.n_rows_,
        "n_weights": n_weights,
        "n_truncated_rows": model.n_truncated_,
        "temperature": model.temperature_,
        "ended": history.ended,
        "notes": history.notes,
        "best": None if history.best is None else history.best.to_dict(),
    }
    if model.coverage_ is not None:
        report["coverage"] = model.coverage_.to_dict()
    if model.n_truncated_:
        note(
            f"{model.n_truncated_:,} rows were cut at tokenizer.max_length ="
            f" {model.recipe_.tokenizer.max_length}"
        )
    if history.best is not None:
        scores = ", ".join(
            f"{name.replace('_', ' ')} {value:.3f}" for name, value in history.best.scores.items()
        )
        note(
            f"best: epoch {history.best.epoch}, validation {scores}"
            f" ({n_weights:,} weights, {clock(history.seconds)} on {history.device},"
            f" {history.tokens_per_second:,.0f} tokens/s)"
        )
        draw_curves(run / runs.METRICS, run / "curves.png")
        note(f"curves: {run / 'curves.png'}")
    if baseline:
        name, value = _baseline(rows, valid_rows, model.recipe_)
        report[f"baseline_valid_{name}"] = value
        machine = "Ridge" if name == "mae" else "LinearSVC"
        shown = {"mae": "mean absolute error", "micro_f1": "micro F1"}.get(name, name)
        note(f"baseline: TF-IDF + {machine} on the same rows, validation {shown} {value:.3f}")
    files.write_json(run / runs.REPORT, report)
    note(f"model: {run / runs.MODEL}")


def _baseline(
    rows: list[corpus.Row], valid_rows: list[corpus.Row] | None, recipe: Any
) -> tuple[str, float]:
    """Train the baseline on the network's own training rows and score it on its validation rows."""
    from textkit.classify.classifier import split_validation
    from textkit.data.targets import encode_labels, find_classes
    from textkit.evaluation.baseline import BASELINE_SCORES, score_baseline

    task = recipe.head.task
    labels = read_labels(rows, task)
    classes = find_classes(task, labels)
    targets = encode_labels(task, labels, classes)
    texts = [row.text for row in rows]
    if valid_rows is None:
        train, held = split_validation(targets, recipe)
        valid_texts, valid_targets = [texts[i] for i in held], targets[held]
        texts, targets = [texts[i] for i in train], targets[train]
    else:
        valid_texts = [row.text for row in valid_rows]
        valid_targets = encode_labels(task, read_labels(valid_rows, task), classes)
    return BASELINE_SCORES[task], score_baseline(task, texts, targets, valid_texts, valid_targets)


def read_labels(rows: list[corpus.Row], task: str) -> list[Any]:
    """Give the labels of rows as the task wants them: str, lists of str, or float."""
    if task == "single-label":
        return [row.label for row in rows]
    lists = [(row.label or "").split(corpus.LABEL_SEPARATOR) for row in rows]
    if task == "multi-label":
        return [[label for label in labels if label] for labels in lists]
    numbers = []
    for row, values in zip(rows, lists, strict=True):
        try:
            numbers.append([float(value) for value in values])
        except ValueError:
            raise DataError(
                f"line {row.line}: the label is {row.label!r}; regression wants a number"
            ) from None
    return numbers


def read_labelled(
    path: Path,
    *,
    text_column: str | None,
    label_column: str | None,
    delimiter: str | None = None,
    separator: str | None = None,
) -> list[corpus.Row]:
    """Read all rows with their labels; say what was guessed.

    Refuse a file without rows and an empty label.

    separator: for multi-label, what stands between the labels of a row; such a row may have none.
    """
    reader = corpus.RowReader(
        path, text_column=text_column, label_column=label_column, delimiter=delimiter, labelled=True
    )
    rows = list(reader)
    for line in reader.notes() if is_main() else ():
        note(line)
    if not rows:
        raise reader.error("no rows after the header; expected texts and labels")
    if separator is not None:
        marks = str.maketrans({separator: corpus.LABEL_SEPARATOR}) if len(separator) == 1 else {}
        return [row._replace(label=(row.label or "").translate(marks)) for row in rows]
    several = next((row for row in rows if corpus.LABEL_SEPARATOR in (row.label or "")), None)
    if several is not None:
        raise reader.error(
            "the row has several labels; train with --task multi-label", line=several.line
        )
    empty = next((row for row in rows if row.label == ""), None)
    if empty is not None:
        raise reader.error("the label is empty", line=empty.line)
    return rows


def _shortcuts(
    tokenizer: str | None,
    encoder: str | None,
    epochs: int | None,
    seed: int | None,
    device: str | None,
    task: str | None,
    time_limit: str | None,
) -> list[str]:
    """Turn the short options into the overrides that they stand for."""
    key = "path" if tokenizer is not None and Path(tokenizer).exists() else "name"
    chosen = {
        f"tokenizer.{key}": tokenizer,
        "encoder.name": encoder,
        "training.epochs": epochs,
        "seed": seed,
        "training.device": device,
        "head.task": task,
        "training.time_limit": None if time_limit is None else read_seconds(time_limit),
    }
    return [f"{key}={value}" for key, value in chosen.items() if value is not None]


def read_seconds(text: str) -> float:
    """Read a duration: seconds, or a number with s, m or h.

    >>> read_seconds("5m")
    300.0
    """
    factors = {"s": 1, "m": 60, "h": 3600}
    number, factor = (text[:-1], factors[text[-1]]) if text[-1:] in factors else (text, 1)
    try:
        return float(number) * factor
    except ValueError:
        raise UsageError(
            f"--time-limit is '{text}', expected a time such as 90s, 5m or 2h"
        ) from None
