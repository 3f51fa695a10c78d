"""How good vectors are: agreement with people's word similarities, and analogies solved.

In: Vectors, and a file of `word word score` or of four words a line. Out: Spearman's rank
correlation or accuracy, always with the coverage it rests on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textkit.errors import DataError
from textkit.evaluation.areas import rank
from textkit.io.inputs import read_lines
from textkit.vectors import neighbours
from textkit.vectors.table import find_folded
from textkit.vectors.vectors import Vectors

_CHUNK = 512


@dataclass(frozen=True)
class SimilarityScore:
    """Agreement with people: Spearman's correlation over the covered pairs."""

    spearman: float
    n_pairs: int
    n_covered: int
    missing: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class AnalogyScore:
    """Analogies solved at the first guess: correct, covered and all, by section."""

    sections: dict[str, tuple[int, int, int]]

    @property
    def accuracy(self) -> float:
        """Share of the covered ones, over all sections; 0 where none is covered."""
        covered = sum(section[1] for section in self.sections.values())
        return sum(section[0] for section in self.sections.values()) / max(covered, 1)

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        names = ("correct", "covered", "all")
        sections = {
            name: dict(zip(names, counts, strict=True)) for name, counts in self.sections.items()
        }
        return {"accuracy": self.accuracy, "sections": sections}


def score_similarity(vectors: Vectors, path: str | Path) -> SimilarityScore:
    """Compare cosines with people's scores, over pairs whose words are known as they stand or in
    lower case.

    path: lines of two words and a number, with tabs, commas or spaces between; lines with # are
    comments. Vectors with n-grams (fastText) know every word.

    >>> pairs = "cat\\tdog\\t9\\ncat\\tcar\\t2\\ndog\\tcar\\t1\\n"
    >>> _ = Path("pairs.tsv").write_text(pairs, encoding="utf-8")
    >>> v = Vectors(["cat", "dog", "car"], np.array([[1, 0.1], [1, 0.2], [0.1, 1]], np.float32))
    >>> score_similarity(v, "pairs.tsv").n_covered
    3
    """
    pairs = list(_read_pairs(Path(path)))
    if not pairs:
        raise DataError(
            "no pairs in this file; expected lines of two words and a score", where=str(path)
        )
    left, right = [a for a, _, _ in pairs], [b for _, b, _ in pairs]
    scores = np.array([score for _, _, score in pairs])
    rows = find_folded(vectors, left + right).reshape(2, -1)
    covered = np.asarray((rows >= 0).all(axis=0))
    if vectors.ngrams is not None:
        made = neighbours.unit(vectors.lookup(left + right, "ngram"))
        covered[:] = True
    else:
        known = np.maximum(rows.reshape(-1), 0)
        made = neighbours.unit(vectors.read_rows(known))
    cosines = np.einsum("ij,ij->i", made[: len(pairs)], made[len(pairs) :])
    missing = dict.fromkeys(
        w for w, row in zip(left + right, rows.reshape(-1).tolist(), strict=True) if row < 0
    )
    if covered.sum() < 2:
        raise DataError(
            f"{int(covered.sum())} of {len(pairs)} pairs have both words in {vectors.source};"
            f" expected at least 2",
            where=str(path),
        )
    correlation = spearman(cosines[covered], scores[covered])
    return SimilarityScore(correlation, len(pairs), int(covered.sum()), tuple(missing))


def spearman(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> float:
    """Correlate ranks, equal values sharing their mean rank.

    0 where all values of one side are equal.

    >>> spearman(np.array([1, 2, 3]), np.array([10, 20, 30]))
    1.0
    """
    first, second = (rank(values) - (len(values) + 1) / 2 for values in (a, b))
    spread = float(np.sqrt((first @ first) * (second @ second)))
    return round(float(first @ second) / spread, 12) if spread else 0.0


def score_analogies(
    vectors: Vectors, path: str | Path, *, n_candidates: int | None = None
) -> AnalogyScore:
    """Solve analogies a : b = c : d by 3CosAdd, over the first `n_candidates` words, or all.

    path: lines of four words, sections begun by a line `: NAME`, as in Google's
    questions-words.txt. Lines with a word that is unknown or no candidate are counted, not scored.
    """
    found: dict[str, tuple[int, int, int]] = {}
    allowed = vectors.row_words >= 0
    if n_candidates is not None:
        allowed &= vectors.row_words < n_candidates
    for section, words in _read_analogies(Path(path)):
        rows = find_folded(vectors, [word for four in words for word in four]).reshape(-1, 4)
        rows = rows[((rows >= 0) & allowed[np.maximum(rows, 0)]).all(axis=1)]
        correct = 0
        for first in range(0, len(rows), _CHUNK):
            part = rows[first : first + _CHUNK]
            a, b, c = (neighbours.unit(vectors.read_rows(part[:, i])) for i in range(3))
            best, cosines = neighbours.nearest_rows(
                vectors, b - a + c, k=4, norms=vectors.norms, allowed=allowed
            )
            usable = ~(best[:, :, None] == part[:, None, :3]).any(axis=2) & (cosines > -np.inf)
            guess = np.take_along_axis(best, usable.argmax(axis=1)[:, None], axis=1)[:, 0]
            correct += int(((guess == part[:, 3]) & usable.any(axis=1)).sum())
        old = found.get(section, (0, 0, 0))
        found[section] = (old[0] + correct, old[1] + len(rows), old[2] + len(words))
    if not found:
        raise DataError("no analogies in this file; expected lines of four words", where=str(path))
    return AnalogyScore(found)


def _read_pairs(path: Path) -> Iterator[tuple[str, str, float]]:
    for number, line in _lines(path):
        separator = next((mark for mark in "\t," if mark in line), None)
        parts = [part.strip() for part in line.split(separator)]
        try:
            a, b, score = parts[0], parts[1], float(parts[2])
        except (IndexError, ValueError) as err:
            if number == 1 and len(parts) >= 3:
                continue  # a header
            raise DataError(
                f"expected two words and a score, found '{line[:60]}'", where=f"{path}:{number}"
            ) from err
        if not np.isfinite(score):
            raise DataError(
                f"score is {parts[2]}, expected a finite number", where=f"{path}:{number}"
            )
        yield a, b, score


def _read_analogies(path: Path) -> Iterator[tuple[str, list[list[str]]]]:
    section, held = "all", list[list[str]]()
    for number, line in _lines(path):
        if line.startswith(":"):
            if held:
                yield section, held
            section, held = line[1:].strip(), []
            continue
        words = line.split()
        if len(words) != 4:
            raise DataError(f"expected four words, found {len(words)}", where=f"{path}:{number}")
        held.append(words)
    if held:
        yield section, held


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the lines that are no comments, stripped, with their numbers."""
    for number, line in read_lines(path):
        if not line.lstrip().startswith("#"):
            yield number, line.strip()


def is_analogies(path: str | Path) -> bool:
    """Tell a file of analogies by its first line: a section, or four words without a number."""
    for _, line in _lines(Path(path)):
        parts = line.split()
        return line.startswith(":") or (
            len(parts) == 4 and "\t" not in line and not parts[2].replace(".", "").isdigit()
        )
    return False
