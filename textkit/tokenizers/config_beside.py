"""What a tokenizer_config.json says otherwise than the tokenizer.json beside it.

In: both, as transformers saved or somebody edited them. Out: the description of the tokenizer that
transformers makes of the two, and a line for each difference:

1. do_lower_case, strip_accents, tokenize_chinese_chars decide the normaliser of BERT's classes;
2. add_prefix_space decides the splitter of the classes of byte-level BPE;
3. a token that the config names, which the vocabulary has, is a special token, of any class.

What the config does not say, or says with null, stays as tokenizer.json has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from textkit.tokenizers.description import CONFIG_JSON, NAMED, TOKENIZER_JSON
from textkit.tokenizers.folder_classes import VOCABULARY_CLASSES
from textkit.tokenizers.folder_layouts import LOWERCASE

_NORMALIZER_KEYS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
_PREFIX = "add_prefix_space"
# Classes that transformers 5.23 opens from their tokenizer.json alone, or whose splitter has none.
_AS_SAVED = ("ConvBertTokenizer", "CLIPTokenizer", "OpenAIGPTTokenizer", "HerbertTokenizer")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")


def follow_config(
    description: Mapping[str, Any], config: Mapping[str, object], *, class_name: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Give the description of a tokenizer.json as the config has it, and what differed.

    class_name: of transformers, without Fast.

    >>> bert = {"model": {"type": "WordPiece", "vocab": {"[UNK]": 0}}, "added_tokens": []}
    >>> bert["normalizer"] = {"type": "BertNormalizer", "lowercase": True}
    >>> config = {"do_lower_case": False, "unk_token": "[UNK]"}
    >>> followed, notes = follow_config(bert, config, class_name="BertTokenizer")
    >>> followed["normalizer"]["lowercase"], followed["added_tokens"][0]["content"], len(notes)
    (False, '[UNK]', 1)
    """
    followed = dict(description)
    layout = None if class_name in _AS_SAVED else VOCABULARY_CLASSES.get(class_name or "")
    changed = []
    if layout is not None:
        by_class = _normalize if LOWERCASE in layout.options else _prefix
        changed = by_class(followed, config)
    lacking = _name_tokens(followed, config)
    notes = [
        f"{CONFIG_JSON} has {name} = {str(config[name]).lower()}, {TOKENIZER_JSON} has not; the"
        " former is followed, as transformers does"
        for name in changed
    ]
    if lacking:
        names = ", ".join(lacking)
        notes.append(f"{CONFIG_JSON} names {names}, which {TOKENIZER_JSON} lacks: no token here")
    return followed, notes


def _normalize(followed: dict[str, Any], config: Mapping[str, object]) -> list[str]:
    """Follow the options of BERT's normaliser; give those that differed."""
    normalizer = followed.get("normalizer")
    if not isinstance(normalizer, dict) or normalizer.get("type") != "BertNormalizer":
        return []
    said = [
        name
        for name, key in _NORMALIZER_KEYS.items()
        if isinstance(config.get(name), bool) and normalizer.get(key) is not config[name]
    ]
    # Accents that are stripped by default are stripped where the text is lower-cased.
    if "strip_accents" in said and normalizer.get("strip_accents") is None:
        lowers = config.get("do_lower_case", normalizer.get("lowercase"))
        said = [name for name in said if name != "strip_accents" or config[name] is not lowers]
    new = {_NORMALIZER_KEYS[name]: config[name] for name in said}
    followed["normalizer"] = {**normalizer, **new}
    return said


def _prefix(followed: dict[str, Any], config: Mapping[str, object]) -> list[str]:
    """Follow whether a byte-level text begins with a space; name the option where it differed."""
    wanted, splitter = config.get(_PREFIX), followed.get("pre_tokenizer")
    if not isinstance(wanted, bool) or not isinstance(splitter, dict):
        return []
    several = splitter.get("pretokenizers")
    parts = several if isinstance(several, list) else [splitter]
    new = [
        {**part, _PREFIX: wanted} if part.get("type") == "ByteLevel" and _PREFIX in part else part
        for part in parts
        if isinstance(part, dict)
    ]
    if new == parts:
        return []
    followed["pre_tokenizer"] = new[0] if several is None else {**splitter, "pretokenizers": new}
    return [_PREFIX]


def _name_tokens(followed: dict[str, Any], config: Mapping[str, object]) -> list[str]:
    """Make special tokens of those that the config names and the vocabulary has; give the rest."""
    added = [token for token in followed.get("added_tokens") or [] if isinstance(token, dict)]
    vocab = followed["model"]["vocab"]
    ids = vocab if isinstance(vocab, dict) else {entry[0]: i for i, entry in enumerate(vocab)}
    known = {token.get("content") for token in added}
    lacking = []
    for text, flags in _named(config):
        if text in known:
            continue
        known.add(text)
        if text not in ids:
            lacking.append(text)
        else:
            added.append({"id": ids[text], "content": text, **flags, "special": True})
    followed["added_tokens"] = sorted(added, key=lambda token: int(token.get("id", 0)))
    return lacking


def _named(config: Mapping[str, object]) -> Iterator[tuple[str, dict[str, bool]]]:
    """Give the tokens that a config names, with their flags."""
    more = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    more = [*more.values()] if isinstance(more, dict) else more
    for token in (*map(config.get, NAMED), *(more if isinstance(more, list) else [])):
        said = token if isinstance(token, dict) else {"content": token}
        if isinstance(said.get("content"), str):
            yield said["content"], {flag: said.get(flag) is True for flag in _FLAGS}
