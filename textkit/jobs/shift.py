"""Tell whether two files of texts are alike, by how well a model tells one from the other
(adversarial validation): where it can, scores on one say little of the other.

In: ShiftOptions. Out: a ShiftReport: the area under ROC of a linear model in a cross-validation, .5
where nothing tells them apart, with its interval, and the words that tell. Labels are not read.

Some rows of each file are drawn, so that memory does not grow with it. A text that stands in both
is judged by a model that did not see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.classify.learner import alone
from textkit.classify.machines import SparseFeatures
from textkit.data import splits
from textkit.data.checked_rows import Finding, hash_text
from textkit.data.labels import no_rows
from textkit.errors import DataError, UsageError
from textkit.evaluation.intervals import Interval
from textkit.features.tfidf import TfidfFeatures, TfidfOptions
from textkit.io.corpus import RowReader
from textkit.watch import Progress, Watch

CHECK = "shift"
# Files whose interval lies wholly above it are told apart well enough to say so. Halves of one file
# stay at .5; see docs/data.md for files that differ.
WARNING = 0.6
_MOST_ROWS, _MOST_CHARACTERS, _FEWEST_ROWS = 10_000, 2_000, 20
_N_WORDS, _LEAST_SCORE = 10, 3.0
_WORDS = TfidfOptions(words=(1, 1), characters=(), min_rows=1)
_CHARACTERS = TfidfOptions(words=(), characters=(2, 3), min_rows=1)


@dataclass(frozen=True, kw_only=True)
class ShiftOptions:
    """What is compared: a file of texts, and another. folds: models, each of which judges the rows
    that it did not see. rows: drawn of each file at most. seed: of both.
    """

    data: Path
    against: Path
    folds: int = 5
    rows: int = _MOST_ROWS
    seed: int = 0
    text_column: str | None = None
    delimiter: str | None = None

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise UsageError(f"folds is {self.folds}, expected at least 2")
        if self.rows < _FEWEST_ROWS:
            raise UsageError(f"rows is {self.rows}, expected at least {_FEWEST_ROWS}")


@dataclass(frozen=True)
class ShiftReport:
    """How far two files are told apart.

    n_rows: read of each. auc, interval: the area under ROC and its 95 % interval. words: that more
    rows of each file have, those that tell most first; n-grams of characters where no word tells.
    """

    files: tuple[str, str]
    n_rows: tuple[int, int]
    auc: float
    interval: Interval
    words: tuple[Sequence[str], Sequence[str]]

    @property
    def differs(self) -> bool:
        """Tell whether the files are told apart by more than the bound of a warning."""
        return self.interval.low > WARNING

    def line(self) -> str:
        """Say it in a line."""
        said = f"{self.files[1]} beside {self.files[0]}: a model tells their rows apart with an"
        said += f" area under ROC of {self.auc:.3f} ({self.interval}; 0.5 is not at all)"
        if not self.differs:
            return said
        return f"{said}: scores on one say little of the other"

    def findings(self) -> list[Finding]:
        """Give it as a finding of the data check, where the files differ."""
        if not self.differs:
            return []
        kinds = [
            f"more in {Path(name).name}: {', '.join(words)}"
            for name, words in zip(self.files, self.words, strict=True)
            if words
        ]
        return [Finding(CHECK, self.files[1], self.n_rows[1], "; ".join([self.line(), *kinds]))]

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return {**asdict(self), "differs": self.differs}


def compare_files(options: ShiftOptions, *, watch: Watch = Watch()) -> ShiftReport:
    """Compare the texts of two files; raises DataError where one has too few.

    >>> from textkit.io import files
    >>> files.write_text("a.txt", "".join(f"a good film {i}\\n" for i in range(40)))
    >>> files.write_text("b.txt", "".join(f"ein guter Film {i}\\n" for i in range(40)))
    >>> report = compare_files(ShiftOptions(data=Path("a.txt"), against=Path("b.txt")))
    >>> report.auc, report.differs, sorted(report.words[1])
    (1.0, True, ['ein', 'guter'])
    """
    texts, n_rows = [], []
    for path in (options.data, options.against):
        drawn, n_all = _draw(path, options, watch)
        texts.append(drawn)
        n_rows.append(n_all)
    both = [*texts[0], *texts[1]]
    targets = np.repeat([0, 1], [len(part) for part in texts])
    groups = np.unique([hash_text(text) for text in both], return_inverse=True)[1]
    folds = splits.fold_grouped(groups, codes=targets, n_folds=options.folds, seed=options.seed)
    areas, errors = [], []
    for i, (rest, part) in enumerate(folds):
        watch.progress(Progress("telling files apart", i, len(folds), "folds"))
        scores = _judge([both[at] for at in rest], targets[rest], [both[at] for at in part])
        area, error = measure_area(scores[targets[part] == 1], scores[targets[part] == 0])
        areas.append(area)
        errors.append(error)
    area, error = float(np.mean(areas)), float(np.sqrt(np.square(errors).sum()) / len(errors))
    interval = Interval.around(area, error)
    return ShiftReport(
        (str(options.data), str(options.against)),
        (n_rows[0], n_rows[1]),
        area,
        Interval(max(interval.low, 0.0), min(interval.high, 1.0)),
        tell_words(both, targets),
    )


def measure_area(others: NDArray[np.float64], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Give the area under ROC, the share of pairs in which one of `others` (n,) is above one of
    `scores` (m,), ties half, and its standard error (DeLong et al. 1988).

    >>> area, error = measure_area(np.array([2.0, 3.0, 1.0]), np.array([0.0, 1.0]))
    >>> round(area, 3), round(error, 3)
    (0.917, 0.118)
    """

    def place(values: NDArray[np.float64], among: NDArray[np.float64]) -> NDArray[np.float64]:
        ordered = np.sort(among)
        below, upto = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
        return (below + upto) / (2 * len(among))

    above, below = place(others, scores), 1 - place(scores, others)
    parts = [part.var(ddof=1) / len(part) if len(part) > 1 else 0.25 for part in (above, below)]
    return float(above.mean()), float(np.sqrt(sum(parts)))


def tell_words(
    texts: Sequence[str], targets: NDArray[np.int64]
) -> tuple[Sequence[str], Sequence[str]]:
    """Give the words that more rows of one side, 0 or 1, have than of the other: those whose
    log-odds differ by most standard errors, three at least; of no word n-grams of characters.
    """
    found: list[list[str]] = [[], []]
    for options in (_WORDS, _CHARACTERS):
        features, rows = TfidfFeatures.learn(texts, options)
        sides = np.repeat(targets, np.diff(rows.offsets))
        counts = [
            np.bincount(rows.columns[sides == side], minlength=features.n_features)
            for side in (0, 1)
        ]
        odds, variance = np.zeros(features.n_features), np.zeros(features.n_features)
        for sign, side in ((-1, 0), (1, 1)):
            has = counts[side] + 0.5
            lacks = np.count_nonzero(targets == side) - counts[side] + 0.5
            odds += sign * np.log(has / lacks)
            variance += 1 / has + 1 / lacks
        scores, names = odds / np.sqrt(variance), features.names()
        found = []
        for sign in (-1, 1):
            order = np.argsort(-sign * scores, kind="stable")[:_N_WORDS].tolist()
            found.append([names[at] for at in order if sign * scores[at] > _LEAST_SCORE])
        if found[0] or found[1]:
            break
    return found[0], found[1]


def _draw(path: Path, options: ShiftOptions, watch: Watch) -> tuple[list[str], int]:
    """Draw rows of a file that have a text, each as likely as another (Vitter's reservoir), and say
    how many there are.
    """
    reader = RowReader(
        path,
        text_column=options.text_column,
        delimiter=options.delimiter,
        labelled=False,
        on_bad="skip",
    )
    luck, drawn, n_all = np.random.default_rng(options.seed), list[str](), 0
    for row in reader:
        text = row.text[:_MOST_CHARACTERS]
        if not text.strip():
            continue
        if len(drawn) < options.rows:
            drawn.append(text)
        elif (at := int(luck.integers(n_all + 1))) < options.rows:
            drawn[at] = text
        n_all += 1
    for line in reader.notes():
        watch.note(line)
    if not n_all:
        raise no_rows(reader)
    if n_all < _FEWEST_ROWS:
        raise DataError(
            f"{n_all} rows have a text; to tell files apart takes {_FEWEST_ROWS}", where=str(path)
        )
    return drawn, n_all


def _judge(
    texts: Sequence[str], targets: NDArray[np.int64], others: Sequence[str]
) -> NDArray[np.float64]:
    """Learn to tell texts apart, and give the logits of others to be of 1."""
    with alone():
        from sklearn.linear_model import LogisticRegression

        options = TfidfOptions(words=(1, 1), characters=(2, 4))
        features, rows = TfidfFeatures.learn(texts, options)
        machine = LogisticRegression(solver="liblinear", class_weight="balanced", random_state=0)
        machine.fit(SparseFeatures(rows, features.n_features).to_matrix(), targets)
        held = SparseFeatures(features.encode(others), features.n_features)
        logits: NDArray[np.float64] = machine.decision_function(held.to_matrix())
    return logits
