"""The embedding layer: ids (batch, time) -> states (batch, time, dim), padding always zero.

In: a size, or Vectors and the tokenizer whose ids come in. Out: an nn.Module; after loading vectors
it keeps the Coverage, which says how much of the vocabulary they knew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from textkit.errors import UsageError, unknown_name
from textkit.nn.layers import Dropout

if TYPE_CHECKING:
    from textkit.tokenizers import Tokenizer
    from textkit.vectors.coverage import Coverage
    from textkit.vectors.vectors import Vectors

Missing = Literal["random", "zero", "mean", "ngram"]
MISSING = ("random", "zero", "mean", "ngram")
_SUBWORD_KINDS = ("bpe", "bpe-char", "byte", "unigram", "wordpiece")
# Words of the vectors that subword pieces are averaged from. Tables stand in order of frequency, so
# that what comes later is rare.
_PIECE_WORDS = 200_000
_CHUNK_WORDS = 20_000

Floats = npt.NDArray[np.float32]


class Embedding(nn.Module):
    """A table of vectors, one a token, with dropout.

    Those of the last `n_fixed` tokens are never trained.

    The words of a text are few beside those of published vectors: fixed rows cost a training step
    nothing.

    `coverage` is None until vectors are loaded.

    >>> layer = Embedding(n_tokens=10, dim=4).eval()
    >>> layer(torch.tensor([[1, 2, 0]]), torch.tensor([[True, True, False]])).shape
    torch.Size([1, 3, 4])
    """

    coverage: Coverage | None = None
    fixed: Tensor

    def __init__(self, *, n_tokens: int, dim: int, dropout: float = 0.0, n_fixed: int = 0) -> None:
        super().__init__()
        self.out_dim = dim
        self.n_trained, self.n_fixed = n_tokens - n_fixed, n_fixed
        self.table = nn.Embedding(self.n_trained, dim)
        if n_fixed:
            self.register_buffer("fixed", torch.zeros(n_fixed, dim))
        # Variance 1/dim keeps sums over words near unit length; torch's default of 1 trains slower
        # here.
        nn.init.normal_(self.table.weight, std=dim**-0.5)
        self.dropout = Dropout(dropout)

    @classmethod
    def from_vectors(
        cls,
        vectors: Vectors,
        tokenizer: Tokenizer,
        *,
        freeze: bool = False,
        missing: Missing = "random",
        dropout: float = 0.0,
        counts: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> Embedding:
        """Make the layer of a tokenizer's ids, filled from vectors.

        The options are those of `load_vectors`.

        >>> from textkit import Vectors, tokenizers
        >>> v = Vectors(["king", "queen"], np.array([[1.0, 2.0], [3.0, 4.0]], np.float32))
        >>> tok = tokenizers.create("word", vocabulary=["queen", "tree"])
        >>> layer = Embedding.from_vectors(v, tok, freeze=True)
        >>> layer.table(torch.from_numpy(tok.encode(["queen"]).ids)).tolist(), layer.coverage.share
        ([[3.0, 4.0]], 0.5)
        """
        layer = cls(n_tokens=_n_ids(tokenizer), dim=vectors.dim, dropout=dropout)
        layer.load_vectors(
            vectors, tokenizer, freeze=freeze, missing=missing, counts=counts, seed=seed
        )
        return layer

    def load_vectors(
        self,
        vectors: Vectors,
        tokenizer: Tokenizer,
        *,
        freeze: bool = False,
        missing: Missing = "random",
        counts: npt.ArrayLike | None = None,
        seed: int = 0,
    ) -> Coverage:
        """Fill the table in place and say what the vectors covered, which `coverage` keeps.

        A word takes its vector, or that of its lower case; `missing` says what others get: `random`
        (drawn from seed and word with the spread of the vectors), `zero`, `mean` (of the vectors)
        or `ngram` (only fastText's have them). A subword piece that is a word takes the word's
        vector; another takes, under `ngram`, that of its n-grams, and otherwise the mean over the
        words which the tokenizer writes with it (a piece that begins words: the words that it
        begins), of the first 200,000 of the vectors; `missing` is for what is in none. Padding is
        zeros; ids beyond the vocabulary, such as hashed n-grams, stay as they are. freeze: train
        the table no further. counts: (n_ids,) how often each id occurs, for the coverage. Raises
        UsageError for another width.
        """
        if missing not in MISSING:
            raise UsageError(unknown_name("policy for missing words", missing, MISSING))
        dim, n_tokens = self.out_dim, self.n_trained + self.n_fixed
        if vectors.dim != dim:
            raise UsageError(
                f"vectors have {vectors.dim} columns but embedding.dim = {dim};"
                f" set embedding.dim = {vectors.dim} or remove it"
            )
        if _n_ids(tokenizer) > n_tokens:
            raise UsageError(
                f"the tokenizer has {_n_ids(tokenizer):,} ids, the table {n_tokens:,} rows"
            )
        ids, rows = vocabulary_vectors(vectors, tokenizer, missing=missing, seed=seed)
        with torch.no_grad():
            weight = self.table.weight
            weight[torch.from_numpy(ids[ids < self.n_trained])] = torch.from_numpy(
                rows[ids < self.n_trained]
            ).to(weight)
            if self.n_fixed:
                last = ids >= self.n_trained
                self.fixed[torch.from_numpy(ids[last] - self.n_trained)] = torch.from_numpy(
                    rows[last]
                ).to(self.fixed)
        self.table.weight.requires_grad_(not freeze)
        self.coverage = vectors.coverage(tokenizer, counts=counts)
        return self.coverage

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Look up input_ids (batch, time) int64 under mask (batch, time) bool: (batch, time,
        dim).
        """
        if self.n_fixed:
            trained = self.table(input_ids.clamp(max=self.n_trained - 1))
            fixed = self.fixed[(input_ids - self.n_trained).clamp(min=0)]
            states: Tensor = torch.where((input_ids < self.n_trained).unsqueeze(-1), trained, fixed)
        else:
            states = self.table(input_ids)
        states = self.dropout(states)
        return states.masked_fill(~mask.unsqueeze(-1), 0.0)


def vocabulary_vectors(
    vectors: Vectors, tokenizer: Tokenizer, *, missing: Missing, seed: int = 0
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Give a vector to every id of a tokenizer, as `Embedding.load_vectors` says: ids (n,) and rows
    (n, dim).

    >>> from textkit import Vectors, tokenizers
    >>> v = Vectors(["king"], np.array([[1.0, 2.0]], np.float32))
    >>> words = tokenizers.create("word", vocabulary=["King", "tree"])
    >>> ids, rows = vocabulary_vectors(v, words, missing="zero")
    >>> rows.tolist()
    [[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
    """
    from textkit.vectors.table import find_folded

    entries = sorted((id_, name) for name, id_ in tokenizer.vocabulary.items())
    ids = np.array([id_ for id_, _ in entries], np.int64)
    is_subword = tokenizer.kind in _SUBWORD_KINDS
    words = [_spell(tokenizer, id_, name) if is_subword else name for id_, name in entries]
    rows = vectors.lookup(words, missing, seed=seed)
    found = find_folded(vectors, words)
    if is_subword:
        # "##ing" ends words and is none.
        found[[name.startswith("##") for _, name in entries]] = -1
    rows[found >= 0] = vectors.read_rows(found[found >= 0])
    if is_subword and missing != "ngram":
        averages, counts = _average_pieces(vectors, tokenizer, n_ids=int(ids[-1]) + 1)
        made = (found < 0) & (counts[ids] > 0)
        rows[made] = averages[ids[made]]
    if (
        tokenizer.unknown_id is not None and missing == "ngram"
    ):  # the n-grams of "[UNK]" mean nothing
        rows[ids == tokenizer.unknown_id] = vectors.lookup(["\0"], "mean")
    rows[ids == (-1 if tokenizer.pad_id is None else tokenizer.pad_id)] = 0.0
    return ids, rows


def _spell(tokenizer: Tokenizer, id_: int, name: str) -> str:
    """Spell a piece as it stands in text, without the mark that it continues a word."""
    return (
        name.removeprefix("##")
        if tokenizer.kind == "wordpiece"
        else tokenizer.decode([id_]).strip() or name
    )


def _average_pieces(
    vectors: Vectors, tokenizer: Tokenizer, *, n_ids: int
) -> tuple[Floats, npt.NDArray[np.float32]]:
    """Average, for each id, the words that are written with it: (n_ids, dim), and how many they
    are (n_ids,).
    """
    sums, counts = torch.zeros(n_ids, vectors.dim), torch.zeros(n_ids)
    words = vectors.words[: min(len(vectors), _PIECE_WORDS)]
    for first in range(0, len(words), _CHUNK_WORDS):
        part = words[first : first + _CHUNK_WORDS]
        # With the space that stands before a word in text: byte-level pieces carry it.
        batch = tokenizer.encode([f" {word}" for word in part])
        owners = np.repeat(np.arange(len(part)), batch.lengths)
        ids = torch.from_numpy(batch.ids.astype(np.int64))
        sums.index_add_(0, ids, torch.from_numpy(vectors.lookup(part))[torch.from_numpy(owners)])
        counts.index_add_(0, ids, torch.ones(len(ids)))
    return (sums / counts.clamp(min=1).unsqueeze(1)).numpy(), counts.numpy()


def _n_ids(tokenizer: Tokenizer) -> int:
    return max(tokenizer.vocabulary.values(), default=-1) + 1
