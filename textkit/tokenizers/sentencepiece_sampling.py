"""Pieces of a sentencepiece model drawn by chance, as `encode(enable_sampling=True)` of the package
draws them, by a seed of one's own: its generator is one for the whole process.

In: a model and a normalised text. Out: ids. What decides:

1. unigram: a segmentation of the whole text by its probability, of all or of the `nbest` likeliest.
   Without nbest a word is drawn by itself where no piece crosses a space: that is the same.
2. bpe: a merge that is passed over is not tried again, as in the package; merged pieces that the
   model does not use are taken apart again.
3. A run of characters without a piece is one unknown piece, or each is its bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from textkit.errors import UsageError
from textkit.tokenizers.cuts import UnigramCuts, merge
from textkit.tokenizers.sampling import ALPHA, DROPOUT, check_chances, refuse_others
from textkit.tokenizers.sentencepiece_model import (
    BYTE,
    NORMAL,
    SPACE,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    SentencePieceModel,
)

# A string, for numpy imports its generators when they are first named.
Sampler: TypeAlias = "Callable[[str, np.random.Generator], list[int]]"
# sentencepiece: unigram_model.cc, kUnkPenalty, and the bonus of user-defined pieces.
_UNKNOWN_PENALTY, _USER_DEFINED_OFF = 10.0, 0.1


def sampler_of(
    model: SentencePieceModel, *, dropout: float | None, alpha: float | None, nbest: int | None
) -> Sampler:
    """Give what draws the ids of a normalised text; UsageError where the model has one way to cut
    a text, or not these options.
    """
    check_chances(dropout=dropout, alpha=alpha, nbest=nbest)
    if model.type not in ("unigram", "bpe"):
        raise UsageError(
            f"a sentencepiece model of type {model.type} cuts a text in one way: it cannot be"
            " sampled"
        )
    refuse_others(
        "unigram" if model.type == "unigram" else "BPE", dropout=dropout, alpha=alpha, nbest=nbest
    )
    to_ids = _ids_of(model)
    if model.type == "bpe":
        cut = _BpeCuts(model, DROPOUT if dropout is None else dropout)
        return lambda text, random: to_ids(cut(text, random))
    draw = _unigram_cuts(model, ALPHA if alpha is None else alpha, nbest)
    find = _words(model).findall if nbest is None else None

    def sample(text: str, random: np.random.Generator) -> list[int]:
        words = [text] if find is None else find(text)
        return to_ids([piece for word in words if word for piece in draw([word], random)])

    return sample


def _unigram_cuts(model: SentencePieceModel, alpha: float, nbest: int | None) -> UnigramCuts:
    normal = [piece.score for piece in model.pieces if piece.type == NORMAL]
    highest, lowest = max(normal, default=0.0), min(normal, default=0.0)
    scores = {
        piece.name: piece.score
        if piece.type == NORMAL
        else len(piece.name) * highest - _USER_DEFINED_OFF
        for piece in model.pieces
        if piece.type in (NORMAL, USER_DEFINED)
    }
    return UnigramCuts(scores, alpha, nbest, unknown=lowest - _UNKNOWN_PENALTY)


def _words(model: SentencePieceModel) -> re.Pattern[str]:
    """Give what finds the parts of a text that no piece goes beyond; all of it where one may."""
    names = model.names(NORMAL, USER_DEFINED)
    if model.space_is_suffix:
        crosses = any(SPACE in name[:-1] for name in names)
        pattern = f"[^{SPACE}]*{SPACE}|[^{SPACE}]+"
    else:
        crosses = any(SPACE in name[1:] for name in names)
        pattern = f"{SPACE}[^{SPACE}]*|[^{SPACE}]+"
    return re.compile(r"[\s\S]+" if crosses or not model.escapes_spaces else pattern)


class _BpeCuts:
    """Merges of a sentencepiece model over a whole text, some passed over for good."""

    def __init__(self, model: SentencePieceModel, dropout: float) -> None:
        self._scores = {
            piece.name: -piece.score
            for piece in model.pieces
            if piece.type in (NORMAL, USER_DEFINED, UNUSED)
        }
        self._unused = set(model.names(UNUSED))
        whole = sorted(model.names(USER_DEFINED), key=len, reverse=True)
        self._find = re.compile("|".join([*map(re.escape, whole), r"[\s\S]"])).findall
        self._whole = set(whole)
        self._dropout = dropout

    def __call__(self, text: str, random: np.random.Generator) -> list[str]:
        parts: dict[str, tuple[str, str]] = {}

        def rank(left: str, right: str) -> float | None:
            if left in self._whole or right in self._whole:
                return None
            made = left + right
            if made in self._unused:
                parts[made] = (left, right)
            return self._scores.get(made)

        symbols = merge(
            self._find(text), rank, str.__add__, dropout=self._dropout, random=random, again=False
        )
        todo, pieces = symbols[::-1], []
        while todo:
            symbol = todo.pop()
            if symbol in self._unused and symbol in parts:
                todo += reversed(parts[symbol])
            else:
                pieces.append(symbol)
        return pieces


def _ids_of(model: SentencePieceModel) -> Callable[[list[str]], list[int]]:
    """Give what turns pieces into ids, those of no piece of the model too."""
    known = {
        piece.name: i
        for i, piece in enumerate(model.pieces)
        if piece.type in (NORMAL, USER_DEFINED, UNUSED)
    }
    unknown = model.vocabulary[model.names(UNKNOWN)[0]]
    bytes_of = {name: model.vocabulary[name] for name in model.names(BYTE)}

    def ids(pieces: list[str]) -> list[int]:
        drawn: list[int] = []
        for piece in pieces:
            i = known.get(piece)
            if i is not None:
                drawn.append(i)
            elif model.falls_back:
                drawn += [bytes_of[f"<0x{byte:02X}>"] for byte in piece.encode("utf-8")]
            elif not drawn or drawn[-1] != unknown:
                drawn.append(unknown)
        return drawn

    return ids
