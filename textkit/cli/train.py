"""`textkit train`: a file of texts and labels in, a run folder out.

The run folder is described in textkit/jobs/runs.py. Ctrl-C or SIGTERM stops after the present step,
keeps the best model so far and a checkpoint; `--resume` goes on from there, also after a kill.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from textkit.cli.command import INPUT, MODEL, OUTPUT, RUNNING, TRAINING, gather, new_verb, verb
from textkit.cli.errors import StopSignal
from textkit.cli.options import (
    Allow,
    Delimiter,
    LabelColumn,
    LabelSeparator,
    Missing,
    MissingLabel,
    NormalizeLabels,
    OnBad,
    OnBadLabelledRow,
    Overrides,
    SplitPattern,
    TextColumn,
    among,
    complete_device,
    complete_encoder,
    complete_recipe,
    complete_tokenizer,
)
from textkit.cli.output import Display, clock, note
from textkit.errors import UsageError
from textkit.watch import Epoch, Progress, Step, Watch

if TYPE_CHECKING:
    from textkit.jobs import TrainReport

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class TrainingRows:
    """The rows to learn from."""

    group: ClassVar = INPUT
    data: Annotated[
        Path,
        typer.Argument(
            metavar="TRAIN",
            help="csv, tsv, jsonl, xlsx, txt with __label__NAME; also .gz; or a folder of folders.",
        ),
    ]
    valid: Annotated[
        Path | None,
        typer.Option(help="Validation file; without it a share of the rows is held out."),
    ] = None
    more: Annotated[
        list[Path] | None,
        typer.Option(help="More rows to learn from, as new ones for --init-from; repeatable."),
    ] = None
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Texts without labels, for the --teacher; without one, for the model itself."
        ),
    ] = None
    text_column: TextColumn = None
    label_column: LabelColumn = None
    label_separator: LabelSeparator = "|"
    delimiter: Delimiter = None
    on_bad: OnBadLabelledRow = OnBad.stop
    missing: MissingLabel = Missing.error
    normalize_labels: NormalizeLabels = False
    stream: Annotated[
        bool,
        typer.Option(
            "--stream", help="For files larger than memory: tokenize once into mapped files."
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class Shortcuts:
    """Options that stand for an override of the recipe each."""

    group: ClassVar = TRAINING
    task: Annotated[
        str | None,
        typer.Option(
            help="single-label, multi-label or regression.",
            autocompletion=among("single-label", "multi-label", "regression"),
            rich_help_panel=MODEL,
        ),
    ] = None
    tokenizer: Annotated[
        str | None,
        typer.Option(
            "--tokenizer",
            "-t",
            help="Kind to train, or a saved one.",
            autocompletion=complete_tokenizer,
            rich_help_panel=MODEL,
        ),
    ] = None
    pattern: SplitPattern = None
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            "-e",
            help="auto, bag, cnn, linear, lstm, ..., or a plug-in.",
            autocompletion=complete_encoder,
            rich_help_panel=MODEL,
        ),
    ] = None
    only: Annotated[
        str | None,
        typer.Option(
            help="Let textkit choose among these alone, as linear,frozen.",
            metavar="NAMES",
            rich_help_panel=MODEL,
        ),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Choose among models of so many bytes at most, as 2MB.",
            rich_help_panel=MODEL,
        ),
    ] = None
    latency: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="And of so much time for one text at most, as 1ms, measured here.",
            rich_help_panel=MODEL,
        ),
    ] = None
    epochs: Annotated[int | None, typer.Option(help="Passes over the data at most.")] = None
    time_limit: Annotated[
        str | None, typer.Option(help="Stop after this time with the best model: 90s, 5m, 2h.")
    ] = None
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None
    device: Annotated[
        str | None, typer.Option(help="auto, cpu, cuda or mps.", autocompletion=complete_device)
    ] = None

    def overrides(self) -> list[str]:
        """Give the overrides that were asked for."""
        saved = self.tokenizer is not None and Path(self.tokenizer).exists()
        bounds = {"--only": self.only, "--size": self.size, "--latency": self.latency}
        asked = [option for option, value in bounds.items() if value is not None]
        if asked and self.encoder not in (None, "auto"):
            raise UsageError(
                f"{asked[0]} says what textkit may choose from; leave it out, or --encoder"
            )
        names = None if self.only is None else [name.strip() for name in self.only.split(",")]
        chosen = {
            f"tokenizer.{'path' if saved else 'name'}": self.tokenizer,
            "tokenizer.pattern": None if self.pattern is None else json.dumps(self.pattern),
            "encoder.name": "auto" if asked else self.encoder,
            "encoder.candidates": None if names is None else json.dumps(names),
            "encoder.size": None if self.size is None else _bytes(self.size),
            "encoder.latency": None if self.latency is None else milliseconds(self.latency),
            "training.epochs": self.epochs,
            "seed": self.seed,
            "training.device": self.device,
            "head.task": self.task,
            "training.time_limit": None if self.time_limit is None else seconds(self.time_limit),
        }
        return [f"{key}={value}" for key, value in chosen.items() if value is not None]


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How the run is begun, and what is written beside its model."""

    group: ClassVar = RUNNING
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            "-r",
            help="Recipe file (TOML).",
            autocompletion=complete_recipe,
            rich_help_panel=MODEL,
        ),
    ] = None
    init_from: Annotated[
        Path | None,
        typer.Option(
            help="Run or model folder whose tokenizer and weights to start from.",
            rich_help_panel=MODEL,
        ),
    ] = None
    keep_labels: Annotated[
        bool,
        typer.Option(
            "--keep-labels",
            help="With --init-from: keep its labels that are in no row.",
            rich_help_panel=MODEL,
        ),
    ] = False
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Run or model folder whose probabilities to learn from.",
            rich_help_panel=MODEL,
        ),
    ] = None
    allow: Allow = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Run folder; by default runs/NAME-TIME.", rich_help_panel=OUTPUT
        ),
    ] = None
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline/--no-baseline",
            help="Compare with TF-IDF + LinearSVC.",
            rich_help_panel=OUTPUT,
        ),
    ] = True
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Also write TensorBoard logs.", rich_help_panel=OUTPUT),
    ] = False
    doctor: Annotated[
        bool,
        typer.Option("--doctor", help="Also say in words what goes wrong, and what to change."),
    ] = False
    profile: Annotated[
        bool,
        typer.Option(
            "--profile",
            help="Also say where the time went; profile.json and a Chrome trace in the run folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="A run in -o may be replaced; a finished one stays until the new one is.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in -o from where it was stopped.")
    ] = False


@verb(app)
def train(
    rows: TrainingRows,
    shortcuts: Shortcuts,
    manner: Manner,
    overrides: Overrides = None,
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Do not train: sweep the learning rate, draw the curve, suggest one.",
            rich_help_panel=RUNNING,
        ),
    ] = False,
) -> None:
    """Train a text classifier; the columns are guessed by their names, and the guess is said.

    Examples:
        textkit train train.csv -o run
        textkit train train.csv --valid valid.csv -e cnn --set encoder.dim=128 -o run
        textkit train tags.jsonl --task multi-label -o run
        textkit train train.csv --teacher big --unlabelled more.txt -e linear -o small
        textkit train train.csv -o run --resume
    """
    from textkit.jobs import TrainOptions, suggest_rate, train_run
    from textkit.jobs.runs import is_main

    asked = [*shortcuts.overrides(), *(overrides or [])]
    options = gather(TrainOptions, rows, manner, overrides=asked)
    if find_lr:
        with Display(silent=not is_main()) as watch:
            rate = suggest_rate(options, watch=watch)
        note(f"suggested: --set training.lr={rate.suggested:.1e}  (picture: {rate.picture})")
        return
    with StopSignal() as stop, Display(silent=not is_main()) as watch:
        watch = replace(_show_training(watch), should_stop=stop.is_set)
        report = train_run(options, watch=watch)
    if not is_main():
        return
    _say_report(report)
    if report.stopped:
        raise stop.error(
            f"stopped by a signal; {report.model} holds the best weights so far; to go on: the"
            f" same command with --resume -o {manner.out or report.run}"
            + (", without --overwrite" if manner.overwrite else "")
        )


def _show_training(watch: Watch) -> Watch:
    """Make a watch that turns steps into progress, and epochs into lines."""

    def show_step(step: Step) -> None:
        score = "" if step.valid_score is None else f"  valid {step.valid_score:.3f}"
        details = f"loss {step.loss:.3f}{score}  {step.tokens_per_second:,.0f} tokens/s"
        watch.progress(Progress("training", step.done, step.total, "batches", details))

    def show_epoch(epoch: Epoch) -> None:
        watch.note(
            f"epoch {epoch.epoch:2d}  train loss {epoch.train_loss:.3f}  valid loss"
            f" {epoch.valid_loss:.3f}  valid {_scores(epoch, '  ')}"
            f"  padding {epoch.padding_share:.1%}"
        )

    return replace(watch, step=show_step, epoch=show_epoch)


def _say_report(report: TrainReport) -> None:
    """Say what came out, the baseline beside it."""
    from textkit.jobs.train_profile import PROFILE, TRACE

    history, best = report.history, report.history.best
    if report.was_over:
        note(f"{report.run} is over; its model is {report.model}")
        return
    if report.n_truncated_rows:
        note(
            f"{report.n_truncated_rows:,} rows were cut at tokenizer.max_length ="
            f" {report.recipe.tokenizer.max_length}"
        )
    if best is not None:
        speed = f", {history.tokens_per_second:,.0f} tokens/s" if history.tokens_per_second else ""
        note(
            f"best: epoch {best.epoch}, validation {_scores(best, ', ')}"
            f" ({report.n_weights:,} weights, {clock(history.seconds)} on {history.device}{speed})"
        )
    if report.curves.exists():
        note(f"curves: {report.curves}")
    if report.baseline is not None:
        name = report.baseline_score
        machine = "Ridge" if name == "mae" else "LinearSVC"
        shown = {"mae": "mean absolute error", "micro_f1": "micro F1"}.get(name, name)
        score = f"{shown} {report.baseline:.3f}"
        note(f"baseline: TF-IDF + {machine} on the same rows, validation {score}")
        if report.baseline_wins and report.recipe.encoder.name != "linear":
            note(
                "the baseline is better on these rows; --encoder linear trains such a model, with"
                " its cost chosen and probabilities that mean what they say"
            )
    for finding in report.findings or ():
        note(f"doctor: {finding}")
    if report.findings == []:
        note("doctor: nothing to change")
    if report.profile is not None:
        for line in report.profile.to_text().splitlines():
            note(line)
        note(f"profile: {report.run / PROFILE}, trace: {report.run / TRACE}")
    note(f"model: {report.model}")


def _scores(epoch: Epoch, between: str) -> str:
    return between.join(
        f"{name.replace('_', ' ')} {value:.3f}" for name, value in epoch.scores.items()
    )


def seconds(text: str, *, option: str = "--time-limit") -> float:
    """Read a duration: seconds, or a number with s, m or h.

    >>> seconds("5m")
    300.0
    """
    factors = {"s": 1, "m": 60, "h": 3600}
    number, factor = (text[:-1], factors[text[-1]]) if text[-1:] in factors else (text, 1)
    try:
        return float(number) * factor
    except ValueError:
        raise UsageError(f"{option} is '{text}', expected a time such as 90s, 5m or 2h") from None


def milliseconds(text: str) -> float:
    """Read a short time, as 1ms, .5ms or 2s, in milliseconds.

    >>> milliseconds("1.5ms"), milliseconds("2s")
    (1.5, 2000.0)
    """
    number, factor = (text[:-2], 1.0) if text.endswith("ms") else (text.removesuffix("s"), 1000.0)
    try:
        if text[-1:] == "s" and float(number) > 0:
            return float(number) * factor
    except ValueError:
        pass
    raise UsageError(f"--latency is '{text}', expected a time such as 1ms")


def _bytes(text: str) -> int:
    from textkit.jobs.compress import parse_size  # brings in what compresses, for this alone

    return parse_size(text)
