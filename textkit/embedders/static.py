"""Static text vectors: the mean, the weighted mean or the maximum of the vectors of a text's words.

Numpy alone.

In: texts, Vectors, and a tokenizer. Out: one vector a text. A tokenizer with a vocabulary (a
model2vec folder's, or a subword one) names a row by an id; one without (`word`, `whitespace`) cuts
words, which are looked up as they stand. What has no vector is left out; a text of which nothing is
left gives zeros. Memory is that of one block of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from textkit.batch import cut_rows
from textkit.embedders.backend import EmbedderOptions, TextVectors, content_hash, embed_blocks
from textkit.embedders.pooled_rows import Found, leave_out_unknown, pool_rows
from textkit.errors import UsageError, unknown_name
from textkit.io import files
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.protocol import check_texts
from textkit.vectors.neighbours import unit
from textkit.vectors.table import Floats
from textkit.vectors.vectors import Vectors
from textkit.vectors.words import Int64

WordPooling = Literal["mean", "sif", "max"]
POOLINGS: tuple[WordPooling, ...] = ("mean", "sif", "max")
# Arora et al. 2017 choose a between 1e-3 and 1e-4; their code has 1e-3.
SIF_A = 1e-3
# Texts that are tokenized and looked up at a time, and floats that are gathered at a time: 2 MB
# stay in the cache.
BLOCK_ROWS, BLOCK_CHARACTERS = 4096, 4 << 20
# Words looked at to tell whether a table knows upper case.
_CASE_WORDS = 5000


@dataclass(frozen=True)
class StaticTexts:
    """Texts to vectors by looking words up; made by `open_static`.

    weights: (n_rows,) float32, the weight of each row of the table, where pooling is "sif".
    components: (k, dim) float32, orthonormal directions taken out of every vector. place: what
    `Vectors.open` opened, so that another process maps the same file; without one a pickle holds
    the whole table.
    """

    parallel: ClassVar[bool] = True

    vectors: Vectors
    tokenizer: Tokenizer
    pooling: WordPooling = "mean"
    normalize: bool = False
    lowercase: bool = False
    max_length: int | None = None
    weights: Floats | None = None
    components: Floats | None = None
    id_rows: Int64 | None = None
    notes: tuple[str, ...] = ()
    place: str | None = None

    def __reduce__(self) -> tuple[Callable[..., StaticTexts], tuple[object, ...]]:
        """Go to another process without the table, which is opened again there."""
        rest = tuple(getattr(self, field.name) for field in fields(self)[1:])
        place = self.place
        if place is not None and Path(place).exists():
            place = str(Path(place).absolute())  # the other's working directory may be another
        return _rebuild, (place or self.vectors, *rest)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.vectors.dim

    def embed(self, texts: Sequence[str]) -> TextVectors:
        """Give the vectors of texts; one row a text, in order.

        >>> vectors = Vectors(["king", "queen"], np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
        >>> open_static(vectors).embed(["the king and a queen", ""]).vectors.tolist()
        [[0.5, 0.5], [0.0, 0.0]]
        """
        texts = check_texts(texts)
        whole = embed_blocks(
            texts,
            self._embed_block,
            dim=self.dim,
            n_rows=BLOCK_ROWS,
            n_characters=BLOCK_CHARACTERS,
        )
        made = whole.vectors
        if self.components is not None:
            made -= (made @ self.components.T) @ self.components
        return TextVectors(unit(made) if self.normalize else made, whole.truncated)

    def _embed_block(self, texts: Sequence[str]) -> TextVectors:
        found = self._look_up(texts)
        how: Literal["mean", "max"] = "max" if self.pooling == "max" else "mean"
        return TextVectors(pool_rows(found, how, dim=self.dim), found.truncated)

    def fit(self, texts: Iterable[str], *, n_components: int = 1, a: float = SIF_A) -> StaticTexts:
        """Estimate SIF's word frequencies and common components on texts (Arora et al. 2017).

        A word w of relative frequency p weighs a / (a + p); the first `n_components` singular
        vectors of the texts' weighted means are then taken out of every vector. The texts are gone
        through twice, a block at a time.
        """
        if self.pooling != "sif":
            raise UsageError(f"pooling is '{self.pooling}'; only 'sif' is fitted to texts")
        if a <= 0 or not 0 <= n_components <= self.dim:
            raise UsageError(
                f"a is {a} and n_components {n_components}, expected a > 0 and 0 to {self.dim}"
                f" components"
            )
        texts = check_texts(texts)
        counts = np.zeros(len(self.vectors.table))
        for block in cut_rows(texts, n_rows=BLOCK_ROWS, n_characters=BLOCK_CHARACTERS):
            found = self._look_up(block)
            table_rows = found.rows if found.table_rows is None else found.table_rows[found.rows]
            counts += np.bincount(table_rows[table_rows >= 0], minlength=len(counts))
        weights = (a / (a + counts / max(counts.sum(), 1.0))).astype(np.float32)
        weighted = replace(self, weights=weights, components=None, normalize=False)
        products = np.zeros((self.dim, self.dim))
        for block in cut_rows(texts, n_rows=BLOCK_ROWS, n_characters=BLOCK_CHARACTERS):
            means = weighted.embed(block).vectors.astype(np.float64)
            products += means.T @ means
        # The right singular vectors of the means are the eigenvectors of their products, the
        # largest last.
        directions = np.linalg.eigh(products)[1][:, ::-1].T[:n_components]
        notes = tuple(line for line in self.notes if line != _ZIPF_NOTE)
        return replace(
            weighted,
            components=directions.astype(np.float32),
            normalize=self.normalize,
            notes=notes,
        )

    def describe(self) -> dict[str, object]:
        """Say all that decides the vectors, by hashes where it is long."""
        import hashlib

        def digest(array: Floats | None) -> str | None:
            return (
                None
                if array is None
                else hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            )

        return {
            "vectors": content_hash(self.vectors),
            "tokenizer": self.tokenizer.fingerprint,
            "pooling": self.pooling,
            "normalize": self.normalize,
            "lowercase": self.lowercase,
            "max_length": self.max_length,
            "weights": digest(self.weights),
            "components": digest(self.components),
        }

    def _look_up(self, texts: Sequence[str]) -> Found:
        """Find the rows of the texts' tokens."""
        if self.id_rows is None:
            return self._look_up_words(texts)
        batch = self.tokenizer.encode(texts, max_length=self.max_length)
        rows = self.id_rows[batch.ids]
        return leave_out_unknown(rows, batch, self.vectors.read_rows, self.weights, None)

    def _look_up_words(self, texts: Sequence[str]) -> Found:
        """Cut words, and read each different one's vector once.

        Those unknown come from their n-grams, if they can.
        """
        batch = self.tokenizer.encode(texts, spans=True, max_length=self.max_length)
        assert batch.spans is not None
        numbers: dict[str, int] = {}
        codes = []
        cuts = batch.offsets.tolist()
        for text, start, stop in zip(texts, cuts[:-1], cuts[1:], strict=True):
            pieces = [text[first:last] for first, last in batch.spans[start:stop].tolist()]
            codes += [numbers.setdefault(piece, len(numbers)) for piece in pieces]
        words = [word.lower() for word in numbers] if self.lowercase else list(numbers)
        table_rows = self.vectors.rows(words)
        policy: Literal["ngram", "zero"] = "zero" if self.vectors.ngrams is None else "ngram"
        table = self.vectors.lookup(words, policy)
        usable = (table_rows >= 0) if policy == "zero" else np.ones(len(words), bool)
        flat = np.array(codes, np.int64)
        rows = np.where(usable[flat], flat, -1) if len(flat) else flat
        weights = None
        if self.weights is not None:
            weights = np.where(table_rows >= 0, self.weights[table_rows], 1.0).astype(np.float32)
        return leave_out_unknown(rows, batch, table.__getitem__, weights, table_rows)


def _rebuild(vectors: str | Vectors, *rest: Any) -> StaticTexts:
    return StaticTexts(Vectors.open(vectors) if isinstance(vectors, str) else vectors, *rest)


_ZIPF_NOTE = (
    "SIF: no texts to count words on, so their frequencies are taken to follow Zipf's law"
    " in the table's order"
)


def open_texts(place: str, options: EmbedderOptions) -> StaticTexts:
    """Open the backend of vectors of words, which `Vectors.open` finds at a place."""
    options.refuse(
        *("prompt", "prompt_name", "device", "precision", "batch_tokens", "allow"),
        spec=place,
        what="vectors of words",
    )
    return open_static(
        Vectors.open(place),
        tokenizer=options.tokenizer,
        pooling=_one_pooling(options.pooling),
        normalize=options.normalize,
        lowercase=options.lowercase,
        max_length=options.max_length,
        place=place,
    )


def _one_pooling(pooling: str | Sequence[str] | None) -> WordPooling:
    if pooling is not None and not isinstance(pooling, str):
        raise UsageError("vectors of words take one pooling: mean, sif or max")
    for known in POOLINGS:
        if known == (pooling or "mean"):
            return known
    raise UsageError(unknown_name("pooling", str(pooling), POOLINGS))


def open_static(
    vectors: Vectors,
    *,
    tokenizer: Tokenizer | None = None,
    pooling: WordPooling = "mean",
    normalize: bool | None = None,
    lowercase: bool | None = None,
    max_length: int | None = None,
    place: str | None = None,
) -> StaticTexts:
    """Make texts' vectors from words' vectors.

    tokenizer: by default the vectors' own (model2vec), the kind they were trained with, or `word`.
    normalize: scale to length 1; by default as a model2vec folder says, else not. lowercase: fold
    case before words are looked up; by default where the table's most frequent words have no upper
    case, and then it is said in `notes`. pooling: "mean", "max" or "sif"; see `StaticTexts.fit`,
    without which word frequencies follow Zipf's law. max_length: tokens a text. place: where the
    vectors were opened, if they are as they were there.

    >>> vectors = Vectors(["king"], np.array([[3.0, 4.0]], np.float32))
    >>> open_static(vectors, normalize=True).embed(["King"]).vectors.tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """
    if pooling not in POOLINGS:
        raise UsageError(unknown_name("pooling", pooling, POOLINGS))
    chosen = _own_tokenizer(vectors) if tokenizer is None else tokenizer
    notes = tuple(vectors.notes)
    id_rows = _id_rows(vectors, chosen) if chosen.has_vocabulary else None
    if id_rows is not None and lowercase:
        raise UsageError(
            "lowercase is for tokenizers without a vocabulary; this one folds case by itself or not"
        )
    if id_rows is None and lowercase is None:
        lowercase = _is_lowercase(vectors)
        notes += (
            ("the vectors have no upper case: texts are folded to lower case",) if lowercase else ()
        )
    weights = None
    if pooling == "sif":
        notes += (_ZIPF_NOTE,)
        weights = _zipf_weights(len(vectors.table))
    return StaticTexts(
        vectors,
        chosen,
        pooling=pooling,
        normalize=_says_normalize(vectors) if normalize is None else normalize,
        lowercase=bool(lowercase),
        max_length=max_length,
        weights=weights,
        id_rows=id_rows,
        notes=notes,
        place=place,
    )


def _own_tokenizer(vectors: Vectors) -> Tokenizer:
    """Choose the tokenizer that vectors were made with."""
    from textkit import tokenizers

    known = vectors.facts.get("tokenizer", "word")
    if known == "tokenizer.json":
        return tokenizers.load(Path(vectors.source) / known)
    if known in ("word", "unicode", "whitespace", "char", "grapheme"):
        return tokenizers.create(str(known))
    raise UsageError(
        f"these vectors are of the pieces of a '{known}' tokenizer; say which with tokenizer"
        f" (--tokenizer FOLDER)"
    )


def _id_rows(vectors: Vectors, tokenizer: Tokenizer) -> Int64:
    """Give the row of each id, -1 for the unknown token and for pieces without a vector."""
    names = list(tokenizer.vocabulary)
    ids = np.fromiter(tokenizer.vocabulary.values(), np.int64, len(names))
    rows = np.full(int(ids.max(initial=-1)) + 1, -1, np.int64)
    rows[ids] = vectors.rows(names)
    if tokenizer.unknown_id is not None:
        rows[tokenizer.unknown_id] = -1
    if not (rows >= 0).any():
        raise UsageError(
            f"none of the tokenizer's {len(names):,} pieces has a vector in {vectors.source}; take"
            f" another tokenizer"
        )
    return rows


def _is_lowercase(vectors: Vectors) -> bool:
    words = "".join(vectors.words[:_CASE_WORDS])
    return len(vectors) > 0 and words.lower() == words


def _zipf_weights(n_rows: int) -> Floats:
    shares = 1.0 / np.arange(1, n_rows + 1)
    shares /= max(shares.sum(), 1.0)
    return (SIF_A / (SIF_A + shares)).astype(np.float32)


def _says_normalize(vectors: Vectors) -> bool:
    """Read from a model2vec folder whether its texts are scaled to length 1."""
    path = Path(vectors.source) / "config.json"
    if vectors.facts.get("tokenizer") != "tokenizer.json" or not path.is_file():
        return False
    config = files.read_json(path)
    return isinstance(config, dict) and config.get("normalize") is True
