"""Learning linear machines: rows of features and targets -> Machines. scikit-learn learns.

In: examples, whose features are sparse (n-grams) or dense (text vectors). Out: the cost of errors,
chosen in a cross-validation, and the machines. The caller sees to one thread, by `alone`.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.classify.held_out import calibrate
from textkit.classify.machines import FeatureRows, Machines
from textkit.data.imbalance import named_weights, row_weights, weigh_rows
from textkit.data.lessons import Lesson
from textkit.data.splits import fold_stratified
from textkit.data.targets import Classes, Targets
from textkit.errors import require
from textkit.evaluation.task_scores import FALLING, chosen_metric, row_losses, score
from textkit.recipe import Recipe
from textkit.threads import SharedLock
from textkit.watch import Watch

# Up to so much work, features of all rows times machines, every third of the rows is held out once;
# beyond it a fifth alone, and far beyond it the cost is the usual one.
_WORK_OF_FOLDS, _WORK_OF_ONE = 20_000_000, 400_000_000
# Fewer rows cannot be cut into folds.
_FEWEST_ROWS = 6
# Of a class that a teacher thinks less likely, a row is not learnt from.
_LEAST_SHARE = 0.01

_learning = SharedLock()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Learn in one thread, and one fit at a time.

    The last bits of a sum depend on the threads that share it. That limit, Python's filters of
    warnings and liblinear's generator are of the whole process.
    """
    require("sklearn", needed_by="learning a linear model")
    from threadpoolctl import threadpool_limits

    with _learning, threadpool_limits(limits=1):
        yield


@dataclass(frozen=True)
class Examples:
    """Rows of features, with the target and the weight of each; lesson: what a teacher says."""

    rows: FeatureRows
    targets: Targets
    weights: NDArray[np.float32]
    lesson: Lesson | None = None

    def take(self, rows: NDArray[np.int64]) -> Examples:
        """Give some of them."""
        lesson = self.lesson and self.lesson.take(rows)
        return Examples(self.rows.take(rows), self.targets[rows], self.weights[rows], lesson)

    def spread(self) -> Examples:
        """Give each row of a lesson once for every class that it may have, weighed by how much:
        what a mixture of classes is to a machine that wants one.
        """
        assert self.lesson is not None
        mixed = self.lesson.mix("single-label", self.targets)
        rows, codes = np.nonzero(mixed >= _LEAST_SHARE)
        return Examples(self.rows.take(rows), codes, self.weights[rows] * mixed[rows, codes])


def weigh(
    recipe: Recipe,
    classes: Classes,
    rows: FeatureRows,
    targets: Targets,
    given: NDArray[np.float32] | None,
    *,
    lesson: Lesson | None = None,
) -> Examples:
    """Put rows together with the weights that the caller gave, times those of their classes."""
    section, task = recipe.training, recipe.head.task
    weights = row_weights(task, targets, section, given=given)
    if isinstance(section.class_weights, dict) and task != "regression":
        weights = weights * weigh_rows(targets, named_weights(section.class_weights, classes))
    return Examples(rows, targets, weights, lesson)


class Learner:
    """What learns machines: the same for every choice of cost and rows."""

    def __init__(
        self, recipe: Recipe, loss: str, costs: Sequence[float], n_outputs: int, watch: Watch
    ) -> None:
        """Take the costs to try, the usual one last; a single one is not chosen."""
        self.recipe, self.loss, self.costs, self.watch = recipe, loss, costs, watch
        self.task, self.n_outputs = recipe.head.task, n_outputs
        self.seed = recipe.seed % 2**31

    def choose_cost(
        self, examples: Examples
    ) -> tuple[float, NDArray[np.int64], NDArray[np.float32]]:
        """Choose the cost of errors, by rows that have a label of their own.

        Returns it, the rows that were held out to choose it, and the outputs for them.
        """
        n_rows, targets = len(examples.rows), examples.targets
        none = np.zeros(0, np.int64), np.zeros((0, self.n_outputs), np.float32)
        work = examples.rows.n_values * self.n_outputs
        labelled, others = np.arange(n_rows), np.zeros(0, np.int64)
        if examples.lesson is not None:
            labelled = np.flatnonzero(examples.lesson.is_labelled)
            others = np.flatnonzero(~examples.lesson.is_labelled)
        if len(self.costs) == 1 or work > _WORK_OF_ONE or len(labelled) < _FEWEST_ROWS:
            return self.costs[-1], *none
        is_single = self.task == "single-label"
        codes = targets.astype(np.int64) if is_single else np.zeros(n_rows, np.int64)
        codes = codes[labelled]
        n_folds = 3 if work <= _WORK_OF_FOLDS else 5
        folds = fold_stratified(codes, n_folds=n_folds, seed=self.recipe.seed)
        folds = folds if n_folds == 3 else folds[:1]
        folds = [(np.concatenate([labelled[rest], others]), labelled[part]) for rest, part in folds]
        held = np.concatenate([part for _, part in folds])
        best = (-np.inf, self.costs[-1], none[1])
        for cost in self.costs:
            outputs = np.concatenate(
                [
                    self.learn(examples.take(rest), cost=cost).score(examples.rows.take(part))
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
            losses = row_losses(self.task, outputs, targets, temperature=temperature)
            return -float(losses.mean())
        value = score(self.task, outputs, targets)[metric]
        return -value if metric in FALLING else value

    def learn(self, examples: Examples, *, cost: float) -> Machines:
        """Learn a machine for each class, label or number; under a teacher to the mixture of what
        it says with the labels.
        """
        if examples.lesson is not None and self.task == "single-label":
            examples = examples.spread()
        targets, lesson = examples.targets, examples.lesson
        if lesson is not None:
            targets = lesson.mix(self.task, targets)
        matrix = examples.rows.to_matrix()
        weights = examples.weights.astype(np.float64)
        if self.task == "regression":
            coefficients, bias = self._fit_numbers(matrix, targets, weights, cost=cost)
        elif lesson is not None:
            coefficients, bias = self._fit_shares(examples.rows, targets, weights, cost=cost)
        elif self.task == "multi-label":
            coefficients, bias = self._fit_each(matrix, targets.T == 1, weights, cost=cost)
        else:
            coefficients, bias = self._fit_codes(matrix, targets, weights, cost=cost)
        return Machines(
            np.ascontiguousarray(coefficients.T, dtype=np.float32),
            np.asarray(bias, dtype=np.float32),
            self.n_outputs,
        )

    def _fit_numbers(
        self, matrix: Any, targets: Targets, weights: NDArray[np.float64], *, cost: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        from sklearn.linear_model import Ridge

        solver = "cholesky" if isinstance(matrix, np.ndarray) else "sparse_cg"
        machine = Ridge(alpha=1 / cost, solver=solver, tol=1e-5)
        machine.fit(matrix, targets.astype(np.float64), sample_weight=weights)
        return machine.coef_.reshape(self.n_outputs, -1), np.reshape(machine.intercept_, -1)

    def _fit_codes(
        self, matrix: Any, targets: Targets, weights: NDArray[np.float64], *, cost: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Learn a machine a class; of two classes one, for the second."""
        codes = np.arange(1, 2) if self.n_outputs == 2 else np.arange(self.n_outputs)
        present = np.unique(targets)
        is_joint = self.loss != "logistic" or isinstance(matrix, np.ndarray)
        if not is_joint or len(present) < 3:
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

    def _fit_shares(
        self, rows: FeatureRows, shares: Targets, weights: NDArray[np.float64], *, cost: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Learn a machine for each label from how much of it a row has, (n_rows, n_labels): the
        row stands with the label and without it, weighed by both shares.
        """
        each = []
        for share in shares.T:
            places, sides = np.nonzero(np.stack([1 - share, share], axis=1) >= _LEAST_SHARE)
            part = np.where(sides == 1, share[places], 1 - share[places]) * weights[places]
            matrix = rows.take(places).to_matrix()
            each.append(self._fit_each(matrix, sides[None] == 1, part, cost=cost))
        coefficients, bias = zip(*each, strict=True)
        return np.concatenate(coefficients), np.concatenate(bias)

    def _fit_machine(
        self, matrix: Any, targets: NDArray[Any], weights: NDArray[np.float64], *, cost: float
    ) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC

        if self.loss == "logistic" and isinstance(matrix, np.ndarray):
            machine = LogisticRegression(C=cost, max_iter=300)
        elif self.loss == "logistic":
            machine = LogisticRegression(C=cost, solver="liblinear", random_state=self.seed)
        else:
            machine = LinearSVC(C=cost, random_state=self.seed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            machine.fit(matrix, targets, sample_weight=weights)
        if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
            self.watch.note(f"cost {cost:g}: the weights are not settled; a smaller cost may be")
        return machine
