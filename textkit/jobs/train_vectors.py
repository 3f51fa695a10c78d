"""Train word vectors on files of any known format: a whole piece of work as one call.

In: TrainVectorsOptions. Out: our folder of vectors, opened. Nothing is printed: how far it is goes
to a Watch, which may also stop it; what was done then waits in `OUT.training`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textkit import tokenizers
from textkit.errors import UsageError
from textkit.registry import names
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.formats import open_tokenizer
from textkit.vectors import train
from textkit.vectors.gensim_model import VectorTraining
from textkit.vectors.table import WordTable
from textkit.watch import Watch


@dataclass(frozen=True, kw_only=True)
class TrainVectorsOptions:
    """What word vectors are trained on, and where they go.

    inputs: files, globs, folders. out: the folder to write. tokenizer: a kind that needs no
    vocabulary, or a saved one; lowercase: fold case, for a kind; pattern: how a .tiktoken file
    splits texts. overwrite: finished work in `out` may go, when the new vectors are whole. resume:
    go on from `OUT.training`, which a stopped run of the same files and options left.
    """

    inputs: Sequence[str]
    out: Path
    tokenizer: str = "word"
    lowercase: bool = False
    pattern: str | None = None
    text_column: str | None = None
    delimiter: str | None = None
    training: VectorTraining = field(default_factory=VectorTraining)
    overwrite: bool = False
    resume: bool = False


def train_word_vectors(options: TrainVectorsOptions, *, watch: Watch = Watch()) -> WordTable | None:
    """Train word vectors, write our folder of them and open it; None where `watch` stopped it."""
    return train.train_vectors(
        options.inputs,
        options.out,
        tokenizer=_open_tokenizer(options),
        options=options.training,
        text_column=options.text_column,
        overwrite=options.overwrite,
        delimiter=options.delimiter,
        resume=options.resume,
        watch=watch,
    )


def _open_tokenizer(options: TrainVectorsOptions) -> Tokenizer:
    source = options.tokenizer
    if not options.lowercase:
        return open_tokenizer(source, pattern=options.pattern)
    if options.pattern is not None:
        raise UsageError("--pattern is for a .tiktoken file and --lowercase for a kind; take one")
    if Path(source).exists() or source not in names("tokenizer"):
        raise UsageError(
            "--lowercase goes with a kind such as word; a trained tokenizer folds case by itself"
            " or not"
        )
    return tokenizers.create(source, lowercase=True)
