"""Word tokenizers: Unicode words and punctuation marks, one id each.

In: texts to learn from, or a word list. Out: a PipelineTokenizer whose vocabulary is [PAD], [UNK] and then the words by
falling frequency, ties in code point order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tokenizers as hf
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from textkit.tokenizers.base import PAD, UNKNOWN, Kind, PipelineTokenizer, check_size, iterate_checked

# A word is letters, marks, digits and connectors, held together by an inner apostrophe, full stop or colon
# (don't, 3.14, example.com); any other character but white space is a token of its own.
_LETTERS = r"[\p{L}\p{M}\p{N}\p{Pc}]+"
WORD_PATTERN = rf"{_LETTERS}(?:['’.]{_LETTERS})*|\S"


def train_word(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 1, lowercase: bool = False
) -> PipelineTokenizer:
    """Learn the `size` most frequent words that occur at least `min_frequency` times.

    >>> word = train_word(["Vanity and pride are different things"])
    >>> len(word.encode(["Vanity and pride are different things"])[0])
    6
    """
    check_size(size, at_least=2)
    backend = _backend({PAD: 0, UNKNOWN: 1}, lowercase=lowercase)
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=[PAD, UNKNOWN], show_progress=False
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="word")


def create_word(*, vocabulary: Sequence[str] = (), lowercase: bool = False) -> PipelineTokenizer:
    """Make a word tokenizer from a word list; with none it still splits, and every word is unknown.

    >>> create_word(vocabulary=["pride"]).encode(["pride, vanity"]).ids.tolist()
    [2, 1, 1]
    """
    words = dict.fromkeys([PAD, UNKNOWN, *vocabulary])
    backend = _backend({word: i for i, word in enumerate(words)}, lowercase=lowercase)
    backend.add_special_tokens([PAD, UNKNOWN])
    return PipelineTokenizer(backend, kind="word")


def _backend(vocabulary: dict[str, int], *, lowercase: bool) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(WORD_PATTERN), "removed", invert=True)
    return backend


WORD = Kind(train=train_word, create=create_word)
