"""The Tokenizer protocol, and PipelineTokenizer: any tokenizer that a `tokenizer.json` can
describe.

In: a list of texts. Out: a TokenBatch of ids and, when asked, spans in the caller's own text.
Hugging Face's `tokenizers` defines the ids, the spans and the file format, so every tool of that
ecosystem reads what we save.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import tokenizers as hf
from numpy.typing import NDArray

from textkit.batch import TokenBatch, cut_rows
from textkit.errors import ArtifactError, LimitError, UsageError
from textkit.io import files
from textkit.tokenizers import engines
from textkit.tokenizers.spans import Errors, Unit, convert_spans, replace_surrogates

OnLong = Literal["truncate", "window", "error"]
EngineChoice = Literal["auto", "table", "reference"]

PAD, UNKNOWN = "[PAD]", "[UNK]"
_PAD_NAMES = (PAD, "<pad>", "<|pad|>", "<|endoftext|>")
# What an engine is given at a time: the reference's Encoding objects take 100 times the memory of
# the ids.
CHUNK_ROWS, CHUNK_CHARACTERS = 1 << 18, 1 << 20


class Tokenizer(Protocol):
    """What every tokenizer can do.

    Encoding is pure: it changes neither the tokenizer nor the texts.
    """

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
    def __len__(self) -> int: ...
    def encode(
        self,
        texts: Sequence[str],
        *,
        spans: bool = False,
        unit: Unit = "char",
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        stride: int | None = None,
        errors: Errors = "replace",
        allow_special: bool = False,
    ) -> TokenBatch: ...
    def normalize(self, text: str) -> str: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def save(self, folder: str | Path) -> None: ...


@dataclass(frozen=True)
class Kind:
    """A registered kind of tokenizer: how to train one from texts, and how to make one from a given
    vocabulary.

    Where training is counting and then learning, its halves stand here too: `pieces(**options)`
    gives the function that cuts a text into the pieces to count, `learn(counts, **options)` makes
    the tokenizer of (piece, count) pairs.
    """

    train: Callable[..., Tokenizer]
    create: Callable[..., Tokenizer]
    pieces: Callable[..., Callable[[str], list[str]]] | None = None
    learn: Callable[..., Tokenizer] | None = None


class PipelineTokenizer:
    """A tokenizer that is a normaliser, a splitter and a vocabulary: all of it stands in its
    `tokenizer.json`.

    >>> from textkit import tokenizers
    >>> word = tokenizers.train("word", ["Vanity and pride are different things"])
    >>> batch = word.encode(["pride, vanity"], spans=True)
    >>> batch.spans.tolist()
    [[0, 5], [5, 6], [7, 13]]
    """

    def __init__(
        self,
        backend: hf.Tokenizer,
        *,
        kind: str,
        engine: EngineChoice = "auto",
        description: dict[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._description: dict[str, Any] = (
            json.loads(backend.to_str()) if description is None else description
        )
        self._description |= {"truncation": None, "padding": None}
        self.json = json.dumps(self._description, ensure_ascii=False, separators=(",", ":"))
        if description is None and self._description["model"]["type"] == "Unigram":
            # tokenizers reads a score up to one bit off what it wrote: use what the saved file will
            # give.
            backend = hf.Tokenizer.from_str(self.json)
        backend.no_padding()
        backend.no_truncation()
        # Text that spells a special token is ordinary text.
        backend.encode_special_tokens = True
        self._backend = backend
        self.kind = kind
        self._facts = _model_facts(self._description)
        self.vocabulary: dict[str, int] = backend.get_vocab(with_added_tokens=True)
        self.fingerprint = hashlib.sha256(self.json.encode()).hexdigest()
        self._choice = engine
        self._reference = engines.ReferenceEngine(backend)
        # With or without spans -> the engine, chosen and certified at the first texts.
        self._engines: dict[bool, engines.Engine] = {}
        self._made: dict[engines.Maker, engines.FastEngine | None] = {}
        self._notes = list(notes)

    def __repr__(self) -> str:
        return f"PipelineTokenizer(kind='{self.kind}', n_tokens={len(self.vocabulary):,})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process as text: engines stay behind and are chosen anew."""
        return _rebuild, (self.json, self.kind, self._choice)

    def __len__(self) -> int:
        return self._backend.get_vocab_size()

    @property
    def pad_id(self) -> int | None:
        """Id of the padding token, or None when the vocabulary has none."""
        return next((self.vocabulary[name] for name in _PAD_NAMES if name in self.vocabulary), None)

    @property
    def unknown_id(self) -> int | None:
        """Id that stands for what the vocabulary lacks, or None when nothing can be unknown
        (bytes).
        """
        return (
            None if self._facts["unknown"] is None else self.vocabulary.get(self._facts["unknown"])
        )

    @property
    def lossless(self) -> bool:
        """Whether decode(encode(text)) gives the text back for every text."""
        return bool(self._facts["lossless"])

    def encode(
        self,
        texts: Sequence[str],
        *,
        spans: bool = False,
        unit: Unit = "char",
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        stride: int | None = None,
        errors: Errors = "replace",
        allow_special: bool = False,
    ) -> TokenBatch:
        """Turn texts into ids; one row a text, in order.

        spans: also give (start, end) of every token in the caller's text, counted in `unit`:
        "char", "byte" (UTF-8) or "utf16". max_length: tokens a row; what is longer is cut and
        counted in `truncated`, or with on_long="window" goes on in further rows that start `stride`
        tokens (half of max_length) after the one before, `sources` telling whose they are, or with
        "error" raises LimitError. errors: a lone surrogate becomes U+FFFD and is counted in
        `n_replaced`, or with "strict" raises DataError with its index. allow_special: text that
        spells a special token becomes that token; by default it is ordinary text.
        """
        texts, together = join_texts(texts)
        clean, n_replaced = (
            (texts, 0) if together.isascii() else replace_surrogates(texts, errors=errors)
        )
        engine = self._special_engine if allow_special else self._choose_engine(clean, spans=spans)
        if len(together) < CHUNK_CHARACTERS:
            batch = engine.encode(clean, spans=spans)
        else:
            del together
            chunks = cut_rows(clean, n_rows=CHUNK_ROWS, n_characters=CHUNK_CHARACTERS)
            batch = TokenBatch.concatenate([engine.encode(part, spans=spans) for part in chunks])
        if self._plain_ids is not None and not allow_special:
            batch = replace(batch, ids=self._plain_ids[batch.ids])
        if n_replaced:
            batch = replace(batch, n_replaced=n_replaced)
        batch = limit(batch, max_length=max_length, on_long=on_long, stride=stride)
        return convert_spans(texts, batch, unit=unit) if spans else batch

    def engine_for(self, texts: Sequence[str], *, spans: bool = False) -> str:
        """Name the engine that encodes such texts.

        `engine_notes` says why a faster one was not taken.

        >>> from textkit import tokenizers
        >>> tokenizers.create("char").engine_for(["pride"], spans=True)
        'native'
        """
        return self._choose_engine(check_texts(texts), spans=spans).name

    def _choose_engine(self, texts: Sequence[str], *, spans: bool) -> engines.Engine:
        if spans not in self._engines:
            self._engines[spans] = self._certified_engine(texts, spans=spans)
        return self._engines[spans]

    def _certified_engine(self, texts: Sequence[str], *, spans: bool) -> engines.Engine:
        for make in engines.MAKERS[self._choice]:
            fast = self._fast_engine(make)
            if fast is None or (spans and not fast.with_spans):
                continue
            problem = engines.certify(fast.engine, self._reference, texts, spans=spans)
            if problem is None:
                return fast.engine
            self._notes.append(f"{problem}; it is not used")
        return self._reference

    def _fast_engine(self, make: engines.Maker) -> engines.FastEngine | None:
        """Make an engine when it is first asked for.

        None where there is none for this tokenizer.
        """
        if make not in self._made:
            try:
                with engines.native_errors("no fast engine"):
                    self._made[make] = make(
                        self._description, self.vocabulary, reference=self._reference
                    )
            except (ArtifactError, ImportError) as err:
                self._made[make] = None
                self._notes.append(f"{err}; another engine is used")
        return self._made[make]

    @property
    def engine_notes(self) -> list[str]:
        """Say why a fast engine was not taken, when it failed on texts, and where a foreign
        file's ids may differ.
        """
        tried = [fast.engine.notes for fast in self._made.values() if fast is not None]
        return [*self._notes, *chain.from_iterable(tried)]

    @cached_property
    def _plain_ids(self) -> NDArray[np.int32] | None:
        """Give for every id the one that it has in plain text; None where that is the id itself.

        Plain text that spells a special token comes to that token where a list of words holds it as
        a whole piece; it is unknown.
        """
        if (
            self._description["model"]["type"] not in ("WordLevel", "WordPiece")
            or self.unknown_id is None
        ):
            return None
        special = {
            t["content"]: t["id"] for t in self._description["added_tokens"] if t.get("special")
        }
        found = set(self._reference.encode(list(special), spans=False).ids.tolist())
        spelled = [i for i in special.values() if i in found and i != self.unknown_id]
        if not spelled:
            return None
        plain = np.arange(max(self.vocabulary.values()) + 1, dtype=np.int32)
        plain[spelled] = self.unknown_id
        return plain

    def normalize(self, text: str) -> str:
        """Give the text as the splitter sees it, lower-cased for instance.

        >>> from textkit import tokenizers
        >>> tokenizers.create("word", lowercase=True).normalize("Vanity")
        'vanity'
        """
        return self._reference.normalize(text)

    @cached_property
    def _special_engine(self) -> engines.Engine:
        """The reference engine that makes special tokens of the text that spells them."""
        backend = hf.Tokenizer.from_str(self.json)
        backend.encode_special_tokens = False
        return engines.ReferenceEngine(backend)

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids back into text; special tokens are spelled out, so nothing disappears."""
        checked = [int(i) for i in ids]
        self.tokens(checked)
        with engines.native_errors("this tokenizer cannot decode"):
            return str(self._backend.decode(checked, skip_special_tokens=False))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Name ids as the vocabulary spells them (byte-level BPE writes a leading space as 'Ġ')."""
        names = self._names
        try:
            return [names[int(i)] for i in ids]
        except KeyError as err:
            raise UsageError(
                f"id {err} is not in the vocabulary (0 to {max(names, default=-1)})"
            ) from None

    @cached_property
    def _names(self) -> dict[int, str]:
        return {i: name for name, i in self.vocabulary.items()}

    def save(self, folder: str | Path) -> None:
        """Write a tokenizer folder: tokenizer.json, tokenizer_config.json and a manifest."""
        from textkit.tokenizers import formats

        with files.atomic_folder(folder) as temporary:
            formats.write_files(self, temporary)
            files.write_manifest(temporary, kind=formats.MANIFEST_KIND, format=formats.FORMAT)


def _rebuild(described: str, kind: str, engine: EngineChoice) -> PipelineTokenizer:
    backend, description = hf.Tokenizer.from_str(described), json.loads(described)
    return PipelineTokenizer(backend, kind=kind, engine=engine, description=description)


def check_texts(texts: Any) -> list[str]:
    """Refuse what is not a batch of str: a bare str would silently become a batch of characters."""
    return join_texts(texts)[0]


def join_texts(texts: Any) -> tuple[list[str], str]:
    """Check a batch of str, and give it with all its texts as one: joining is the quickest look
    at every text.
    """
    if isinstance(texts, str | bytes):
        raise UsageError(
            f"expected a list of texts, found one {type(texts).__name__}; wrap it in a list: [text]"
        )
    rows = texts if isinstance(texts, list) else list(texts)
    try:
        return rows, "".join(rows)
    except TypeError:
        row, text = next((row, text) for row, text in enumerate(rows) if not isinstance(text, str))
        raise UsageError(f"text {row} is a {type(text).__name__}, expected str") from None


def limit(
    batch: TokenBatch, *, max_length: int | None, on_long: OnLong, stride: int | None
) -> TokenBatch:
    """Hold rows to `max_length` tokens: cut and count, go on in windows, or refuse the first row
    that is longer.
    """
    if max_length is None:
        return batch
    if max_length < 0:
        raise UsageError(f"max_length is {max_length}, expected 0 or more")
    if on_long == "window":
        return batch.windows(
            max_length, stride=max(1, max_length // 2) if stride is None else stride
        )
    if on_long == "error":
        long = np.flatnonzero(batch.lengths > max_length)
        if len(long):
            raise LimitError(
                f"text {long[0]} has {batch.lengths[long[0]]} tokens, more than max_length ="
                f" {max_length};"
                " raise max_length or pass on_long='truncate'"
            )
    elif on_long != "truncate":
        raise UsageError(f"on_long is '{on_long}', expected 'truncate', 'window' or 'error'")
    return batch.truncate(max_length)


def _model_facts(description: dict[str, Any]) -> dict[str, Any]:
    """Read from a tokenizer.json what its vocabulary can lose: the unknown token's name, and
    whether it is lossless.
    """
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
        yield replace_surrogates([text], errors="replace")[0][0]
