"""Labels that the caller gives in memory: beside the texts, or as a column of the same table."""

from __future__ import annotations

from textkit.data.targets import Labels
from textkit.errors import UsageError
from textkit.io.tables import TextData, find_columns, take_column, take_texts, take_values


def take_labelled(
    texts: TextData, labels: Labels | None, *, text: str | None, label: str | None
) -> tuple[TextData, Labels]:
    """Give the texts and the labels of what holds both, each column as its own values.

    >>> take_labelled({"body": ["good"], "topic": ["pos"]}, None, text="body", label="topic")
    (['good'], ['pos'])
    """
    if (labels is None) == (label is None):
        both = "" if labels is None else " not both:"
        raise UsageError(
            f"give the labels,{both} as a list beside the texts, or as a column of the table:"
            ' label="topic"'
        )
    rows = take_texts(texts, column=text)
    if label is not None:
        return rows, take_column(texts, label)  # type: ignore[return-value]
    if find_columns(labels) is None and getattr(labels, "ndim", 1) != 1:
        return rows, labels  # type: ignore[return-value]
    return rows, take_values(labels, what="labels")  # type: ignore[return-value]
