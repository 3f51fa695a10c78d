"""The baseline that every trained network is compared with: TF-IDF of words and word pairs, and a linear machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit.errors import DataError
from textkit.scores import chosen_metric, score
from textkit.targets import Task


def baseline_score(
    task: Task, texts: Sequence[str], targets: NDArray[Any], test_texts: Sequence[str], test_targets: NDArray[Any]
) -> float:
    """Train on texts (n,) and targets, and give the task's first score on the test rows.

    That is the accuracy, the micro F1 of several labels, or the mean absolute error of numbers.
    """
    outputs = _fit(task, texts, targets, test_texts)
    name = "mae" if task == "regression" else chosen_metric(task, "auto")
    return score(task, outputs, test_targets)[name]


def _fit(task: Task, texts: Sequence[str], targets: NDArray[Any], test_texts: Sequence[str]) -> NDArray[np.float32]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.svm import LinearSVC

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    try:
        features = vectorizer.fit_transform(texts)
    except ValueError as err:  # no word of two letters in the whole training text
        raise DataError(f"the baseline found no words to learn from: {err}") from err
    wanted = vectorizer.transform(test_texts)
    if task == "regression":
        return np.asarray(Ridge().fit(features, targets).predict(wanted), dtype=np.float32)
    if task == "single-label":
        model = LinearSVC(random_state=0).fit(features, targets)
        outputs = np.full((wanted.shape[0], int(targets.max()) + 1), -np.inf, dtype=np.float32)
        found = model.decision_function(wanted)
        outputs[:, model.classes_] = np.stack([-found, found], axis=1) if found.ndim == 1 else found
        return outputs
    # A label that no training row has cannot be learnt: never predicted.
    outputs = np.full((wanted.shape[0], targets.shape[1]), -1.0, dtype=np.float32)
    known = np.flatnonzero((targets.min(axis=0) == 0) & (targets.max(axis=0) == 1))
    for label in known:
        model = LinearSVC(random_state=0).fit(features, targets[:, label])
        outputs[:, label] = model.decision_function(wanted)
    return outputs
