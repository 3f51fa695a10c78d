"""sentencepiece .model files -> the ids that sentencepiece's own `encode` gives.

In: the bytes of a model file. Out: a PipelineTokenizer where the model's options are those that a
tokenizer.json says exactly: BPE without a table of characters, such as Llama-2's. Any other model
is read by the `sentencepiece` package.
"""

from __future__ import annotations

import re

import tokenizers as hf
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers

from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import Tokenizer
from textkit.tokenizers.sentencepiece_model import (
    BYTE,
    CONTROL,
    NORMAL,
    SPACE,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    SentencePieceModel,
    read_model,
)
from textkit.tokenizers.sentencepiece_tokens import SentencePieceTokenizer
from textkit.tokenizers.splitters import AT_THE_ENDS, META_AT_THE_END
from textkit.tokenizers.subword import SPECIAL_SCORE


def from_sentencepiece(data: bytes, *, where: str) -> Tokenizer:
    """Read a sentencepiece .model of any type.

    Raises MissingExtraError where only the `sentencepiece` package gives its ids and is not
    installed.
    """
    model = read_model(data, where=where)
    if is_exact(model):
        return PipelineTokenizer(_bpe_backend(model), kind="bpe")
    return SentencePieceTokenizer(model, data, where=where, describe=describe)


def is_exact(model: SentencePieceModel) -> bool:
    """Tell whether a tokenizer.json gives the ids of a model on every text, by its options.

    1. It is BPE, whose merges compare ranks: unigram sums scores, and sums round.
    2. No table of characters: tokenizers reads one otherwise where a letter has marks.
    3. A space is written as '▁', the one that is put to a text stands before it, and bytes stand
       for what has no piece if there are pieces of bytes.
    4. No two merges score the same, and each is of characters that are pieces, so that a list of
       merges says their order.
    5. User-defined pieces are looked for in the text as it stands: nothing is put before it, and
       no space goes.
    6. No piece that stands for something else is a character of a text, and none is unused.
    """
    return (
        model.type == "bpe"
        and not model.charsmap
        and model.escapes_spaces
        and not model.space_is_suffix
        and not model.rewrites_decoded
        and model.falls_back == bool(model.names(BYTE))
        and _is_ordered(model)
        and not model.names(UNUSED)
        and not (model.names(USER_DEFINED) and (model.dummy_prefix or model.joins_spaces))
        and not any(" " in name for name in model.names(USER_DEFINED))
        and all(len(name) > 1 for name in model.names(UNKNOWN, CONTROL, BYTE))
    )


def _is_ordered(model: SentencePieceModel) -> bool:
    characters = {piece.name for piece in model.pieces if len(piece.name) == 1}
    merged = [piece for piece in model.pieces if piece.type == NORMAL and len(piece.name) > 1]
    return len({piece.score for piece in merged}) == len(merged) and all(
        set(piece.name) <= characters for piece in merged
    )


def describe(model: SentencePieceModel) -> str | None:
    """Give a tokenizer.json for other programs; None where it cannot say the model's options.

    Its ids are those of transformers' own conversion, and may differ from sentencepiece's where
    `is_exact` is false.
    """
    if (
        model.type not in ("unigram", "bpe")
        or model.space_is_suffix
        or model.rewrites_decoded
        or not model.escapes_spaces
        or model.names(UNUSED)
        or (model.type == "unigram" and model.dummy_prefix and not model.joins_spaces)
    ):
        return None
    backend = _unigram_backend(model) if model.type == "unigram" else _bpe_backend(model)
    steps = backend.normalizer
    if any(steps.normalize_str(name) != name for name in model.names(USER_DEFINED)):
        return None
    return str(backend.to_str())


def _unigram_backend(model: SentencePieceModel) -> hf.Tokenizer:
    # sentencepiece never matches a control or unknown piece in a text.
    scored = [
        (p.name, SPECIAL_SCORE if p.type in (UNKNOWN, CONTROL) else p.score) for p in model.pieces
    ]
    unknown = next(i for i, piece in enumerate(model.pieces) if piece.type == UNKNOWN)
    byte_fallback = bool(model.names(BYTE))
    backend = hf.Tokenizer(models.Unigram(scored, unk_id=unknown, byte_fallback=byte_fallback))
    backend.normalizer = normalizers.Sequence(_clean_steps(model))
    prepend = "always" if model.dummy_prefix else "never"
    crosses = any(SPACE in name[1:] for name in model.names(NORMAL))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=not crosses)
    backend.decoder = decoders.Metaspace(prepend_scheme=prepend)
    backend.add_special_tokens(model.names(UNKNOWN, CONTROL))
    return backend


def _bpe_backend(model: SentencePieceModel) -> hf.Tokenizer:
    """Make BPE whose merges run over the whole text, as sentencepiece's do: no splitter cuts it
    first.
    """
    bpe = models.BPE(
        model.vocabulary,
        _merges(model),
        unk_token=model.names(UNKNOWN)[0],
        fuse_unk=True,
        byte_fallback=bool(model.names(BYTE)),
    )
    backend = hf.Tokenizer(bpe)
    backend.normalizer = normalizers.Sequence([*_clean_steps(model), *_space_steps(model)])
    steps: list[decoders.Decoder] = [
        decoders.Replace(SPACE, " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
    ]
    backend.decoder = decoders.Sequence(
        steps + ([decoders.Strip(" ", 1, 0)] if model.dummy_prefix else [])
    )
    backend.add_special_tokens(model.names(UNKNOWN, CONTROL))
    # Found in the normalised text, as sentencepiece finds them: what stands before one keeps its
    # '▁'.
    backend.add_tokens([AddedToken(name, normalized=True) for name in model.names(USER_DEFINED)])
    return backend


def _merges(model: SentencePieceModel) -> list[tuple[str, str]]:
    """Give all pairs of pieces that make a piece, best score of the result first.

    sentencepiece merges the best-scored result first and of equal ones the leftmost, a list of
    merges the first pair in the list. They differ only where two results score the same
    (`_is_ordered`): the order of one result's own pairs, here that of their ids, decided nothing in
    190,000 strings made for it over two or three letters.
    """
    ids = {piece.name: i for i, piece in enumerate(model.pieces) if piece.type == NORMAL}
    found = []
    for name, i in ids.items():
        pairs = [(name[:cut], name[cut:]) for cut in range(1, len(name))]
        known = [
            (ids[left], ids[right], left, right)
            for left, right in pairs
            if left in ids and right in ids
        ]
        found += [(-model.pieces[i].score, i, *pair) for pair in known]
    return [(left, right) for *_, left, right in sorted(found)]


def _clean_steps(model: SentencePieceModel) -> list[normalizers.Normalizer]:
    """Build the first steps of a model's normaliser: its character map, then white space made
    single.
    """
    steps: list[normalizers.Normalizer] = []
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.joins_spaces:
        steps += [
            normalizers.Replace(Regex(AT_THE_ENDS), ""),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    return steps


def _space_steps(model: SentencePieceModel) -> list[normalizers.Normalizer]:
    """Build the steps that write '▁' for a space and put one before a text, as sentencepiece's
    normaliser does.

    A step runs on the names of the user-defined pieces too, which must stay as they are: hence no
    '▁' before a text that is no more than one of them, nor before an empty one.
    """
    steps: list[normalizers.Normalizer] = []
    if model.dummy_prefix:
        names = "|".join(re.escape(name) for name in sorted(model.names(USER_DEFINED)))
        steps.append(normalizers.Replace(Regex(rf"\A(?!(?:{names})?\z)"), SPACE))
    steps.append(normalizers.Replace(" ", SPACE))
    if model.joins_spaces:  # a '▁' of the text itself falls with the spaces at its end
        steps.append(normalizers.Replace(Regex(META_AT_THE_END), ""))
    return steps
