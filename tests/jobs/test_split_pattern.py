"""`--pattern` says how a .tiktoken file splits texts wherever a tokenizer is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tokenizers.test_tiktoken_files import write
from textkit import Vectors, tokenizers
from textkit.cli.train import Shortcuts
from textkit.errors import UsageError
from textkit.features.text_input import make_tokenizer
from textkit.jobs import EmbedOptions
from textkit.jobs.train_vectors import TrainVectorsOptions, _open_tokenizer
from textkit.recipe import read_recipe

TEXT = "don't 12345  stop"


@pytest.fixture
def file() -> str:
    ranks = {bytes([byte]): byte for byte in range(256)}
    write({**ranks, b"12": 256, b"123": 257, b" s": 258, b"n'": 259})
    return next(path.name for path in Path().glob("*.tiktoken"))


def expected(file: str, pattern: str) -> list[int]:
    ids: list[int] = tokenizers.load(file, pattern=pattern).encode([TEXT])[0].tolist()
    return ids


def test_the_patterns_differ(file: str) -> None:
    assert expected(file, "o200k") != expected(file, r"\S+|\s+")


def test_train_takes_it_into_the_recipe(file: str) -> None:
    choices = Shortcuts(tokenizer=file, pattern=r"\S+|\s+")
    recipe = read_recipe(None, choices.overrides())
    assert make_tokenizer(recipe, []).encode([TEXT])[0].tolist() == expected(file, r"\S+|\s+")


def test_embed_takes_it(file: str) -> None:
    Vectors(["12", "stop"], np.eye(2, dtype=np.float32)).save("vec")
    options: dict[str, Any] = {"inputs": ["a.txt"], "model": "vec", "out": Path("out")}
    opened = EmbedOptions(**options, tokenizer=file, pattern=r"\S+|\s+").open_embedder()
    plain = EmbedOptions(**options, tokenizer=file, pattern="o200k").open_embedder()
    assert opened.encode(["12 stop"]).shape == plain.encode(["12 stop"]).shape == (1, 2)
    with pytest.raises(UsageError, match=r"pattern is for the name of a \.tiktoken file"):
        EmbedOptions(**options, pattern="o200k").open_embedder()


def test_training_vectors_takes_it(file: str) -> None:
    options: dict[str, Any] = {"inputs": ["a.txt"], "out": Path("out")}
    made = _open_tokenizer(TrainVectorsOptions(**options, tokenizer=file, pattern=r"\S+|\s+"))
    assert made.encode([TEXT])[0].tolist() == expected(file, r"\S+|\s+")
    with pytest.raises(UsageError, match=r"pattern= is for a \.tiktoken file, and 'word' is none"):
        _open_tokenizer(TrainVectorsOptions(**options, pattern="o200k"))
    with pytest.raises(UsageError, match="take one"):
        _open_tokenizer(TrainVectorsOptions(**options, pattern="o200k", lowercase=True))
