"""Contrastive fine-tuning beside logistic regression on the frozen encoder, with few rows a class.

    python benchmarks/few_labels.py [--sets trec6] [--shots 8,64] [--draws 10] [--test-rows 500]

The encoder is all-MiniLM-L6-v2, of an installed package, or --embedder FOLDER.

- frozen: scikit-learn's LogisticRegression(max_iter=1000) on its vectors, of length 1.
- contrastive: pipelines/contrastive.toml, with --set KEY=VALUE as the shell has it.

Rows of each class are drawn from the training file with seeds 0, 1, ...; the same for both. The
official test file measures and chooses nothing; with --test-rows so many of its rows, drawn anew
with each seed. Means and deviations over the draws, seconds of processor time.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from auto import draw_rows
from linear import DATA, SETS, Rows, read_rows
from sklearn.linear_model import LogisticRegression

from textkit import TextClassifier, TextEmbedder
from textkit.embedders.packaged import find_packaged, place_of
from textkit.recipe import Recipe, read_recipe

ROOT = Path(__file__).parents[1]


def fit_frozen(train: Rows, test: Rows, embedder: TextEmbedder) -> float:
    """Learn on frozen vectors, and give the accuracy on test rows."""
    vectors, others = (embedder.embed(rows[0]).vectors for rows in (train, test))
    machine = LogisticRegression(max_iter=1000).fit(vectors, train[1])
    return float((machine.predict(others) == np.array(test[1])).mean())


def fit_contrastive(train: Rows, test: Rows, recipe: Recipe, seed: int) -> float:
    """Tune and learn, and give the accuracy on test rows."""
    return TextClassifier(recipe, seed=seed).fit(*train).score(*test)


def main() -> None:
    """Print a line for each draw, and for each set, number of rows and model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shots", default="8,64")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--test-rows", type=int, default=0)
    parser.add_argument("--embedder", default=find_packaged())
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    options = parser.parse_args()
    if not DATA.exists() or not options.embedder:
        raise SystemExit("the data sets (../shared/data) or the encoder are not there")
    folder = place_of(options.embedder) or options.embedder
    paths = [f"{section}.path={folder}" for section in ("tokenizer", "encoder")]
    overrides = [*paths, "training.threads=1", *options.overrides]
    recipe = read_recipe(ROOT / "pipelines" / "contrastive.toml", overrides)
    embedder = TextEmbedder.open(folder, device="cpu", max_length=recipe.tokenizer.max_length)
    for name in options.sets.split(","):
        train, test = (read_rows(file) for file in SETS[name])
        for shots in map(int, options.shots.split(",")):
            found: dict[str, list[tuple[float, float]]] = {"frozen": [], "contrastive": []}
            for seed in range(options.draws):
                few, some = draw_rows(train, shots, seed), draw_some(test, options.test_rows, seed)
                for model in found:
                    began = time.process_time()
                    if model == "frozen":
                        score = fit_frozen(few, some, embedder)
                    else:
                        score = fit_contrastive(few, some, recipe, seed)
                    found[model].append((score, time.process_time() - began))
                last = {model: round(values[-1][0], 4) for model, values in found.items()}
                print(f"{name} {shots} rows a class, draw {seed}: {last}", flush=True)
            for model, values in found.items():
                scores, seconds = np.array(values).T
                print(
                    f"{name:10} {shots:3} {model:12} {scores.mean():.4f} +- {scores.std():.4f}"
                    f" {seconds.mean():7.1f} s",
                    flush=True,
                )


def draw_some(rows: Rows, n_rows: int, seed: int) -> Rows:
    """Draw so many of the rows, or give all for 0."""
    if not n_rows or n_rows >= len(rows[0]):
        return rows
    places = np.random.default_rng(seed).permutation(len(rows[0]))[:n_rows].tolist()
    return [rows[0][at] for at in places], [rows[1][at] for at in places]


if __name__ == "__main__":
    main()
