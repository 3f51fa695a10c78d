"""TextClassifier: fit, predict, save, load; the same seed gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textkit import TextClassifier
from textkit.errors import ArtifactError, DataError, LimitError, UsageError
from textkit.nn.collate import collate
from textkit.watch import Watch

NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
TEXTS = [f"{word} {noun}" for word in ("good", "fine", "bad", "poor") for noun in NOUNS]
LABELS = ["pos sentiment"] * 20 + ["neg"] * 20
SMALL: dict[str, Any] = {
    "encoder__dim": 8,
    "embedding__dim": 12,
    "training": {"epochs": 8, "batch_size": 4, "lr": 0.02, "patience": 5, "device": "cpu"},
}


def fit(
    texts: list[str] | None = None, labels: list[Any] | None = None, **options: Any
) -> TextClassifier:
    model = TextClassifier(**{**SMALL, "seed": 1, **options})
    return model.fit(texts or TEXTS, labels or LABELS)


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    return fit()


def test_it_learns(model: TextClassifier) -> None:
    assert model.score(TEXTS, LABELS) > 0.9
    assert model.predict(["a good walk", "a poor walk"]).tolist() == ["pos sentiment", "neg"]


def test_probabilities_sum_to_one_and_lead_to_the_prediction(model: TextClassifier) -> None:
    texts = [*TEXTS, "", "unknown words only", "\ud800", "🙂" * 2000]
    probabilities = model.predict_proba(texts)
    assert probabilities.shape == (len(texts), 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-12)
    assert model.classes_[probabilities.argmax(axis=1)].tolist() == model.predict(texts).tolist()


def test_logits_do_not_depend_on_companions_or_order(model: TextClassifier) -> None:
    texts = ["", "good", "bad plot and a long tail of words " * 20, *TEXTS]
    together = model.predict_logits(texts)
    alone = np.concatenate([model.predict_logits([text]) for text in texts])
    np.testing.assert_allclose(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("encoder", ["bag", "cnn", "lstm", "transformer"])
def test_what_is_collated_runs_through_the_network(encoder: str) -> None:
    model = TextClassifier(
        encoder={"name": encoder}, training={"epochs": 1, "device": "cpu"}, seed=1
    ).fit(TEXTS, LABELS)
    texts = ["good film", "", "a bad and much longer text about a poor plot"]
    with torch.no_grad():
        logits = model.network_(collate(model.encode(texts))).numpy()
    np.testing.assert_allclose(logits, model.predict_logits(texts), atol=1e-5, rtol=0)


def test_no_texts_give_no_rows(model: TextClassifier) -> None:
    assert model.predict_proba([]).shape == (0, 2)
    assert model.predict([]).tolist() == []


def test_reload_gives_bit_equal_logits(model: TextClassifier) -> None:
    model.save("model")
    loaded = TextClassifier.load("model")
    assert (loaded.predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()
    assert loaded.classes_.tolist() == model.classes_.tolist()
    assert loaded.recipe_ == model.recipe_


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    model: TextClassifier,
) -> None:
    model.save("a")
    torch.manual_seed(99)  # the state of the global generator must not matter
    fit().save("b")
    fit(seed=2).save("c")
    a, b, c = (Path(name, "model.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    assert Path("a/manifest.json").read_bytes() == Path("b/manifest.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_does_not_change_the_bytes(threads: int) -> None:
    """60 wide rows make matrix products that torch does split: without the recipe's own number
    this test fails.
    """
    texts = [" ".join(f"w{(7 * row + 3 * i) % 50}" for i in range(row)) for row in range(60)]
    options: dict[str, Any] = {
        "training": {"epochs": 1, "device": "cpu", "batch_size": 30},
        "seed": 1,
    }
    before = torch.get_num_threads()
    TextClassifier(**options).fit(texts, ["a", "b"] * 30).save("default")
    try:
        torch.set_num_threads(threads)
        TextClassifier(**options).fit(texts, ["a", "b"] * 30).save("other")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert (
        Path("default/model.safetensors").read_bytes()
        == Path("other/model.safetensors").read_bytes()
    )


def test_the_callers_generator_stays_as_it_was() -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    fit(training__epochs=1)
    assert torch.rand(1) == expected


@pytest.mark.slow
def test_integer_labels_stay_integers() -> None:
    model = fit(labels=[3] * 20 + [-1] * 20)
    assert model.classes_.tolist() == [-1, 3]
    model.save("model")
    assert TextClassifier.load("model").predict(["good film"]).tolist() == [3]


@pytest.mark.slow
def test_the_best_epoch_is_restored() -> None:
    seen: list[Any] = []
    model = TextClassifier(**SMALL, seed=3, training__lr=0.05).fit(
        TEXTS, LABELS, watch=Watch(epoch=seen.append)
    )
    best = model.history_.best
    assert best is not None
    assert best.valid_accuracy == max(epoch.valid_accuracy for epoch in seen)
    again = TextClassifier(**SMALL, seed=3, training__lr=0.05, training__epochs=best.epoch).fit(
        TEXTS, LABELS
    )
    assert (again.predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()


def test_training_ends_early_when_nothing_improves() -> None:
    model = fit(training__epochs=40, training__lr=1e-9, training__patience=2)
    assert model.history_.ended == "early"
    assert len(model.history_.epochs) < 40


def test_a_stopped_training_leaves_a_usable_model() -> None:
    calls = iter(range(1000))
    model = TextClassifier(**SMALL).fit(
        TEXTS, LABELS, watch=Watch(should_stop=lambda: next(calls) >= 1)
    )
    assert (model.history_.ended, model.history_.best) == ("stopped", None)
    assert model.predict_proba(["good"]).shape == (1, 2)


def test_a_loss_that_is_not_finite_stops_with_its_step() -> None:
    with pytest.raises(
        LimitError, match=r"loss is (nan|inf) at epoch \d+, step \d+; lower training.lr"
    ):
        fit(training__lr=1e30, training__epochs=9)


@pytest.mark.slow
def test_validation_rows_can_be_given() -> None:
    model = TextClassifier(**SMALL, seed=1).fit(
        TEXTS, LABELS, validation=(["good film", "bad film"], [LABELS[0], "neg"])
    )
    assert model.history_.best is not None and model.history_.best.valid_accuracy in (0.0, 0.5, 1.0)
    with pytest.raises(DataError, match="validation label 'new' is not among the training labels"):
        TextClassifier(**SMALL).fit(TEXTS, LABELS, validation=(["x"], ["new"]))


@pytest.mark.slow
def test_truncated_rows_are_counted() -> None:
    assert fit(tokenizer__max_length=1).n_truncated_ == len(TEXTS)
    assert fit(training__epochs=1).n_truncated_ == 0


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "no rows to train on"),
        (["a"], ["x", "y"], "1 texts but 2 labels"),
        (["a", "b"], ["x", "x"], "all 2 rows have the label 'x'; expected at least two classes"),
        (["a", "b"], ["x", "y"], "all 2 labels differ; is the label column the right one?"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_refused(
    texts: list[str], labels: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        TextClassifier().fit(texts, labels)


def test_use_before_fit_and_misspelt_options_are_refused() -> None:
    with pytest.raises(UsageError, match="not fitted"):
        TextClassifier().predict(["a"])
    with pytest.raises(UsageError, match=r"did you mean 'training\.epochs'"):
        TextClassifier(training__epoch=3)
    if not torch.cuda.is_available():
        with pytest.raises(
            UsageError, match="device 'cuda' is not available on this machine; found"
        ):
            fit(training__device="cuda")


def test_params_are_scikit_learns() -> None:
    model = TextClassifier(seed=3)
    assert model.get_params() == {"recipe": None, "seed": 3}
    assert model.set_params(seed=4, encoder="gru").get_params() == {
        "recipe": None,
        "seed": 4,
        "encoder": "gru",
    }


@pytest.mark.slow
def test_a_saved_tokenizer_is_used() -> None:
    from textkit import tokenizers

    tokenizer = tokenizers.train("char", TEXTS)
    tokenizer.save("tok")
    assert fit(tokenizer__path="tok").tokenizer_.fingerprint == tokenizer.fingerprint


@pytest.mark.slow
def test_spacys_words_live_in_a_model_folder() -> None:
    pytest.importorskip("spacy")
    model = fit(tokenizer="spacy", training__epochs=2)
    model.save("model")
    loaded = TextClassifier.load("model")
    assert (loaded.predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()
    assert type(loaded.tokenizer_).__name__ == "SpacyTokenizer"


def edit(folder: Path, name: str, old: str, new: str, *, reseal: bool = True) -> None:
    """Change a file of a model folder; `reseal` also writes a manifest that fits it."""
    from textkit.io import files

    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    if reseal:
        files.write_manifest(folder, kind="model", format=2)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_one_changed_byte_is_refused_by_name(model: TextClassifier, name: str) -> None:
    model.save("model")
    path = Path("model", name)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=f"^model/{name}: file was changed"):
        TextClassifier.load("model")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_a_missing_file_is_refused_by_name(model: TextClassifier, name: str) -> None:
    model.save("model")
    Path("model", name).unlink()
    with pytest.raises(ArtifactError, match=f"^model/{name}: file is missing"):
        TextClassifier.load("model")


def test_a_folder_of_format_1_is_read(model: TextClassifier) -> None:
    """Its weights had no members in their names, its recipe no number of them."""
    from safetensors.torch import load_file, save_file

    from textkit.io import files

    model.save("model")
    path = Path("model/model.safetensors")
    weights = {name.removeprefix("members.0."): value for name, value in load_file(path).items()}
    assert "head.layers.1.weight" in weights
    save_file(weights, path)
    config = json.loads(Path("model/config.json").read_text(encoding="utf-8"))
    del config["recipe"]["encoder"]["members"]
    Path("model/config.json").write_text(json.dumps(config), encoding="utf-8")
    files.write_manifest(Path("model"), kind="model", format=1)
    assert (TextClassifier.load("model").predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()


def test_newer_foreign_and_broken_folders_are_refused(model: TextClassifier) -> None:
    model.save("model")
    edit(Path("model"), "manifest.json", '"format": 2', '"format": 3', reseal=False)
    with pytest.raises(
        ArtifactError,
        match=r"^model/manifest.json: format 3 is newer than this textkit reads \(2\)",
    ):
        TextClassifier.load("model")
    Path("bert").mkdir()
    Path("bert/config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(
        ArtifactError, match=r"^bert/config.json: model_type is 'bert', expected 'textkit'"
    ):
        TextClassifier.load("bert")
    model.save("other")
    edit(Path("other"), "config.json", '"model_type": "textkit"', '"model_type": "bert"')
    with pytest.raises(ArtifactError, match=r"^other/config.json: model_type is 'bert'"):
        TextClassifier.load("other")
    model.save("wide")
    edit(Path("wide"), "config.json", '"dim": 12', '"dim": 13')
    with pytest.raises(
        ArtifactError, match=r"^wide/model.safetensors: weights do not fit the config"
    ):
        TextClassifier.load("wide")
    model.save("odd")
    edit(Path("odd"), "config.json", '"patience"', '"patiense"')
    with pytest.raises(ArtifactError, match=r"odd/config.json: .*did you mean 'training.patience'"):
        TextClassifier.load("odd")


def test_the_folder_holds_only_json_and_safetensors(model: TextClassifier) -> None:
    model.save("model")
    assert {path.suffix for path in Path("model").iterdir()} == {".json", ".safetensors"}
