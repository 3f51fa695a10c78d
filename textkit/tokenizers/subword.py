"""Subword tokenizers: `bpe` (byte-level: nothing can be unknown), `bpe-char`, `wordpiece` (BERT's) and `unigram`.

In: texts to learn pieces from, or the pieces. Out: a PipelineTokenizer in the exact form that the ecosystem uses, so a
model of that family reads its files. The trainers are tokenizers' own, held to the same result on every run.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers

from textkit.errors import DataError, MissingExtraError, UsageError, unknown_name
from textkit.tokenizers.base import PAD, UNKNOWN, Kind, PipelineTokenizer, check_size, iterate_checked
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
    check_size(size, at_least=257)
    backend = byte_level_backend(models.BPE(), split=split)
    backend.normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="bpe")


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
    check_size(size, at_least=3)
    backend = _metaspace_backend(models.BPE(unk_token=UNKNOWN))
    backend.normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=min_frequency, special_tokens=[PAD, UNKNOWN], show_progress=False
    )
    backend.train_from_iterator(iterate_checked(texts), trainer)
    return PipelineTokenizer(backend, kind="bpe-char")


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
    check_size(size, at_least=len(BERT_SPECIALS))
    rows = texts if isinstance(texts, Sequence) else list(texts)  # read twice: for the alphabet, then for the words
    backend = _wordpiece_backend({}, lowercase=lowercase)
    sources = _alphabet(rows, backend)
    inner = [f"##{character}" for character in sorted(sources)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=size + len(inner),
        min_frequency=min_frequency,
        special_tokens=[*BERT_SPECIALS, *inner],
        show_progress=False,
    )
    backend.train_from_iterator(iterate_checked(rows), trainer)
    learnt = backend.get_vocab()
    unused = _never_inside(rows, backend, learnt, sources)
    ranked = sorted((token for token in learnt if token not in unused), key=lambda token: learnt[token])
    return create_wordpiece(vocabulary=ranked[:size], lowercase=lowercase)


def _alphabet(rows: Sequence[str], backend: hf.Tokenizer) -> dict[str, set[str]]:
    """Give the characters of the normalised texts that can stand inside a word, with the raw ones they came from."""
    raw: set[str] = set()
    for text in iterate_checked(rows):
        raw.update(text)
    sources: dict[str, set[str]] = {}
    for char in raw:
        for character in backend.normalizer.normalize_str(f"a{char}")[1:]:
            if len(backend.pre_tokenizer.pre_tokenize_str(f"a{character}")) == 1 and not character.isspace():
                sources.setdefault(character, set()).add(char)
    return sources


def _never_inside(
    rows: Sequence[str], backend: hf.Tokenizer, learnt: dict[str, int], sources: dict[str, set[str]]
) -> set[str]:
    """Give the inner characters that no word has inside: they were numbered for nothing.

    Most are inside some longer piece; only texts that hold one of the others are looked at again.
    """
    inside = {character for token in learnt if len(token) > 1 for character in token.removeprefix("##")[1:]}
    inside |= {token[2] for token in learnt if token.startswith("##") and len(token) > 3}
    doubtful = set(sources) - inside
    raw = {char for character in doubtful for char in sources[character]}
    for text in iterate_checked(rows):
        if not raw.isdisjoint(text):
            for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(text)):
                doubtful.difference_update(word[1:])
    return {f"##{character}" for character in doubtful}


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
    check_size(size, at_least=3)
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)
    rows = (text if normalizer is None else normalizer.normalize_str(text) for text in iterate_checked(texts))
    return create_unigram(vocabulary=_learn_pieces(rows, size=size), normalizer=normalizer)


def _learn_pieces(rows: Iterator[str], *, size: int) -> list[tuple[str, float]]:
    """Train sentencepiece; give its (piece, log probability) pairs in id order, <pad> and <unk> first."""
    try:
        import sentencepiece
    except ImportError as err:
        raise MissingExtraError("sentencepiece", needed_by="training 'unigram'", extra="sentencepiece") from err
    model = io.BytesIO()
    # sentencepiece takes no line end inside a text and no empty text; a line end is white space to it all the same.
    lines = (line for text in rows for line in text.replace("\0", " ").splitlines() if line.strip())
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
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


BPE = Kind(train=train_bpe, create=create_bpe)
BPE_CHAR = Kind(train=train_bpe_char, create=create_bpe_char)
WORDPIECE = Kind(train=train_wordpiece, create=create_wordpiece)
UNIGRAM = Kind(train=train_unigram, create=create_unigram)
