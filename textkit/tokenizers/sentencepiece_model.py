"""What a sentencepiece .model file says: its pieces in id order, and the options that decide ids.

In: the bytes of the file. Out: a SentencePieceModel. The file is a protobuf message, read here
field by field: no other package is needed to know what a file asks for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from textkit.errors import ArtifactError

SPACE = "▁"
MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
# Piece types of sentencepiece's model proto.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class Piece:
    name: str
    score: float
    type: int


@dataclass(frozen=True)
class SentencePieceModel:
    """What of a model file decides its ids; the pieces stand in id order.

    type: "unigram", "bpe", "word" or "char". charsmap: the table of its normaliser, empty where it
    has none. dummy_prefix: a '▁' is put before a text, or behind it if space_is_suffix.
    joins_spaces: runs of spaces become one, and those at the ends go. escapes_spaces: a space is
    written as '▁'. falls_back: a character without a piece becomes its bytes. rewrites_decoded:
    the text that ids give goes through a second table.
    """

    type: str
    pieces: list[Piece]
    charsmap: bytes
    dummy_prefix: bool
    joins_spaces: bool
    escapes_spaces: bool
    space_is_suffix: bool
    falls_back: bool
    rewrites_decoded: bool

    def names(self, *types: int) -> list[str]:
        return [piece.name for piece in self.pieces if piece.type in types]

    @property
    def vocabulary(self) -> dict[str, int]:
        return {piece.name: i for i, piece in enumerate(self.pieces)}


def read_model(data: bytes, *, where: str) -> SentencePieceModel:
    """Read the bytes of a .model file; raises ArtifactError for what is none."""
    try:
        model = _read(data)
    except (
        ValueError,
        IndexError,
        KeyError,
        StopIteration,
        struct.error,
        TypeError,
        AttributeError,
    ) as err:
        raise ArtifactError(
            "not a sentencepiece model: its fields cannot be read", where=where
        ) from err
    if model.type not in MODEL_TYPES.values():
        raise ArtifactError(
            f"its model_type is none of {', '.join(MODEL_TYPES.values())}", where=where
        )
    if not model.names(UNKNOWN):
        raise ArtifactError("no unknown piece among the pieces", where=where)
    return model


def _read(data: bytes) -> SentencePieceModel:
    proto = list(_fields(data))
    pieces = [_read_piece(value) for number, value in proto if number == 1]
    trainer = dict(_fields(next(value for number, value in proto if number == 2)))
    normalizer = dict(_fields(next((value for number, value in proto if number == 3), b"")))
    denormalizer = dict(_fields(next((value for number, value in proto if number == 5), b"")))
    return SentencePieceModel(
        type=MODEL_TYPES.get(trainer.get(3, 1), "unknown"),
        pieces=pieces,
        charsmap=bytes(normalizer.get(2, b"")),
        dummy_prefix=bool(normalizer.get(3, 1)),
        joins_spaces=bool(normalizer.get(4, 1)),
        escapes_spaces=bool(normalizer.get(5, 1)),
        space_is_suffix=bool(trainer.get(24, 0)),
        falls_back=bool(trainer.get(35, 0)),
        rewrites_decoded=bool(denormalizer.get(2, b"")),
    )


def _read_piece(data: bytes) -> Piece:
    fields = dict(_fields(data))
    score = struct.unpack("<f", fields.get(2, b"\0\0\0\0"))[0]
    return Piece(fields[1].decode("utf-8"), score, fields.get(3, NORMAL))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Walk a protobuf message: (field number, int or bytes)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(data):
            raise ValueError("truncated")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("varint too long")
