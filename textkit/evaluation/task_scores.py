"""Scores of one validation pass: from logits and targets to the few numbers that early stopping may
watch.

The full evaluation of a model is textkit.evaluation; here are the numbers of every epoch, for every
task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textkit.data.targets import Targets, Task
from textkit.errors import UsageError, unknown_name

KNOWN: dict[Task, tuple[str, ...]] = {
    "single-label": ("accuracy", "macro_f1", "loss"),
    "multi-label": ("micro_f1", "macro_f1", "subset_accuracy", "loss"),
    "regression": ("loss", "mae", "r2"),
}
# The scores of which a smaller value is the better one.
FALLING = ("loss", "mae")


def chosen_metric(task: Task, metric: str) -> str:
    """Name the score to watch: "auto" is the first known one of the task.

    >>> chosen_metric("multi-label", "auto")
    'micro_f1'
    """
    if metric == "auto":
        return KNOWN[task][0]
    if metric not in KNOWN[task]:
        raise UsageError(unknown_name(f"training.metric for {task}", metric, KNOWN[task]))
    return metric


def r_squared(
    truth: NDArray[np.floating],
    predicted: NDArray[np.floating],
    *,
    weights: NDArray[np.float32] | None = None,
) -> float:
    """Average R squared over the outputs, as scikit-learn does: (n, n_outputs) each.

    Truths that are all the same have no spread to explain: 1 where each is met, else 0.
    """
    missed = (predicted - truth) ** 2
    spread = (truth - np.average(truth, axis=0, weights=weights)) ** 2
    counted = truth
    if weights is not None:
        missed, spread = missed * weights[:, None], spread * weights[:, None]
        counted = truth[weights > 0]
    missed, spread = missed.sum(axis=0), spread.sum(axis=0)
    # Not spread == 0: the mean of ten times 0.1 is not 0.1.
    varies = counted.max(axis=0) > counted.min(axis=0)
    scores = np.where(varies, 1 - missed / np.where(varies, spread, 1), missed == 0)
    return float(scores.mean())


def micro_f1(
    truth: Targets, predicted: NDArray[np.bool_], *, weights: NDArray[np.float32] | None = None
) -> float:
    """Compute the F1 of all labels of all rows together: (n, n_classes) each."""
    true = truth > 0
    weigh = np.ones(len(true)) if weights is None else weights.astype(np.float64)
    hits, total = weigh @ (predicted & true), weigh @ (predicted.astype(int) + true)
    return float(2 * hits.sum() / (total.sum() or 1))


def score(task: Task, logits: NDArray[np.float32], targets: Targets) -> dict[str, float]:
    """Compute the scores of a task but the loss. logits (n, n_classes).

    Targets as textkit.data.targets makes them.

    >>> score("single-label", np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0]))["accuracy"]
    0.5
    """
    if task == "regression":
        mae = float(np.abs(logits - targets).mean())
        return {"mae": mae, "r2": r_squared(targets.astype(np.float32), logits)}
    if task == "multi-label":
        predicted, true = logits > 0, targets > 0
        hits, total = (predicted & true).sum(axis=0), predicted.sum(axis=0) + true.sum(axis=0)
        return {
            "micro_f1": micro_f1(targets, predicted),
            "macro_f1": float((2 * hits / np.maximum(total, 1)).mean()),
            "subset_accuracy": float((predicted == true).all(axis=1).mean()),
        }
    n = logits.shape[1]
    predicted = logits.argmax(axis=1)
    hits = np.bincount(targets[predicted == targets], minlength=n)
    total = np.bincount(predicted, minlength=n) + np.bincount(targets, minlength=n)
    return {
        "accuracy": float((predicted == targets).mean()),
        "macro_f1": float((2 * hits[total > 0] / total[total > 0]).mean()),
    }


def row_losses(
    task: Task, outputs: NDArray[np.floating], targets: Targets, *, temperature: float = 1.0
) -> NDArray[np.float64]:
    """Give the log loss of each row's probabilities, of a regression its squared error: (n,).

    outputs: (n, n_classes) logits before the temperature, or numbers.

    >>> row_losses("single-label", np.zeros((1, 2)), np.array([0])).round(3).tolist()
    [0.693]
    """
    logits = outputs.astype(np.float64) / temperature
    if task == "regression":
        return np.asarray(((logits - targets) ** 2).mean(axis=1))
    if task == "multi-label":
        wrong = np.logaddexp(0, np.where(targets > 0, -logits, logits))
        return np.asarray(np.minimum(wrong, -np.log(1e-12)).mean(axis=1))
    largest = logits.max(axis=1)
    logs = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
    return np.asarray(logs - logits[np.arange(len(logits)), targets.astype(np.int64)])


def fit_thresholds(
    probabilities: NDArray[np.float64], targets: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Choose for each label the threshold with the best F1 on these rows: (n_classes,), .5 for a
    label without rows.

    >>> fit_thresholds(np.array([[0.2], [0.3], [0.1]]), np.array([[1.0], [1.0], [0.0]])).tolist()
    [0.15]
    """
    thresholds = np.full(probabilities.shape[1], 0.5)
    for label in range(probabilities.shape[1]):
        order = np.argsort(-probabilities[:, label], kind="stable")
        values, true = probabilities[order, label], targets[order, label]
        if not true.any():
            continue
        f1 = 2 * np.cumsum(true) / (np.arange(1, len(true) + 1) + true.sum())
        # Rows of equal probability fall on the same side.
        f1[:-1][values[:-1] == values[1:]] = -1.0
        best = int(f1.argmax())
        below = values[best + 1] if best + 1 < len(values) else 0.0
        thresholds[label] = round(float((values[best] + below) / 2), 6)
    return np.asarray(np.clip(thresholds, 1e-6, 1 - 1e-6))
