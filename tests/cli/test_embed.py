"""`textkit embed`: every row once, the same bytes after a kill, shards, formats, one line for
what goes wrong.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from tests.cli.test_tokenize_corpus import folder_bytes, write_corpus
from tests.cli.test_verbs import check, command, environment, fails
from tests.shell import run_textkit
from textkit import TextEmbedder, Vectors

WORDS = ["the", "king", "queen", "tree", "and"]
TEXTS = ["The king and the queen", "", "a \t tree", 'say "king"', "unknown", "queen 🙂 tree tree"]


@pytest.fixture
def vectors() -> str:
    Vectors(WORDS, np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)).save("vec")
    return "vec"


def read_vectors(folder: str) -> Any:
    return np.array(parquet.read_table(folder)["vector"].to_pylist(), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a.txt", "a.csv", "a.jsonl", "a.parquet", "a.txt.gz", "a.jsonl.zst"]
)
def test_a_row_out_for_each_row_in(vectors: str, name: str) -> None:
    keep = [] if ".txt" in name else ["--keep", "id"]
    done = run_textkit(
        "embed", write_corpus(name, TEXTS), "-m", vectors, "--to", "out", "--part-rows", "4", *keep
    )
    assert done.returncode == 0, done.stderr.decode()
    table = parquet.read_table("out")
    assert table["row"].to_pylist() == list(range(6))
    assert table.column_names == ["row", *keep[1:], "vector"]
    if keep:
        assert table["id"].to_pylist() == [str(i) for i in range(6)]
    np.testing.assert_array_equal(read_vectors("out"), TextEmbedder.open(vectors).encode(TEXTS))
    manifest = json.loads(Path("out/_manifest.json").read_text())
    assert (manifest["n_rows"], manifest["n_parts"], manifest["dim"]) == (6, 2, 3)
    assert manifest["rows"] == {"part-00000.parquet": 4, "part-00001.parquet": 2}
    assert "6 rows, 3 wide, 2 rows without a known word: zeros" in done.stderr.decode()
    assert "folded to lower case" in done.stderr.decode()


@pytest.mark.slow
def test_npy_and_float16(vectors: str) -> None:
    write_corpus("a.txt", TEXTS)
    check(
        "embed",
        "a.txt",
        "-m",
        vectors,
        "--to",
        "n",
        "--as",
        "npy",
        "--part-rows",
        "4",
        "--dtype",
        "float16",
    )
    parts = [np.load(path) for path in sorted(Path("n").glob("part-*.npy"))]
    assert [(part.dtype.name, part.shape) for part in parts] == [
        ("float16", (4, 3)),
        ("float16", (2, 3)),
    ]
    check("embed", "a.txt", "-m", vectors, "--to", "p", "--dtype", "float16")
    np.testing.assert_array_equal(np.concatenate(parts).astype(np.float32), read_vectors("p"))
    np.testing.assert_allclose(
        read_vectors("p"), TextEmbedder.open(vectors).encode(TEXTS), rtol=1e-3
    )


@pytest.mark.slow
def test_words_are_looked_up_whole(vectors: str) -> None:
    write_corpus("w.txt", ["king", "the king", "tree", "King"])
    check("embed", "w.txt", "-m", vectors, "--words", "--to", "zero")
    v = Vectors.open(vectors)
    np.testing.assert_array_equal(read_vectors("zero"), [v["king"], [0] * 3, v["tree"], [0] * 3])
    check("embed", "w.txt", "-m", vectors, "--words", "--unknown", "mean", "--to", "mean")
    np.testing.assert_array_equal(
        read_vectors("mean"), v.lookup(["king", "the king", "tree", "King"], "mean")
    )
    said = fails(
        3, "embed", "w.txt", "-m", vectors, "--words", "--unknown", "error", "--to", "error"
    )
    assert said.startswith("error: 'the king' is not among the 5 words of")
    assert "--unknown goes with --words" in fails(
        2, "embed", "w.txt", "-m", vectors, "--unknown", "mean", "--to", "x"
    )
    assert "--pooling is for texts" in fails(
        2, "embed", "w.txt", "-m", vectors, "--words", "--pooling", "max", "-o", "x"
    )


@pytest.mark.slow
def test_workers_and_shards_give_the_same_bytes(vectors: str) -> None:
    write_corpus("a.csv", TEXTS * 5)
    arguments = [
        "embed",
        "a.csv",
        "-m",
        vectors,
        "--part-rows",
        "7",
        "--keep",
        "id",
        "--pooling",
        "sif",
    ]
    check(*arguments, "--to", "one")
    check(*arguments, "--to", "two", "--workers", "2")
    assert folder_bytes("one") == folder_bytes("two")
    parts: dict[str, bytes] = {}
    for shard in ("1/2", "2/2"):
        check(*arguments, "--to", shard.replace("/", "-"), "--shard", shard)
        made = folder_bytes(
            shard.replace("/", "-"), but=("_job.json", "_parts.jsonl", "_manifest.json")
        )
        assert made and not made.keys() & parts.keys()
        parts |= made
    assert parts == folder_bytes("one", but=("_job.json", "_parts.jsonl", "_manifest.json"))


@pytest.mark.slow
def test_sif_is_fitted_to_the_first_rows(vectors: str) -> None:
    write_corpus("a.txt", TEXTS * 3)
    done = run_textkit(
        "embed", "a.txt", "-m", vectors, "--pooling", "sif", "--fit-rows", "5", "--to", "out"
    )
    assert "from the first 5 rows" in done.stderr.decode() and "Zipf" not in done.stderr.decode()
    wanted = TextEmbedder.open(vectors, pooling="sif").fit(TEXTS[:5]).encode(TEXTS * 3)
    np.testing.assert_array_equal(read_vectors("out"), wanted)
    assert (
        "Zipf"
        in run_textkit(
            "embed", "a.txt", "-m", vectors, "--pooling", "sif", "--fit-rows", "0", "-o", "z"
        ).stderr.decode()
    )


@pytest.mark.slow
def test_a_killed_job_resumes_to_the_same_bytes(vectors: str) -> None:
    write_corpus("a.txt", [f"{text} {WORDS[i % 5]}" for i in range(3000) for text in TEXTS])
    arguments = ["embed", "a.txt", "-m", vectors, "--part-rows", "150"]
    check(*arguments, "--to", "whole")
    generator = random.Random(1)
    kills = 0
    while True:
        resume = ["--resume"] if Path("killed/_job.json").exists() else []
        process = subprocess.Popen(
            command(*arguments, "--to", "killed", *resume),
            stderr=subprocess.PIPE,
            env=environment(),
        )
        deadline = time.monotonic() + 60
        ready = len(list(Path("killed").glob("part-*"))) + generator.randrange(15, 45)
        while process.poll() is None and len(list(Path("killed").glob("part-*"))) < ready:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, said.decode()
        kills += 1
    assert kills > 0
    assert not [*Path("killed").glob(".*")]  # what a killed process left was removed
    assert folder_bytes("killed") == folder_bytes("whole")


@pytest.mark.slow
def test_a_job_is_resumed_only_as_it_was(vectors: str) -> None:
    write_corpus("a.txt", TEXTS)
    check("embed", "a.txt", "-m", vectors, "--to", "out")
    said = fails(2, "embed", "a.txt", "-m", vectors, "--to", "out")
    assert said.endswith(
        "out holds finished work; choose another -o, or replace it with --overwrite"
    )
    before = Path("out/part-00000.parquet").stat().st_ino
    check("embed", "a.txt", "-m", vectors, "--to", "out", "--resume")
    assert (
        Path("out/part-00000.parquet").stat().st_ino == before
    )  # what is finished is not made again
    said = fails(4, "embed", "a.txt", "-m", vectors, "--to", "out", "--resume", "--pooling", "max")
    assert said.startswith("error: out/_job.json: model was ")
    assert "dtype was" in fails(
        4, "embed", "a.txt", "-m", vectors, "--to", "out", "--resume", "--dtype", "float16"
    )
    Vectors(WORDS, np.ones((5, 3), np.float32)).save("other")
    assert "model was" in fails(4, "embed", "a.txt", "-m", "other", "--to", "out", "--resume")


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_leaves_no_half_part(vectors: str) -> None:
    write_corpus("a.txt", TEXTS * 1600)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    for output in ("parquet", "npy"):
        done = subprocess.run(
            command("embed", "a.txt", "-m", vectors, "--to", output, "--as", output),
            capture_output=True,
            env=environment(),
            timeout=120,
            preexec_fn=small_disk,
        )
        lines = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
        assert done.returncode == 5, done.stderr.decode()
        assert lines == [f"error: {output}/part-00000.{output}: cannot write: File too large"]
        assert [path.name for path in Path(output).iterdir()] == ["_job.json"]


@pytest.mark.slow
def test_what_goes_wrong_is_one_line(vectors: str) -> None:
    write_corpus("a.txt", TEXTS)
    assert "no such file or folder" in fails(4, "embed", "a.txt", "-m", "nosuch", "--to", "x")
    more = ["embed", "a.txt", "-m", vectors, "--to", "x", "--keep"]
    assert ".npy holds vectors alone" in fails(2, *more, "id", "--as", "npy")
    assert "column 'vector' of its own" in fails(2, *more, "vector")
    assert "unknown pooling 'meen'" in fails(
        2, "embed", "a.txt", "-m", vectors, "--to", "x", "--pooling", "meen"
    )
    assert "option prompt is not for vectors" in fails(
        2, "embed", "a.txt", "-m", vectors, "--to", "x", "--prompt", "q"
    )
    assert "name a file" in fails(2, "embed", "-", "-m", vectors, "--to", "x", input=b"a")
    Path("tok").mkdir()
    check("tokenizer", "train", "a.txt", "-k", "char", "-o", "t")
    assert "a tokenizer, which makes no vectors" in fails(
        4, "embed", "a.txt", "-m", "t", "--to", "x"
    )
    Path("empty.csv").touch()
    assert "empty.csv: file is empty" in fails(3, "embed", "empty.csv", "-m", vectors, "--to", "e")
    Path("empty.txt").touch()
    done = run_textkit("embed", "empty.txt", "-m", vectors, "--to", "none")
    assert done.returncode == 0 and "0 parts, 0 rows" in done.stderr.decode()
    Vectors(["king"], np.full((1, 2), 1e6, np.float32)).save("big")
    said = fails(3, "embed", "a.txt", "-m", "big", "--dtype", "float16", "--to", "b")
    assert said == "error: row 0 holds 1e+06, more than float16 can; take float32 (--dtype)"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_corpus(vectors: str) -> None:
    measure = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True,"
        " stderr=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    peaks = []
    for n_rows in (10_000, 80_000):
        write_corpus("a.txt", [TEXTS[0]] * n_rows)
        arguments = command(
            "embed", "a.txt", "-m", vectors, "--to", f"o{n_rows}", "--part-rows", "2000"
        )
        made = subprocess.run(
            [arguments[0], "-c", measure, *arguments], capture_output=True, env=environment()
        )
        peaks.append(int(made.stdout))
    assert peaks[1] < peaks[0] * 1.15 + 4096, peaks


def test_a_transformer_embeds_and_resumes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers", reason="transformers is not installed")
    from tests.embedders.test_contextual import save_bert
    from textkit.cli import app

    def embed(*options: str) -> None:  # in this process, which has imported transformers already
        app(
            args=["embed", "a.txt", "-m", str(folder), *options],
            prog_name="textkit",
            standalone_mode=False,
        )

    folder = save_bert(tmp_path / "bert")
    write_corpus("a.txt", ["the king and the queen", "", "tree " * 90, "a tree"] * 6)
    options = ["--part-rows", "10", "--device", "cpu", "--normalize"]
    embed(*options, "--to", "whole")
    assert "24 rows, 16 wide, 6 rows cut at the model's length" in capfd.readouterr().err
    np.testing.assert_allclose(np.linalg.norm(read_vectors("whole"), axis=1), 1, rtol=1e-5)
    shutil.copytree("whole", "again")
    for name in ("part-00001.parquet", "_manifest.json"):
        (Path("again") / name).unlink()
    embed(*options, "--to", "again", "--resume")
    assert folder_bytes("again") == folder_bytes("whole")
