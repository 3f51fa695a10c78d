"""Profile models: what they are made of, what a prediction costs, and where its time goes.

In: model folders, and a file of texts. Out: a ProfileReport: a table, JSON values, a chart, and a
trace for Chrome (chrome://tracing, or ui.perfetto.dev).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from textkit.batch import cut_rows
from textkit.classify import model_folder
from textkit.classify.fitted import Fitted
from textkit.classify.profiling import (
    STAGES,
    Growth,
    Latency,
    Mark,
    count_flops,
    count_tokens,
    measure_growth,
    measure_latency,
    stage_batch,
)
from textkit.classify.summary import Summary, summary
from textkit.data.labels import no_rows
from textkit.evaluation.profile_drawing import draw_profiles
from textkit.io import files
from textkit.io.corpus import RowReader
from textkit.jobs.memory import gpu_peak, peak_bytes, reset_gpu
from textkit.jobs.runs import find_model
from textkit.watch import Progress, Watch


@dataclass(frozen=True, kw_only=True)
class ProfileOptions:
    """What is profiled.

    - models: model folders or run folders, side by side. data: a file of texts; without one, the
      standard library's docstrings. text_column, delimiter, format: how it is read.
    - rows: of the file, the first ones. batch_size: of the stages and the FLOPs. repeats: how often
      each batch goes through; the median counts.
    - allow: each `package.module:Name` of the models that may be imported.
    """

    models: Sequence[Path]
    data: str | Path | None = None
    rows: int = 256
    batch_size: int = 32
    repeats: int = 5
    text_column: str | None = None
    delimiter: str | None = None
    format: str | None = None
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class ModelProfile:
    """One model's numbers. Times are in seconds for all `n_texts` texts.

    stages: by name, in order. whole: the same work as one prediction, measured beside them.
    flops: of a batch of `batch_size` texts. peak_bytes: of the process; gpu_bytes: of its tensors.
    """

    name: str
    layers: Summary
    n_texts: int
    n_tokens: int
    batch_size: int
    stages: dict[str, float]
    whole: float
    latencies: tuple[Latency, ...]
    flops: int
    growth: Growth
    peak_bytes: int
    gpu_bytes: int
    marks: tuple[Mark, ...]

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values; latencies in milliseconds."""
        exponent = self.growth.exponent
        return {
            "model": self.name,
            **self.layers.to_dict(),
            "n_texts": self.n_texts,
            "n_tokens": self.n_tokens,
            "stages_seconds": self.stages,
            "stages_sum_seconds": sum(self.stages.values()),
            "whole_seconds": self.whole,
            "texts_per_second": self.n_texts / self.whole,
            "tokens_per_second": self.n_tokens / self.whole,
            "latency_ms": {
                str(each.batch_size): {
                    name: 1000 * value for name, value in asdict(each).items() if name[0] == "p"
                }
                for each in self.latencies
            },
            "flops": self.flops,
            "flops_batch_size": self.batch_size,
            "growth": {
                "words": list(self.growth.words),
                "seconds": list(self.growth.seconds),
                "exponent": exponent if np.isfinite(exponent) else None,
            },
            "peak_bytes": self.peak_bytes,
            "gpu_bytes": self.gpu_bytes,
        }


@dataclass(frozen=True)
class ProfileReport:
    """The profiles of all models, in order."""

    profiles: Sequence[ModelProfile]

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {"models": [profile.to_dict() for profile in self.profiles]}

    def to_text(self) -> str:
        """Write a table: a line a number, a column a model."""
        columns = [_column(profile) for profile in self.profiles]
        names = list(columns[0])
        left = max(map(len, names))
        widths = [max(len(cell) for cell in column.values()) for column in columns]
        return "\n".join(
            f"{name:{left}}  "
            + "  ".join(f"{c[name]:>{w}}" for c, w in zip(columns, widths, strict=True))
            for name in names
        )

    def draw(self, path: Path) -> None:
        """Draw stages, latencies and growth beside each other, as .png or .svg."""
        draw_profiles(
            [profile.name for profile in self.profiles],
            [
                {name: 1000 * each.stages[name] / each.n_texts for name in each.stages}
                for each in self.profiles
            ],
            [
                {each.batch_size: 1000 * each.p50 for each in profile.latencies}
                for profile in self.profiles
            ],
            [
                (each.growth.words, [1000 * s for s in each.growth.seconds], each.growth.exponent)
                for each in self.profiles
            ],
            path,
        )

    def write_trace(self, path: Path) -> None:
        """Write the stages of every batch as a Chrome trace, a line a model."""
        events = [
            {
                "name": name,
                "cat": profile.name,
                "ph": "X",
                "ts": round(1e6 * began, 3),
                "dur": round(1e6 * seconds, 3),
                "pid": 1,
                "tid": number,
            }
            for number, profile in enumerate(self.profiles, start=1)
            for name, began, seconds in profile.marks
        ]
        files.write_text(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}) + "\n")


def profile_models(options: ProfileOptions, *, watch: Watch = Watch()) -> ProfileReport:
    """Profile models on the same texts, one after the other.

    Raises DataError for a file without rows. What else the machine does is measured, too.

    >>> from textkit import TextClassifier
    >>> texts = ["good film", "bad film"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, ["pos", "neg"] * 20).save("model")
    >>> report = profile_models(ProfileOptions(models=[Path("model")], rows=8, repeats=1))
    >>> list(report.profiles[0].stages)
    ['read', 'tokenize', 'head']
    """
    batches, reading = _read(options, watch)
    profiles = []
    for number, place in enumerate(options.models):
        watch.progress(Progress("profiling", number, len(options.models), "models"))
        fitted = model_folder.load(find_model(place), allow=options.allow or ())
        profiles.append(_profile(str(place), fitted, batches, reading, options))
    return ProfileReport(profiles)


def _read(options: ProfileOptions, watch: Watch) -> tuple[list[list[str]], list[float]]:
    """Read the texts in batches, and how long each batch took to read."""
    if options.data is None:
        from textkit.data.quickstart import docstring_rows

        rows = iter([text for text, _ in docstring_rows()[: options.rows]])
    else:
        reader = RowReader(
            options.data,
            text_column=options.text_column,
            delimiter=options.delimiter,
            format=options.format,
        )
        rows = (row.text for row, _ in zip(reader, range(options.rows), strict=False))
    batches, seconds = [], []
    source = cut_rows(rows, n_rows=options.batch_size)
    while True:
        began = time.perf_counter()
        batch = next(source, None)
        if batch is None:
            break
        seconds.append(time.perf_counter() - began)
        batches.append(batch)
    if not batches:
        assert options.data is not None
        raise no_rows(reader)
    for line in () if options.data is None else reader.notes():
        watch.note(line)
    return batches, seconds


def _profile(
    name: str,
    fitted: Fitted,
    batches: list[list[str]],
    reading: list[float],
    options: ProfileOptions,
) -> ModelProfile:
    texts = [text for batch in batches for text in batch]
    reset_gpu()
    fitted.logits(batches[0])
    stage_batch(fitted, batches[0])
    sums: dict[str, float] = {"read": sum(reading)}
    whole, marks = sum(reading), list[Mark]()
    for batch in batches:
        runs, wholes = [], []
        for _ in range(options.repeats):  # by turns, so that both meet the same machine
            runs.append(stage_batch(fitted, batch))
            began = time.perf_counter()
            fitted.logits(batch)
            wholes.append(time.perf_counter() - began)
        marks += runs[-1]
        whole += float(np.median(wholes))
        for i, (stage, _, _) in enumerate(runs[0]):  # each run has the same stages
            taken = float(np.median([run[i][2] for run in runs]))
            sums[stage] = sums.get(stage, 0.0) + taken
    latencies = tuple(
        measure_latency(fitted, texts, batch_size=size, n=n)
        for size, n in ((1, 200), (8, 50), (options.batch_size, 20))
    )
    return ModelProfile(
        name=name,
        layers=summary(fitted),
        n_texts=len(texts),
        n_tokens=count_tokens(fitted, texts),
        batch_size=len(batches[0]),
        stages={stage: sums[stage] for stage in STAGES if stage in sums},
        whole=whole,
        latencies=latencies,
        flops=count_flops(fitted, batches[0]),
        growth=measure_growth(fitted, texts),
        peak_bytes=peak_bytes(),
        gpu_bytes=gpu_peak(),
        marks=tuple(marks),
    )


def _column(profile: ModelProfile) -> dict[str, str]:
    total = sum(profile.stages.values())
    each = 1e6 / profile.n_texts
    lines = {
        "model": profile.name,
        "weights": f"{profile.layers.n_weights:,}",
        "bytes of weights": f"{profile.layers.n_bytes:,}",
        f"MFLOP a batch of {profile.batch_size}": f"{profile.flops / 1e6:,.1f}",
        "texts/s": f"{profile.n_texts / profile.whole:,.0f}",
        "tokens/s": f"{profile.n_tokens / profile.whole:,.0f}",
    }
    for stage in STAGES:
        taken = profile.stages.get(stage)
        lines[f"  {stage}, us a text"] = "-" if taken is None else f"{taken * each:,.1f}"
    lines["  sum of stages, us a text"] = f"{total * each:,.1f}"
    lines["  whole, us a text"] = f"{profile.whole * each:,.1f}"
    for i, latency in enumerate(profile.latencies):
        size = (1, 8)[i] if i < 2 else "a batch"
        lines[f"latency of {size}: p50 p95 p99, ms"] = (
            f"{1e3 * latency.p50:.2f} {1e3 * latency.p95:.2f} {1e3 * latency.p99:.2f}"
        )
    lines["grows with the length to the"] = f"{profile.growth.exponent:.2f}"
    lines["peak memory of the process, MB"] = f"{profile.peak_bytes / 1e6:,.0f}"
    return lines
