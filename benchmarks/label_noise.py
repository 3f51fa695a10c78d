"""How many planted wrong labels `textkit data check --deep` doubts, beside cleanlab.

    python benchmarks/label_noise.py FILE [--share 0.05] [--folds 5]

Changes the label of a share of the rows to another one at random, cross-validates the linear model,
and prints for each way to read its probabilities how many labels are doubted, how many of the
changed ones are among them, and how many of the 100 most doubtful were changed. Labels of the file
itself that are wrong count against all of them alike. cleanlab is left out where it is not
installed.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.evaluation.label_noise import doubt_labels
from textkit.jobs.label_noise import DoubtOptions, cross_validate
from textkit.watch import Watch


def show(name: str, rows: NDArray[np.int64], changed: NDArray[np.int64]) -> None:
    """Print the line of one way."""
    hit = np.isin(rows, changed)
    recall, precision = hit.sum() / len(changed), hit.mean() if len(hit) else 0.0
    print(
        f"{name:<24} doubted {len(rows):5}  changed among them {hit.sum():5}"
        f"  recall {recall:.3f}  precision {precision:.3f}  of the first 100: {hit[:100].sum()}"
    )


def main() -> None:
    """Change labels, doubt, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--folds", type=int, default=5)
    chosen = parser.parse_args()
    with chosen.file.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["label"] for row in rows})
    codes = np.array([names.index(row["label"]) for row in rows], dtype=np.int64)
    generator = np.random.default_rng(0)
    changed = generator.choice(len(rows), round(chosen.share * len(rows)), replace=False)
    codes[changed] += generator.integers(1, len(names), len(changed))
    codes %= len(names)
    print(f"{chosen.file.name}: {len(rows):,} rows, {len(names)} classes, {len(changed)} changed")
    options = DoubtOptions(data=chosen.file, folds=chosen.folds)
    start = time.perf_counter()
    texts = [row["text"] for row in rows]
    probabilities = cross_validate(texts, codes, names, options, Watch())
    print(f"cross-validated in {time.perf_counter() - start:.1f} s")
    show("textkit", doubt_labels(codes, probabilities).rows, changed)
    if importlib.util.find_spec("cleanlab") is None:
        print("cleanlab is not installed")
        return
    from cleanlab.filter import find_label_issues

    shares = np.nan_to_num(probabilities)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    for method in ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning"):
        found = find_label_issues(
            codes, shares, filter_by=method, return_indices_ranked_by="normalized_margin", n_jobs=1
        )
        show(f"cleanlab {method}", found, changed)


if __name__ == "__main__":
    main()
