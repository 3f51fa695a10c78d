"""Course, page 13: what a model is worth, with how sure one may be.

A linear model of all six classes of docstrings beside a guess; then the confusion matrix, the
report of the classes, intervals, two models on the same rows, and how far a probability is true.
"""

from __future__ import annotations

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation import compare, draw_confusion, evaluate
from textkit.evaluation.intervals import Interval


def say(name: str, value: float, interval: Interval) -> None:
    print(f"{name:9} {value:.2f}, 95 % from {interval.low:.2f} to {interval.high:.2f}")


def main() -> None:
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    texts, labels = zip(*train, strict=True)
    test_texts, truth = zip(*test, strict=True)
    model = TextClassifier(encoder="linear").fit(texts, labels)
    classes = model.classes_.tolist()
    predicted = model.predict(test_texts).tolist()
    result = evaluate(truth, predicted, classes=classes)

    most = max(set(labels), key=labels.count)
    guess = evaluate(truth, [most] * len(truth), classes=classes)
    print(f"{result.n_rows} texts held out; all '{most}' would be {guess.accuracy:.2f} right")
    intervals = result.intervals()
    say("accuracy", result.accuracy, intervals["accuracy"])
    say("macro F1", result.macro_f1, intervals["macro_f1"])
    print(f"a guess has an accuracy of {guess.accuracy:.2f} and a macro F1 of {guess.macro_f1:.2f}")

    print(f"\n{'':12}  precision  recall    F1  rows")
    for i, name in enumerate(classes):
        print(
            f"{name:12}  {result.precision[i]:9.2f}  {result.recall[i]:6.2f}  {result.f1[i]:4.2f}"
            f"  {result.support[i]:4}"
        )
    draw_confusion(result, "13-evaluation.png")

    few = evaluate(truth[:50], predicted[:50], classes=classes)
    say("\nof 50", few.accuracy, few.intervals()["accuracy"])

    plain = make_pipeline(TfidfVectorizer(), LinearSVC(random_state=0)).fit(texts, labels)
    pair = compare(truth, predicted, plain.predict(test_texts).tolist())
    print(
        f"beside TF-IDF words + LinearSVC: {pair.only_first} rows only the first has right,"
        f" {pair.only_second} only the second"
    )
    print(f"difference {pair.difference:+.3f}, McNemar's p {pair.p_value:.2f}")

    sure = model.predict_proba(test_texts).max(axis=1)
    right = np.array(predicted) == np.array(truth)
    print("\nprobability   rows  mean  right")
    for low, high in ((0.0, 0.5), (0.5, 0.8), (0.8, 0.95), (0.95, 1.01)):
        here = (sure >= low) & (sure < high)
        means = f"{sure[here].mean():.2f}  {right[here].mean():5.2f}"
        print(f"{low:.2f} to {min(high, 1):.2f}  {here.sum():4}  {means}")
    assert result.accuracy > 0.75 > guess.accuracy


if __name__ == "__main__":
    main()
