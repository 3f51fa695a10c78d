"""How kinds normalise a text, and how subword kinds cut it before they look for pieces: the
reference's splitters, and quicker cuts for counting.

In: a model, options. Out: a backend with its splitter and decoder, or a function from a text to the
pieces to count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from textkit.errors import UsageError, unknown_name
from textkit.tokenizers.counting import CutAtSpaces, split_pieces
from textkit.tokenizers.protocol import UNKNOWN

# Normal form -> the normaliser that makes it.
FORMS = {
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd": normalizers.NFKD,
}


@dataclass(frozen=True)
class Normalization:
    """What a text becomes before it is cut; spans stay in the caller's own text all the same.

    form: "nfc", "nfd", "nfkc" or "nfkd". strip_accents: remove combining marks after decomposition.
    A trainer takes it as `normalization`; `tokenizers.train` and `create` take its fields.

    >>> both = Normalization(form="nfkc", lowercase=True, strip_accents=True)
    >>> both.build().normalize_str("Éﬁ")
    'efi'
    """

    lowercase: bool = False
    form: str | None = None
    strip_accents: bool = False

    def build(self) -> normalizers.Normalizer | None:
        """Give the normaliser to put before the splitter, or None where nothing is asked for."""
        if self.form is not None and self.form not in FORMS:
            raise UsageError(unknown_name("normal form", self.form, FORMS))
        steps: list[normalizers.Normalizer] = []
        if self.form is not None:
            steps.append(FORMS[self.form]())
        if self.strip_accents:
            if self.form not in ("nfd", "nfkd"):
                steps.append(normalizers.NFD())
            steps.append(normalizers.StripAccents())
        if self.lowercase:
            steps.append(normalizers.Lowercase())
        return normalizers.Sequence(steps) if len(steps) > 1 else next(iter(steps), None)


AS_IT_STANDS, NFKC = Normalization(), Normalization(form="nfkc")


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


# The bytes that UTF-8 uses; no text holds the other thirteen.
BYTES_OF_TEXT = (*range(0xC0), *range(0xC2, 0xF5))

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
# What sentencepiece takes from the ends of a text, before and after it writes its own space. They
# look back, so that a long run of spaces within a text is not read again from each of them.
META = "\u2581"
AT_THE_ENDS, META_AT_THE_END = r"\A +|(?<! ) +\z", rf"(?<!{META}){META}+\z"
# Qwen's: cl100k's, but each digit is by itself.
QWEN = SPLITS["cl100k"].replace(r"\p{N}{1,3}", r"\p{N}")
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
    normalization: Normalization = AS_IT_STANDS,
) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into the pieces that merges stay within, bytes spelled
    as in GPT-2's files.
    """
    backend = byte_level_backend(models.BPE(), split=split, normalization=normalization)
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


def byte_level_backend(
    model: models.Model, *, split: str, normalization: Normalization = AS_IT_STANDS
) -> hf.Tokenizer:
    """Put a BPE model behind a byte-level splitter."""
    if split not in SPLITS:
        raise UsageError(unknown_name("split", split, SPLITS))
    cut = None if split == "gpt2" else pre_tokenizers.Split(Regex(SPLITS[split]), "isolated")
    backend = cut_before_bytes(model, cut)
    backend.normalizer = normalization.build()
    return backend


def cut_before_bytes(model: models.Model, cut: pre_tokenizers.PreTokenizer | None) -> hf.Tokenizer:
    """Put a BPE model behind a splitter whose pieces are then spelled byte by byte; None for
    GPT-2's own.
    """
    backend = hf.Tokenizer(model)
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=cut is None)
    backend.pre_tokenizer = level if cut is None else pre_tokenizers.Sequence([cut, level])
    backend.decoder = decoders.ByteLevel()
    return backend


def find_bpe_char(*, normalization: Normalization = AS_IT_STANDS) -> Callable[[str], list[str]]:
    """Give the function that cuts a text into words with '▁' before them."""
    return partial(split_pieces, metaspace_backend(models.BPE(), normalization=normalization))


def metaspace_backend(
    model: models.Model, *, normalization: Normalization = AS_IT_STANDS
) -> hf.Tokenizer:
    """Put a model behind sentencepiece's splitter, which writes a space as '▁'."""
    backend = hf.Tokenizer(model)
    backend.normalizer = normalization.build()
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


def find_unigram(*, normalization: Normalization = NFKC) -> Callable[[str], list[str]]:
    """Give the function that cuts a text at white space: no piece holds any, and sentencepiece
    takes no other.
    """
    normalizer = normalization.build()

    def find(text: str) -> list[str]:
        if normalizer is not None and not text.isascii():
            text = normalizer.normalize_str(text)
        elif normalization.lowercase:
            text = text.lower()
        return _SENTENCEPIECE_WORDS(text)

    return find
