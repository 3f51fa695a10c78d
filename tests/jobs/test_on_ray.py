"""Parts made on Ray: the bytes of one machine, in order, whatever is killed; and what is said where
it cannot be. One Ray of two processors serves all tests that need one.
"""

from __future__ import annotations

import importlib.util
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit import TextEmbedder, Vectors
from textkit.errors import ArtifactError, DataError, MissingExtraError, StorageError, UsageError
from textkit.io.bulk import Part
from textkit.io.corpus import Row
from textkit.jobs import EmbedOptions, TokenizeOptions, embed_corpus, tokenize_corpus
from textkit.jobs.on_ray import connected, map_on_ray, parse_on
from textkit.jobs.search import SearchBuildOptions, build_search
from textkit.jobs.tokenize import count_corpus
from textkit.jobs.tokenizer import (
    CountPiecesOptions,
    PieceOptions,
    TrainTokenizerOptions,
    count_pieces,
    train_tokenizer,
)
from textkit.watch import Progress, Watch

ROWS = [f"row {i} of the {'good' if i % 2 else 'bad'} film" for i in range(40)]
PARTS = [Part(n, n, [Row(f"text {n}", None, n + 1)]) for n in range(8)]


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Begin a Ray of two processors for the tests of this file."""
    module = pytest.importorskip("ray", reason="ray is not installed")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    module.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield module
    module.shutdown()
    del os.environ["RAY_USAGE_STATS_ENABLED"]


def write_rows(name: str = "in.txt") -> Path:
    Path(name).write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    return Path(name)


def contents(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def tokens(out: str, *, watch: Watch = Watch(), **more: Any) -> Any:
    options = TokenizeOptions(inputs=["in.txt"], out=Path(out), part_rows=5, **more)
    return tokenize_corpus(options, watch=watch)


@dataclass(frozen=True)
class DiesOnce:
    """Ends its process at every part the first time, as a kill does."""

    folder: Path

    def __call__(self, part: Part) -> tuple[int, str]:
        mark = self.folder / str(part.number)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return part.number, part.texts[0]


def refuse_fourth(part: Part) -> int:
    if part.number == 4:
        raise DataError("no such row", where="in.txt:5")
    return part.number


def die(part: Part) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_the_bytes_are_those_of_one_machine(ray: Any) -> None:
    write_rows()
    one, other = tokens("one"), tokens("other", on="ray")
    assert contents("one") == contents("other")
    assert (other.n_parts, other.counts.to_dict()) == (8, one.counts.to_dict())


@pytest.mark.slow
def test_other_work_on_parts_gives_the_same_bytes_too(ray: Any) -> None:
    write_rows()
    Vectors(["good", "film"], np.eye(2, dtype=np.float32)).save("v")
    for on in (None, "ray"):
        inputs = {"inputs": ["in.txt"], "on": on, "part_rows": 5}
        embed_corpus(EmbedOptions(model="v", out=Path(f"rows-{on}"), **inputs))
        build_search(SearchBuildOptions(model="v", out=Path(f"index-{on}"), **inputs))
    assert contents("rows-None") == contents("rows-ray")
    assert contents("index-None") == contents("index-ray")
    counted = [count_corpus(TokenizeOptions(inputs=["in.txt"], on=on)) for on in (None, "ray")]
    assert counted[0].counts == counted[1].counts


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "word"])
def test_a_vocabulary_is_learnt_from_the_same_counts(ray: Any, kind: str) -> None:
    write_rows()
    Path("more.txt").write_text("Don't stop, ça va 漢字\n" * 9, encoding="utf-8")
    for on in (None, "ray"):
        both = {"inputs": ["in.txt", "more.txt"], "pieces": PieceOptions(kind=kind), "on": on}
        options = TrainTokenizerOptions(out=Path(f"tok-{on}"), sizes=[300], **both)
        train_tokenizer(options)
        count_pieces(CountPiecesOptions(out=Path(f"counts-{on}"), **both))
    assert contents("tok-None") == contents("tok-ray")
    assert Path("counts-None").read_bytes() == Path("counts-ray").read_bytes()


@pytest.mark.slow
def test_no_text_and_counts_are_refused_on_ray_too(ray: Any) -> None:
    Path("empty.txt").write_text("\n\n", encoding="utf-8")
    options = TrainTokenizerOptions(inputs=["empty.txt"], out=Path("tok"), on="ray")
    with pytest.raises(DataError, match=r"^empty\.txt: no text to learn from$"):
        train_tokenizer(options)
    with pytest.raises(UsageError, match="--on counts texts; the counts are there"):
        train_tokenizer(replace(options, counts=True))
    train_tokenizer(TrainTokenizerOptions(inputs=[str(write_rows())], out=Path("old"), sizes=[300]))
    with pytest.raises(UsageError, match="--on counts texts anew"):
        train_tokenizer(replace(options, start="old"))


@pytest.mark.slow
def test_a_stopped_job_goes_on_and_no_finished_part_is_made_again(ray: Any) -> None:
    write_rows()
    tokens("one")
    done = [0]

    def hear(progress: Progress) -> None:
        done[0] = progress.done

    watch = Watch(progress=hear, should_stop=lambda: done[0] >= 10)
    assert tokens("other", on="ray", watch=watch).stopped
    made = tokens("other", on="ray", resume=True)
    assert made.n_ready >= 2
    assert made.counts.n_rows == 40 - 5 * made.n_ready
    assert contents("one") == contents("other")


@pytest.mark.slow
def test_a_killed_process_loses_no_part_and_the_order_stays(ray: Any) -> None:
    Path("marks").mkdir()
    work = DiesOnce(Path("marks").absolute())
    assert list(map_on_ray(work, PARTS[:3], on="ray")) == [(n, f"text {n}") for n in range(3)]


@pytest.mark.slow
def test_a_part_that_ends_every_process_is_given_up(
    ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textkit.jobs.on_ray._RETRIES", 1)
    with pytest.raises(
        StorageError, match=r"^Ray lost a part 2 times, or was lost itself: .*--res"
    ):
        list(map_on_ray(die, PARTS[:1], on="ray"))


@pytest.mark.slow
def test_an_error_of_the_work_is_its_own_and_others_parts_end(ray: Any) -> None:
    made = map_on_ray(refuse_fourth, PARTS, on="ray")
    assert [next(made) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"^in\.txt:5: no such row$"):
        next(made)


@pytest.mark.slow
def test_another_version_on_a_node_is_refused(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textkit.jobs.on_ray.__version__", "0.0.1")
    with pytest.raises(ArtifactError, match=r"^textkit is .* on the node .* and 0\.0\.1 here"):
        list(map_on_ray(refuse_fourth, PARTS[:1], on="ray"))


@pytest.mark.slow
def test_a_part_that_another_machine_kept_for_itself_is_named(
    ray: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows()
    absolute = Path.absolute
    elsewhere = Path("elsewhere").absolute()
    monkeypatch.setattr(Path, "absolute", lambda path: elsewhere / absolute(path).name)
    with pytest.raises(StorageError, match=r"part-00000\.parquet: .* that all machines share$"):
        tokens("out", on="ray")


def test_an_address_is_told_from_one_that_is_begun() -> None:
    assert [parse_on(on) for on in ("ray", "ray:auto", "ray:10.0.0.1:6379")] == [
        None,
        "auto",
        "10.0.0.1:6379",
    ]
    for wrong in ("dask", "ray:", "Ray"):
        with pytest.raises(UsageError, match="expected --on ray or --on ray:ADDRESS"):
            TokenizeOptions(inputs=["in.txt"], on=wrong)
    with pytest.raises(UsageError, match="--workers is for processes here"):
        TokenizeOptions(inputs=["in.txt"], on="ray", workers=2)


def test_ray_that_is_absent_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "ray" else found(name)
    )
    with pytest.raises(
        MissingExtraError,
        match=r"^ray is not installed, --on ray needs it: pip install 'textkit-nlp\[ray\]'$",
    ):
        list(map_on_ray(refuse_fourth, PARTS, on="ray"))


@pytest.mark.slow
def test_a_ray_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("ray", reason="ray is not installed")
    monkeypatch.setattr(module, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:9")
    for on in ("ray:127.0.0.1:9", "ray"):
        said = rf"^--on {on}: nobody answers at 127\.0\.0\.1:9: "
        with pytest.raises(StorageError, match=said), connected(on):
            pass


@pytest.mark.slow
def test_a_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("ray", reason="ray is not installed")

    def fail(**_: object) -> None:
        raise Exception("The current node timed out\nduring startup.")  # as Ray does

    monkeypatch.setattr(module, "is_initialized", lambda: False)
    monkeypatch.setattr(module, "init", fail)
    said = "^--on ray: Ray cannot be reached: The current node timed out during startup.$"
    with pytest.raises(StorageError, match=said), connected("ray"):
        pass


@pytest.mark.slow
def test_what_only_this_machine_sees_is_named(ray: Any) -> None:
    write_rows()
    Vectors(["good", "film"], np.eye(2, dtype=np.float32)).save("v")
    opened = TextEmbedder.open("v")
    Path("v").rename("hidden")
    options = EmbedOptions(inputs=["in.txt"], model=opened, out=Path("rows"), on="ray")
    with pytest.raises(ArtifactError, match=r"^a machine of Ray cannot open .* where all machines"):
        embed_corpus(options)
