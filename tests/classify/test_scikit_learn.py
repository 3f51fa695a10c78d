"""The scikit-learn face of a classifier: its errors, weights, tags, and its own checks."""

from __future__ import annotations

import contextlib
import pickle
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError as ScikitLearnsNotFitted
from sklearn.metrics import accuracy_score, f1_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.validation import check_is_fitted

from textkit import TextClassifier
from textkit.errors import DataError, NotFittedError, TextkitError, UsageError

TEXTS = ["good film", "fine plot", "bad film", "poor plot"] * 5
LABELS = ["pos", "pos", "neg", "neg"] * 5
SMALL: dict[str, Any] = {
    "encoder": "bag",
    "embedding__dim": 4,
    "training": {"epochs": 2, "device": "cpu", "calibrate": False, "lr": 0.05},
    "seed": 1,
}
PAGE = Path(__file__).parents[2] / "docs/classify.md"


def fit(
    labels: Any = LABELS, texts: Any = TEXTS, weight: Any = None, **more: Any
) -> TextClassifier:
    return TextClassifier(**{**SMALL, **more}).fit(texts, labels, sample_weight=weight)


def logits(*given: Any, **options: Any) -> Any:
    return fit(*given, **options).predict_logits(TEXTS)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.predict(["a"]),
        lambda model: model.predict_proba(["a"]),
        lambda model: model.predict_log_proba(["a"]),
        lambda model: model.predict_logits(["a"]),
        lambda model: model.score(["a"], ["b"]),
        lambda model: model.encode(["a"]),
        lambda model: model.save("model"),
        lambda model: model.task_,
    ],
)
def test_a_model_that_is_not_fitted_says_so_in_both_families(
    use: Callable[[TextClassifier], object],
) -> None:
    for error in (NotFittedError, ScikitLearnsNotFitted, TextkitError, UsageError):
        with pytest.raises(error, match=r"not fitted; call fit\(texts, labels\)") as caught:
            use(TextClassifier())
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker hands it back
    assert isinstance(again, ScikitLearnsNotFitted) and str(again) == str(caught.value)
    assert not hasattr(TextClassifier(), "classes_")
    with pytest.raises(ScikitLearnsNotFitted):
        check_is_fitted(TextClassifier())
    check_is_fitted(fit())


def test_without_scikit_learn_the_error_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from textkit import errors

    errors._not_fitted_kind.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    try:
        assert type(errors.not_fitted("no")) is NotFittedError
    finally:
        errors._not_fitted_kind.cache_clear()


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_log_probabilities_are_those_of_the_probabilities(task: str) -> None:
    labels = LABELS if task == "single-label" else [[label] for label in LABELS]
    model = fit(labels, head__task=task)
    found = model.predict_log_proba(TEXTS)
    np.testing.assert_allclose(found, np.log(model.predict_proba(TEXTS)), rtol=1e-10)
    assert model.predict_log_proba([]).shape == (0, 2)


def test_log_probabilities_stay_finite_where_probabilities_vanish() -> None:
    from dataclasses import replace

    model = fit()
    model.fitted_ = replace(model.fitted_, temperature=1e-6)
    assert model.predict_proba(TEXTS).min() == 0
    assert np.isfinite(model.predict_log_proba(TEXTS)).all()
    with pytest.raises(UsageError, match="predicts numbers, not probabilities"):
        fit([1.0, 2.0, 3.0, 4.0] * 5, head__task="regression").predict_log_proba(TEXTS)


def test_cross_validation_takes_every_method() -> None:
    for method, shape in (("predict", (20,)), ("predict_log_proba", (20, 2))):
        found = cross_val_predict(
            TextClassifier(**SMALL), np.array(TEXTS), np.array(LABELS), cv=2, method=method
        )
        assert found.shape == shape
    search = GridSearchCV(TextClassifier(**SMALL), {"embedding__dim": [2, 3]}, cv=2)
    assert search.fit(TEXTS, LABELS).best_params_["embedding__dim"] in (2, 3)


@pytest.mark.parametrize("weights", [[2.0], [0.25]])
def test_weights_that_are_all_the_same_change_nothing(weights: list[float]) -> None:
    assert (logits(weight=weights * 20) == logits()).all()


def test_a_row_of_weight_0_is_no_row() -> None:
    """No word, class or batch comes from it: the same bytes as without it."""
    texts, labels = [*TEXTS, "odd words"], [*LABELS, "other"]
    weighed = fit(labels, texts, [1.0] * 20 + [0.0])
    assert weighed.classes_.tolist() == ["neg", "pos"]
    assert (weighed.predict_logits(TEXTS) == logits()).all()
    assert weighed.tokenizer_.vocabulary == fit().tokenizer_.vocabulary


def test_a_heavier_class_is_predicted_more() -> None:
    heavy = [9.0 if label == "neg" else 1.0 for label in LABELS]
    table = {"body": TEXTS, "topic": LABELS, "w": heavy}
    model = TextClassifier(**SMALL)
    plain = model.fit(TEXTS, LABELS).predict_proba(TEXTS)
    found = model.fit(table, text="body", label="topic", sample_weight="w").predict_proba(TEXTS)
    assert (found[:, 0] > plain[:, 0]).all()
    named = fit(training={**SMALL["training"], "class_weights": {"neg": 9.0}})
    assert (named.predict_proba(TEXTS) == found).all()


@pytest.mark.parametrize(
    ("labels", "weights", "task"),
    [
        ([1, 0, 0, 1] * 5, {1: 3.0}, "single-label"),
        ([True, False, False, True] * 5, {True: 3.0}, "single-label"),
        ([["a"], ["b"], [], ["a", "b"]] * 5, {"a": 3.0, "b": 1.0}, "multi-label"),
    ],
)
def test_class_weights_by_name_weigh_rows(labels: Any, weights: Any, task: str) -> None:
    """A row with several labels weighs the mean of theirs."""
    of_rows = {1: 3.0, 0: 1.0} if task == "single-label" else {}
    rows = [
        of_rows[label] if of_rows else float(np.mean([weights[item] for item in label] or [1.0]))
        for label in labels
    ]
    training = {**SMALL["training"], "class_weights": weights}
    by_name = logits(labels, training=training, head__task=task)
    assert (by_name == logits(labels, weight=rows, head__task=task)).all()
    assert (by_name != logits(labels, head__task=task)).any()


def test_class_weights_that_name_no_class_are_refused() -> None:
    with pytest.raises(UsageError, match=r"class_weights: unknown class 'poss'; did you mean"):
        fit(training__class_weights={"poss": 2.0})
    for wrong in ({"pos": 0}, {"pos": "much"}, "balancd"):
        with pytest.raises(UsageError, match=r"class_weights = .*a weight above 0 for classes by"):
            TextClassifier(training__class_weights=wrong)
    with pytest.raises(UsageError, match="names classes, and a regression has none"):
        fit([1.0, 2.0] * 10, head__task="regression", training__class_weights={"a": 2.0})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "20 texts but 1 weights"),
        ([1.0] * 19 + [-1.0], "weight of row 19 is -1, expected 0 or more"),
        ([None, *[1.0] * 19], "weight of row 0 is missing"),
        ([1.0, float("nan"), *[1.0] * 18], "weight of row 1 is missing"),
        (["1"] * 20, "weight of row 0 is '1', a str"),
        ([0.0] * 20, "all 20 weights are zero"),
    ],
)
def test_weights_that_cannot_be_used_are_named(weights: Any, message: str) -> None:
    for use in (
        lambda: fit(weight=weights),
        lambda: fit().score(TEXTS, LABELS, sample_weight=weights),
    ):
        with pytest.raises(DataError, match=message):
            use()


@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_a_weighted_score_is_scikit_learns(task: str) -> None:
    rng = np.random.default_rng(0)
    weights = rng.random(20)
    labels: Any = LABELS
    if task == "multi-label":
        labels = rng.integers(0, 2, (20, 3))
    elif task == "regression":
        labels = rng.normal(size=(20, 2))
    model = fit(labels, head__task=task)
    predicted: Any = model.predict(TEXTS)
    if task == "multi-label":
        predicted = np.array([[int(i in row) for i in range(3)] for row in predicted])
        expected = f1_score(labels, predicted, average="micro", sample_weight=weights)
    elif task == "regression":
        expected = r2_score(labels, predicted, sample_weight=weights)
    else:
        expected = accuracy_score(labels, predicted, sample_weight=weights)
    found = model.score(TEXTS, labels, sample_weight=weights)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found != model.score(TEXTS, labels)


def test_a_model_shows_its_parameters() -> None:
    assert repr(TextClassifier()) == "TextClassifier()"
    model = TextClassifier({"encoder": {"name": "gru"}}, training__epochs=3)
    assert repr(model) == "TextClassifier(recipe={'encoder': {'name': 'gru'}}, training__epochs=3)"
    assert repr(eval(repr(model))) == repr(model) == repr(clone(model))
    fitted = fit()
    fitted.save("model")
    shown = repr(TextClassifier.load("model"))
    assert "'name': 'bag'" in shown and "momentum" not in shown


@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_the_tags_are_those_of_texts(task: str) -> None:
    tags = get_tags(TextClassifier(head__task=task))
    assert (tags.input_tags.string, tags.input_tags.two_d_array) == (True, False)
    assert tags.target_tags.multi_output == (task != "single-label")
    assert tags.estimator_type == ("regressor" if task == "regression" else "classifier")


def test_a_fitted_model_is_pickled_and_copied() -> None:
    model = fit()
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()
    assert not hasattr(clone(model), "fitted_")


class OverMatrix(TextClassifier):
    """What scikit-learn would check if a text were a row of numbers."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


def all_checks() -> Iterator[tuple[str, str, Callable[[str, Any], None]]]:
    """Give scikit-learn's checks of a classifier and a regressor, by name."""
    given = {}
    for task in ("single-label", "multi-label", "regression"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = OverMatrix(**SMALL, head__task=task)
            for check in estimator_checks._yield_all_checks(model, legacy=True):
                given.setdefault(getattr(check, "func", check).__name__, (task, check))
    for name, (task, check) in given.items():
        yield name, task, check


def listed_checks() -> set[str]:
    """Read the names of the checks that the page says cannot apply."""
    section = PAGE.read_text(encoding="utf-8").split("## scikit-learn's checks\n")[1]
    return set(re.findall(r"`(check_\w+)`", section.split("\n## ")[0])) - {"check_estimator"}


def test_scikit_learns_check_of_estimators_passes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", estimator_checks.SkipTestWarning)
        for task in ("single-label", "multi-label", "regression"):
            results = estimator_checks.check_estimator(
                TextClassifier(**SMALL, head__task=task), on_skip=None, on_fail="raise"
            )
            assert {result["status"] for result in results} == {"passed"}


def test_every_check_passes_or_is_listed_with_its_reason() -> None:
    """The list is whole and holds no check that passes."""
    passed = set()
    for name, task, check in all_checks():
        with warnings.catch_warnings(), contextlib.suppress(Exception):
            warnings.simplefilter("ignore")
            check("TextClassifier", TextClassifier(**SMALL, head__task=task))
            passed.add(name)
    every = {name for name, _, _ in all_checks()}
    assert {"check_estimators_unfitted", "check_estimator_repr", "check_set_params"} <= passed
    assert listed_checks() == every - passed
