"""Word embeddings built from characters, after Kim et al.
2016, "Character-Aware Neural Language Models".

In: the vocabulary of a word tokenizer. Out: a layer with the same call as Embedding. A word's
characters pass a convolution, a maximum and a highway layer, so that words spelled alike start
alike, rare ones among them; and the parameters grow with the alphabet, not with the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from textkit.nn.encoders.cnn import CnnEncoder
from textkit.nn.layers import Dropout
from textkit.nn.pooling import max_pool
from textkit.tokenizers.protocol import PAD, UNKNOWN

_PAD, _START, _END, _UNKNOWN, _FIRST = 0, 1, 2, 3, 4


class CharCnnEmbedding(nn.Module):
    """Compute the vector of each word from its characters, once for each distinct word of a batch.

    vocabulary: word -> id; `[UNK]` has no spelling and is a character of its own. filters: of each
    of `widths`. max_characters: of a longer word the first so many count. Differs from the paper:
    equal numbers of filters, ReLU, one highway layer, and a linear map to `dim`. The spellings are
    a buffer that no state_dict carries, since the vocabulary gives them.

    >>> layer = CharCnnEmbedding(vocabulary={"[PAD]": 0, "[UNK]": 1, "king": 2, "kings": 3}, dim=6)
    >>> layer(torch.tensor([[2, 3, 0]]), torch.tensor([[True, True, False]])).shape
    torch.Size([1, 3, 6])
    """

    spellings: Tensor

    def __init__(
        self,
        *,
        vocabulary: Mapping[str, int],
        dim: int = 100,
        char_dim: int = 16,
        filters: int = 50,
        widths: Sequence[int] = (2, 3, 4, 5),
        max_characters: int = 20,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.out_dim = dim
        spellings, n_characters = spell_vocabulary(vocabulary, max_characters=max_characters)
        self.register_buffer("spellings", torch.from_numpy(spellings), persistent=False)
        self.characters = nn.Embedding(n_characters, char_dim)
        self.cnn = CnnEncoder(in_dim=char_dim, dim=filters, widths=widths)
        self.gate = nn.Linear(self.cnn.out_dim, self.cnn.out_dim)
        nn.init.constant_(
            self.gate.bias, -2.0
        )  # at first the highway carries its input through (Srivastava+ 2015)
        self.transform = nn.Linear(self.cnn.out_dim, self.cnn.out_dim)
        self.project = nn.Linear(self.cnn.out_dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Embed input_ids (batch, time) int64 under mask (batch, time) bool: (batch, time, dim)."""
        distinct, inverse = torch.unique(input_ids, return_inverse=True)
        states: Tensor = self.dropout(functional.embedding(inverse, self.embed_words(distinct)))
        return states.masked_fill(~mask.unsqueeze(-1), 0.0)

    def embed_words(self, ids: Tensor) -> Tensor:
        """Compute the vectors of ids (n,): (n, dim)."""
        spelled = self.spellings[ids]
        mask = spelled != _PAD
        lengths = mask.sum(dim=1)
        longest = max(int(lengths.max()), 1)
        spelled, mask = spelled[:, :longest], mask[:, :longest]
        found = max_pool(self.cnn(self.characters(spelled), mask, lengths.cpu()), mask)
        gate = torch.sigmoid(self.gate(found))
        carried = gate * functional.relu(self.transform(found)) + (1 - gate) * found
        vectors: Tensor = self.project(carried)
        return vectors


def spell_vocabulary(
    vocabulary: Mapping[str, int], *, max_characters: int
) -> tuple[np.ndarray, int]:
    """Write each word as numbers of characters: (n_ids, max_characters + 2) int32, and how many
    characters there are.

    A word is its start, its characters and its end; the padding token, and ids without a word, are
    zeros. Characters are numbered in code point order, the same for the same vocabulary.

    >>> spell_vocabulary({"[PAD]": 0, "[UNK]": 1, "ba": 2}, max_characters=3)[0].tolist()
    [[0, 0, 0, 0, 0], [1, 3, 2, 0, 0], [1, 5, 4, 2, 0]]
    """
    words = {word: id_ for word, id_ in vocabulary.items() if word not in (PAD, UNKNOWN)}
    alphabet = {
        character: i for i, character in enumerate(sorted(set().union(*words)), start=_FIRST)
    }
    spellings = np.zeros((max(vocabulary.values(), default=-1) + 1, max_characters + 2), np.int32)
    for word, id_ in words.items():
        numbers = [_START, *(alphabet[character] for character in word[:max_characters]), _END]
        spellings[id_, : len(numbers)] = numbers
    if UNKNOWN in vocabulary:
        spellings[vocabulary[UNKNOWN], :3] = [_START, _UNKNOWN, _END]
    return spellings, _FIRST + len(alphabet)
