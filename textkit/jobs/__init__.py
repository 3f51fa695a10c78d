"""Whole pieces of work as Python calls: what the shell does, without the shell.

Each call takes its options as one object, reports through a Watch, prints nothing and gives a
report of what came out. A name is imported when it is first asked for, and torch with it where the
work needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textkit.jobs.evaluate import EvaluateOptions, EvaluateReport, evaluate_file
    from textkit.jobs.predict import Prediction, PredictOptions, predict_file, predict_texts
    from textkit.jobs.runs import TrainReport
    from textkit.jobs.train import RateReport, TrainOptions, suggest_rate, train_run

_HOMES = {
    "EvaluateOptions": "evaluate",
    "EvaluateReport": "evaluate",
    "PredictOptions": "predict",
    "Prediction": "predict",
    "RateReport": "train",
    "TrainOptions": "train",
    "TrainReport": "runs",
    "evaluate_file": "evaluate",
    "predict_file": "predict",
    "predict_texts": "predict",
    "suggest_rate": "train",
    "train_run": "train",
}
__all__ = [
    "EvaluateOptions",
    "EvaluateReport",
    "PredictOptions",
    "Prediction",
    "RateReport",
    "TrainOptions",
    "TrainReport",
    "evaluate_file",
    "predict_file",
    "predict_texts",
    "suggest_rate",
    "train_run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'textkit.jobs' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"textkit.jobs.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
