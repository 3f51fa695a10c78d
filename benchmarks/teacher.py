"""Students with and without a teacher: what texts without labels are worth to small models.

    python benchmarks/teacher.py [--data ../shared/data/train_dev] [--rows 1000] [--draws 3]

Some rows of SST-2's training file, drawn at random, have labels; the others are texts alone. A
linear model on frozen all-MiniLM-L6-v2 learns from the rows with labels and teaches an n-gram bag
and a linear model, which learn from as many labels. The test file measures and chooses nothing.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from textkit import TextClassifier
from textkit.classify.fitted import Fitted, Model
from textkit.recipe import Recipe, make_recipe, read_recipe

ROOT = Path(__file__).parents[1]
STUDENTS = {
    "ngram-bag": read_recipe(ROOT / "pipelines" / "ngram-bag.toml"),
    "linear": make_recipe(encoder="linear"),
}
FROZEN = make_recipe(encoder={"name": "frozen", "embedder": "all-MiniLM-L6-v2"})


class Remembered:
    """A model that says again what it said: two students ask one teacher."""

    def __init__(self, model: Model) -> None:
        self.model, self.known = model, dict[str, np.ndarray]()

    def logits(self, texts: Sequence[str]) -> np.ndarray:
        """Give the logits of the model, (n_texts, n_outputs)."""
        new = sorted({*texts} - self.known.keys())
        if new:
            self.known.update(zip(new, self.model.logits(new), strict=True))
        return np.stack([self.known[text] for text in texts])


def read_rows(path: Path) -> tuple[list[str], list[str]]:
    """Read texts and labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def fit(recipe: Recipe, rows: tuple[list[str], list[str]], seed: int, **more: object) -> Fitted:
    """Fit with a seed."""
    return TextClassifier(recipe, seed=seed).fit(*rows, **more).fitted_  # type: ignore[arg-type]


def main() -> None:
    """Print the accuracy on the test file of each model: the mean of the draws and each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/train_dev")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    texts, labels = read_rows(options.data / "sst2_train.csv")
    test = read_rows(options.data / "sst2_test.csv")
    found: dict[str, list[float]] = {}

    def measure(name: str, fitted: Fitted) -> None:
        right = float((fitted.labels(test[0]) == np.array(test[1])).mean())
        found.setdefault(name, []).append(right)
        print(f"{name:40} {right:.4f}", flush=True)

    for seed in range(options.draws):
        order = np.random.default_rng(seed).permutation(len(texts)).tolist()
        known, others = order[: options.rows], order[options.rows :]
        rows = [texts[at] for at in known], [labels[at] for at in known]
        more = [texts[at] for at in others]
        fitted = fit(FROZEN, rows, seed)
        teacher = TextClassifier(FROZEN)
        teacher.fitted_ = replace(fitted, model=Remembered(fitted.model))
        measure("teacher: frozen MiniLM", teacher.fitted_)
        for name, recipe in STUDENTS.items():
            measure(name, fit(recipe, rows, seed))
            measure(f"{name}, teacher", fit(recipe, rows, seed, teacher=teacher))
            both = {"teacher": teacher, "unlabelled": more}
            measure(f"{name}, teacher and unlabelled", fit(recipe, rows, seed, **both))
            every = [labels[at] for at in order]
            measure(f"{name}, all labels", fit(recipe, ([texts[at] for at in order], every), seed))
    print(f"\nmean of {options.draws} draws, {options.rows:,} labelled rows")
    for name, values in found.items():
        print(f"{name:40} {np.mean(values):.4f}  deviation {np.std(values):.4f}")


if __name__ == "__main__":
    main()
