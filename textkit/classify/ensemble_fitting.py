"""Fitting an ensemble: every member on the same rows -> one Fitted.

1. rows -> those to learn from and those held out, the same for all members;
2. each member learns from the first and predicts the others, which give the ensemble's temperature,
   thresholds and score;
3. where no validation rows were given, members that would learn from all rows at last do so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from textkit.classify.ensemble import EnsembleModel, EnsembleOptions, combine, normalize
from textkit.classify.fitted import FitFacts, Fitted
from textkit.classify.given import Given
from textkit.classify.held_out import SplitRows, calibrate, say_weak, split_rows
from textkit.data.targets import Classes, Labels, Targets, Task, count_classes
from textkit.errors import DataError
from textkit.evaluation.task_scores import chosen_metric, row_losses, score
from textkit.recipe import Recipe, complete_recipe
from textkit.watch import Epoch, History, Watch

Fit = Callable[..., Fitted]


def fit_ensemble(recipe: Recipe, given: Given, *, fit: Fit, watch: Watch = Watch()) -> Fitted:
    """Fit on texts (n,) and labels (n,) in memory.

    fit: how a recipe of one model learns. What members keep in the checkpoints, a fit that was
    stopped goes on from.
    """
    recipe, started = complete_recipe(recipe), time.perf_counter()
    given.check_fresh("an ensemble")
    options = EnsembleOptions.of(recipe)
    parts = options.members(recipe)
    with watch.stage("read"):
        rows = split_rows(recipe, given, watch=watch)
    if not len(rows.valid_texts):
        raise DataError(
            f"{len(rows.texts):,} rows leave none to hold out; give more, or rows for validation"
        )
    task, classes = recipe.head.task, rows.classes
    valid_labels = to_labels(task, classes, rows.valid_targets)
    silent = Watch(step=watch.step, progress=watch.progress, should_stop=watch.should_stop)
    members = []
    for place, part in enumerate(parts):
        watch.note(f"member {place + 1} of {len(parts)}: {part.encoder.name}")
        lent = Given(
            rows.texts,
            to_labels(task, classes, rows.targets),
            validation=(rows.valid_texts, valid_labels),
            weights=rows.weights,
            checkpoints=_place(given.checkpoints, part, place),
        )
        members.append(fit(part, lent, watch=silent))
    with watch.stage("evaluation"):
        members = [_align(member, classes) for member in members]
        said = [normalize(task, m.logits(rows.valid_texts), m.temperature) for m in members]
        valid = combine(said, options.shares)
        temperature, thresholds = calibrate(recipe, valid, rows.valid_targets)
        say_weak(recipe, classes, valid, rows.valid_targets, watch=watch)
        history = _measure(recipe, members, rows, valid, temperature)
    watch.epoch(history.epochs[0])
    if given.validation is None and not watch.should_stop():
        everything = [*rows.texts, *rows.valid_texts]
        targets = np.concatenate([rows.targets, rows.valid_targets])
        weighed = [part for part in (rows.weights, rows.valid_weights) if part is not None]
        weights = np.concatenate(weighed) if weighed else None
        whole = Given(everything, to_labels(task, classes, targets), weights=weights)
        for place, part in enumerate(parts):
            if part.encoder.options.get("refit", False):
                kept = _place(given.checkpoints, part, place)
                again = fit(part, replace(whole, checkpoints=kept), watch=silent)
                members[place] = _align(again, classes)
    history.seconds = time.perf_counter() - started
    history.device = next((m.facts.history.device for m in members if m.facts), "cpu")
    facts = FitFacts(
        history,
        len(rows.targets) + len(rows.valid_targets),
        max((m.facts.n_truncated for m in members if m.facts is not None), default=0),
        n_valid=len(rows.valid_targets),
        class_rows=count_classes(task, classes, rows.targets, rows.valid_targets),
    )
    model = EnsembleModel(tuple(replace(m, facts=None) for m in members), options.shares)
    return Fitted(recipe, classes, model, temperature, thresholds, facts)


def to_labels(task: Task, classes: Classes, targets: Targets) -> Labels:
    """Give the labels that targets stand for.

    >>> to_labels("multi-label", np.array(["a", "b"]), np.array([[0.0, 1.0]], np.float32))
    [['b']]
    """
    names = classes.tolist()
    if task == "single-label":
        return [names[code] for code in targets.astype(np.int64).tolist()]
    if task == "multi-label":
        return [[names[i] for i in np.flatnonzero(row)] for row in targets]
    return [row[0] if len(row) == 1 else row for row in targets.tolist()]


def _align(member: Fitted, classes: Classes) -> Fitted:
    if member.classes.tolist() != classes.tolist():
        raise DataError(
            "a label stands in held-out rows alone; give more rows of each label, or rows for"
            " validation"
        )
    return member


def _place(checkpoints: Path | None, part: Recipe, place: int) -> Path | None:
    """Give where a member keeps things: vectors of texts are there for all of them."""
    is_frozen = part.encoder.name == "frozen"
    return checkpoints if checkpoints is None or is_frozen else checkpoints / f"member-{place}"


def _measure(
    recipe: Recipe,
    members: list[Fitted],
    rows: SplitRows,
    valid: np.ndarray[Any, np.dtype[np.float32]],
    temperature: float,
) -> History:
    """Make a history of one epoch; the loss of the rows learnt from is the members' mean."""
    task = recipe.head.task
    known = [m.facts.history.epochs[-1].train_loss for m in members if m.facts]
    losses = row_losses(task, valid, rows.valid_targets, temperature=temperature)
    epoch = Epoch(
        1,
        float(np.mean(known)) if known else 0.0,
        float(losses.mean()),
        score(task, valid, rows.valid_targets),
        padding_share=0.0,
        lr=0.0,
    )
    metric = chosen_metric(task, recipe.training.metric)
    names = ", ".join(member.recipe.encoder.name for member in members)
    return History([epoch], epoch, metric=metric, notes=[f"members: {names}"])
