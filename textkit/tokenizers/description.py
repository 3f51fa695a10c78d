"""What a tokenizer.json says: Hugging Face's description of a tokenizer, as far as we read it.

In: the parsed JSON. Out: what of it decides the ids beyond a vocabulary.
"""

from __future__ import annotations

import json
from typing import Literal, Required, TypedDict

TOKENIZER_JSON = "tokenizer.json"
CONFIG_JSON = "tokenizer_config.json"


class Step(TypedDict, total=False):
    """A normaliser, a splitter or a post-processor, or several of them (type "Sequence")."""

    type: Required[str]
    normalizers: list[Step]
    pretokenizers: list[Step]
    pattern: dict[str, str]
    behavior: str
    invert: bool
    add_prefix_space: bool
    trim_offsets: bool
    use_regex: bool
    split: bool


class TableModel(TypedDict, total=False):
    """Tokens by their ids, with the merges of BPE."""

    type: Required[Literal["BPE", "WordPiece", "WordLevel"]]
    vocab: Required[dict[str, int]]
    merges: list[str | list[str]]
    unk_token: str | None
    dropout: float | None


class UnigramModel(TypedDict, total=False):
    """Pieces in id order with their log probabilities."""

    type: Required[Literal["Unigram"]]
    vocab: Required[list[tuple[str, float]]]
    unk_id: int | None


class AddedToken(TypedDict):
    """A token that is looked for before anything else."""

    id: int
    content: str
    special: bool
    normalized: bool


class Description(TypedDict):
    """The whole of a tokenizer.json."""

    added_tokens: list[AddedToken]
    normalizer: Step | None
    pre_tokenizer: Step | None
    post_processor: Step | None
    model: TableModel | UnigramModel
    truncation: None
    padding: None


def steps_of(step: Step | None) -> list[Step]:
    """Give the steps of a normaliser or splitter one by one."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [step]
    return step.get("normalizers") or step.get("pretokenizers") or []


def unknown_token(description: Description) -> str | None:
    """Name the token that stands for what the vocabulary lacks, if there is one."""
    model = description["model"]
    if model["type"] == "Unigram":
        unknown = model.get("unk_id")
        return None if unknown is None else model["vocab"][unknown][0]
    return model.get("unk_token")


def is_lossless(description: Description) -> bool:
    """Tell whether the ids of every text give that text back."""
    byte_level = '"ByteLevel"' in json.dumps(description["pre_tokenizer"])
    is_bytes = description["model"]["type"] == "BPE" and byte_level
    return is_bytes and description["normalizer"] is None and unknown_token(description) is None
