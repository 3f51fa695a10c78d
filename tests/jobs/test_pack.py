"""textkit pack: the same bytes whatever happens to the job, and blocks that others read."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import feather, parquet

from tests.shell import run_textkit
from textkit.data.blocks import BlockLoader, PackedBlocks
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.jobs import PackOptions, PackReport, pack_tokens
from textkit.watch import Watch


@pytest.fixture
def rows() -> list[list[int]]:
    """Write two token files, one of each kind; each token is known by its id."""
    chance = np.random.default_rng(0)
    sizes = np.minimum(chance.lognormal(2, 1, 400).astype(int), 90)
    ids = iter(range(1, int(sizes.sum()) + 1))
    rows = [[next(ids) for _ in range(size)] for size in sizes]
    kind = pyarrow.list_(pyarrow.int32())
    tables = [
        pyarrow.table({"ids": pyarrow.array(part, kind)}) for part in (rows[:250], rows[250:])
    ]
    Path("tokens").mkdir()
    parquet.write_table(tables[0], "tokens/part-0.parquet", row_group_size=60)
    feather.write_feather(tables[1], "tokens/part-1.arrow", compression="uncompressed")
    return rows


def pack(out: str = "blocks", **more: Any) -> PackReport:
    options = {"tokens": ["tokens"], "length": 32, "part_blocks": 20, **more}
    return pack_tokens(PackOptions(out=Path(out), **options))


def parts_of(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("part-*"))}


def test_every_token_is_in_a_block_once(rows: list[list[int]]) -> None:
    report = pack()
    blocks = PackedBlocks.open("blocks")
    assert report.n_parts > 3 and len(blocks) == report.whole.n_blocks
    assert report.whole.n_rows == 400 and blocks.facts["fill"] == report.fill > 0.95
    found: Counter[int] = Counter()
    for i in range(len(blocks)):
        block = blocks[i]
        found.update(block["input_ids"][: block["n_tokens"]].tolist())
        starts = block["input_ids"][block["borders"][:-1]].tolist()
        assert set(starts) <= {row[j] for row in rows for j in range(0, len(row), 32)}
    assert found == Counter(i for row in rows for i in row)


def test_workers_shards_and_stops_give_the_same_bytes(rows: list[list[int]]) -> None:
    pack("whole")
    wanted = parts_of("whole")
    pack("two", workers=2)
    assert parts_of("two") == wanted
    for i in (1, 2):
        pack(f"shard{i}", shard=f"{i}/2")
    assert parts_of("shard1") | parts_of("shard2") == wanted
    stops = iter([False, True])
    stopped = pack_tokens(
        PackOptions(tokens=["tokens"], out=Path("stopped"), length=32, part_blocks=20),
        watch=Watch(should_stop=lambda: next(stops)),
    )
    assert stopped.stopped and len(parts_of("stopped")) == 1
    with pytest.raises(ArtifactError, match="length was 32 and is 64"):
        pack("stopped", resume=True, length=64)
    Path("stopped", "part-00000.npy").write_bytes(b"damaged")
    pack("stopped", resume=True)
    assert parts_of("stopped") == wanted
    with pytest.raises(UsageError, match="finished"):
        pack("stopped")


def test_each_layout_holds_the_same(rows: list[list[int]]) -> None:
    pack("npy", dtype="uint16", end_id=0)
    pack("bin", layout="bin", dtype="uint16", end_id=0)
    pack("parquet", layout="parquet", end_id=0)
    npy, flat = PackedBlocks.open("npy"), PackedBlocks.open("bin")
    table = parquet.read_table(sorted(Path("parquet").glob("*.parquet")))
    numbers = range(len(npy))
    wanted = npy.take(numbers)
    assert flat.take(numbers)["input_ids"].tolist() == wanted["input_ids"].tolist()
    for name, column in wanted.items():
        assert table[name].to_pylist() == column.tolist()
    raw = np.load("npy/part-00000.npy", mmap_mode="r")
    assert raw["input_ids"].dtype == np.uint16 and raw["input_ids"].shape == (len(raw), 32)


def test_what_is_no_token_is_named(rows: list[list[int]]) -> None:
    parquet.write_table(pyarrow.table({"text": ["a"]}), "texts.parquet")
    with pytest.raises(DataError, match=r"texts.parquet: no column 'ids' of ids; .* text"):
        pack(tokens=["texts.parquet"])
    parquet.write_table(pyarrow.table({"ids": [[1, -5]]}), "odd.parquet")
    with pytest.raises(DataError, match=r"odd\.parquet"):
        pack("odd", tokens=["odd.parquet"])
    Path("cut.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"cut\.parquet"):
        pack("cut", tokens=["cut.parquet"])
    parquet.write_table(pyarrow.table({"ids": [[70_000]]}), "large.parquet")
    with pytest.raises(DataError, match="70,000 is no uint16"):
        pack("large", tokens=["large.parquet"], dtype="uint16")
    with pytest.raises(UsageError, match="no tokens"):
        pack("none", tokens=["a.txt"])
    Path("unfinished").mkdir()
    Path("unfinished", "_job.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="not finished"):
        pack("none", tokens=["unfinished"])


def test_nothing_and_empty_rows_are_packed() -> None:
    for name, values in (("none", []), ("empty", [[], None, []])):
        kind = pyarrow.list_(pyarrow.int32())
        parquet.write_table(pyarrow.table({"ids": pyarrow.array(values, kind)}), f"{name}.parquet")
        report = pack(name, tokens=[f"{name}.parquet"])
        assert (report.whole.n_rows, report.whole.n_blocks, report.fill) == (len(values), 0, 1)
        assert len(PackedBlocks.open(name)) == 0
    assert pack("ends", tokens=["empty.parquet"], end_id=5).whole.n_tokens == 3


def test_a_part_that_was_cut_short_is_named(rows: list[list[int]]) -> None:
    pack()
    part = Path("blocks", "part-00001.npy")
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"part-00001.npy"):
        PackedBlocks.open("blocks")


def test_ranks_get_all_blocks_and_go_on_where_they_stopped(rows: list[list[int]]) -> None:
    pack()
    blocks = PackedBlocks.open("blocks")
    step, n = 3 * 2, len(blocks) // (3 * 2)

    def take(n_batches: int, **more: Any) -> tuple[list[list[int]], tuple[int, int]]:
        loader = BlockLoader(blocks, batch_size=3, seed=4, **more)
        taken = [b["input_ids"][:, 0].tolist() for b in itertools.islice(loader, n_batches)]
        return taken, loader.state

    ranks = [take(2 * n, rank=rank, n_ranks=2)[0] for rank in (0, 1)]
    epochs = [
        [i for rank in ranks for batch in rank[e * n : (e + 1) * n] for i in batch] for e in (0, 1)
    ]
    firsts = blocks.take(range(len(blocks)))["input_ids"][:, 0].tolist()
    for epoch in epochs:
        assert len(set(epoch)) == n * step and set(epoch) <= set(firsts)
    assert epochs[0] != epochs[1]
    for stop in (0, 1, n, n + 2):
        begun, state = take(stop, rank=1, n_ranks=2)
        rest, _ = take(2 * n - stop, rank=1, n_ranks=2, state=state)
        assert begun + rest == ranks[1]
    # Another number of ranks goes on with the same blocks.
    alone, _ = take(2, state=(0, step))
    assert sorted(alone[0] + alone[1]) == sorted(ranks[0][1] + ranks[1][1])
    assert take(1, shuffle=False)[0] == [firsts[:3]]
    with pytest.raises(UsageError, match="fill no batch"):
        BlockLoader(blocks, batch_size=len(blocks) + 1)


def test_the_shell_packs_what_it_tokenized() -> None:
    Path("a.txt").write_text("So it goes, and so on.\n\n" * 300, encoding="utf-8")
    done = run_textkit("tokenizer", "train", "a.txt", "-o", "tok", "-k", "bpe", "--size", "280")
    assert done.returncode == 0, done.stderr
    assert run_textkit("tokenize", "a.txt", "-t", "tok", "-o", "tokens").returncode == 0
    done = run_textkit("pack", "tokens", "-o", "blocks", "--length", "64", "--json")
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert counts["n_rows"] == 600 and counts["fill"] > 0.9
    assert b"% filled" in done.stderr and b"blocks: 1 parts" in done.stderr
    done = run_textkit("pack", "a.txt", "-o", "none")
    assert done.returncode == 2 and b"holds no tokens" in done.stderr


def test_mosaicml_reads_its_shards(rows: list[list[int]]) -> None:
    streaming = pytest.importorskip("streaming", reason="mosaicml-streaming is not installed")
    pack("npy", end_id=0)
    pack("mds", layout="mds", end_id=0)
    blocks = PackedBlocks.open("npy")
    read = streaming.LocalDataset(local="mds")
    assert len(read) == len(blocks)
    for number in (0, len(blocks) // 2, len(blocks) - 1):
        sample, block = read[number], blocks[number]
        for name in ("input_ids", "position_ids"):
            assert sample[name].tolist() == block[name].tolist()
        assert int(sample["n_tokens"]) == int(block["n_tokens"])
