"""Fitting a linear model, on n-grams or on text vectors: texts and labels -> a Fitted.

1. labels -> the classes; rows -> those to learn from and those held out, as for any model;
2. the n-grams of the texts to learn from, or the vectors of these -> features;
3. the cost of errors is chosen in a cross-validation of these rows;
4. a machine for each class, label or number is learnt on all of them;
5. the rows held out say how good it is; with those that the cross-validation held out they give the
   temperature and the thresholds;
6. at last the model is learnt again from all rows, those held out included, unless `refit` is off
   or validation rows were given.

The same seed and rows give the same bytes, on any number of threads: everything is learnt in one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from textkit.classify.fitted import FitFacts, Fitted, Model
from textkit.classify.frozen import FrozenOptions, FrozenSource
from textkit.classify.given import Given
from textkit.classify.held_out import SplitRows, calibrate, say_weak, split_rows
from textkit.classify.learner import Learner, alone, weigh
from textkit.classify.linear import LinearModel, LinearOptions
from textkit.classify.machines import FeatureRows, Machines, SparseFeatures
from textkit.classify.teaching import take_lesson
from textkit.data.targets import Labels, count_classes, encode_labels
from textkit.errors import DataError, UsageError, require
from textkit.evaluation.task_scores import chosen_metric, row_losses, score
from textkit.features.tfidf import TfidfFeatures
from textkit.recipe import Recipe, complete_recipe
from textkit.watch import Epoch, History, Watch

# The costs that "auto" tries, chosen anew by cross-validation of training parts alone: with 2,000
# rows each of AG News, TREC-6, TREC-50, SST-2, Banking77 and R8 the best of these three is at most
# .1 of a point below the best of 0.03 to 3 (benchmarks/linear_cost.py).
COSTS = (0.1, 0.3, 1.0)
# Of a regression. The last is the one that is taken where there is too much or too little to try.
NUMBER_COSTS = (0.3, 3.0, 10.0, 1.0)


class Features(Protocol):
    """What was learnt of training texts: it gives the features of others, and the whole model."""

    def encode(self, texts: Sequence[str]) -> FeatureRows: ...
    def model(self, machines: Machines) -> Model: ...


class Source(Protocol):
    """Where features come from, and how machines are learnt on them, as the recipe says."""

    @property
    def loss(self) -> str: ...
    @property
    def costs(self) -> Sequence[float]: ...
    @property
    def refit(self) -> bool: ...
    def prepare(self, texts: Sequence[str]) -> None: ...
    def learn(self, texts: Sequence[str]) -> tuple[Features, FeatureRows]: ...


@dataclass(frozen=True)
class _GramFeatures:
    tfidf: TfidfFeatures

    def encode(self, texts: Sequence[str]) -> SparseFeatures:
        return SparseFeatures(self.tfidf.encode(texts), self.tfidf.n_features)

    def model(self, machines: Machines) -> LinearModel:
        return LinearModel(self.tfidf, machines)


@dataclass(frozen=True)
class _GramSource:
    """TF-IDF of n-grams."""

    options: LinearOptions
    costs: Sequence[float]

    @property
    def loss(self) -> str:
        return self.options.loss

    @property
    def refit(self) -> bool:
        return self.options.refit

    def prepare(self, texts: Sequence[str]) -> None:
        """Nothing takes long here."""

    def learn(self, texts: Sequence[str]) -> tuple[_GramFeatures, SparseFeatures]:
        tfidf, rows = TfidfFeatures.learn(texts, self.options)
        return _GramFeatures(tfidf), SparseFeatures(rows, tfidf.n_features)


def _source_of(recipe: Recipe, cache: Path | None) -> Source:
    """Give the source of features that a recipe names; cache: a folder for vectors of texts."""
    if recipe.encoder.name == "frozen":
        return FrozenSource(FrozenOptions.of(recipe), cache)
    options = LinearOptions.of(recipe)
    usual = NUMBER_COSTS if recipe.head.task == "regression" else COSTS
    costs = usual if options.cost == "auto" else (float(options.cost),)
    return _GramSource(options, costs)


def fit_texts(recipe: Recipe, given: Given, *, watch: Watch = Watch()) -> Fitted:
    """Fit on texts (n,) and labels (n,) in memory.

    A fit that was stopped begins anew; of vectors of texts, those in the checkpoints are used.
    """
    recipe, started = complete_recipe(recipe), time.perf_counter()
    given.check_fresh(f"a {recipe.encoder.name} model")
    require("sklearn", needed_by="learning a linear model")
    source = _source_of(recipe, given.checkpoints)
    with watch.stage("read"):
        rows = split_rows(recipe, given, watch=watch)
        rows = take_lesson(recipe, rows, given, watch=watch)
    if not len(rows.valid_texts):
        raise DataError(
            f"{len(rows.texts):,} rows leave none to hold out; give more, or rows for validation"
        )
    _say_empty(rows.texts, watch)
    with watch.stage("tokenize"):
        source.prepare([*rows.texts, *rows.valid_texts])
        if isinstance(source, FrozenSource) and source.n_cut and not source.options.windows:
            watch.note(
                f"{source.n_cut:,} texts are longer than the encoder takes, and are cut;"
                " encoder.windows = true reads all of them, in pieces"
            )
    with alone():
        with watch.stage("tokenize"):
            features, train = source.learn(rows.texts)
        with watch.stage("fit"):
            examples = weigh(
                recipe, rows.classes, train, rows.targets, rows.weights, lesson=rows.lesson
            )
            learner = Learner(recipe, source.loss, source.costs, len(rows.classes), watch)
            cost, tried, outputs = learner.choose_cost(examples)
            machines = learner.learn(examples, cost=cost)
        with watch.stage("evaluation"):
            valid = machines.score(features.encode(rows.valid_texts))
            temperature, thresholds = calibrate(
                recipe,
                np.concatenate([outputs, valid]),
                np.concatenate([rows.targets[tried], rows.valid_targets]),
            )
            say_weak(recipe, rows.classes, valid, rows.valid_targets, watch=watch)
            history = _measure(
                recipe, machines.score(train), rows, valid, temperature=temperature, cost=cost
            )
        watch.epoch(history.epochs[0])
        if given.validation is None and source.refit:
            everything = [*rows.texts, *rows.valid_texts]
            with watch.stage("tokenize"):
                features, train = source.learn(everything)
            targets = np.concatenate([rows.targets, rows.valid_targets])
            both = [part for part in (rows.weights, rows.valid_weights) if part is not None]
            weights = np.concatenate(both) if both else None
            lesson = rows.lesson and rows.lesson.add_labelled(len(rows.valid_texts))
            with watch.stage("fit"):
                examples = weigh(recipe, rows.classes, train, targets, weights, lesson=lesson)
                machines = learner.learn(examples, cost=cost)
            watch.note(
                f"cost {cost:g}; learnt at last from all {len(everything):,} rows, those held out"
                " included"
            )
    history.seconds = time.perf_counter() - started
    known = rows.targets[rows.labelled]
    facts = FitFacts(
        history,
        n_rows=len(known) + len(rows.valid_targets),
        n_truncated=0,
        n_valid=len(rows.valid_targets),
        class_rows=count_classes(recipe.head.task, rows.classes, known, rows.valid_targets),
    )
    return Fitted(recipe, rows.classes, features.model(machines), temperature, thresholds, facts)


def relearn(
    fitted: Fitted, texts: Sequence[str], labels: Labels, *, watch: Watch = Watch()
) -> Fitted:
    """Learn the weights of a linear model's own features anew, from texts and labels; temperature
    and thresholds stay.
    """
    require("sklearn", needed_by="learning a linear model")
    model, recipe = fitted.model, fitted.recipe
    assert isinstance(model, LinearModel)
    source = _source_of(recipe, None)
    targets = encode_labels(fitted.task, labels, fitted.classes)
    rows = SparseFeatures(model.features.encode(texts), model.features.n_features)
    with alone():
        examples = weigh(recipe, fitted.classes, rows, targets, None)
        learner = Learner(recipe, source.loss, source.costs, len(fitted.classes), watch)
        machines = learner.learn(examples, cost=learner.choose_cost(examples)[0])
    return replace(fitted, model=LinearModel(model.features, machines), facts=None)


def fit_file(recipe: Recipe, path: str | Path, **columns: object) -> Fitted:
    """Refuse to fit on a file that need not fit into memory."""
    raise UsageError(
        f"a {recipe.encoder.name} model learns from texts in memory; use fit, or in the shell leave"
        " out --stream",
        where=str(path),
    )


def _say_empty(texts: Sequence[str], watch: Watch) -> None:
    n_empty = sum(not text.strip() for text in texts)
    if n_empty:
        watch.note(f"{n_empty:,} of {len(texts):,} training texts are empty")


def _measure(
    recipe: Recipe,
    train: NDArray[np.float32],
    rows: SplitRows,
    valid: NDArray[np.float32],
    *,
    temperature: float,
    cost: float,
) -> History:
    """Measure outputs for the rows learnt from and for those held out: a history of one epoch."""
    task, known = recipe.head.task, rows.labelled
    epoch = Epoch(
        1,
        _mean(row_losses(task, train[known], rows.targets[known], temperature=temperature)),
        _mean(row_losses(task, valid, rows.valid_targets, temperature=temperature)),
        score(task, valid, rows.valid_targets),
        padding_share=0.0,
        lr=0.0,
    )
    metric = chosen_metric(task, recipe.training.metric)
    return History([epoch], epoch, metric=metric, notes=[f"cost {cost:g}"])


def _mean(losses: NDArray[np.float64]) -> float:
    return float(losses.mean())
