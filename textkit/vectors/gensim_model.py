"""gensim's model of word vectors: what is trained, its first weights, and its loss on a sample.

In: VectorTraining, a corpus of numbers. Out: gensim's Word2Vec or FastText, and while it is trained
the mean of -log P(word and not its negative samples | context), which begins at (negative + 1)
log 2: the same measure for every model. gensim itself adds up losses over other units, and for
fastText none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from textkit.errors import DataError, UsageError, unknown_name
from textkit.vectors.train_corpus import SENTENCE_WORDS, Corpus

# Words sampled: 2 ms for every half second of training.
_WORDS = 256


MODELS = ("word2vec", "fasttext")


@dataclass(frozen=True, kw_only=True)
class VectorTraining:
    """What is trained.

    The defaults are gensim's, but for skip-gram, which serves small corpora better.

    min_n, max_n, buckets: fastText's character n-grams; 200,000 buckets instead of its 2 million
    make 80 MB, not 800. workers: with one the result is the same bytes on every run.
    """

    model: Literal["word2vec", "fasttext"] = "word2vec"
    algorithm: Literal["skipgram", "cbow"] = "skipgram"
    dim: int = 100
    window: int = 5
    min_count: int = 5
    max_words: int | None = None
    negative: int = 5
    sample: float = 1e-3
    epochs: int = 5
    alpha: float = 0.025
    min_alpha: float = 1e-4
    min_n: int = 3
    max_n: int = 6
    buckets: int = 200_000
    seed: int = 1
    workers: int = 1

    def check(self) -> None:
        """Refuse what cannot be trained."""
        for name, value, known in (
            ("model", self.model, MODELS),
            ("algorithm", self.algorithm, ("skipgram", "cbow")),
        ):
            if value not in known:
                raise UsageError(unknown_name(name, value, known))
        for name in (
            "dim",
            "window",
            "min_count",
            "negative",
            "epochs",
            "min_n",
            "buckets",
            "workers",
        ):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least 1")
        if self.max_words is not None and self.max_words < 1:
            raise UsageError(f"max_words is {self.max_words}, expected at least 1")
        if (
            not 0 < self.min_alpha <= self.alpha
            or not 0 <= self.sample < 1
            or self.max_n < self.min_n
        ):
            raise UsageError("expected 0 < min_alpha <= alpha, 0 <= sample < 1 and min_n <= max_n")


def make_model(corpus: Corpus, options: VectorTraining) -> Any:
    """Make gensim's model with its vocabulary and first weights."""
    from gensim.models import FastText, Word2Vec

    counts = dict(zip(corpus.words, corpus.counts.tolist(), strict=True))
    n_known = sum(count >= options.min_count for count in counts.values())
    if not n_known:
        raise DataError(
            f"none of the {len(counts):,} different words occurs {options.min_count} times; lower"
            f" --min-count"
        )
    settings: dict[str, Any] = {
        "vector_size": options.dim,
        "window": options.window,
        "min_count": options.min_count,
        "max_final_vocab": options.max_words,
        "negative": options.negative,
        "sample": options.sample,
        "epochs": options.epochs,
        "alpha": options.alpha,
        "min_alpha": options.min_alpha,
        "seed": options.seed,
        "sg": int(options.algorithm == "skipgram"),
        "workers": options.workers,
        "batch_words": SENTENCE_WORDS,
    }
    if options.model == "fasttext":
        model = FastText(
            **settings, min_n=options.min_n, max_n=options.max_n, bucket=options.buckets
        )
    else:
        model = Word2Vec(**settings)
    model.build_vocab_from_freq(counts, corpus_count=len(corpus.lengths))
    if not len(model.wv):
        raise DataError(f"no words are left under max_words = {options.max_words}; raise it")
    return model


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
