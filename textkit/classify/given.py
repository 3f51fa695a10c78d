"""What a fit is given beside its recipe: rows, a model or a teacher to start from, and a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textkit.classify.fitted import Fitted
from textkit.data.given_labels import LabelData, Missing
from textkit.errors import UsageError
from textkit.io.tables import TextData


@dataclass(frozen=True)
class Teaching:
    """A model to learn from, and texts without labels that it is asked about.

    teacher: None where all that it says is kept in the folder of checkpoints. is_itself: it is of
    the same recipe, so that its shares say nothing new: the texts of which it is surest are learnt
    as if it was right.
    """

    teacher: Fitted | None
    unlabelled: Sequence[str] = ()
    is_itself: bool = False


@dataclass(frozen=True)
class Given:
    """Texts (n,) and labels (n,) in memory, and the options of TextClassifier.fit.

    checkpoints: the folder that a stopped fit goes on from. unlabelled: texts with which the model
    teaches itself; those of a teacher stand with that.
    """

    texts: TextData
    labels: LabelData
    validation: tuple[TextData, LabelData] | None = None
    missing: Missing = "error"
    weights: object = None
    init_from: Fitted | None = None
    keep_labels: bool = False
    teaching: Teaching | None = None
    checkpoints: Path | None = None
    unlabelled: Sequence[str] = ()

    def check_fresh(self, what: str, *, otherwise: str = "") -> None:
        """Raise UsageError where `what`, which starts from nothing, is to start from a model."""
        if self.init_from is not None or self.keep_labels:
            raise UsageError(
                f"{what} starts from nothing; leave out init_from and keep_labels{otherwise}"
            )
