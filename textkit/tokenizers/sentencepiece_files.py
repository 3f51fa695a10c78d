"""sentencepiece .model files -> an exact tokenizer, for models of type unigram and BPE.

In: the bytes of a model file. Out: a PipelineTokenizer that gives the ids that sentencepiece's own
`encode` gives. What a tokenizer.json cannot say is refused by name; where ids can differ all the
same, `engine_notes` of the result says so.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tokenizers as hf
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from textkit.errors import ArtifactError
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.subword import SPECIAL_SCORE

SPACE = "▁"
_MODEL_TYPES = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
# Piece types of sentencepiece's model proto.
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True)
class _Piece:
    name: str
    score: float
    type: int


@dataclass(frozen=True)
class _Model:
    """What of a model file decides its ids; the pieces stand in id order."""

    type: str
    pieces: list[_Piece]
    charsmap: bytes
    dummy_prefix: bool
    joins_spaces: bool
    space_is_suffix: bool

    def names(self, *types: int) -> list[str]:
        return [piece.name for piece in self.pieces if piece.type in types]


def from_sentencepiece(data: bytes, *, where: str) -> PipelineTokenizer:
    """Read a sentencepiece .model of type unigram or BPE; its normaliser's table comes along."""
    try:
        model = _read_model(data)
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
    if model.type not in ("unigram", "bpe"):
        raise ArtifactError(
            f"model_type is {model.type}; of sentencepiece, unigram and bpe are read", where=where
        )
    unknown = model.names(_UNKNOWN)
    if not unknown:
        raise ArtifactError("no unknown piece among the pieces", where=where)
    return (
        _make_unigram(model)
        if model.type == "unigram"
        else _make_bpe(model, unknown=unknown[0], where=where)
    )


def _read_model(data: bytes) -> _Model:
    proto = list(_fields(data))
    pieces = [_read_piece(value) for number, value in proto if number == 1]
    trainer = dict(_fields(next(value for number, value in proto if number == 2)))
    normalizer = dict(_fields(next((value for number, value in proto if number == 3), b"")))
    return _Model(
        type=_MODEL_TYPES.get(trainer.get(3, 1), "unknown"),
        pieces=pieces,
        charsmap=bytes(normalizer.get(2, b"")),
        dummy_prefix=bool(normalizer.get(3, 1)),
        joins_spaces=bool(normalizer.get(4, 1)),
        space_is_suffix=bool(trainer.get(24, 0)),
    )


def _make_unigram(model: _Model) -> PipelineTokenizer:
    # sentencepiece never matches a control or unknown piece in a text.
    scored = [
        (p.name, SPECIAL_SCORE if p.type in (_UNKNOWN, _CONTROL) else p.score) for p in model.pieces
    ]
    unknown = next(i for i, piece in enumerate(model.pieces) if piece.type == _UNKNOWN)
    byte_fallback = bool(model.names(_BYTE))
    backend = hf.Tokenizer(models.Unigram(scored, unk_id=unknown, byte_fallback=byte_fallback))
    backend.normalizer = normalizers.Sequence(_clean_steps(model))
    prepend = "always" if model.dummy_prefix else "never"
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    backend.decoder = decoders.Metaspace(prepend_scheme=prepend)
    backend.add_special_tokens(model.names(_UNKNOWN, _CONTROL))
    return PipelineTokenizer(backend, kind="unigram")


def _make_bpe(model: _Model, *, unknown: str, where: str) -> PipelineTokenizer:
    """Make BPE whose merges run over the whole text, as sentencepiece's do: no splitter cuts it
    first.
    """
    _refuse_what_cannot_be_said(model, where=where)
    vocabulary = {piece.name: i for i, piece in enumerate(model.pieces)}
    byte_fallback = bool(model.names(_BYTE))
    bpe = models.BPE(
        vocabulary, _merges(model), unk_token=unknown, fuse_unk=True, byte_fallback=byte_fallback
    )
    backend = hf.Tokenizer(bpe)
    backend.normalizer = normalizers.Sequence([*_clean_steps(model), *_space_steps(model)])
    steps: list[decoders.Decoder] = [
        decoders.Replace(SPACE, " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
    ]
    backend.decoder = decoders.Sequence(
        steps + ([decoders.Strip(" ", 1, 0)] if model.dummy_prefix else [])
    )
    for name in model.names(_USER_DEFINED):
        if backend.normalizer.normalize_str(name) != name:
            raise ArtifactError(
                f"the model's normaliser changes its own user-defined piece {name!r}", where=where
            )
    backend.add_special_tokens(model.names(_UNKNOWN, _CONTROL))
    # Found in the normalised text, as sentencepiece finds them: what stands before one keeps its
    # '▁'.
    backend.add_tokens([AddedToken(name, normalized=True) for name in model.names(_USER_DEFINED)])
    return PipelineTokenizer(backend, kind="bpe", notes=_doubts(model))


def _refuse_what_cannot_be_said(model: _Model, *, where: str) -> None:
    for found, what in (
        (model.space_is_suffix, "treat_whitespace_as_suffix is set"),
        (bool(model.names(_UNUSED)), "some pieces are marked unused"),
    ):
        if found:
            raise ArtifactError(
                f"{what}, which a tokenizer.json cannot say for a BPE model", where=where
            )


def _merges(model: _Model) -> list[tuple[str, str]]:
    """Give all pairs of pieces that make a piece, best score of the result first.

    sentencepiece merges the best-scored result first and of equal ones the leftmost, a list of
    merges the first pair in the list. They differ only where two results score the same
    (`_doubts`): the order of one result's own pairs, here that of their ids, decided nothing in
    190,000 strings made for it over two or three letters.
    """
    ids = {piece.name: i for i, piece in enumerate(model.pieces) if piece.type == _NORMAL}
    found = []
    for name, i in ids.items():
        pairs = [(name[:cut], name[cut:]) for cut in range(1, len(name))]
        known = [
            (ids[left], ids[right], left, right)
            for left, right in pairs
            if left in ids and right in ids
        ]
        found += [(-model.pieces[i].score, i, *pair) for pair in known]
    return [(left, right) for *_, left, right in sorted(found)]


def _doubts(model: _Model) -> list[str]:
    """Say on which strings the ids of a BPE model may not be sentencepiece's.

    No trained model is known to have any.
    """
    pieces = [piece for piece in model.pieces if piece.type == _NORMAL]
    characters = {piece.name for piece in model.pieces if len(piece.name) == 1}
    merged = [piece for piece in pieces if len(piece.name) > 1]
    n_tied = len(merged) - len({piece.score for piece in merged})
    n_lost = sum(not set(piece.name) <= characters for piece in merged)
    notes = []
    if n_tied:
        notes.append(
            f"{n_tied:,} pieces share a score: where two could merge, sentencepiece takes the"
            f" leftmost"
        )
    if n_lost:
        notes.append(
            f"{n_lost:,} pieces hold a character that is no piece; sentencepiece alone makes them"
        )
    return notes


def _clean_steps(model: _Model) -> list[normalizers.Normalizer]:
    """Build the first steps of a model's normaliser: its character map, then white space made
    single.
    """
    steps: list[normalizers.Normalizer] = []
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.joins_spaces:
        steps += [
            normalizers.Replace(Regex(r"\A +| +\z"), ""),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    return steps


def _space_steps(model: _Model) -> list[normalizers.Normalizer]:
    """Build the steps that write '▁' for a space and put one before a text, as sentencepiece's
    normaliser does.

    A step runs on the names of the user-defined pieces too, which must stay as they are: hence no
    '▁' before a text that is no more than one of them, nor before an empty one.
    """
    steps: list[normalizers.Normalizer] = []
    if model.dummy_prefix:
        names = "|".join(re.escape(name) for name in sorted(model.names(_USER_DEFINED)))
        steps.append(normalizers.Replace(Regex(rf"\A(?!(?:{names})?\z)"), SPACE))
    steps.append(normalizers.Replace(" ", SPACE))
    if model.joins_spaces:  # a '▁' of the text itself falls with the spaces at its end
        steps.append(normalizers.Replace(Regex(rf"{SPACE}+\z"), ""))
    return steps


def _read_piece(data: bytes) -> _Piece:
    fields = dict(_fields(data))
    score = struct.unpack("<f", fields.get(2, b"\0\0\0\0"))[0]
    return _Piece(fields[1].decode("utf-8"), score, fields.get(3, _NORMAL))


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
