"""`textkit train`: a file of texts and labels in, a run folder out.

The run folder holds `recipe.toml` (repeats the run alone), `metrics.jsonl` (a line an epoch), `run.json` (what ran, how
fast) and `model/`. Ctrl-C or SIGTERM stops after the present step and keeps the best model so far.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from textkit import corpus
from textkit.cli.errors import INTERRUPTED, TERMINATED, StoppedError
from textkit.cli.output import Progress, clock, note, to_json
from textkit.errors import UsageError

app = typer.Typer(rich_markup_mode=None)


class StopSignal:
    """Remember that SIGINT or SIGTERM came; a second one stops at once."""

    def __init__(self) -> None:
        self.number: int | None = None

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._catch) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
        note("stopping after this step; once more to stop at once")

    def __bool__(self) -> bool:
        return self.number is not None


@app.command()
def train(
    data: Annotated[
        Path, typer.Argument(metavar="TRAIN", help="csv, tsv, jsonl, or txt with __label__NAME; also .gz.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder; by default runs/NAME-TIME.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", "-r", help="Recipe file (TOML).")] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Override, as encoder.dim=128.")
    ] = None,
    tokenizer: Annotated[str | None, typer.Option("--tokenizer", "-t", help="Kind to train, or a saved one.")] = None,
    encoder: Annotated[str | None, typer.Option("--encoder", "-e", help="lstm, gru, rnn, or a plug-in.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data at most.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.")] = None,
    text_column: Annotated[str | None, typer.Option(help="Column that holds the text.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column that holds the label.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Field delimiter of a csv file.")] = None,
    baseline: Annotated[bool, typer.Option("--baseline/--no-baseline", help="Compare with TF-IDF + LinearSVC.")] = True,
) -> None:
    """Train a text classifier; the columns are guessed by their names, and the guess is said."""
    from textkit.recipe import complete_recipe, read_recipe

    chosen = read_recipe(recipe, [*_shortcuts(tokenizer, encoder, epochs, seed, device), *(overrides or [])])
    run = out or Path("runs") / f"{data.name.split('.')[0]}-{time.strftime('%Y%m%d-%H%M%S')}"
    _check_run_folder(run)
    rows = read_labelled(data, text_column=text_column, label_column=label_column, delimiter=delimiter)
    with StopSignal() as stop:
        _train_rows(rows, complete_recipe(chosen), run, stop, baseline=baseline)


def _train_rows(rows: list[corpus.Row], recipe: Any, run: Path, stop: StopSignal, *, baseline: bool) -> None:
    from textkit import TextClassifier, files
    from textkit.training import Epoch, Step, Watch

    lines: list[str] = []
    files.write_text(run / "recipe.toml", recipe.to_toml())
    files.write_text(run / "metrics.jsonl", "")
    with Progress("training", unit="steps") as progress:

        def show_step(step: Step) -> None:
            accuracy = "" if step.valid_accuracy is None else f"  valid {step.valid_accuracy:.3f}"
            details = f"loss {step.loss:.3f}{accuracy}  {step.tokens_per_second:,.0f} tokens/s"
            progress.update(step.done, total=step.total, details=details)

        def show_epoch(epoch: Epoch) -> None:
            lines.append(to_json(epoch.to_dict()))
            files.write_text(run / "metrics.jsonl", "\n".join(lines) + "\n")
            progress.message(
                f"epoch {epoch.epoch:2d}  train loss {epoch.train_loss:.3f}  valid loss {epoch.valid_loss:.3f}"
                f"  valid accuracy {epoch.valid_accuracy:.3f}"
            )

        model = TextClassifier(recipe).fit(
            [row.text for row in rows],
            [row.label for row in rows],
            watch=Watch(step=show_step, epoch=show_epoch, should_stop=lambda: bool(stop)),
        )
    model.save(run / "model")
    _finish(model, rows, run, baseline=baseline and not stop)
    if stop:
        code = TERMINATED if stop.number == signal.SIGTERM else INTERRUPTED
        raise StoppedError(
            f"stopped by a signal; {run / 'model'} holds the best weights so far; to train to the end, run the same"
            " command again with another -o",
            exit_code=code,
        )


def _finish(model: Any, rows: list[corpus.Row], run: Path, *, baseline: bool) -> None:
    """Write run.json and say what came out, the baseline beside it."""
    import textkit
    from textkit import files

    history = model.history_
    n_weights = sum(weight.numel() for weight in model.network_.parameters())
    report: dict[str, Any] = {
        "textkit_version": textkit.__version__,
        "device": history.device,
        "seconds": round(history.seconds, 3),
        "tokens_per_second": round(history.tokens_per_second),
        "n_rows": len(rows),
        "n_weights": n_weights,
        "n_truncated_rows": model.n_truncated_,
        "ended": history.ended,
        "best": None if history.best is None else history.best.to_dict(),
    }
    if model.n_truncated_:
        note(f"{model.n_truncated_:,} rows were cut at tokenizer.max_length = {model.recipe_.tokenizer.max_length}")
    if history.best is not None:
        note(
            f"best: epoch {history.best.epoch}, validation accuracy {history.best.valid_accuracy:.3f}"
            f" ({n_weights:,} weights, {clock(history.seconds)} on {history.device},"
            f" {history.tokens_per_second:,.0f} tokens/s)"
        )
    if baseline:
        report["baseline_valid_accuracy"] = accuracy = _baseline_accuracy(rows, model.recipe_)
        note(f"baseline: TF-IDF + LinearSVC on the same rows, validation accuracy {accuracy:.3f}")
    files.write_json(run / "run.json", report)
    note(f"model: {run / 'model'}")


def _baseline_accuracy(rows: list[corpus.Row], recipe: Any) -> float:
    """Train the baseline on the network's own training rows and score it on its validation rows."""
    import numpy as np

    from textkit.evaluation import predict_baseline
    from textkit.splits import split_stratified

    labels = [row.label for row in rows]
    codes = np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)
    train, held = split_stratified(codes, share=recipe.training.validation, seed=recipe.seed)
    texts = [rows[i].text for i in held]
    predicted = predict_baseline([rows[i].text for i in train], [labels[i] for i in train], texts)
    return float(np.mean([guess == labels[i] for guess, i in zip(predicted, held, strict=True)]))


def read_labelled(
    path: Path, *, text_column: str | None, label_column: str | None, delimiter: str | None = None
) -> list[corpus.Row]:
    """Read all rows with their labels; say what was guessed; refuse a file without rows and an empty label."""
    reader = corpus.RowReader(
        path, text_column=text_column, label_column=label_column, delimiter=delimiter, labelled=True
    )
    rows = list(reader)
    for line in reader.notes():
        note(line)
    if not rows:
        raise reader.error("no rows after the header; expected texts and labels")
    empty = next((row for row in rows if row.label == ""), None)
    if empty is not None:
        raise reader.error("the label is empty", line=empty.line)
    return rows


def _shortcuts(
    tokenizer: str | None, encoder: str | None, epochs: int | None, seed: int | None, device: str | None
) -> list[str]:
    """Turn the short options into the overrides that they stand for."""
    key = "path" if tokenizer is not None and Path(tokenizer).exists() else "name"
    chosen = {
        f"tokenizer.{key}": tokenizer,
        "encoder.name": encoder,
        "training.epochs": epochs,
        "seed": seed,
        "training.device": device,
    }
    return [f"{key}={value}" for key, value in chosen.items() if value is not None]


def _check_run_folder(run: Path) -> None:
    if run.exists() and (not run.is_dir() or (any(run.iterdir()) and not (run / "recipe.toml").exists())):
        raise UsageError(f"{run} exists and is no run folder; choose another -o")
