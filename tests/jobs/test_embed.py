"""Embedding a corpus as one Python call: what the shell makes, and nothing is printed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_tokenize_corpus import folder_bytes, write_corpus
from tests.cli.test_verbs import check
from tests.golden.observations import GOLDEN
from textkit import TextEmbedder, Vectors
from textkit.errors import UsageError
from textkit.jobs import EmbedOptions, embed_corpus
from textkit.watch import Progress, Watch

WORDS = ["the", "king", "queen", "tree", "and"]
TEXTS = ["The king and the queen", "", "a \t tree", 'say "king"', "unknown", "queen 🙂 tree tree"]


@pytest.fixture
def options() -> EmbedOptions:
    Vectors(WORDS, np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)).save("vec")
    write_corpus("a.csv", TEXTS * 5)
    return EmbedOptions(
        inputs=["a.csv"], model="vec", out=Path("out"), keep=("id",), part_rows=7, pooling="sif"
    )


def test_a_call_makes_the_folder_that_the_shell_makes(
    options: EmbedOptions, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Progress] = []
    notes: list[str] = []
    report = embed_corpus(options, watch=Watch(progress=seen.append, note=notes.append))
    assert capfd.readouterr() == ("", "")
    arguments = ["-m", "vec", "--keep", "id", "--part-rows", "7", "--pooling", "sif"]
    check("embed", "a.csv", *arguments, "-o", "shell")
    assert folder_bytes("out") == folder_bytes("shell")
    assert (report.n_parts, report.n_rows, report.dim) == (5, 30, 3)
    assert (report.counts.n_rows, report.counts.n_empty) == (30, 10)
    assert [entry.done for entry in seen] == [0, 7, 14, 21, 28, 30]
    assert {entry.title for entry in seen} == {"embedding"}
    assert [note.split(":")[0] for note in notes] == [
        "SIF",
        "the vectors have no upper case",
        "a.csv",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("output", ["parquet", "npy"])
def test_two_workers_give_the_same_bytes(options: EmbedOptions, output: str) -> None:
    options = replace(options, output=output, keep=())
    one = embed_corpus(options)
    two = embed_corpus(replace(options, out=Path("two"), workers=2))
    assert folder_bytes("out") == folder_bytes("two")
    assert one.counts == two.counts


def test_a_stopped_job_is_gone_on_with(options: EmbedOptions) -> None:
    embed_corpus(replace(options, out=Path("whole")))
    stops = iter([False, False, True])
    first = embed_corpus(options, watch=Watch(should_stop=lambda: next(stops)))
    assert (first.stopped, first.counts.n_rows, first.dim) == (True, 14, 3)
    assert not Path("out/_manifest.json").exists()
    second = embed_corpus(replace(options, resume=True))
    assert (second.stopped, second.n_ready, second.counts.n_rows) == (False, 2, 16)
    assert folder_bytes("out") == folder_bytes("whole")


def test_an_open_embedder_may_do_the_work(options: EmbedOptions) -> None:
    embedder = TextEmbedder.open("vec", pooling="max")
    given = replace(options, model=embedder, pooling=None, output="npy", keep=())
    embed_corpus(given)
    embed_corpus(replace(given, out=Path("two"), workers=2))
    assert folder_bytes("out") == folder_bytes("two")
    parts = [np.load(path) for path in sorted(Path("out").glob("part-*.npy"))]
    np.testing.assert_array_equal(np.concatenate(parts), embedder.encode(TEXTS * 5))
    with pytest.raises(UsageError, match="pooling is for a model that is opened by its name"):
        embed_corpus(replace(given, pooling="mean", out=Path("three")))


def test_what_one_process_must_do_is_not_shared_out(options: EmbedOptions) -> None:
    words = replace(options, words=True, pooling=None)
    assert embed_corpus(words).counts.n_empty == 30
    with pytest.raises(UsageError, match="--workers is for texts by vectors"):
        embed_corpus(replace(words, workers=2, out=Path("two")))
    with pytest.raises(UsageError, match="--pooling is for texts"):
        embed_corpus(replace(words, pooling="max", out=Path("two")))
    with pytest.raises(UsageError, match="--batch-tokens is for texts"):
        embed_corpus(replace(words, batch_tokens=9, out=Path("two")))
    assert not Path("two").exists()


def test_a_run_folder_stands_for_its_model(options: EmbedOptions) -> None:
    shutil.copytree(GOLDEN / "model-2-lstm", "runs/first/model")
    of_model = embed_corpus(replace(options, model="runs/first/model", pooling=None))
    of_run = embed_corpus(replace(options, model="runs/first", pooling=None, out=Path("run")))
    assert of_run.dim == of_model.dim
    assert folder_bytes("out") == folder_bytes("run")
