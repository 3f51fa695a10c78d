"""Contrastive fine-tuning: its loss beside a naive one, and what becomes of vectors and model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textkit import TextClassifier
from textkit.classify.candidates import list_candidates
from textkit.errors import TextkitError, UsageError
from textkit.jobs import ExportOptions, TrainOptions, export_model, train_run
from textkit.jobs.train import suggest_rate
from textkit.recipe import complete_recipe, make_recipe
from textkit.training.contrast import RowsByClass, contrastive_losses
from textkit.watch import Step, Watch

BERT: dict[str, Any] = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 40,
    "max_position_embeddings": 20,
}
RECIPE: dict[str, Any] = {
    "tokenizer": {"name": "word", "min_frequency": 1},
    "encoder": {"name": "pretrained", "config": BERT},
    "head": {"pooling": ["mean"], "dropout": 0.0},
    "contrast": {"steps": 8, "batch_size": 8, "lr": 5e-3},
    "training": {"device": "cpu", "threads": 1},
    "augment": {"word_dropout": 0.0},
}
WORDS = {"pos": ["fine", "super", "warm", "neat"], "neg": ["dull", "poor", "grim", "ugly"]}
WORDS |= {"none": ["round", "square", "flat", "long"]}
ROWS = [(f"a {word} {thing}", kind) for kind, words in WORDS.items() for word in words
        for thing in ("thing", "box", "day")]  # fmt: skip
TEXTS, KINDS = [text for text, _ in ROWS], [kind for _, kind in ROWS]


def fit(texts: list[str] = TEXTS, kinds: list[str] = KINDS, **options: Any) -> TextClassifier:
    return TextClassifier(RECIPE, **options).fit(texts, kinds)


def test_the_loss_is_that_of_a_naive_double_loop() -> None:
    torch.manual_seed(0)
    vectors, codes = torch.randn(7, 5), torch.tensor([0, 1, 0, 2, 1, 0, 1])
    found = contrastive_losses(vectors, codes, temperature=0.3)
    for i in range(7):
        scores = [torch.cosine_similarity(vectors[i], other, dim=0) / 0.3 for other in vectors]
        others = [j for j in range(7) if j != i]
        total = torch.stack([scores[j] for j in others]).exp().sum().log()
        alike = [total - scores[j] for j in others if codes[j] == codes[i]]
        expected = sum(alike) / len(alike) if alike else torch.zeros(())
        torch.testing.assert_close(found[i], torch.as_tensor(expected))


def test_a_batch_has_rows_of_all_classes_alike_and_none_twice() -> None:
    targets = np.repeat([0, 1, 3], [5, 999_000, 995])
    rows = RowsByClass.of(targets).draw(32, np.random.default_rng(1))
    assert len(set(rows.tolist())) == 32
    assert np.bincount(targets[rows]).tolist() == [5, 14, 0, 13]
    many = RowsByClass.of(np.arange(300) // 3)
    drawn = many.draw(10, np.random.default_rng(1))
    assert np.unique(drawn // 3, return_counts=True)[1].tolist() == [2] * 5


def test_vectors_of_a_class_draw_together_and_the_head_is_learnt_on_them() -> None:
    def apart(model: TextClassifier) -> float:
        """Mean cosine within the classes less that between them."""
        network = model.fitted_.network
        with torch.no_grad():
            vectors = network.pooled(network.make_batch(model.encode(TEXTS)))
        unit = torch.nn.functional.normalize(vectors - vectors.mean(dim=0), dim=1).numpy()
        alike = np.array(KINDS)[:, None] == np.array(KINDS)
        return float((unit @ unit.T)[alike].mean() - (unit @ unit.T)[~alike].mean())

    tuned = fit()
    before = fit(contrast__steps=1, contrast__lr=1e-9)
    assert apart(tuned) > apart(before) + 0.1
    assert tuned.score(TEXTS, KINDS) > 0.9
    assert tuned.history_.best is not None and tuned.history_.ended == "epochs"


def test_two_classes_have_a_head_of_two_outputs(tmp_path: Path) -> None:
    model = fit(TEXTS[:24], KINDS[:24])
    assert model.predict_proba(TEXTS[:2]).shape == (2, 2)
    assert model.score(TEXTS[:24], KINDS[:24]) > 0.9
    model.save(tmp_path / "model")
    again = TextClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_logits(TEXTS), model.predict_logits(TEXTS))


def test_a_stopped_tuning_goes_on_to_the_same_bytes() -> None:
    rows = "".join(f"{text},{kind}\n" for text, kind in ROWS)
    Path("rows.csv").write_text("text,label\n" + rows, encoding="utf-8")

    def options(out: str, **more: Any) -> TrainOptions:
        recipe = make_recipe(RECIPE, training__checkpoint_seconds=0.0)
        return TrainOptions(
            data=Path("rows.csv"), out=Path(out), recipe=recipe, baseline=False, **more
        )

    whole = train_run(options("whole"))
    seen: list[Step] = []
    stop = Watch(step=seen.append, should_stop=lambda: len(seen) >= 3)
    stopped = train_run(options("run"), watch=stop)
    assert stopped.stopped and stopped.model.is_dir()
    again = train_run(options("run", resume=True))
    weights = [(report.model / "model.safetensors").read_bytes() for report in (whole, again)]
    assert weights[0] == weights[1]
    assert again.history.best == whole.history.best
    with pytest.raises(UsageError, match="--find-lr sweeps"):
        suggest_rate(options("rates"))


def test_vectors_that_are_all_alike_are_told() -> None:
    said: list[str] = []
    alike = {"contrast__temperature": 1e6}  # at which no cosine tells
    TextClassifier(RECIPE, **alike).fit(TEXTS, KINDS, watch=Watch(note=said.append))
    assert any("is that of vectors which are all alike" in line for line in said)
    said.clear()
    TextClassifier(RECIPE).fit(TEXTS, KINDS, watch=Watch(note=said.append))
    assert not any("all alike" in line for line in said)


def test_a_tuning_that_is_out_of_time_still_has_its_head() -> None:
    seen: list[Step] = []
    options = {"training__time_limit": 1e-9}
    model = TextClassifier(RECIPE, **options).fit(TEXTS, KINDS, watch=Watch(step=seen.append))
    assert model.history_.ended == "time" and not seen
    assert model.score(TEXTS, KINDS) > 0.5


@pytest.mark.slow
def test_a_tuned_model_is_exported_as_any_network() -> None:
    model = fit()
    model.save("model")
    export_model(ExportOptions(model=Path("model"), out=Path("exported")))
    said = TextClassifier.load("exported").predict_proba(TEXTS)
    np.testing.assert_allclose(said, model.predict_proba(TEXTS), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoder": "lstm"}, "encoder that knows something, such as pretrained, not 'lstm'"),
        ({"head__task": "regression"}, "needs one label a text, not regression"),
        ({"head__hidden": [4]}, "learns a linear head"),
        ({"training__r_drop": 1.0}, "has a loss of its own"),
        ({"contrast__batch_size": 1}, r"contrast\.batch_size"),
        ({"contrast__step": 1}, r"contrast\.step.*did you mean"),
        ({"encoder": "linear"}, "nothing to a linear model"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], said: str) -> None:
    labels = [1.0] * len(TEXTS) if "head__task" in options else KINDS
    with pytest.raises(TextkitError, match=said):
        TextClassifier(RECIPE, **options).fit(TEXTS, labels)


def test_auto_tries_it_where_it_is_named_and_an_encoder_is_there(tmp_path: Path) -> None:
    named = {"encoder": "auto", "encoder__candidates": ["linear", "contrastive"]}
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    for place, names in ((str(tmp_path), ["linear", "contrastive"]), ("glove", ["linear"])):
        auto = complete_recipe(make_recipe(**named, encoder__embedder=place))
        left = list_candidates(auto, metric="accuracy", n_rows=100, n_characters=9000)
        assert list(left.recipes) == names
        assert ("contrastive" in left.reasons) == (place == "glove")
    assert left.reasons["contrastive"].startswith("no transformer is named")
