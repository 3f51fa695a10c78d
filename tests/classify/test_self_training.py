"""Self-training: when a model learns from its own word, and when it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextClassifier, Vectors
from textkit.classify.self_training import Verdict
from textkit.classify.teaching import surest
from textkit.errors import UsageError
from textkit.jobs import TrainOptions, train_run
from textkit.recipe import make_recipe
from textkit.watch import Watch

# Each text without a label joins a word that many labelled rows have with one that a single row
# has, which a fold may hold out, or none.
KNOWN = {"pos": ["fine", "super", "warm", "neat"], "neg": ["dull", "poor", "grim", "ugly"]}
NEW = {"pos": ["lovely", "brisk", "jolly", "vivid"], "neg": ["stale", "cruel", "hoarse", "muddy"]}
ROWS = [
    *((f"{word} {thing}", kind) for kind in KNOWN for word in KNOWN[kind] for thing in "ABCD"),
    *((f"{new} thing", kind) for kind in NEW for new in NEW[kind][:2]),
]
TEXTS, KINDS = [text for text, _ in ROWS], [kind for _, kind in ROWS]
MORE = [f"{word} {new}" for kind in KNOWN for word in KNOWN[kind] for new in NEW[kind]] * 4
HARD = [(f"{new} thing", kind) for kind in NEW for new in NEW[kind][2:]]


def fit(said: list[str]) -> TextClassifier:
    model = TextClassifier(encoder="linear")
    return model.fit(TEXTS, KINDS, unlabelled=MORE, watch=Watch(note=said.append))


def test_a_model_learns_new_words_from_its_own_word() -> None:
    said: list[str] = []
    model = fit(said)
    assert any(line.startswith("self-training is kept: on rows held out accuracy") for line in said)
    assert model.score([text for text, _ in HARD], [kind for _, kind in HARD]) == 1.0
    assert model.n_rows_ == len(TEXTS)
    assert model.history_.notes[-1] in said
    alone = TextClassifier(encoder="linear").fit(TEXTS, KINDS)
    assert alone.score([text for text, _ in HARD], [kind for _, kind in HARD]) < 1.0
    again = fit([])
    np.testing.assert_array_equal(again.predict_logits(MORE), model.predict_logits(MORE))


def test_where_it_is_worse_the_model_of_the_labels_stays() -> None:
    said: list[str] = []
    wrong = [f"{word} {other}" for word in KNOWN["pos"] for other in ("dull", "poor", "grim")] * 9
    model = TextClassifier(encoder="linear")
    model.fit(TEXTS, KINDS, unlabelled=wrong, watch=Watch(note=said.append))
    assert any(line.startswith("self-training is left out: on rows") for line in said)
    alone = TextClassifier(encoder="linear").fit(TEXTS, KINDS)
    np.testing.assert_array_equal(alone.predict_logits(TEXTS), model.predict_logits(TEXTS))


@pytest.mark.parametrize(
    ("gain", "loss_gain", "kept"),
    [(0.1, -1.0, True), (0.0, 0.1, True), (0.0, -0.1, False), (-0.01, 9.0, False)],
)
def test_it_is_kept_where_it_is_not_worse(gain: float, loss_gain: float, *, kept: bool) -> None:
    assert Verdict("accuracy", gain, 0.02, loss_gain).is_kept == kept


def test_too_few_rows_judge_nothing() -> None:
    said: list[str] = []
    few = TEXTS[:6] + TEXTS[16:22]
    model = TextClassifier(encoder="linear")
    model.fit(few, KINDS[:6] + KINDS[16:22], unlabelled=MORE, watch=Watch(note=said.append))
    assert "12 rows are too few to judge self-training: it is left out" in said


def test_the_surest_half_of_each_class_is_taken() -> None:
    rng = np.random.default_rng(3)
    said = rng.dirichlet([1.0, 1.0, 1.0], size=41).astype(np.float32)
    found = set(surest(said).tolist())
    for code in range(3):
        rows = [i for i in range(41) if said[i].argmax() == code]
        wanted = sorted(rows, key=lambda i: -said[i].max())[: (len(rows) + 1) // 2]
        assert found & set(rows) == set(wanted)


def test_vectors_of_texts_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    words = sorted({word for text in [*TEXTS, *MORE] for word in text.split()})
    Vectors(words, np.eye(len(words), dtype=np.float32)).save("words")
    from textkit.embedders.embedder import TextEmbedder

    embedded: list[str] = []
    embed = TextEmbedder.embed

    def counting(self: TextEmbedder, texts: list[str], **options: Any) -> Any:
        embedded.extend(texts)
        return embed(self, texts, **options)

    monkeypatch.setattr(TextEmbedder, "embed", counting)
    model = TextClassifier(encoder="frozen", encoder__embedder="words")
    model.fit(TEXTS, KINDS, unlabelled=MORE)
    assert len(embedded) == len({*embedded}) == len({*TEXTS, *MORE})


def test_the_shell_teaches_itself_and_auto_chooses_first() -> None:
    rows = "".join(f"{text},{kind}\n" for text, kind in ROWS)
    Path("rows.csv").write_text("text,label\n" + rows, encoding="utf-8")
    Path("more.txt").write_text("\n".join(MORE) + "\n", encoding="utf-8")
    report = train_run(
        TrainOptions(
            data=Path("rows.csv"),
            unlabelled=Path("more.txt"),
            out=Path("run"),
            overrides=["encoder.name=auto", 'encoder.candidates=["linear", "linear-words"]'],
            baseline=False,
        )
    )
    assert report.choice is not None and report.recipe.encoder.name == "linear"
    assert report.history.notes[-1].startswith("self-training is kept")
    assert len(Path("run/metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    assert report.recipe.distil is None  # a recipe that can be fitted again as it is
    assert TextClassifier.load(report.model).predict(["vivid box"]).tolist() == ["pos"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"head": {"task": "multi-label"}}, "needs one label a text, not multi-label"),
        ({"encoder": {"name": "ensemble"}}, "an ensemble does not teach itself"),
    ],
)
def test_what_cannot_teach_itself_is_refused(options: dict[str, Any], said: str) -> None:
    recipe = make_recipe({"encoder": {"name": "linear"}, **options})
    labels = [[kind] for kind in KINDS] if "head" in options else KINDS
    with pytest.raises(UsageError, match=said):
        TextClassifier(recipe).fit(TEXTS, labels, unlabelled=MORE)
