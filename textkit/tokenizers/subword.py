"""Subword tokenizers: `bpe` (byte-level: nothing can be unknown), `bpe-char`, `wordpiece` (BERT's)
and `unigram`.

In: texts to learn pieces from, or the pieces. Out: a PipelineTokenizer in the exact form that the
ecosystem uses, so a model of that family reads its files. The trainers are tokenizers' own, held to
the same result on every run. Longer than a file should be: four kinds that share their trainers.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import tokenizers as hf
from tokenizers import models, normalizers, pre_tokenizers, trainers

from textkit.errors import DataError, UsageError
from textkit.tokenizers.counting import (
    check_size,
    count_texts,
    iterate_checked,
    repeat_pieces,
)
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import PAD, UNKNOWN, Kind
from textkit.tokenizers.sentencepiece_tokens import import_sentencepiece
from textkit.tokenizers.splitters import (
    AS_IT_STANDS,
    NFKC,
    Normalization,
    byte_level_backend,
    find_bpe,
    find_bpe_char,
    find_unigram,
    find_wordpiece,
    metaspace_backend,
    wordpiece_backend,
)

BERT_SPECIALS = [PAD, UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]
# So improbable that text which spells a special token of a Unigram vocabulary is never read as that
# token.
SPECIAL_SCORE = -10_000.0
# Characters of an alphabet: tokenizers takes a number, and Unicode has fewer.
UNLIMITED = 1 << 21


def train_bpe(
    texts: Iterable[str],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    split: str = "gpt2",
    normalization: Normalization = AS_IT_STANDS,
    special_tokens: Sequence[str] = (),
    max_token_length: int | None = None,
) -> PipelineTokenizer:
    """Learn byte-level BPE merges (Sennrich et al. 2016, on bytes as in GPT-2) up to `size` tokens.

    The vocabulary starts with [PAD] and all 256 bytes, so every text is encoded and, without a
    normaliser, given back. special_tokens: further ones, behind [PAD]; text that spells one is
    never read as one. max_token_length: of characters as the vocabulary spells them.

    >>> bpe = train_bpe(["low lower lowest"] * 5, size=300)
    >>> bpe.decode(bpe.encode(["lowest 🙂"])[0])
    'lowest 🙂'
    """
    check_size(size, at_least=257 + len(special_tokens))
    backend = byte_level_backend(models.BPE(), split=split, normalization=normalization)
    # Faster than counting first: tokenizers' own counting runs on every core.
    backend.train_from_iterator(
        iterate_checked(texts), _byte_trainer(size, min_frequency, special_tokens, max_token_length)
    )
    return PipelineTokenizer(backend, kind="bpe")


def learn_bpe(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    split: str = "gpt2",
    normalization: Normalization = AS_IT_STANDS,
    special_tokens: Sequence[str] = (),
    max_token_length: int | None = None,
) -> PipelineTokenizer:
    """Learn byte-level BPE from counted pieces."""
    check_size(size, at_least=257 + len(special_tokens))
    model = _learn(
        models.BPE(), counts, _byte_trainer(size, min_frequency, special_tokens, max_token_length)
    )
    backend = byte_level_backend(model, split=split, normalization=normalization)
    backend.add_special_tokens([PAD, *special_tokens])
    return PipelineTokenizer(backend, kind="bpe")


def _byte_trainer(
    size: int, min_frequency: int, special_tokens: Sequence[str], max_token_length: int | None
) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[PAD, *special_tokens],
        max_token_length=max_token_length,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )


def _learn(
    model: models.Model, counts: Iterable[tuple[str, int]], trainer: trainers.Trainer
) -> models.Model:
    """Train a model on counted pieces, none of which holds a space, as the trainer would on the
    texts.
    """
    backend = hf.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    backend.train_from_iterator(repeat_pieces(counts), trainer)
    learnt: models.Model = backend.model
    return learnt


def create_bpe(
    *,
    vocabulary: Sequence[str],
    merges: Sequence[tuple[str, str]],
    split: str = "gpt2",
    specials: Sequence[str] = (),
) -> PipelineTokenizer:
    """Make byte-level BPE from a vocabulary in id order and its merges, both spelled as in
    GPT-2's files.
    """
    model = models.BPE({token: i for i, token in enumerate(vocabulary)}, list(merges))
    backend = byte_level_backend(model, split=split)
    backend.add_special_tokens(list(specials))
    return PipelineTokenizer(backend, kind="bpe")


def train_bpe_char(
    texts: Iterable[str],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    normalization: Normalization = AS_IT_STANDS,
    special_tokens: Sequence[str] = (),
    initial_alphabet: Sequence[str] = (),
    limit_alphabet: int | None = None,
    max_token_length: int | None = None,
) -> PipelineTokenizer:
    """Learn BPE merges over characters, a space written as '▁'; a character never seen is unknown.

    special_tokens: further ones, behind [PAD] and [UNK]. initial_alphabet: characters that are in
    the vocabulary, seen or not. limit_alphabet: keep so many characters, the most frequent.
    max_token_length: of characters.

    >>> bpe = train_bpe_char(["low lower lowest"] * 5, size=30)
    >>> bpe.decode(bpe.encode(["lower low"])[0])
    'lower low'
    """
    check_size(size, at_least=3 + len(special_tokens))
    backend = metaspace_backend(models.BPE(unk_token=UNKNOWN), normalization=normalization)
    trainer = _character_trainer(
        size, min_frequency, special_tokens, initial_alphabet, limit_alphabet, max_token_length
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="bpe-char")


def _character_trainer(
    size: int,
    min_frequency: int,
    special_tokens: Sequence[str],
    initial_alphabet: Sequence[str],
    limit_alphabet: int | None,
    max_token_length: int | None,
) -> trainers.Trainer:
    return trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[PAD, UNKNOWN, *special_tokens],
        initial_alphabet=list(initial_alphabet),
        limit_alphabet=UNLIMITED if limit_alphabet is None else limit_alphabet,
        max_token_length=max_token_length,
        show_progress=False,
    )


def learn_bpe_char(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    normalization: Normalization = AS_IT_STANDS,
    special_tokens: Sequence[str] = (),
    initial_alphabet: Sequence[str] = (),
    limit_alphabet: int | None = None,
    max_token_length: int | None = None,
) -> PipelineTokenizer:
    """Learn character BPE from counted pieces."""
    check_size(size, at_least=3 + len(special_tokens))
    trainer = _character_trainer(
        size, min_frequency, special_tokens, initial_alphabet, limit_alphabet, max_token_length
    )
    model = _learn(models.BPE(unk_token=UNKNOWN), counts, trainer)
    backend = metaspace_backend(model, normalization=normalization)
    backend.add_special_tokens([PAD, UNKNOWN, *special_tokens])
    return PipelineTokenizer(backend, kind="bpe-char")


def create_bpe_char(
    *, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]
) -> PipelineTokenizer:
    """Make character BPE from a vocabulary in id order and its merges."""
    model = models.BPE(
        {token: i for i, token in enumerate(vocabulary)}, list(merges), unk_token=UNKNOWN
    )
    backend = metaspace_backend(model)
    backend.add_special_tokens([token for token in (PAD, UNKNOWN) if token in vocabulary])
    return PipelineTokenizer(backend, kind="bpe-char")


def train_wordpiece(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 2, lowercase: bool = True
) -> PipelineTokenizer:
    """Learn WordPiece pieces up to `size` tokens; inner pieces start with '##'.

    lowercase=True is BERT's uncased form: it also strips accents. tokenizers' own trainer numbers
    the inner characters in the order of a hash table, which differs from run to run and decides
    ties between merges; here they are numbered beforehand, in code point order, so that the
    vocabulary is the same on every run.

    >>> wordpiece = train_wordpiece(["low lower lowest"] * 5, size=60)
    >>> wordpiece.tokens(wordpiece.encode(["Lowest"])[0])
    ['lowest']
    """
    counts = count_texts(texts, find_wordpiece(lowercase=lowercase))
    return learn_wordpiece(counts, size=size, min_frequency=min_frequency, lowercase=lowercase)


def learn_wordpiece(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    lowercase: bool = True,
) -> PipelineTokenizer:
    """Learn WordPiece from counted words."""
    check_size(size, at_least=len(BERT_SPECIALS))
    words = counts if isinstance(counts, list) else list(counts)
    inner = [
        f"##{character}" for character in sorted(set().union(*(word[1:] for word, _ in words)))
    ]
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(size, len(BERT_SPECIALS) + len(inner)),
        min_frequency=min_frequency,
        special_tokens=[*BERT_SPECIALS, *inner],
        show_progress=False,
    )
    model = _learn(models.WordPiece(unk_token=UNKNOWN), words, trainer)
    learnt = hf.Tokenizer(model).get_vocab()
    return create_wordpiece(
        vocabulary=sorted(learnt, key=learnt.__getitem__)[:size], lowercase=lowercase
    )


def create_wordpiece(*, vocabulary: Sequence[str], lowercase: bool = True) -> PipelineTokenizer:
    """Make WordPiece from a vocabulary in id order, as in BERT's vocab.txt.

    >>> create_wordpiece(vocabulary=["[UNK]", "low", "##est"]).encode(["Lowest"]).ids.tolist()
    [1, 2]
    """
    if UNKNOWN not in vocabulary:
        raise UsageError(f"vocabulary has no {UNKNOWN}, which WordPiece needs")
    backend = wordpiece_backend(
        {token: i for i, token in enumerate(vocabulary)}, lowercase=lowercase
    )
    backend.add_special_tokens([token for token in BERT_SPECIALS if token in vocabulary])
    return PipelineTokenizer(backend, kind="wordpiece")


def train_unigram(
    texts: Iterable[str],
    *,
    size: int = 8_000,
    normalization: Normalization = NFKC,
) -> PipelineTokenizer:
    """Learn a unigram language model of pieces (Kudo 2018) of at most `size` tokens, a space
    written as '▁'.

    sentencepiece does the learning, on one thread: tokenizers' own Unigram trainer sums in the
    order of a hash table and gives another model on every run. Needs the extra `sentencepiece`.

    >>> unigram = train_unigram(["low lower lowest"] * 5, size=30)
    >>> unigram.decode(unigram.encode(["lower low"])[0])
    'lower low'
    """
    counts = count_texts(texts, find_unigram(normalization=normalization))
    return learn_unigram(counts, size=size, normalization=normalization)


def learn_unigram(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 8_000,
    normalization: Normalization = NFKC,
) -> PipelineTokenizer:
    """Learn a unigram model from counted words."""
    check_size(size, at_least=3)
    vocabulary = _learn_pieces(counts, size=size)
    return create_unigram(vocabulary=vocabulary, normalizer=normalization.build())


def _learn_pieces(counts: Iterable[tuple[str, int]], *, size: int) -> list[tuple[str, float]]:
    """Train sentencepiece on words.

    Give its (piece, log probability) pairs in id order, <pad> and <unk> first.
    """
    sentencepiece = import_sentencepiece(needed_by="training 'unigram'")
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{word}\t{count}" for word, count in counts),
            input_format="tsv",
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,
            character_coverage=1.0,
            normalization_rule_name="identity",
            num_threads=1,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            pad_piece="<pad>",
            unk_piece="<unk>",
            max_sentence_length=1 << 20,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as err:
        reason = " ".join(str(err).split())
        raise DataError(
            f"unigram cannot be learnt from these texts with size = {size}: {reason}"
        ) from err
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(learnt.id_to_piece(i), learnt.get_score(i)) for i in range(learnt.get_piece_size())]
    return [("<pad>", SPECIAL_SCORE), ("<unk>", SPECIAL_SCORE), *pieces[2:]]


def create_unigram(
    *,
    vocabulary: Sequence[tuple[str, float]],
    unknown: str = "<unk>",
    normalizer: normalizers.Normalizer | None = None,
) -> PipelineTokenizer:
    """Make Unigram from (piece, log probability) pairs in id order.

    One of them is the unknown token.
    """
    names = [piece for piece, _ in vocabulary]
    if unknown not in names:
        raise UsageError(f"vocabulary has no {unknown}, which Unigram needs")
    backend = metaspace_backend(models.Unigram(list(vocabulary), unk_id=names.index(unknown)))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.add_special_tokens([token for token in ("<pad>", unknown) if token in names])
    return PipelineTokenizer(backend, kind="unigram")


BPE = Kind(train=train_bpe, create=create_bpe, pieces=find_bpe, learn=learn_bpe)
BPE_CHAR = Kind(
    train=train_bpe_char, create=create_bpe_char, pieces=find_bpe_char, learn=learn_bpe_char
)
WORDPIECE = Kind(
    train=train_wordpiece, create=create_wordpiece, pieces=find_wordpiece, learn=learn_wordpiece
)
UNIGRAM = Kind(train=train_unigram, create=create_unigram, pieces=find_unigram, learn=learn_unigram)
