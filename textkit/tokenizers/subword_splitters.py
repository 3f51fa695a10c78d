"""How subword kinds cut a text before they look for pieces: the reference's splitters, and quicker
cuts for counting.

In: a model, options. Out: a backend with its splitter and decoder, or a function from a text to the
pieces to count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from textkit.errors import UsageError, unknown_name
from textkit.tokenizers.counting import CutAtSpaces, split_pieces
from textkit.tokenizers.normalization import make_normalizer
from textkit.tokenizers.protocol import UNKNOWN


def byte_names() -> list[str]:
    """Give the printable character that byte-level vocabularies write for each byte, as GPT-2
    chose them.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    names = {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + i) for i, byte in enumerate(others)
    }
    return [names[byte] for byte in range(256)]


# How byte-level BPE cuts a text before it merges: GPT-2's pattern, or OpenAI's later
# ones, which hold digits to three at a time.
_UPPER, _LOWER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}", r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
SPLITS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    "o200k": rf"[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]*[{_LOWER}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    rf"|[^\r\n\p{{L}}\p{{N}}]?[{_UPPER}]+[{_LOWER}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
# Neither a line of sentencepiece's table nor a piece holds any of these.
_SENTENCEPIECE_WORDS = re.compile(r"[^\0\t-\r \x1c-\x1e\x85\u2028\u2029]+").findall
# The same cuts for ASCII alone, in the spelling of byte-level pieces: 5 times as fast as the
# reference's splitter.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]").search
_ASCII_NAMES = dict(enumerate(byte_names()[:128]))
_GPT2_ASCII = re.compile(
    r"'(?:[sdmt]|ll|ve|re)|Ġ?[A-Za-z]+|Ġ?[0-9]+|Ġ?[^ĉ-čĠA-Za-z0-9]+|[ĉ-čĠ]+(?![^ĉ-čĠ])|[ĉ-čĠ]+"
).findall
_SURE_CUTS = re.compile(r"(?<=[!-~])(?= [A-Za-z])")
_BERT_REMOVES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search
_BERT_ASCII = re.compile(r"[A-Za-z0-9]+|[!-/:-@\[-`{-~]").findall


def find_bpe(
    *,
    split: str = "gpt2",
    lowercase: bool = False,
    form: str | None = None,
    strip_accents: bool = False,
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into the pieces that merges stay within, bytes spelled
    as in GPT-2's files.
    """
    backend = byte_level_backend(models.BPE(), split=split)
    backend.normalizer = make_normalizer(
        form=form, lowercase=lowercase, strip_accents=strip_accents
    )
    normalizes = backend.normalizer is not None

    def find(text: str) -> list[str]:
        if normalizes or split != "gpt2":
            return split_pieces(backend, text)
        plain, rest = _part_ascii(text)
        found = _GPT2_ASCII(
            plain.translate(_ASCII_NAMES) if _CONTROLS(plain) else plain.replace(" ", "Ġ")
        )
        return found + split_pieces(backend, rest) if rest else found

    return find


def _part_ascii(text: str) -> tuple[str, str]:
    """Part a text into its ASCII stretches and the others, cut only where every splitter here
    cuts: `x| y`.
    """
    if text.isascii():
        return text, ""
    stretches = _SURE_CUTS.split(text)
    return "".join(filter(str.isascii, stretches)), "".join(
        part for part in stretches if not part.isascii()
    )


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


def find_bpe_char(
    *, lowercase: bool = False, form: str | None = None, strip_accents: bool = False
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into words with '▁' before them."""
    backend = metaspace_backend(models.BPE())
    backend.normalizer = make_normalizer(
        form=form, lowercase=lowercase, strip_accents=strip_accents
    )
    return partial(split_pieces, backend)


def metaspace_backend(model: Any) -> hf.Tokenizer:
    backend = hf.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    return backend


def find_wordpiece(*, lowercase: bool = True) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into BERT's words and marks."""
    backend = wordpiece_backend({}, lowercase=lowercase)

    def find(text: str) -> list[str]:
        plain, rest = ("", text) if _BERT_REMOVES(text) else _part_ascii(text)
        found = _BERT_ASCII(plain.lower() if lowercase else plain)
        return found + split_pieces(backend, rest) if rest else found

    return CutAtSpaces(find)


def wordpiece_backend(vocabulary: dict[str, int], *, lowercase: bool) -> hf.Tokenizer:
    backend = hf.Tokenizer(models.WordPiece(vocabulary, unk_token=UNKNOWN))
    backend.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    return backend


def find_unigram(
    *, lowercase: bool = False, form: str | None = "nfkc", strip_accents: bool = False
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text at white space: no piece holds any, and sentencepiece
    takes no other.
    """
    normalizer = make_normalizer(form=form, lowercase=lowercase, strip_accents=strip_accents)

    def find(text: str) -> list[str]:
        if normalizer is not None and not text.isascii():
            text = normalizer.normalize_str(text)
        elif lowercase:
            text = text.lower()
        return _SENTENCEPIECE_WORDS(text)

    return find
