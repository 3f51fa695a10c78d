"""Find the labels of a file that are probably wrong, by the linear model in a cross-validation.

In: DoubtOptions. Out: a report of rows, the most doubtful first, as JSON, as a finding of the data
check, and as one HTML page to correct them in. Nothing is printed.

Each row is judged by a model that did not see it, nor a row of the same words: a copy with the
same wrong label would vouch for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.data import splits
from textkit.data.checked_rows import N_EXAMPLES, Example, Finding, excerpt, hash_text, normalise
from textkit.data.labels import LabelCells, read_usable
from textkit.errors import DataError, UsageError, require
from textkit.evaluation.label_noise import doubt_labels
from textkit.evaluation.page import name_cell, number, table, text_cell, write_page
from textkit.io.corpus import Row, RowReader
from textkit.watch import Progress, Watch

CHECK = "doubted-labels"
# Of a page; the JSON has all.
_SHOWN_ROWS = 1000
_MAX_TEXT = 2000


@dataclass(frozen=True, kw_only=True)
class DoubtOptions:
    """What is looked over: a file of texts with one label each.

    folds: models, each of which judges the rows that it did not see. seed: of the folds.
    """

    data: Path
    folds: int = 5
    seed: int = 0
    text_column: str | None = None
    label_column: str | None = None
    delimiter: str | None = None

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise UsageError(f"folds is {self.folds}, expected at least 2")


@dataclass(frozen=True)
class Doubt:
    """A row whose label is doubted: its number from 0, its line from 1, its text, its label, what
    it seems to be, and the probability of both.
    """

    row: int
    line: int
    text: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float


@dataclass(frozen=True)
class DoubtReport:
    """The doubted rows of n_rows, the most doubtful first; n_unjudged rows have a label that too
    few others share. labels: all that the file has.
    """

    name: str
    n_rows: int
    n_unjudged: int
    labels: Sequence[str]
    doubts: Sequence[Doubt]

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {
            "n_rows": self.n_rows,
            "n_unjudged": self.n_unjudged,
            "doubted": [asdict(doubt) for doubt in self.doubts],
        }

    def findings(self) -> list[Finding]:
        """Give it as the data check says what it finds; nothing where no label is doubted."""
        if not self.doubts:
            return []
        examples = []
        for doubt in self.doubts[:N_EXAMPLES]:
            shares = f"{doubt.suggested_probability:.2f} beside {doubt.probability:.2f}"
            place = f"{self.name}:{doubt.line}"
            found = Example(place, excerpt(doubt.text), doubt.label)
            found.other, found.other_label, found.other_text = "rather", doubt.suggested, shares
            examples.append(found)
        message = "labels are doubted by a model that did not see the row"
        return [Finding(CHECK, self.name, len(self.doubts), message, examples)]

    def write_html(self, path: Path) -> None:
        """Write the page to correct the labels in, which needs no network and no other file."""
        shown = self.doubts[:_SHOWN_ROWS]
        more = (
            f" Here are the first {len(shown):,} of them." if len(shown) < len(self.doubts) else ""
        )
        words = (
            "A model that learnt from the other rows is confident that these belong to another"
            f" class. It is often right, and often not: read the texts.{more} Change what is wrong,"
            " then save: the file names each changed row with its new label."
        )
        rows = [_row_of(doubt) for doubt in shown]
        heads = ["line", "text", "label", "prediction", "its probability", "the label's", "right"]
        options = "".join(f'<option value="{escape(label)}">' for label in self.labels)
        body = [
            f"<p>{words}</p>",
            '<p><button id="save">Save corrections.csv</button>'
            ' <span id="n" class="soft"></span></p>',
            f'<datalist id="labels">{options}</datalist>',
            table(heads, rows),
            f"<script>{_SCRIPT}</script>",
        ]
        subtitle = f"{self.n_rows:,} rows, {len(self.doubts):,} doubted labels"
        write_page(path, f"Doubted labels of {Path(self.name).name}", subtitle, body)


def doubt_file(options: DoubtOptions, *, watch: Watch = Watch()) -> DoubtReport:
    """Cross-validate the linear model on a file, and give the rows whose label it doubts.

    Rows that cannot be read, or have no label, are left out, as the data check says. Raises
    DataError for a file without rows, of one class, or whose labels nearly all differ.

    >>> rows = [f"good film number {n},pos" for n in range(30)]
    >>> rows += [f"bad film number {n},neg" for n in range(30)] + ["a good good film,neg"]
    >>> text = "\\n".join(["text,label", *rows])
    >>> _ = Path("a.csv").write_text(text, encoding="utf-8")
    >>> report = doubt_file(DoubtOptions(data=Path("a.csv")))
    >>> [(doubt.line, doubt.label, doubt.suggested) for doubt in report.doubts]
    [(62, 'neg', 'pos')]
    """
    require("sklearn", needed_by="a linear model")
    reader = RowReader(
        options.data,
        labelled=True,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
        on_bad="skip",
    )
    cells = LabelCells()

    def read(row: Row) -> str:
        return cells.label(row.label, else_="; one label a text can be doubted")

    numbered: list[tuple[int, Row, str]] = []
    for place, row in enumerate(reader):
        numbered += [(place, row, label) for _, label in read_usable(reader, [row], read, "skip")]
    for line in reader.notes():
        watch.note(line)
    labels = [label for _, _, label in numbered]
    names = sorted(set(labels))
    _check_labels(reader, labels, names)
    code_of = {name: code for code, name in enumerate(names)}
    codes = np.array([code_of[label] for label in labels], dtype=np.int64)
    texts = [row.text for _, row, _ in numbered]
    probabilities = cross_validate(texts, codes, names, options, watch)
    found = doubt_labels(codes, probabilities)
    doubts = []
    for at, code in zip(found.rows.tolist(), found.suggested.tolist(), strict=True):
        place, row, label = numbered[at]
        shares = float(probabilities[at, codes[at]]), float(probabilities[at, code])
        text = row.text[:_MAX_TEXT]
        doubts.append(Doubt(place, row.line, text, label, names[code], *shares))
    n_unjudged = int(np.isnan(probabilities[np.arange(len(codes)), codes]).sum())
    if n_unjudged:
        watch.note(f"{reader.name}: {n_unjudged:,} rows have a label that too few others share")
    return DoubtReport(reader.name, len(codes), n_unjudged, names, doubts)


def _check_labels(reader: RowReader, labels: Sequence[str], names: Sequence[str]) -> None:
    if len(names) < 2:
        raise reader.error("fewer than two labels; there is nothing to confuse")
    if max(Counter(labels).values()) < 3 or len(names) > len(labels) / 2:
        raise DataError(
            f"{len(names):,} labels in {len(labels):,} rows; --deep is for classes, not numbers",
            where=reader.name,
        )


def cross_validate(
    texts: Sequence[str],
    codes: NDArray[np.int64],
    names: Sequence[str],
    options: DoubtOptions,
    watch: Watch,
) -> NDArray[np.float64]:
    """Predict each row by a model that saw no row of its words: (n_rows, n_classes), NaN for a
    class that the model did not see either.
    """
    from textkit import TextClassifier

    made = np.full((len(texts), len(names)), np.nan)
    groups = np.array([hash_text(normalise(text)) for text in texts], dtype=np.uint64)
    _, group_of = np.unique(groups, return_inverse=True)
    n_folds = min(options.folds, int(group_of.max()) + 1)
    folds = splits.fold_grouped(
        group_of.astype(np.int64), codes=codes, n_folds=n_folds, seed=options.seed
    )
    for done, (train, held) in enumerate(folds):
        watch.progress(Progress("cross-validating", done, n_folds, unit="folds"))
        learnt = np.unique(codes[train])
        if len(learnt) < 2:
            continue
        # At a fixed cost: to try several costs five times the time, and the ranks hardly change.
        model = TextClassifier(encoder="linear", encoder__cost=1.0, seed=options.seed)
        model.fit([texts[i] for i in train], [names[code] for code in codes[train]])
        columns = np.array([names.index(name) for name in model.classes_.tolist()])
        made[np.ix_(held, columns)] = model.predict_proba([texts[i] for i in held])
    watch.progress(Progress("cross-validating", n_folds, n_folds, unit="folds"))
    return made


def _row_of(doubt: Doubt) -> list[str]:
    """Make the cells of a row of the page."""
    facts = {
        "row": str(doubt.row),
        "line": str(doubt.line),
        "old": doubt.label,
        "text": doubt.text,
        "suggested": doubt.suggested,
    }
    data = " ".join(f'data-{key}="{escape(value)}"' for key, value in facts.items())
    field = (
        f'<td class="name"><input list="labels" value="{escape(doubt.label)}" {data}'
        f' aria-label="label of line {doubt.line}">'
        f' <button class="take">{escape(doubt.suggested)}</button></td>'
    )
    return [
        f"{doubt.line:,}",
        text_cell(doubt.text),
        name_cell(doubt.label),
        name_cell(doubt.suggested),
        number(doubt.suggested_probability),
        number(doubt.probability),
        field,
    ]


# Cells are quoted as csv does it.
_SCRIPT = """
const inputs = [...document.querySelectorAll('input[data-row]')];
const changed = () => inputs.filter(i => i.value.trim() && i.value !== i.dataset.old);
const cell = v => /[",\\r\\n]/.test(v) ? '"' + v.replaceAll('"', '""') + '"' : v;
const count = () => { document.getElementById('n').textContent = changed().length + ' changed'; };
for (const i of inputs) {
  i.addEventListener('input', count);
  i.parentElement.querySelector('.take').addEventListener('click', () => {
    i.value = i.value === i.dataset.suggested ? i.dataset.old : i.dataset.suggested; count(); });
}
document.getElementById('save').addEventListener('click', () => {
  const lines = [['row', 'line', 'label', 'new_label', 'text']];
  for (const i of changed()) {
    const d = i.dataset;
    lines.push([d.row, d.line, d.old, i.value.trim(), d.text]);
  }
  const text = lines.map(line => line.map(cell).join(',') + '\\n').join('');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], {type: 'text/csv;charset=utf-8'}));
  link.download = 'corrections.csv';
  link.click();
});
count();
"""
