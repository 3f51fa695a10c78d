"""Compress a model: a sealed folder, or one .zip file, that predicts the same from fewer bytes.

In: a model folder, perhaps a file to check on and one to train on. Out: the compressed model, and a
table of size, latency, score and label agreement before and after. More loss than allowed is
refused, and then nothing is written.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from textkit.classify import model_folder
from textkit.classify.certify import HARD_TEXTS, certify
from textkit.classify.compressing import Plan, check_compressible, measure_needs
from textkit.classify.compression import Compression
from textkit.classify.compression_loss import (
    CheckRows,
    LossJudge,
    label_agreement,
    text_latency,
)
from textkit.classify.fitted import Fitted
from textkit.classify.model_config import CONFIG
from textkit.classify.plan_search import Bench, Trial, search
from textkit.classify.retraining import retrain
from textkit.data.labels import read_labelled
from textkit.data.targets import Label
from textkit.errors import DataError, UsageError
from textkit.evaluation.intervals import Interval
from textkit.io import files, zipped
from textkit.jobs.runs import find_model
from textkit.runtime.quantized import NUMBERS
from textkit.watch import Watch

# What the manifest may grow by once all is measured.
_SLACK_BYTES = 1024


@dataclass(frozen=True, kw_only=True)
class CompressOptions:
    """What is compressed, how far, and what says what is lost.

    - model: a model folder or a run folder. out: a folder, or a file that ends in .zip; overwrite:
      also where finished work lies, but for the model itself.
    - size: the most bytes; max_loss: the most that the score may lose on the rows of `check`. With
      either, what fits is searched from cheap to dear. With neither, the plan is what was said:
      numbers (float32, float16 or int8), products, rows and members that stay, retrain.
    - check: a file of texts and labels; no test file, for it chooses. train: the training file, or
      one like it: which rows are used, and what is left is trained once more on it.
    - text_column, label_column, delimiter, label_separator: how both are read.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    model: Path
    out: Path
    size: int | None = None
    max_loss: float | None = None
    numbers: str = "int8"
    products: bool = False
    rows: int | None = None
    members: int | None = None
    retrain: bool = False
    check: Path | None = None
    train: Path | None = None
    text_column: str | None = None
    label_column: str | None = None
    label_separator: str = "|"
    delimiter: str | None = None
    overwrite: bool = False
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class Measured:
    """One column of the table: bytes on disk, milliseconds of one text, and the score."""

    n_bytes: int
    latency_ms: float
    score: float | None
    interval: Interval | None

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        interval = None if self.interval is None else [self.interval.low, self.interval.high]
        return {
            "bytes": self.n_bytes,
            "latency_ms": self.latency_ms,
            "score": self.score,
            "interval": interval,
        }


@dataclass(frozen=True)
class CompressReport:
    """What was compressed, and the table of before and after.

    metric: what the scores are. agreement: the share of n_texts texts that have the same label, or
    labels; of a regression R squared to the original's numbers. is_checked: these are texts of the
    check file, else of the training file, or textkit's own hard ones.
    """

    out: Path
    engine: str
    compression: Compression
    metric: str
    before: Measured
    after: Measured
    agreement: float
    n_texts: int

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return {
            "out": str(self.out),
            "engine": self.engine,
            **asdict(self.compression),
            "metric": self.metric,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "agreement": self.agreement,
            "n_texts": self.n_texts,
        }

    def to_text(self) -> str:
        """Write the table, many lines."""
        ratio = self.before.n_bytes / max(self.after.n_bytes, 1)
        lines = [
            f"{self.out}: {self.compression}; computed by {self.engine}",
            f"{'':14} {'before':>24} {'after':>24}",
            f"{'bytes':14} {self.before.n_bytes:>24,} {self.after.n_bytes:>24,}"
            f"  {ratio:.1f} times smaller",
            f"{'one text, ms':14} {self.before.latency_ms:>24.2f} {self.after.latency_ms:>24.2f}",
        ]
        if self.before.score is not None and self.after.score is not None:
            shown = [f"{one.score:.4f} ({one.interval})" for one in (self.before, self.after)]
            lines.append(f"{self.metric.replace('_', ' '):14} {shown[0]:>24} {shown[1]:>24}")
        lines.append(
            f"{'agreement':14} {'':>24} {self.agreement:>24.4f}  of {self.n_texts:,} texts"
        )
        return "\n".join(lines)


def compress_model(options: CompressOptions, *, watch: Watch = Watch()) -> CompressReport:
    """Compress a model, and measure it before it gets its name.

    Raises LimitError where nothing that was tried is small enough or loses little enough,
    UsageError for a model that cannot be compressed.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("model")
    >>> report = compress_model(CompressOptions(model=Path("model"), out=Path("small")))
    >>> str(report.compression), report.agreement
    ('int8', 1.0)
    """
    _check_options(options)
    model = find_model(options.model)
    if options.out.resolve() in (model.resolve(), options.model.resolve()):
        raise UsageError(f"{options.out} is the model itself; choose another -o")
    original = model_folder.load(model, allow=options.allow or ())
    check_compressible(original)
    check = _read(options.check, options, original, watch)
    train = _read(options.train, options, original, watch)
    judge = LossJudge(original, check)
    bench = Bench(
        original,
        measure_needs(original, train.texts),
        train.texts,
        lambda fitted: _size_of(fitted, options) + _SLACK_BYTES,
        judge.score,
        None
        if not len(train)
        else lambda small: retrain(small, train.texts, train.labels, watch=watch),
    )
    trial = _take(options, bench)
    texts = check.texts or train.texts or list(HARD_TEXTS)
    agreement = label_agreement(original, trial.fitted, texts)
    scores = judge.both(trial.fitted)
    with zipped.place_for(options.out, overwrite=options.overwrite) as folder:
        model_folder.write(trial.fitted, folder)
        config = files.read_json(folder / CONFIG)
        opened = model_folder.open_files(folder, config, allow=options.allow or ())
        certificate = certify(trial.fitted, opened, texts[:1000]).to_dict()
        lost = {"agreement": agreement, "n_texts": len(texts)}
        facts = {"certificate": certificate, "compression": lost}
        model_folder.seal(trial.fitted, folder, facts=facts)
    return CompressReport(
        options.out,
        trial.fitted.model.engine,
        trial.done,
        judge.metric,
        Measured(zipped.size_of(model), text_latency(original, texts), *scores[0]),
        Measured(zipped.size_of(options.out), text_latency(opened, texts), *scores[1]),
        agreement,
        len(texts),
    )


def _check_options(options: CompressOptions) -> None:
    searches = options.size is not None or options.max_loss is not None
    plain = Plan(numbers="int8")
    said = (options.numbers, options.products, options.rows, options.members, options.retrain)
    usual = (plain.numbers, plain.products, plain.rows, plain.members, plain.retrain)
    if searches and said != usual:
        raise UsageError(
            "--size and --max-loss search what fits; leave out --numbers, --products, --keep-rows,"
            " --members and --retrain"
        )
    if options.max_loss is not None and options.check is None:
        raise UsageError("--max-loss needs rows to measure the loss on; add --check FILE")
    if options.retrain and options.train is None:
        raise UsageError("--retrain needs rows to train on; add --train FILE")
    if options.numbers not in NUMBERS:
        raise UsageError(f"--numbers is '{options.numbers}', expected float32, float16 or int8")
    for name, value in (("--size", options.size), ("--keep-rows", options.rows)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}, expected at least 1")
    if options.max_loss is not None and not 0 <= options.max_loss < 1:
        raise UsageError(f"--max-loss is {options.max_loss:g}, expected a share from 0 to 1")


def _take(options: CompressOptions, bench: Bench) -> Trial:
    if options.size is not None or options.max_loss is not None:
        return search(bench, size=options.size, max_loss=options.max_loss)
    members = bench.original.recipe.encoder.members
    if options.members is not None and not 1 <= options.members <= members:
        raise UsageError(f"--members is {options.members}, the model has {members}")
    if options.rows is not None and bench.needs is None:
        raise UsageError("no row of this model's table can be dropped; leave out --keep-rows")
    return bench.attempt(
        Plan(
            numbers=options.numbers,
            products=options.products,
            rows=options.rows,
            used=options.train is not None,
            members=options.members,
            retrain=options.retrain,
        )
    )


def _read(path: Path | None, options: CompressOptions, fitted: Fitted, watch: Watch) -> CheckRows:
    """Read texts and labels; rows of a label that the model does not know are left out and said."""
    if path is None:
        return CheckRows([], [])
    rows = read_labelled(
        path,
        task=fitted.task,
        separator=options.label_separator if fitted.task == "multi-label" else None,
        text_column=options.text_column,
        label_column=options.label_column,
        delimiter=options.delimiter,
        note=watch.note,
    )
    if fitted.task == "regression":
        return CheckRows(rows.texts, [*rows.labels])
    known: dict[str, Label] = {str(label): label for label in fitted.classes.tolist()}
    texts, labels = [], []
    for text, cell in zip(rows.texts, rows.labels, strict=True):
        names = [cell] if isinstance(cell, str) else [str(name) for name in cell]
        if all(name in known for name in names):
            texts.append(text)
            labels.append(known[cell] if isinstance(cell, str) else [known[n] for n in names])
    if not texts:
        raise DataError("the model knows none of the labels", where=str(path))
    if len(texts) < len(rows):
        watch.note(f"{path}: {len(rows) - len(texts):,} rows of labels unknown to the model")
    return CheckRows(texts, labels)


def _size_of(fitted: Fitted, options: CompressOptions) -> int:
    """Write a model beside, in the form in which it will be written, and weigh it."""
    with tempfile.TemporaryDirectory() as beside:
        out = Path(beside) / options.out.name
        with zipped.place_for(out) as folder:
            model_folder.write(fitted, folder)
            model_folder.seal(fitted, folder)
        return zipped.size_of(out)


def parse_size(text: str) -> int:
    """Read a size: bytes, or with kB, MB, GB behind them.

    >>> parse_size("2MB"), parse_size("1.5 kB"), parse_size("900")
    (2000000, 1500, 900)
    """
    units = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "b": 1.0}
    number = text.strip().lower()
    unit = next((unit for unit in units if number.endswith(unit)), "")
    try:
        size = float(number.removesuffix(unit)) * units.get(unit, 1.0)
        if 1 <= size < 2**62:
            return int(size)
    except ValueError:
        pass
    raise UsageError(f"size is '{text}', expected bytes such as 2MB, 500kB or 900")
