"""A vocab.txt with a piece on several lines: its ids are those of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textkit import TextClassifier, tokenizers

HEAD = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
FILES = {
    "a word twice": [*HEAD, "play", "##ing", "play", "good", "film"],
    "with white space behind": [*HEAD, "play ", "##ing", "play", "good", "film"],
    "the unknown token twice": ["[UNK]", "[PAD]", *HEAD[1:], "play", "##ing", "good", "film"],
    "blank lines": [*HEAD[:2], "", *HEAD[2:], "play", "", "##ing", "good", "film"],
    "three times": ["play", *HEAD, "play", "##ing", "good", "film", "play"],
}
TEXTS = ["playing play good film zzz", "", "good [SEP] play"]


def write(lines: list[str]) -> None:
    Path("bert").mkdir(exist_ok=True)
    Path("bert/vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    Path("bert/tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
def test_the_last_line_is_the_id_and_is_said(name: str) -> None:
    write(FILES[name])
    wanted = {line.rstrip(" "): number for number, line in enumerate(FILES[name])}
    for source, options in (("bert", {}), ("bert/vocab.txt", {"lowercase": True})):
        tok: Any = tokenizers.load(source, **options)
        assert tok.vocabulary == wanted
        assert tok.n_ids == len(FILES[name]) > len(tok)
        assert any("stands on lines" in note for note in tok.engine_notes)
        tok.save("saved", overwrite=True)
        again = tokenizers.load("saved")
        for spans in (False, True):
            found = tok.encode(TEXTS, spans=spans).ids.tolist()
            assert found == again.encode(TEXTS, spans=spans).ids.tolist()
        assert found[:2] == [wanted["play"], wanted["##ing"]]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_ids_are_those_of_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    write(FILES[name])
    theirs = transformers.AutoTokenizer.from_pretrained("bert")
    ours = tokenizers.load("bert")
    assert ours.vocabulary == theirs.get_vocab()
    for text in TEXTS:
        plain = text.replace("[SEP]", "")
        assert ours.encode([plain], add_special_tokens=True)[0].tolist() == theirs.encode(plain)


@pytest.mark.slow
def test_a_network_has_a_row_for_every_id_of_a_file_with_gaps() -> None:
    write(FILES["a word twice"])
    for more in ({}, {"ngrams__buckets": 20}):
        model = TextClassifier(
            encoder="bag",
            tokenizer__path="bert",
            embedding__dim=4,
            training__epochs=1,
            seed=1,
            **more,
        ).fit(["good film", "play"] * 10, ["a", "b"] * 10)
        model.save("model", overwrite=True)
        again = TextClassifier.load("model")
        assert again.predict(["film"]).tolist() == model.predict(["film"]).tolist()
