"""Vectors in every format, written small: the samples that the tests open, damage and compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from textkit import Vectors

WORDS = ["the", "king", "queen", "naïve", "日本", "don't", "nan", "x" * 80]
TABLE = np.random.default_rng(7).standard_normal((len(WORDS), 5)).astype(np.float32)


def write_text(folder: Path) -> Path:
    path = folder / "v.txt"
    path.write_bytes(b"%d 5\n" % len(WORDS) + b"".join(_line(i) for i in range(len(WORDS))))
    return path


def write_glove(folder: Path) -> Path:
    path = folder / "glove.txt"
    path.write_bytes(b"".join(_line(i) for i in range(len(WORDS))))
    return path


def write_vec(folder: Path) -> Path:
    """As fastText and word2vec's C code write it: a space at the end of each line."""
    path = folder / "v.vec"
    path.write_bytes(
        b"%d 5\n" % len(WORDS) + b"".join(_line(i)[:-1] + b" \n" for i in range(len(WORDS)))
    )
    return path


def write_binary(folder: Path) -> Path:
    path = folder / "v.bin"
    rows = [word.encode() + b" " + TABLE[i].tobytes() + b"\n" for i, word in enumerate(WORDS)]
    path.write_bytes(b"%d 5\n" % len(WORDS) + b"".join(rows))
    return path


def write_own(folder: Path) -> Path:
    Vectors(WORDS, TABLE).save(folder / "own")
    return folder / "own"


def write_model2vec(folder: Path) -> Path:
    import tokenizers as hf
    from safetensors.numpy import save_file

    path = folder / "m2v"
    path.mkdir()
    save_file({"embeddings": TABLE}, path / "model.safetensors")
    model = hf.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="the")
    hf.Tokenizer(model).save(str(path / "tokenizer.json"))
    (path / "config.json").write_text(json.dumps({"model_type": "model2vec"}), encoding="utf-8")
    return path


def write_gensim(folder: Path) -> Path:
    from gensim.models import KeyedVectors

    made = KeyedVectors(5)
    made.add_vectors(WORDS, TABLE)
    made.save(str(folder / "v.kv"), sep_limit=0)
    return folder / "v.kv"


def write_spacy(folder: Path) -> Path:
    """A blank pipeline; two more keys share the row of "king", as in a pruned table."""
    import spacy
    from spacy.vectors import Vectors as SpacyVectors

    pipeline = spacy.blank("en")
    store = SpacyVectors(shape=TABLE.shape, strings=pipeline.vocab.strings, name="sample")
    for word, row in zip(WORDS, TABLE, strict=True):
        store.add(pipeline.vocab.strings.add(word), vector=row)
    for word in ("monarch", "ruler"):
        store.add(pipeline.vocab.strings.add(word), row=WORDS.index("king"))
    pipeline.vocab.vectors = store
    pipeline.to_disk(folder / "pipeline")
    return folder / "pipeline"


def write_fasttext(folder: Path) -> Path:
    """Trained by gensim for one epoch; its vectors are its own, not TABLE."""
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model

    model = FastText(
        [WORDS[:4], WORDS[4:]] * 3,
        vector_size=5,
        min_count=1,
        epochs=1,
        bucket=50,
        seed=1,
        workers=1,
        min_n=2,
        max_n=4,
    )
    save_facebook_model(model, str(folder / "ft.bin"))
    return folder / "ft.bin"


def _line(number: int) -> bytes:
    values = " ".join(repr(float(value)) for value in TABLE[number])
    return f"{WORDS[number]} {values}\n".encode()


# Formats that hold exactly WORDS and TABLE.
EXACT: dict[str, Callable[[Path], Path]] = {
    "text": write_text,
    "glove": write_glove,
    "vec": write_vec,
    "word2vec": write_binary,
    "own": write_own,
    "model2vec": write_model2vec,
    "gensim": write_gensim,
    "spacy": write_spacy,
}
EVERY: dict[str, Callable[[Path], Path]] = {**EXACT, "fasttext": write_fasttext}
