"""SentencePieceTokenizer: the ids of a .model file as sentencepiece itself gives them.

In: the bytes of the file. Out: a tokenizer whose texts go through the `sentencepiece` package, for
what no tokenizer.json can say exactly. That is every unigram model: sentencepiece sums its scores
over a whole text in single precision, tokenizers word by word in double, and between segmentations
that are nearly as good they choose apart, in 10 of 71,000 texts of 12 words in 22 languages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows, gather_positions, offsets_of
from textkit.errors import ArtifactError, require
from textkit.io import files
from textkit.origins import Origins
from textkit.threads import computed_once
from textkit.tokenizers.description import CONFIG_JSON, TOKENIZER_JSON
from textkit.tokenizers.protocol import (
    PAD,
    SENTENCEPIECE_MODEL,
    Tokenizer,
    check_texts,
    name_ids,
)
from textkit.tokenizers.sampling import drawn_batch
from textkit.tokenizers.sentencepiece_model import (
    BYTE,
    CONTROL,
    SPACE,
    UNKNOWN,
    SentencePieceModel,
    read_model,
)
from textkit.tokenizers.sentencepiece_sampling import sampler_of
from textkit.tokenizers.spans import replace_surrogates

# Ids of all rows, where each row starts, and the spans if they are asked for.
_Rows = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int32] | None]
Describe = Callable[[SentencePieceModel], str | None]
# sentencepiece gives offsets as Python objects, which take 100 times the memory of the ids.
CHUNK_CHARACTERS = 1 << 20
# Stands for a special token while sentencepiece decodes what is around it; no text of a model's.
_MARK = "\U0010fffd\U0010fffe\U0010fffd"


def import_sentencepiece(*, needed_by: str) -> ModuleType:
    """Give the `sentencepiece` package; MissingExtraError where it is not installed."""
    require("sentencepiece", needed_by=needed_by)
    import sentencepiece

    package: ModuleType = sentencepiece
    return package


class SentencePieceTokenizer(Tokenizer):
    """A sentencepiece model as the package reads it.

    data: the bytes that `model` was read from. describe: gives the tokenizer.json that lies in a
    saved folder for other programs, or None where it cannot say the model's options; no id comes
    from it here.
    """

    lossless = False

    def __init__(
        self, model: SentencePieceModel, data: bytes, *, where: str, describe: Describe
    ) -> None:
        package = import_sentencepiece(needed_by=f"the {model.type} model {where}")
        try:
            self._processor = package.SentencePieceProcessor(model_proto=data)
        except (RuntimeError, OSError, ValueError) as err:
            reason = " ".join(str(err).split())
            raise ArtifactError(f"sentencepiece cannot read it: {reason}", where=where) from err
        self._model, self._data = model, data
        self._where, self._describe = where, describe
        self.kind = model.type
        self.vocabulary = model.vocabulary
        own_pad = int(self._processor.pad_id())
        self.pad_id = next(
            (self.vocabulary[name] for name in (PAD, "<pad>") if name in self.vocabulary),
            own_pad if own_pad >= 0 else None,
        )
        self.unknown_id = self.vocabulary[model.names(UNKNOWN)[0]]
        self.fingerprint = hashlib.sha256(b"sentencepiece\0" + data).hexdigest()
        # What a piece is in a normalised text; a lone surrogate, which no text holds, for those
        # that stand for something else there.
        self._spelt = [
            "\ud800" if piece.type in (UNKNOWN, CONTROL, BYTE) else piece.name
            for piece in model.pieces
        ]
        self._names_space = np.array([name == SPACE for name in self._spelt], dtype=bool)
        self._sizes = np.fromiter(map(len, self._spelt), dtype=np.int64, count=len(self._spelt))

    def __repr__(self) -> str:
        return f"SentencePieceTokenizer(kind='{self.kind}', n_tokens={len(self.vocabulary):,})"

    def __reduce__(
        self,
    ) -> tuple[Callable[..., SentencePieceTokenizer], tuple[bytes, str, Describe]]:
        """Go to another process as the bytes of the file."""
        return _rebuild, (self._data, self._where, self._describe)

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of padding, the unknown piece and the control pieces."""
        own = self._model.names(UNKNOWN, CONTROL)
        return super().special_ids | {self.vocabulary[name] for name in own}

    def engine_for(self, texts: Sequence[str], *, spans: bool = False) -> str:
        """Name what encodes such texts."""
        del texts, spans
        return "sentencepiece"

    def _encode_texts(
        self, texts: Sequence[str], *, spans: bool, allow_special: bool, words: bool
    ) -> TokenBatch:
        """Give the ids of texts; with allow_special the texts around a special token are encoded
        each as a text of its own. A word begins, with words=True, at each piece with a '▁' at its
        start, or after one with it at its end.
        """
        encode = self._encode_special if allow_special else self._encode
        ids, offsets, edges = encode(texts, spans=spans)
        origins = Origins(self._word_numbers(ids, offsets)) if words else None
        return TokenBatch(
            ids, offsets, edges, np.zeros(len(texts), dtype=np.int32), origins=origins
        )

    def _encode(self, texts: Sequence[str], *, spans: bool) -> _Rows:
        found = (
            self._processor.encode(list(texts), num_threads=1, return_type="numpy") if texts else []
        )
        offsets = offsets_of(np.fromiter(map(len, found), dtype=np.int64, count=len(found)))
        ids = np.concatenate([np.zeros(0, dtype=np.int32), *found]).astype(np.int32, copy=False)
        return ids, offsets, self._spans(texts, ids, offsets) if spans else None

    def sample(
        self,
        texts: Sequence[str],
        *,
        seed: int,
        dropout: float | None = None,
        alpha: float | None = None,
        nbest: int | None = None,
    ) -> TokenBatch:
        """Turn texts into ids of pieces drawn by chance, as `encode(enable_sampling=True)` of
        sentencepiece draws them.

        alpha, nbest, dropout: as PipelineTokenizer.sample has them; for a BPE model sentencepiece
        calls dropout alpha, and nbest is of the segmentations of a whole text.
        """
        sampler = sampler_of(self._model, dropout=dropout, alpha=alpha, nbest=nbest)
        if nbest == 1:  # no chance, and sums of single precision decide between near ways
            return self.encode(texts)
        clean, n_replaced = replace_surrogates(check_texts(texts), errors="replace")
        random = np.random.default_rng(seed)
        rows = [sampler(self.normalize(text), random) for text in clean]
        return drawn_batch(
            list(chain.from_iterable(rows)),
            list(map(len, rows)),
            n_replaced=n_replaced,
            pad_id=self.pad_id,
        )

    def _word_numbers(
        self, ids: NDArray[np.int32], offsets: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        begins = self._begins_word[ids]
        if self._model.space_is_suffix:
            begins = np.concatenate([begins[:0], np.zeros(1, dtype=bool), begins])[: len(ids)]
        begins[offsets[:-1][np.diff(offsets) > 0]] = True
        number = offsets_of(begins.astype(np.int64))
        before = np.repeat(number[offsets[:-1]], np.diff(offsets))
        return (number[1:] - 1 - before).astype(np.int32)

    @computed_once
    def _begins_word(self) -> NDArray[np.bool_]:
        """(n_ids,) whether a piece has the '▁' on the side where the model puts spaces."""
        has_space = str.endswith if self._model.space_is_suffix else str.startswith
        return np.array([has_space(piece.name, SPACE) for piece in self._model.pieces], dtype=bool)

    def _spans(
        self, texts: Sequence[str], ids: NDArray[np.int32], offsets: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Give the spans of rows: a sum of lengths where the pieces spell the text as it stands,
        and sentencepiece's own offsets elsewhere.
        """
        lengths = np.diff(offsets)
        characters = offsets_of(self._sizes[ids])
        edges = np.stack([characters[:-1], characters[1:]], axis=1)
        edges -= np.repeat(characters[offsets[:-1]], lengths)[:, None]
        if self._model.dummy_prefix and not self._model.space_is_suffix:
            edges -= 1
        n_characters = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        highest = np.repeat(n_characters, lengths)[:, None]
        clipped: NDArray[np.int32] = np.clip(edges, 0, highest).astype(np.int32)
        others = self._rows_that_change(texts, ids.tolist(), offsets.tolist())
        for rows in cut_rows(others, n_characters=CHUNK_CHARACTERS, text_of=texts.__getitem__):
            places, firsts = gather_positions(offsets, np.array(rows, dtype=np.int64))
            found = self._offsets([texts[row] for row in rows], firsts)
            clipped[places] = _widened(found, firsts, keeps=self._names_space[ids[places]])
        return clipped

    def _offsets(self, texts: list[str], firsts: NDArray[np.int64]) -> NDArray[np.int32]:
        """Give sentencepiece's own offsets of texts, by where its normaliser puts every character:
        a quarter of the time that it takes to give them itself.

        firsts: (n_texts + 1,) first token of every text. Pieces of bytes do not spell their text:
        only sentencepiece knows where they stand.
        """
        pieces = self._processor.encode(texts, num_threads=1, return_type=str)
        normalized = self._processor.normalize(texts, with_offsets=True)
        sizes = offsets_of(
            np.fromiter(map(len, chain.from_iterable(pieces)), dtype=np.int64, count=firsts[-1])
        )
        # The normaliser gives a place for every character, and one for the end.
        n_places = [len(text) + 1 for text, _ in normalized]
        starts = offsets_of(np.array(n_places, dtype=np.int64))
        places = np.fromiter(
            chain.from_iterable(given for _, given in normalized), np.int32, count=starts[-1]
        )
        lengths = np.diff(firsts)
        spelled = np.diff(sizes[firsts]) == np.diff(starts) - 1
        base = np.repeat(starts[:-1] - sizes[firsts[:-1]], lengths)
        edges = np.stack([sizes[:-1] + base, sizes[1:] + base], axis=1)
        found: NDArray[np.int32] = places[np.minimum(edges, len(places) - 1)]
        for row in np.flatnonzero(~spelled).tolist():
            given = self._processor.encode(texts[row], return_type="offset_mapping")["offsets"]
            found[firsts[row] : firsts[row + 1]] = np.array(given, dtype=np.int32).reshape(-1, 2)
        return found

    def _rows_that_change(
        self, texts: Sequence[str], ids: list[int], offsets: list[int]
    ) -> list[int]:
        """Give the rows whose text is not what the pieces spell, the '▁' put to it aside."""
        before, after = "", ""
        if self._model.dummy_prefix:
            before, after = ("", SPACE) if self._model.space_is_suffix else (SPACE, "")
        space = SPACE if self._model.escapes_spaces else " "
        spell = self._spelt.__getitem__
        return [
            row
            for row, ((start, end), text) in enumerate(zip(pairwise(offsets), texts, strict=True))
            if "".join(map(spell, ids[start:end])) != before + text.replace(" ", space) + after
        ]

    def _encode_special(self, texts: Sequence[str], *, spans: bool) -> _Rows:
        """Encode texts where what spells a special token is that token."""
        parts = [self._special.split(text) for text in texts]  # every other one is special
        ids, offsets, edges = self._encode(
            list(chain.from_iterable(row[::2] for row in parts)), spans=spans
        )
        plain = iter(pairwise(offsets.tolist()))
        row_ids: list[NDArray[np.int32]] = []
        row_edges: list[NDArray[np.int32]] = []
        lengths = []
        for row in parts:
            at = n_tokens = 0
            for number, part in enumerate(row):
                if number % 2:
                    row_ids.append(np.array([self.vocabulary[part]], dtype=np.int32))
                    row_edges.append(np.array([[at, at + len(part)]], dtype=np.int32))
                else:
                    start, end = next(plain)
                    row_ids.append(ids[start:end])
                    if edges is not None:
                        row_edges.append(edges[start:end] + np.int32(at))
                n_tokens += len(row_ids[-1])
                at += len(part)
            lengths.append(n_tokens)
        flat = np.concatenate([np.zeros(0, dtype=np.int32), *row_ids])
        spanned = np.concatenate([np.zeros((0, 2), dtype=np.int32), *row_edges]) if spans else None
        return flat, offsets_of(np.array(lengths, dtype=np.int64)), spanned

    @computed_once
    def _special(self) -> re.Pattern[str]:
        names = sorted(self._model.names(UNKNOWN, CONTROL), key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, names))})")

    def normalize(self, text: str) -> str:
        """Give the text as pieces are looked for in it, with '▁' for a space."""
        clean, _ = replace_surrogates([text], errors="replace")
        return str(self._processor.normalize(clean[0]))

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids back into text; special tokens are spelled out, so nothing disappears."""
        names = self.tokens(ids)
        special = set(self._model.names(UNKNOWN, CONTROL))
        spelled = [name for name in names if name in special]
        if not spelled:
            return str(self._processor.decode([int(i) for i in ids])) if names else ""
        marked = [_MARK if name in special else name for name in names]
        first, *rest = str(self._processor.decode(marked)).split(_MARK)
        return first + "".join(chain.from_iterable(zip(spelled, rest, strict=True)))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Name ids as the model file spells them, with '▁' for a space."""
        return name_ids(self._by_id, ids)

    @computed_once
    def _by_id(self) -> dict[int, str]:
        return {i: name for name, i in self.vocabulary.items()}

    def write(self, folder: Path) -> None:
        """Write the .model file, which decides the ids here, and a tokenizer.json for other
        programs where the model's options can be said there.
        """
        files.write_bytes(folder / SENTENCEPIECE_MODEL, self._data)
        described = self._describe(self._model)
        if described is None:
            return
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "textkit_kind": self.kind}
        config["unk_token"] = self._by_id[self.unknown_id]
        if self.pad_id is not None:
            config["pad_token"] = self._by_id[self.pad_id]
        files.write_text(folder / TOKENIZER_JSON, described)
        files.write_json(folder / CONFIG_JSON, config)


def _widened(
    edges: NDArray[np.int32], firsts: NDArray[np.int64], *, keeps: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """Give every piece that a character becomes the whole character: sentencepiece gives it to
    the last one, and nothing to those before.

    firsts: first token of every row. keeps: (n_tokens,) whether a token is a bare '▁', which keeps
    nothing where it stands first: it was put before the text.
    """
    is_first, is_last = np.zeros((2, len(edges) + 1), dtype=bool)
    is_first[firsts], is_last[firsts - 1] = True, True
    empty = (edges[:, 0] == edges[:, 1]) & ~is_last[:-1] & ~(is_first[:-1] & keeps)
    for i in np.flatnonzero(empty)[::-1].tolist():
        if edges[i, 0] == edges[i + 1, 0]:
            edges[i, 1] = edges[i + 1, 1]
    return edges


def _rebuild(data: bytes, where: str, describe: Describe) -> SentencePieceTokenizer:
    return SentencePieceTokenizer(
        read_model(data, where=where), data, where=where, describe=describe
    )
