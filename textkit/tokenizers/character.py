"""Character tokenizers: `char` (code points), `grapheme` (UAX 29 clusters: an emoji family is one
token), `byte`.

In: texts to learn the alphabet from, or the alphabet; `byte` needs neither. Out: a
PipelineTokenizer whose tokens join back to the text.
"""

from __future__ import annotations

from collections.abc import Iterable

import tokenizers as hf
from tokenizers import decoders, models, pre_tokenizers

from textkit.tokenizers.lookup import pattern_kind
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import PAD, Kind
from textkit.tokenizers.splitters import byte_names
from textkit.tokenizers.unicode_breaks import CHARACTERS, GRAPHEMES


def create_byte() -> PipelineTokenizer:
    """Make the tokenizer of UTF-8 bytes: [PAD] is 0 and byte b is b + 1.

    Nothing is unknown, nothing is lost.

    >>> create_byte().encode(["aé"]).ids.tolist()
    [98, 196, 170]
    """
    names = byte_names()
    vocabulary = {PAD: 0, **{names[byte]: byte + 1 for byte in range(256)}}
    backend = hf.Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([PAD])
    return PipelineTokenizer(backend, kind="byte")


def train_byte(texts: Iterable[str], *, size: int = 257) -> PipelineTokenizer:
    """Make the byte tokenizer; there is nothing to learn, and `size` is always 257."""
    del texts, size
    return create_byte()


CHAR = pattern_kind("char", CHARACTERS, decoder=decoders.Fuse())
GRAPHEME = pattern_kind("grapheme", GRAPHEMES, decoder=decoders.Fuse())
BYTE = Kind(train=train_byte, create=create_byte)
