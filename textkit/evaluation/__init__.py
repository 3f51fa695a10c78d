"""Evaluation: from truths and predictions to numbers with intervals, comparisons, pictures and a
page.

A stream of (truths, probabilities) goes in, chunk by chunk, in memory that does not grow with the
rows; an Evaluation comes out. Multi-label and regression have an evaluation of their own. Nothing
here imports torch.
"""

from textkit.evaluation.baseline import fit_baseline, predict_baseline
from textkit.evaluation.calibration import fit_temperature
from textkit.evaluation.compare import Comparison, compare, mcnemar
from textkit.evaluation.confusion import Evaluation, evaluate, shorten
from textkit.evaluation.figures import (
    draw_confusion,
    draw_labels,
    draw_regression,
    draw_reliability,
)
from textkit.evaluation.intervals import Interval
from textkit.evaluation.multilabel import MultiLabelEvaluation
from textkit.evaluation.multilabel_stream import (
    LabelMistake,
    MultiLabelStream,
    evaluate_multilabel,
)
from textkit.evaluation.regression import (
    NumberMistake,
    RegressionEvaluation,
    RegressionStream,
    evaluate_regression,
)
from textkit.evaluation.report import write_html
from textkit.evaluation.scores import Scores
from textkit.evaluation.stream import Mistake, Stream
from textkit.evaluation.task_reports import write_multilabel_html, write_regression_html

__all__ = [
    "Comparison",
    "Evaluation",
    "Interval",
    "LabelMistake",
    "Mistake",
    "MultiLabelEvaluation",
    "MultiLabelStream",
    "NumberMistake",
    "RegressionEvaluation",
    "RegressionStream",
    "Scores",
    "Stream",
    "compare",
    "draw_confusion",
    "draw_labels",
    "draw_regression",
    "draw_reliability",
    "evaluate",
    "evaluate_multilabel",
    "evaluate_regression",
    "fit_baseline",
    "fit_temperature",
    "mcnemar",
    "predict_baseline",
    "shorten",
    "write_html",
    "write_multilabel_html",
    "write_regression_html",
]
