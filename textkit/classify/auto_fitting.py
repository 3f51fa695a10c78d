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

from textkit.classify.board import Choice
from textkit.classify.candidates import AutoOptions, list_candidates
from textkit.classify.choosing import choose, make_rows
from textkit.classify.ensemble_fitting import fit_ensemble
from textkit.classify.fitted import Fitted
from textkit.classify.given import Given
from textkit.classify.held_out import read_given, read_validation
from textkit.data.given_labels import LabelData
from textkit.data.targets import Labels, Task, find_classes
from textkit.errors import UsageError, require
from textkit.evaluation.task_scores import chosen_metric
from textkit.io.tables import TextData
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.registry import is_whole
from textkit.watch import Watch


def fit_texts(recipe: Recipe, given: Given, *, watch: Watch = Watch()) -> Fitted:
    """Choose, and fit on texts (n,) and labels (n,) in memory.

    A recipe that names an ensemble is fitted as it is.
    """
    if recipe.encoder.name == "ensemble":
        return fit_ensemble(recipe, given, fit=_fit_one, watch=watch)
    given.check_fresh(
        "encoder = 'auto'", otherwise=", or name the encoder of the model to start from"
    )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError("encoder = 'auto' chooses in one process; under torchrun name an encoder")
    recipe = complete_recipe(recipe)
    with _folder(recipe, given.checkpoints) as folder:
        given = replace(given, checkpoints=folder)
        choice = _choose(recipe, given, watch=watch)
        for line in choice.lines():
            watch.note(line)
        fitted = _fit_one(choice.recipe, given, watch=watch)
    assert fitted.facts is not None
    return replace(fitted, facts=replace(fitted.facts, choice=choice))


def fit_rows(recipe: Recipe, given: Given, *, watch: Watch = Watch()) -> Fitted:
    """Fit a recipe of any kind of model; one that has texts without labels teaches itself."""
    with watch.stage("start"):
        fitting_of(recipe)  # imports torch for a network
    if not given.unlabelled:
        return _fit_one(recipe, given, watch=watch)
    from textkit.classify.self_training import fit_with_itself

    with _folder(recipe, given.checkpoints) as folder:
        return fit_with_itself(
            recipe, replace(given, checkpoints=folder), fit=_fit_one, watch=watch
        )


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
        given = Given(texts, labels, validation=validation, checkpoints=folder)
        return _choose(recipe, given, watch=watch)


def _choose(recipe: Recipe, given: Given, *, watch: Watch = Watch()) -> Choice:
    """Choose among the candidates of a whole `auto` recipe.

    Measurements are kept in the checkpoints, so that a choice which was stopped goes on. Weights of
    rows leave rows of weight 0 out; the measuring knows no others.
    """
    task, folder = recipe.head.task, given.checkpoints
    kept, labels, _ = read_given(task, given)
    classes = find_classes(task, labels.labels) if labels.classes is None else labels.classes
    whole: list[object] = list(labels.labels)
    n_valid = 0
    if (valid := read_validation(task, given, classes)) is not None:
        n_valid, kept, whole = len(valid[0]), [*kept, *valid[0]], [*whole, *valid[1].labels]
    metric = chosen_metric(task, recipe.training.metric)
    rows = make_rows(task, classes, kept, whole, n_valid=n_valid, seed=recipe.seed)  # type: ignore[arg-type]
    left = list_candidates(
        recipe, metric=metric, n_rows=len(kept), n_characters=sum(map(len, kept))
    )
    silent = Watch(should_stop=watch.should_stop)

    def fit(one: Recipe, texts: list[str], labels: Labels) -> Fitted:
        return _fit_one(one, Given(texts, labels, checkpoints=_cache(one, folder)), watch=silent)

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


def _fit_one(recipe: Recipe, given: Given, *, watch: Watch) -> Fitted:
    fitted: Fitted = fitting_of(recipe).fit_texts(recipe, given, watch=watch)
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
