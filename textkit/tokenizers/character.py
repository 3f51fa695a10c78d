"""Character tokenizers: one id for each code point.

In: texts to learn the alphabet from, or the alphabet. Out: a PipelineTokenizer whose tokens join back to the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from textkit.tokenizers.base import PAD, UNKNOWN, Kind, PipelineTokenizer, check_size, iterate_checked


def train_char(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 1, lowercase: bool = False
) -> PipelineTokenizer:
    """Learn the `size` most frequent code points that occur at least `min_frequency` times.

    >>> char = train_char(["pride"])
    >>> char.decode(char.encode(["ride"])[0])
    'ride'
    """
    check_size(size, at_least=2)
    backend = _backend({PAD: 0, UNKNOWN: 1}, lowercase=lowercase)
    trainer = trainers.WordLevelTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=[PAD, UNKNOWN], show_progress=False
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="char")


def create_char(*, vocabulary: Sequence[str] = (), lowercase: bool = False) -> PipelineTokenizer:
    """Make a character tokenizer from an alphabet; with none it still splits, and every character is unknown.

    >>> create_char(vocabulary="abc").encode(["cab!"]).ids.tolist()
    [4, 2, 3, 1]
    """
    characters = dict.fromkeys([PAD, UNKNOWN, *vocabulary])
    backend = _backend({character: i for i, character in enumerate(characters)}, lowercase=lowercase)
    backend.add_special_tokens([PAD, UNKNOWN])
    return PipelineTokenizer(backend, kind="char")


def _backend(vocabulary: dict[str, int], *, lowercase: bool) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return backend


CHAR = Kind(train=train_char, create=create_char)
