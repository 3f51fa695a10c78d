"""Multi-label, regression, temperature and the comparison of two models, each beside an oracle."""

from __future__ import annotations

import itertools
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
    RegressionStream,
    compare,
    evaluate_multilabel,
    evaluate_regression,
    fit_temperature,
    mcnemar,
)
from textkit.evaluation.areas import average_precision
from textkit.evaluation.calibration import HIGHEST, LOWEST
from textkit.evaluation.histograms import N_BINS, Field, Histogram
from textkit.evaluation.intervals import Blocks, resample_sums
from textkit.evaluation.stream import Worst

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
    result = evaluate_multilabel(
        names(truth), names(predicted), classes=NAMES, probabilities=probabilities
    )
    p, r, f, n = metrics.precision_recall_fscore_support(truth, predicted, zero_division=0)
    for own, other in (
        (result.precision, p),
        (result.recall, r),
        (result.f1, f),
        (result.support, n),
    ):
        np.testing.assert_allclose(own, other)
    assert result.micro_f1 == pytest.approx(metrics.f1_score(truth, predicted, average="micro"))
    assert result.macro_f1 == pytest.approx(
        metrics.f1_score(truth, predicted, average="macro", zero_division=np.nan)
    )
    assert result.subset_accuracy == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert result.hamming_loss == pytest.approx(metrics.hamming_loss(truth, predicted))
    areas = [metrics.average_precision_score(truth[:, i], probabilities[:, i]) for i in range(3)]
    np.testing.assert_allclose(result.average_precision, [*areas, math.nan, math.nan])
    assert result.mean_average_precision == pytest.approx(np.mean(areas))
    report = result.to_dict()
    assert report["classes"]["never"]["average_precision"] is None


def test_multilabel_unseen_labels_are_missed_and_named() -> None:
    result = evaluate_multilabel(
        [("a", "new"), ("new",), ()], [("a",), (), ("b",)], classes=["a", "b"]
    )
    assert result.unseen == {"new": 2}
    assert result.micro_f1 == pytest.approx(2 / 5)
    assert result.subset_accuracy == 0
    assert result.hamming_loss == pytest.approx(3 / 9)
    assert math.isnan(result.mean_average_precision)


@pytest.mark.parametrize("exact_scores", [0, 10**6])
def test_a_multilabel_stream_gives_what_the_whole_gives(exact_scores: int) -> None:
    truth, predicted, probabilities = random_label_sets(6, 300)
    whole = evaluate_multilabel(
        names(truth), names(predicted), classes=NAMES, probabilities=probabilities
    )
    stream = MultiLabelStream(NAMES, exact_scores=exact_scores)
    for i in range(0, 300, 7):
        rows = slice(i, i + 7)
        stream.add(names(truth[rows]), names(predicted[rows]), probabilities[rows])
    found = stream.result()
    np.testing.assert_allclose(
        found.average_precision, whole.average_precision
    )  # a bin for each of two digits
    found_report, whole_report = found.to_dict(), whole.to_dict()
    for name in ("n_rows", "micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"):
        assert found_report[name] == whole_report[name]


def percentiles(values: Any, estimate: float) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5]) - (np.mean(values) - estimate)
    return float(low), float(high)


def label_scores(truth: Any, predicted: Any) -> dict[str, float]:
    hits, marks = (truth & predicted).sum(axis=0), truth.sum(axis=0) + predicted.sum(axis=0)
    return {
        "micro_f1": 2 * hits.sum() / marks.sum(),
        "macro_f1": (2 * hits / np.maximum(marks, 1))[[0, 1, 2, 4]].mean(),  # 'never' is never seen
        "subset_accuracy": (truth == predicted).all(axis=1).mean(),
        "hamming_loss": (truth != predicted).mean(),
    }


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 5000])
def test_multilabel_intervals_are_those_of_resampled_rows(n: int) -> None:
    truth, predicted, _ = random_label_sets(7, n)
    order = np.argsort(
        (truth != predicted).sum(axis=1)
    )  # the worst rows at the end: order must not narrow them
    truth, predicted = truth[order], predicted[order]
    stream = MultiLabelStream(NAMES)
    for i in range(0, n, 100):
        stream.add(names(truth[i : i + 100]), names(predicted[i : i + 100]))
    result = stream.result()
    found = result.intervals()
    assert set(found) == {"micro_f1", "macro_f1", "subset_accuracy", "hamming_loss"}
    generator = np.random.default_rng(8)
    drawn = [
        label_scores(truth[rows], predicted[rows]) for rows in generator.integers(0, n, (500, n))
    ]
    for name, interval in found.items():
        estimate = getattr(result, name)
        low, high = percentiles([one[name] for one in drawn], estimate)
        assert interval.low < estimate < interval.high
        assert interval.high - interval.low == pytest.approx(high - low, rel=0.2)
        assert (interval.low + interval.high) / 2 == pytest.approx(
            (low + high) / 2, abs=0.2 * (high - low)
        )
    assert result.intervals() == found != result.intervals(seed=1)


def test_multilabel_mistakes_are_the_rows_of_the_largest_loss() -> None:
    truth, predicted, probabilities = random_label_sets(9, 200)
    stream = MultiLabelStream(NAMES, n_mistakes=6)
    for i in range(0, 200, 30):
        rows = slice(i, i + 30)
        texts = [f"text {row}" for row in range(200)[rows]]
        stream.add(names(truth[rows]), names(predicted[rows]), probabilities[rows], texts)
    clipped = np.clip(np.where(truth, probabilities, 1 - probabilities), np.finfo(float).eps, None)
    losses = np.where((truth != predicted).any(axis=1), -np.log(clipped).mean(axis=1), -1)
    order = np.argsort(-losses, kind="stable")[:6]
    found = stream.mistakes()
    assert [mistake.row for mistake in found] == (order + 1).tolist()
    for mistake, row in zip(found, order, strict=True):
        assert mistake.text == f"text {row}" and mistake.loss == pytest.approx(losses[row])
        assert tuple(mistake.missed) == names(truth[row : row + 1] & ~predicted[row : row + 1])[0]
        assert tuple(mistake.extra) == names(predicted[row : row + 1] & ~truth[row : row + 1])[0]
        assert mistake.found == names(truth[row : row + 1] & predicted[row : row + 1])[0]
        for name, probability in {**mistake.missed, **mistake.extra}.items():
            assert probability == probabilities[row, NAMES.index(name)]


def test_multilabel_calibration_is_of_all_pairs() -> None:
    truth, predicted, probabilities = random_label_sets(10, 400)
    result = evaluate_multilabel(
        names(truth), names(predicted), classes=NAMES, probabilities=probabilities
    )
    assert result.bins is not None and result.bins.rows.sum() == truth.size
    error, edges = 0.0, np.arange(16) / 15
    for low, high in itertools.pairwise(edges):
        inside = (probabilities > low) & (probabilities <= high)
        inside |= (probabilities == 0) & (low == 0)
        error += abs(truth[inside].sum() - probabilities[inside].sum()) / truth.size
    assert result.bins.calibration_error == pytest.approx(error)
    report = evaluate_multilabel(names(truth), names(predicted), classes=NAMES).to_dict()
    assert (report["reliability"], report["calibration_error"]) == (None, None)


def test_multilabel_of_nothing() -> None:
    result = evaluate_multilabel([], [], classes=["a"])
    assert (result.micro_f1, result.macro_f1, result.subset_accuracy, result.hamming_loss) == (
        0,
        0,
        0,
        0,
    )
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
    assert average_precision(truth, scores) == pytest.approx(
        metrics.average_precision_score(truth, scores)
    )


@pytest.mark.parametrize("digits", [0, 9])
def test_regression_numbers_match_scikit_learn_and_scipy(digits: int) -> None:
    generator = np.random.default_rng(3)
    truth = np.round(generator.normal(size=200) * 3, digits)
    predicted = np.round(truth + generator.normal(size=200) * 2, digits)
    result = evaluate_regression(truth.tolist(), predicted.tolist())
    assert result.mae == pytest.approx(metrics.mean_absolute_error(truth, predicted))
    assert result.rmse == pytest.approx(metrics.root_mean_squared_error(truth, predicted))
    assert result.r2 == pytest.approx(metrics.r2_score(truth, predicted))
    assert result.bias == pytest.approx((truth - predicted).mean())
    assert result.pearson == pytest.approx(stats.pearsonr(truth, predicted).statistic)
    assert result.spearman == pytest.approx(stats.spearmanr(truth, predicted).statistic)


def test_regression_of_constants_has_no_correlation() -> None:
    report = evaluate_regression([1.0, 1.0], [1.0, 2.0]).to_dict()
    assert (report["r2"], report["pearson"], report["spearman"], report["mae"]) == (
        None,
        None,
        None,
        0.5,
    )
    assert evaluate_regression([1.0, 2.0], [5.0, 5.0]).to_dict()["pearson"] is None


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 5000])
def test_regression_intervals_are_those_of_resampled_rows(n: int) -> None:
    generator = np.random.default_rng(11)
    truth = generator.normal(size=n) * 3 + 1000  # far from 0
    residuals = generator.standard_t(5, size=n)
    predicted = truth + residuals[np.argsort(np.abs(residuals))] + 0.3  # the worst rows at the end
    result = evaluate_regression(truth, predicted)
    found = result.intervals()
    assert set(found) == {"mae", "rmse", "r2", "pearson", "bias"}
    drawn = [
        evaluate_regression(truth[rows], predicted[rows])
        for rows in generator.integers(0, n, (400, n))
    ]
    for name, interval in found.items():
        estimate = getattr(result, name)
        low, high = percentiles([getattr(one, name) for one in drawn], estimate)
        assert interval.low < estimate < interval.high
        assert interval.high - interval.low == pytest.approx(high - low, rel=0.2)
        assert (interval.low + interval.high) / 2 == pytest.approx(
            (low + high) / 2, abs=0.2 * (high - low)
        )
    assert result.intervals() == found != result.intervals(seed=1)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_regression_intervals_follow_the_unit(scale: float) -> None:
    truth, predicted = np.arange(50.0) * scale, np.arange(50.0)[::-1] ** 2 * scale
    found = evaluate_regression(truth, predicted).intervals()
    whole = evaluate_regression(truth / scale, predicted / scale).intervals()
    assert found["mae"].low == pytest.approx(whole["mae"].low * scale)
    assert found["r2"].low == pytest.approx(whole["r2"].low)


def test_regression_intervals_of_little_are_in_order() -> None:
    assert set(evaluate_regression([1.0, 1.0], [1.0, 2.0]).intervals()) == {"mae", "rmse", "bias"}
    assert set(evaluate_regression([1.0], [1.5]).intervals()) == {"mae", "rmse", "bias"}
    for truth in ([1.0, 1.0, 5.0], [1.0, 1.0 + 1e-9, 2.0], [3.0, 1.0]):
        for interval in (
            evaluate_regression(truth, [1.0, 2.0, 3.0][: len(truth)]).intervals().values()
        ):
            assert math.isfinite(interval.low) and interval.low <= interval.high


def test_a_regression_stream_gives_what_the_whole_gives_and_the_largest_errors() -> None:
    generator = np.random.default_rng(12)
    truth, predicted = generator.normal(size=(2, 90))
    predicted[5] = truth[5]
    stream = RegressionStream(n_mistakes=4)
    for i in range(0, 90, 40):
        rows = slice(i, i + 40)
        stream.add(truth[rows], predicted[rows], [f"text {row}" for row in range(90)[rows]])
    assert stream.result().to_dict() == evaluate_regression(truth, predicted).to_dict()
    order = np.argsort(-np.abs(truth - predicted))[:4]
    assert [(mistake.row, mistake.text) for mistake in stream.mistakes()] == [
        (i + 1, f"text {i}") for i in order
    ]
    assert stream.mistakes()[0].residual == truth[order[0]] - predicted[order[0]]
    with pytest.raises(DataError, match="row 92: the truth is inf"):
        stream.add([1.0, math.inf], [1.0, 1.0])


def test_blocks_hold_every_row_in_bounded_memory() -> None:
    values = np.random.default_rng(13).random((1000, 3))
    for n_blocks, expected in ((1000, 1000), (64, 64)):
        blocks = Blocks(3, n_blocks=n_blocks)
        for i in range(0, 1000, 90):
            blocks.add(values[i : i + 90])
        assert blocks.sums().shape == (expected, 3)
        np.testing.assert_allclose(blocks.sums().sum(axis=0), values.sum(axis=0))
    totals = np.concatenate(list(resample_sums(blocks.sums(), n_resamples=50, seed=0)))
    assert totals.shape == (50, 3) and len(np.unique(totals[:, 0])) > 40


def test_pictures_of_a_regression_leave_out_what_lies_far_and_count_it() -> None:
    generator = np.random.default_rng(14)
    truth = generator.normal(size=2000)
    predicted = truth + generator.normal(size=2000)
    predicted[7] = 1e6
    field, residuals = Field.of(truth, predicted), Histogram.of(truth - predicted)
    assert field.counts.shape == (N_BINS, N_BINS) and residuals.counts.shape == (N_BINS,)
    assert field.n_outside == residuals.n_outside == 1
    assert field.counts.sum() == residuals.counts.sum() == 1999
    assert -10 < field.edges[0] < field.edges[-1] < 10
    i, j = (
        int(np.searchsorted(field.edges, value, side="right")) - 1
        for value in (truth[0], predicted[0])
    )
    assert field.counts[i, j] > 0
    assert (
        Field.of(np.full(3, 2.0), np.full(3, 2.0)).counts.sum()
        == Histogram.of(np.zeros(3)).counts.sum()
        == 3
    )


def test_the_worst_are_the_highest_and_the_earlier_of_equal_ones() -> None:
    scores = np.random.default_rng(15).integers(0, 8, 100).astype(float)
    worst = Worst[int](10)
    for i in range(0, 100, 9):
        worst.offer(scores[i : i + 9], lambda place, i=i: i + place)
    assert worst.items() == np.argsort(-scores, kind="stable")[:10].tolist()
    none = Worst[int](0)
    none.offer(scores, int)
    assert none.items() == []


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
    labels = np.array(
        [generator.choice(5, p=row) for row in powers / powers.sum(axis=1, keepdims=True)]
    )
    found = fit_temperature((logits * scale).astype(np.float32), labels)

    def loss(temperature: float) -> float:
        scaled = logits * scale / temperature
        return float((np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(800), labels]).mean())

    best = optimize.minimize_scalar(
        loss, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-6}
    ).x
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


@pytest.mark.parametrize(
    ("b", "c"), [(0, 0), (1, 0), (0, 7), (3, 9), (12, 12), (40, 61), (480, 520)]
)
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
    assert whole == compare(truth[:90], first[:90], second[:90]) + compare(
        truth[90:], first[90:], second[90:]
    )
    right, other = np.array(first) == np.array(truth), np.array(second) == np.array(truth)
    assert whole == Comparison(
        (right & other).sum(),
        (right & ~other).sum(),
        (~right & other).sum(),
        (~right & ~other).sum(),
    )
    assert whole.accuracies == (pytest.approx(right.mean()), pytest.approx(other.mean()))
    drawn = [
        (right[rows].mean() - other[rows].mean())
        for rows in generator.integers(0, 200, (2000, 200))
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert whole.interval().low == pytest.approx(low, abs=0.02)
    assert whole.interval().high == pytest.approx(high, abs=0.02)
    with pytest.raises(DataError, match="1 truths, 2 and 1 predictions"):
        compare(["a"], ["a", "b"], ["a"])
