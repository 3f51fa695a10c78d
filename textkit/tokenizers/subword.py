"""Subword tokenizers: byte-level BPE (GPT-2's split, nothing can be unknown) and WordPiece (BERT's split).

In: texts to learn merges or pieces from. Out: a PipelineTokenizer in the exact form that the ecosystem uses, so a model
of that family reads its files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tokenizers as hf
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from textkit.tokenizers.base import PAD, UNKNOWN, Kind, PipelineTokenizer, check_size, iterate_checked

BERT_SPECIALS = [PAD, UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]


def train_bpe(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 2, lowercase: bool = False
) -> PipelineTokenizer:
    """Learn byte-level BPE merges (Sennrich et al. 2016, on bytes as in GPT-2) up to `size` tokens.

    The vocabulary starts with [PAD] and all 256 bytes, so every text is encoded and, without lowercase, given back.

    >>> bpe = train_bpe(["low lower lowest"] * 5, size=300)
    >>> bpe.decode(bpe.encode(["lowest 🙂"])[0])
    'lowest 🙂'
    """
    check_size(size, at_least=257)
    backend = hf.Tokenizer(models.BPE())
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="bpe")


def create_bpe(*, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> PipelineTokenizer:
    """Make byte-level BPE from a vocabulary in id order and its merges, both spelled as in GPT-2's files."""
    backend = hf.Tokenizer(models.BPE({token: i for i, token in enumerate(vocabulary)}, list(merges)))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PipelineTokenizer(backend, kind="bpe")


def train_wordpiece(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 2, lowercase: bool = True
) -> PipelineTokenizer:
    """Learn WordPiece pieces up to `size` tokens; inner pieces start with '##'.

    lowercase=True is BERT's uncased form: it also strips accents.

    >>> wordpiece = train_wordpiece(["low lower lowest"] * 5, size=60)
    >>> wordpiece.tokens(wordpiece.encode(["Lowest"])[0])
    ['lowest']
    """
    check_size(size, at_least=len(BERT_SPECIALS))
    backend = _wordpiece_backend({token: i for i, token in enumerate(BERT_SPECIALS)}, lowercase=lowercase)
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=BERT_SPECIALS, show_progress=False
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="wordpiece")


def create_wordpiece(*, vocabulary: Sequence[str], lowercase: bool = True) -> PipelineTokenizer:
    """Make WordPiece from a vocabulary in id order, as in BERT's vocab.txt.

    >>> create_wordpiece(vocabulary=["[UNK]", "low", "##est"]).encode(["Lowest"]).ids.tolist()
    [1, 2]
    """
    backend = _wordpiece_backend({token: i for i, token in enumerate(vocabulary)}, lowercase=lowercase)
    backend.add_special_tokens([token for token in BERT_SPECIALS if token in vocabulary])
    return PipelineTokenizer(backend, kind="wordpiece")


def _wordpiece_backend(vocabulary: dict[str, int], *, lowercase: bool) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return backend


BPE = Kind(train=train_bpe, create=create_bpe)
WORDPIECE = Kind(train=train_wordpiece, create=create_wordpiece)
