"""A tokenizer_config.json that says otherwise than the tokenizer.json beside it is followed where
transformers follows it, and said.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from textkit import tokenizers
from textkit.errors import ArtifactError

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "Das",
    "das",
    "öl",
    "ol",
    "中",
    "文",
    "中文",
]
TEXTS = ["Das öl", "中文 das", "[MASK] das [UNK]", "the <mask> a"]


def bert(**normalizer: Any) -> Tokenizer:
    backend = Tokenizer(models.WordPiece({p: i for i, p in enumerate(PIECES)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(**normalizer)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.add_special_tokens(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"])
    return backend


def gpt2() -> Tokenizer:
    letters = ["Ġ", *map(chr, range(33, 127)), "<mask>"]
    backend = Tokenizer(models.BPE({letter: i for i, letter in enumerate(letters)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return backend


def write(backend: Tokenizer, **config: Any) -> None:
    backend.save("tokenizer.json")
    Path("tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def check_against_transformers(n_notes: int) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoTokenizer.from_pretrained(".")
    ours = tokenizers.load(".")
    for text in TEXTS:
        wanted = theirs(text, add_special_tokens=False)["input_ids"]
        assert ours.encode([text], allow_special=True)[0].tolist() == wanted, text
    assert len(ours.engine_notes) == n_notes


@pytest.mark.parametrize(
    ("options", "n_notes"),
    [
        ({}, 0),
        ({"do_lower_case": True, "tokenize_chinese_chars": True, "strip_accents": True}, 0),
        ({"do_lower_case": False}, 1),
        ({"strip_accents": False}, 1),
        ({"tokenize_chinese_chars": False}, 1),
        ({"do_lower_case": False, "tokenize_chinese_chars": False}, 2),
    ],
)
@pytest.mark.parametrize("name", ["BertTokenizer", "DistilBertTokenizerFast"])
def test_options_of_berts_classes_are_followed(
    name: str, options: dict[str, Any], n_notes: int
) -> None:
    write(bert(lowercase=True), tokenizer_class=name, unk_token="[UNK]", **options)
    check_against_transformers(n_notes)


def test_options_that_a_class_does_not_read_change_nothing() -> None:
    write(bert(lowercase=True), tokenizer_class="ConvBertTokenizer", do_lower_case=False)
    check_against_transformers(0)
    write(bert(lowercase=True), do_lower_case=False)
    assert tokenizers.load(".").encode(["Das"])[0].tolist() == [PIECES.index("das")]


@pytest.mark.parametrize(("prefix", "n_notes"), [(True, 1), (False, 0), (None, 0)])
def test_a_prefix_space_is_followed_and_a_named_token_is_special(
    prefix: bool | None, n_notes: int
) -> None:
    options = {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": prefix}
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token", "mask_token"), "<mask>")
    write(gpt2(), **options, **names)
    tok = tokenizers.load(".")
    first = tok.tokens(tok.encode(["ab"])[0])[0]
    assert first == ("Ġ" if prefix else "a") and len(tok.engine_notes) == n_notes
    assert tok.vocabulary["<mask>"] in tok.encode(["a <mask>"], allow_special=True)[0]
    assert tok.vocabulary["<mask>"] not in tok.encode(["a <mask>"])[0]


def test_a_named_token_that_is_nowhere_is_said() -> None:
    write(gpt2(), pad_token="<pad>")
    (note,) = tokenizers.load(".").engine_notes
    assert "names <pad>, which tokenizer.json lacks" in note


def test_our_own_folders_are_as_they_were_saved() -> None:
    write(bert(lowercase=True), tokenizer_class="BertTokenizer", unk_token="[UNK]")
    tokenizers.load(".").save("own")
    config = json.loads(Path("own/tokenizer_config.json").read_text(encoding="utf-8"))
    assert isinstance(config["textkit_kind"], str)
    own = tokenizers.load("own")
    assert own.fingerprint == tokenizers.load(".").fingerprint and not own.engine_notes


def test_a_tokenizer_is_read_from_a_pipe() -> None:
    bert(lowercase=True).save("t.json")
    os.mkfifo("pipe")
    writer = threading.Thread(
        target=lambda: Path("pipe").write_bytes(Path("t.json").read_bytes()), daemon=True
    )
    writer.start()
    assert len(tokenizers.load("pipe")) == len(PIECES)


@pytest.mark.parametrize("name", ["PegasusTokenizer", "BigBirdTokenizer"])
def test_a_model_without_the_token_that_its_class_names_is_one_line(name: str) -> None:
    trainer = pytest.importorskip("sentencepiece").SentencePieceTrainer
    trainer.train(
        sentence_iterator=iter(["the good film", "a bad plot"] * 20), model_prefix="spiece",
        vocab_size=30, hard_vocab_limit=False, minloglevel=2, num_threads=1,
    )  # fmt: skip
    config = {"tokenizer_class": name, "unk_token": "<|none|>", "pad_token": "QQ"}
    Path("tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^tokenizer_config.json: "):
        tokenizers.load(".")
