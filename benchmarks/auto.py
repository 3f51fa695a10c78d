"""`auto` beside the models that a person would try first, in one run: accuracy on the official test
files, which choose nothing, and seconds to learn.

    python benchmarks/auto.py [--sets trec6,sst2] [--autotune 20] [--embedder FOLDER]
    python benchmarks/auto.py --shots 8 --draws 10 [--embedder FOLDER]

- words: TfidfVectorizer(ngram_range=(1, 2)) + LinearSVC; words, logistic: + LogisticRegression.
- words + characters: beside it TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)).
- fastText: its autotune for --autotune seconds on a tenth of the training rows, where the package
  `fasttext` is installed; what it finds depends on the clock.
- lstm: TextClassifier() with no option, with --lstm.
- auto: TextClassifier(encoder="auto"), without what a package may have brought.
- auto + vectors: with encoder.embedder = --embedder, or all-MiniLM-L6-v2 where its package is
  installed.
- frozen: logistic regression of scikit-learn on the same vectors.

--shots: so many rows of each class, drawn from the training file --draws times with seeds 0, 1, ...
(the embedding's seconds count for every draw); means and standard deviations.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from linear import DATA, SETS, Rows, fit_characters, fit_words, read_rows
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from textkit import TextClassifier, TextEmbedder
from textkit.embedders.packaged import SWITCH, find_packaged

Predict = Callable[[list[str]], Sequence[object]]


def main() -> None:
    """Print a line for each set and model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--autotune", type=int, default=20)
    parser.add_argument("--embedder", default=find_packaged())
    parser.add_argument("--lstm", action="store_true")
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--draws", type=int, default=1)
    options = parser.parse_args()
    os.environ[SWITCH] = "0"
    if not DATA.exists():
        raise SystemExit("the data sets are not beside the project (../shared/data): nothing to do")
    models = list_models(options)
    print(f"{'data':10} {'model':20} {'test':>6} {'+-':>6} {'seconds':>8}")
    for name in options.sets.split(","):
        train, test = (read_rows(file) for file in SETS[name])
        for model, fit in models.items():
            found = [
                measure(fit, draw_rows(train, options.shots, seed), test, seed)
                for seed in range(options.draws if options.shots else 1)
            ]
            scores, seconds = np.array(found).T
            print(
                f"{name:10} {model:20} {scores.mean():6.4f} {scores.std():6.4f}"
                f" {seconds.mean():8.1f}",
                flush=True,
            )


def measure(
    fit: Callable[[Rows, int], Predict], train: Rows, test: Rows, seed: int
) -> tuple[float, float]:
    """Give the accuracy on the test rows, and the seconds that learning took."""
    began = time.perf_counter()
    predict = fit(train, seed)
    seconds = time.perf_counter() - began
    right = np.asarray(predict(test[0])) == np.asarray(test[1])
    return float(right.mean()), seconds


def draw_rows(rows: Rows, shots: int, seed: int) -> Rows:
    """Draw so many rows of each class; all rows for 0."""
    if not shots:
        return rows
    labels = np.asarray(rows[1])
    generator = np.random.default_rng(seed)
    drawn = [
        generator.permutation(np.flatnonzero(labels == label))[:shots]
        for label in np.unique(labels)
    ]
    places = generator.permutation(np.concatenate(drawn)).tolist()
    return [rows[0][i] for i in places], [rows[1][i] for i in places]


def list_models(options: argparse.Namespace) -> dict[str, Callable[[Rows, int], Predict]]:
    """Name what is measured."""
    models: dict[str, Callable[[Rows, int], Predict]] = {
        "words": lambda rows, seed: fit_words(rows),
        "words, logistic": lambda rows, seed: (
            make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
            .fit(*rows)
            .predict
        ),
        "words + characters": lambda rows, seed: fit_characters(rows),
    }
    try:
        import fasttext  # noqa: F401
    except ImportError:
        print("fastText: the package `fasttext` is not installed, left out")
    else:
        if options.autotune:
            models["fastText autotune"] = lambda rows, seed: tune_fasttext(rows, options.autotune)
    if options.lstm:
        models["lstm"] = lambda rows, seed: TextClassifier(seed=seed).fit(*rows).predict
    models["auto"] = lambda rows, seed: choose(rows, seed)
    if options.embedder:
        models["frozen, logistic"] = lambda rows, seed: fit_vectors(rows, options.embedder)
        models["auto + vectors"] = lambda rows, seed: choose(
            rows, seed, encoder__embedder=options.embedder
        )
    return models


def choose(rows: Rows, seed: int, **options: object) -> Predict:
    """Let textkit choose, and say what."""
    model = TextClassifier(encoder="auto", seed=seed, **options).fit(*rows)
    assert model.choice_ is not None
    if seed == 0:
        print(f"{'':10} chosen: {model.choice_.winner}")
    return model.predict  # type: ignore[no-any-return]


def fit_vectors(rows: Rows, place: str) -> Predict:
    """Fit logistic regression on frozen vectors, with scikit-learn's defaults."""
    embedder = TextEmbedder.open(place)
    model = LogisticRegression(max_iter=1000).fit(embedder.encode(rows[0]), rows[1])
    return lambda texts: model.predict(embedder.encode(texts))  # type: ignore[no-any-return]


def tune_fasttext(rows: Rows, seconds: int) -> Predict:
    """Let fastText tune itself on a tenth of the rows, then learn with what it found."""
    import fasttext

    names = sorted(set(rows[1]))
    place = {name: i for i, name in enumerate(names)}
    lines = [
        f"__label__{place[label]} {' '.join(text.lower().split())}\n"
        for text, label in zip(*rows, strict=True)
    ]
    lines = [lines[i] for i in np.random.default_rng(0).permutation(len(lines))]
    with tempfile.TemporaryDirectory() as folder:
        train, valid = Path(folder, "train"), Path(folder, "valid")
        n_valid = max(1, len(lines) // 10)
        train.write_text("".join(lines[n_valid:]), encoding="utf-8")
        valid.write_text("".join(lines[:n_valid]), encoding="utf-8")
        model = fasttext.train_supervised(
            input=str(train),
            autotuneValidationFile=str(valid),
            autotuneDuration=seconds,
            thread=2,
            verbose=0,
        )

    def predict(texts: list[str]) -> list[str]:
        ready = [" ".join(text.lower().split()) + "\n" for text in texts]
        # Not model.predict, which fails with numpy 2.
        found = model.f.multilinePredict(ready, 1, 0.0, "strict")[0]
        return [names[int(row[0].removeprefix("__label__"))] if row else "" for row in found]

    return predict


if __name__ == "__main__":
    main()
