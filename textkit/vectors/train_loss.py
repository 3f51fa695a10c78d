"""The loss of word vectors while they are trained, estimated on a sample: the same measure for
every model.

In: gensim's model and sentences. Out: the mean of -log P(word and not its negative samples |
context), which begins at (negative + 1) log 2. gensim itself adds up losses over other units, and
for fastText none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

# Words sampled: 2 ms for every half second of training.
_WORDS = 256


def estimate_loss(
    model: Any,
    tokens: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    *,
    skipgram: bool,
    rng: np.random.Generator,
) -> float | None:
    """Estimate the loss on some sentences; None where no sampled word has a known neighbour.

    tokens: (n_tokens,) the model's row of each token, -1 for a word that it left out. ends:
    (n_sentences,) where each sentence ends among them. Neither weights nor the model's own random
    numbers are touched.
    """
    centres = rng.integers(0, len(tokens), _WORDS)
    around = centres[:, None] + np.array([*range(-model.window, 0), *range(1, model.window + 1)])
    sentence = np.searchsorted(ends, centres, side="right")
    inside = (around >= np.append(0, ends)[sentence, None]) & (around < ends[sentence, None])
    contexts = np.where(inside, tokens[np.where(inside, around, 0)], -1)
    if skipgram:  # one of the words around, not their mean
        chosen = (rng.random(contexts.shape) * (contexts >= 0)).argmax(axis=1)
        contexts[np.arange(contexts.shape[1]) != chosen[:, None]] = -1
    targets = tokens[centres]
    usable = (targets >= 0) & (contexts >= 0).any(axis=1)
    contexts, targets = contexts[usable], targets[usable]
    if not len(targets):
        return None
    weights = (contexts >= 0)[:, :, None].astype(np.float32)
    inputs = (_input_vectors(model.wv, np.maximum(contexts, 0)) * weights).sum(
        axis=1
    ) / weights.sum(axis=1)
    negatives = np.searchsorted(
        model.cum_table, rng.integers(model.cum_table[-1], size=(len(targets), model.negative))
    )
    right = np.einsum("nd,nd->n", inputs, model.syn1neg[targets])
    wrong = np.einsum("nd,nkd->nk", inputs, model.syn1neg[negatives])
    return float((np.logaddexp(0, -right) + np.logaddexp(0, wrong).sum(axis=1)).mean())


def _input_vectors(wv: Any, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Give the vectors of words (...,) as they are now: (..., dim).

    FastText's are means over their n-grams.
    """
    if not hasattr(wv, "vectors_ngrams"):
        return np.asarray(wv.vectors[rows])
    unique, inverse = np.unique(rows, return_inverse=True)
    parts = [
        np.concatenate([wv.vectors_vocab[row : row + 1], wv.vectors_ngrams[wv.buckets_word[row]]])
        for row in unique.tolist()
    ]
    return np.stack([part.mean(axis=0) for part in parts])[inverse.reshape(rows.shape)]
