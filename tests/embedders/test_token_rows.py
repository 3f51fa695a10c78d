"""A model whose tokenizer was extended or pruned reads texts as before, with the rows in step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextClassifier, tokenizers
from textkit.errors import ArtifactError, UsageError
from textkit.jobs.vocabulary import ExtendOptions, extend_tokenizer

torch = pytest.importorskip("torch")
from safetensors.torch import load_file, save_file  # noqa: E402

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "play", "##ing", "good", "film", "bad"]


def make_folder(*, dtype: torch.dtype = torch.float32, n_rows: int = len(PIECES)) -> None:
    """Write the folder of a model as transformers lays it out, in two files of weights."""
    bert = tokenizers.create("wordpiece", vocabulary=PIECES).with_template("bert")
    bert.save("bert")
    Path("bert/manifest.json").unlink()
    drawn = torch.Generator().manual_seed(0)
    table = torch.randn(n_rows, 4, generator=drawn).to(dtype)
    save_file(
        {
            "bert.embeddings.word_embeddings.weight": table,
            "cls.predictions.bias": table[:, 0].clone(),
        },
        "bert/model-00001-of-00002.safetensors",
        metadata={"format": "pt"},
    )
    other = {"bert.embeddings.position_embeddings.weight": torch.ones(n_rows, 4)}
    save_file(other, "bert/model-00002-of-00002.safetensors")
    index = {"metadata": {"total_size": 1000}, "weight_map": {}}
    Path("bert/model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    config = {"model_type": "bert", "vocab_size": n_rows, "pad_token_id": 0, "eos_token_id": [3, 9]}
    Path("bert/config.json").write_text(json.dumps(config), encoding="utf-8")
    Path("bert/pytorch_model.bin").write_bytes(b"old")
    said = json.loads(Path("bert/tokenizer_config.json").read_text(encoding="utf-8"))
    said["model_max_length"] = 77
    Path("bert/tokenizer_config.json").write_text(json.dumps(said), encoding="utf-8")


def table_of(folder: str) -> Any:
    weights = load_file(f"{folder}/model-00001-of-00002.safetensors")
    return weights["bert.embeddings.word_embeddings.weight"], weights["cls.predictions.bias"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_new_tokens_get_rows_and_old_ones_keep_theirs(dtype: torch.dtype) -> None:
    make_folder(dtype=dtype, n_rows=12)  # two rows more than tokens, as padded tables have
    Path("new.txt").write_text("playing\n<br>\n", encoding="utf-8")
    old, new = extend_tokenizer(ExtendOptions(model="bert", tokens=["new.txt"], out=Path("more")))
    before, after = table_of("bert")[0], table_of("more")[0]
    assert (len(old), len(new), tuple(after.shape), after.dtype) == (10, 12, (12, 4), dtype)
    assert torch.equal(after[:10], before[:10])
    mean = before[[5, 6]].float().mean(0).to(dtype)
    assert torch.equal(after[new.vocabulary["playing"]], mean)
    assert json.loads(Path("more/config.json").read_text(encoding="utf-8"))["vocab_size"] == 12
    assert (
        json.loads(Path("more/tokenizer_config.json").read_text(encoding="utf-8"))[
            "model_max_length"
        ]
        == 77
    )
    assert not Path("more/pytorch_model.bin").exists()
    # A file without rows of tokens is the same file.
    name = "model-00002-of-00002.safetensors"
    assert Path("more", name).read_bytes() == Path("bert", name).read_bytes()


def test_pruning_moves_ids_with_their_tokens() -> None:
    make_folder()
    Path("few.txt").write_text("good film\nbad film\n", encoding="utf-8")
    _, new = extend_tokenizer(ExtendOptions(model="bert", prune=["few.txt"], out=Path("small")))
    assert len(new) == 8 and "play" not in new.vocabulary
    before, after = table_of("bert"), table_of("small")
    for name in ("[PAD]", "good", "bad"):
        for old_rows, new_rows in zip(before, after, strict=True):
            assert torch.equal(new_rows[new.vocabulary[name]], old_rows[PIECES.index(name)])
    config = json.loads(Path("small/config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == 8
    assert config["eos_token_id"] == [new.vocabulary["[SEP]"], new.vocabulary["bad"]]
    index = json.loads(Path("small/model.safetensors.index.json").read_text(encoding="utf-8"))
    assert index["metadata"]["total_size"] == 1000 - 2 * 5 * 4


def test_a_tensor_that_may_be_of_tokens_and_a_folder_without_safetensors_are_refused() -> None:
    make_folder()
    Path("new.txt").write_text("<br>\n", encoding="utf-8")
    options = ExtendOptions(model="bert", tokens=["new.txt"], out=Path("x"))
    save_file({"classifier.weight": torch.ones(10, 3)}, "bert/more.safetensors")
    with pytest.raises(
        UsageError, match=r"classifier\.weight has as many rows as there are tokens"
    ):
        extend_tokenizer(options)
    for path in Path("bert").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(ArtifactError, match="no safetensors hold a table of 10 tokens"):
        extend_tokenizer(options)
    with pytest.raises(UsageError, match="name a tokenizer, or a model"):
        extend_tokenizer(ExtendOptions(model="bert", tokenizer="bert", tokens=["a"], out=Path("x")))
    assert not Path("x").exists()


@pytest.mark.slow
def test_a_model_of_textkit_keeps_its_answers() -> None:
    texts, labels = ["good film", "bad film", "good play", "bad play"] * 5, ["p", "n"] * 10
    options: Any = {"encoder": "bag", "embedding__dim": 4, "training__epochs": 1, "seed": 1}
    for name, more in (("words", {}), ("grams", {"ngrams__buckets": 50})):
        model = TextClassifier(**options, **more).fit(texts, labels)
        model.save(name)
        Path("new.txt").write_text("marvellous\n", encoding="utf-8")
        old, new = extend_tokenizer(
            ExtendOptions(model=name, tokens=["new.txt"], out=Path(f"{name}2"))
        )
        assert len(new) == len(old) + 1
        other = TextClassifier.load(f"{name}2")
        np.testing.assert_array_equal(other.predict_proba(texts), model.predict_proba(texts))
        assert other.predict(["marvellous film"]).shape == (1,)
    linear = TextClassifier(encoder="linear", seed=1).fit(texts, labels)
    linear.save("linear")
    with pytest.raises(UsageError):
        extend_tokenizer(ExtendOptions(model="linear", tokens=["new.txt"], out=Path("x")))
