"""Whole pieces of work as Python calls: what the shell does, without the shell.

Each takes a dataclass of options, reports through a `textkit.watch.Watch` and prints nothing. A
name brings in its module when it is first asked for, so that tokenizing a corpus imports no torch.

>>> from pathlib import Path
>>> from textkit.jobs import TokenizeOptions, count_corpus
>>> _ = Path("a.txt").write_text("Vanity and pride\\n", encoding="utf-8")
>>> count_corpus(TokenizeOptions(inputs=["a.txt"])).counts.n_tokens
3
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textkit.evaluation.tuning import TuneReport
    from textkit.jobs.compare import CompareOptions, CompareReport, compare_models
    from textkit.jobs.compress import CompressOptions, CompressReport, compress_model
    from textkit.jobs.data import (
        SplitOptions,
        split_file,
    )
    from textkit.jobs.dedup import DedupOptions, DedupReport, dedup_file
    from textkit.jobs.draw import Drawing, DrawOptions, draw_expression, draw_model
    from textkit.jobs.embed import EmbedOptions, EmbedReport, embed_corpus
    from textkit.jobs.evaluate import evaluate_file
    from textkit.jobs.evaluate_reports import EvaluateOptions, EvaluateReport
    from textkit.jobs.explain import ExplainOptions, ExplainReport, explain_file
    from textkit.jobs.export import ExportOptions, ExportReport, export_model
    from textkit.jobs.filter import FilterOptions, FilterReport, filter_file
    from textkit.jobs.label_noise import Doubt, DoubtOptions, DoubtReport, doubt_file
    from textkit.jobs.pack import PackOptions, PackReport, pack_tokens
    from textkit.jobs.predict import Prediction, PredictOptions, predict_file, predict_texts
    from textkit.jobs.predictions import (
        PredictCorpusOptions,
        PredictReport,
        predict_corpus,
        stream_predictions,
    )
    from textkit.jobs.profile import ProfileOptions, ProfileReport, profile_models
    from textkit.jobs.push import PushOptions, PushReport, push_model
    from textkit.jobs.runs import TrainReport
    from textkit.jobs.search import (
        SearchBuildOptions,
        SearchQueryOptions,
        SearchReport,
        build_search,
        query_search,
    )
    from textkit.jobs.shift import ShiftOptions, ShiftReport, compare_files
    from textkit.jobs.suggest import Suggestion, SuggestOptions, suggest_rows
    from textkit.jobs.tokenize import (
        TokenizeOptions,
        TokenizeReport,
        count_corpus,
        show_corpus,
        stream_corpus,
        tokenize_corpus,
    )
    from textkit.jobs.tokenizer import (
        CountPiecesOptions,
        MeasureFitOptions,
        PieceOptions,
        TrainTokenizerOptions,
        convert_tokenizer,
        count_pieces,
        measure_tokenizer,
        train_tokenizer,
    )
    from textkit.jobs.train import RateReport, suggest_rate, train_run
    from textkit.jobs.train_options import TrainOptions
    from textkit.jobs.train_profile import StageClock, TrainingProfile
    from textkit.jobs.train_vectors import TrainVectorsOptions, train_word_vectors
    from textkit.jobs.tune import open_space, tune_recipe
    from textkit.jobs.tune_options import TuneOptions
    from textkit.jobs.vectors import (
        ConvertVectorsOptions,
        DistilOptions,
        EvaluateVectorsOptions,
        IndexVectorsOptions,
        PlotVectorsOptions,
        SearchOptions,
        convert_vectors,
        describe_vectors,
        distil_vectors,
        evaluate_vectors,
        find_nearest,
        index_vectors,
        open_vectors,
        plot_vectors,
        solve_analogy,
    )

__all__ = [
    "CompareOptions",
    "CompareReport",
    "CompressOptions",
    "CompressReport",
    "ConvertVectorsOptions",
    "CountPiecesOptions",
    "DedupOptions",
    "DedupReport",
    "DistilOptions",
    "Doubt",
    "DoubtOptions",
    "DoubtReport",
    "DrawOptions",
    "Drawing",
    "EmbedOptions",
    "EmbedReport",
    "EvaluateOptions",
    "EvaluateReport",
    "EvaluateVectorsOptions",
    "ExplainOptions",
    "ExplainReport",
    "ExportOptions",
    "ExportReport",
    "FilterOptions",
    "FilterReport",
    "IndexVectorsOptions",
    "MeasureFitOptions",
    "PackOptions",
    "PackReport",
    "PieceOptions",
    "PlotVectorsOptions",
    "PredictCorpusOptions",
    "PredictOptions",
    "PredictReport",
    "Prediction",
    "ProfileOptions",
    "ProfileReport",
    "PushOptions",
    "PushReport",
    "RateReport",
    "SearchBuildOptions",
    "SearchOptions",
    "SearchQueryOptions",
    "SearchReport",
    "ShiftOptions",
    "ShiftReport",
    "SplitOptions",
    "StageClock",
    "SuggestOptions",
    "Suggestion",
    "TokenizeOptions",
    "TokenizeReport",
    "TrainOptions",
    "TrainReport",
    "TrainTokenizerOptions",
    "TrainVectorsOptions",
    "TrainingProfile",
    "TuneOptions",
    "TuneReport",
    "build_search",
    "compare_files",
    "compare_models",
    "compress_model",
    "convert_tokenizer",
    "convert_vectors",
    "count_corpus",
    "count_pieces",
    "dedup_file",
    "describe_vectors",
    "distil_vectors",
    "doubt_file",
    "draw_expression",
    "draw_model",
    "embed_corpus",
    "evaluate_file",
    "evaluate_vectors",
    "explain_file",
    "export_model",
    "filter_file",
    "find_nearest",
    "index_vectors",
    "measure_tokenizer",
    "open_space",
    "open_vectors",
    "pack_tokens",
    "plot_vectors",
    "predict_corpus",
    "predict_file",
    "predict_texts",
    "profile_models",
    "push_model",
    "query_search",
    "show_corpus",
    "solve_analogy",
    "split_file",
    "stream_corpus",
    "stream_predictions",
    "suggest_rate",
    "suggest_rows",
    "tokenize_corpus",
    "train_run",
    "train_tokenizer",
    "train_word_vectors",
    "tune_recipe",
]

_HOMES = {
    "compare": ("CompareOptions", "CompareReport", "compare_models"),
    "data": (
        "SplitOptions",
        "split_file",
    ),
    "compress": ("CompressOptions", "CompressReport", "compress_model"),
    "dedup": ("DedupOptions", "DedupReport", "dedup_file"),
    "draw": ("DrawOptions", "Drawing", "draw_expression", "draw_model"),
    "embed": ("EmbedOptions", "EmbedReport", "embed_corpus"),
    "evaluate": ("evaluate_file",),
    "evaluate_reports": ("EvaluateOptions", "EvaluateReport"),
    "explain": ("ExplainOptions", "ExplainReport", "explain_file"),
    "export": ("ExportOptions", "ExportReport", "export_model"),
    "filter": ("FilterOptions", "FilterReport", "filter_file"),
    "label_noise": ("Doubt", "DoubtOptions", "DoubtReport", "doubt_file"),
    "pack": ("PackOptions", "PackReport", "pack_tokens"),
    "predict": ("PredictOptions", "Prediction", "predict_file", "predict_texts"),
    "predictions": (
        "PredictCorpusOptions",
        "PredictReport",
        "predict_corpus",
        "stream_predictions",
    ),
    "profile": ("ProfileOptions", "ProfileReport", "profile_models"),
    "push": ("PushOptions", "PushReport", "push_model"),
    "runs": ("TrainReport",),
    "shift": ("ShiftOptions", "ShiftReport", "compare_files"),
    "suggest": ("SuggestOptions", "Suggestion", "suggest_rows"),
    "tokenize": (
        "TokenizeOptions",
        "TokenizeReport",
        "count_corpus",
        "show_corpus",
        "stream_corpus",
        "tokenize_corpus",
    ),
    "tokenizer": (
        "CountPiecesOptions",
        "MeasureFitOptions",
        "PieceOptions",
        "TrainTokenizerOptions",
        "convert_tokenizer",
        "count_pieces",
        "measure_tokenizer",
        "train_tokenizer",
    ),
    "train": ("RateReport", "suggest_rate", "train_run"),
    "train_options": ("TrainOptions",),
    "train_profile": ("StageClock", "TrainingProfile"),
    "train_vectors": ("TrainVectorsOptions", "train_word_vectors"),
    "tune": ("TuneReport", "open_space", "tune_recipe"),
    "tune_options": ("TuneOptions",),
    "search": (
        "SearchBuildOptions",
        "SearchQueryOptions",
        "SearchReport",
        "build_search",
        "query_search",
    ),
    "vectors": (
        "ConvertVectorsOptions",
        "DistilOptions",
        "EvaluateVectorsOptions",
        "IndexVectorsOptions",
        "PlotVectorsOptions",
        "SearchOptions",
        "convert_vectors",
        "describe_vectors",
        "distil_vectors",
        "evaluate_vectors",
        "find_nearest",
        "index_vectors",
        "open_vectors",
        "plot_vectors",
        "solve_analogy",
    ),
}


def __getattr__(name: str) -> object:
    import importlib

    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
