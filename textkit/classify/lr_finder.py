"""The learning-rate finder (Smith 2017): raise the rate step by step, watch the loss, suggest where
it falls fastest.

In: texts, labels and a recipe. Out: the curve, a suggestion, and a picture; nothing is kept of the
training.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.classify.fitting import fit_texts
from textkit.classify.given import Given
from textkit.data.targets import Labels
from textkit.errors import DataError, LimitError
from textkit.evaluation.figures import new_figure
from textkit.io import files
from textkit.recipe import Recipe, make_recipe
from textkit.watch import Step, Watch

HIGHEST, STEPS = 1.0, 120
# The loss of single batches is noise; this running average shows its course.
_SMOOTHING = 0.9


@dataclass(frozen=True)
class RateSweep:
    """rates: (n_steps,) rising. losses: (n_steps,) smoothed.

    suggested: where the loss fell fastest.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    suggested: float

    def save_png(self, path: str | Path) -> None:
        """Draw the loss over the rate, with the suggestion."""
        figure = new_figure(7, 4)
        axes = figure.add_subplot()
        axes.plot(self.rates, self.losses)
        axes.axvline(
            self.suggested,
            linestyle="--",
            color="tab:red",
            label=f"suggested: {self.suggested:.1e}",
        )
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss, smoothed")
        axes.set_title("learning-rate sweep")
        axes.legend()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        files.write_bytes(path, buffer.getvalue())


def find_rate(texts: Sequence[str], labels: Labels, recipe: Recipe) -> RateSweep:
    """Train for about STEPS steps with a rising rate, until the loss is four times its best.

    Raises DataError when the data are too few for a curve.
    """
    # Rows for STEPS steps, as many passes as that takes.
    rows = np.random.default_rng([recipe.seed, 0xF1]).permutation(len(texts))[
        : STEPS * recipe.training.batch_size * 2
    ]
    n_batches = max(
        1, int(len(rows) * (1 - recipe.training.validation)) // recipe.training.batch_size
    )
    settings: dict[str, object] = {
        "lr": HIGHEST,
        "encoder_lr": None,
        "layer_decay": 1.0,
        "batch_tokens": None,
        "accumulate": 1,
        "average": 0.0,
    }
    settings |= {
        "schedule": "sweep",
        "epochs": -(-STEPS // n_batches),
        "patience": STEPS,
        "calibrate": False,
    }
    sweep = make_recipe(recipe, training={**recipe.training.model_dump(), **settings})
    losses: list[float] = []
    rates: list[float] = []

    def record(step: Step) -> None:
        losses.append(step.loss)
        rates.append(step.lr)

    def is_over() -> bool:
        return len(losses) > 10 and losses[-1] > 4 * min(losses)

    chosen = [texts[i] for i in rows], [labels[i] for i in rows]
    with contextlib.suppress(LimitError):  # a loss beyond all bounds ends the curve too
        fit_texts(sweep, Given(*chosen), watch=Watch(step=record, should_stop=is_over))
    if len(losses) < 20:
        raise DataError(f"the loss left all bounds after {len(losses)} steps; a curve needs 20")
    smooth = _smooth(np.array(losses))
    slope = np.gradient(smooth, np.log(rates))
    # Not at the very beginning, where the average still settles, nor behind the lowest point.
    last = max(int(smooth.argmin()), 6)
    return RateSweep(np.array(rates), smooth, rates[5 + int(slope[5:last].argmin())])


def _smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the exponential average of the values so far, without its bias to zero."""
    average, out = 0.0, np.empty_like(values)
    for i, value in enumerate(values):
        average = _SMOOTHING * average + (1 - _SMOOTHING) * value
        out[i] = average / (1 - _SMOOTHING ** (i + 1))
    return out
