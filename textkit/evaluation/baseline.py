"""The baseline that every trained network must be compared with: TF-IDF of one and two words and of
two to five characters + a linear machine.

In: training texts and labels. Out: a function from texts to predicted labels, or the score on test
rows for any task.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Targets, Task
from textkit.errors import require
from textkit.evaluation.task_scores import score
from textkit.features.tfidf import SparseRows, TfidfFeatures, TfidfOptions

BASELINE = "TF-IDF + LinearSVC"
# What the baseline is scored by, in each task.
BASELINE_SCORES: dict[Task, str] = {
    "single-label": "accuracy",
    "multi-label": "micro_f1",
    "regression": "mae",
}


def fit_baseline(
    train: Sequence[str], labels: Sequence[Hashable]
) -> Callable[[Sequence[str]], list[Hashable]]:
    """Train TF-IDF + LinearSVC with scikit-learn's cost of 1, and give its function of prediction.

    Raises DataError where all texts are empty.

    >>> predict = fit_baseline(["good film", "bad film"] * 3, ["pos", "neg"] * 3)
    >>> predict(["a good plot"])
    ['pos']
    """
    tfidf, features = _fit_features(train)
    from sklearn.svm import LinearSVC

    model = LinearSVC(random_state=0).fit(features, list(labels))
    return lambda texts: model.predict(_to_matrix(tfidf.encode(texts), tfidf)).tolist()


def predict_baseline(
    train: Sequence[str], labels: Sequence[Hashable], texts: Sequence[str]
) -> list[Hashable]:
    """Train the baseline and predict: one label for each text.

    >>> predict_baseline(["good film", "bad film"] * 3, ["pos", "neg"] * 3, ["bad"])
    ['neg']
    """
    return fit_baseline(train, labels)(texts)


def score_baseline(
    task: Task,
    train: Sequence[str],
    targets: Targets,
    texts: Sequence[str],
    test_targets: Targets,
) -> float:
    """Train the baseline on targets, as textkit.data.targets makes them, and give the task's score
    on test rows.

    LinearSVC gives the accuracy, one for each of several labels the micro F1; Ridge gives the mean
    absolute error.

    >>> texts, targets = ["good film", "bad film"] * 3, np.array([0, 1] * 3)
    >>> score_baseline("single-label", texts, targets, ["so bad"], np.array([1]))
    1.0
    """
    tfidf, features = _fit_features(train)
    outputs = _outputs(task, features, targets, _to_matrix(tfidf.encode(texts), tfidf))
    return score(task, outputs, test_targets)[BASELINE_SCORES[task]]


def _outputs(task: Task, features: Any, targets: Targets, wanted: Any) -> NDArray[np.float32]:
    """Give what a network would: logits by class, or numbers."""
    from sklearn.linear_model import Ridge
    from sklearn.svm import LinearSVC

    if task == "regression":
        found = Ridge().fit(features, targets).predict(wanted)
        return np.asarray(found, dtype=np.float32).reshape(wanted.shape[0], -1)
    if task == "single-label":
        predicted = LinearSVC(random_state=0).fit(features, targets).predict(wanted)
        outputs = np.zeros((wanted.shape[0], int(targets.max()) + 1), dtype=np.float32)
        outputs[np.arange(len(predicted)), predicted] = 1.0
        return outputs
    # A label that no row has, or all have, cannot be learnt.
    outputs = (
        np.where(targets.min(axis=0) == 1, 1.0, -1.0)
        .astype(np.float32)
        .repeat(wanted.shape[0], axis=0)
    )
    outputs = outputs.reshape(targets.shape[1], wanted.shape[0]).T.copy()
    for label in np.flatnonzero((targets.min(axis=0) == 0) & (targets.max(axis=0) == 1)):
        machine = LinearSVC(random_state=0).fit(features, targets[:, label])
        outputs[:, label] = machine.decision_function(wanted)
    return outputs


def _fit_features(train: Sequence[str]) -> tuple[TfidfFeatures, Any]:
    """Fit TF-IDF of words and characters: the features, and the training rows as a matrix."""
    require("sklearn", needed_by="the baseline")
    tfidf, rows = TfidfFeatures.learn(train, TfidfOptions())
    return tfidf, _to_matrix(rows, tfidf)


def _to_matrix(rows: SparseRows, tfidf: TfidfFeatures) -> Any:
    """Give rows as scikit-learn takes them."""
    from scipy.sparse import csr_matrix

    shape = (len(rows), tfidf.n_features)
    return csr_matrix((rows.values, rows.columns, rows.offsets), shape=shape)
