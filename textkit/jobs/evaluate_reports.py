"""What an evaluation of a file is asked for, and what it gives: a report for each task.

In: what was measured. Out: its numbers as JSON values or text, its pictures, and one HTML page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from textkit.data.labels import Missing, OnBad
from textkit.evaluation import (
    Comparison,
    Evaluation,
    LabelMistake,
    Mistake,
    MultiLabelEvaluation,
    NumberMistake,
    RegressionEvaluation,
    draw_confusion,
    draw_labels,
    draw_regression,
    draw_reliability,
    write_html,
    write_multilabel_html,
    write_regression_html,
)
from textkit.evaluation.baseline import BASELINE
from textkit.evaluation.slices import Slices
from textkit.evaluation.text import (
    render_comparison,
    render_label_sets,
    render_labels,
    render_numbers,
)
from textkit.io import hub


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is measured on what.

    - model: a model folder, a run folder, or a name on the hub. data: the test file.
    - text_column, label_column, delimiter: where its texts and labels stand; guessed where not
      given. label_separator: as in TrainOptions.
    - compare: other model folders, or files of predictions, for one label a text. baseline: a
      training file; TF-IDF + LinearSVC is trained on it and compared too.
    - on_bad, missing, normalize_labels: as in TrainOptions; what was skipped stands in `rejects`,
      beside the model, or here for one on the hub.
    - allow: each `package.module:Name` of the models that may be imported.
    - by: a column; the rows of each of its values are measured for themselves too.
    - n_mistakes: how many of the worst errors the report keeps.
    """

    model: Path
    data: Path
    compare: Sequence[Path] | None = None
    baseline: Path | None = None
    by: str | None = None
    n_mistakes: int = 50
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str = "|"
    delimiter: str | None = None
    on_bad: OnBad = "stop"
    missing: Missing = "error"
    normalize_labels: bool = False
    allow: Sequence[str] | None = None

    @property
    def rejects(self) -> Path:
        """Where the rows that were skipped are written down, if there are any."""
        return self._beside / f"{self.data.name}.rejects.txt"

    @property
    def _beside(self) -> Path:
        return Path() if hub.is_name(self.model) else self.model.parent

    @property
    def title(self) -> str:
        """What stands over the report."""
        return f"{self.model} on {self.data.name}"

    def picture(self, name: str, png: Path | None, *, more: str = "") -> Path:
        """Give the path of a picture: NAME.png beside the model, or `png`, its stem followed by
        `more`.
        """
        if png is None:
            return self._beside / f"{name}.png"
        return png.with_stem(png.stem + more)


class EvaluateReport(Protocol):
    """What an evaluation gives, whatever the task."""

    def to_dict(self) -> dict[str, object]:
        """Give all numbers as plain JSON values."""

    def to_text(self) -> str:
        """Write the numbers for a terminal, many lines."""

    def draw(self, png: Path | None = None) -> list[Path]:
        """Draw the pictures beside the model, or at `png` and beside it; say which were drawn."""

    def write_html(self, path: Path) -> None:
        """Write the report: one HTML page with everything."""


@dataclass(frozen=True)
class LabelReport:
    """One label a text: the evaluation, the surest mistakes, comparisons by the other's name.

    measured: what it is of; the name of the file, and the SHA-256 of the model's manifest.
    """

    of: EvaluateOptions
    evaluation: Evaluation
    mistakes: Sequence[Mistake]
    comparisons: Mapping[str, Comparison]
    slices: Slices | None = None
    measured: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        pairs = {name: pair.to_dict() for name, pair in self.comparisons.items()}
        report = {
            "measured": self.measured,
            **self.evaluation.to_dict(),
            "comparisons": pairs,
            **_by(self.slices),
        }
        if BASELINE in self.comparisons:
            report["baseline_accuracy"] = self.comparisons[BASELINE].accuracies[1]
        return report

    def to_text(self) -> str:
        pairs = (f"\n{render_comparison(name, pair)}" for name, pair in self.comparisons.items())
        return "\n".join([render_labels(self.evaluation), *_table(self.slices), *pairs])

    def draw(self, png: Path | None = None) -> list[Path]:
        confusion = self.of.picture("confusion", png)
        reliability = self.of.picture("reliability", png, more="-reliability")
        draw_confusion(self.evaluation, confusion)
        draw_reliability(self.evaluation, reliability)
        return [confusion, reliability]

    def write_html(self, path: Path) -> None:
        write_html(
            self.evaluation,
            path,
            title=self.of.title,
            mistakes=self.mistakes,
            comparisons=self.comparisons,
            slices=self.slices,
        )


@dataclass(frozen=True)
class LabelSetReport:
    """Several labels a text: the evaluation and the rows with the largest loss."""

    of: EvaluateOptions
    evaluation: MultiLabelEvaluation
    mistakes: Sequence[LabelMistake]
    slices: Slices | None = None
    measured: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        return {"measured": self.measured, **self.evaluation.to_dict(), **_by(self.slices)}

    def to_text(self) -> str:
        return "\n".join([render_label_sets(self.evaluation), *_table(self.slices)])

    def draw(self, png: Path | None = None) -> list[Path]:
        labels = self.of.picture("labels", png)
        reliability = self.of.picture("reliability", png, more="-reliability")
        draw_labels(self.evaluation, labels)
        draw_reliability(self.evaluation, reliability)
        return [labels, reliability]

    def write_html(self, path: Path) -> None:
        write_multilabel_html(
            self.evaluation,
            path,
            title=self.of.title,
            mistakes=self.mistakes,
            slices=self.slices,
        )


@dataclass(frozen=True)
class NumberReport:
    """Numbers: the evaluation of each output, and its largest errors, by the output's name."""

    of: EvaluateOptions
    evaluations: Mapping[str, RegressionEvaluation]
    mistakes: Mapping[str, Sequence[NumberMistake]]
    slices: Mapping[str, Slices] = field(default_factory=dict)
    measured: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, object]:
        reports = {
            output: {**result.to_dict(), **_by(self.slices.get(output))}
            for output, result in self.evaluations.items()
        }
        values = {"outputs": reports} if len(reports) > 1 else next(iter(reports.values()))
        return {"measured": self.measured, **values}

    def to_text(self) -> str:
        blocks = [render_numbers(self.evaluations)]
        for output, slices in self.slices.items():
            named = [f"\n{output}"] if len(self.slices) > 1 else []
            blocks += [*named, *_table(slices)]
        return "\n".join(blocks)

    def draw(self, png: Path | None = None) -> list[Path]:
        picture = self.of.picture("predictions", png)
        draw_regression(self.evaluations, picture)
        return [picture]

    def write_html(self, path: Path) -> None:
        write_regression_html(
            self.evaluations,
            path,
            title=self.of.title,
            mistakes=self.mistakes,
            slices=self.slices,
        )


def _by(slices: Slices | None) -> dict[str, object]:
    return {} if slices is None else {"by": slices.to_dict()}


def _table(slices: Slices | None) -> list[str]:
    return [] if slices is None else ["", slices.to_text()]
