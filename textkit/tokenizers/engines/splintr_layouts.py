"""For which layouts of a tokenizer.json splintr encodes every text as the reference does.

In: the parsed tokenizer.json. Out: True for the families that were compared, layout after layout
and text after text, by tests/campaigns/layouts.py; False for all else, which is then the
reference's.
"""

from __future__ import annotations

import re

import tokenizers as hf

from textkit.tokenizers.description import Description, Step, TableModel, UnigramModel, steps_of
from textkit.tokenizers.engines.reference import ReferenceEngine
from textkit.tokenizers.splitters import AT_THE_ENDS, META, META_AT_THE_END

# Classes of a pattern that hold the same code points in both engines: all were compared.
_SAME_CLASSES = re.compile(r"\\p\{(?:L|Lu|Ll|Lt|Lm|Lo|M|N)\}|\\[sSrn]")
_CUTTING = {
    "Punctuation": {"Isolated", "Removed", "Contiguous"},
    "Split": {"Isolated", "Removed"},
}
# Splitters that may stand before the ByteLevel of a byte-level BPE.
_BEFORE_BYTES = {"Digits", *_CUTTING}
_FORMS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase"}
# ByteLevel's letters of the bytes, as GPT-2's code orders them.
_SHOWN = [*range(33, 127), *range(161, 173), *range(174, 256)]
_BYTE_OF_LETTER = {
    letter: byte
    for byte, letter in zip(
        [*_SHOWN, *(byte for byte in range(256) if byte not in _SHOWN)],
        [*map(chr, _SHOWN), *map(chr, range(256, 512 - len(_SHOWN)))],
        strict=True,
    )
}
BYTE_PIECES = frozenset(f"<0x{byte:02X}>" for byte in range(256))
# The endings of English in any case: the reference takes the long s for an s there, splintr not.
ANY_CASE, LONG_S = "(?i:'s|'t|'re|'ve|'m|'ll|'d)", "\u017f"


def encodes_alike(description: Description) -> bool:
    """Tell whether splintr is known to encode every text as the reference does.

    >>> model = {"type": "BPE", "vocab": {}, "merges": []}
    >>> words = {"normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "added_tokens": []}
    >>> encodes_alike({**words, "model": model})
    False
    """
    normalizers = steps_of(description["normalizer"])
    splitters = steps_of(description["pre_tokenizer"])
    model = description["model"]
    if model["type"] == "Unigram":
        return not model.get("byte_fallback") and _unigram_alike(normalizers, splitters)
    if model["type"] == "WordPiece":
        return _wordpiece_alike(model, normalizers, splitters)
    if model["type"] != "BPE" or model.get("dropout"):
        return False
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return False
    if _bytes_alike(model, normalizers, splitters):
        return True
    unmade = unmade_tokens(model) - {token["content"] for token in description["added_tokens"]}
    return _characters_alike(model, normalizers, splitters) and unmade <= {
        *BYTE_PIECES,
        model.get("unk_token"),
    }


def _bytes_alike(model: TableModel, normalizers: list[Step], splitters: list[Step]) -> bool:
    """BPE on the letters of bytes, none of which is missing."""
    *before, level = splitters or [{"type": "none"}]
    return (
        level["type"] == "ByteLevel"
        and not (before and level.get("add_prefix_space"))  # a space before every piece of those
        and not model.get("byte_fallback")
        and {step["type"] for step in before} <= _BEFORE_BYTES
        and all(map(_cuts_alike, before))
        and {step["type"] for step in normalizers} <= _FORMS
        and model["vocab"].keys() >= _BYTE_OF_LETTER.keys()
    )


def _characters_alike(model: TableModel, normalizers: list[Step], splitters: list[Step]) -> bool:
    """BPE on characters that are never split, as sentencepiece's models are read."""
    return (
        bool(model.get("unk_token") and model.get("fuse_unk"))
        and not model.get("ignore_merges")
        and not splitters
        and all(map(_marks_spaces, normalizers))
        and (not model.get("byte_fallback") or model["vocab"].keys() >= BYTE_PIECES)
    )


def unmade_tokens(model: TableModel) -> set[str]:
    """Give the tokens of more than one character that no merge makes.

    >>> vocab = {"a": 0, "b": 1, "ab": 2, "ba": 3}
    >>> unmade_tokens({"type": "BPE", "vocab": vocab, "merges": ["a b"]})
    {'ba'}
    """
    merges = model.get("merges", [])
    made = {m.replace(" ", "", 1) if isinstance(m, str) else "".join(m) for m in merges}
    return {token for token in model["vocab"] if len(token) > 1} - made


def words_beyond_merges(
    model: TableModel | UnigramModel, reference: ReferenceEngine
) -> list[str] | None:
    """Give the words of a BPE that splintr may read otherwise; None where it may read any so.

    splintr joins any two pieces that make a token, the reference those of a merge. The two are one
    where merges alone make every token of its own text, as training leaves them. Texts that may
    hold another token are the reference's, and so are those that may hold a word that
    `ignore_merges` has whole, for splintr is made without that flag. The words come without the
    space before them.
    """
    if model["type"] != "BPE":
        return []
    merging = reference
    if model.get("ignore_merges"):
        merges = [_pair(merge) for merge in model["merges"]]
        merging = ReferenceEngine(hf.Tokenizer(hf.models.BPE(model["vocab"], merges)))
    unmade = unmade_tokens(model)
    others = merging.spelled_otherwise([token for token in model["vocab"] if len(token) > 1])
    spelled = {token: _spell(token) for token in others}
    if any(word is None and token not in unmade for token, word in spelled.items()):
        return None
    words = [
        word.removeprefix(" ")
        for token, word in spelled.items()
        if word is not None and (token not in unmade or model.get("ignore_merges"))
    ]
    return None if "" in words else words


def _pair(merge: str | list[str]) -> tuple[str, str]:
    left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
    return left, right


def _spell(token: str) -> str | None:
    """Give the text of a token; None where it is no whole text, as no word of a text is."""
    try:
        return bytes(map(_BYTE_OF_LETTER.__getitem__, token)).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None


def _wordpiece_alike(model: TableModel, normalizers: list[Step], splitters: list[Step]) -> bool:
    """BERT's: its own normaliser and its own splitter."""
    kinds = [step["type"] for step in normalizers]
    return (
        model.get("continuing_subword_prefix") == "##"
        and [step["type"] for step in splitters] == ["BertPreTokenizer"]
        and kinds == ["BertNormalizer"]
    )


def _unigram_alike(normalizers: list[Step], splitters: list[Step]) -> bool:
    """sentencepiece's: Metaspace splits, after WhitespaceSplit perhaps.

    Without a split, the sums of scores go over the whole text, and of two ways with one sum splintr
    takes another than the reference. A Metaspace that minds where a text begins ("first") is read
    otherwise behind a normaliser that takes characters from there.
    """
    kinds = [step["type"] for step in splitters]
    if kinds not in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]):
        return False
    if not splitters[-1].get("split", True):
        return False
    if splitters[-1].get("prepend_scheme") == "first" and normalizers:
        return False
    allowed = {*_FORMS, "StripAccents", "Precompiled"}
    return all(step["type"] in allowed or _joins_spaces(step) for step in normalizers)


def _joins_spaces(step: Step) -> bool:
    return step["type"] == "Replace" and step.get("pattern", {}).get("Regex") == " {2,}"


# What a sentencepiece file says of spaces: none at the ends, one where several stand, one before a
# text that is not empty nor a symbol. The third and the fourth are how the first two were written.
_SPACES = {(AT_THE_ENDS, ""), (META_AT_THE_END, "")}
_SPACES |= {(r"\A +| +\z", ""), (rf"{META}+\z", ""), (" {2,}", " ")}
_SPACE_BEFORE = re.compile(r"\\A\(\?!\(\?:.*\)\?\\z\)", re.DOTALL).fullmatch


def _marks_spaces(step: Step) -> bool:
    if step["type"] in ("Precompiled", "Prepend"):
        return step.get("prepend", META) == META
    pattern, content = step.get("pattern", {}), step.get("content", "")
    return step["type"] == "Replace" and (
        (pattern.get("String"), content) == (" ", META)
        or (pattern.get("Regex", ""), content) in _SPACES
        or (content == META and _SPACE_BEFORE(pattern.get("Regex", "")) is not None)
    )


def _cuts_alike(step: Step) -> bool:
    """Tell whether a splitter was found to cut alike: not a pattern with other classes."""
    if step["type"] not in _CUTTING:
        return True
    if step.get("behavior") not in _CUTTING[step["type"]]:
        return False
    pattern = step.get("pattern", {}).get("Regex", "")
    left = _SAME_CLASSES.sub("", pattern.replace(ANY_CASE, ""))
    return left.isascii() and not re.search(r"\\[A-Za-z0-9]|\[:|&&|\(\?i", left)
