"""The shell commands whose results are golden, run as a user runs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from tests.golden.observations import GOLDEN, see_parts, see_run
from tests.shell import run_textkit

RUN = ["--epochs", "12", "--device", "cpu", "--seed", "1", "-e", "lstm", "-t", "whitespace"]
RUN += ["--no-baseline"]
for _choice in ("encoder.dim=4", "embedding.dim=6", "encoder.members=2"):
    RUN += ["-s", _choice]
for _choice in ("threads=1", "batch_size=4", "patience=12", "checkpoint_seconds=0"):
    RUN += ["-s", f"training.{_choice}"]

BPE, WORDS = str(GOLDEN / "tokenizer-1-bpe"), str(GOLDEN / "vectors-1-float32")
PARTS = ["--part-rows", "3", "--keep", "id", "-o", "out"]
BULK = {
    "tokenize to parquet": ["tokenize", "corpus.jsonl", "-t", BPE, *PARTS],
    "tokenize to jsonl": ["tokenize", "corpus.jsonl", "-t", BPE, "--to", "jsonl", *PARTS],
    "embed to parquet": ["embed", "corpus.jsonl", "-m", WORDS, *PARTS],
}


def environment() -> dict[str, str]:
    """Run the textkit that this process imports."""
    import textkit

    root = str(Path(textkit.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def shell(*arguments: str, folder: Path) -> None:
    """Run `textkit` in a folder; a failure shows what it said."""
    done = run_textkit(*arguments, folder=folder)
    assert done.returncode == 0, done.stderr.decode()


def resume(folder: Path) -> dict[str, Any]:
    """Go on with the stopped run in a folder and look at its end."""
    shell("train", "train.csv", "-o", "run", "--resume", "--no-baseline", folder=folder)
    assert not (folder / "run" / "checkpoints").exists()
    return see_run(folder / "run")


def bulk(name: str, folder: Path) -> dict[str, Any]:
    """Run one of BULK on the golden corpus and look at its parts."""
    shutil.copy(GOLDEN / "corpus.jsonl", folder)
    shutil.rmtree(folder / "out", ignore_errors=True)
    shell(*BULK[name], folder=folder)
    return see_parts(folder / "out")
