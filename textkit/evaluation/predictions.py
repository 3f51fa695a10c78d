"""Predictions from a file, to compare a model with anything that wrote one prediction for each test
row.

In: what `textkit predict` writes (LABEL<tab>PROBABILITY, JSON lines, or a table in csv, tsv or
jsonl), or a plain label a line; also .gz and .zst. Out: the labels, in order, as many at a time as
the test rows are read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from textkit.errors import DataError
from textkit.io.corpus import RowReader
from textkit.io.packed import open_bytes

# How the header of a table of predictions begins.
_TABLES = ("row,", "row\t")


class PredictionFile:
    """Read the first label of each line, in step with the test file.

    >>> _ = Path("p.tsv").write_text("pos\\t0.9\\tneg\\t0.1\\nneg\\t0.8\\n", encoding="utf-8")
    >>> file = PredictionFile("p.tsv")
    >>> file.take(2)
    ['pos', 'neg']
    >>> file.finish()
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.n_taken = 0
        self._labels = self._read()

    def take(self, n: int) -> list[str]:
        """Give the next n labels; DataError where the file has fewer."""
        labels = [label for _, label in zip(range(n), self._labels, strict=False)]
        self.n_taken += len(labels)
        if len(labels) < n:
            raise DataError(
                f"has {self.n_taken:,} predictions, fewer than the test file has rows; expected"
                f" one for each row",
                where=str(self.path),
            )
        return labels

    def finish(self) -> None:
        """Check that no prediction is left over."""
        if next(self._labels, None) is not None:
            raise DataError(
                f"has more than {self.n_taken:,} predictions, the rows of the test file; expected"
                f" one for each row",
                where=str(self.path),
            )

    def _read(self) -> Iterator[str]:
        with open_bytes(self.path) as file:
            for number, raw in enumerate(file, start=1):
                where = f"{self.path}:{number}"
                try:
                    line = raw.decode("utf-8").rstrip("\r\n")
                except UnicodeDecodeError as err:
                    raise DataError(
                        "line is not UTF-8; expected one prediction a line", where=where
                    ) from err
                if number == 1 and line.startswith(_TABLES):
                    format = "csv" if "," in line else "tsv"
                    table = RowReader(self.path, text_column="label", format=format)
                    yield from (row.text for row in table)
                    return
                yield _json_label(line, where) if line.startswith("{") else line.partition("\t")[0]


def _json_label(line: str, where: str) -> str:
    """Take the label, or the first of those that `textkit predict --json` wrote."""
    try:
        row = json.loads(line)
        return str(row["label"] if "label" in row else row["labels"][0]["label"])
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as err:
        raise DataError(
            'not a line of `textkit predict --json`: {"labels": [{"label": ...}]}', where=where
        ) from err
