"""The baseline that every trained network must be compared with: TF-IDF + LinearSVC.

In: training texts and labels. Out: a function from texts to predicted labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textkit.errors import DataError


def fit_baseline(train: Sequence[str], labels: Sequence[Any]) -> Callable[[Sequence[str]], list[Any]]:
    """Train word 1-2-gram TF-IDF + LinearSVC, scikit-learn's defaults, and give its function of prediction.

    Raises DataError where no text has a word of two letters.

    >>> predict = fit_baseline(["good film", "bad film"] * 3, ["pos", "neg"] * 3)
    >>> predict(["a good plot"])
    ['pos']
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    try:
        features = vectorizer.fit_transform(train)
    except ValueError as err:  # no word of two letters in the whole training text
        raise DataError(f"the baseline found no words to learn from: {err}") from err
    model = LinearSVC(random_state=0).fit(features, list(labels))
    return lambda texts: model.predict(vectorizer.transform(texts)).tolist()


def predict_baseline(train: Sequence[str], labels: Sequence[Any], texts: Sequence[str]) -> list[Any]:
    """Train the baseline and predict: one label for each text.

    >>> predict_baseline(["good film", "bad film"] * 3, ["pos", "neg"] * 3, ["bad"])
    ['neg']
    """
    return fit_baseline(train, labels)(texts)
