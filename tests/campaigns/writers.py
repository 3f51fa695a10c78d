"""Everything of textkit that writes, as small pieces of work for the campaigns of faults and of
power loss.

Out: Writers. Each makes what is there before, then what takes its place, in the working directory,
of inputs that `prepare` wrote. What they are made of is made once, here, so that a forked child
needs milliseconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from textkit import TextClassifier, Vectors, tokenizers
from textkit.io import files
from textkit.io.row_files import copy_rows
from textkit.jobs import (
    EmbedOptions,
    TokenizeOptions,
    TrainOptions,
    embed_corpus,
    tokenize_corpus,
    train_run,
)
from textkit.jobs.compress import CompressOptions, compress_model
from textkit.jobs.dedup import DedupOptions, dedup_file
from textkit.jobs.export import ExportOptions, export_model
from textkit.jobs.predictions import PredictCorpusOptions, predict_corpus
from textkit.jobs.search import SearchBuildOptions, build_search
from textkit.jobs.train_vectors import TrainVectorsOptions, train_word_vectors
from textkit.vectors.gensim_model import VectorTraining

Work = Callable[[], object]
OUT = "out"  # what every writer writes


@dataclass(frozen=True)
class Writer:
    """old: makes what is there before, if anything. new: what is spoilt. again: what is run after a
    fault, where it is not the same. steps: a fault may leave what `again` goes on from. outs: what
    it writes. models: it needs the models among the inputs.
    """

    name: str
    old: Work
    new: Work
    again: Work | None = None
    steps: bool = False
    outs: tuple[str, ...] = (OUT,)
    models: bool = False


def nothing() -> None:
    """Have nothing there before."""


def tokenize(output: str, **more: bool) -> None:
    """Tokenize the corpus into parts of 4 rows."""
    options = TokenizeOptions(
        inputs=["in.txt"], out=Path("out"), output=output, part_rows=4, **more
    )
    tokenize_corpus(options)


def embed(output: str, **more: bool) -> None:
    """Embed the corpus into parts of 4 rows."""
    options = EmbedOptions(
        inputs=["in.txt"], model="v", out=Path("out"), output=output, part_rows=4, **more
    )
    embed_corpus(options)


def go_on(work: Callable[..., None], output: str) -> None:
    """Resume a job where there is one, else begin it: what a user does."""
    begun = Path("out.new").is_dir() or Path("out/_job.json").exists()
    work(output, **({"resume": True} if begun else {}))


def replace_job() -> None:
    """Replace a finished job by one on other rows, or go on with that."""
    Path("in.txt").write_bytes(b"another row of words\n" * 9)
    is_finished = Path("out/_manifest.json").exists() and not Path("out.new").is_dir()
    tokenize("jsonl", **{"overwrite" if is_finished else "resume": True})


def train_words() -> None:
    """Train word vectors in the place of others, or go on with that."""
    goes_on = Path("out.training/_job.json").exists()
    if not goes_on:
        shutil.rmtree("out.training", ignore_errors=True)
    options = TrainVectorsOptions(
        inputs=["in.txt"],
        out=Path("out"),
        training=VectorTraining(dim=4, epochs=1, min_count=1),
        overwrite=not goes_on,
        resume=goes_on,
    )
    train_word_vectors(options)


TEXTS = ["good film", "fine plot", "great song", "bad film", "poor plot", "awful song"] * 2
LABELS = ["pos", "pos", "pos", "neg", "neg", "neg"] * 2
SMALL: dict[str, Any] = {
    "encoder": "bag",
    "embedding__dim": 4,
    "training__epochs": 1,
    "training__device": "cpu",
    "training__threads": 1,
}


@cache
def networks() -> list[TextClassifier]:
    """Fit two small networks, with labels of their own."""
    names = [LABELS, [f"very {label}" for label in LABELS]]
    return [TextClassifier(**SMALL, seed=seed).fit(TEXTS, names[seed]) for seed in (0, 1)]


@cache
def machines() -> list[TextClassifier]:
    """Fit two small linear models."""
    names = [LABELS, [f"very {label}" for label in LABELS]]
    return [TextClassifier(encoder="linear", seed=0).fit(TEXTS, labels) for labels in names]


def keep_checkpoints(first: int, last: int) -> None:
    """Write the checkpoints of some steps, as a training does one after the other."""
    import torch

    from textkit.training import checkpoints

    for step in range(first, last + 1):
        parts = {"network": {"weight": torch.full((3,), float(step))}}
        state: Any = {"epoch": step}
        checkpoints.save(Path("out"), checkpoints.Checkpoint(parts, state), step=step)


def train(seed: int, **more: bool) -> None:
    """Train a small network into a run folder, with a checkpoint after every step."""
    sizes = ["encoder.name=bag", "embedding.dim=4", "training.device=cpu", "training.threads=1"]
    sizes += ["training.checkpoint_seconds=0", "training.epochs=2", "training.batch_size=6"]
    options = TrainOptions(
        data=Path("train.csv"),
        out=Path("out"),
        overrides=[*sizes, f"seed={seed}"],
        baseline=False,
        curves=False,
        **more,
    )
    train_run(options)


def replace_training() -> None:
    """Train in the place of a finished run, or go on with that."""
    if Path("out.new/data.json").exists() and Path("out.new/recipe.toml").exists():
        train(1, resume=True)
    else:
        train(1, overwrite=True)


def predict(model: str, **more: bool) -> None:
    """Predict the corpus into one file, in parts of 4 rows."""
    options = PredictCorpusOptions(
        inputs=["in.txt"], model=Path(model), out=Path("out"), output="csv", part_rows=4, **more
    )
    predict_corpus(options)


def index(corpus: str, **more: bool) -> None:
    """Index a corpus, in parts of 4 rows."""
    options = SearchBuildOptions(inputs=[corpus], model="v", out=Path("out"), part_rows=4, **more)
    build_search(options)


def go_on_beside(work: Callable[..., None], name: str) -> None:
    """Resume work whose parts lie beside, where there are any, else do it."""
    begun = Path("out.parts/_job.json").exists()
    if not begun:
        shutil.rmtree("out.parts", ignore_errors=True)
    work(name, **{"resume" if begun else "overwrite": True})


def dedup(name: str) -> None:
    """Write the rows that repeat no other, and the report of those that went."""
    dedup_file(DedupOptions(data=Path(name), out=Path("out.txt"), overwrite=True))


def export(model: str, out: str) -> None:
    """Export a model."""
    export_model(ExportOptions(model=Path(model), out=Path(out), overwrite=True))


def compress(model: str) -> None:
    """Compress a model."""
    compress_model(CompressOptions(model=Path(model), out=Path("out"), overwrite=True))


def writers() -> list[Writer]:
    """List the writers, with inputs that they find in their folder."""
    words = [tokenizers.train("word", [text] * 3) for text in ("alpha beta", "gamma delta epsilon")]
    rows = [np.full((2, 3), value, np.float32) for value in (1.0, 2.0)]
    tables = [Vectors(["king", "tree"], table) for table in rows]

    def write(text: str) -> Work:
        return lambda: files.write_text("out", text * 9000)

    def save(thing: tokenizers.Tokenizer | Vectors | TextClassifier) -> Work:
        return lambda: thing.save("out", overwrite=True)

    def split(n_rows: int) -> Work:
        lines = np.arange(1, 11)
        return lambda: copy_rows("in.txt", lines, [(Path("out"), np.arange(n_rows))])

    def job(work: Callable[[str], None], output: str) -> Writer:
        begin, again = partial(work, output), partial(go_on, work, output)
        return Writer(f"{work.__name__} {output}", nothing, begin, again, steps=True)

    return [
        Writer("file", write("old"), write("new!")),
        Writer("new file", nothing, write("new!")),
        Writer("rows", split(2), split(3)),
        Writer("tokenizer", save(words[0]), save(words[1])),
        Writer("new tokenizer", nothing, save(words[1])),
        Writer("vectors", save(tables[0]), save(tables[1])),
        job(tokenize, "parquet"),
        job(tokenize, "jsonl"),
        job(embed, "npy"),
        Writer("replaced job", partial(tokenize, "jsonl"), replace_job, steps=True),
        Writer("trained vectors", save(tables[0]), train_words),
        Writer("model", lambda: save(machines()[0])(), lambda: save(machines()[1])()),
        Writer("network", lambda: save(networks()[0])(), lambda: save(networks()[1])()),
        Writer(
            "checkpoint",
            partial(keep_checkpoints, 1, 2),
            partial(keep_checkpoints, 3, 3),
            steps=True,
        ),
        Writer("training", nothing, partial(train, 1), replace_training, steps=True),
        Writer("replaced training", partial(train, 0), replace_training, steps=True),
        Writer(
            "predictions",
            partial(predict, "model"),
            partial(predict, "other", overwrite=True),
            partial(go_on_beside, predict, "other"),
            steps=True,
            models=True,
        ),
        Writer(
            "search index",
            partial(index, "in.txt"),
            partial(index, "more.txt", overwrite=True),
            partial(go_on_beside, index, "more.txt"),
            steps=True,
        ),
        Writer(
            "dedup",
            partial(dedup, "in.txt"),
            partial(dedup, "more.txt"),
            steps=True,
            outs=("out.txt", "out.txt.removed.csv"),
        ),
        Writer("export", partial(export, "model", OUT), partial(export, "other", OUT), models=True),
        Writer(
            "zipped export",
            partial(export, "model", "out.zip"),
            partial(export, "other", "out.zip"),
            outs=("out.zip",),
            models=True,
        ),
        Writer("compress", partial(compress, "model"), partial(compress, "other"), models=True),
    ]


def prepare(folder: Path, *, models: bool) -> None:
    """Write the inputs of a writer."""
    folder.mkdir()
    (folder / "in.txt").write_bytes(b"the king and the tree\nof a row\n" * 5)
    (folder / "more.txt").write_bytes(b"a tree\nthe king\nA tree!\na row of words\n" * 3)
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    (folder / "train.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    Vectors(["king", "tree"], np.eye(2, dtype=np.float32)).save(folder / "v")
    if models:
        for name, classifier in zip(("model", "other"), machines(), strict=True):
            classifier.save(folder / name)
