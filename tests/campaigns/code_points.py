"""All 1,112,064 code points, alone, in "a?b" and beside spaces, through every kind: ids and spans as the reference's.

Usage: python tests/campaigns/code_points.py [KIND ...]. Not part of `make test`: run by `make fuzz`. Exits 1 and names
the first code points that differ.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from textkit import registry, tokenizers
from textkit.tokenizers import PipelineTokenizer, word_table

TRAINING = ["Vanity and pride are different things, 3.14 naïve ÜNDER हिन्दी 漢字 🙂"] * 4
OPTIONS: dict[str, dict[str, Any]] = {
    "bpe": {"size": 300},
    "wordpiece": {"size": 120},
    "unigram": {"size": 60},
    "bpe-char": {"size": 120},
    "regex": {"pattern": r"[a-z]+|[^a-z]"},
}
VARIANTS: list[dict[str, Any]] = [{}, {"lowercase": True}]
BLOCK = 1 << 14


def blocks() -> list[list[str]]:
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    return [[chr(code) for code in codes[i : i + BLOCK]] for i in range(0, len(codes), BLOCK)]


def compare(tokenizer: PipelineTokenizer, reference: PipelineTokenizer, texts: list[str]) -> list[str]:
    """Give the texts on which ids, with and without spans, or spans differ."""
    plain, found = tokenizer.encode(texts), tokenizer.encode(texts, spans=True)
    expected = reference.encode(texts, spans=True)
    assert found.spans is not None and expected.spans is not None
    same = np.array_equal(found.ids, expected.ids) and np.array_equal(plain.ids, expected.ids)
    if same and np.array_equal(found.spans, expected.spans) and np.array_equal(found.offsets, expected.offsets):
        return []
    return [
        text
        for row, text in enumerate(texts)
        if found[row].tolist() != expected[row].tolist()
        or plain[row].tolist() != expected[row].tolist()
        or found.row_spans(row).tolist() != expected.row_spans(row).tolist()
    ]


def main() -> int:
    word_table.TRIAL = 1 << 60  # here no word comes again, and the table is to be tried all the same
    failed = 0
    for kind in sys.argv[1:] or registry.names("tokenizer"):
        if kind in ("spacy", "unicode"):
            continue
        for variant in VARIANTS if kind != "byte" else VARIANTS[:1]:
            started = time.perf_counter()
            made = tokenizers.train(kind, TRAINING, **{**OPTIONS.get(kind, {}), **variant})
            assert isinstance(made, PipelineTokenizer)
            import tokenizers as hf

            reference = PipelineTokenizer(hf.Tokenizer.from_str(made.json), kind=kind, engine="reference")
            wrong: list[str] = []
            for block in blocks():
                wrong += compare(made, reference, block)
                wrong += compare(made, reference, [f"a{char}b" for char in block])
                wrong += compare(made, reference, [f"a{char} {char}b  c" for char in block])
            engine = f"{made.engine_for(['a'])}, {made.engine_for(['a'], spans=True)} with spans"
            seconds = time.perf_counter() - started
            print(f"{kind:12} {variant!s:22} {engine:34} {len(wrong):6,} differ  {seconds:5.1f} s", flush=True)
            if wrong:
                failed += 1
                print("  ", " ".join(ascii(text) for text in wrong[:12]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
