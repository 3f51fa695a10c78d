"""Rows that `textkit suggest` names beside rows drawn at random: what a model learns from each.

    python benchmarks/suggest.py [--data ../shared/data/train_dev] [--draws 10]

A part of a training file is a pool without labels, another measures; no test file is read. A linear
model learns from some rows drawn at random, then from as many again that are suggested, suggested
without leaving out rows that are alike, or drawn at random.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

from textkit import TextClassifier
from textkit.jobs import SuggestOptions, suggest, suggest_rows

SETS = {"TREC-6": "trec6_train.csv", "SST-2": "sst2_train.csv", "Banking77": "banking77_train.csv"}


def suggested(model: TextClassifier, texts: list[str], n: int, *, spread: bool) -> list[int]:
    """Give the places of the rows that are suggested."""
    with tempfile.TemporaryDirectory() as place:
        folder, data = Path(place, "model"), Path(place, "pool.csv")
        model.save(folder)
        with data.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in texts)])
        usual = suggest.ALIKE
        suggest.ALIKE = usual if spread else 1.0
        try:
            chosen = suggest_rows(SuggestOptions(model=folder, data=data, n=n))
        finally:
            suggest.ALIKE = usual
    return [found.row - 1 for found in chosen]


def measure(path: Path, *, n: int, draws: int) -> dict[str, list[float]]:
    """Give the accuracies of each way, a draw each."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    found: dict[str, list[float]] = {}
    for seed in range(draws):
        order = np.random.default_rng(seed).permutation(len(rows))
        held, begun, pool = np.split(order, [len(rows) // 5, len(rows) // 5 + n])

        def score(more: list[int], pool=pool, begun=begun, held=held, seed=seed) -> float:
            chosen = [rows[at] for at in [*begun, *pool[more]]]
            model = TextClassifier(encoder="linear", seed=seed).fit(*zip(*chosen, strict=True))
            return float(model.score(*zip(*[rows[at] for at in held], strict=True)))

        first = TextClassifier(encoder="linear", seed=seed)
        first.fit(*zip(*[rows[at] for at in begun], strict=True))
        texts = [rows[at][0] for at in pool]
        ways = {
            "at random": list(range(n)),
            "suggested, alike rows too": suggested(first, texts, n, spread=False),
            "suggested": suggested(first, texts, n, spread=True),
        }
        for way, more in ways.items():
            found.setdefault(way, []).append(score(more))
    return found


def main() -> None:
    """Print a line a set and way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/train_dev"))
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    for name, file in SETS.items():
        if not (options.data / file).is_file():
            print(f"{name}: {options.data / file} is not there")
            continue
        n = 300 if name == "Banking77" else 100
        for way, scores in measure(options.data / file, n=n, draws=options.draws).items():
            mean, spread = np.mean(scores), np.std(scores)
            print(f"{name:10} {n} rows + {n} {way:26} {mean:.3f} +- {spread:.3f}", flush=True)


if __name__ == "__main__":
    main()
