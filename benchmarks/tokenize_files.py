"""File to Parquet: `textkit tokenize` beside `datasets.map(batched=True)` with the same tokenizer,
in one run.

Each runs in a process of its own on the same text file (IMDb reviews from ../shared/data, 65 MB;
--rows cuts it); ids of both are compared before the times are printed. Time and peak memory are the
whole process's, imports included.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
PEER = """
import sys, time
from datasets import load_dataset
from transformers import PreTrainedTokenizerFast
source, tokenizer, target, cache = sys.argv[1:]
tok = PreTrainedTokenizerFast(tokenizer_file=tokenizer)
rows = load_dataset("text", data_files=source, split="train", cache_dir=cache)
encode = lambda batch: {"ids": tok(batch["text"], add_special_tokens=False,
                                    return_attention_mask=False,
                                    return_token_type_ids=False, verbose=False)["input_ids"]}
started = time.perf_counter()
rows.map(encode, batched=True, remove_columns=["text"]).to_parquet(target)
print(time.perf_counter() - started)
"""


def run(arguments: list[str]) -> tuple[float, float, str]:
    """Run a command; give its wall time in seconds, its peak memory in MiB and what it printed."""
    environment = {**os.environ, "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{arguments[:4]} ended with {status}"
    return time.perf_counter() - started, usage.ru_maxrss / 1024, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=49_358)
    n_rows = parser.parse_args().rows
    if not SHARED.is_dir():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with gzip.open(SHARED / "corpora/imdb_unsup.txt.gz", "rb") as file:
            (folder / "a.txt").write_bytes(b"".join(itertools.islice(file, n_rows)))
        textkit = [sys.executable, "-m", "textkit"]
        kinds = ("bpe", "wordpiece")
        # All are measured before the first ids are compared: a child's peak memory begins at what
        # its parent holds.
        measured = [measure(kind, folder, textkit) for kind in kinds]
        for kind, figures in zip(kinds, measured, strict=True):
            compare(kind, folder, *figures)


def measure(
    kind: str, folder: Path, textkit: list[str]
) -> tuple[tuple[float, float, str], tuple[float, float, str]]:
    """Train a tokenizer on the first rows, then tokenize all with it, by textkit and by
    datasets.
    """
    source, sample, tok = folder / "a.txt", folder / "sample.txt", folder / f"tok-{kind}"
    with source.open("rb") as file:
        sample.write_bytes(b"".join(itertools.islice(file, 5000)))
    run(
        [*textkit, "tokenizer", "train", str(sample), "-k", kind, "--size", "16000", "-o", str(tok)]
    )
    plain = ["--no-spans", "--no-tokens"]
    ours = run(
        [
            *textkit,
            "tokenize",
            str(source),
            "-t",
            str(tok),
            "-o",
            str(folder / f"ours-{kind}"),
            *plain,
        ]
    )
    names = [tok / "tokenizer.json", folder / f"theirs-{kind}.parquet", folder / f"cache-{kind}"]
    return ours, run([sys.executable, "-c", PEER, str(source), *map(str, names)])


def compare(
    kind: str, folder: Path, ours: tuple[float, float, str], theirs: tuple[float, float, str]
) -> None:
    """Check that the ids are equal, then say what was measured."""
    from pyarrow import parquet

    (seconds, memory, _), (peer_seconds, peer_memory, said) = ours, theirs
    expected = parquet.read_table(folder / f"theirs-{kind}.parquet")["ids"]
    found = parquet.read_table(folder / f"ours-{kind}", columns=["ids"])["ids"]
    assert len(expected) == len(found)
    assert all(a.as_py() == b.as_py() for a, b in zip(expected, found, strict=True)), "ids differ"
    size = (folder / "a.txt").stat().st_size / 1e6
    print(f"{kind}: {len(found):,} rows, {size:.1f} MB, ids equal")
    report("textkit tokenize, whole process", seconds, size, memory)
    report("datasets.map, whole process", peer_seconds, size, peer_memory)
    map_seconds = float(json.loads(said.strip().splitlines()[-1]))
    print(f"  datasets.map alone, without imports    {map_seconds:7.1f} s")
    print(f"  ratio of the processes {peer_seconds / seconds:.1f}")
    print(f"  ratio of our process to map alone {map_seconds / seconds:.1f}")


def report(name: str, seconds: float, size: float, memory: float) -> None:
    print(f"  {name:38} {seconds:7.1f} s {size / seconds:7.1f} MB/s  {memory:6.0f} MiB peak")


if __name__ == "__main__":
    main()
