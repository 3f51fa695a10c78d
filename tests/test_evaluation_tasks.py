"""Multi-label, regression, temperature and the comparison of two models, each beside an oracle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import metrics

from textkit.errors import DataError, UsageError
from textkit.evaluation import (
    Comparison,
    MultiLabelStream,
    compare,
    evaluate_multilabel,
    evaluate_regression,
    fit_temperature,
    mcnemar,
)
from textkit.evaluation.areas import average_precision
from textkit.evaluation.calibration import HIGHEST, LOWEST

NAMES = ["a", "b", "c", "never", "only guessed"]


def random_label_sets(seed: int, n: int) -> tuple[Any, Any, Any]:
    """Truths and predictions as (n, 5) bool, and probabilities with ties; 'never' is never seen."""
    generator = np.random.default_rng(seed)
    truth = generator.random((n, 5)) < [0.5, 0.2, 0.1, 0, 0]
    probabilities = np.round(np.clip(generator.normal(0.3, 0.2, (n, 5)) + 0.3 * truth, 0, 1), 2)
    probabilities[:, 3] = 0
    return truth, probabilities > 0.5, probabilities


def names(marks: Any) -> list[tuple[str, ...]]:
    return [tuple(name for name, mark in zip(NAMES, row, strict=True) if mark) for row in marks]


@pytest.mark.filterwarnings("ignore:No positive class found")
def test_multilabel_numbers_match_scikit_learn() -> None:
    truth, predicted, probabilities = random_label_sets(1, 300)
    result = evaluate_multilabel(names(truth), names(predicted), classes=NAMES, probabilities=probabilities)
    p, r, f, n = metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    for own, other in ((result.precision, p), (result.recall, r), (result.f1, f), (result.support, n)):
        np.testing.assert_allclose(own, other)
    assert result.micro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="micro"))
    assert result.macro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="macro", zero_division=np.nan))
    assert result.subset_accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert result.hamming_loss == pytest.approx(metrics.hamming_loss(truth, predicted))
    areas = [metrics.average_precision_score(truth[:, i], probabilities[:, i]) for i in range(3)]
    np.testing.assert_allclose(result.average_precision, [*areas, math.nan, math.nan])
    assert result.mean_average_precision == pytest.approx(np.mean(areas))
    report = result.to_dict()
    assert report["classes"]["never"]["average_precision"] is None


def test_multilabel_unseen_labels_are_missed_and_named() -> None:
    result = evaluate_multilabel([("a", "new"), ("new",), ()], [("a",), (), ("b",)], classes=["a", "b"])
    assert result.unseen == {"new": 2}
    assert result.micro_f1 == pytest.approx(2 / 5)
    assert result.subset_accuracy == 0
    assert result.hamming_loss == pytest.approx(3 / 9)
    assert math.isnan(result.mean_average_precision)


@pytest.mark.parametrize("exact_scores", [0, 10**6])
def test_a_multilabel_stream_gives_what_the_whole_gives(exact_scores: int) -> None:
    truth, predicted, probabilities = random_label_sets(6, 300)
    whole = evaluate_multilabel(names(truth), names(predicted), classes=NAMES, probabilities=probabilities)
    stream = MultiLabelStream(NAMES, exact_scores=exact_scores)
    for i in range(0, 300, 7):
        rows = slice(i, i + 7)
        stream.add(names(truth[rows]), names(predicted[rows]), probabilities[rows])
    found = stream.result()
    np.testing.assert_allclose(found.average_precision, whole.average_precision)  # a bin for each of two digits
    found_report, whole_report = found.to_dict(), whole.to_dict()
    for name in ("n_rows", "micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"):
        assert found_report[name] == whole_report[name]


def test_multilabel_of_nothing() -> None:
    result = evaluate_multilabel([], [], classes=["a"])
    assert (result.micro_f1, result.macro_f1, result.subset_accuracy, result.hamming_loss) == (0, 0, 0, 0)
    assert evaluate_multilabel([()], [()], classes=["a"]).subset_accuracy == 1


def test_multilabel_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="1 truths but 2 predictions"):
        evaluate_multilabel([()], [(), ()], classes=["a"])
    with pytest.raises(DataError, match="label 'x' was predicted but is not among the 1 classes"):
        evaluate_multilabel([()], [("x",)], classes=["a"])
    with pytest.raises(UsageError, match=r"probabilities are \(1, 2\), expected \(1, 1\)"):
        evaluate_multilabel([()], [()], classes=["a"], probabilities=np.zeros((1, 2)))


@pytest.mark.parametrize("digits", [1, 9])
def test_average_precision_takes_ties_together(digits: int) -> None:
    generator = np.random.default_rng(2)
    truth, scores = generator.random(200) < 0.3, np.round(generator.random(200), digits)
    assert average_precision(truth, scores) == pytest.approx(metrics.average_precision_score(truth, scores))


@pytest.mark.parametrize("digits", [0, 9])
def test_regression_numbers_match_scikit_learn_and_scipy(digits: int) -> None:
    generator = np.random.default_rng(3)
    truth = np.round(generator.normal(size=200) * 3, digits)
    predicted = np.round(truth + generator.normal(size=200) * 2, digits)
    result = evaluate_regression(truth.tolist(), predicted.tolist())
    assert result.mae == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert result.rmse == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert result.r2 == pytest.approx(metrics.r2_score(truth, predicted))
    assert result.pearson == pytest.approx(stats.pearsonr(truth, predicted).statistic)
    assert result.spearman == pytest.approx(stats.spearmanr(truth, predicted).statistic)


def test_regression_of_constants_has_no_correlation() -> None:
    report = evaluate_regression([1.0, 1.0], [1.0, 2.0]).to_dict()
    assert (report["r2"], report["pearson"], report["spearman"], report["mae"]) == (None, None, None, 0.5)
    assert evaluate_regression([1.0, 2.0], [5.0, 5.0]).to_dict()["pearson"] is None


def test_regression_input_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="no rows"):
        evaluate_regression([], [])
    with pytest.raises(DataError, match="row 2: the prediction is nan"):
        evaluate_regression([1.0, 2.0], [1.0, math.nan])
    with pytest.raises(DataError, match=r"truths are \(1,\) and predictions \(2,\)"):
        evaluate_regression([1.0], [1.0, 2.0])


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
def test_the_temperature_minimises_the_log_loss(scale: float) -> None:
    generator = np.random.default_rng(4)
    logits = generator.normal(size=(800, 5)) * 2
    powers = np.exp(logits)
    labels = np.array([generator.choice(5, p=row) for row in powers / powers.sum(axis=1, keepdims=True)])
    found = fit_temperature((logits * scale).astype(np.float32), labels)

    def loss(temperature: float) -> float:
        scaled = logits * scale / temperature
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(800), labels]).mean())

    best = optimize.minimize_scalar(loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-6}).x
    assert found == pytest.approx(best, rel=1e-3)
    assert found == pytest.approx(scale, rel=0.1)  # labels were drawn at temperature 1


@pytest.mark.parametrize(
    ("logits", "labels", "expected"),
    [
        ([[9.0, 0.0], [0.0, 9.0]], [0, 1], LOWEST),  # no mistake: as sharp as is allowed
        ([[9.0, 0.0], [0.0, 9.0]], [1, 0], HIGHEST),  # nothing but mistakes
        ([[3.0, 3.0]], [0], 1.0),
        ([[1e308, -1e308], [-1e308, 1e308]], [0, 0], HIGHEST),
        ([[1e308, -1e308], [1e308, -1e308]], [0, 0], 1.0),
        ([[1e-300, 0.0], [0.0, 1e-300]], [0, 1], LOWEST),
    ],
)
def test_the_temperature_keeps_its_bounds(logits: Any, labels: Any, expected: float) -> None:
    found = fit_temperature(np.array(logits), np.array(labels))
    assert LOWEST <= found <= HIGHEST
    assert found in (expected, LOWEST, HIGHEST)


def test_the_temperature_refuses_what_it_cannot_fit() -> None:
    with pytest.raises(DataError, match="no rows to fit"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=int))
    with pytest.raises(DataError, match="not a finite number"):
        fit_temperature(np.array([[math.nan, 1.0]]), np.array([0]))
    with pytest.raises(UsageError, match="labels go from 0 to 2, expected 0 to 1"):
        fit_temperature(np.zeros((2, 2)), np.array([0, 2]))
    with pytest.raises(UsageError, match=r"logits are \(2,\)"):
        fit_temperature(np.zeros(2), np.array([0, 1]))


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (0, 7), (3, 9), (12, 12), (40, 61), (480, 520)])
def test_mcnemar_is_the_exact_binomial(b: int, c: int) -> None:
    expected = stats.binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(expected)


def test_mcnemar_of_many_pairs_is_the_corrected_chi_squared() -> None:
    expected = stats.chi2.sf((abs(1100 - 1200) - 1) ** 2 / 2300, 1)
    assert mcnemar(1100, 1200) == pytest.approx(expected)
    assert mcnemar(1100, 1200) == pytest.approx(stats.binomtest(1100, 2300).pvalue, rel=0.02)


def test_a_comparison_counts_pairs_and_adds_up() -> None:
    generator = np.random.default_rng(5)
    truth, first, second = (generator.choice(list("abc"), 200).tolist() for _ in range(3))
    whole = compare(truth, first, second)
    assert whole == compare(truth[:90], first[:90], second[:90]) + compare(truth[90:], first[90:], second[90:])
    right, other = np.array(first) == np.array(truth), np.array(second) == np.array(truth)
    assert whole == Comparison(
        (right & other).sum(), (right & ~other).sum(), (~right & other).sum(), (~right & ~other).sum()
    )
    assert whole.accuracies == (pytest.approx(right.mean()), pytest.approx(other.mean()))
    drawn = [(right[rows].mean() - other[rows].mean()) for rows in generator.integers(0, 200, (2000, 200))]
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert whole.interval().low == pytest.approx(low, abs=0.02)
    assert whole.interval().high == pytest.approx(high, abs=0.02)
    with pytest.raises(DataError, match="1 truths, 2 and 1 predictions"):
        compare(["a"], ["a", "b"], ["a"])
