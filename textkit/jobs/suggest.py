"""Which rows to label next: those that a model doubts most, no two of them alike.

In: SuggestOptions, a model and a file of texts without labels. Out: Suggestions, the most doubtful
first. Nothing is printed; what was guessed goes to a Watch. Memory holds one batch and the
candidates, however long the file.
"""

from __future__ import annotations

import csv
import heapq
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textkit.batch import cut_rows
from textkit.data.labels import no_rows
from textkit.data.near_duplicates import jaccard, list_word_pairs
from textkit.data.targets import Label
from textkit.errors import UsageError
from textkit.io import files
from textkit.io.corpus import RowReader
from textkit.jobs.runs import find_model
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    from textkit import TextClassifier

# Two texts that share so much of their pairs of words teach the same.
ALIKE = 0.5
# Candidates for each row that is asked for: of those that are alike, the first alone stays.
_CANDIDATES = 10


@dataclass(frozen=True, kw_only=True)
class SuggestOptions:
    """Which rows of which file.

    - model: a model or run folder. data: the texts; `-` for standard input. text_column, delimiter,
      format: how they are read; guessed where not given. A row without a text is never suggested.
    - n: rows to suggest. batch_rows: texts that are predicted at once.
    - out: a .csv file to write the labels into; overwrite: it may be there already.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    model: Path
    data: Path
    n: int = 100
    batch_rows: int = 1024
    text_column: str | None = None
    delimiter: str | None = None
    format: str | None = None
    out: Path | None = None
    overwrite: bool = False
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class Suggestion:
    """One row: its number from 1, its text, what the model says, how sure it is, and its doubt from
    0 to 1.

    Doubt is 1 less the distance between the two likeliest labels; of several labels at once, how
    near the nearest probability is to the threshold that decides it.
    """

    row: int
    text: str
    label: Label | tuple[Label, ...]
    probability: float
    doubt: float

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        label = list(self.label) if isinstance(self.label, tuple) else self.label
        return {
            "row": self.row,
            "doubt": round(self.doubt, 6),
            "predicted": label,
            "probability": round(self.probability, 6),
            "text": self.text,
        }


def suggest_rows(options: SuggestOptions, *, watch: Watch = Watch()) -> list[Suggestion]:
    """Suggest rows to label, the most doubtful first; write them to `out` where one is named.

    Raises DataError for a file without rows, UsageError for a model of numbers, which doubts
    nothing.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["a good film", "a bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("model")
    >>> _ = Path("new.txt").write_text("a good film\\na film\\na bad film\\n", encoding="utf-8")
    >>> options = SuggestOptions(model=Path("model"), data=Path("new.txt"), n=1)
    >>> [found.text for found in suggest_rows(options)]
    ['a film']
    """
    from textkit import TextClassifier

    if options.out is not None:
        _check_place(options.out, overwrite=options.overwrite)
    classifier = TextClassifier.load(find_model(options.model), allow=options.allow or ())
    if classifier.task_ == "regression":
        raise UsageError(f"{options.model}: a model of numbers says how much, and doubts nothing")
    reader = RowReader(
        options.data,
        text_column=options.text_column,
        delimiter=options.delimiter,
        format=options.format,
    )
    candidates: list[tuple[float, int, Suggestion]] = []
    n_rows = 0
    for rows in cut_rows(reader, n_rows=options.batch_rows):
        texts = [row.text for row in rows]
        for at, found in enumerate(_doubt(classifier, texts), start=n_rows + 1):
            if not found.text.strip():
                continue
            # Of equal doubt the earlier row; so every order of batches gives the same.
            entry = (found.doubt, -at, replace(found, row=at))
            if len(candidates) < max(options.n, 1) * _CANDIDATES:
                heapq.heappush(candidates, entry)
            else:
                heapq.heappushpop(candidates, entry)
        n_rows += len(rows)
        watch.progress(Progress("doubting", n_rows, None, "rows"))
    if not n_rows:
        raise no_rows(reader)
    for line in reader.notes():
        watch.note(line)
    ordered = [found for _, _, found in sorted(candidates, key=lambda entry: entry[:2])[::-1]]
    chosen = _spread(ordered, options.n)
    if options.out is not None:
        files.write_text(options.out, _to_csv(chosen))
    return chosen


def _check_place(out: Path, *, overwrite: bool) -> None:
    if out.suffix != ".csv":
        raise UsageError(f"{out}: rows to label are a .csv file; choose such a name for -o")
    if out.exists() and not overwrite:
        raise UsageError(
            f"{out} is there already, perhaps with labels; choose another -o, or replace it with"
            " --overwrite"
        )


def _doubt(classifier: TextClassifier, texts: list[str]) -> Iterator[Suggestion]:
    """Predict texts, and say how much the model doubts each; rows are numbered by the caller."""
    classes = classifier.classes_.tolist()
    every = classifier.predict_proba(texts)
    if classifier.task_ == "multi-label":
        far = np.abs(every - classifier.thresholds_).min(axis=1)
        for text, row, distance in zip(texts, every, far.tolist(), strict=True):
            on = (row > classifier.thresholds_).nonzero()[0].tolist()
            sure = float(np.where(row > classifier.thresholds_, row, 1 - row).min())
            yield Suggestion(0, text, tuple(classes[i] for i in on), sure, 1 - distance)
        return
    first, second = _two_best(every)
    for text, row, best, next_best in zip(texts, every, first, second, strict=True):
        margin = float(row[best] - row[next_best])
        yield Suggestion(0, text, classes[best], float(row[best]), 1 - margin)


def _two_best(every: NDArray[np.float64]) -> tuple[list[int], list[int]]:
    order = np.argsort(-every, axis=1, kind="stable")
    return order[:, 0].tolist(), order[:, 1].tolist()


def _spread(ordered: Sequence[Suggestion], n: int) -> list[Suggestion]:
    """Take the first n rows of which no two are alike."""
    pairs = list_word_pairs([found.text.casefold() for found in ordered])
    chosen: list[int] = []
    texts: set[str] = set()
    for at, found in enumerate(ordered):
        if len(chosen) == n:
            break
        text = found.text.casefold().strip()
        if text in texts or any(jaccard(pairs[at], pairs[other]) > ALIKE for other in chosen):
            continue
        texts.add(text)
        chosen.append(at)
    return [ordered[at] for at in chosen]


def _to_csv(chosen: Sequence[Suggestion]) -> str:
    """Write a table with an empty column for the labels; what the model says stands beside."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["text", "label", "predicted", "probability", "doubt", "row"])
    for found in chosen:
        label = found.label
        shown = "|".join(map(str, label)) if isinstance(label, tuple) else label
        writer.writerow(
            [found.text, "", shown, f"{found.probability:.4f}", f"{found.doubt:.4f}", found.row]
        )
    return table.getvalue()
