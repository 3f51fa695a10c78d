"""Tokenizer speed, textkit beside its peers in one run: list of str -> padded int64 matrix and
mask, batches of 256.

Usage: python benchmarks/tokenize_texts.py [--threads 1]. Texts are AG News from ../shared/data
(13,127 rows), warm. Ids are checked equal before any time is taken; each contender then runs in
turn, five rounds, and the best round counts: its processor time with one thread, else its time.
Columns: MB of UTF-8 a second, ratio to transformers' tokenizer call. A second table does the same
with spans.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).parents[2] / "shared" / "data"
BATCH_ROWS = 256
ROUNDS = 5
Job = Callable[[list[str]], Any]


def read_texts() -> list[str]:
    with (SHARED / "train_dev/ag_news_train_subset.csv").open(encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def pad_lists(rows: list[list[int]]) -> tuple[Any, Any]:
    """What a user writes by hand around a tokenizer that gives lists: numpy, one row at a time."""
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def pad_flat(ids: Any, offsets: Any) -> tuple[Any, Any]:
    """The scatter that the raw engine's flat buffers need."""
    lengths = np.diff(offsets)
    mask = np.arange(int(lengths.max())) < lengths[:, None]
    padded = np.zeros(mask.shape, dtype=np.int64)
    padded[mask] = ids
    return padded, mask


def in_batches(job: Job) -> Callable[[list[str]], list[Any]]:
    return lambda texts: [job(texts[i : i + BATCH_ROWS]) for i in range(0, len(texts), BATCH_ROWS)]


def measure(jobs: dict[str, Job], texts: list[str], *, baseline: str) -> None:
    """Run the jobs in turn and print the best round of each."""
    n_bytes = sum(len(text.encode()) for text in texts)
    best = dict.fromkeys(jobs, float("inf"))
    # With one thread, what else runs on the machine does not count.
    clock = time.process_time if os.environ["RAYON_NUM_THREADS"] == "1" else time.perf_counter
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            started = clock()
            in_batches(job)(texts)
            best[name] = min(best[name], clock() - started)
    for name, seconds in best.items():
        print(
            f"  {name:44} {n_bytes / seconds / 1e6:8.1f} MB/s {best[baseline] / seconds:7.1f} x"
            f" {baseline}"
        )


def load_tokenizers() -> dict[str, Any]:
    """Give the three subword tokenizers: BERT's WordPiece, GPT-2's BPE, a Unigram trained here."""
    from textkit import tokenizers

    folder = SHARED / "conformance/tokenizers"
    return {
        "WordPiece": tokenizers.load(folder / "bert-base-uncased-vocab.txt"),
        "byte-level BPE": tokenizers.load(folder / "gpt2_tokenizer.json.gz"),
        "Unigram": tokenizers.train("unigram", read_texts(), size=8000),
    }


def subword_table(name: str, tok: Any, texts: list[str]) -> None:
    import splintr
    import tokenizers as hf
    from transformers import PreTrainedTokenizerFast

    from textkit.tokenizers import PipelineTokenizer

    backend = hf.Tokenizer.from_str(tok.json)
    backend.encode_special_tokens = True
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]" if name == "WordPiece" else None
    )
    if fast.pad_token is None:
        fast.pad_token = fast.convert_ids_to_tokens(0)
    raw = splintr.from_json_bytes(tok.json.encode())
    slow = PipelineTokenizer(hf.Tokenizer.from_str(tok.json), kind=tok.kind, engine="reference")
    table = PipelineTokenizer(hf.Tokenizer.from_str(tok.json), kind=tok.kind, engine="table")

    def run_raw(batch: list[str]) -> Any:
        ids, offsets = raw.encode_batch_flat(batch)
        return pad_flat(
            np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64).astype(np.int64)
        )

    def run_fast(batch: list[str]) -> Any:
        return fast(
            batch,
            padding=True,
            add_special_tokens=False,
            return_tensors="np",
            return_token_type_ids=False,
        )

    def run_hf(batch: list[str]) -> Any:
        return pad_lists(
            [row.ids for row in backend.encode_batch_fast(batch, add_special_tokens=False)]
        )

    expected = [row.ids for row in backend.encode_batch_fast(texts, add_special_tokens=False)]
    assert [row.tolist() for row in tok.encode(texts)] == expected
    assert [row.tolist() for row in slow.encode(texts)] == expected
    assert [row.tolist() for row in table.encode(texts)] == expected and table.engine_for(
        texts
    ) == "table"
    print(f"{name}: ids equal on {len(texts):,} texts; textkit's engine: {tok.engine_for(texts)}")
    jobs = {
        "transformers __call__": run_fast,
        "tokenizers encode_batch_fast + numpy": run_hf,
        "splintr flat + numpy scatter": run_raw,
        "textkit, reference engine": lambda batch: slow.encode(batch).pad(),
        "textkit, table before the reference": lambda batch: table.encode(batch).pad(),
        "textkit": lambda batch: tok.encode(batch).pad(),
    }
    measure(jobs, texts, baseline="transformers __call__")
    found = tok.encode(texts, spans=True)
    for row, encoding in enumerate(backend.encode_batch(texts, add_special_tokens=False)):
        assert [tuple(span) for span in found.row_spans(row).tolist()] == encoding.offsets
    spans = {
        "tokenizers encode_batch, offsets": lambda batch: [
            row.offsets for row in backend.encode_batch(batch, add_special_tokens=False)
        ],
        "textkit, spans": lambda batch: tok.encode(batch, spans=True),
    }
    print(f"{name} with spans; textkit's engine: {tok.engine_for(texts, spans=True)}")
    measure(spans, texts, baseline="tokenizers encode_batch, offsets")


def peer_table(texts: list[str]) -> None:
    """tiktoken and sentencepiece beside textkit, each on its own kind of model file."""
    import base64
    import gzip

    import sentencepiece
    import tiktoken

    from textkit import tokenizers
    from textkit.tokenizers.splitters import SPLITS

    folder = SHARED / "conformance/tokenizers"
    lines = gzip.decompress((folder / "cl100k_base.tiktoken.gz").read_bytes()).split(b"\n")
    ranks = {
        base64.b64decode(token): int(rank)
        for token, rank in (line.split() for line in lines if line)
    }
    tik = tiktoken.Encoding(
        "cl100k", pat_str=SPLITS["cl100k"], mergeable_ranks=ranks, special_tokens={}
    )
    pieces = sentencepiece.SentencePieceProcessor(
        model_file=str(folder / "sentencepiece_test_model.model")
    )
    peers = {
        "tiktoken encode_ordinary_batch": (tik.encode_ordinary_batch, "cl100k_base.tiktoken.gz"),
        "sentencepiece encode": (pieces.encode, "sentencepiece_test_model.model"),
    }
    for name, (encode, file) in peers.items():
        tok = tokenizers.load(folder / file)
        equal = sum(
            row.tolist() == ids for row, ids in zip(tok.encode(texts), encode(texts), strict=True)
        )
        assert equal == len(texts), f"{name}: {len(texts) - equal:,} texts differ"
        print(
            f"{file}: ids equal on {len(texts):,} texts; textkit's engine: {tok.engine_for(texts)}"
        )
        run_peer: Job = lambda batch, encode=encode: pad_lists(encode(batch))  # noqa: E731
        run_ours: Job = lambda batch, tok=tok: tok.encode(batch).pad()  # noqa: E731
        measure(
            {f"{name} + numpy": run_peer, "textkit": run_ours}, texts, baseline=f"{name} + numpy"
        )


def word_table(texts: list[str]) -> None:
    import re

    import spacy

    from textkit import tokenizers

    nlp = spacy.blank("en")
    word = tokenizers.train("unicode", texts)
    pattern = tokenizers.train("regex", texts, pattern=r"\w+|[^\w\s]")
    simple = re.compile(r"\w+|[^\w\s]")
    backend = __import__("tokenizers").Tokenizer.from_str(word.json)
    sample = texts[:500]
    expected = [row.offsets for row in backend.encode_batch(sample)]
    found = word.encode(sample, spans=True)
    assert [
        [tuple(span) for span in found.row_spans(i).tolist()] for i in range(len(sample))
    ] == expected
    print("words to ids with spans (500 texts checked against tokenizers with the same file)")
    jobs = {
        "spaCy tokenizer.pipe": lambda batch: [
            [t.orth for t in doc] for doc in nlp.tokenizer.pipe(batch)
        ],
        "re.findall alone, no ids, no spans": lambda batch: [
            simple.findall(text) for text in batch
        ],
        "tokenizers encode_batch, offsets": lambda batch: [
            row.offsets for row in backend.encode_batch(batch)
        ],
        "textkit unicode": lambda batch: word.encode(batch, spans=True),
        r"textkit regex \w+|[^\w\s]": lambda batch: pattern.encode(batch, spans=True),
    }
    measure(jobs, texts, baseline="spaCy tokenizer.pipe")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    threads = str(parser.parse_args().threads)
    if os.environ.get("RAYON_NUM_THREADS") != threads:
        os.environ["RAYON_NUM_THREADS"] = threads  # both engines' pools read it when they start
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if not SHARED.is_dir():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    texts = read_texts()
    print(
        f"{threads} thread(s), {len(texts):,} texts,"
        f" {sum(len(t.encode()) for t in texts) / 1e6:.1f} MB"
    )
    for name, tok in load_tokenizers().items():
        subword_table(name, tok, texts)
    peer_table(texts)
    word_table(texts)
    print(
        "peak memory of all of this:"
        f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )


if __name__ == "__main__":
    main()
