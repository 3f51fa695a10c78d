"""The baseline that every trained network must be compared with: TF-IDF of words and word pairs + a
linear machine.

In: training texts and labels. Out: a function from texts to predicted labels, or the score on test
rows for any task.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Targets, Task
from textkit.errors import DataError, require
from textkit.evaluation.task_scores import score

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
    """Train word 1-2-gram TF-IDF + LinearSVC, scikit-learn's defaults, and give its function of
    prediction.

    Raises DataError where no text has a word of two letters.

    >>> predict = fit_baseline(["good film", "bad film"] * 3, ["pos", "neg"] * 3)
    >>> predict(["a good plot"])
    ['pos']
    """
    vectorizer, features = _fit_features(train)
    from sklearn.svm import LinearSVC

    model = LinearSVC(random_state=0).fit(features, list(labels))
    return lambda texts: model.predict(vectorizer.transform(texts)).tolist()


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
    vectorizer, features = _fit_features(train)
    outputs = _outputs(task, features, targets, vectorizer.transform(texts))
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


def _fit_features(train: Sequence[str]) -> tuple[Any, Any]:
    """Fit TF-IDF of words and word pairs: the vectorizer and the training features."""
    require("sklearn", needed_by="the baseline")
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    try:
        return vectorizer, vectorizer.fit_transform(train)
    except ValueError as err:  # no word of two letters in the whole training text
        raise DataError(f"the baseline found no words to learn from: {err}") from err
