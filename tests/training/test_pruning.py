"""Pruning in training ends with the zeros that it was told, and leaves other trainings alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from textkit import TextClassifier
from textkit.errors import UsageError
from textkit.recipe.sections import PruneSection
from textkit.training.pruning import Pruning, sparsity_at
from textkit.watch import Watch

TEXTS = [f"{kind} {thing}" for kind in ("good", "bad") for thing in "abcdefghij"] * 4
LABELS = (["pos"] * 10 + ["neg"] * 10) * 4
SMALL = {"encoder": "bag", "head__pooling": ("mean",), "embedding__dim": 8, "seed": 1}
BRIEF = {"training__epochs": 4, "training__batch_size": 8, "training__device": "cpu"}
PRUNE = {"sparsity": 0.6, "end": 0.5}


def zeros(model: TextClassifier) -> list[float]:
    matrices = [weight for weight in model.network_.parameters() if weight.ndim > 1]
    return [float((weight == 0).float().mean()) for weight in matrices]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_best_weights_have_the_zeros_that_the_recipe_says(average: float) -> None:
    options = {**SMALL, **BRIEF, "training__average": average}
    model = TextClassifier(**options, prune=PRUNE).fit(TEXTS, LABELS)
    assert all(0.55 <= share <= 0.62 for share in zeros(model)), zeros(model)
    assert model.history_.best is not None and model.history_.best.epoch >= 2
    assert max(zeros(TextClassifier(**options).fit(TEXTS, LABELS))) < 0.2


def test_every_step_and_every_epoch_prunes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(Pruning, "apply", lambda self, progress: seen.append(progress))
    TextClassifier(**SMALL, **BRIEF, prune=PRUNE).fit(TEXTS, LABELS)
    assert len(seen) == 4 * (9 + 1)  # 72 rows in batches of 8, and the end of each epoch
    assert seen == sorted(seen) and seen[0] > 0 and seen[-1] == 1


def test_the_share_of_zeros_grows_by_the_polynomial() -> None:
    section = PruneSection(sparsity=0.8, begin=0.2, end=0.6)
    steps = np.linspace(0, 1, 11)
    naive = [0.8 * (1 - (1 - min(max((x - 0.2) / 0.4, 0), 1)) ** 3) for x in steps]
    assert np.allclose([sparsity_at(section, float(x)) for x in steps], naive)


def test_a_pruned_training_that_was_stopped_goes_on_to_the_same_bytes() -> None:
    def fit(folder: str, *, stop_after: int | None = None) -> TextClassifier:
        steps = iter(range(1000))
        watch = Watch(should_stop=lambda: stop_after is not None and next(steps) >= stop_after)
        model = TextClassifier(**SMALL, **BRIEF, prune=PRUNE)
        return model.fit(TEXTS, LABELS, checkpoints=Path(folder), watch=watch)

    whole = fit("whole").network_.state_dict()
    fit("stopped", stop_after=13)
    resumed = fit("stopped").network_.state_dict()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_values_that_prune_nothing_are_refused() -> None:
    for wrong in ({"begin": 0.8}, {"sparsity": 1.0}, {"sparsity": 0.0}, {"speed": 2}):
        with pytest.raises(UsageError, match="prune"):
            TextClassifier(prune=wrong)
    with pytest.raises(UsageError, match=r"prune.* means nothing to a linear model"):
        TextClassifier(encoder="linear", prune=PRUNE).fit(TEXTS, LABELS)
