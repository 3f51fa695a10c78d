"""What a training is asked for, and the run folder that it begins or goes on with.

In: TrainOptions. Out: the folder to work in, the whole recipe, and what the run depends on beside
it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textkit.classify.teaching import say_distil
from textkit.data.labels import Missing, OnBad
from textkit.errors import UsageError
from textkit.io import files
from textkit.io.exchange import settle
from textkit.io.text_folders import hash_data
from textkit.jobs import runs
from textkit.jobs.runs import find_model
from textkit.recipe import Recipe, complete_recipe, leaves_open, make_recipe, read_recipe


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What is trained on what, and where it goes.

    - data: a file of texts and labels. valid: another for validation; without it a share is held
      out. text_column, label_column, delimiter: where they stand; guessed where not given.
      label_separator: between the labels of a row, for multi-label (see textkit.data.labels).
    - out: the run folder; by default runs/NAME-TIME.
    - recipe: a TOML file or a Recipe; overrides: `section.key=value`, applied in order. Without
      any word of a model, `auto` chooses one (textkit/classify/auto_fitting.py); a network's own
      default is an LSTM, and so it is with stream, init_from, teacher, doctor, tensorboard and
      several processes.
    - overwrite: a run in `out` may go; a finished one stays until the new one is finished.
    - resume: go on with the run in `out`; a recipe that is given must be the run's.
    - init_from: a model folder whose tokenizer and weights to start from. keep_labels: also keep
      those of its labels that are in no row.
    - teacher: a model or run folder whose probabilities are learnt from, as `distil` in the
      recipe says; going on, it may be left out once it has said all. unlabelled: a file of texts
      for it, of which no label is read; without a teacher the model teaches itself on them.
    - allow: each `package.module:Name` that may be imported because the run in `out` or the
      model of `init_from` or `teacher` names it; those of the recipe given here need none.
    - on_bad: stop at a row that cannot be used, or skip it; missing: stop at a row without a label
      ("error"), skip it, or take a word for a missing value, as NaN, for a label ("keep"). What
      was skipped stands in the run's _rejects.txt.
    - normalize_labels: labels that differ in case, white space and Unicode form alone are one.
    - more: further files of rows to learn from, behind those of data.
    - baseline: train TF-IDF + a linear machine on the same rows, for comparison.
    - curves: draw curves.png at the end.
    - stream: the rows do not fit into memory: tokenize them once into mapped files.
    - tensorboard: also write TensorBoard's logs. doctor: also look at one batch, at the inside of
      the network and at the validation rows, and report what should change. profile: also time
      the stages of the training (textkit/jobs/train_profile.py).
    """

    data: Path
    out: Path | None = None
    recipe: str | Path | Recipe | None = None
    overrides: Sequence[str] = ()
    overwrite: bool = False
    resume: bool = False
    init_from: Path | None = None
    keep_labels: bool = False
    teacher: Path | None = None
    unlabelled: Path | None = None
    allow: Sequence[str] | None = None
    valid: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str = "|"
    delimiter: str | None = None
    on_bad: OnBad = "stop"
    missing: Missing = "error"
    normalize_labels: bool = False
    more: Sequence[Path] | None = None
    baseline: bool = True
    curves: bool = True
    stream: bool = False
    tensorboard: bool = False
    doctor: bool = False
    profile: bool = False

    def columns(self, recipe: Recipe) -> dict[str, str | None]:
        """Say how the files are read for a recipe's task."""
        several = recipe.head.task == "multi-label"
        return {
            "text_column": self.text_column,
            "label_column": self.label_column,
            "delimiter": self.delimiter,
            "separator": self.label_separator if several else None,
        }


def choose_folder(options: TrainOptions) -> Path:
    """Name the run folder; a symbolic link is followed."""
    if options.out is not None:
        return settle(options.out)
    if options.resume:
        raise UsageError("--resume goes on with a run; name its folder with -o")
    return Path("runs") / f"{options.data.name.split('.')[0]}-{time.strftime('%Y%m%d-%H%M%S')}"


def open_run(options: TrainOptions, run: Path, *, sweeps: bool = False) -> tuple[Path, Recipe]:
    """Give the folder to work in, new or with a run to go on with, and the whole recipe."""
    if options.resume and options.overwrite:
        raise UsageError("--resume goes on with a run, --overwrite begins anew; leave one out")
    asked = options.recipe is not None or options.overrides
    given = _ask_recipe(options, run, sweeps=sweeps) if asked else None
    _refuse_pairs(options, run, sweeps=sweeps)
    if sweeps:
        runs.check_folder(run)
    elif runs.is_main() and options.resume:
        runs.stage(run).clear(resume=True, overwrite=False)
    elif runs.is_main():
        runs.check_new(run, overwrite=options.overwrite)
    work = runs.stage(run).locate(resume=options.resume)
    if options.resume:
        recipe = runs.open_again(work, options.data, given, allow=options.allow or ())
        start = say_start(options)
        if options.teacher is None:  # what it said may be kept
            del start["--teacher"]
        runs.check_start(work, start)
        return work, recipe
    return work, given or _ask_recipe(options, run, sweeps=sweeps)


def _is_taught(options: TrainOptions, run: Path) -> bool:
    """Tell whether a run has a teacher, or goes on with what one said."""
    if options.teacher is not None or not options.resume:
        return options.teacher is not None
    return runs.was_taught(runs.stage(run).locate(resume=True))


def _refuse_pairs(options: TrainOptions, run: Path, *, sweeps: bool) -> None:
    """Refuse options that do not go together."""
    if options.stream and (options.on_bad, options.missing) != ("stop", "error"):
        raise UsageError("--stream skips no rows: leave --on-bad and --missing out, or --stream")
    if options.stream and (options.normalize_labels or options.more):
        raise UsageError("--stream goes with neither --normalize-labels nor --more; leave one out")
    if options.stream and options.data.is_dir():
        raise UsageError("--stream reads one file, not a folder of texts; leave it out")
    if options.keep_labels and options.init_from is None:
        raise UsageError("--keep-labels goes with --init-from; leave it out")
    if options.stream and (sweeps or options.init_from is not None):
        raise UsageError("--stream goes with neither --find-lr nor --init-from; leave one out")
    teaches_itself = options.unlabelled is not None and not _is_taught(options, run)
    if teaches_itself and (sweeps or options.stream or not runs.is_alone()):
        raise UsageError(
            "--unlabelled without a --teacher fits several models on texts in memory: it goes with"
            " none of --stream, --find-lr and torchrun; leave one out"
        )
    if options.teacher is not None and (sweeps or options.stream):
        raise UsageError(
            "--teacher is asked about texts in memory, and sweeps no rate: it goes with neither"
            " --stream nor --find-lr; leave one out"
        )


def _ask_recipe(options: TrainOptions, run: Path, *, sweeps: bool) -> Recipe:
    """Give the whole recipe that was asked for; one that says nothing of a model leaves that to
    `auto`, where texts are in memory and one process trains from nothing.
    """
    recipe = read_recipe(options.recipe, options.overrides)
    is_open = options.recipe is None and leaves_open(recipe) and not sweeps
    of_network = options.stream or options.doctor or options.tensorboard
    if not sweeps:
        recipe = say_distil(recipe, has_teacher=_is_taught(options, run))
    from_model = options.init_from is not None or _is_taught(options, run)
    if not is_open or of_network or from_model or not runs.is_alone():
        return complete_recipe(recipe)
    if options.resume:  # a run from before there was a choice goes on as it began
        begun = runs.stage(run).locate(resume=True) / runs.RECIPE
        if begun.is_file() and read_recipe(begun).encoder.name != "auto":
            return complete_recipe(recipe)
    return complete_recipe(make_recipe(recipe, encoder="auto"))


def _hash_model(folder: Path) -> str:
    return files.sha256(files.find_manifest(folder, kind="model"))


def say_start(options: TrainOptions) -> dict[str, str | None]:
    """Say what a run depends on beside its recipe and its rows, for who goes on with it."""
    start, valid = options.init_from, options.valid
    return {
        "--init-from": None if start is None else _hash_model(find_model(start)),
        "--keep-labels": "yes" if options.keep_labels else None,
        "--normalize-labels": "yes" if options.normalize_labels else None,
        "--more": ", ".join(map(hash_data, options.more or ())) or None,
        "--teacher": None if options.teacher is None else _hash_model(find_model(options.teacher)),
        "--unlabelled": None if options.unlabelled is None else hash_data(options.unlabelled),
        "--valid": None if valid is None else hash_data(valid),
    }
