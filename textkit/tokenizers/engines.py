"""Engines: the ways to compute one tokenizer's ids. All give the same ids and spans.

They differ in speed.

`reference` is Hugging Face's `tokenizers`: it defines the result and does everything. `splintr`
(splintr_engine.py) is a faster engine for BPE, WordPiece and Unigram without spans; for byte-level
BPE the pieces' byte lengths give the spans too. `native` (native_engine.py) is our own regex and
numpy path for word-like kinds. `table` (word_table.py) looks up words that the reference, or
`native`, has encoded before. A fast engine is used only after `certify` found it equal to the
reference on hard strings and on a sample of the user's own texts; rows it is not sure of go to the
reference.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np
import tokenizers as hf

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import ArtifactError, TextkitError
from textkit.tokenizers.forking import is_forked, keep_forks_safe, native_calls

# What engines are known to differ on: spaces, line ends, marks, joiners, scripts without spaces,
# case, digits, controls, spelt-out special tokens, long runs.
HARD_STRINGS = [
    "",
    " ",
    "  a  b ",
    "\t\n\r\n\x0b\x0c\x85\u2028\u2029",
    "\x00\x01\x7f\xad\u200b\u200d\u2060\ufeff",
    "Don't, DON'T; it's 3.14 1,000,000 a.b.c e-mail_address@x.org",
    "Ünïcödé e\u0301 ﬁﬂ ǅ İi ıI ß ẞ Σσς ΑΣ",
    "हिन्दी ไทยภาษา العربية עברית א\"ב א' 中文字 日本語カタカナ한국어 ᄀᄁ각",
    "👨‍👩‍👧‍👦🏳️‍🌈🇩🇪🇫🇷🇺 👍🏽 ❤️ a\u200d🙂b",
    "[PAD][UNK][CLS] [SEP] [MASK] <s></s><unk><pad> <|endoftext|> ##ing ▁Ġ",
    "\u0300\u0301 x\u0308\u0308 \u202fy\u202f \u00a0z",
    "①② ½ Ⅳ ７ ٣ ㎏ ℡ ™ … “quotes” – — ¿¡",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    * 3,
    "!!!??? ... --- ((())) \"'`´ \\ / | ~",
    "𝐀𝒃𝔠 𐐀𐐨 𠀀 \U0010ffff \ufffd",
    "x\ue000y \uf8ff \ue001\ue002 \U000f0000a \u0378",  # in nobody's vocabulary
    "CamelCase snake_case kebab-case 100km x1y2z3 C++ .NET #tag @user http://a.b/c?d=e&f=g",
]
SAMPLE_ROWS = 64
SAMPLE_CHARACTERS = 2000
# An engine that fails says so this often.
_NOTES = 10


class Engine(Protocol):
    """One way to encode: texts without lone surrogates in, a TokenBatch out."""

    name: str

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch: ...


class ReferenceEngine:
    """Hugging Face's tokenizers."""

    name = "reference"

    def __init__(self, backend: hf.Tokenizer) -> None:
        self._backend = backend
        keep_forks_safe()

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        rows = self._encode_rows(texts, spans=spans)
        ids = [row.ids for row in rows]
        lengths = np.fromiter(map(len, ids), dtype=np.int64, count=len(ids))
        offsets = offsets_of(lengths)
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=int(offsets[-1]))
        edges = None
        if spans:
            values = chain.from_iterable(chain.from_iterable(row.offsets for row in rows))
            edges = np.fromiter(values, dtype=np.int32, count=2 * len(flat)).reshape(-1, 2)
        return TokenBatch(flat, offsets, edges, np.zeros(len(ids), dtype=np.int32))

    def normalize(self, text: str) -> str:
        """Give the text that the splitter sees."""
        normalizer = self._backend.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def _encode_rows(self, texts: Sequence[str], *, spans: bool) -> list[Any]:
        encode = self._backend.encode_batch if spans else self._backend.encode_batch_fast
        # A broken file shows only now.
        with native_errors("this tokenizer cannot encode"), native_calls:
            if is_forked():  # the thread pool of the parent did not come along
                return [self._backend.encode(text, add_special_tokens=False) for text in texts]
            return list(encode(list(texts), add_special_tokens=False))


@contextlib.contextmanager
def native_errors(what: str) -> Iterator[None]:
    """Turn whatever a native library raises into one ArtifactError.

    tokenizers raises bare Exception for a broken file, and the panics of Rust derive from
    BaseException.
    """
    try:
        yield
    except (TextkitError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as err:
        reason = " ".join(str(err).split()) or type(err).__name__
        raise ArtifactError(f"{what}: {reason}; its tokenizer.json is broken") from err


class GuardedEngine:
    """A fast engine for the rows it is sure of.

    The reference for the others, and for all rows when it fails.

    The reference looks for added tokens before anything else, which no fast engine does: a row that
    may hold one is the reference's. `added`: their entries in the tokenizer.json. `normalized`:
    texts to look for in the normalised row.
    """

    def __init__(
        self,
        fast: Engine,
        reference: ReferenceEngine,
        *,
        added: Sequence[dict[str, Any]],
        normalized: Sequence[str],
    ) -> None:
        self.name = fast.name
        self.has_clock = getattr(fast, "has_clock", False)
        self.notes: list[str] = []
        self._fast, self._reference = fast, reference
        contents = [token["content"] for token in added if token["content"]]
        self._first_marks = sorted({content[0] for content in contents})
        self._find = _any_of(contents).search
        self._find_normalized = _any_of(normalized).search if normalized else None

    def encode(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        plain = self._plain_rows(texts)
        if plain is None:
            return self._encode_plain(texts, spans=spans)
        return encode_split(texts, plain, self._encode_plain, self._reference.encode, spans=spans)

    def _plain_rows(self, texts: Sequence[str]) -> list[bool] | None:
        """Tell for each row whether it holds no added token; None when no row does."""
        find, find_normalized = self._find, self._find_normalized
        if find_normalized is not None:
            return [
                not (find(text) or find_normalized(self._reference.normalize(text)))
                for text in texts
            ]
        # Most texts hold no character that an added token begins with.
        together = "".join(texts)
        if not any(mark in together for mark in self._first_marks):
            return None
        held = {row for mark in self._first_marks for row, text in enumerate(texts) if mark in text}
        hard = {row for row in held if find(texts[row])}
        return [row not in hard for row in range(len(texts))] if hard else None

    def _encode_plain(self, texts: Sequence[str], *, spans: bool) -> TokenBatch:
        try:
            with native_errors(f"{self.name} failed"):
                return self._fast.encode(texts, spans=spans)
        except ArtifactError as err:
            if len(self.notes) < _NOTES:
                self.notes.append(f"{err.message}; the reference encoded {len(texts):,} texts")
            return self._reference.encode(texts, spans=spans)


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(text) for text in texts if text) or "(?!)")


def encode_split(
    texts: Sequence[str],
    plain: Sequence[bool],
    fast: Callable[..., TokenBatch],
    reference: Callable[..., TokenBatch],
    *,
    spans: bool,
) -> TokenBatch:
    """Encode the plain rows by the fast way and the others by the reference.

    The rows keep their order.
    """
    mask = np.array(plain, dtype=bool)
    order = np.concatenate([np.flatnonzero(mask), np.flatnonzero(~mask)])
    easy = fast([text for text, known in zip(texts, plain, strict=True) if known], spans=spans)
    hard = reference(
        [text for text, known in zip(texts, plain, strict=True) if not known], spans=spans
    )
    return TokenBatch.concatenate([easy, hard]).take(np.argsort(order))


def certify(
    engine: GuardedEngine, reference: Engine, texts: Sequence[str], *, spans: bool
) -> str | None:
    """Compare an engine with the reference on hard strings and a sample of texts.

    None, or what differs.
    """
    # A pattern with a clock could spend all its time on a hard string that the user's texts have
    # nothing of.
    sample = [
        *([] if engine.has_clock else HARD_STRINGS),
        *(text[:SAMPLE_CHARACTERS] for text in texts[:SAMPLE_ROWS]),
    ]
    found, expected = engine.encode(sample, spans=spans), reference.encode(sample, spans=spans)
    if engine.notes:
        return engine.notes[0]
    for row, text in enumerate(sample):
        same = np.array_equal(found[row], expected[row])
        if not same or (
            spans and not np.array_equal(found.row_spans(row), expected.row_spans(row))
        ):
            return f"{engine.name} differs from the reference on {text[:40]!r}"
    return None


@dataclass(frozen=True)
class FastEngine:
    """An engine that is still to be certified, and whether it can give spans."""

    engine: GuardedEngine
    with_spans: bool


def native_words(
    description: dict[str, Any], vocabulary: dict[str, int], *, reference: ReferenceEngine
) -> FastEngine | None:
    """Make the engine of a list of words; those that stand between spaces are looked up."""
    if description["model"]["type"] != "WordLevel":
        return None
    from textkit.tokenizers.native_engine import native_engine
    from textkit.tokenizers.word_table import WordTableEngine, is_cut_at_spaces

    native = native_engine(description, reference=reference)
    if native is None:
        return None
    if is_cut_at_spaces(description) and not getattr(native, "has_clock", False):
        native = WordTableEngine(native)
    return FastEngine(_guard(native, description, reference, specials=False), with_spans=True)


def splintr_pieces(
    description: dict[str, Any], vocabulary: dict[str, int], *, reference: ReferenceEngine
) -> FastEngine | None:
    """Make splintr's engine of a subword tokenizer."""
    if description["model"]["type"] == "WordLevel":
        return None
    from textkit.tokenizers.splintr_engine import SplintrEngine, piece_bytes

    n_bytes = piece_bytes(description, vocabulary)
    splintr = SplintrEngine(description, piece_bytes=n_bytes, reference=reference)
    # Not every backend of splintr takes the text of a special token for plain text.
    return FastEngine(_guard(splintr, description, reference, specials=True), n_bytes is not None)


def table_of_words(
    description: dict[str, Any], vocabulary: dict[str, int], *, reference: ReferenceEngine
) -> FastEngine | None:
    """Put a table of words before the reference, where the ids of a text are those of its words."""
    from textkit.tokenizers.word_table import WordTableEngine, is_cut_at_spaces

    if not is_cut_at_spaces(description):
        return None
    return FastEngine(
        _guard(WordTableEngine(reference), description, reference, specials=False), with_spans=True
    )


Maker = Callable[..., FastEngine | None]
# What may be used -> makers of engines, from the fastest on. Each takes the parsed tokenizer.json
# and its vocabulary (token -> id, added tokens included) and gives an engine, still to be
# certified, or None; it raises what the engine's own loader raises.
MAKERS = {
    "auto": (native_words, splintr_pieces, table_of_words),
    "table": (table_of_words,),
    "reference": (),
}


def _guard(
    fast: Engine, description: dict[str, Any], reference: ReferenceEngine, *, specials: bool
) -> GuardedEngine:
    """Give rows that hold added tokens to the reference.

    Those that hold special ones too, if `specials`.
    """
    added = description["added_tokens"]
    plain = [token for token in added if not token["special"]]
    loose = [token for token in plain if token["normalized"] and description["normalizer"]]
    normalized = [reference.normalize(token["content"]) for token in loose]
    return GuardedEngine(fast, reference, added=added if specials else plain, normalized=normalized)
