"""Joining candidates to an ensemble: which of them, and with which weights.

In: what each candidate says of the same held-out rows. Out: weights, chosen greedily with
replacement for the least loss (Caruana et al. 2004), and what such an ensemble says of these rows
when its weights come from others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from textkit.classify.ensemble import combine
from textkit.data.targets import Targets, Task
from textkit.evaluation.task_scores import row_losses

# Members are drawn so many times: weights are multiples of a twentieth.
_STEPS = 20
# A member of less weight costs more than it brings.
_LEAST_SHARE = 0.1


def weigh(
    task: Task, outputs: Mapping[str, NDArray[np.float64]], targets: Targets
) -> dict[str, float]:
    """Choose members and their shares, 1 together, in the order of the candidates.

    outputs: (n, n_outputs) of each candidate, as textkit.classify.ensemble normalizes them.

    >>> good, bad = np.log([[0.8, 0.2]] * 4), np.log([[0.1, 0.9]] * 4)
    >>> weigh("single-label", {"bad": bad, "good": good}, np.zeros(4, np.int64))
    {'good': 1.0}
    """
    drawn = _draw(task, outputs, targets)
    heavy = {name: n for name, n in drawn.items() if n >= _LEAST_SHARE * _STEPS}
    if len(heavy) < len(drawn):
        drawn = _draw(task, {name: outputs[name] for name in heavy}, targets)
    return {name: drawn[name] / _STEPS for name in outputs if drawn.get(name)}


def _draw(
    task: Task, outputs: Mapping[str, NDArray[np.float64]], targets: Targets
) -> dict[str, int]:
    """Say how often each candidate is drawn."""
    total = np.zeros_like(next(iter(outputs.values())))
    drawn: dict[str, int] = {}
    for step in range(1, _STEPS + 1):
        losses = {
            name: float(row_losses(task, (total + each) / step, targets).mean())
            for name, each in outputs.items()
        }
        best = min(losses, key=lambda name: losses[name])  # of equal ones the cheaper
        total += outputs[best]
        drawn[best] = drawn.get(best, 0) + 1
    return drawn


def join_halves(
    task: Task,
    outputs: Mapping[str, NDArray[np.float64]],
    targets: Targets,
    parts: Sequence[NDArray[np.int64]],
) -> NDArray[np.float32]:
    """Give what an ensemble says of each row, its weights chosen on the other half of the rows.

    parts: which rows are drawn together, all of them once.
    """
    halves = [np.concatenate(parts[0::2]), np.concatenate(parts[1::2])]
    joined = np.zeros(next(iter(outputs.values())).shape, dtype=np.float32)
    for here, other in (halves, halves[::-1]):
        shares = weigh(task, {n: each[other] for n, each in outputs.items()}, targets[other])
        said = [outputs[name][here] for name in shares]
        joined[here] = combine(said, list(shares.values()))
    return joined
