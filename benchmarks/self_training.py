"""Self-training beside labels alone: what texts without labels are worth to a model of few rows.

    python benchmarks/self_training.py [--sets trec6,sst2] [--shots 8,64] [--draws 10]

A linear model on frozen all-MiniLM-L6-v2 (of an installed package) learns from some rows of each
class, drawn with seeds 0, 1, ...; --unlabelled other rows of the training file are texts alone. The
official test file, or --test-rows of it, measures and chooses nothing. "kept": in how many draws
rows held out said that self-training is not worse.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from auto import draw_rows
from few_labels import draw_some
from linear import DATA, SETS, read_rows

from textkit import TextClassifier
from textkit.classify.frozen import FrozenOptions, FrozenSource, KnownVectors
from textkit.embedders.packaged import find_packaged
from textkit.recipe import make_recipe


def main() -> None:
    """Print a line for each set and number of rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="trec6,sst2,banking77")
    parser.add_argument("--shots", default="8,64")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--unlabelled", type=int, default=2000)
    parser.add_argument("--test-rows", type=int, default=0)
    options = parser.parse_args()
    if not DATA.exists() or not find_packaged():
        raise SystemExit("the data sets (../shared/data) or the encoder are not there")
    recipe = make_recipe(encoder={"name": "frozen", "embedder": find_packaged()})
    for name in options.sets.split(","):
        train, test = (read_rows(file) for file in SETS[name])
        test = draw_some(test, options.test_rows, 0)
        more = draw_some(train, options.unlabelled, 1)[0]
        with tempfile.TemporaryDirectory() as place:  # holds the vectors of all texts
            folder = Path(place)
            source = FrozenSource(FrozenOptions.of(recipe), folder)
            source.prepare([*more, *test[0]])
            for shots in map(int, options.shots.split(",")):
                found, n_kept = [], 0
                for seed in range(options.draws):
                    few = draw_rows(train, shots, seed)
                    scores = []
                    for given in ({}, {"unlabelled": more}):
                        model = TextClassifier(recipe, seed=seed)
                        model.fit(*few, checkpoints=folder, **given)
                        (folder / "teacher-answers.safetensors").unlink(missing_ok=True)
                        inner = model.fitted_.model
                        known = KnownVectors(
                            embedder=inner.embedder,
                            machines=inner.machines,
                            source=inner.source,
                            vectors=source,
                        )
                        said = known.logits(test[0]).argmax(axis=1)
                        scores.append(float((model.classes_[said] == np.array(test[1])).mean()))
                    n_kept += "is kept" in model.history_.notes[-1]
                    found.append(scores)
                alone, taught = np.array(found).T
                print(
                    f"{name:10} {shots:3} alone {alone.mean():.4f} +- {alone.std():.4f}"
                    f"  self-training {taught.mean():.4f} +- {taught.std():.4f}  kept in {n_kept}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
