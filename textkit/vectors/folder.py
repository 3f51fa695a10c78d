"""Our own folder of vectors: written in one pass in constant memory, opened by mapping, never read
whole.

vectors.safetensors   `vectors` (n_rows, dim) float32, float16 or int8; for int8 also
                      `scales` (n_rows,) float32
words.safetensors     the word index, and `word_rows` (n_words,) int32 where words and rows
                      are not one to one
ngrams.safetensors    only from fastText: `ngrams` (n_buckets, dim) float32
config.json           dtype, shapes, hash seed, n-gram lengths, where the vectors came from
manifest.json         SHA-256 of every file; opening compares sizes, `textkit vectors info`
                      the hashes
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, UsageError, unknown_name
from textkit.io import files
from textkit.io.stand_ins import START_BYTES, refuse_stand_in

KIND, FORMAT = "vectors", 1
TABLE, WORDS, NGRAMS, CONFIG = (
    "vectors.safetensors",
    "words.safetensors",
    "ngrams.safetensors",
    "config.json",
)
DTYPES = {"float32": "F32", "float16": "F16", "int8": "I8"}
_NUMPY = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I8": "|i1",
    "U8": "|u1",
    "I32": "<i4",
    "I64": "<i8",
    "U64": "<u8",
}
# Room for the header of a table whose number of rows is known only at the end; JSON allows the
# spaces.
_HEADER_BYTES = 512
_HEADER_LIMIT = 16 << 20

Array = npt.NDArray[Any]  # as the file says


def map_safetensors(path: str | Path) -> dict[str, Array]:
    """Map every tensor of a safetensors file as a read-only numpy array, reading only the header.

    Raises ArtifactError for a file that is none, is cut short, or holds a dtype that numpy has not.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            size = path.stat().st_size
            refuse_stand_in(file.read(START_BYTES), path)
            file.seek(0)
            header, start = _read_header(file, size, path)
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as err:
        raise ArtifactError("file is missing", where=str(path)) from err
    except OSError as err:
        raise files.storage_error(path, err, action="read") from err
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape, begin, end = _entry(name, entry, size - start, path)
        count = math.prod(shape)
        if end - begin != count * dtype.itemsize:
            raise ArtifactError(
                f"tensor '{name}' has {end - begin} bytes, its shape needs another number",
                where=str(path),
            )
        tensors[name] = np.frombuffer(data, dtype, count, start + begin).reshape(shape)
    return tensors


def _read_header(file: IO[bytes], size: int, path: Path) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, _HEADER_LIMIT):
        raise ArtifactError("not a safetensors file, or cut short", where=str(path))
    header = files.parse_json(file.read(length), path)
    if not isinstance(header, dict):
        raise ArtifactError("not a safetensors file: its header is no object", where=str(path))
    return header, 8 + length


def _entry(
    name: str, entry: Any, size: int, path: Path
) -> tuple[np.dtype[Any], list[int], int, int]:
    """Check one entry of the header."""
    try:
        code, shape, (begin, end) = (
            entry["dtype"],
            [int(n) for n in entry["shape"]],
            entry["data_offsets"],
        )
        fits = (
            0 <= begin <= end <= size
            and all(n >= 0 for n in shape)
            and isinstance(begin + end, int)
        )
    except (TypeError, KeyError, ValueError, OverflowError) as err:
        raise ArtifactError(
            f"tensor '{name}' is described wrongly: {err}", where=str(path)
        ) from err
    if not fits:
        raise ArtifactError(
            f"tensor '{name}' does not fit into the file; the file is cut short", where=str(path)
        )
    if not isinstance(code, str) or code not in _NUMPY:
        raise ArtifactError(
            unknown_name(f"dtype of tensor '{name}'", str(code), _NUMPY), where=str(path)
        )
    return np.dtype(_NUMPY[code]), shape, begin, end


class TableWriter:
    """Write rows, batch by batch, into `vectors.safetensors`.

    The header is filled in at the end.
    """

    def __init__(self, file: IO[bytes], *, dtype: str) -> None:
        if dtype not in DTYPES:
            raise UsageError(unknown_name("dtype", dtype, DTYPES))
        self.file, self.dtype = file, dtype
        self.n_rows, self.dim = 0, -1
        self._scales: list[npt.NDArray[np.float32]] = []
        file.write(bytes(8 + _HEADER_BYTES))

    def write(self, rows: npt.NDArray[np.float32]) -> None:
        """Add rows (n, dim)."""
        self.dim = rows.shape[1]
        self.n_rows += len(rows)
        if self.dtype == "int8":
            stored, scales = quantize(rows)
            self._scales.append(scales)
        else:
            stored = rows.astype("<f4" if self.dtype == "float32" else "<f2", copy=False)
        self.file.write(np.ascontiguousarray(stored).data)

    def close(self) -> None:
        """Write the scales and the header."""
        n_bytes = self.n_rows * self.dim * {"float32": 4, "float16": 2, "int8": 1}[self.dtype]
        header: dict[str, object] = {
            "vectors": {
                "dtype": DTYPES[self.dtype],
                "shape": [self.n_rows, self.dim],
                "data_offsets": [0, n_bytes],
            }
        }
        if self.dtype == "int8":
            scales = np.concatenate(self._scales) if self._scales else np.empty(0, np.float32)
            header["scales"] = {
                "dtype": "F32",
                "shape": [self.n_rows],
                "data_offsets": [n_bytes, n_bytes + scales.nbytes],
            }
            self.file.write(scales.astype("<f4").data)
        self.file.seek(0)
        text = json.dumps(header).encode().ljust(_HEADER_BYTES)
        self.file.write(_HEADER_BYTES.to_bytes(8, "little") + text)


def refuse_odd(rows: npt.NDArray[np.float32], *, name: Callable[[int], str], where: str) -> None:
    """Raise ArtifactError for a row (n, dim) that holds NaN or infinity.

    name: says what a row of these is.
    """
    if np.isfinite(rows).all():
        return
    odd = int((~np.isfinite(rows).all(axis=1)).argmax())
    raise ArtifactError(
        f"{name(odd)} holds NaN or infinity; convert or download the vectors again", where=where
    )


def quantize(rows: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Store each row as int8 steps of its own largest value / 127: (n, dim) int8 and (n,) float32
    scales.

    >>> steps, scales = quantize(np.array([[1.0, -2.0]], np.float32))
    >>> steps.tolist()
    [[64, -127]]
    """
    scales = (np.abs(rows).max(axis=1, initial=0.0) / 127).astype(np.float32)
    divisors = np.where(scales > 0, scales, 1)
    return np.rint(rows / divisors[:, None]).astype(np.int8), scales


@contextlib.contextmanager
def open_table(folder: Path, *, dtype: str) -> Iterator[TableWriter]:
    """Open the table of a folder for writing."""
    with files.atomic_file(folder / TABLE) as file:
        writer = TableWriter(file, dtype=dtype)
        yield writer
        writer.close()


def write_arrays(path: Path, arrays: dict[str, Array]) -> None:
    """Write arrays as safetensors, those of wide items first, so that every one is aligned when
    mapped.
    """
    header: dict[str, object] = {}
    ordered = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    codes = {np.dtype(text): code for code, text in _NUMPY.items()}
    position = 0
    for name, array in ordered:
        offsets = [position, position + array.nbytes]
        header[name] = {
            "dtype": codes[array.dtype],
            "shape": list(array.shape),
            "data_offsets": offsets,
        }
        position += array.nbytes
    text = json.dumps(header).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    with files.atomic_file(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array).data)


def read_config(folder: Path, *, hashes: bool) -> dict[str, Any]:
    """Check a folder against its manifest and give its config."""
    manifest = files.check_manifest(
        folder, kind=KIND, format=FORMAT, hashes=hashes, reads=(CONFIG, TABLE, WORDS, NGRAMS)
    )
    missing = next((name for name in (CONFIG, TABLE, WORDS) if name not in manifest["files"]), None)
    if missing:
        raise ArtifactError(f"manifest lists no {missing}", where=str(folder / files.MANIFEST))
    config = files.read_json(folder / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("hash_seed"), int):
        raise ArtifactError("not the config of vectors: no hash_seed", where=str(folder / CONFIG))
    return config
