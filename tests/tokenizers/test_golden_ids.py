"""Foreign vocabularies give the ids that their own libraries gave, through both engines."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from textkit import tokenizers

FILES = {
    "bert-base-uncased": "bert-base-uncased-vocab.txt",
    "gpt2": "gpt2_tokenizer.json.gz",
    "cl100k_base": "cl100k_base.tiktoken.gz",
    "spm_test_model": "sentencepiece_test_model.model",
    "spm_test_ja_model": "sentencepiece_test_ja_model.model",
}


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("name", sorted(FILES))
def test_ids_are_the_golden_ones(name: str, engine: Any, shared: Path) -> None:
    with gzip.open(shared / "conformance/golden_ids_dev.jsonl.gz", "rt", encoding="utf-8") as file:
        cases = [case for case in map(json.loads, file) if case["tokenizer"] == name]
    assert len(cases) == 866
    path = shared / "conformance/tokenizers" / FILES[name]
    lowercase = True if path.name == "bert-base-uncased-vocab.txt" else None
    tokenizer = tokenizers.load(path, engine=engine, lowercase=lowercase)
    batch = tokenizer.encode([case["text"] for case in cases])
    wrong = [
        (case["text"], case["ids"], row.tolist())
        for case, row in zip(cases, batch, strict=True)
        if case["ids"] != row.tolist()
    ]
    assert not wrong, f"{len(wrong)} of 866, the first: {wrong[0]}"
    if engine == "auto":
        assert not tokenizer.engine_notes


@pytest.mark.slow
def test_gpt2_in_two_files_is_the_same_tokenizer(shared: Path) -> None:
    data = json.loads(
        gzip.decompress((shared / "conformance/tokenizers/gpt2_tokenizer.json.gz").read_bytes())
    )
    model = data["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    Path("vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    Path("merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    whole = tokenizers.load(shared / "conformance/tokenizers/gpt2_tokenizer.json.gz")
    texts = ["Hello  world, it's 3 o'clock\n\n", "naïve 🙂 हिन्दी"]
    assert (
        tokenizers.load("vocab.json").encode(texts).ids.tolist() == whole.encode(texts).ids.tolist()
    )
    assert tokenizers.load(".").encode(texts).ids.tolist() == whole.encode(texts).ids.tolist()
