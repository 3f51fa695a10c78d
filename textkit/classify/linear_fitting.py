"""Fitting a linear model: texts and labels -> a Fitted. scikit-learn learns the weights.

1. labels -> the classes; rows -> those to learn from and those held out, as for any model;
2. the n-grams of the texts to learn from -> features;
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
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.classify.fitted import FitFacts, Fitted, sigmoid
from textkit.classify.held_out import SplitRows, calibrate, split_rows
from textkit.classify.linear import LinearModel, LinearOptions
from textkit.data.given_labels import LabelData, Missing
from textkit.data.imbalance import named_weights, row_weights, weigh_rows
from textkit.data.splits import fold_stratified
from textkit.data.targets import Classes, Targets
from textkit.errors import DataError, UsageError, require
from textkit.evaluation.task_scores import FALLING, chosen_metric, score
from textkit.features.tfidf import SparseRows, TfidfFeatures
from textkit.io.tables import TextData
from textkit.recipe import Recipe, complete_recipe
from textkit.threads import SharedLock
from textkit.watch import Epoch, History, Watch

_learning = SharedLock()
# The costs that "auto" tries, chosen anew by cross-validation of training parts alone: with 2,000
# rows each of AG News, TREC-6, TREC-50, SST-2, Banking77 and R8 the best of these three is at most
# .1 of a point below the best of 0.03 to 3 (benchmarks/linear_cost.py).
COSTS = (0.1, 0.3, 1.0)
NUMBER_COSTS = (0.3, 1.0, 3.0, 10.0)
# Up to so much work, features of all rows times machines, every third of the rows is held out once;
# beyond it a fifth alone, and far beyond it the cost is 1.
_WORK_OF_FOLDS, _WORK_OF_ONE = 20_000_000, 400_000_000
# Fewer rows cannot be cut into folds.
_FEWEST_ROWS = 6


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
    """Fit on texts (n,) and labels (n,) in memory; as TextClassifier.fit says.

    There are no checkpoints: a fit that was stopped begins anew.
    """
    recipe, started = complete_recipe(recipe), time.perf_counter()
    if init_from is not None or keep_labels:
        raise UsageError("a linear model starts from nothing; leave out init_from, keep_labels")
    require("sklearn", needed_by="learning a linear model")
    from threadpoolctl import threadpool_limits

    options = LinearOptions.of(recipe)
    rows = split_rows(
        recipe, texts, labels, validation, missing=missing, weights=weights, watch=watch
    )
    if not len(rows.valid_texts):
        raise DataError(
            f"{len(rows.texts):,} rows leave none to hold out; give more, or rows for validation"
        )
    _say_empty(rows.texts, watch)
    # The last bits of a sum depend on the threads that share it. That limit, Python's filters of
    # warnings and liblinear's generator are of the whole process: one fit at a time.
    with _learning, threadpool_limits(limits=1):
        features, train = TfidfFeatures.learn(rows.texts, options)
        examples = _weigh(recipe, rows.classes, train, rows.targets, rows.weights)
        learner = _Learner(recipe, options, len(rows.classes), watch)
        cost, tried, outputs = learner.choose_cost(examples, features)
        model = learner.learn(examples, features, cost=cost)
        valid = model.score(features.encode(rows.valid_texts))
        temperature, thresholds = calibrate(
            recipe,
            np.concatenate([outputs, valid]),
            np.concatenate([rows.targets[tried], rows.valid_targets]),
        )
        history = _measure(
            recipe, model.score(train), rows, valid, temperature=temperature, cost=cost
        )
        watch.epoch(history.epochs[0])
        if validation is None and options.refit:
            everything = [*rows.texts, *rows.valid_texts]
            features, train = TfidfFeatures.learn(everything, options)
            targets = np.concatenate([rows.targets, rows.valid_targets])
            both = [part for part in (rows.weights, rows.valid_weights) if part is not None]
            given = np.concatenate(both) if both else None
            examples = _weigh(recipe, rows.classes, train, targets, given)
            model = learner.learn(examples, features, cost=cost)
            watch.note(
                f"cost {cost:g}; learnt at last from all {len(everything):,} rows, those held out"
                " included"
            )
    history.seconds = time.perf_counter() - started
    facts = FitFacts(history, len(rows.targets) + len(rows.valid_targets), 0)
    return Fitted(recipe, rows.classes, model, temperature, thresholds, facts)


def fit_file(recipe: Recipe, path: str | Path, **columns: object) -> Fitted:
    """Refuse to fit on a file that need not fit into memory."""
    raise UsageError(
        f"a {recipe.encoder.name} model learns from texts in memory; use fit, or in the shell leave"
        " out --stream",
        where=str(path),
    )


@dataclass(frozen=True)
class _Examples:
    """Rows of features, with the target and the weight of each."""

    rows: SparseRows
    targets: Targets
    weights: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> _Examples:
        """Give some of them."""
        return _Examples(self.rows.take(rows), self.targets[rows], self.weights[rows])


def _weigh(
    recipe: Recipe,
    classes: Classes,
    rows: SparseRows,
    targets: Targets,
    given: NDArray[np.float32] | None,
) -> _Examples:
    """Put rows together with the weights that the caller gave, times those of their classes."""
    section, task = recipe.training, recipe.head.task
    weights = row_weights(task, targets, section, given=given)
    if isinstance(section.class_weights, dict) and task != "regression":
        weights = weights * weigh_rows(targets, named_weights(section.class_weights, classes))
    return _Examples(rows, targets, weights)


class _Learner:
    """What learns machines: the same for every choice of cost and rows."""

    def __init__(
        self, recipe: Recipe, options: LinearOptions, n_outputs: int, watch: Watch
    ) -> None:
        self.recipe, self.options, self.watch = recipe, options, watch
        self.task, self.n_outputs = recipe.head.task, n_outputs
        self.seed = recipe.seed % 2**31

    def choose_cost(
        self, examples: _Examples, features: TfidfFeatures
    ) -> tuple[float, NDArray[np.int64], NDArray[np.float32]]:
        """Choose the cost of errors.

        Returns it, the rows that were held out to choose it, and the outputs for them.
        """
        n_rows, targets = len(examples.rows), examples.targets
        none = np.zeros(0, np.int64), np.zeros((0, self.n_outputs), np.float32)
        if self.options.cost != "auto":
            return float(self.options.cost), *none
        work = len(examples.rows.columns) * self.n_outputs
        if work > _WORK_OF_ONE or n_rows < _FEWEST_ROWS:
            return 1.0, *none
        is_single = self.task == "single-label"
        codes = targets.astype(np.int64) if is_single else np.zeros(n_rows, np.int64)
        n_folds = 3 if work <= _WORK_OF_FOLDS else 5
        folds = fold_stratified(codes, n_folds=n_folds, seed=self.recipe.seed)
        folds = folds if n_folds == 3 else folds[:1]
        held = np.concatenate([part for _, part in folds])
        best = (-np.inf, 1.0, none[1])
        for cost in NUMBER_COSTS if self.task == "regression" else COSTS:
            outputs = np.concatenate(
                [
                    self.learn(examples.take(rest), features, cost=cost).score(
                        examples.rows.take(part)
                    )
                    for rest, part in folds
                ]
            )
            value = self._score(outputs, targets[held])
            if value > best[0]:
                best = value, cost, outputs
        return best[1], held, best[2]

    def _score(self, outputs: NDArray[np.float32], targets: Targets) -> float:
        """Score by the metric of the recipe, larger being better."""
        metric = chosen_metric(self.task, self.recipe.training.metric)
        if metric == "loss":
            temperature, _ = calibrate(self.recipe, outputs, targets)
            return -_loss(self.recipe, outputs, targets, temperature=temperature)
        value = score(self.task, outputs, targets)[metric]
        return -value if metric in FALLING else value

    def learn(self, examples: _Examples, features: TfidfFeatures, *, cost: float) -> LinearModel:
        """Learn a machine for each class, label or number."""
        from scipy.sparse import csr_matrix

        rows, targets = examples.rows, examples.targets
        matrix = csr_matrix(
            (rows.values, rows.columns, rows.offsets), shape=(len(rows), features.n_features)
        )
        weights = examples.weights.astype(np.float64)
        if self.task == "regression":
            coefficients, bias = self._fit_numbers(matrix, targets, weights, cost=cost)
        elif self.task == "multi-label":
            coefficients, bias = self._fit_each(matrix, targets.T == 1, weights, cost=cost)
        else:
            coefficients, bias = self._fit_codes(matrix, targets, weights, cost=cost)
        return LinearModel(
            features,
            np.ascontiguousarray(coefficients.T, dtype=np.float32),
            np.asarray(bias, dtype=np.float32),
            self.n_outputs,
        )

    def _fit_numbers(
        self, matrix: Any, targets: Targets, weights: NDArray[np.float64], *, cost: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from sklearn.linear_model import Ridge

        machine = Ridge(alpha=1 / cost, solver="sparse_cg", tol=1e-5)
        machine.fit(matrix, targets.astype(np.float64), sample_weight=weights)
        return machine.coef_.reshape(self.n_outputs, -1), np.reshape(machine.intercept_, -1)

    def _fit_codes(
        self, matrix: Any, targets: Targets, weights: NDArray[np.float64], *, cost: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Learn a machine a class; of two classes one, for the second."""
        codes = np.arange(1, 2) if self.n_outputs == 2 else np.arange(self.n_outputs)
        present = np.unique(targets)
        if self.options.loss == "logistic" or len(present) < 3:
            return self._fit_each(matrix, targets == codes[:, None], weights, cost=cost)
        machine = self._fit_machine(matrix, targets, weights, cost=cost)
        coefficients = np.zeros((self.n_outputs, matrix.shape[1]))
        bias = np.full(self.n_outputs, -1.0)
        coefficients[present], bias[present] = machine.coef_, machine.intercept_
        return coefficients, bias

    def _fit_each(
        self, matrix: Any, is_class: NDArray[np.bool_], weights: NDArray[np.float64], *, cost: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Learn a machine for each row of is_class (n, n_rows); one that no row or every row has
        cannot be learnt, and is said alike of every text.
        """
        coefficients, bias = np.zeros((len(is_class), matrix.shape[1])), np.zeros(len(is_class))
        for i, has in enumerate(is_class):
            if has.all() or not has.any():
                bias[i] = 1.0 if has.all() else -1.0
                continue
            machine = self._fit_machine(matrix, has, weights, cost=cost)
            coefficients[i], bias[i] = machine.coef_[0], machine.intercept_[0]
        return coefficients, bias

    def _fit_machine(
        self, matrix: Any, targets: NDArray[Any], weights: NDArray[np.float64], *, cost: float
    ) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        if self.options.loss == "logistic":
            machine = LogisticRegression(C=cost, solver="liblinear", random_state=self.seed)
        else:
            machine = LinearSVC(C=cost, random_state=self.seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            machine.fit(matrix, targets, sample_weight=weights)
        if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
            self.watch.note(f"cost {cost:g}: the weights are not settled; a smaller cost may be")
        return machine


def _say_empty(texts: Any, watch: Watch) -> None:
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
    task = recipe.head.task
    epoch = Epoch(
        1,
        _loss(recipe, train, rows.targets, temperature=temperature),
        _loss(recipe, valid, rows.valid_targets, temperature=temperature),
        score(task, valid, rows.valid_targets),
        padding_share=0.0,
        lr=0.0,
    )
    metric = chosen_metric(task, recipe.training.metric)
    return History([epoch], epoch, metric=metric, notes=[f"cost {cost:g}"])


def _loss(
    recipe: Recipe, outputs: NDArray[np.float32], targets: Targets, *, temperature: float
) -> float:
    """Give the mean log loss of the probabilities, of a regression the mean squared error."""
    logits = outputs.astype(np.float64) / temperature
    if recipe.head.task == "regression":
        return float(((logits - targets) ** 2).mean())
    if recipe.head.task == "multi-label":
        right = np.where(targets > 0, sigmoid(logits), sigmoid(-logits))
        return float(-np.log(np.maximum(right, 1e-12)).mean())
    largest = logits.max(axis=1)
    logs = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
    return float((logs - logits[np.arange(len(logits)), targets.astype(np.int64)]).mean())
