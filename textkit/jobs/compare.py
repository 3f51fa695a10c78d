"""Compare models on one file: those that are there, and those that encoders or recipes make first.

In: a test file, and models, or a training file with encoders or recipes. Out: a SideBySide, and in
the folder `out`:

- NAME/: the run of each encoder and recipe. sizes/: samples of the training file, and runs on them.
- begun.json: what is compared; says whose folder it is.
- curves.png, compare.html: the trainings as a picture, and the page.
- compare.json: all numbers; written last, it seals the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.data.labels import read_labelled
from textkit.errors import UsageError, require
from textkit.evaluation.side_by_side import SideBySide
from textkit.evaluation.side_by_side_page import draw_side_by_side, write_side_by_side
from textkit.io import files
from textkit.io.corpus import RowReader
from textkit.jobs import runs
from textkit.jobs.contenders import measure_side_by_side
from textkit.jobs.train import train_run
from textkit.jobs.train_options import TrainOptions
from textkit.recipe import Recipe, complete_recipe, read_recipe
from textkit.watch import Progress, Watch

BEGUN, SIZES = "begun.json", "sizes"
SEAL, PAGE, PICTURE = "compare.json", "compare.html", "curves.png"


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What is compared on which rows.

    - data: the test file; text_column, label_column, delimiter: of it and of the training file.
    - label_separator: between the labels of a row, for multi-label.
    - models: run folders or model folders, of one task. train: the file that encoders and recipes
      learn from; overrides: of all of them. sizes: numbers of its rows on which they are trained,
      too.
    - out: the folder; needed to train. resume: go on with what stands there. overwrite: begin anew.
    - n_changed: how many texts the report keeps of those that get different labels.
    - allow: each `package.module:Name` of the models that may be imported.
    """

    data: Path
    models: Sequence[Path] | None = None
    train: Path | None = None
    encoders: Sequence[str] | None = None
    recipes: Sequence[Path] | None = None
    overrides: Sequence[str] | None = None
    sizes: Sequence[int] | None = None
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    n_changed: int = 50
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str = "|"
    delimiter: str | None = None
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class CompareReport:
    """What came out, and where it lies; out is None where nothing was to be written."""

    result: SideBySide
    title: str
    out: Path | None

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {"title": self.title, **self.result.to_dict()}

    def to_text(self) -> str:
        """Write the table for a terminal."""
        return self.result.to_text()

    def write_html(self, path: Path) -> None:
        """Write the page."""
        write_side_by_side(self.result, path, title=self.title)


def compare_models(options: CompareOptions, *, watch: Watch = Watch()) -> CompareReport | None:
    """Train what is to be trained, and measure all models on every row of the file.

    Each training is a run folder, so that a comparison which was killed or stopped goes on with
    `resume`; None where the watch stopped it. Raises UsageError for fewer than two models, two of a
    name, or models of different tasks.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> for seed in (1, 2):
    ...     TextClassifier(encoder="linear", seed=seed).fit(texts, labels).save(f"model-{seed}")
    >>> _ = Path("t.csv").write_text("text,label\\na good one,pos\\nodd,neg\\n", encoding="utf-8")
    >>> models = [Path("model-1"), Path("model-2")]
    >>> report = compare_models(CompareOptions(data=Path("t.csv"), models=models))
    >>> [model.name for model in report.result.models], report.result.neighbours[0].p_value
    (['model-1', 'model-2'], 1.0)
    """
    require("torch", "matplotlib", needed_by="a comparison")
    learners = _name_recipes(options)
    places = {str(path): path for path in options.models or ()}
    plan = _plan(options, learners, places)
    if options.sizes and any(r.head.task != "single-label" for r in learners.values()):
        raise UsageError("--sizes is for models of one label a text; leave it out")
    samples = _draw_samples(options, watch) if learners and options.sizes else {}
    if options.out is not None:
        _open_folder(options, options.out)
        files.write_json(options.out / BEGUN, {"file": str(options.data), "models": [*places]})
        for n, lines in samples.items():
            files.write_text(options.out / SIZES / f"{n}.jsonl", lines)
    for done, training in enumerate(plan):
        watch.progress(Progress("training models", done, len(plan), "models"))
        if not _train(options, training, watch):
            return None
        if training.n_rows is None:
            places[training.name] = training.run
    sampled = {each.run: (each.name, each.n_rows) for each in plan if each.n_rows is not None}
    reader = RowReader(
        options.data,
        labelled=True,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
    )
    result = measure_side_by_side(
        reader,
        places,
        sampled,
        n_changed=options.n_changed,
        separator=options.label_separator,
        allow=options.allow or (),
        watch=watch,
    )
    report = CompareReport(result, f"{len(places)} models on {options.data.name}", options.out)
    if options.out is not None:
        draw_side_by_side(result, options.out / PICTURE)
        report.write_html(options.out / PAGE)
        files.write_json(options.out / SEAL, report.to_dict())
    return report


@dataclass(frozen=True)
class Training:
    """A run that the comparison needs: of a whole training file, or of `n_rows` rows of it."""

    name: str
    recipe: Recipe
    data: Path
    run: Path
    n_rows: int | None = None


def _name_recipes(options: CompareOptions) -> dict[str, Recipe]:
    """Name the recipe of each encoder and of each file, all checked before the first is trained."""
    asked = list(options.overrides or ())
    pairs: list[tuple[str, Path | None, list[str]]]
    pairs = [(name, None, [f"encoder.name={name}", *asked]) for name in options.encoders or ()]
    pairs += [(path.stem, path, asked) for path in options.recipes or ()]
    names = [name for name, _, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(f"two models are called '{twice[0]}'; give each its own name")
    recipes = {name: complete_recipe(read_recipe(file, sets)) for name, file, sets in pairs}
    tasks = {recipe.head.task: name for name, recipe in recipes.items()}
    if len(tasks) > 1:
        shown = " and ".join(f"{name} for {task}" for task, name in tasks.items())
        raise UsageError(f"{shown}; models of one task are compared")
    return recipes


def _plan(
    options: CompareOptions, learners: Mapping[str, Recipe], places: Mapping[str, Path]
) -> list[Training]:
    """List the trainings in their order; UsageError where options do not go together."""
    if len(learners) + len(places) < 2:
        raise UsageError("expected two models or more: --model, --encoders or --recipe")
    if not learners:
        idle = [
            name
            for name, given in (("--train", options.train), ("--sizes", options.sizes))
            if given
        ]
        if idle:
            raise UsageError(f"{idle[0]} goes with --encoders or --recipe; leave it out")
        return []
    if options.train is None or options.out is None:
        raise UsageError("encoders and recipes are trained: give the file with --train, and -o")
    plan = []
    for name, recipe in learners.items():
        folder = name.replace("/", "-").replace(":", "-")  # a plug-in is package.module:Name
        plan.append(Training(name, recipe, options.train, options.out / folder))
        for n in sorted(set(options.sizes or ())):
            rows = options.out / SIZES / f"{n}.jsonl"
            run = options.out / SIZES / f"{folder}-{n}"
            plan.append(Training(name, recipe, rows, run, n_rows=n))
    return plan


def _open_folder(options: CompareOptions, out: Path) -> None:
    """Refuse a folder that is somebody else's, or that holds what may not go."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / BEGUN).is_file()):
        raise UsageError(f"{out} exists and holds no comparison; choose another -o")
    if options.resume or options.overwrite or not any(out.iterdir()):
        return
    files.refuse_finished(out, overwrite=False, seal=SEAL)
    raise UsageError(
        f"{out} holds a comparison that is not over; go on with --resume, or begin anew with"
        " --overwrite"
    )


def _draw_samples(options: CompareOptions, watch: Watch) -> dict[int, str]:
    """Draw so many rows of the training file for each of the sizes, each within the next, as the
    lines of a file.
    """
    assert options.train is not None
    rows = read_labelled(
        options.train,
        note=watch.note,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
    )
    labels = [str(label) for label in rows.labels]
    order = order_evenly(labels, seed=0)
    samples = {}
    for n in options.sizes or ():
        if n > len(labels):
            raise UsageError(f"--sizes {n:,}: {options.train} has {len(labels):,} rows")
        lines = (
            json.dumps({"text": rows.texts[i], "label": labels[i]}, ensure_ascii=False)
            for i in np.sort(order[:n])
        )
        samples[n] = "".join(f"{line}\n" for line in lines)
    return samples


def order_evenly(labels: Sequence[str], *, seed: int) -> NDArray[np.int64]:
    """Order rows so that the first n, for every n, hold each label in about its share.

    >>> labels = ["a", "a", "b", "a", "a", "b"]
    >>> sorted(labels[i] for i in order_evenly(labels, seed=0)[:3])
    ['a', 'a', 'b']
    """
    generator = np.random.default_rng([seed, 0x51DE])
    places = np.empty(len(labels))
    _, codes = np.unique(np.array(labels, dtype=object).astype(str), return_inverse=True)
    for code in range(codes.max() + 1):
        rows = generator.permutation(np.flatnonzero(codes == code))
        places[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.argsort(places, kind="stable")


def _train(options: CompareOptions, training: Training, watch: Watch) -> bool:
    """Train into a run folder, or go on; False where the watch stopped it."""
    if watch.should_stop():
        return False
    watch.note(f"training {training.run}")
    is_sample = training.n_rows is not None  # a file of ours, with columns of ours
    begun = (training.run / runs.RECIPE).is_file()
    report = train_run(
        TrainOptions(
            data=training.data,
            out=training.run,
            recipe=training.recipe,
            resume=options.resume and begun,
            overwrite=options.overwrite and begun,
            baseline=False,
            allow=options.allow,
            text_column=None if is_sample else options.text_column,
            label_column=None if is_sample else options.label_column,
            label_separator=options.label_separator,
            delimiter=None if is_sample else options.delimiter,
        ),
        watch=replace(watch, note=lambda line: None),
    )
    return not report.stopped
