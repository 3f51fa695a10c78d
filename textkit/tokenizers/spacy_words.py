"""The `spacy` kind: any language's spaCy tokenizer, or an installed pipeline's, behind our
protocol.

In: a language code such as "en", or a pipeline's name. Out: a tokenizer of words with ids, exact
spans, a vocabulary that is saved as JSON; spaCy itself must be installed again to load it. White
space tokens of spaCy are left out, and a run of more than 1,024 of one character is cut there, so
that time stays linear.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from itertools import chain, pairwise
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch, offsets_of, within_rows
from textkit.errors import ArtifactError, UsageError, require
from textkit.io import files
from textkit.origins import Origins
from textkit.threads import SharedLock
from textkit.tokenizers.counting import check_size, iterate_checked
from textkit.tokenizers.protocol import (
    PAD,
    SPACY_WORDS,
    UNKNOWN,
    Kind,
    Tokenizer,
)

if TYPE_CHECKING:
    from spacy.tokenizer import Tokenizer as SpacyCutter

FORMAT = 1
# Where packages of pipelines, such as en_core_web_sm, say their names.
_PIPELINES = "spacy_models"
# Of one character: a thousand apostrophes take spaCy a third of a second, ten times as many half a
# minute.
LONGEST_RUN = 1024
_LONG_WORD = re.compile(rf"\S{{{LONGEST_RUN + 1}}}").search
_LONG_RUN = re.compile(rf"(\S)\1{{{LONGEST_RUN},}}").finditer


class SpacyTokenizer(Tokenizer):
    """Words as spaCy cuts them, looked up in a vocabulary of our own."""

    kind = "spacy"
    lossless = False
    pad_id: int | None = 0
    unknown_id: int | None = 1

    def __init__(self, language: str, vocabulary: Sequence[str], *, lowercase: bool) -> None:
        self.language, self.lowercase = language, lowercase
        self._pipe = open_language(language)
        self.vocabulary = {
            token: i for i, token in enumerate(dict.fromkeys([PAD, UNKNOWN, *vocabulary]))
        }
        # spaCy's own number of a word form -> our id; -1 for white space. Learnt as forms come.
        self._ids: dict[int, int] = {}
        self._cutting = SharedLock()
        self.fingerprint = hashlib.sha256(json.dumps(self._description()).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"SpacyTokenizer('{self.language}', n_tokens={len(self.vocabulary):,})"

    def __reduce__(
        self,
    ) -> tuple[Callable[..., SpacyTokenizer], tuple[str, list[str], bool]]:
        """Go to another process as its description: spaCy's own tokenizer is large and made anew
        there.
        """
        return _rebuild, (self.language, list(self.vocabulary), self.lowercase)

    def _description(self) -> dict[str, object]:
        tokens = list(self.vocabulary)
        return {
            "format": FORMAT,
            "language": self.language,
            "lowercase": self.lowercase,
            "vocabulary": tokens,
        }

    def _encode_texts(
        self, texts: Sequence[str], *, spans: bool, allow_special: bool, words: bool
    ) -> TokenBatch:
        """Give the ids of texts.

        Special tokens cannot be allowed. Every token is a word.
        """
        from spacy.attrs import IDX, LENGTH, ORTH

        if allow_special:
            raise UsageError("tokenizer 'spacy' reads no special tokens from text")
        pieces, starts, rows = cut_runs(texts)
        # spaCy's caches and its table of words know no threads.
        with self._cutting:
            columns = [
                np.asarray(doc.to_array([ORTH, IDX, LENGTH]), dtype=np.uint64)
                for doc in self._pipe.pipe(pieces)
            ]
        lengths = np.fromiter(map(len, columns), dtype=np.int64, count=len(columns))
        counts = np.bincount(rows, weights=lengths, minlength=len(texts)).astype(np.int64)
        table = np.concatenate(columns) if columns else np.zeros((0, 3), dtype=np.uint64)
        table[:, 1] += np.repeat(starts, lengths)
        forms, inverse = np.unique(table[:, 0], return_inverse=True)
        ids = np.array([self._id_of(int(form)) for form in forms], dtype=np.int32)[inverse]
        kept = ids >= 0
        offsets = offsets_of(kept.astype(np.int64))[offsets_of(counts)]
        edges = None
        if spans:
            starts = table[kept, 1].astype(np.int32)
            edges = np.stack([starts, starts + table[kept, 2].astype(np.int32)], axis=1)
        return TokenBatch(
            ids[kept],
            offsets,
            edges,
            np.zeros(len(texts), np.int32),
            origins=Origins(within_rows(offsets)) if words else None,
        )

    def _id_of(self, form: int) -> int:
        if form not in self._ids:
            word = self._pipe.vocab.strings[form]
            found = self.vocabulary.get(self.normalize(word), 1)
            # Text that spells [PAD], which is 0, is no padding.
            self._ids[form] = -1 if word.isspace() else max(1, found)
        return self._ids[form]

    def normalize(self, text: str) -> str:
        """Give a word as the vocabulary holds it."""
        return text.lower() if self.lowercase else text

    def decode(self, ids: Sequence[int]) -> str:
        """Join words with spaces."""
        return " ".join(self.tokens(ids))

    def write(self, folder: Path) -> None:
        """Write the one file into a folder that the caller seals."""
        files.write_json(folder / SPACY_WORDS, self._description())

    def shrink(self, size: int) -> SpacyTokenizer:
        """Give the tokenizer of the most frequent words, as training to `size` gives it."""
        if size > len(self):
            raise UsageError(f"size is {size}, but only {len(self)} tokens were learnt")
        return SpacyTokenizer(self.language, list(self.vocabulary)[:size], lowercase=self.lowercase)


def cut_runs(texts: Sequence[str]) -> tuple[Sequence[str], NDArray[np.uint64], NDArray[np.int64]]:
    """Cut texts every LONGEST_RUN characters within longer runs of one character, on which spaCy's
    time is quadratic.

    Returns the pieces, where each starts in its text, and the rows of their texts.

    >>> pieces, starts, rows = cut_runs(["a", "b" + "'" * 1100])
    >>> [len(piece) for piece in pieces], starts.tolist(), rows.tolist()
    ([1, 1025, 76], [0, 0, 1025], [0, 1, 1])
    """
    if not any(map(_LONG_WORD, texts)):
        return texts, np.zeros(len(texts), np.uint64), np.arange(len(texts))
    pieces: list[str] = []
    starts: list[int] = []
    rows: list[int] = []
    for row, text in enumerate(texts):
        cuts = [0]
        for run in _LONG_RUN(text) if _LONG_WORD(text) else ():
            cuts += range(run.start() + LONGEST_RUN, run.end(), LONGEST_RUN)
        pieces += [text[start:end] for start, end in pairwise([*cuts, len(text)])]
        starts += cuts
        rows += [row] * len(cuts)
    return pieces, np.array(starts, np.uint64), np.array(rows)


def open_language(language: str) -> SpacyCutter:
    """Give the tokenizer of a blank language, of an installed pipeline, or of a pipeline's folder.

    A language code goes first, so that no folder of the present one is opened by the name "en".
    """
    require("spacy", needed_by="tokenizer 'spacy'")
    import spacy

    try:
        if language in _language_codes():
            return spacy.blank(language).tokenizer
        for pipeline in entry_points(group=_PIPELINES, name=language):
            return pipeline.load().load().tokenizer
        return spacy.load(language).tokenizer
    except (OSError, ImportError, ValueError) as err:
        reason = " ".join(str(err).split())
        raise UsageError(f"spaCy knows no language or pipeline '{language}': {reason}") from err


def _language_codes() -> set[str]:
    """List the languages of spaCy and of installed packages, with none of them imported."""
    import spacy.lang

    own = {module.name for module in iter_modules(spacy.lang.__path__) if module.ispkg}
    return own | {point.name for point in entry_points(group="spacy_languages")}


def _rebuild(language: str, vocabulary: list[str], lowercase: bool) -> SpacyTokenizer:
    return SpacyTokenizer(language, vocabulary, lowercase=lowercase)


def read(folder: Path) -> SpacyTokenizer:
    """Read what `save` wrote.

    Its language is a code or the name of an installed pipeline: what a folder says opens no other
    folder and imports no other package.
    """
    found, where = files.read_json(folder / SPACY_WORDS), str(folder / SPACY_WORDS)
    format = found.get("format") if isinstance(found, dict) else None
    if type(format) is not int or format < 1:
        raise ArtifactError(
            f"not a saved spaCy tokenizer: format is {str(format)[:40]!r}, expected {FORMAT}",
            where=where,
        )
    if format > FORMAT:
        raise ArtifactError(f"format {format} is newer than this textkit reads", where=where)
    language, words, lowercase = (found.get(key) for key in ("language", "vocabulary", "lowercase"))
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ArtifactError("vocabulary is no list of words", where=where)
    if not isinstance(lowercase, bool):
        raise ArtifactError("lowercase is neither true nor false", where=where)
    require("spacy", needed_by="tokenizer 'spacy'")
    pipelines = {point.name for point in entry_points(group=_PIPELINES)}
    if not isinstance(language, str) or language not in _language_codes() | pipelines:
        raise ArtifactError(
            f"language is {str(language)[:80]!r}, neither a language code of spaCy nor an installed"
            " pipeline; a folder opens no other, so make the tokenizer anew:"
            " tokenizers.create('spacy', language=...)",
            where=where,
        )
    return SpacyTokenizer(language, words, lowercase=lowercase)


def train_spacy(
    texts: Iterable[str],
    *,
    language: str = "en",
    size: int = 30_000,
    min_frequency: int = 1,
    lowercase: bool = False,
) -> SpacyTokenizer:
    """Learn the `size` most frequent words of spaCy's tokenizer that occur at least
    `min_frequency` times.
    """
    check_size(size, at_least=2)
    counts: Counter[str] = Counter()
    pieces = chain.from_iterable(cut_runs([text])[0] for text in iterate_checked(texts))
    for doc in open_language(language).pipe(pieces):
        counts.update(
            token.text.lower() if lowercase else token.text for token in doc if not token.is_space
        )
    ranked = sorted(
        (word for word, count in counts.items() if count >= min_frequency),
        key=lambda w: (-counts[w], w),
    )
    return SpacyTokenizer(language, ranked[: size - 2], lowercase=lowercase)


def create_spacy(
    *, language: str = "en", vocabulary: Sequence[str] = (), lowercase: bool = False
) -> SpacyTokenizer:
    """Make a spaCy tokenizer from a word list.

    With none it still splits, and every word is unknown.
    """
    return SpacyTokenizer(language, vocabulary, lowercase=lowercase)


SPACY = Kind(train=train_spacy, create=create_spacy)
