"""A trained model in torch beside its export, in one run: one text, and the first answer of a new
process.

Usage: python benchmarks/export.py [--texts 200 --encoders lstm cnn]. The models have default sizes
and are trained for one epoch on made texts of 20 words: speed is measured, not accuracy. one text:
the median of single calls, in milliseconds; first answer: a new process that imports textkit, opens
the model and predicts one text, in seconds, best of three.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import textkit
from textkit import TextClassifier
from textkit.jobs import ExportOptions, export_model

ENCODERS = ("lstm", "gru", "cnn", "mixer", "transformer", "bag")
FIRST = "import sys, textkit; textkit.load(sys.argv[1]).predict_proba(['a good film'])"


def make_texts(n_texts: int) -> list[str]:
    """Draw texts of 20 words out of 2,000."""
    words = np.random.default_rng(1).integers(2000, size=(n_texts, 20))
    return [" ".join(f"word{word}" for word in row) for row in words]


def time_one(place: Path, texts: list[str]) -> float:
    """Give the median milliseconds of one text."""
    model = textkit.load(place)
    assert isinstance(model, TextClassifier)
    spent = []
    for text in texts:
        start = time.perf_counter()
        model.predict_proba([text])
        spent.append(time.perf_counter() - start)
    return 1000 * median(spent)


def time_first(place: Path) -> float:
    """Give the seconds that a new process needs for its first answer."""
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST, str(place)], check=True)
        spent.append(time.perf_counter() - start)
    return min(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--encoders", nargs="+", default=ENCODERS)
    options = parser.parse_args()
    texts = make_texts(options.texts)
    labels = ["pos", "neg"] * (len(texts) // 2) + ["pos"] * (len(texts) % 2)
    print("encoder      engine        one text, ms: torch  export  ratio   first, s: torch  export")
    for name in options.encoders:
        with tempfile.TemporaryDirectory() as scratch:
            model, out = Path(scratch, "model"), Path(scratch, "out")
            pooling = {"head__pooling": ("mean",)} if name == "bag" else {}
            classifier = TextClassifier(encoder=name, training__epochs=1, seed=1, **pooling)
            classifier.fit(texts, labels).save(model)
            report = export_model(ExportOptions(model=model, out=out))
            one, exported = time_one(model, texts), time_one(out, texts)
            first = (time_first(model), time_first(out))
            print(
                f"{name:12} {report.engine:12} {one:20.2f} {exported:7.2f} {one / exported:6.1f}"
                f" {first[0]:17.2f} {first[1]:7.2f}   differs {report.certificate.difference:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
