"""All 1,112,064 code points in several surroundings through every kind: ids and spans as the
reference's.

Usage: python tests/campaigns/code_points.py [KIND ...]. Not part of `make test`: run by `make
fuzz`. Exits 1 and names the first code points that differ. The kind "nmt_nfkc" is a model of
sentencepiece, whose table of characters removes some and makes spaces of others; it and "unigram"
go through the table of words.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tokenizers as hf

from tests.tokenizers.small import OPTIONS, TRAINING
from textkit import registry, tokenizers
from textkit.tokenizers import PipelineTokenizer
from textkit.tokenizers.engines import word_table

STRIPPED = {"form": "nfkd", "strip_accents": True}  # leaves a word of accents nothing but its space
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "byte": [{}],
    "nmt_nfkc": [{}],
    "bpe": [{}, {"lowercase": True}, STRIPPED],
    "unigram": [{}, {"lowercase": True}, STRIPPED],
}
# ? is the code point: alone, within a word, at the ends of a text and of words, behind white space
# that is no space.
SURROUNDINGS = ["?", "a?b", "a? ?b  c", "?1 b", "a\u2003? b", "\x1c?1 ? ?"]
BLOCK = 1 << 14


def blocks() -> list[list[str]]:
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    return [[chr(code) for code in codes[i : i + BLOCK]] for i in range(0, len(codes), BLOCK)]


def compare(
    tokenizer: PipelineTokenizer, reference: PipelineTokenizer, texts: list[str]
) -> list[str]:
    """Give the texts on which ids, with and without spans, or spans differ."""
    plain, found = tokenizer.encode(texts), tokenizer.encode(texts, spans=True)
    expected = reference.encode(texts, spans=True)
    assert found.spans is not None and expected.spans is not None
    same = np.array_equal(found.ids, expected.ids) and np.array_equal(plain.ids, expected.ids)
    if (
        same
        and np.array_equal(found.spans, expected.spans)
        and np.array_equal(found.offsets, expected.offsets)
    ):
        return []
    return [
        text
        for row, text in enumerate(texts)
        if found[row].tolist() != expected[row].tolist()
        or plain[row].tolist() != expected[row].tolist()
        or found.row_spans(row).tolist() != expected.row_spans(row).tolist()
    ]


def train(kind: str, options: dict[str, Any]) -> tuple[PipelineTokenizer, PipelineTokenizer]:
    """Give a tokenizer with the engine that is to be tried, and the same with the reference."""
    made = (
        train_sentencepiece() if kind == "nmt_nfkc" else tokenizers.train(kind, TRAINING, **options)
    )
    assert isinstance(made, PipelineTokenizer)
    tried = "table" if kind in ("nmt_nfkc", "unigram") else "auto"
    pair = [
        PipelineTokenizer(hf.Tokenizer.from_str(made.json), kind=made.kind, engine=e)
        for e in (tried, "reference")
    ]
    return pair[0], pair[1]


def train_sentencepiece() -> tokenizers.Tokenizer:
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with TemporaryDirectory() as folder:
        path = Path(folder, "spm.model")
        path.write_bytes(model.getvalue())
        tokenizers.load(path).save(Path(folder, "tok"))
        return tokenizers.load(Path(folder, "tok", "tokenizer.json"))


def main() -> int:
    word_table.TRIAL = 1 << 60  # here no word comes again, and the table is to be tried anyway
    failed = 0
    for kind in sys.argv[1:] or [*registry.names("tokenizer"), "nmt_nfkc"]:
        if kind in ("spacy", "unicode"):
            continue
        for variant in VARIANTS.get(kind, [{}, {"lowercase": True}]):
            started = time.perf_counter()
            made, reference = train(kind, {**OPTIONS.get(kind, {}), **variant})
            wrong: list[str] = []
            for block in blocks():
                for surrounding in SURROUNDINGS:
                    wrong += compare(
                        made, reference, [surrounding.replace("?", char) for char in block]
                    )
            engine = f"{made.engine_for(['a'])}, {made.engine_for(['a'], spans=True)} with spans"
            seconds = time.perf_counter() - started
            print(
                f"{kind:12} {variant!s:22} {engine:34} {len(wrong):6,} differ  {seconds:5.1f} s",
                flush=True,
            )
            if wrong:
                failed += 1
                print("  ", " ".join(ascii(text) for text in wrong[:12]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
