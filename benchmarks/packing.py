"""Blocks of one length from rows of tokens: textkit's best fit, its concat, TRL's packer where it
is installed, and rows padded to blocks, over the same rows.

Usage: python benchmarks/packing.py [--rows 49358 --length 2048]. Rows are IMDb reviews, and for the
longest ones several together, so that there are short ones and longer ones than a block. fill: the
share of the blocks that tokens fill; seconds: to the arrays of all blocks, best of three.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from textkit import TokenBatch, tokenizers
from textkit.data.packing import Manner, pack_rows

SHARED = Path(__file__).parents[2] / "shared" / "data"
Result = tuple[int, int]  # blocks, rows that were cut


def read_rows(path: Path, n_rows: int) -> TokenBatch:
    """Tokenize reviews; every fiftieth row is ten of them."""
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        texts = list(itertools.islice(file, n_rows))
    tok = tokenizers.train("bpe", texts[:3000], size=8000)
    joined = ["".join(texts[i : i + 10]) if i % 50 == 0 else t for i, t in enumerate(texts)]
    return tok.encode(joined)


def pad_rows(batch: TokenBatch, length: int) -> Result:
    """Give each row blocks of its own."""
    n_blocks = -(-batch.lengths // length)
    return int(n_blocks.sum()), int((n_blocks > 1).sum())


def ours(batch: TokenBatch, length: int, manner: str) -> Result:
    least = 0 if manner == "whole" else 0.98
    kind: Manner = "concat" if manner == "concat" else "best-fit"
    blocks = pack_rows(batch, length=length, manner=kind, least_fill=least)
    return len(blocks), blocks.n_cut


def trl_packer(batch: TokenBatch, length: int, strategy: str) -> Callable[[], Result]:
    """Make TRL's call, the rows in a data set of its own kind already."""
    import datasets
    import pyarrow
    from trl.data_utils import pack_dataset

    datasets.disable_caching()
    datasets.disable_progress_bars()
    table = pyarrow.table({"input_ids": batch.to_arrow().cast(pyarrow.list_(pyarrow.int32()))})

    def pack() -> Result:
        rows = datasets.Dataset(datasets.table.InMemoryTable(table))
        made = pack_dataset(rows, length, strategy, map_kwargs={"batch_size": len(batch)})
        return len(made), 0

    return pack


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=49_358)
    parser.add_argument("--length", type=int, default=2048)
    options = parser.parse_args()
    path = SHARED / "corpora/imdb_unsup.txt.gz"
    if not path.exists():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    batch = read_rows(path, options.rows)
    length = options.length
    print(f"{len(batch):,} rows, {len(batch.ids):,} tokens, blocks of {length:,}")
    ways: dict[str, Callable[[], Result]] = {
        "rows padded to blocks": lambda: pad_rows(batch, length),
        "textkit concat": lambda: ours(batch, length, "concat"),
        "textkit best-fit, rows whole": lambda: ours(batch, length, "whole"),
        "textkit best-fit": lambda: ours(batch, length, "best-fit"),
    }
    if find_spec("trl") is not None and find_spec("datasets") is not None:
        ways |= {
            "TRL bfd (cuts what is longer off)": trl_packer(batch, length, "bfd"),
            "TRL wrapped": trl_packer(batch, length, "wrapped"),
        }
    for name, way in ways.items():
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            n_blocks, n_cut = way()
            seconds.append(time.perf_counter() - start)
        fill = len(batch.ids) / np.maximum(n_blocks * length, 1)
        told = f"{fill:8.2%} filled {n_blocks:8,} blocks {n_cut:7,} cut"
        print(f"{name:36} {told} {min(seconds):8.3f} s")


if __name__ == "__main__":
    main()
