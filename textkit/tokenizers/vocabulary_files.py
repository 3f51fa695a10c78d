"""The vocabulary files of other libraries: BERT's vocab.txt, and vocab.json beside merges.txt.

In: the bytes of a file, or a folder with such files. Out: what they hold, token -> id or the merges
in order. Each function raises ArtifactError with the file and, where there are lines, the line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from textkit.errors import ArtifactError
from textkit.threads import computed_once
from textkit.tokenizers.description import HIGHEST_ID
from textkit.tokenizers.sentencepiece_model import SentencePieceModel, read_model

# The names that transformers gives a sentencepiece model, from the commonest on.
MODEL_NAMES = (
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spm.model",
)

# What Rust's `trim_end` takes from the end of a line, as tokenizers reads a vocab.txt; str.rstrip
# would take the separators U+001C to U+001F too.
_WHITE = "".join(c for c in map(chr, range(0x3001)) if c.isspace() and not "\x1c" <= c <= "\x1f")


@dataclass(frozen=True)
class VocabularyFiles:
    """The vocabulary files of a folder.

    read: gives the bytes of a file. txt, json: the names of BERT's file and of GPT-2's.
    """

    folder: Path
    read: Callable[[Path], bytes]
    txt: str = "vocab.txt"
    json: str = "vocab.json"

    def wordpieces(self) -> dict[str, int]:
        """Read vocab.txt."""
        return read_vocab_txt(self._bytes(self.txt), where=self.where(self.txt))

    def doubled(self) -> list[str]:
        """Say which pieces of vocab.txt stand on several lines."""
        return find_doubled(self._bytes(self.txt), where=self.where(self.txt))

    def merged(self) -> tuple[dict[str, int], list[tuple[str, str]]]:
        """Read vocab.json and merges.txt."""
        table = read_vocab_json(self._bytes(self.json), where=self.where(self.json))
        merges = self._bytes("merges.txt")
        return table, read_merges(merges, known=table, where=self.where("merges.txt"))

    @computed_once
    def sentencepiece(self) -> SentencePieceModel:
        """Read the sentencepiece model of the folder."""
        name = self.model_name()
        if name is None:
            raise ArtifactError("no sentencepiece .model in this folder", where=str(self.folder))
        return read_model(self._bytes(name), where=self.where(name))

    def model_name(self) -> str | None:
        """Name the sentencepiece model; None where there is none."""
        names = sorted(path.name for path in self.folder.glob("*.model"))
        return next((name for name in MODEL_NAMES if name in names), next(iter(names), None))

    def where(self, name: str) -> str:
        return str(self.folder / name)

    def _bytes(self, name: str) -> bytes:
        path = next(
            (path for path in map(self.folder.joinpath, (name, f"{name}.gz")) if path.is_file()),
            None,
        )
        if path is None:
            raise ArtifactError(f"no {name} in this folder", where=str(self.folder))
        return self.read(path)


def read_vocab_txt(data: bytes, *, where: str) -> dict[str, int]:
    """Read BERT's vocab.txt, one piece a line; its number is its id.

    White space at the end of a line is no part of its piece, and of a piece that stands on several
    lines the last one counts, as in tokenizers and transformers.
    """
    return {line.rstrip(_WHITE): number - 1 for number, line in _lines(data, where=where)}


def find_doubled(data: bytes, *, where: str) -> list[str]:
    """Say which pieces of a vocab.txt stand on several lines.

    >>> find_doubled(b"a\\nb\\na\\n", where="vocab.txt")
    ["vocab.txt: 'a' stands on lines 1 and 3; the last is its id, the other is no token's"]
    """
    lines: dict[str, list[int]] = {}
    for number, line in _lines(data, where=where):
        lines.setdefault(line.rstrip(_WHITE), []).append(number)
    doubled = {piece: numbers for piece, numbers in lines.items() if len(numbers) > 1}
    if not doubled:
        return []
    piece, numbers = next(iter(doubled.items()))
    more = f", and so do {len(doubled) - 1:,} others" if len(doubled) > 1 else ""
    return [
        f"{where}: {piece!r} stands on lines {numbers[0]} and {numbers[-1]}{more}; the last is its"
        " id, the other is no token's"
    ]


def read_vocab_json(data: bytes, *, where: str) -> dict[str, int]:
    """Read a vocab.json: an object of token: id."""
    try:
        table = json.loads(data)
    except ValueError as err:
        raise ArtifactError(f"not valid JSON: {err}", where=where) from err
    if not isinstance(table, dict) or not all(type(i) is int for i in table.values()):
        raise ArtifactError("expected a JSON object of token: id", where=where)
    ids = set(table.values())
    if len(ids) < len(table) or min(ids, default=0) < 0 or max(ids, default=0) > HIGHEST_ID:
        raise ArtifactError(f"ids are not from 0 to {HIGHEST_ID:,}, each once", where=where)
    return table


def read_merges(data: bytes, *, known: Container[str], where: str) -> list[tuple[str, str]]:
    """Read a merges.txt: two pieces a line, both `known`, and what they make too."""
    pairs = []
    for number, line in _lines(data, where=where):
        if not line.strip() or line.startswith("#version"):
            continue
        first, _, second = line.partition(" ")
        for part in (first, second, first + second):
            if part not in known:
                raise ArtifactError(f"{part!r} is not in the vocabulary", where=f"{where}:{number}")
        pairs.append((first, second))
    return pairs


def _lines(data: bytes, *, where: str) -> Iterator[tuple[int, str]]:
    """Give the lines with their numbers, ended by a line feed, a carriage return before it."""
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise ArtifactError(
            f"not UTF-8: byte 0x{data[err.start]:02X}", where=f"{where}:{line}"
        ) from err
    for number, text in enumerate(lines[:-1] if lines[-1] == "" else lines, start=1):
        yield number, text.removesuffix("\r")
