"""Evaluation of one label a row: the numbers are scikit-learn's, streamed or not.

Bad input is refused.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from textkit.errors import DataError, UsageError
from textkit.evaluation import Evaluation, Stream, evaluate, predict_baseline
from textkit.evaluation.areas import AreaStream
from textkit.evaluation.intervals import resample_counts
from textkit.evaluation.scores import N_BINS
from textkit.evaluation.stream import MAX_UNSEEN, OTHER_UNSEEN

CLASSES = ["a", "b b", "c", "never"]


def random_labels(seed: int, n: int, classes: list[str]) -> list[str]:
    return np.random.default_rng(seed).choice(classes, size=n).tolist()


def random_probabilities(
    seed: int, truth: list[str], classes: list[str], *, digits: int = 12
) -> Any:
    """Probabilities that know something of the truth, with ties where few digits are kept."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(len(truth), len(classes))) * 1.5
    logits += 1.5 * (np.array(truth)[:, None] == np.array(classes))
    powers = np.exp(np.round(logits, digits))
    return powers / powers.sum(axis=1, keepdims=True)


def run_stream(
    truth: list[str], probabilities: Any, classes: list[str], *, step: int = 37, **options: Any
) -> Stream:
    stream = Stream(classes, **options)
    for i in range(0, len(truth), step):
        chunk = truth[i : i + step]
        texts = [f"text {row}" for row in range(i + 1, i + len(chunk) + 1)]
        stream.add(stream.encode(chunk), probabilities[i : i + step], texts)
    return stream


def test_numbers_match_scikit_learn() -> None:
    truth, predicted = random_labels(1, 300, CLASSES[:3]), random_labels(2, 300, CLASSES[:3])
    result = evaluate(truth, predicted, classes=CLASSES)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=CLASSES, zero_division=0
    )
    np.testing.assert_array_equal(result.counts, confusion_matrix(truth, predicted, labels=CLASSES))
    np.testing.assert_allclose(result.precision, precision)
    np.testing.assert_allclose(result.recall, recall)
    np.testing.assert_allclose(result.f1, f1)
    np.testing.assert_array_equal(result.support, support)
    assert result.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert result.macro_f1 == pytest.approx(
        f1_score(truth, predicted, average="macro", zero_division=0)
    )
    assert result.weighted_f1 == pytest.approx(
        f1_score(truth, predicted, average="weighted", zero_division=0)
    )
    assert result.to_dict()["micro_f1"] == pytest.approx(
        f1_score(truth, predicted, average="micro")
    )


def test_a_label_the_model_lacks_counts_as_wrong() -> None:
    result = evaluate(["a", "new"], ["a", "a"], classes=["a", "c"])
    assert result.classes == ["a", "c", "new"]
    assert result.accuracy == 0.5
    assert result.unseen == {"new": 1}
    assert result.to_dict()["classes"]["new"]["support"] == 1


def test_no_rows() -> None:
    assert evaluate([], [], classes=["a", "b"]).accuracy == 0.0
    report = Stream(["a", "b"]).result().to_dict()
    assert (report["n_rows"], report["log_loss"], report["roc_auc"], report["intervals"]) == (
        0,
        None,
        None,
        {},
    )


@pytest.mark.parametrize("classes", [CLASSES, ["a", "b b"]])
@pytest.mark.parametrize("unseen", [[], ["new", "newer"]])
def test_the_stream_gives_what_the_whole_gives(classes: list[str], unseen: list[str]) -> None:
    truth = random_labels(3, 500, [*classes[:3], *unseen])
    probabilities = random_probabilities(4, truth, classes, digits=1)
    predicted = [classes[i] for i in probabilities.argmax(axis=1)]
    found, whole = (
        run_stream(truth, probabilities, classes).result(),
        evaluate(truth, predicted, classes=classes),
    )
    assert set(found.classes) == set(whole.classes)
    order = [found.classes.index(name) for name in whole.classes]
    np.testing.assert_array_equal(found.counts[np.ix_(order, order)], whole.counts)
    assert found.unseen == pytest.approx(whole.unseen)


@pytest.mark.parametrize("classes", [CLASSES, ["a", "b b"], ["a", "b b", "c"]])
@pytest.mark.parametrize("unseen", [[], ["new"]])
def test_scores_match_scikit_learn(classes: list[str], unseen: list[str]) -> None:
    truth = random_labels(5, 400, [*classes[:3], *unseen])
    probabilities = random_probabilities(6, truth, classes, digits=1)
    scores = run_stream(truth, probabilities, classes).result().scores
    assert scores is not None
    known = np.isin(truth, classes)
    assert scores.n_known == known.sum()
    codes = [classes.index(label) for label in np.array(truth)[known]]
    assert scores.log_loss == pytest.approx(
        log_loss(codes, probabilities[known], labels=range(len(classes)))
    )
    areas = [
        roc_auc_score(np.array(truth) == name, probabilities[:, i]) if name in truth else math.nan
        for i, name in enumerate(classes)
    ]
    np.testing.assert_allclose(scores.class_roc_auc, areas)
    assert scores.roc_auc == pytest.approx(areas[1] if len(classes) == 2 else np.nanmean(areas))
    if not unseen:
        assert scores.brier == pytest.approx(
            brier_score_loss(codes, probabilities, labels=range(len(classes))) if len(classes) > 2
            else brier_score_loss(codes, probabilities[:, 1])
        )  # fmt: skip
        if set(truth) == set(classes):
            usual = probabilities[:, 1] if len(classes) == 2 else probabilities
            assert scores.roc_auc == pytest.approx(roc_auc_score(codes, usual, multi_class="ovr"))


def test_the_brier_score_of_an_unseen_label_is_the_distance_from_a_class_of_probability_zero() -> (
    None
):
    truth = random_labels(7, 200, ["a", "b b", "c", "new"])
    probabilities = random_probabilities(8, truth, ["a", "b b", "c"])
    scores = run_stream(truth, probabilities, ["a", "b b", "c"]).result().scores
    wide = np.column_stack([probabilities, np.zeros(len(truth))])
    assert scores is not None
    assert scores.brier == pytest.approx(
        brier_score_loss(truth, wide, labels=["a", "b b", "c", "new"])
    )


def test_the_calibration_error_is_the_naive_one() -> None:
    truth = random_labels(9, 700, [*CLASSES[:3], "new"])
    probabilities = random_probabilities(10, truth, CLASSES)
    found = run_stream(truth, probabilities, CLASSES).result()
    sure, guess = probabilities.max(axis=1), np.array(CLASSES)[probabilities.argmax(axis=1)]
    error = 0.0
    for low, high in pairwise(np.linspace(0, 1, N_BINS + 1)):
        inside = (sure > low) & (sure <= high)
        if inside.any():
            error += (
                abs(sure[inside].mean() - (guess == np.array(truth))[inside].mean()) * inside.mean()
            )
    assert found.scores is not None
    assert found.scores.calibration_error == pytest.approx(error)
    assert found.scores.bins.rows.sum() == 700


def test_probabilities_of_zero_and_one_stay_finite() -> None:
    stream = Stream(["a", "b"])
    stream.add(stream.encode(["a", "b", "b"]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    scores = stream.result().scores
    assert scores is not None
    assert scores.log_loss == pytest.approx(
        log_loss([0, 1, 1], [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    )
    assert scores.bins.rows[-1] == 3


def test_the_histogram_of_scores_is_within_its_bound() -> None:
    truth = random_labels(11, 3000, CLASSES[:3])
    probabilities = random_probabilities(12, truth, CLASSES)
    exact = run_stream(truth, probabilities, CLASSES).result().scores
    binned = run_stream(truth, probabilities, CLASSES, exact_scores=400).result().scores
    assert exact is not None and binned is not None
    assert exact.areas.bound == 0
    assert 0 < binned.areas.bound < 1e-3
    assert binned.roc_auc != exact.roc_auc
    assert abs(binned.roc_auc - exact.roc_auc) <= binned.areas.bound
    assert math.isnan(binned.class_roc_auc[3])
    assert "roc_auc" in exact.intervals() and "roc_auc" not in binned.intervals()


def test_the_memory_of_a_stream_does_not_grow_with_its_rows() -> None:
    import tracemalloc

    truth = random_labels(13, 2000, [*CLASSES, "new"])
    probabilities = random_probabilities(14, truth, CLASSES)
    stream = Stream(CLASSES, exact_scores=10_000)
    codes, texts = stream.encode(truth), ["x" * 100] * 2000
    for _ in range(3):
        stream.add(codes, probabilities.copy(), texts)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(20):
        stream.add(codes, probabilities.copy(), texts)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000  # 20 chunks of probabilities alone would be 1,280,000 bytes
    assert stream.result().n_rows == 23 * 2000


def test_the_surest_mistakes_are_kept() -> None:
    truth = random_labels(15, 300, [*CLASSES, "new"])
    probabilities = random_probabilities(16, truth, CLASSES, digits=1)
    guess = [CLASSES[i] for i in probabilities.argmax(axis=1)]
    naive = sorted(
        (
            (-float(p.max()), row)
            for row, (label, own, p) in enumerate(
                zip(truth, guess, probabilities, strict=True), 1
            )
         if label != own)
    )[:9]  # fmt: skip
    found = run_stream(truth, probabilities, CLASSES, n_mistakes=9).mistakes()
    assert [(-mistake.probability, mistake.row) for mistake in found] == naive
    for mistake in found:
        assert (mistake.text, mistake.truth) == (f"text {mistake.row}", truth[mistake.row - 1])
        assert (mistake.truth_probability is None) == (mistake.truth == "new")
    assert run_stream(truth, probabilities, CLASSES, n_mistakes=0).mistakes() == []


def test_very_many_unseen_labels_share_a_row() -> None:
    stream = Stream(["a", "b"])
    labels = ["a", *(f"id {i}" for i in range(500))]
    stream.add(stream.encode(labels), np.tile([0.7, 0.3], (501, 1)), labels)
    result = stream.result()
    assert result.n_unseen == MAX_UNSEEN + 1
    assert result.unseen[OTHER_UNSEEN] == 500 - MAX_UNSEEN
    assert result.accuracy == pytest.approx(1 / 501)


def test_what_are_no_probabilities_is_refused() -> None:
    stream = Stream(["a", "b"])
    with pytest.raises(DataError, match=r"row 2: .*nan.* are no probabilities"):
        stream.add(stream.encode(["a", "a"]), np.array([[0.5, 0.5], [math.nan, 0.5]]))
    with pytest.raises(DataError, match=r"row 1: \[ 3. -2.\] are no probabilities"):
        stream.add(stream.encode(["a"]), np.array([[3.0, -2.0]]))
    with pytest.raises(UsageError, match=r"probabilities are \(1, 3\), expected \(1, 2\)"):
        stream.add(stream.encode(["a"]), np.ones((1, 3)) / 3)
    with pytest.raises(UsageError, match="expected different classes"):
        Stream(["a", "a"])


@pytest.mark.slow
def test_the_bootstrap_of_counts_is_the_bootstrap_of_rows() -> None:
    truth = np.array(random_labels(17, 400, CLASSES[:3]))
    probabilities = random_probabilities(18, truth.tolist(), CLASSES)
    predicted = np.array(CLASSES)[probabilities.argmax(axis=1)]
    result = evaluate(truth.tolist(), predicted.tolist(), classes=CLASSES)
    drawn = resample_counts(result.counts, n_resamples=1500, seed=3)
    generator, naive = np.random.default_rng(0), []
    for _ in range(600):
        rows = generator.integers(0, 400, 400)
        naive.append(
            [
                accuracy_score(truth[rows], predicted[rows]),
                f1_score(truth[rows], predicted[rows], average="macro", zero_division=0),
                f1_score(truth[rows], predicted[rows], average="weighted", zero_division=0),
            ]
        )
    for own, column in zip(("accuracy", "macro_f1", "weighted_f1"), np.array(naive).T, strict=True):
        assert drawn[own].mean() == pytest.approx(column.mean(), abs=0.005)
        assert drawn[own].std() == pytest.approx(column.std(), rel=0.12)
    interval = result.intervals()["accuracy"]
    assert interval.low < result.accuracy < interval.high
    assert result.intervals() == result.intervals(seed=0) != result.intervals(seed=1)


def test_the_interval_of_many_small_classes_holds_the_number() -> None:
    """The plain percentiles of macro F1 do not: resamples lose whole classes."""
    generator = np.random.default_rng(23)
    truth = generator.integers(0, 200, 800)
    predicted = np.where(generator.random(800) < 0.4, truth, generator.integers(0, 200, 800))
    result = evaluate(
        [*truth.tolist(), *range(200, 230)], [*predicted.tolist(), *[0] * 30], classes=range(200)
    )
    drawn = resample_counts(result.counts, n_resamples=1000, seed=0)["macro_f1"]
    interval = result.intervals()["macro_f1"]
    assert interval.low < result.macro_f1 < interval.high
    assert interval.high - interval.low == pytest.approx(3.92 * drawn.std(), rel=0.3)


def test_the_bootstrap_in_pieces_is_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.array([[40, 9, 1], [5, 30, 0], [0, 0, 0]])
    whole = resample_counts(counts, n_resamples=50, seed=1)
    monkeypatch.setattr("textkit.evaluation.intervals._DRAWN_AT_ONCE", 20)
    pieces = resample_counts(counts, n_resamples=50, seed=1)
    for name, values in whole.items():
        np.testing.assert_array_equal(values, pieces[name])


@pytest.mark.slow
def test_standard_errors_are_those_of_a_bootstrap_of_rows() -> None:
    truth = random_labels(19, 400, CLASSES[:3])
    probabilities = random_probabilities(20, truth, CLASSES[:3])
    scores = run_stream(truth, probabilities, CLASSES[:3]).result().scores
    assert scores is not None
    codes = np.array([CLASSES.index(label) for label in truth])
    generator, areas, losses = np.random.default_rng(1), [], []
    for _ in range(300):
        rows = generator.integers(0, 400, 400)
        areas.append(roc_auc_score(codes[rows], probabilities[rows], multi_class="ovr"))
        losses.append(log_loss(codes[rows], probabilities[rows], labels=range(3)))
    assert scores.areas.error == pytest.approx(np.std(areas), rel=0.15)
    assert scores.log_loss_error == pytest.approx(np.std(losses), rel=0.15)
    assert scores.intervals()["brier"].low < scores.brier < scores.intervals()["brier"].high


def test_areas_do_not_depend_on_the_chunks() -> None:
    truth = random_labels(21, 200, CLASSES)
    probabilities = random_probabilities(22, truth, CLASSES, digits=1)
    codes = np.array([CLASSES.index(label) for label in truth])
    for limit in (0, 10**9):
        results = []
        for step in (1, 7, 200):
            stream = AreaStream(4, exact_scores=limit)
            for i in range(0, 200, step):
                stream.add(codes[i : i + step, None] == np.arange(4), probabilities[i : i + step])
            results.append(stream.result().mean)
        assert len(set(results)) == 1


def test_confusions_are_the_most_frequent_errors() -> None:
    result = Evaluation(["a", "b", "c"], np.array([[9, 2, 0], [5, 1, 0], [0, 1, 1]]))
    assert result.confusions(2) == [("b", "a", 5), ("a", "b", 2)]
    assert len(result.confusions(99)) == 3


def test_the_baseline_learns_and_refuses_empty_texts() -> None:
    texts, labels = ["good film", "bad film", "good plot", "bad plot"] * 3, ["pos", "neg"] * 6
    assert predict_baseline(texts, labels, ["good", "bad"]) == ["pos", "neg"]
    with pytest.raises(DataError, match="no n-gram of words or characters"):
        predict_baseline(["", " \n"], ["x", "y"], ["z"])


def test_the_baseline_learns_from_parts_of_words_that_it_never_saw() -> None:
    stems = ["walk", "play", "jump", "talk", "look", "cook"]
    texts = [stem + end for stem in stems for end in ("ing", "ed")]
    predicted = predict_baseline(texts, ["now", "then"] * len(stems), ["smiling", "smoked"])
    assert predicted == ["now", "then"]
