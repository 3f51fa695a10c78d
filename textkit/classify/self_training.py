"""Self-training: a model learns again, from its own word on texts without labels where it is sure,
and stays so only where rows held out say that it is not worse.

1. the model is fitted on the rows with labels;
2. on each fold one of the same recipe is fitted without it, predicts the texts without labels, and
   is fitted again with the surest of them as if it was right; both predict the fold;
3. where the second is not worse on all these rows, in the metric and among equals in the loss, the
   model of 1 teaches one of its own recipe in this way; else it stays.

The rows held out have labels of their own: no guess judges a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from textkit.classify.board import Judge
from textkit.classify.choosing import FEWEST_ROWS, HeldOut, align, make_rows
from textkit.classify.fitted import Fitted
from textkit.classify.frozen import FrozenModel, FrozenOptions, FrozenSource, KnownVectors
from textkit.classify.given import Given, Teaching
from textkit.classify.held_out import read_given, read_validation
from textkit.data.targets import find_classes
from textkit.errors import UsageError
from textkit.evaluation.task_scores import chosen_metric
from textkit.recipe import Recipe
from textkit.recipe.sections import DistilSection
from textkit.registry import is_whole
from textkit.watch import Progress, Watch


class Fit(Protocol):
    """How a recipe is fitted."""

    def __call__(self, recipe: Recipe, given: Given, /, *, watch: Watch) -> Fitted: ...


@dataclass(frozen=True)
class Verdict:
    """What rows held out say of self-training: gain in the metric with its standard error, and the
    gain in the loss.
    """

    metric: str
    gain: float
    error: float
    loss_gain: float

    @property
    def is_kept(self) -> bool:
        """Tell whether it is not worse."""
        return self.gain > 0 or (self.gain == 0 and self.loss_gain > 0)

    def __str__(self) -> str:
        """Say it in a line."""
        said = "kept" if self.is_kept else "left out"
        return (
            f"self-training is {said}: on rows held out {self.metric.replace('_', ' ')}"
            f" {self.gain:+.3f} +- {self.error:.3f} beside labels alone, loss"
            f" {-self.loss_gain:+.3f}"
        )


def fit_with_itself(recipe: Recipe, given: Given, *, fit: Fit, watch: Watch = Watch()) -> Fitted:
    """Fit on rows with labels and on given.unlabelled, as above. fit: how a recipe is fitted."""
    task = recipe.head.task
    if task != "single-label":
        raise UsageError(f"self-training needs one label a text, not {task}; name a --teacher")
    if recipe.encoder.name == "ensemble":
        raise UsageError("an ensemble does not teach itself; name one encoder")
    if recipe.contrast is not None:
        raise UsageError("contrast takes no texts without labels; leave one of the two out")
    given.check_fresh("self-training")
    if recipe.encoder.name == "auto":
        options = {**recipe.encoder.options, "ensemble": False}
        encoder = recipe.encoder.model_copy(update=options)
        recipe = recipe.model_copy(update={"encoder": encoder})
    alone = replace(given, unlabelled=())
    first = fit(recipe, alone, watch=watch)
    if watch.should_stop():
        return first
    rows = _hold_out(first.recipe, alone)
    if len(rows.texts) < FEWEST_ROWS or not rows.splits:
        watch.note(f"{len(rows.texts):,} rows are too few to judge self-training: it is left out")
        return first
    with watch.stage("choose"):
        verdict = _judge(first.recipe, rows, given, fit, watch)
    if watch.should_stop():
        return first
    watch.note(str(verdict))
    if verdict.is_kept:
        folder = given.checkpoints
        if folder is not None and not is_whole(recipe.encoder.name):
            folder /= "self-training"  # a training of its own
        itself = Teaching(_remember(first, folder), given.unlabelled, is_itself=True)
        taught = replace(alone, teaching=itself, checkpoints=folder)
        again = fit(_say_weight(first.recipe), taught, watch=watch)
        assert again.facts is not None and first.facts is not None
        facts = replace(again.facts, choice=first.facts.choice)
        first = replace(again, recipe=first.recipe, facts=facts)
    assert first.facts is not None
    first.facts.history.notes.append(str(verdict))
    return first


def _say_weight(recipe: Recipe) -> Recipe:
    """Give the recipe of who is taught by itself: a row's own label says all of it."""
    return recipe.model_copy(update={"distil": DistilSection(weight=0.0)})


def _remember(fitted: Fitted, folder: Path | None, texts: Sequence[str] = ()) -> Fitted:
    """Give a model on frozen vectors that makes none twice, its vectors of the texts made now, so
    that they are kept for every fit in this folder; any other as it is.
    """
    model = fitted.model
    if not isinstance(model, FrozenModel):
        return fitted
    source = FrozenSource(FrozenOptions.of(fitted.recipe), folder)
    source.prepare(texts)
    known = KnownVectors(
        embedder=model.embedder,
        machines=model.machines,
        source=model.source,
        vectors=source,
    )
    return replace(fitted, model=known)


def _hold_out(recipe: Recipe, given: Given) -> HeldOut:
    """Read the rows, and cut them into folds; rows for validation are the only fold."""
    task = recipe.head.task
    texts, labels, _ = read_given(task, given)
    classes = find_classes(task, labels.labels) if labels.classes is None else labels.classes
    known, n_valid = list(labels.labels), 0
    if (valid := read_validation(task, given, classes)) is not None:
        n_valid, texts, known = len(valid[0]), [*texts, *valid[0]], [*known, *valid[1].labels]
    return make_rows(task, classes, texts, known, n_valid=n_valid, seed=recipe.seed)


def _judge(recipe: Recipe, rows: HeldOut, given: Given, fit: Fit, watch: Watch) -> Verdict:
    """Fit on the rows around each fold, without and with self-training, and compare the two."""
    silent = Watch(should_stop=watch.should_stop)
    cache = given.checkpoints if is_whole(recipe.encoder.name) else None
    labels, without, taught = list(rows.labels), [], []
    for i, (rest, part) in enumerate(rows.splits):
        watch.progress(Progress("judging self-training", i, len(rows.splits), "folds"))
        taken, held = rest.tolist(), [rows.texts[at] for at in part.tolist()]
        some = Given(
            [rows.texts[at] for at in taken], [labels[at] for at in taken], checkpoints=cache
        )
        alone = _remember(fit(recipe, some, watch=silent), cache, given.unlabelled)
        teaching = Teaching(alone, given.unlabelled, is_itself=True)
        again = fit(_say_weight(recipe), replace(some, teaching=teaching), watch=silent)
        both = _remember(again, cache)
        without.append(align(alone, alone.logits(held), rows))
        taught.append(align(both, both.logits(held), rows))
    metric = chosen_metric(rows.task, recipe.training.metric)
    outputs = np.concatenate(taught), np.concatenate(without)
    targets = rows.targets[rows.held]
    gain, error = Judge(rows.task, metric, targets).compare(*outputs)
    loss_gain, _ = Judge(rows.task, "loss", targets).compare(*outputs)
    return Verdict(metric, gain, error, loss_gain)
