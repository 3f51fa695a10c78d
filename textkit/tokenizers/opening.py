"""Open the tokenizer that a person names: a file, a folder, a name on the hub, or a kind that needs
no training.

In: one string, as an option of the shell or a field of a job's options holds it. Out: a Tokenizer.
"""

from __future__ import annotations

from pathlib import Path

from textkit.errors import UsageError
from textkit.io import hub
from textkit.registry import names
from textkit.tokenizers.formats import load
from textkit.tokenizers.protocol import Tokenizer
from textkit.tokenizers.train import create


def open_tokenizer(spec: str) -> Tokenizer:
    """Load a tokenizer by path or `hf:NAME`; the kinds that split without a vocabulary are known
    by their names.

    A file or folder of such a name goes first. Raises UsageError for a kind that must be trained
    first, ArtifactError for what is no tokenizer.

    >>> open_tokenizer("word").kind
    'word'
    """
    if Path(spec).exists() or spec.startswith(hub.PREFIX) or spec not in names("tokenizer"):
        return load(spec)
    if spec in ("bpe", "bpe-char", "regex", "unigram", "wordpiece"):
        raise UsageError(
            f"a '{spec}' tokenizer must be trained first: textkit tokenizer train FILES -k {spec}"
            f" -o tok/"
        )
    return create(spec)
