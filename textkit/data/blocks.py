"""Blocks of tokens on disk, as `textkit pack` makes them, and batches of them for a training.

In: a folder of parts. Out: blocks by their number, mapped, and batches in an order that depends on
the seed and the epoch alone, from any place on: `(epoch, position)` says where a training is, for
any number of ranks. A part is one file:

- npy: rows of (input_ids, position_ids, n_tokens), which numpy.load maps.
- bin: the ids alone, one block after the other; numpy.memmap or a trainer that reads such files.
- parquet: input_ids, position_ids and n_tokens, lists of one length.
- mds: what MosaicML's streaming reads; the folder has its index.json.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from textkit.data.packing import Blocks, find_borders
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.io import files
from textkit.io.bulk import MANIFEST, share_numbers

LAYOUTS = ("npy", "bin", "parquet", "mds")
IDS, POSITIONS, N_TOKENS = "input_ids", "position_ids", "n_tokens"
_MAPPED = ("npy", "bin")
_SIZE_LIMIT = 1 << 26  # of MosaicML's writer; a reader does not look at it


def block_dtype(length: int, ids: str) -> np.dtype[Any]:
    """Say what a row of a .npy part is.

    >>> block_dtype(4, "uint16").itemsize
    20
    """
    positions = "<u2" if length <= 1 << 16 else "<i4"
    kind = np.dtype(ids).newbyteorder("<")
    return np.dtype([(IDS, kind, (length,)), (POSITIONS, positions, (length,)), (N_TOKENS, "<i4")])


def write_blocks(path: Path, blocks: Blocks, *, ids: str) -> None:
    """Write a part in the layout that its ending names. ids: uint16 or int32.

    DataError names an id that uint16 does not hold.
    """
    length = blocks.ids.shape[1]
    if ids == "uint16" and blocks.ids.size and int(blocks.ids.max()) > 0xFFFF:
        raise DataError(f"id {int(blocks.ids.max()):,} is no uint16; take int32", where=str(path))
    rows = np.empty(len(blocks), block_dtype(length, ids))
    rows[IDS], rows[POSITIONS], rows[N_TOKENS] = blocks.ids, blocks.positions, blocks.n_tokens
    if path.suffix == ".bin":
        files.write_bytes(path, np.ascontiguousarray(rows[IDS]).tobytes())
    elif path.suffix == ".npy":
        with files.atomic_file(path) as file:
            np.lib.format.write_array(file, rows, allow_pickle=False)
    elif path.suffix == ".mds":
        files.write_bytes(path, _spell_mds(rows))
    else:
        _write_parquet(path, rows)


def _write_parquet(path: Path, rows: NDArray[Any]) -> None:
    import pyarrow
    from pyarrow import parquet

    columns = {N_TOKENS: share_numbers(rows[N_TOKENS])}
    for name in (IDS, POSITIONS):
        flat = share_numbers(rows[name].reshape(-1).astype(np.int32))
        edges = np.arange(0, rows[name].size + 1, rows[name].shape[1], dtype=np.int64)
        columns[name] = pyarrow.LargeListArray.from_arrays(share_numbers(edges), flat)
    table = pyarrow.table({name: columns[name] for name in (IDS, POSITIONS, N_TOKENS)})
    with files.atomic_file(path) as file:
        parquet.write_table(table, file, compression="zstd", use_dictionary=False)


def _mds_columns(rows: np.dtype[Any]) -> dict[str, object]:
    assert rows.fields is not None
    names = sorted((IDS, POSITIONS, N_TOKENS))
    kinds = {name: rows.fields[name][0] for name in names}
    encodings = [
        f"ndarray:{kinds[name].base.name}:{kinds[name].shape[0]}" if kinds[name].shape else "int32"
        for name in names
    ]
    sizes = [kinds[name].itemsize for name in names]
    return {
        "column_encodings": encodings,
        "column_names": names,
        "column_sizes": sizes,
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": _SIZE_LIMIT,
        "version": 2,
    }


def _spell_mds(rows: NDArray[Any]) -> bytes:
    """Spell a shard: the number of samples, where each begins, the columns as JSON, the samples."""
    told = json.dumps(_mds_columns(rows.dtype), sort_keys=True).encode()
    names = sorted((IDS, POSITIONS, N_TOKENS))
    parts = [np.ascontiguousarray(rows[name]).reshape(len(rows), -1) for name in names]
    samples = np.concatenate([part.view(np.uint8) for part in parts], axis=1)
    first = 4 + 4 * (len(rows) + 1) + len(told)
    starts = first + samples.shape[1] * np.arange(len(rows) + 1)
    if starts[-1] >= 1 << 32:
        raise UsageError("a part of mds is 4 GiB at most; make parts of fewer blocks")
    head = np.uint32(len(rows)).tobytes() + starts.astype("<u4").tobytes()
    return b"".join((head, told, samples.tobytes()))


def write_mds_index(folder: Path, parts: Mapping[str, int], *, length: int, ids: str) -> None:
    """Write the index.json of a folder of mds parts. parts: the blocks of each by its name."""
    columns = _mds_columns(block_dtype(length, ids))
    shards = []
    for name in sorted(parts):
        raw = {"basename": name, "bytes": (folder / name).stat().st_size, "hashes": {}}
        shards.append({**columns, "raw_data": raw, "samples": parts[name], "zip_data": None})
    files.write_json(folder / "index.json", {"version": 2, "shards": shards})


@dataclass(frozen=True)
class PackedBlocks:
    """The blocks of a folder that `textkit pack` made as npy or bin, mapped.

    length: tokens of a block; facts: what the manifest says of the whole. A block of bin parts has
    no position_ids, and says nothing of padding.
    """

    folder: Path
    length: int
    facts: Mapping[str, Any]
    parts: Sequence[NDArray[Any]]
    ends: NDArray[np.int64]

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Map a finished folder; ArtifactError names the part that is missing or cut short."""
        folder = Path(folder)
        facts = files.read_object(folder / MANIFEST)
        layout = facts.get("layout")
        if layout not in _MAPPED:
            raise ArtifactError(
                f"blocks of layout {layout!r}; npy and bin can be mapped", where=str(folder)
            )
        length, ids = int(facts["length"]), str(facts["dtype"])
        parts = []
        for name, entry in sorted(facts["files"].items()):
            if not name.startswith("part-"):
                continue
            path = folder / name
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                raise ArtifactError("part is missing, or not as it was written", where=str(path))
            parts.append(_map(path, length, ids) if entry["bytes"] else np.empty((0, length), ids))
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return cls(folder, length, facts, parts, ends)

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def __getitem__(self, block: int) -> dict[str, NDArray[Any]]:
        """Give a block: input_ids and position_ids (length,) int64, n_tokens and borders."""
        if not 0 <= block < len(self):
            raise IndexError(f"block {block} of {len(self)}")
        taken = self.take([block])
        told = {name: column[0] for name, column in taken.items()}
        if POSITIONS in told:
            told["borders"] = find_borders(told[POSITIONS], int(told[N_TOKENS]))
        return told

    def take(self, blocks: Sequence[int] | NDArray[np.integer]) -> dict[str, NDArray[Any]]:
        """Give blocks (n,): input_ids and position_ids (n, length) int64, n_tokens (n,)."""
        numbers = np.asarray(blocks, np.int64)
        owner = np.searchsorted(self.ends, numbers, side="right")
        starts = self.ends - [len(part) for part in self.parts]
        rows = [self.parts[p][n - starts[p]] for p, n in zip(owner, numbers, strict=True)]
        if self.facts["layout"] == "bin":
            return {IDS: np.array(rows, np.int64).reshape(len(rows), self.length)}
        told = {
            name: np.array([row[name] for row in rows], np.int64).reshape(len(rows), self.length)
            for name in (IDS, POSITIONS)
        }
        return told | {N_TOKENS: np.array([row[N_TOKENS] for row in rows], np.int64)}


def _map(path: Path, length: int, ids: str) -> NDArray[Any]:
    if path.suffix == ".bin":
        return np.memmap(path, np.dtype(ids).newbyteorder("<"), mode="r").reshape(-1, length)
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as err:
        raise ArtifactError(f"not a .npy part: {err}", where=str(path)) from err
    if rows.dtype != block_dtype(length, ids):
        raise ArtifactError(f"rows of {rows.dtype}, not of blocks", where=str(path))
    return rows


class BlockLoader:
    """Batches of blocks for one rank, for ever, each epoch in an order of its own.

    batch_size: blocks a batch and rank. seed: another seed, another order. rank, n_ranks: of all
    processes; each step, every rank gets other blocks. What is left of an epoch and fills no step
    of all ranks is left out of it. `state` is (epoch, position): position counts the blocks that
    all ranks were given of the epoch, so that a training goes on with any number of ranks.

    >>> loader = BlockLoader(blocks, batch_size=8, seed=1)        # doctest: +SKIP
    >>> for batch in loader:                                      # doctest: +SKIP
    ...     step(torch.from_numpy(batch["input_ids"]))
    ...     save(loader.state)
    """

    def __init__(
        self,
        blocks: PackedBlocks,
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        n_ranks: int = 1,
        shuffle: bool = True,
        state: tuple[int, int] = (0, 0),
    ) -> None:
        if not 0 <= rank < n_ranks or batch_size < 1:
            raise UsageError(f"rank {rank} of {n_ranks} with batches of {batch_size} blocks")
        if batch_size * n_ranks > len(blocks):
            raise UsageError(
                f"{len(blocks):,} blocks fill no batch of {batch_size} on {n_ranks} ranks"
            )
        self.blocks, self.batch_size, self.seed = blocks, batch_size, seed
        self.rank, self.n_ranks, self.shuffle, self.state = rank, n_ranks, shuffle, state

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Give the order of all blocks in an epoch: (n_blocks,)."""
        if not self.shuffle:
            return np.arange(len(self.blocks))
        return np.random.default_rng((self.seed, epoch)).permutation(len(self.blocks))

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        step = self.batch_size * self.n_ranks
        while True:
            epoch, position = self.state
            order = self.order(epoch)
            while position + step <= len(order):
                first = position + self.rank * self.batch_size
                position += step
                # Before the batch is given: who saves the state then has seen this batch.
                self.state = epoch, position
                yield self.blocks.take(order[first : first + self.batch_size])
                if self.state != (epoch, position):  # set from outside
                    break
            else:
                self.state = epoch + 1, 0
