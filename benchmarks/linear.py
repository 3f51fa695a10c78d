"""The linear model beside scikit-learn's own TfidfVectorizer and LinearSVC, in one run: accuracy,
and the processor time to learn and to predict.

    python benchmarks/linear.py [--sets trec6,sst2] [--repeat 3]

- words: TfidfVectorizer(ngram_range=(1, 2)) + LinearSVC, scikit-learn's defaults.
- words + characters: beside it TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)).
- linear: TextClassifier(encoder="linear") with no other option; it chooses its cost, learns twice.

Official test files, which choose nothing. Predicting is the best of --repeat passes over the test
texts; textkit remembers what the pieces of a text hold, so its first pass stands beside it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from textkit import TextClassifier

DATA = Path(__file__).parents[2] / "shared" / "data" / "train_dev"
SETS = {
    "ag-news": ("ag_news_train_subset.csv", "ag_news_test.csv"),
    "trec6": ("trec6_train.csv", "trec6_test.csv"),
    "trec50": ("trec50_train.csv", "trec50_test.csv"),
    "sst2": ("sst2_train.csv", "sst2_test.csv"),
    "banking77": ("banking77_train.csv", "banking77_test.csv"),
    "r8": ("reuters_r8_train.csv.gz", "reuters_r8_test.csv.gz"),
}
Rows = tuple[list[str], list[str]]


def main() -> None:
    """Print a line for each set and model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if not DATA.exists():
        raise SystemExit(
            "the data sets are not beside the project (../shared/data/train_dev): nothing to"
            " measure"
        )
    print(f"{'data':10} {'model':20} {'test':>6} {'fit s':>7} {'texts/s':>9} {'first pass':>11}")
    for name in options.sets.split(","):
        train, test = (read_rows(file) for file in SETS[name])
        for model, fit in MODELS.items():
            started = time.process_time()
            predict = fit(train)
            seconds = time.process_time() - started
            times = []
            for _ in range(options.repeat):
                started = time.process_time()
                predicted = predict(test[0])
                times.append(time.process_time() - started)
            accuracy = float(np.mean(np.asarray(predicted) == np.asarray(test[1])))
            first, best = (len(test[0]) / seconds for seconds in (times[0], min(times)))
            print(
                f"{name:10} {model:20} {accuracy:6.4f} {seconds:7.1f} {best:9,.0f} {first:11,.0f}",
                flush=True,
            )


def fit_words(train: Rows) -> Callable[[list[str]], object]:
    """Fit scikit-learn's TF-IDF of words."""
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LinearSVC(random_state=0))
    return model.fit(*train).predict


def fit_characters(train: Rows) -> Callable[[list[str]], object]:
    """Fit scikit-learn's TF-IDF of words and characters."""
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2)),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)),
    )
    return make_pipeline(features, LinearSVC(random_state=0)).fit(*train).predict


def fit_linear(train: Rows) -> Callable[[list[str]], object]:
    """Fit textkit's linear model, saved weights and all."""
    return TextClassifier(encoder="linear").fit(*train).predict


MODELS = {"words": fit_words, "words + characters": fit_characters, "linear": fit_linear}


def read_rows(name: str) -> Rows:
    """Read texts and labels of a file."""
    opened = gzip.open if name.endswith(".gz") else open
    with opened(DATA / name, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["text"] for row in rows], [row["label"] for row in rows]


if __name__ == "__main__":
    main()
