"""Tokenizers: texts in, TokenBatch out. Train one, make one, load one; torch is never imported.

>>> from textkit import tokenizers
>>> tok = tokenizers.train("word", ["Vanity and pride are different things"])
>>> tok.decode(tok.encode(["pride and vanity"])[0])
'pride and [UNK]'
"""

from textkit.tokenizers.changes import carry_rows
from textkit.tokenizers.documents import Windows, windows
from textkit.tokenizers.formats import load
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.protocol import Tokenizer
from textkit.tokenizers.sentences import sentences
from textkit.tokenizers.train import create, train

__all__ = [
    "PipelineTokenizer",
    "Tokenizer",
    "Windows",
    "carry_rows",
    "create",
    "load",
    "sentences",
    "train",
    "windows",
]
