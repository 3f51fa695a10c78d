"""A job taken up again: the same inputs by what they hold, the same parts by their hashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import Vectors
from textkit.errors import ArtifactError, UsageError
from textkit.io import bulk, files, locks
from textkit.jobs import EmbedOptions, TokenizeOptions, embed_corpus, tokenize_corpus
from textkit.watch import Progress, Watch

ROWS = [f"row {i} of the {'good' if i % 2 else 'bad'} film" for i in range(20)]
KINDS = ["parquet", "jsonl", "npy"]


def write_rows(name: str = "in.txt", *, rows: list[str] = ROWS) -> Path:
    Path(name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return Path(name)


def run(kind: str, out: str = "out", *, watch: Watch = Watch(), **more: Any) -> Any:
    """Tokenize, or for npy embed, in parts of 5 rows."""
    chosen = {"inputs": ["in.txt"], "out": Path(out), "part_rows": 5, "output": kind, **more}
    if kind != "npy":
        return tokenize_corpus(TokenizeOptions(**chosen), watch=watch)
    if not Path("v").exists():
        Vectors(["good", "film"], np.eye(2, dtype=np.float32)).save("v")
    return embed_corpus(EmbedOptions(model="v", **chosen), watch=watch)


def stop_after(n_rows: int) -> Watch:
    """Give a watch that stops a job once so many rows are done."""
    done = [0]

    def hear(progress: Progress) -> None:
        done[0] = progress.done

    return Watch(progress=hear, should_stop=lambda: done[0] >= n_rows)


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def parts(folder: str) -> list[Path]:
    return sorted(Path(folder).glob("part-*"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("damage", [b"garbage", b"", None])
def test_a_damaged_part_is_made_again(kind: str, finished: bool, damage: bytes | None) -> None:
    write_rows()
    run(kind, "whole")
    assert run(kind, watch=Watch() if finished else stop_after(15)).stopped is not finished
    first, second, *_ = parts("out")
    second.write_bytes(first.read_bytes() if damage is None else damage)
    report = run(kind, resume=True)
    assert report.n_ready == (3 if finished else 2)
    assert contents("out") == contents("whole")


@pytest.mark.parametrize("kind", KINDS)
def test_another_input_of_the_same_name_and_size_is_refused(kind: str) -> None:
    write_rows()
    run(kind, watch=stop_after(10))
    before = contents("out")
    path = write_rows(rows=[row.upper() for row in ROWS])
    with pytest.raises(ArtifactError, match=r"^out/_job\.json: in\.txt is not as it was when"):
        run(kind, resume=True)
    assert contents("out") == before
    write_rows()
    os.utime(path, ns=(1, 1))  # the same bytes, whenever they were written
    assert not run(kind, resume=True).stopped


@pytest.mark.parametrize("place", [0, -3])
def test_a_large_input_is_known_by_its_ends_and_time(
    place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_WHOLE_BYTES", 100)
    monkeypatch.setattr(bulk, "_END_BYTES", 10)
    path = write_rows()
    os.utime(path, ns=(10, 10))
    run("jsonl", watch=stop_after(10))
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(10, 10))
    with pytest.raises(ArtifactError, match=r"in\.txt is not as it was"):
        run("jsonl", resume=True)
    write_rows()
    with pytest.raises(ArtifactError, match=r"in\.txt is not as it was"):
        run("jsonl", resume=True)  # written since
    os.utime(path, ns=(10, 10))
    assert not run("jsonl", resume=True).stopped


@pytest.mark.parametrize("end", [b'{"name": "part-00001.jsonl", "sha', b"\n\x00\n", b"[]\n"])
def test_a_line_that_a_kill_cut_off_is_none(end: bytes) -> None:
    write_rows()
    run("jsonl", "whole")
    run("jsonl", watch=stop_after(10))
    log = Path("out/_parts.jsonl")
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0] + end)
    assert run("jsonl", resume=True).n_ready == 1
    assert contents("out") == contents("whole")


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_of_the_whole_job(kind: str) -> None:
    write_rows()
    whole = run(kind, "whole")
    run(kind, watch=stop_after(10))
    report = run(kind, resume=True)
    assert (report.counts.n_rows, report.n_rows, report.whole.n_rows) == (10, 20, 20)
    assert report.whole == whole.whole == whole.counts


@pytest.mark.parametrize("kind", KINDS)
def test_a_finished_job_is_replaced_only_when_that_is_said(kind: str) -> None:
    write_rows()
    run(kind)
    before = contents("out")
    write_rows(rows=ROWS[::-1])
    with pytest.raises(UsageError, match=r"^out holds finished work; .* with --overwrite$"):
        run(kind)
    with pytest.raises(UsageError, match=r"leave one out$"):
        run(kind, resume=True, overwrite=True)
    assert run(kind, overwrite=True, watch=stop_after(10)).folder == Path("out.new")
    assert contents("out") == before
    with pytest.raises(UsageError, match=r"^out\.new is to replace out and is not over"):
        run(kind)
    Path("out/README").write_text("mine", encoding="utf-8")
    run(kind, resume=True)
    run(kind, "fresh")
    assert contents("out") == contents("fresh") | {"README": b"mine"}
    assert not Path("out.new").exists()


def test_a_job_that_was_stopped_is_begun_anew_only_when_that_is_said() -> None:
    write_rows()
    run("jsonl", watch=stop_after(10))
    with pytest.raises(UsageError, match=r"^out holds a job already; go on with --resume"):
        run("jsonl")
    Path("out/.part-00003.jsonl.0123456789ab.part").write_bytes(b"of a killed process")
    run("jsonl", overwrite=True, part_rows=4)
    run("jsonl", "fresh", part_rows=4)
    assert contents("out") == contents("fresh")


def test_a_killed_exchange_of_jobs_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows()
    run("jsonl")
    write_rows(rows=ROWS[::-1])

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("textkit.io.staging.Stage._let_go", die)
        run("jsonl", overwrite=True)
    assert Path("out.new/_manifest.json").exists() and not Path("out/_manifest.json").exists()
    run("jsonl", resume=True)
    run("jsonl", "fresh")
    assert contents("out") == contents("fresh") and not Path("out.new").exists()


def test_a_folder_is_kept_to_one_job_at_a_time() -> None:
    write_rows()
    with locks.held("out"), pytest.raises(UsageError, match=r"^out is being written by process"):
        run("jsonl")
    assert not Path("out").exists()


@pytest.mark.slow
def test_workers_end_with_their_parent() -> None:
    """A worker that outlives its parent holds the pipes that it inherited."""
    write_rows(rows=ROWS * 20_000)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "textkit", "tokenize", "in.txt", "-o", "out"),
            *("--workers", "2", "--part-rows", "2000"),
        ],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=subprocess.PIPE,
    )
    while not parts("out"):
        assert process.poll() is None
    process.kill()
    process.communicate(timeout=60)  # the end of standard error comes with the last worker's
    assert not Path("out/_manifest.json").exists()


def test_the_manifest_holds_the_hashes_that_were_written() -> None:
    write_rows()
    run("parquet")
    listed = json.loads(Path("out/_manifest.json").read_text(encoding="utf-8"))["files"]
    assert {*listed} == {*(path.name for path in parts("out")), "_job.json", "_parts.jsonl"}
    for name, entry in listed.items():
        assert entry["sha256"] == files.sha256(Path("out", name))
