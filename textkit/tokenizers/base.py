"""The Tokenizer protocol, and PipelineTokenizer: any tokenizer that a `tokenizer.json` can describe.

In: a list of texts. Out: a TokenBatch of ids and, when asked, spans in the caller's own text. Hugging Face's
`tokenizers` defines the ids, the spans and the file format, so every tool of that ecosystem reads what we save.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import tokenizers as hf

from textkit import files
from textkit.batch import TokenBatch
from textkit.errors import DataError, LimitError, UsageError

OnLong = Literal["truncate", "error"]
Errors = Literal["replace", "strict"]

PAD, UNKNOWN = "[PAD]", "[UNK]"
_PAD_NAMES = (PAD, "<pad>", "<|pad|>", "<|endoftext|>")
# Rows that the reference engine encodes at a time: its Encoding objects take about 100 times the memory of their ids.
_CHUNK_ROWS = 1024
# Half of a UTF-16 pair: Python's str can hold it, UTF-8 and every tokenizer engine cannot.
SURROGATE = re.compile("[\ud800-\udfff]")


class Tokenizer(Protocol):
    """What every tokenizer can do. Encoding is pure: it changes neither the tokenizer nor the texts."""

    @property
    def kind(self) -> str: ...
    @property
    def vocabulary(self) -> dict[str, int]: ...
    @property
    def pad_id(self) -> int | None: ...
    @property
    def unknown_id(self) -> int | None: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def lossless(self) -> bool: ...
    def encode(
        self,
        texts: Sequence[str],
        *,
        spans: bool = False,
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        errors: Errors = "replace",
    ) -> TokenBatch: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def save(self, folder: str | Path) -> None: ...


@dataclass(frozen=True)
class Kind:
    """A registered kind of tokenizer: how to train one from texts, and how to make one from a given vocabulary."""

    train: Callable[..., Tokenizer]
    create: Callable[..., Tokenizer]


class PipelineTokenizer:
    """A tokenizer that is a normaliser, a splitter and a vocabulary: all of it stands in its `tokenizer.json`.

    >>> from textkit import tokenizers
    >>> word = tokenizers.train("word", ["Vanity and pride are different things"])
    >>> batch = word.encode(["pride, vanity"], spans=True)
    >>> batch.spans.tolist()
    [[0, 5], [5, 6], [7, 13]]
    """

    def __init__(self, backend: hf.Tokenizer, *, kind: str) -> None:
        backend.no_padding()
        backend.no_truncation()
        # Text that spells a special token is ordinary text.
        backend.encode_special_tokens = True
        self._backend = backend
        self.kind = kind
        self.json = backend.to_str()
        self._model = _model_facts(json.loads(self.json))
        self.vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
        self.fingerprint = hashlib.sha256(self.json.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"PipelineTokenizer(kind='{self.kind}', n_tokens={len(self.vocabulary):,})"

    def __len__(self) -> int:
        return self._backend.get_vocab_size()

    @property
    def pad_id(self) -> int | None:
        """Id of the padding token, or None when the vocabulary has none."""
        return next((self.vocabulary[name] for name in _PAD_NAMES if name in self.vocabulary), None)

    @property
    def unknown_id(self) -> int | None:
        """Id that stands for what the vocabulary lacks, or None when nothing can be unknown (bytes)."""
        return None if self._model["unknown"] is None else self.vocabulary.get(self._model["unknown"])

    @property
    def lossless(self) -> bool:
        """Whether decode(encode(text)) gives the text back for every text."""
        return bool(self._model["lossless"])

    def encode(
        self,
        texts: Sequence[str],
        *,
        spans: bool = False,
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        errors: Errors = "replace",
    ) -> TokenBatch:
        """Turn texts into ids; one row a text, in order.

        spans: also give (start, end) of every token, in characters of the caller's text. max_length: tokens a row;
        what is cut is counted in `truncated`, or with on_long="error" raises LimitError. errors: a lone surrogate (half
        of a UTF-16 pair, which is no character) becomes U+FFFD, or with "strict" raises DataError with its index.
        """
        texts = check_texts(texts)
        parts = [
            self._encode_chunk(texts[start : start + _CHUNK_ROWS], spans=spans, errors=errors)
            for start in range(0, len(texts), _CHUNK_ROWS)
        ]
        batch = parts[0] if len(parts) == 1 else TokenBatch.concatenate(parts)
        if spans and batch.spans is None:
            batch = TokenBatch.from_rows([], [])
        return limit(batch, max_length=max_length, on_long=on_long)

    def _encode_chunk(self, texts: Sequence[str], *, spans: bool, errors: Errors) -> TokenBatch:
        clean = replace_surrogates(texts, errors=errors)
        encode = self._backend.encode_batch if spans else self._backend.encode_batch_fast
        rows = encode(clean, add_special_tokens=False)
        return TokenBatch.from_rows([row.ids for row in rows], [row.offsets for row in rows] if spans else None)

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids back into text; special tokens are spelled out, so nothing disappears."""
        checked = [int(i) for i in ids]
        bad = [i for i in checked if not 0 <= i < len(self)]
        if bad:
            raise UsageError(f"id {bad[0]} is not in the vocabulary (0 to {len(self) - 1})")
        return str(self._backend.decode(checked, skip_special_tokens=False))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Name ids as the vocabulary spells them (byte-level BPE writes a leading space as 'Ġ')."""
        return [str(self._backend.id_to_token(int(i))) for i in ids]

    def save(self, folder: str | Path) -> None:
        """Write a tokenizer folder: tokenizer.json, tokenizer_config.json and a manifest."""
        from textkit.tokenizers import formats

        with files.atomic_folder(folder) as temporary:
            formats.write_files(self, temporary)
            files.write_manifest(temporary, kind=formats.MANIFEST_KIND, format=formats.FORMAT)


def check_texts(texts: Any) -> list[str]:
    """Refuse what is not a batch of str: a bare str would silently become a batch of characters."""
    if isinstance(texts, str | bytes):
        raise UsageError(f"expected a list of texts, found one {type(texts).__name__}; wrap it in a list: [text]")
    rows = texts if isinstance(texts, list) else list(texts)
    for row, text in enumerate(rows):
        if not isinstance(text, str):
            raise UsageError(f"text {row} is a {type(text).__name__}, expected str")
    return rows


def replace_surrogates(texts: Sequence[str], *, errors: Errors) -> Sequence[str]:
    """Replace each lone surrogate by U+FFFD, one character by one, so that spans stay right."""
    try:
        "".join(texts).encode("utf-8")
    except UnicodeEncodeError:
        pass
    else:
        return texts
    if errors == "strict":
        row, found = next((r, match) for r, text in enumerate(texts) if (match := SURROGATE.search(text)))
        raise DataError(f"text {row} has a lone surrogate (U+{ord(found[0]):04X}) at character {found.start()}")
    return [SURROGATE.sub("\ufffd", text) for text in texts]


def limit(batch: TokenBatch, *, max_length: int | None, on_long: OnLong) -> TokenBatch:
    """Hold rows to `max_length` tokens: cut and count, or refuse the first row that is longer."""
    if max_length is None:
        return batch
    if max_length < 0:
        raise UsageError(f"max_length is {max_length}, expected 0 or more")
    if on_long == "error":
        long = np.flatnonzero(batch.lengths > max_length)
        if len(long):
            raise LimitError(
                f"text {long[0]} has {batch.lengths[long[0]]} tokens, more than max_length = {max_length};"
                " raise max_length or pass on_long='truncate'"
            )
    elif on_long != "truncate":
        raise UsageError(f"on_long is '{on_long}', expected 'truncate' or 'error'")
    return batch.truncate(max_length)


def _model_facts(description: dict[str, Any]) -> dict[str, Any]:
    """Read from a tokenizer.json what its vocabulary can lose: the unknown token's name, and whether it is lossless."""
    model = description["model"]
    unknown = model.get("unk_token")
    if model["type"] == "Unigram" and model.get("unk_id") is not None:
        unknown = model["vocab"][model["unk_id"]][0]
    byte_level = '"ByteLevel"' in json.dumps(description["pre_tokenizer"])
    lossless = model["type"] == "BPE" and byte_level and description["normalizer"] is None
    return {"unknown": unknown, "lossless": lossless and unknown is None}


def check_size(size: int, *, at_least: int) -> None:
    """Refuse a vocabulary too small for its special tokens and alphabet."""
    if size < at_least:
        raise UsageError(f"size is {size}, expected at least {at_least}")


def iterate_checked(texts: Iterable[str]) -> Iterable[str]:
    """Pass texts on to a trainer, without lone surrogates; refuse what is not a str."""
    for text in texts:
        if not isinstance(text, str):
            raise UsageError(f"expected texts to train on, found a {type(text).__name__}")
        yield replace_surrogates([text], errors="replace")[0]
