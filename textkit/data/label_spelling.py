"""One label written in several ways: as a number or a truth value of the model's, in another case,
with other white space, in another Unicode form.

In: labels of files, which are strings. Out: the spelling that stands for all of them, and what was
said instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from textkit.data.targets import Label

_SHOWN = 5
_WHOLE = re.compile(r"([+-]?\d+)\.0+")


def label_key(label: str) -> str:
    """Reduce a label to what is left without case, white space at its ends, runs of white space,
    Unicode form (NFKC), and the zeros of a whole number that was written with a fraction.

    >>> label_key("  Straße\\u00a0 Nr. "), label_key("STRASSE NR.")
    ('strasse nr.', 'strasse nr.')
    >>> label_key("2.0"), label_key("2.5"), label_key("v2.0")
    ('2', '2.5', 'v2.0')
    """
    folded = unicodedata.normalize("NFKC", label).casefold()
    key = " ".join(unicodedata.normalize("NFKC", folded).split())
    whole = _WHOLE.fullmatch(key)
    return whole[1] if whole else key


class ClassSpelling:
    """Read the labels of a file as the classes of a model: `spell` gives the class as a string, or
    what it cannot read as it came.

    A truth value is read in any case, 1.0 as the class 1, and 1 as the class 1.0: what was learnt
    as a number may have been written otherwise. normalize: a label is also the class that has its
    key, where one class alone has it; `n_respelt` counts the labels for which that was needed.

    >>> ClassSpelling([True, False]).spell("true"), ClassSpelling([1, 2]).spell("2.0")
    ('True', '2')
    >>> ClassSpelling(["pos"], normalize=True).spell("Pos "), ClassSpelling(["pos"]).spell("Pos ")
    ('pos', 'Pos ')
    """

    def __init__(self, classes: Sequence[Label], *, normalize: bool = False) -> None:
        self.names = {str(label) for label in classes}
        self.kind = type(classes[0]) if classes else str
        self.n_respelt = 0
        held: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self.names) if normalize else ():
            held[label_key(name)].append(name)
        self.by_key = {key: names[0] for key, names in held.items() if len(names) == 1}

    def spell(self, label: str) -> str:
        """Give the class that a label stands for."""
        if label in self.names:
            return label
        typed = label if self.kind is str else self._as_typed(label.strip())
        if typed in self.names:
            return typed
        found = self.by_key.get(label_key(label)) if self.by_key else None
        self.n_respelt += found is not None
        return label if found is None else found

    def notes(self, name: str) -> list[str]:
        """Say how many labels of a file were taken for a class that is written otherwise."""
        if not self.n_respelt:
            return []
        return [f"{name}: {self.n_respelt:,} labels were taken for a class written otherwise"]

    def _as_typed(self, label: str) -> str:
        if self.kind is bool:
            return label.capitalize()
        if self.kind is int:
            return _WHOLE.sub(r"\1", label)
        if self.kind is float:
            try:
                return str(float(label))
            except ValueError:
                return label
        return label


def unify_labels(
    labels: Iterable[str], others: Iterable[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Choose one spelling for labels of one key: give for each label its spelling, and lines that
    say which became which.

    The spelling that most of `labels` have is taken, of equally many the first in order; `others`,
    of the validation rows, follow them.

    >>> spelling, said = unify_labels(["pos", "Pos ", "pos", "neg"], ["POS"])
    >>> spelling["Pos "], spelling["POS"], said
    ('pos', 'pos', ["'POS', 'Pos ' became 'pos' (2 rows)"])
    """
    counts, more = Counter(labels), Counter(others)
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted({*counts, *more}, key=lambda label: (-counts[label], label)):
        groups[label_key(label)].append(label)
    spelling = {label: names[0] for names in groups.values() for label in names}
    changed = [(names[0], sorted(names[1:])) for names in groups.values() if len(names) > 1]
    said = []
    for name, rest in sorted(changed)[:_SHOWN]:
        n_rows = sum(counts[label] + more[label] for label in rest)
        said.append(f"{', '.join(map(repr, rest))} became {name!r} ({n_rows:,} rows)")
    if len(changed) > _SHOWN:
        said.append(f"and labels of {len(changed) - _SHOWN:,} more spellings became one each")
    return spelling, said


def note_variants(labels: Iterable[str]) -> list[str]:
    """Say which labels differ in case, white space and Unicode form alone, and stay apart.

    >>> note_variants(["pos", "Pos ", "neg"])
    ["'Pos ', 'pos' stay apart; --normalize-labels makes them one"]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for label in sorted(set(labels)):
        groups[label_key(label)].append(label)
    several = [", ".join(map(repr, names)) for names in groups.values() if len(names) > 1]
    if not several:
        return []
    more = f" and {len(several) - _SHOWN:,} more such" if len(several) > _SHOWN else ""
    shown = "; ".join(several[:_SHOWN])
    return [f"{shown}{more} stay apart; --normalize-labels makes them one"]
