"""gensim's own files: what their pickle holds, read as data, with nothing of it run.

In: a file of `KeyedVectors.save`, `Word2Vec.save` or `FastText.save`. Out: a WordTable.

A pickle is a program for a small stack machine that may call whatever it names. Here the program is
walked through with a machine that calls nothing: a name stays a name, a call becomes a record of
what would have been called, and only lists, dicts, tuples, strings, bytes and numbers are made. The
words and the tables are then looked up in the records.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textkit.errors import ArtifactError, UsageError
from textkit.vectors.fasttext import Ngrams
from textkit.vectors.packaged import map_npy
from textkit.vectors.table import WordTable
from textkit.vectors.words import ByteWords, WordIndex

_SIZE_LIMIT = 4 << 30
_FLOATS = ("f2", "f4", "f8")
_MARK = object()


@dataclass
class Record:
    """What a pickle would call or build: a dotted name, the arguments, and the state given to it.

    It is never called.
    """

    name: str
    arguments: object = ()
    state: object = None


def open_gensim(path: Path) -> WordTable:
    """Read gensim's vectors: words and n-grams out of the pickle, tables from it or beside it.

    Raises ArtifactError for a file that is damaged or holds no word vectors.
    """
    top = read_records(path)
    state = _state(top)
    beside = f"{path}."
    if "index_to_key" not in state and "wv" in state:
        state, beside = _state(state["wv"]), f"{path}.wv."
    words = state.get("index_to_key")
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ArtifactError("a pickle without gensim's list of words", where=str(path))
    ngrams = _ngrams(state, beside, path)
    table = _table(state, "vectors", beside, path)
    if table is None and ngrams is not None:  # FastText's are not saved: gensim makes them again
        own = _table(state, "vectors_vocab", beside, path)
        table = None if own is None else ngrams.embed(words, own=own)
    if table is None:
        raise ArtifactError(
            f"no vectors in the file, nor in {Path(beside).name}vectors.npy beside it: copy all"
            " files that gensim saved",
            where=str(path),
        )
    if len(words) != len(table):
        raise ArtifactError(f"{len(words):,} words but {len(table):,} rows", where=str(path))
    try:
        return WordTable(
            WordIndex.build(ByteWords.of(words)),
            table,
            ngrams=ngrams,
            source=str(path),
        )
    except UsageError as err:
        raise ArtifactError(str(err), where=str(path)) from err


def _state(value: object) -> dict[object, object]:
    """Give the attributes of an object, or the entries of a plain dict; none for anything else."""
    held = value.state if isinstance(value, Record) else value
    return held if isinstance(held, dict) else {}


def _ngrams(state: dict[object, object], beside: str, path: Path) -> Ngrams | None:
    """Give the n-grams of FastText's vectors, None for others."""
    table = _table(state, "vectors_ngrams", beside, path)
    shortest, longest = state.get("min_n"), state.get("max_n")
    if table is None or not isinstance(shortest, int) or not isinstance(longest, int):
        return None
    if not 0 < shortest <= longest or not len(table):
        return None
    if state.get("compatible_hash") is False:
        raise ArtifactError(
            "n-grams hashed as gensim before 3.8 did; load and save it with a newer gensim",
            where=str(path),
        )
    return Ngrams(table.astype(np.float32, copy=False), shortest, longest)


def _table(
    state: dict[object, object], name: str, beside: str, path: Path
) -> npt.NDArray[np.floating] | None:
    """Give an array (n, dim) by its name, from the file itself or the .npy beside; None without."""
    outside = Path(f"{beside}{name}.npy")
    if outside.exists():
        return map_npy(outside)
    held = state.get(name)
    if not isinstance(held, Record):
        return None
    table = _array(held)
    if table is None:
        raise ArtifactError(f"'{name}' is no table (n, dim) of floats", where=str(path))
    return table


def _array(record: Record) -> npt.NDArray[np.floating] | None:
    """Make the array (n, dim) that numpy's own reader would make: floats only, else None."""
    match (record.state, record.arguments):
        case ((int(), tuple() as shape, Record("numpy.dtype") as kind, bool() as columns, data), _):
            pass
        case (None, (bytes() | bytearray() as data, Record("numpy.dtype") as kind, shape, order)):
            columns = order == "F"  # as protocol 5 keeps an array
        case _:
            return None
    dtype = _float_type(kind)
    values = _bytes(data)
    match shape:
        case (int(n_rows), int(dim)) if n_rows >= 0 and dim > 0 and dtype and values is not None:
            if n_rows * dim * dtype.itemsize != len(values):
                return None
        case _:
            return None
    array = np.frombuffer(values, dtype).reshape((n_rows, dim), order="F" if columns else "C")
    return np.ascontiguousarray(array, np.float16 if dtype.itemsize == 2 else np.float32)


def _float_type(kind: Record) -> np.dtype[np.floating] | None:
    """Give the dtype that a record of numpy's describes, None for one that is no float."""
    match (kind.arguments, kind.state):
        case ((str(letters), *_), (_, "<" | "|" | ">" as order, *_)) if letters in _FLOATS:
            return np.dtype(f"{'>' if order == '>' else '<'}{letters}")
    return None


def _bytes(data: object) -> bytes | bytearray | None:
    """Give bytes as protocols 3 and later keep them, or as the letters of Latin-1 of protocol 2."""
    match data:
        case bytes() | bytearray():
            return data
        case Record("_codecs.encode", (str(text), *_)):
            return text.encode("latin-1", "replace")
    return None


def read_records(path: Path) -> object:
    """Walk through a pickle and give what stands on its stack at the end, calls as records.

    Raises ArtifactError where it is damaged, over 4 GiB, or uses what gensim does not.
    """
    if path.stat().st_size > _SIZE_LIMIT:
        raise ArtifactError(
            "a pickle of more than 4 GiB; textkit reads it no further", where=str(path)
        )
    machine = _Machine()
    try:
        with open(path, "rb") as file:
            for opcode, argument, _ in pickletools.genops(file):
                if opcode.name == "STOP":
                    return machine.pop()
                machine.step(opcode.name, argument)
    except (ValueError, OSError, EOFError, LookupError, TypeError, AttributeError) as err:
        raise ArtifactError(f"a damaged or unknown pickle: {err}", where=str(path)) from err
    raise ArtifactError("a pickle that does not end; it is cut short", where=str(path))


class _Machine:
    """The stack, the memo, and one method for each group of opcodes."""

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.memo: dict[int, object] = {}
        self._plain: dict[str, Callable[[], object]] = {
            "MARK": lambda: _MARK,
            "NONE": lambda: None,
            "NEWTRUE": lambda: True,
            "NEWFALSE": lambda: False,
            "EMPTY_LIST": list,
            "EMPTY_DICT": dict,
            "EMPTY_TUPLE": tuple,
            "EMPTY_SET": list,
            "TUPLE": lambda: tuple(self.pop_marked()),
            "LIST": self.pop_marked,
            "FROZENSET": self.pop_marked,
            "DICT": lambda: _pairs(self.pop_marked()),
            "TUPLE1": lambda: tuple(self.pop_many(1)),
            "TUPLE2": lambda: tuple(self.pop_many(2)),
            "TUPLE3": lambda: tuple(self.pop_many(3)),
            "STACK_GLOBAL": lambda: Record(".".join(map(str, self.pop_many(2)))),
            "REDUCE": self._call,
            "NEWOBJ": self._call,
        }
        self._changes: dict[str, Callable[[], object]] = {
            "APPEND": lambda: self._extend([self.pop()]),
            "APPENDS": lambda: self._extend(self.pop_marked()),
            "ADDITEMS": lambda: self._extend(self.pop_marked()),
            "SETITEM": lambda: self._update(self.pop_many(2)),
            "SETITEMS": lambda: self._update(self.pop_marked()),
            "BUILD": self._build,
            "POP": self.pop,
            "POP_MARK": self.pop_marked,
            "DUP": lambda: self.stack.append(self.stack[-1]),
        }

    def step(self, name: str, argument: object) -> None:
        """Do one opcode; ValueError for one that gensim's files do not use."""
        if name in ("PROTO", "FRAME"):
            return
        if name in ("MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"):
            at = argument if isinstance(argument, int) else len(self.memo)
            self.memo[at] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET") and isinstance(argument, int):
            self.stack.append(self.memo[argument])
        elif name in self._plain:
            self.stack.append(self._plain[name]())
        elif name in self._changes:
            self._changes[name]()
        elif name == "GLOBAL":
            self.stack.append(Record(str(argument).replace(" ", ".")))
        elif isinstance(argument, str | bytes | bytearray | int | float):
            self.stack.append(argument)
        else:
            raise ValueError(f"opcode {name}")

    def pop(self) -> object:
        """Take the topmost value."""
        return self.stack.pop()

    def pop_many(self, count: int) -> list[object]:
        """Take the topmost values, the lowest first."""
        taken = self.stack[-count:]
        if len(taken) < count or _MARK in taken:
            raise ValueError("the stack holds too little")
        del self.stack[-count:]
        return taken

    def pop_marked(self) -> list[object]:
        """Take all down to the last mark, and the mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is _MARK:
                taken = self.stack[at + 1 :]
                del self.stack[at:]
                return taken
        raise ValueError("no mark on the stack")

    def _call(self) -> Record:
        named, arguments = self.pop_many(2)
        return Record(named.name if isinstance(named, Record) else "unnamed", arguments)

    def _build(self) -> None:
        state = self.pop()
        if isinstance(built := self.stack[-1], Record):
            built.state = state

    def _extend(self, values: list[object]) -> None:
        if isinstance(target := self.stack[-1], list):
            target.extend(values)

    def _update(self, values: list[object]) -> None:
        if isinstance(target := self.stack[-1], dict):
            target.update(_pairs(values))


def _pairs(values: list[object]) -> dict[object, object]:
    """Pair keys and values; keys that are no plain values are left out, gensim has none."""
    pairs = zip(values[::2], values[1::2], strict=True)
    return {key: value for key, value in pairs if isinstance(key, str | int | float | bytes)}
