"""Fitting `auto`: choose a model by measuring candidates, then fit the one that was chosen.

In: a recipe whose encoder is `auto`, texts and labels. Out: the Fitted of the chosen recipe, which
knows nothing of the choice but in its facts. No row but those given is read: a test file chooses
nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from textkit.classify.board import Choice
from textkit.classify.candidates import AutoOptions, list_candidates
from textkit.classify.choosing import choose, make_rows
from textkit.classify.ensemble_fitting import fit_ensemble
from textkit.classify.fitted import Fitted
from textkit.data.given_labels import LabelData, Missing, read_labels
from textkit.data.imbalance import read_weights
from textkit.data.targets import Labels, Task, find_classes
from textkit.errors import UsageError, require
from textkit.evaluation.task_scores import chosen_metric
from textkit.io.tables import TextData
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.registry import is_whole
from textkit.tokenizers.protocol import check_texts
from textkit.watch import Watch


def fit_texts(
    recipe: Recipe,
    texts: TextData,
    labels: LabelData,
    *,
    validation: tuple[TextData, LabelData] | None = None,
    missing: Missing = "error",
    weights: object = None,
    init_from: Fitted | None = None,
    keep_labels: bool = False,
    checkpoints: Path | None = None,
    watch: Watch = Watch(),
) -> Fitted:
    """Choose, and fit on texts (n,) and labels (n,) in memory; as TextClassifier.fit says.

    A recipe that names an ensemble is fitted as it is.
    """
    if recipe.encoder.name == "ensemble":
        return fit_ensemble(
            recipe,
            texts,
            labels,
            fit=_fit_one,
            validation=validation,
            missing=missing,
            weights=weights,
            init_from=init_from,
            keep_labels=keep_labels,
            checkpoints=checkpoints,
            watch=watch,
        )
    if init_from is not None or keep_labels:
        raise UsageError(
            "encoder = 'auto' starts from nothing; leave out init_from and keep_labels, or name the"
            " encoder of the model to start from"
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("encoder = 'auto' chooses in one process; under torchrun name an encoder")
    recipe = complete_recipe(recipe)
    with _folder(recipe, checkpoints) as folder:
        choice = _choose(
            recipe,
            texts,
            labels,
            validation=validation,
            missing=missing,
            weights=weights,
            folder=folder,
            watch=watch,
        )
        for line in choice.lines():
            watch.note(line)
        fitted: Fitted = fitting_of(choice.recipe).fit_texts(
            choice.recipe,
            texts,
            labels,
            validation=validation,
            missing=missing,
            weights=weights,
            checkpoints=folder,
            watch=watch,
        )
    assert fitted.facts is not None
    return replace(fitted, facts=replace(fitted.facts, choice=choice))


def fit_file(recipe: Recipe, path: str | Path, **columns: object) -> Fitted:
    """Refuse a file that need not fit into memory."""
    what = "measures candidates" if recipe.encoder.name == "auto" else "fits its members"
    raise UsageError(
        f"encoder = '{recipe.encoder.name}' {what} on texts in memory; name an encoder, such as"
        " lstm",
        where=str(path),
    )


def choose_model(
    task: Task,
    texts: TextData,
    labels: LabelData,
    *,
    validation: tuple[TextData, LabelData] | None = None,
    watch: Watch = Watch(),
    **options: object,
) -> Choice:
    """Choose a recipe for texts (n,) and labels (n,), and say why; the model itself is not fitted.

    options: of the choice, as `seed=3`, `encoder__candidates=["linear"]`, `encoder__size=2_000_000`
    bytes. The Choice has `winner`, `recipe`, and the `board` of all candidates.

    >>> texts, labels = ["good film", "bad film", "a good one", "a bad one"] * 10, [1, 0] * 20
    >>> choice = choose_model("single-label", texts, labels, encoder__candidates=["linear"])
    >>> choice.winner, choice.board[0].reason
    ('linear', 'chosen: the only candidate')
    """
    named = {"encoder": {"name": "auto"}, "head": {"task": task}}
    recipe = complete_recipe(make_recipe(named, **options))
    with _folder(recipe, None) as folder:
        return _choose(recipe, texts, labels, validation=validation, folder=folder, watch=watch)


def _choose(
    recipe: Recipe,
    texts: TextData,
    labels: LabelData,
    *,
    validation: tuple[TextData, LabelData] | None = None,
    missing: Missing = "error",
    weights: object = None,
    folder: Path | None = None,
    watch: Watch = Watch(),
) -> Choice:
    """Choose among the candidates of a whole `auto` recipe; the options are those of a fit.

    folder: where measurements are kept, so that a choice which was stopped goes on. Weights of
    rows leave rows of weight 0 out; the measuring knows no others.
    """
    task = recipe.head.task
    given = read_labels(task, labels, missing=missing)
    kept = given.take(check_texts(texts))
    if weights is not None:
        counts = read_weights(weights, n_rows=given.n_rows, rows=given.rows).nonzero()[0]
        given = given.keep(counts)
        kept = [kept[row] for row in counts.tolist()]
    classes = find_classes(task, given.labels) if given.classes is None else given.classes
    whole: list[object] = list(given.labels)
    n_valid = 0
    if validation is not None:
        what = "validation label"
        valid = read_labels(task, validation[1], missing=missing, classes=classes, what=what)
        valid_texts = valid.take(check_texts(validation[0]))
        n_valid, kept, whole = len(valid_texts), [*kept, *valid_texts], [*whole, *valid.labels]
    metric = chosen_metric(task, recipe.training.metric)
    rows = make_rows(task, classes, kept, whole, n_valid=n_valid, seed=recipe.seed)  # type: ignore[arg-type]
    left = list_candidates(
        recipe, metric=metric, n_rows=len(kept), n_characters=sum(map(len, kept))
    )
    silent = Watch(should_stop=watch.should_stop)

    def fit(one: Recipe, texts: list[str], labels: Labels) -> Fitted:
        return _fit_one(one, texts, labels, checkpoints=_cache(one, folder), watch=silent)

    with watch.stage("choose"):
        return choose(
            left.recipes,
            rows,
            fit,
            metric=metric,
            left_out=left.reasons,
            time_limit=recipe.training.time_limit,
            join=AutoOptions.of(recipe).ensemble,
            bounds=AutoOptions.of(recipe).bounds,
            folder=folder,
            watch=watch,
        )


def _fit_one(recipe: Recipe, texts: TextData, labels: LabelData, **options: Any) -> Fitted:
    fitted: Fitted = fitting_of(recipe).fit_texts(recipe, texts, labels, **options)
    return fitted


def fitting_of(recipe: Recipe) -> ModuleType:
    """Give the module that fits a recipe of one kind of model; a network's needs torch."""
    if recipe.encoder.name in ("auto", "ensemble"):
        return sys.modules[__name__]
    if is_whole(recipe.encoder.name):
        from textkit.classify import linear_fitting

        return linear_fitting
    require("torch", "accelerate", needed_by="a text classifier")
    from textkit.classify import fitting

    return fitting


@contextlib.contextmanager
def _folder(recipe: Recipe, given: Path | None) -> Iterator[Path | None]:
    """Give the folder to keep things in: without one a passing one, where texts are embedded."""
    if given is not None or not AutoOptions.of(recipe).find_embedder():
        yield given
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _cache(recipe: Recipe, folder: Path | None) -> Path | None:
    """Give the folder for vectors of texts; checkpoints of a network that is measured have none."""
    return folder if recipe.encoder.name == "frozen" else None
