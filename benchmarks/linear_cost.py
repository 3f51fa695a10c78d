"""Choose the constants of the linear model by cross-validation of training parts alone.

    python benchmarks/linear_cost.py [--sets trec6,sst2] [--rows 3000] [--folds 5]

For every cost and every least number of rows that a feature must be in: accuracy over the held-out
folds, each training row held out once. No test file is opened. COSTS in
textkit/classify/linear_fitting.py and the least number of rows in textkit/features/tfidf.py are
taken from what it prints.
"""

from __future__ import annotations

import argparse

import numpy as np
from linear import DATA, SETS, read_rows
from sklearn.svm import LinearSVC

from textkit.data.splits import fold_stratified
from textkit.evaluation.baseline import _to_matrix
from textkit.features.tfidf import TfidfFeatures, TfidfOptions

COSTS = (0.03, 0.1, 0.3, 1.0, 3.0)
LEAST_ROWS = (1, 2, 3)


def main() -> None:
    """Print a line for each set and least number of rows, a column for each cost."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--rows", type=int, default=3000, help="Rows of each set, drawn at random.")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("the data sets are not beside the project (../shared/data/train_dev)")
    print(f"{'data':10} {'rows':>5} {'least':>5} " + " ".join(f"C={cost:<6g}" for cost in COSTS))
    for name in options.sets.split(","):
        texts, labels = read_rows(SETS[name][0])
        drawn = np.random.default_rng(0).permutation(len(texts))[: options.rows].tolist()
        texts, labels = [texts[row] for row in drawn], [labels[row] for row in drawn]
        for least in LEAST_ROWS:
            shares = cross_validate(texts, labels, least=least, n_folds=options.folds)
            print(
                f"{name:10} {len(texts):5} {least:5} " + " ".join(f"{x:.4f}  " for x in shares),
                flush=True,
            )


def cross_validate(texts: list[str], labels: list[str], *, least: int, n_folds: int) -> list[float]:
    """Give the accuracy for each of COSTS; features are those of the rows learnt from."""
    codes = np.unique(labels, return_inverse=True)[1]
    right = np.zeros((len(COSTS), len(texts)), dtype=bool)
    for rest, held in fold_stratified(codes, n_folds=n_folds, seed=0):
        options = TfidfOptions(min_rows=least)
        tfidf, rows = TfidfFeatures.learn([texts[row] for row in rest], options)
        matrix = _to_matrix(rows, tfidf)
        wanted = _to_matrix(tfidf.encode([texts[row] for row in held]), tfidf)
        for i, cost in enumerate(COSTS):
            machine = LinearSVC(C=cost, random_state=0).fit(matrix, codes[rest])
            right[i, held] = machine.predict(wanted) == codes[held]
    return right.mean(axis=1).tolist()


if __name__ == "__main__":
    main()
