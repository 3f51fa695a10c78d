"""transformers opens model folders by its own methods, and gives textkit's own probabilities."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    pipeline,
)

import textkit.integrations.transformers
from textkit import TextClassifier, tokenizers
from textkit.errors import ArtifactError, UsageError
from textkit.integrations.transformers.inputs import ByteInputs
from textkit.io import files
from textkit.jobs import ExportOptions, export_model

TextkitConfig = textkit.integrations.transformers.TextkitConfig
TextkitModel = textkit.integrations.transformers.TextkitForSequenceClassification
TextkitTokenizer = textkit.integrations.transformers.TextkitTokenizer

TEXTS = ["good film", "bad film", "good plot indeed", "bad plot"] * 10
LABELS: dict[str, list[Any]] = {
    "single-label": ["pos", "neg", "pos", "neg"] * 10,
    "multi-label": [["a"], ["b"], ["a", "b"], []] * 10,
    "regression": [1.5, 200.0, 3.0, 4.0] * 10,
}
HARD = ["a good film", "", "bad " * 40, "👨‍👩‍👧 ภาษาไทย", " ", "[PAD] good", ""]
SMALL = {"embedding__dim": 8, "training__epochs": 1, "training__average": 0.0, "seed": 1}
CNN = {"encoder": {"name": "cnn", "dim": 8}}
BAG = {
    "encoder": "bag",
    "head__pooling": ("mean",),
    "ngrams": {"minn": 2, "maxn": 3, "buckets": 500},
}


def fit(task: str = "single-label", **options: Any) -> TextClassifier:
    """Fit a small model, with a temperature that shows."""
    model = TextClassifier(**{**SMALL, **options, "head__task": task}).fit(TEXTS, LABELS[task])
    model.fitted_ = replace(model.fitted_, temperature=1.0 if task == "regression" else 1.7)
    return model


def specials(folder: Path) -> dict[str, Any]:
    """Give the options of a small transformer between [CLS] and [SEP]."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "film", "plot"]
    tokenizers.create("wordpiece", vocabulary=pieces).save(folder / "pieces")
    return {
        "tokenizer": {"path": str(folder / "pieces"), "special": True, "max_length": 6},
        "encoder": {"name": "transformer", "dim": 8, "heads": 2},
    }


def scores(classify: Any, classes: list[Any], texts: list[str]) -> np.ndarray:
    """Give what a pipeline says, a column a class: (n_texts, n_classes)."""
    said = classify(texts, top_k=None)
    named = [{one["label"]: one["score"] for one in row} for row in said]
    return np.array([[row[str(name)] for name in classes] for row in named])


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    fit(**CNN, tokenizer__max_length=20).save(folder)
    return folder


NETWORKS = [
    ("single-label", CNN),
    ("multi-label", {**CNN, "encoder__members": 2}),
    ("single-label", BAG),
    ("single-label", {"encoder": "linear"}),
    ("multi-label", {"encoder": "linear"}),
]


@pytest.mark.parametrize(("task", "options"), NETWORKS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_pipeline_gives_the_probabilities_of_predict_proba(
    task: str, options: dict[str, Any], batch_size: int, tmp_path: Path
) -> None:
    small = {} if options["encoder"] == "linear" else SMALL
    model = TextClassifier(**{**small, **options, "head__task": task}).fit(TEXTS, LABELS[task])
    model.fitted_ = replace(model.fitted_, temperature=1.7)
    model.save(tmp_path / "model")
    classify = pipeline("text-classification", str(tmp_path / "model"), batch_size=batch_size)
    wanted = model.predict_proba(HARD)
    assert np.abs(scores(classify, model.classes_.tolist(), HARD) - wanted).max() < 1e-6


def test_special_tokens_and_the_cut_are_the_models(tmp_path: Path) -> None:
    model = fit(**specials(tmp_path))
    model.save(tmp_path / "model")
    classify = pipeline("text-classification", str(tmp_path / "model"))
    wanted = model.predict_proba(HARD)
    assert np.abs(scores(classify, model.classes_.tolist(), HARD) - wanted).max() < 1e-6
    rows = classify.tokenizer(HARD)["input_ids"]
    assert rows == [row.tolist() for row in model.fitted_.encode(HARD)]
    assert rows[1] == [2, 3]
    assert len(rows[2]) == 6
    assert classify.tokenizer("good film", add_special_tokens=False)["input_ids"] == [4, 6]
    cut = classify.tokenizer("good film bad plot", truncation=True, max_length=4)["input_ids"]
    assert cut == [2, 4, 6, 3]


@pytest.mark.parametrize("name", ["cnn", "linear"])
def test_logits_of_a_regression_are_the_numbers(name: str, tmp_path: Path) -> None:
    options = CNN | SMALL if name == "cnn" else {"encoder": "linear"}
    model = TextClassifier(**options, head__task="regression").fit(TEXTS, LABELS["regression"])
    model.save(tmp_path / "model")
    classify = pipeline("text-classification", str(tmp_path / "model"))
    said = [one["score"] for one in classify(HARD)]
    np.testing.assert_allclose(said, model.predict(HARD), rtol=1e-6)


def test_an_exported_model_answers_as_its_network(tmp_path: Path) -> None:
    model = fit(**BAG)
    model.save(tmp_path / "model")
    export_model(ExportOptions(model=tmp_path / "model", out=tmp_path / "out"))
    classify = pipeline("text-classification", str(tmp_path / "out"), batch_size=2)
    wanted = model.predict_proba(HARD)
    assert np.abs(scores(classify, model.classes_.tolist(), HARD) - wanted).max() < 1e-6
    classify.model.save_pretrained(tmp_path / "again")
    again = TextClassifier.load(tmp_path / "again").predict_proba(HARD)
    assert np.array_equal(again, TextClassifier.load(tmp_path / "out").predict_proba(HARD))
    labels = torch.zeros(1, dtype=torch.int64)
    with pytest.raises(UsageError, match="only predicts here"):
        classify.model(**classify.tokenizer("a", return_tensors="pt"), labels=labels)


def test_the_auto_classes_give_textkits_own(saved: Path) -> None:
    model = TextClassifier.load(saved)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    network = AutoModelForSequenceClassification.from_pretrained(saved)
    assert isinstance(AutoConfig.from_pretrained(saved), TextkitConfig)
    assert isinstance(tokenizer, TextkitTokenizer)
    assert isinstance(network, TextkitModel)
    assert not network.training
    encoded = model.fitted_.encode(HARD)
    assert tokenizer(HARD)["input_ids"] == [row.tolist() for row in encoded]
    assert tokenizer.encode(HARD[0]) == encoded[0].tolist()
    assert tokenizer.tokenize("good film") == ["good", "film"]
    assert tokenizer.decode(tokenizer("good film")["input_ids"]) == "good film"
    assert network.config.id2label == {0: "neg", 1: "pos"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_nothing_on_either_side(saved: Path, side: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(saved, padding_side=side)
    network = AutoModelForSequenceClassification.from_pretrained(saved)
    batch = tokenizer(HARD, padding=True, return_tensors="pt")
    assert (batch["attention_mask"][0, 0] == 0).item() == (side == "left")
    with torch.inference_mode():
        logits = network(**batch).logits.double()
    wanted = TextClassifier.load(saved).predict_proba(HARD)
    assert np.abs(logits.softmax(dim=1).numpy() - wanted).max() < 1e-6
    alone = [tokenizer(text, return_tensors="pt") for text in HARD]
    with torch.inference_mode():
        rows = torch.cat([network(**row, return_dict=False)[0] for row in alone])
    assert (rows.double() - logits).abs().max() < 1e-5


def test_a_rectangle_of_empty_texts_has_a_type() -> None:
    inputs = ByteInputs()
    batch = TextkitTokenizer(inputs)(["", ""], return_tensors="pt")
    assert batch["input_ids"].dtype == torch.int64
    assert batch["attention_mask"].tolist() == [[0], [0]]
    padded = TextkitTokenizer(inputs).pad([{"input_ids": [66]}, {"input_ids": []}])
    assert padded["input_ids"] == [[66], [0]]


def test_bytes_are_cut_between_characters() -> None:
    inputs = ByteInputs()
    tokenizer = TextkitTokenizer(inputs)
    for text in ("aé", "a€", "a😀", "aๆ", "ab"):
        whole = len(text.encode())
        for length in range(whole + 1):
            ids = tokenizer(text, truncation=True, max_length=length)["input_ids"]
            assert tokenizer.decode(ids) == (text if length == whole else "a" * (length > 0))
    half = "a\ud83d"
    assert tokenizer.decode(tokenizer(half)["input_ids"]) == half
    assert tokenizer.convert_ids_to_tokens([66]) == ["<0x41>"]


def test_what_is_saved_by_transformers_opens_as_ours(saved: Path, tmp_path: Path) -> None:
    network = AutoModelForSequenceClassification.from_pretrained(saved)
    (tmp_path / "notes.txt").write_text("mine")
    network.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(saved).save_pretrained(tmp_path)
    model = TextClassifier.load(saved)
    assert np.array_equal(
        TextClassifier.load(tmp_path).predict_proba(HARD), model.predict_proba(HARD)
    )
    assert (tmp_path / "notes.txt").read_text() == "mine"
    changed = {name: value + 1 for name, value in network.state_dict().items()}
    network.save_pretrained(tmp_path, state_dict=changed)
    assert not np.allclose(
        TextClassifier.load(tmp_path).predict_proba(HARD), model.predict_proba(HARD)
    )
    assert np.array_equal(network.fitted.probabilities(HARD), model.predict_proba(HARD))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single-label", "multi-label", "regression"])
def test_trainer_trains_it_and_its_checkpoints_are_model_folders(task: str, tmp_path: Path) -> None:
    model = fit(task, **CNN, encoder__members=2)
    model.save(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")
    targets = {
        "single-label": [1, 0, 1, 0],
        "multi-label": [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]],
        "regression": [1.5, 200.0, 3.0, 4.0],
    }
    rows = [
        {**tokenizer(text), "labels": targets[task][i]}
        for i, text in enumerate(["good film", "", "good plot", "bad plot"])
    ] * 5
    trainer = Trainer(
        network,
        TrainingArguments(
            str(tmp_path / "run"),
            num_train_epochs=2,
            learning_rate=0.01,
            save_strategy="epoch",
            eval_strategy="epoch",
            load_best_model_at_end=True,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            logging_strategy="no",
        ),
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before
    trainer.save_model()
    wanted = network.eval().fitted.logits(HARD)
    for folder in ("run", "run/checkpoint-6"):
        assert np.array_equal(TextClassifier.load(tmp_path / folder).fitted_.logits(HARD), wanted)


def test_what_it_cannot_do_is_said(saved: Path, tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(saved)
    with pytest.raises(UsageError, match="not made from a config"):
        AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(UsageError, match="5 labels are asked for, the model has 2"):
        AutoModelForSequenceClassification.from_pretrained(saved, num_labels=5)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    with pytest.raises(UsageError, match="text_pair is not offered"):
        tokenizer("good", "bad")
    with pytest.raises(UsageError, match="return_offsets_mapping is not offered"):
        tokenizer("good", return_offsets_mapping=True)
    with pytest.raises(UsageError, match="a tokenizer is saved with its model"):
        tokenizer.save_pretrained(tmp_path / "alone")
    with pytest.raises(UsageError, match="text 1 is missing"):
        tokenizer(["good", None])
    with pytest.raises(UsageError, match="is of a model"):
        TextkitTokenizer()


def test_a_folder_of_an_older_textkit_is_refused(saved: Path, tmp_path: Path) -> None:
    TextClassifier.load(saved).save(tmp_path / "old")
    path = tmp_path / "old" / "tokenizer_config.json"
    said = json.loads(path.read_text())
    path.write_text(json.dumps({**said, "tokenizer_class": "PreTrainedTokenizerFast"}))
    (tmp_path / "old" / files.MANIFEST).unlink()
    files.write_manifest(tmp_path / "old", kind="model", format=2)
    assert TextClassifier.load(tmp_path / "old").predict(["good"]).shape == (1,)
    with pytest.raises(ArtifactError, match=r"older textkit wrote it; write it anew"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "old")


def test_a_damaged_folder_is_refused(saved: Path, tmp_path: Path) -> None:
    TextClassifier.load(saved).save(tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="file was changed"):
        AutoModelForSequenceClassification.from_pretrained(tmp_path / "model")


def test_nothing_is_registered_unasked() -> None:
    code = "import textkit, textkit.cli, sys; sys.exit('textkit.integrations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
