"""Explanations: what adds up, what changes nothing, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextClassifier
from textkit.classify.explain import OTHERS, Explainer, share_tokens
from textkit.classify.explain_removal import (
    MAX_PARTS,
    cut_parts,
    find_words,
    measure_faithfulness,
    remove,
)
from textkit.errors import MissingExtraError, UsageError
from textkit.evaluation.explanations import top_words

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
TEXTS = ["a good film", "bad plot, and a GOOD cast", "😀 x", "", "  \n ", "\ud800 bad", "جيد film"]
NETWORKS = ("model-1-lstm", "model-2-lstm", "model-2-members", "model-2-regression")


@pytest.fixture(scope="module")
def linear() -> TextClassifier:
    texts = ["good film", "bad film", "odd song", "good plot", "bad plot", "odd tune"] * 10
    return TextClassifier(encoder="linear", seed=1).fit(texts, ["pos", "neg", "odd"] * 20)


def opened(name: str) -> TextClassifier:
    return TextClassifier.load(GOLDEN / name)


@pytest.mark.parametrize("name", [*NETWORKS, "model-2-multi-label"])
def test_gradients_add_up_to_the_gap_of_logits(name: str) -> None:
    model = opened(name)
    for text, found in zip(TEXTS, model.explain(TEXTS), strict=True):
        assert found.method == "gradients" and found.text == text
        assert found.total == pytest.approx(found.gap, rel=0.01, abs=1e-4)
        logits = model.predict_logits([text])[0].astype(float)
        label = [str(name) for name in model.classes_.tolist()].index(str(found.label))
        own = logits[label] - (
            np.delete(logits, label).mean() if model.task_ == "single-label" else 0
        )
        assert found.value == pytest.approx(own, abs=1e-4)


def test_a_linear_models_n_grams_add_up_exactly(linear: TextClassifier) -> None:
    for text, found in zip(TEXTS, linear.explain(TEXTS), strict=True):
        assert found.method == "exact"
        assert found.total == pytest.approx(found.gap, abs=1e-5)
        logits = linear.predict_logits([text, ""]).astype(float)
        label = linear.classes_.tolist().index(found.label)
        others = np.delete(logits, label, axis=1).mean(axis=1)
        assert found.gap == pytest.approx(np.diff(others - logits[:, label])[0], abs=1e-5)


def test_a_word_that_was_learnt_speaks_for_its_label_and_a_capital_is_the_same(
    linear: TextClassifier,
) -> None:
    first, second = linear.explain(["İİ GOOD stuff", "İİ good stuff"], label="pos")
    assert first.spell(first.words[first.order()[0]]) == "GOOD"
    assert [word.score for word in first.words] == [word.score for word in second.words]
    assert first.words[1].score > 5 * abs(first.words[2].score)


def test_hashed_ngrams_are_explained_by_taking_words_away() -> None:
    model = opened("model-2-bag-ngrams")
    found = model.explain(["a good film"])[0]
    assert found.method == "occlusion" and found.rest == 0
    logits = model.predict_logits(["a good film", "a  film", "  "]).astype(float)
    value, without, nothing = logits[:, 1] - logits[:, 0]
    assert found.words[1].score == pytest.approx(value - without, abs=1e-6)
    assert (found.value, found.baseline_value) == pytest.approx((value, nothing))


@pytest.mark.parametrize("name", ["model-2-lstm", "model-2-bag-ngrams"])
def test_other_texts_beside_a_text_change_nothing(name: str) -> None:
    model = opened(name)
    alone = model.explain(["a good film"])[0]
    beside = model.explain(["bad " * 200, "a good film", ""])[1]
    assert alone == beside


def test_words_behind_the_cut_are_worth_nothing() -> None:
    model = opened("model-2-lstm")
    limit = model.recipe_.tokenizer.max_length
    found = model.explain(["film " * limit + "bad bad"])[0]
    assert [word.score for word in found.words[-2:]] == [0.0, 0.0]
    assert found.total == pytest.approx(found.gap, rel=0.01, abs=1e-4)


def test_the_flip_is_one_word_where_one_is_enough_and_its_text_has_the_other_label(
    linear: TextClassifier,
) -> None:
    text = "a good film"
    found = linear.explain([text])[0]
    flip = found.counterfactual
    assert flip is not None and [found.spell(found.words[i]) for i in flip.words] == ["good"]
    assert flip.text == "a  film" and linear.predict([flip.text])[0] == flip.label != found.label


def test_no_word_of_a_flip_can_be_put_back() -> None:
    model = opened("model-2-lstm")
    text = "good plot and a good film"
    found = model.explain([text])[0]
    assert found.counterfactual is not None and len(found.counterfactual.words) > 1
    spans = [(word.start, word.end) for word in found.words]
    for word in found.counterfactual.words:
        rest = [i for i in found.counterfactual.words if i != word]
        assert model.predict([remove(text, spans, rest)])[0] == found.label


def test_label_and_against_choose_what_is_compared(linear: TextClassifier) -> None:
    text = "a good film"
    logits = dict(zip(linear.classes_.tolist(), linear.predict_logits([text])[0], strict=True))
    found = linear.explain([text], label="neg", against="odd")[0]
    assert found.value == pytest.approx(float(logits["neg"] - logits["odd"]), abs=1e-5)
    assert (found.label, found.predicted, found.against) == ("neg", "pos", "odd")
    assert linear.explain([text])[0].against == OTHERS
    assert linear.explain([text], label="neg")[0].counterfactual is None  # it is not the label


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"label": "poss"}, "did you mean 'pos'"),
        ({"label": "pos", "against": "pos"}, "name two"),
        ({"method": "gradients"}, "is not for this model \\(linear\\); use exact or occlusion"),
        ({"method": "lime"}, "unknown method 'lime'"),
    ],
)
def test_what_a_model_has_not_is_refused(
    linear: TextClassifier, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        linear.explain(["a"], **options)


def test_against_is_for_one_label_a_text() -> None:
    with pytest.raises(UsageError, match="this is a multi-label model"):
        opened("model-2-multi-label").explain(["a"], against="pos")


def test_without_captum_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = opened("model-2-lstm")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"textkit-nlp\[explain\]"):
        model.explain(["a"])
    assert model.explain(["a good film"], method="occlusion")[0].method == "occlusion"


def test_a_text_of_very_many_words_takes_neighbours_away_together() -> None:
    parts = cut_parts(100_000)
    assert len(parts) == MAX_PARTS and sum(map(len, parts)) == 100_000
    assert cut_parts(0) == []


def test_a_token_over_two_words_is_shared_by_its_characters() -> None:
    text = "ab c"
    words = find_words(text)
    owner = np.array([0, 0, -1, 1])
    spans = np.array([[0, 4], [2, 3], [0, 0]], np.int32)
    scores, rest = share_tokens(np.array([3.0, 0.5, 0.25]), spans, owner, n_words=len(words))
    assert scores.tolist() == [2.0, 1.0] and rest == 0.75


def test_top_words_are_those_of_the_label_whatever_their_case(linear: TextClassifier) -> None:
    tops = top_words(linear.explain(["Good film", "good plot", "bad film"]), n=1)
    assert [(top.word, top.n_texts) for top in tops["pos"]] == [("good", 2)]
    assert tops["neg"][0].word == "bad"


def test_deletion_beats_a_random_order_and_a_turned_order_does_not(linear: TextClassifier) -> None:
    explainer = Explainer(linear.fitted_, flips=False)
    texts = [f"the {word} film of a day" for word in ("good", "bad", "odd")] * 5
    found = [explainer.explain(text) for text in [*texts, "", "one"]]
    measured = measure_faithfulness(found, explainer.probability)
    assert measured.n_texts == len(texts)  # those of one word and none have one order alone
    gain, low, high = measured.gain()
    assert 0 < low <= gain <= high
    assert measured.deletion[:, 0].tolist() == measured.insertion[:, -1].tolist()
    assert np.allclose(measured.deletion[:, -1], measured.random_deletion[:, -1])
    assert measured.area(measured.insertion) > measured.area(measured.random_insertion)
    empty = measure_faithfulness(found[-2:], explainer.probability)
    assert empty.to_dict()["n_texts"] == 0 and empty.gain() == (0.0, 0.0, 0.0)
