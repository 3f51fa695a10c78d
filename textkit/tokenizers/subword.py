"""Subword tokenizers: `bpe` (byte-level: nothing can be unknown), `bpe-char`, `wordpiece` (BERT's) and `unigram`.

In: texts to learn pieces from, or the pieces. Out: a PipelineTokenizer in the exact form that the ecosystem uses, so a
model of that family reads its files. The trainers are tokenizers' own, held to the same result on every run.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from textkit.errors import DataError, MissingExtraError, UsageError, unknown_name
from textkit.tokenizers.base import PAD, UNKNOWN, Kind, PipelineTokenizer, check_size
from textkit.tokenizers.character import byte_names
from textkit.tokenizers.counting import count_texts, repeat_pieces, split_pieces
from textkit.tokenizers.normalizers import make_normalizer

BERT_SPECIALS = [PAD, UNKNOWN, "[CLS]", "[SEP]", "[MASK]"]
# So improbable that text which spells a special token of a Unigram vocabulary is never read as that token.
SPECIAL_SCORE = -10_000.0
# How byte-level BPE cuts a text before it merges: GPT-2's pattern, or OpenAI's later
# ones, which hold digits to three at a time.
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
SPLITS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}

# Neither a line of sentencepiece's table nor a piece holds any of these.
_SENTENCEPIECE_WORDS = re.compile(r"[^\0\t-\r \x1c-\x1e\x85\u2028\u2029]+").findall
# The same cuts for ASCII alone, in the spelling of byte-level pieces: 5 times as fast as the reference's splitter.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]").search
_ASCII_NAMES = dict(enumerate(byte_names()[:128]))
_GPT2_ASCII = re.compile(
    r"'(?:[sdmt]|ll|ve|re)|Ġ?[A-Za-z]+|Ġ?[0-9]+|Ġ?[^ĉ-čĠA-Za-z0-9]+|[ĉ-čĠ]+(?![^ĉ-čĠ])|[ĉ-čĠ]+"
).findall
_BERT_REMOVES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search
_BERT_ASCII = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]").findall


def train_bpe(
    texts: Iterable[str],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    split: str = "gpt2",
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn byte-level BPE merges (Sennrich et al. 2016, on bytes as in GPT-2) up to `size` tokens.

    The vocabulary starts with [PAD] and all 256 bytes, so every text is encoded and, without a normaliser, given back.

    >>> bpe = train_bpe(["low lower lowest"] * 5, size=300)
    >>> bpe.decode(bpe.encode(["lowest 🙂"])[0])
    'lowest 🙂'
    """
    pieces = find_bpe(split=split, lowercase=lowercase, form=form, strip_accents=strip_accents)
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    return learn_bpe(count_texts(texts, pieces), size=size, min_frequency=min_frequency, split=split, **options)


def learn_bpe(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    split: str = "gpt2",
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn byte-level BPE from counted pieces."""
    check_size(size, at_least=257)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend = byte_level_backend(_learn(models.BPE(), counts, trainer), split=split)
    backend.normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    backend.add_special_tokens([PAD])
    return PipelineTokenizer(backend, kind="bpe")


def find_bpe(
    *, split: str = "gpt2", lowercase: bool = False, form: str | None = None, strip_accents: bool = False
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into the pieces that merges stay within, bytes spelled as in GPT-2's files."""
    backend = byte_level_backend(models.BPE(), split=split)
    backend.normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    normalizes = backend.normalizer is not None

    def find(text: str) -> list[str]:
        if normalizes or not text.isascii() or split != "gpt2":
            return split_pieces(backend, text)
        return _GPT2_ASCII(text.translate(_ASCII_NAMES) if _CONTROLS(text) else text.replace(" ", "Ġ"))

    return find


def _learn(model: Any, counts: Iterable[tuple[str, int]], trainer: Any) -> Any:
    """Train a model on counted pieces, none of which holds a space, as the trainer would on the texts."""
    backend = hf.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    backend.train_from_iterator(repeat_pieces(counts), trainer)
    return backend.model


def create_bpe(
    *, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]], split: str = "gpt2", specials: Sequence[str] = ()
) -> PipelineTokenizer:
    """Make byte-level BPE from a vocabulary in id order and its merges, both spelled as in GPT-2's files."""
    model = models.BPE({token: i for i, token in enumerate(vocabulary)}, list(merges))
    backend = byte_level_backend(model, split=split)
    backend.add_special_tokens(list(specials))
    return PipelineTokenizer(backend, kind="bpe")


def byte_level_backend(model: Any, *, split: str) -> hf.Tokenizer:
    """Put a BPE model behind a byte-level splitter."""
    if split not in SPLITS:
        raise UsageError(unknown_name("split", split, SPLITS))
    backend = hf.Tokenizer(model)
    if split == "gpt2":
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        cut = pre_tokenizers.Split(Regex(SPLITS[split]), "isolated")
        level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        backend.pre_tokenizer = pre_tokenizers.Sequence([cut, level])
    backend.decoder = decoders.ByteLevel()
    return backend


def train_bpe_char(
    texts: Iterable[str],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn BPE merges over characters, a space written as '▁'; a character never seen is unknown.

    >>> bpe = train_bpe_char(["low lower lowest"] * 5, size=30)
    >>> bpe.decode(bpe.encode(["lower low"])[0])
    'lower low'
    """
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    return learn_bpe_char(
        count_texts(texts, find_bpe_char(**options)), size=size, min_frequency=min_frequency, **options
    )


def learn_bpe_char(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 30_000,
    min_frequency: int = 2,
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn character BPE from counted pieces."""
    check_size(size, at_least=3)
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=[PAD, UNKNOWN], show_progress=False
    )
    backend = _metaspace_backend(_learn(models.BPE(unk_token=UNKNOWN), counts, trainer))
    backend.normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    backend.add_special_tokens([PAD, UNKNOWN])
    return PipelineTokenizer(backend, kind="bpe-char")


def find_bpe_char(
    *, lowercase: bool = False, form: str | None = None, strip_accents: bool = False
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into words with '▁' before them."""
    backend = _metaspace_backend(models.BPE())
    backend.normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    return partial(split_pieces, backend)


def create_bpe_char(*, vocabulary: Sequence[str], merges: Sequence[tuple[str, str]]) -> PipelineTokenizer:
    """Make character BPE from a vocabulary in id order and its merges."""
    model = models.BPE({token: i for i, token in enumerate(vocabulary)}, list(merges), unk_token=UNKNOWN)
    backend = _metaspace_backend(model)
    backend.add_special_tokens([token for token in (PAD, UNKNOWN) if token in vocabulary])
    return PipelineTokenizer(backend, kind="bpe-char")


def _metaspace_backend(model: Any) -> hf.Tokenizer:
    backend = hf.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    return backend


def train_wordpiece(
    texts: Iterable[str], *, size: int = 30_000, min_frequency: int = 2, lowercase: bool = True
) -> PipelineTokenizer:
    """Learn WordPiece pieces up to `size` tokens; inner pieces start with '##'.

    lowercase=True is BERT's uncased form: it also strips accents. tokenizers' own trainer numbers the inner characters
    in the order of a hash table, which differs from run to run and decides ties between merges; here they are numbered
    beforehand, in code point order, so that the vocabulary is the same on every run.

    >>> wordpiece = train_wordpiece(["low lower lowest"] * 5, size=60)
    >>> wordpiece.tokens(wordpiece.encode(["Lowest"])[0])
    ['lowest']
    """
    counts = count_texts(texts, find_wordpiece(lowercase=lowercase))
    return learn_wordpiece(counts, size=size, min_frequency=min_frequency, lowercase=lowercase)


def learn_wordpiece(
    counts: Iterable[tuple[str, int]], *, size: int = 30_000, min_frequency: int = 2, lowercase: bool = True
) -> PipelineTokenizer:
    """Learn WordPiece from counted words."""
    check_size(size, at_least=len(BERT_SPECIALS))
    words = counts if isinstance(counts, list) else list(counts)
    inner = [f"##{character}" for character in sorted(set().union(*(word[1:] for word, _ in words)))]
    trainer = trainers.WordPieceTrainer(
        vocab_size=max(size, len(BERT_SPECIALS) + len(inner)),
        min_frequency=min_frequency,
        special_tokens=[*BERT_SPECIALS, *inner],
        show_progress=False,
    )
    model = _learn(models.WordPiece(unk_token=UNKNOWN), words, trainer)
    learnt = hf.Tokenizer(model).get_vocab()
    return create_wordpiece(vocabulary=sorted(learnt, key=learnt.__getitem__)[:size], lowercase=lowercase)


def find_wordpiece(*, lowercase: bool = True) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into BERT's words and marks."""
    backend = _wordpiece_backend({}, lowercase=lowercase)

    def find(text: str) -> list[str]:
        if not text.isascii() or _BERT_REMOVES(text):
            text = backend.normalizer.normalize_str(text)
            if not text.isascii():
                return [piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        return _BERT_ASCII(text.lower() if lowercase else text)

    return find


def create_wordpiece(*, vocabulary: Sequence[str], lowercase: bool = True) -> PipelineTokenizer:
    """Make WordPiece from a vocabulary in id order, as in BERT's vocab.txt.

    >>> create_wordpiece(vocabulary=["[UNK]", "low", "##est"]).encode(["Lowest"]).ids.tolist()
    [1, 2]
    """
    if UNKNOWN not in vocabulary:
        raise UsageError(f"vocabulary has no {UNKNOWN}, which WordPiece needs")
    backend = _wordpiece_backend({token: i for i, token in enumerate(vocabulary)}, lowercase=lowercase)
    backend.add_special_tokens([token for token in BERT_SPECIALS if token in vocabulary])
    return PipelineTokenizer(backend, kind="wordpiece")


def _wordpiece_backend(vocabulary: dict[str, int], *, lowercase: bool) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return backend


def train_unigram(
    texts: Iterable[str],
    *,
    size: int = 8_000,
    lowercase: bool = False,
    form: str | None = "nfkc",
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn a unigram language model of pieces (Kudo 2018) of at most `size` tokens, a space written as '▁'.

    sentencepiece does the learning, on one thread: tokenizers' own Unigram trainer sums in the order of a hash table
    and gives another model on every run. Needs the extra `sentencepiece`.

    >>> unigram = train_unigram(["low lower lowest"] * 5, size=30)
    >>> unigram.decode(unigram.encode(["lower low"])[0])
    'lower low'
    """
    options: dict[str, Any] = {"lowercase": lowercase, "form": form, "strip_accents": strip_accents}
    return learn_unigram(count_texts(texts, find_unigram(**options)), size=size, **options)


def learn_unigram(
    counts: Iterable[tuple[str, int]],
    *,
    size: int = 8_000,
    lowercase: bool = False,
    form: str | None = "nfkc",
    strip_accents: bool = False,
) -> PipelineTokenizer:
    """Learn a unigram model from counted words."""
    check_size(size, at_least=3)
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    return create_unigram(vocabulary=_learn_pieces(counts, size=size), normalizer=normalizer)


def find_unigram(
    *, lowercase: bool = False, form: str | None = "nfkc", strip_accents: bool = False
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text at white space: no piece holds any, and sentencepiece takes no other."""
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)

    def find(text: str) -> list[str]:
        if normalizer is not None and not text.isascii():
            text = normalizer.normalize_str(text)
        elif lowercase:
            text = text.lower()
        return _SENTENCEPIECE_WORDS(text)

    return find


def _learn_pieces(counts: Iterable[tuple[str, int]], *, size: int) -> list[tuple[str, float]]:
    """Train sentencepiece on words; give its (piece, log probability) pairs in id order, <pad> and <unk> first."""
    try:
        import sentencepiece
    except ImportError as err:
        raise MissingExtraError("sentencepiece", needed_by="training 'unigram'", extra="sentencepiece") from err
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
        raise DataError(f"unigram cannot be learnt from these texts with size = {size}: {reason}") from err
    learnt = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = [(learnt.id_to_piece(i), learnt.get_score(i)) for i in range(learnt.get_piece_size())]
    return [("<pad>", SPECIAL_SCORE), ("<unk>", SPECIAL_SCORE), *pieces[2:]]


def create_unigram(
    *, vocabulary: Sequence[tuple[str, float]], unknown: str = "<unk>", normalizer: Any = None
) -> PipelineTokenizer:
    """Make Unigram from (piece, log probability) pairs in id order; one of them is the unknown token."""
    names = [piece for piece, _ in vocabulary]
    if unknown not in names:
        raise UsageError(f"vocabulary has no {unknown}, which Unigram needs")
    backend = _metaspace_backend(models.Unigram(list(vocabulary), unk_id=names.index(unknown)))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.add_special_tokens([token for token in ("<pad>", unknown) if token in names])
    return PipelineTokenizer(backend, kind="unigram")


BPE = Kind(train=train_bpe, create=create_bpe, pieces=find_bpe, learn=learn_bpe)
BPE_CHAR = Kind(train=train_bpe_char, create=create_bpe_char, pieces=find_bpe_char, learn=learn_bpe_char)
WORDPIECE = Kind(train=train_wordpiece, create=create_wordpiece, pieces=find_wordpiece, learn=learn_wordpiece)
UNIGRAM = Kind(train=train_unigram, create=create_unigram, pieces=find_unigram, learn=learn_unigram)
