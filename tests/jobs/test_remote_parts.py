"""Parts written to a URL: the files of a folder here, taken up after a stop, and never over others'
work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import Vectors
from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.io import files
from textkit.io.remote import send_file
from textkit.jobs import EmbedOptions, TokenizeOptions, embed_corpus, tokenize_corpus
from textkit.jobs.search import SearchBuildOptions, build_search
from textkit.watch import Progress, Watch

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

ROWS = [f"row {i} of the {'good' if i % 2 else 'bad'} film" for i in range(20)]


@pytest.fixture
def store() -> Iterator[Any]:
    """Give an empty file system in memory, and rows beside it."""
    Path("in.txt").write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    found = fsspec.filesystem("memory")
    found.store.clear()
    yield found
    found.store.clear()


def run(out: str, *, watch: Watch = Watch(), **more: Any) -> Any:
    options = {"inputs": ["in.txt"], "out": Path(out), "part_rows": 5, **more}
    return tokenize_corpus(TokenizeOptions(**options), watch=watch)


def here(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def there(store: Any, folder: str) -> dict[str, bytes]:
    return {name.rpartition("/")[2]: store.cat_file(name) for name in store.find(folder)}


def stop_after(n_rows: int) -> Watch:
    done = [0]

    def hear(progress: Progress) -> None:
        done[0] = progress.done

    return Watch(progress=hear, should_stop=lambda: done[0] >= n_rows)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_files_are_those_of_a_folder_here(store: Any, workers: int) -> None:
    run("whole")
    if workers > 1:  # other processes have a memory of their own
        url = Path("file-out").absolute().as_uri()
        run(url, workers=workers)
        assert here("file-out") == here("whole")
        return
    made = run("memory://bucket/out")
    assert there(store, "/bucket/out") == here("whole")
    assert (made.n_parts, made.n_rows, str(made.folder)) == (4, 20, "memory:/bucket/out")
    assert made.place == "memory://bucket/out"


def test_vectors_go_there_too(store: Any) -> None:
    Vectors(["good", "film"], np.eye(2, dtype=np.float32)).save("v")
    for out in ("rows", "memory://rows"):
        embed_corpus(EmbedOptions(inputs=["in.txt"], model="v", out=Path(out), output="npy"))
    assert there(store, "/rows") == here("rows")


def test_a_stopped_job_goes_on_there_and_a_part_of_another_size_is_made_again(store: Any) -> None:
    run("whole")
    assert run("memory://out", watch=stop_after(15)).stopped
    assert set(there(store, "/out")) == {
        *(f"part-0000{n}.parquet" for n in range(3)),
        "_job.json",
        "_parts.jsonl",
    }
    store.pipe("/out/part-00001.parquet", b"damage")
    made = run("memory://out", resume=True)
    assert (made.n_ready, made.counts.n_rows, made.whole.n_rows) == (2, 10, 20)
    assert there(store, "/out") == here("whole")


def test_what_is_known_is_sent_where_a_part_fails(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("whole")

    def fail_third(file: Path, url: str) -> None:
        if "00002" in url:
            raise StorageError("no room", where=url)
        send_file(file, url)

    with monkeypatch.context() as patch:
        patch.setattr("textkit.io.remote_folder.send_file", fail_third)
        with pytest.raises(StorageError, match=r"^memory://out/part-00002\.parquet: no room$"):
            run("memory://out")
    assert run("memory://out", resume=True).n_ready == 2
    assert there(store, "/out") == here("whole")


def test_others_work_is_not_written_over(store: Any) -> None:
    run("memory://out")
    with pytest.raises(UsageError, match=r"^memory://out holds finished work; go on with"):
        run("memory://out")
    with pytest.raises(ArtifactError, match=r"^memory://out/_job\.json: max_length was None"):
        run("memory://out", resume=True, max_length=3)
    with pytest.raises(UsageError, match="leave one out"):
        run("memory://out", resume=True, overwrite=True)
    store.pipe("/out/mine.txt", b"mine")
    run("memory://out", overwrite=True, max_length=3)
    run("short", max_length=3)
    assert there(store, "/out") == {**here("short"), "mine.txt": b"mine"}
    store.pipe("/other/mine.txt", b"mine")
    with pytest.raises(StorageError, match=r"^memory://other: folder is not empty and holds no"):
        run("memory://other")


def test_a_system_that_shows_half_a_file_gets_another_name_first(tmp_path: Path) -> None:
    Path("a").write_bytes(b"bytes")
    send_file(Path("a"), (tmp_path / "deep" / "b").as_uri())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["b"]
    assert (tmp_path / "deep" / "b").read_bytes() == b"bytes"


@pytest.mark.parametrize("out", ["memory://index", "memory://out.csv"])
def test_what_is_not_parts_is_not_written_there(out: str, store: Any) -> None:
    with pytest.raises(
        UsageError, match=rf"^{out} cannot be written; parts of tokenize, embed and"
    ):
        if out.endswith(".csv"):
            files.write_text(out, "text")
        else:
            build_search(SearchBuildOptions(inputs=["in.txt"], out=Path(out)))
    assert not store.find("/") and not Path("memory:").exists()
