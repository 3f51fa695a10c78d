"""Predict a corpus into one file: a row for each row, with the columns that it came with.

In: PredictCorpusOptions. Out: a report with what was counted. Nothing is printed: what is guessed,
skipped and how far the work is goes to a Watch.

1. Parts are made beside the file, in `NAME.parts`, as `textkit tokenize` makes them: each whole, by
   several processes if asked, so that a stopped job goes on to the same bytes.
2. They are joined to the file, which is whole or not there, and the folder goes.
"""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from textkit.errors import UsageError, unknown_name
from textkit.io import files
from textkit.io.bulk import Inputs, Job, Part, check_kept, cut_parts, part_name
from textkit.io.exchange import claim, remove, remove_folder
from textkit.io.inputs import is_stream, split_sheet
from textkit.io.kept_values import declared_types
from textkit.io.remote import refuse_url
from textkit.io.text_folders import expand_texts
from textkit.io.zipped import is_zipped
from textkit.jobs.answer_output import (
    OUTPUTS,
    TEXT_OUTPUTS,
    AnswerTable,
    find_kinds,
    join_parts,
)
from textkit.jobs.answers import Answering, Answers
from textkit.jobs.parts import (
    PART_CHARACTERS,
    CorpusOptions,
    PartsReport,
    Stoppable,
    write_files,
    write_parts,
)
from textkit.jobs.runs import find_model
from textkit.jobs.workers import Workers
from textkit.registry import is_whole
from textkit.watch import Progress, Watch

if TYPE_CHECKING:
    import pyarrow

    from textkit.classify.classifier import TextClassifier

STREAM_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class PredictCorpusOptions(CorpusOptions):
    """What is predicted, by what, and what is written of it.

    - model: a model folder, a run folder, or a TextClassifier.
    - out: the file; its ending says what it is, unless `output` does: csv, tsv, jsonl or parquet.
    - keep: columns that stand beside the answers as they were. text: the texts too.
    - proba, threshold, abstain: as in `textkit.jobs.answers.Answering`.
    - label_separator: between the labels of a multi-label row in csv and tsv.
    - spreadsheet_safe: in csv and tsv put ' before what a spreadsheet would run as a formula.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    keeps_values: ClassVar[bool] = True

    model: Path | TextClassifier
    out: Path | None = None
    output: str | None = None
    text: bool = False
    proba: str | None = None
    threshold: float | None = None
    abstain: str | None = None
    label_separator: str = "|"
    spreadsheet_safe: bool = False
    allow: Sequence[str] | None = None
    part_rows: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.output is not None and self.output not in OUTPUTS:
            raise UsageError(unknown_name("output", self.output, OUTPUTS))
        if self.shard is not None:
            raise UsageError("--shard makes parts of a folder; predictions are one file")
        if self.spreadsheet_safe and self.format_of_output in ("jsonl", "parquet"):
            raise UsageError("--spreadsheet-safe is for csv and tsv; leave it out")

    @property
    def format_of_output(self) -> str:
        """The format by name, or by the ending of the file; of a stream csv."""
        if self.output is not None or self.out is None:
            return self.output or "csv"
        ending = self.out.suffix[1:].lower()
        known = {"ndjson": "jsonl", "txt": ""}.get(ending, ending)
        if known not in OUTPUTS:
            raise UsageError(
                f"{self.out}: its ending tells no format; name it .csv, .tsv, .jsonl or .parquet,"
                " or say --to"
            )
        return known

    @property
    def parts(self) -> Path:
        """The folder where the parts are made, beside the file."""
        assert self.out is not None
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def rejects(self) -> Path:
        """Where the rows that were skipped are written down, if there are any."""
        assert self.out is not None
        return self.out.with_name(f"{self.out.name}.rejects.txt")

    def find_files(self, note: Callable[[str], None]) -> list[str]:
        """Turn the inputs into files, and folders of a file a text, which stay what they are."""
        return expand_texts([str(name) for name in self.inputs], note=note)

    def open_model(self) -> TextClassifier:
        """Open the model that is named, or give the one that is there."""
        if not isinstance(self.model, str | Path):
            return self.model
        from textkit import TextClassifier

        return TextClassifier.load(find_model(self.model), allow=self.allow or ())


@dataclass
class AnswerCounts:
    """n_rows, of which n_without have no label; kinds: of values of the kept columns, by name."""

    n_rows: int = 0
    n_without: int = 0
    kinds: dict[str, list[str]] = field(default_factory=dict)

    def add(self, other: AnswerCounts) -> None:
        """Count the rows of another part too."""
        self.n_rows += other.n_rows
        self.n_without += other.n_without
        for name, kinds in other.kinds.items():
            self.kinds[name] = sorted({*self.kinds.get(name, ()), *kinds})

    def pack(self) -> Mapping[str, object]:
        """Give what `unpack` takes, as JSON can hold it."""
        return dict(vars(self))

    @classmethod
    def unpack(cls, values: Mapping[str, Any]) -> AnswerCounts:
        """Take up what `pack` gave."""
        return cls(**values)

    def speed(self, seconds: float) -> str:
        """Say how fast rows went by."""
        return f"{self.n_rows / max(seconds, 1e-9):,.0f} rows/s"


PredictReport = PartsReport[AnswerCounts]


@dataclass(frozen=True)
class PredictParts:
    """Predict the rows of a part, and write or spell them with their answers."""

    title: ClassVar[str] = "predicting"
    answering: Answering
    table: AnswerTable
    model: str

    @property
    def ending(self) -> str:
        """What the names of the parts end in."""
        return self.table.output

    def describe(self) -> Mapping[str, object]:
        """Say all that decides the bytes beside the rows."""
        table, answering = self.table, self.answering
        return {
            "kind": "predict",
            "model": self.model,
            "output": table.output,
            "text": table.text,
            "proba": answering.proba,
            "threshold": answering.threshold,
            "abstain": answering.abstain,
            "label_separator": table.separator,
            "spreadsheet_safe": table.safe,
        }

    def facts(self, job: Job) -> Mapping[str, object]:
        """Say nothing more of a finished job."""
        return {}

    def write(self, part: Part, folder: Path) -> AnswerCounts:
        """Write the file of a part."""
        answers = self.answering.answer(part.texts)
        path = folder / part_name(part.number, self.ending)
        if self.ending in TEXT_OUTPUTS:
            files.write_bytes(path, self.table.spell(part, answers.columns))
        else:
            self.table.write(path, part, answers.columns)
        return self._count(part, answers)

    def spell(self, part: Part) -> tuple[AnswerCounts, bytes]:
        """Give the bytes of a part in a stream."""
        answers = self.answering.answer(part.texts)
        return self._count(part, answers), self.table.spell(part, answers.columns)

    def _count(self, part: Part, answers: Answers) -> AnswerCounts:
        untyped = self.ending == "parquet" and len(self.table.declared) < len(self.table.keep)
        kinds = find_kinds(part, self.table.keep) if untyped else {}
        return AnswerCounts(len(part.rows), answers.n_without, kinds)


def predict_corpus(options: PredictCorpusOptions, *, watch: Watch = Watch()) -> PredictReport:
    """Predict every row of a corpus into the file `options.out`; a stopped job goes on with resume.

    Raises UsageError where the file is there already, unless overwrite lets it go, and for what the
    model's task has not.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> small = {"encoder__dim": 4, "embedding__dim": 4, "training__epochs": 1, "seed": 1}
    >>> model = TextClassifier(**small).fit(texts, labels)
    >>> _ = Path("new.csv").write_text("id,text\\n07,a film\\n08,a plot\\n", encoding="utf-8")
    >>> options = PredictCorpusOptions(
    ...     model=model, inputs=["new.csv"], keep=("id",), out=Path("out.csv")
    ... )
    >>> predict_corpus(options).counts.n_rows
    2
    >>> Path("out.csv").read_text(encoding="utf-8").splitlines()[0]
    'row,id,label,probability'
    """
    out = options.out
    if out is None:
        raise UsageError("no file for the predictions; name one with out, or stream them")
    source = options.open_inputs()
    _check_place(options, source)
    work = _prepare(options, source)
    if any(is_stream(name) for name in source.names):
        return _write_once(work, options, source, watch)
    if options.overwrite:
        remove_folder(options.parts)
    made = write_parts(work, options.parts, source, options, counting=AnswerCounts, watch=watch)
    if made.stopped:
        return made
    names = [part_name(number, work.ending) for number in range(made.n_parts)]
    join_parts(out, [options.parts / name for name in names], work.table, made.whole.kinds)
    _move_rejects(options, source, watch)
    remove_folder(options.parts)
    return replace(made, folder=out)


def stream_predictions(
    options: PredictCorpusOptions,
    sink: IO[bytes],
    *,
    n_rows: int = STREAM_ROWS,
    watch: Watch = Watch(),
) -> PredictReport:
    """Predict a corpus into an open binary file, which is flushed every `n_rows` rows.

    >>> import io
    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> small = {"encoder__dim": 4, "embedding__dim": 4, "training__epochs": 1, "seed": 1}
    >>> model = TextClassifier(**small).fit(texts, labels)
    >>> _ = Path("new.txt").write_text("a film\\n", encoding="utf-8")
    >>> sink = io.BytesIO()
    >>> _ = stream_predictions(PredictCorpusOptions(model=model, inputs=["new.txt"]), sink)
    >>> sink.getvalue().splitlines()[0]
    b'row,label,probability'
    """
    if options.format_of_output == "parquet":
        raise UsageError("--to parquet writes a file: name it with -o")
    source = options.open_inputs()
    work = _prepare(options, source)
    counts, started = AnswerCounts(), time.perf_counter()
    parts = Stoppable(cut_parts(source, n_rows=n_rows, n_characters=PART_CHARACTERS), watch)
    sink.write(work.table.header())
    with Workers.of(options.workers, work, on=options.on) as workers:
        for counted, data in workers.map(work, operator.attrgetter("spell"), parts):
            counts.add(counted)
            sink.write(data)
            sink.flush()
            speed = counts.speed(time.perf_counter() - started)
            watch.progress(Progress(work.title, counts.n_rows, details=speed))
    sink.flush()
    seconds = time.perf_counter() - started
    for line in source.notes:
        watch.note(line)
    return PartsReport(counts, seconds, counts, n_rows=counts.n_rows, stopped=parts.stopped)


def _prepare(options: PredictCorpusOptions, source: Inputs) -> PredictParts:
    """Open the model, and settle the columns of the output."""
    classifier = options.open_model()
    answering = Answering(
        classifier=classifier,
        proba=options.proba,
        threshold=options.threshold,
        abstain=options.abstain,
    )
    output = options.format_of_output
    declared = declared_types(source.names, options.format, options.keep)
    if (options.workers or 1) > 1 and not is_whole(classifier.recipe_.encoder.name):
        raise UsageError("--workers is for linear models; a network uses all cores in one process")
    table = AnswerTable(
        output=output,
        keep=options.keep,
        text=options.text,
        answers=answering.columns,
        label_type=_label_type(classifier, options),
        declared=declared if output == "parquet" else {},
        separator=options.label_separator,
        safe=options.spreadsheet_safe,
    )
    check_kept(options.keep, own=[name for name in table.names if name not in options.keep])
    repeated = next((name for name in table.names if table.names.count(name) > 1), None)
    if repeated is not None:
        check_kept([repeated], own=[repeated])
    if classifier.task_ == "multi-label" and output in ("csv", "tsv"):
        _check_separator(classifier, options.label_separator)
    model = "in memory"
    if isinstance(options.model, str | Path):
        place = find_model(options.model)
        model = files.sha256(place if is_zipped(place) else place / files.MANIFEST)
    return PredictParts(answering, table, model)


def _label_type(classifier: TextClassifier, options: PredictCorpusOptions) -> pyarrow.DataType:
    import pyarrow

    if classifier.task_ == "regression" or options.abstain:
        return pyarrow.string()
    # By hand, not by pyarrow.array: that looks for pandas first, which costs 0.4 s.
    kinds = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64()}
    return kinds.get(type(classifier.classes_.tolist()[0]), pyarrow.string())


def _check_separator(classifier: TextClassifier, separator: str) -> None:
    """Refuse a separator that stands in a label: what it divides could not be told apart."""
    for label in map(str, classifier.classes_.tolist()):
        if not separator or separator in label:
            raise UsageError(
                f"the label '{label}' holds the separator '{separator}'; name another with"
                " --label-separator, or write jsonl or parquet"
            )


def _check_place(options: PredictCorpusOptions, source: Inputs) -> None:
    """Refuse to write over an input, over another file, or beside a job that could go on."""
    out, parts = options.out, options.parts
    assert out is not None
    refuse_url(out)
    if out.is_dir():
        raise UsageError(f"{out} is a folder; predictions are one file: name it, as {out}/new.csv")
    if any(
        name != "-" and split_sheet(name)[0].resolve() == out.resolve() for name in source.names
    ):
        raise UsageError(f"{out} is an input itself; choose another -o")
    if options.resume and options.overwrite:
        raise UsageError("--resume goes on with a job, --overwrite begins anew; leave one out")
    if parts.is_dir() and not (options.resume or options.overwrite):
        raise UsageError(
            f"{parts} holds a job that was stopped; go on with --resume, or begin anew with"
            " --overwrite"
        )
    if out.is_file() and not options.overwrite and not parts.is_dir():
        raise UsageError(
            f"{out} is there already; choose another -o, or replace it with --overwrite"
        )
    if options.resume and not isinstance(options.model, str | Path):
        raise UsageError("a job is resumed with a model folder, which tells that it is the same")


def _write_once(
    work: PredictParts, options: PredictCorpusOptions, source: Inputs, watch: Watch
) -> PredictReport:
    """Predict what can be read only once: no job that could go on."""
    assert options.out is not None
    counts, started, made = AnswerCounts(), time.perf_counter(), list[Path]()
    with claim(options.parts, is_folder=True) as folder:
        try:
            rows = cut_parts(source, n_rows=options.part_rows, n_characters=PART_CHARACTERS)
            parts = Stoppable(rows, watch)
            with Workers.of(options.workers, work, on=options.on) as workers:
                for facts, counted in write_files(work, folder, parts, workers):
                    made.append(folder / facts.name)
                    counts.add(counted)
                    speed = counts.speed(time.perf_counter() - started)
                    watch.progress(Progress(work.title, counts.n_rows, details=speed))
            if not parts.stopped:
                join_parts(options.out, made, work.table, counts.kinds)
        finally:
            remove(folder)
    seconds = time.perf_counter() - started
    for line in source.notes:
        watch.note(line)
    _move_rejects(options, source, watch)
    return PartsReport(
        counts, seconds, counts, options.out, len(made), counts.n_rows, stopped=parts.stopped
    )


def _move_rejects(options: PredictCorpusOptions, source: Inputs, watch: Watch) -> None:
    """Write down why rows were left out; none of an earlier job stay."""
    options.rejects.unlink(missing_ok=True)
    if source.rejects:
        files.write_text(options.rejects, "\n".join(source.rejects) + "\n")
        watch.note(f"left out: {options.rejects}")
