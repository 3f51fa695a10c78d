"""Evaluation: from true and predicted labels to numbers, a table, and a picture of the confusion matrix.

In: labels, predictions, the classes. Out: an Evaluation, its text, its JSON, its PNG; and the TF-IDF + LinearSVC
baseline that every trained network must be compared with.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from textkit import files
from textkit.errors import DataError


@dataclass(frozen=True)
class Evaluation:
    """The counts of a confusion matrix: counts[i, j] = rows of class i predicted as class j, (n, n) int64.

    >>> result = evaluate(["a", "a", "b"], ["a", "b", "b"], classes=["a", "b"])
    >>> round(result.accuracy, 3), round(result.macro_f1, 3)
    (0.667, 0.667)
    """

    classes: list[str]
    counts: NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        return int(self.counts.sum())

    @property
    def support(self) -> NDArray[np.int64]:
        """Rows of each true class: (n_classes,)."""
        return np.asarray(self.counts.sum(axis=1))

    @property
    def accuracy(self) -> float:
        return float(np.trace(self.counts) / max(self.n_rows, 1))

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of each class's predictions that are right; 0 where it was never predicted."""
        return np.asarray(np.diag(self.counts) / np.maximum(self.counts.sum(axis=0), 1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of each class's rows that were found; 0 where there are none."""
        return np.asarray(np.diag(self.counts) / np.maximum(self.support, 1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """Harmonic mean of precision and recall of each class."""
        return np.asarray(2 * np.diag(self.counts) / np.maximum(self.counts.sum(axis=0) + self.support, 1))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that occur as truth or prediction, as scikit-learn counts them."""
        seen = (self.support + self.counts.sum(axis=0)) > 0
        return float(self.f1[seen].mean()) if seen.any() else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Give everything as plain JSON values."""
        columns = zip(self.classes, self.precision, self.recall, self.f1, self.support, strict=True)
        return {
            "n_rows": self.n_rows,
            "accuracy": self.accuracy,
            "macro_f1": self.macro_f1,
            "classes": {
                name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
                for name, p, r, f, n in columns
            },
            "confusion": {"labels": self.classes, "counts": self.counts.tolist()},
        }

    def save_png(self, path: str | Path) -> None:
        """Draw the confusion matrix: rows are true classes, shade is the share of the row, numbers are counts."""
        from matplotlib.figure import Figure

        n = len(self.classes)
        side = min(3.0 + 0.45 * n, 30.0)
        figure = Figure(figsize=(side + 1, side), layout="constrained")
        axes = figure.add_subplot()
        shares = self.counts / np.maximum(self.support, 1)[:, None]
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        names = [shorten(name, 24) for name in self.classes]
        axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(n), names)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.set_title(f"accuracy {self.accuracy:.3f}, macro F1 {self.macro_f1:.3f}, {self.n_rows:,} rows")
        for i, j in zip(*np.nonzero(self.counts), strict=True) if n <= 40 else ():
            colour = "white" if shares[i, j] > 0.5 else "black"
            axes.text(j, i, f"{self.counts[i, j]:,}", ha="center", va="center", color=colour, fontsize=8)
        figure.colorbar(image, label="share of the true class", shrink=0.8)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        files.write_bytes(path, buffer.getvalue())


def evaluate(truth: Sequence[Any], predicted: Sequence[Any], *, classes: Sequence[Any]) -> Evaluation:
    """Count a confusion matrix; a true label that the classes lack gets a row of its own at the end."""
    unseen = sorted(set(truth) - set(classes), key=str)
    names = [*classes, *unseen]
    index = {label: i for i, label in enumerate(names)}
    pairs = np.fromiter((index[t] * len(names) + index[p] for t, p in zip(truth, predicted, strict=True)), np.int64)
    counts = np.bincount(pairs, minlength=len(names) ** 2).reshape(len(names), len(names))
    return Evaluation([str(name) for name in names], counts)


def shorten(text: str, width: int) -> str:
    """Cut a text to a width, ending in an ellipsis where something was cut.

    >>> shorten("concurrency", 8)
    'concurr…'
    """
    return text if len(text) <= width else text[: width - 1] + "…"


def predict_baseline(train: Sequence[str], labels: Sequence[Any], texts: Sequence[str]) -> list[Any]:
    """Train word 1-2-gram TF-IDF + LinearSVC, scikit-learn's defaults, and predict: the baseline to beat."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    try:
        features = vectorizer.fit_transform(train)
    except ValueError as err:  # no word of two letters in the whole training text
        raise DataError(f"the baseline found no words to learn from: {err}") from err
    model = LinearSVC(random_state=0).fit(features, list(labels))
    return list(model.predict(vectorizer.transform(texts)))
