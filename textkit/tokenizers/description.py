"""What a tokenizer.json says: Hugging Face's description of a tokenizer, as far as we read it.

In: the parsed JSON. Out: what of it decides the ids beyond a vocabulary.
"""

from __future__ import annotations

from typing import Literal, Required, TypedDict

TOKENIZER_JSON = "tokenizer.json"
CONFIG_JSON = "tokenizer_config.json"
# The tokens that a tokenizer_config.json names, in the order in which transformers adds them.
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# Published vocabularies end below 1,000,000; a tokenizer may number its ids with gaps.
HIGHEST_ID = (1 << 24) - 1


class Step(TypedDict, total=False):
    """A normaliser, a splitter, a decoder or a post-processor, or several of them (type
    "Sequence").
    """

    type: Required[str]
    normalizers: list[Step]
    pretokenizers: list[Step]
    decoders: list[Step]
    pattern: dict[str, str]
    content: str
    prepend: str
    replacement: str
    behavior: str
    invert: bool
    add_prefix_space: bool
    trim_offsets: bool
    use_regex: bool
    split: bool
    prepend_scheme: str


class TableModel(TypedDict, total=False):
    """Tokens by their ids, with the merges of BPE."""

    type: Required[Literal["BPE", "WordPiece", "WordLevel"]]
    vocab: Required[dict[str, int]]
    merges: list[str | list[str]]
    unk_token: str | None
    dropout: float | None
    continuing_subword_prefix: str | None
    end_of_word_suffix: str | None
    byte_fallback: bool
    ignore_merges: bool
    max_input_chars_per_word: int


class UnigramModel(TypedDict, total=False):
    """Pieces in id order with their log probabilities."""

    type: Required[Literal["Unigram"]]
    vocab: Required[list[tuple[str, float]]]
    unk_id: int | None
    byte_fallback: bool


class AddedToken(TypedDict):
    """A token that is looked for before anything else.

    lstrip, rstrip: it takes the spaces before or after it in.
    """

    id: int
    content: str
    special: bool
    normalized: bool
    lstrip: bool
    rstrip: bool


class Description(TypedDict):
    """The whole of a tokenizer.json."""

    added_tokens: list[AddedToken]
    normalizer: Step | None
    pre_tokenizer: Step | None
    post_processor: Step | None
    decoder: Step | None
    model: TableModel | UnigramModel
    truncation: None
    padding: None


def steps_of(step: Step | None) -> list[Step]:
    """Give the steps of a normaliser, splitter or decoder one by one."""
    if step is None:
        return []
    if step["type"] != "Sequence":
        return [step]
    return step.get("normalizers") or step.get("pretokenizers") or step.get("decoders") or []


def unknown_token(description: Description) -> str | None:
    """Name the token that stands for what the vocabulary lacks, if there is one."""
    model = description["model"]
    if model["type"] == "Unigram":
        unknown = model.get("unk_id")
        return None if unknown is None else model["vocab"][unknown][0]
    return model.get("unk_token")
