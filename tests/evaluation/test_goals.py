"""Goals of a search: each number as scikit-learn computes it, intervals, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from textkit.errors import UsageError
from textkit.evaluation.goals import Answers, Goal

RANDOM = np.random.default_rng(3)
LABELS = ["ham", "news", "spam"]


def single(n: int = 200) -> Answers:
    outputs = RANDOM.dirichlet([1, 1, 1], n)
    truth = np.array([RANDOM.choice(3, p=row) for row in outputs])
    return Answers("single-label", LABELS, truth, outputs, np.zeros(0))


def several(n: int = 200) -> Answers:
    outputs = RANDOM.random((n, 3))
    truth = (RANDOM.random((n, 3)) < outputs).astype(np.float32)
    return Answers("multi-label", LABELS, truth, outputs, np.array([0.3, 0.5, 0.7]))


def numbers(n: int = 200) -> Answers:
    truth = RANDOM.normal(size=(n, 1)).astype(np.float32)
    outputs = truth + RANDOM.normal(size=(n, 1))
    return Answers("regression", ["value"], truth, outputs, np.zeros(0))


def score(name: str, answers: Answers) -> float:
    return Goal.parse(name, answers.task).score(answers)


def test_one_label_a_text_is_scored_as_scikit_learn_does() -> None:
    answers = single()
    truth, said = answers.targets, answers.outputs.argmax(axis=1)
    assert score("accuracy", answers) == metrics.accuracy_score(truth, said)
    assert score("macro_f1", answers) == pytest.approx(
        metrics.f1_score(truth, said, average="macro")
    )
    assert score("log_loss", answers) == pytest.approx(metrics.log_loss(truth, answers.outputs))
    own = metrics.f1_score(truth, said, average=None)
    assert score("f1:spam", answers) == pytest.approx(own[2])


def test_several_labels_a_text_are_scored_by_their_thresholds() -> None:
    answers = several()
    truth, said = answers.targets, answers.outputs > answers.thresholds
    for average in ("micro", "macro"):
        expected = metrics.f1_score(truth, said, average=average)
        assert score(f"{average}_f1", answers) == pytest.approx(expected)
    assert score("subset_accuracy", answers) == metrics.accuracy_score(truth, said)
    expected = np.mean([metrics.log_loss(truth[:, i], answers.outputs[:, i]) for i in range(3)])
    assert score("log_loss", answers) == pytest.approx(expected)


def test_numbers_are_scored_as_scikit_learn_does() -> None:
    answers = numbers()
    truth, said = answers.targets, answers.outputs
    assert score("r2", answers) == pytest.approx(metrics.r2_score(truth, said))
    assert score("mae", answers) == pytest.approx(metrics.mean_absolute_error(truth, said))
    assert score("rmse", answers) == pytest.approx(metrics.root_mean_squared_error(truth, said))


@pytest.mark.parametrize("bound", [0.1, 0.5, 0.9, 1.0])
def test_precision_at_a_recall_is_the_best_point_of_the_curve(bound: float) -> None:
    for answers in (single(), several()):
        true, values = answers.has(2), np.round(answers.outputs[:, 2], 1)  # many equal values
        rounded = Answers(
            answers.task,
            LABELS,
            answers.targets,
            np.column_stack([answers.outputs[:, :2], values]),
            answers.thresholds,
        )
        precision, recall, _ = metrics.precision_recall_curve(true, values)
        found = score(f"precision@recall={bound}:spam", rounded)
        assert found == pytest.approx(precision[recall >= bound].max())
        reached = recall[:-1][precision[:-1] >= bound].max(initial=0.0)
        assert score(f"recall@precision={bound}:spam", rounded) == pytest.approx(reached)


def test_without_a_label_it_is_the_mean_over_those_that_occur() -> None:
    answers = single()
    each = [score(f"precision@recall=.5:{label}", answers) for label in LABELS]
    assert score("precision@recall=.5", answers) == pytest.approx(np.mean(each))
    without = answers.take(np.flatnonzero(answers.targets != 2))
    each = [score(f"precision@recall=.5:{label}", without) for label in LABELS[:2]]
    assert score("precision@recall=.5", without) == pytest.approx(np.mean(each))


def test_nine_of_ten_intervals_hold_the_true_number() -> None:
    goal, held = Goal.parse("accuracy", "single-label"), 0
    true = 0.6
    for _ in range(40):
        right = RANDOM.random(150) < true
        outputs = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
        answers = Answers("single-label", ["a", "b"], np.zeros(150, np.int64), outputs, np.zeros(0))
        interval = goal.spread(answers)
        held += interval.low <= true <= interval.high
        assert goal.spread(answers) == interval
    assert held >= 34


@pytest.mark.parametrize(
    ("text", "task", "said"),
    [
        ("acuracy", "single-label", "unknown metric for single-label 'acuracy'; did you mean"),
        ("f1", "single-label", "metric 'f1' names no label; write f1:LABEL, or macro_f1"),
        ("precision@recall:spam", "single-label", "expected a number above 0 and up to 1"),
        ("precision@recall=2:spam", "multi-label", "expected a number above 0 and up to 1"),
        ("recall@precision=nan", "multi-label", "expected a number above 0 and up to 1"),
        ("f1:spam", "regression", "known: mae, r2, rmse"),
        ("micro_f1", "single-label", "unknown metric for single-label 'micro_f1'"),
    ],
)
def test_a_goal_that_is_none_is_refused(text: str, task: str, said: str) -> None:
    with pytest.raises(UsageError, match=None) as caught:
        Goal.parse(text, task)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_a_label_may_hold_what_separates() -> None:
    goal = Goal.parse("f1:a:b=c", "single-label")
    goal.check(["a:b=c", "d"])
    assert goal.shown == "f1:a:b=c"
    with pytest.raises(UsageError, match="unknown label of the metric 'a:b=c'"):
        goal.check(["a", "d"])
