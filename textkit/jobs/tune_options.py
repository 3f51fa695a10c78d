"""What a search is asked for, and the folder that it begins or goes on with.

In: TuneOptions. Out: the recipes to start from, a folder that is free or holds the same search, and
the rows in three parts: to learn from, to choose by, and kept apart until the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from textkit.data.labels import LabelledRows, read_labelled
from textkit.data.splits import split_stratified
from textkit.data.targets import Classes, Task, encode_labels, find_classes
from textkit.errors import DataError, UsageError
from textkit.evaluation.goals import Goal
from textkit.io import files
from textkit.io.exchange import remove_folder
from textkit.io.text_folders import hash_data
from textkit.jobs import runs
from textkit.jobs.tune_space import Space
from textkit.jobs.tune_study import JOURNAL
from textkit.jobs.tune_trials import write_rows
from textkit.recipe import Recipe, make_recipe, read_recipe
from textkit.watch import Watch

BEGUN, DATA, TRIALS, SPENT = "begun.json", "data", "trials", "spent.json"
RECIPE, MODEL, PAGE, SEAL = "recipe.toml", runs.MODEL, "tune.html", "tune.json"
LEARN, VALID, APART = "learn.jsonl", "valid.jsonl", "apart.jsonl"
_OURS = (SEAL, BEGUN, DATA, TRIALS, SPENT, JOURNAL, RECIPE, MODEL, PAGE)
_APART_SHARE, _VALID_SHARE = 0.1, 0.15


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """What is searched, for which rows, and how long.

    - data: a file of texts and labels. A tenth of its rows is kept apart and measures the best
      trial at the end. valid: another, which chooses; without it 15 % of the rows do.
    - text_column, label_column, label_separator, delimiter: as in TrainOptions.
    - recipes: files, or names of textkit's own candidates; "linear" and "ngram-bag" without any.
      overrides: `section.key=value`, of all of them. space: a TOML file of keys and their values.
    - metric: accuracy, macro_f1, log_loss; micro_f1, subset_accuracy; r2, mae, rmse; f1:LABEL,
      precision@recall=.3:LABEL, recall@precision=.9:LABEL; "auto" is the first of the task.
    - size: the most bytes of a model folder.
    - trials: how many; time_limit: seconds after which no trial goes on, or None.
    - workers: trials that run at once, in processes. seed: of the rows kept apart and the draws.
    - out: the folder. resume: go on with the search there. overwrite: begin anew.
    - allow: each `package.module:Name` of the recipes that may be imported.
    """

    data: Path
    out: Path
    valid: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str = "|"
    delimiter: str | None = None
    recipes: Sequence[str | Path] | None = None
    overrides: Sequence[str] | None = None
    space: Path | None = None
    metric: str = "auto"
    size: int | None = None
    trials: int = 24
    time_limit: float | None = None
    workers: int = 1
    seed: int = 0
    resume: bool = False
    overwrite: bool = False
    allow: Sequence[str] | None = None


def check_options(options: TuneOptions) -> None:
    if options.resume and options.overwrite:
        raise UsageError("--resume goes on with a search, --overwrite begins anew; leave one out")
    for name, number in (("--trials", options.trials), ("--workers", options.workers)):
        if number < 1:
            raise UsageError(f"{name} is {number}, expected at least 1")
    if options.time_limit is not None and not options.time_limit > 0:
        raise UsageError(f"--time is {options.time_limit:g} s, expected more than 0")


def name_recipes(options: TuneOptions) -> dict[str, Recipe]:
    """Give the recipes to start from by name: of one task, each name once."""
    from textkit.classify.candidates import CANDIDATES

    recipes: dict[str, Recipe] = {}
    for given in options.recipes or ("linear", "ngram-bag"):
        name = Path(given).stem if Path(given).suffix == ".toml" else str(given)
        if name in recipes:
            raise UsageError(f"two recipes are named {name}; give one of them another name")
        source: Path | Recipe = Path(given)
        if str(given) in CANDIDATES:
            source = make_recipe(CANDIDATES[str(given)])
        elif not Path(given).is_file():
            known = ", ".join(CANDIDATES)
            raise UsageError(f"'{given}' is no file and no recipe of textkit's own; these: {known}")
        recipes[name] = read_recipe(source, options.overrides or ())
    tasks = {recipe.head.task for recipe in recipes.values()}
    if len(tasks) > 1:
        raise UsageError(
            f"recipes of several tasks: {', '.join(sorted(tasks))}; set one: --set head.task=..."
        )
    return recipes


def describe(options: TuneOptions, space: Space, goal: Goal) -> dict[str, object]:
    """Say all that decides the trials, but how many there are and how long they may take."""
    return {
        "data": hash_data(options.data),
        "valid": None if options.valid is None else hash_data(options.valid),
        "columns": [options.text_column, options.label_column, options.label_separator],
        "space": space.to_dict(),
        "metric": goal.shown,
        "size": options.size,
        "seed": options.seed,
    }


def open_folder(options: TuneOptions, out: Path, begun: dict[str, object]) -> bool:
    """Make the folder ready; tell whether a search in it is over already."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose another -o")
    known = out / BEGUN
    is_free = not out.exists() or {path.name for path in out.iterdir()} <= {DATA}
    if not is_free and not known.is_file():
        raise UsageError(f"{out} exists and holds no search; choose another -o")
    if options.resume:
        if not known.is_file():
            raise UsageError(f"{out} holds no search to go on with; leave --resume out")
        _check_begun(files.read_object(known), begun)
        if not (out / SEAL).is_file():
            return False
        n_done = len(files.read_object(out / SEAL)["trials"])
        if n_done >= options.trials:
            return True
        (out / SEAL).unlink()
        return False
    if not is_free and not options.overwrite:
        files.refuse_finished(out, overwrite=False, seal=SEAL)
        raise UsageError(
            f"{out} holds a search that is not over; go on with --resume, or begin anew with"
            " --overwrite"
        )
    for name in _OURS:
        if (out / name).is_dir():
            remove_folder(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    return False


def _check_begun(then: dict[str, object], now: dict[str, object]) -> None:
    names = {
        "data": "the file",
        "valid": "--valid",
        "columns": "the columns",
        "space": "the recipes or the space",
        "metric": "--metric",
        "size": "--size",
        "seed": "--seed",
    }
    changed = [said for key, said in names.items() if then.get(key) != now[key]]
    if changed:
        raise UsageError(
            f"not as when the search began: {', '.join(changed)}; go on with the same, or choose"
            " another -o"
        )


def split_rows(
    options: TuneOptions, space: Space, goal: Goal, out: Path, watch: Watch
) -> tuple[int, int, int]:
    """Write the rows to learn from, to choose by and to keep apart; give their numbers.

    The rows kept apart are drawn first, and with one seed for all searches of a file.
    """
    rows = _read(options, options.data, space, watch)
    task = space.task
    classes = find_classes(task, rows.labels)
    goal.check([str(label) for label in classes.tolist()])
    targets = encode_labels(task, rows.labels, classes)
    codes = targets.astype(np.int64) if task == "single-label" else np.zeros(len(rows), np.int64)
    learn, apart = split_stratified(codes, share=_APART_SHARE, seed=options.seed)
    if options.valid is None:
        inner, held = split_stratified(
            codes[learn], share=_VALID_SHARE / (1 - _APART_SHARE), seed=options.seed + 1
        )
        learn, chosen = learn[inner], _take(rows, learn[held].tolist())
    else:
        chosen = _read(options, options.valid, space, watch)
        _check_valid(chosen, classes, options, task)
    if not len(apart) or not len(chosen):
        raise DataError(f"{len(rows):,} rows are too few to choose by and to keep apart")
    parts = {LEARN: _take(rows, learn.tolist()), VALID: chosen, APART: _take(rows, apart.tolist())}
    for name, part in parts.items():
        write_rows(out / DATA / name, part.texts, part.labels)
    return len(parts[LEARN]), len(chosen), len(apart)


def _check_valid(rows: LabelledRows, classes: Classes, options: TuneOptions, task: Task) -> None:
    try:
        encode_labels(task, rows.labels, classes)
    except DataError as err:
        raise DataError(err.message, where=str(options.valid)) from err


def _take(rows: LabelledRows, places: Sequence[int]) -> LabelledRows:
    return LabelledRows([rows.texts[i] for i in places], [rows.labels[i] for i in places])


def _read(options: TuneOptions, path: Path, space: Space, watch: Watch) -> LabelledRows:
    task = space.task
    return read_labelled(
        path,
        task=task,
        separator=options.label_separator if task == "multi-label" else None,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
        note=watch.note,
    )
