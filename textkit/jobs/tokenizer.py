"""Tokenizers as whole pieces of work: train one, count for one, convert one, measure how one fits.

In: an options dataclass that names files of any known format. Out: tokenizer folders, a counts
file, numbers. Nothing is printed: what was guessed and how far it is goes to a Watch, under the
titles READING, LEARNING (once, when the last text has been read) and SAVING.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from textkit import tokenizers
from textkit.errors import DataError, UsageError
from textkit.io import files
from textkit.io.bulk import Inputs, Part
from textkit.io.remote import url_of
from textkit.jobs.on_ray import map_on_ray
from textkit.jobs.parts import PART_CHARACTERS
from textkit.tokenizers import PipelineTokenizer, Tokenizer, counting
from textkit.tokenizers.report import FitReport, measure_fit
from textkit.tokenizers.train import count_facts, piece_finder, train_counts
from textkit.watch import Progress, Watch

_PART_ROWS = 50_000
READING, LEARNING, SAVING = "reading", "learning", "saving"


@dataclass(frozen=True, kw_only=True)
class PieceOptions:
    """What a kind of tokenizer makes of a text before it learns; None is the kind's own default.

    form: Unicode normal form. pattern: for regex, a token's. split: for bpe, whose pattern.
    """

    kind: str = "bpe"
    lowercase: bool | None = None
    form: str | None = None
    pattern: str | None = None
    split: str | None = None

    def chosen(self) -> dict[str, str | int]:
        """Give what was chosen; the kind has its own defaults for the rest."""
        return {
            name: value
            for name, value in vars(self).items()
            if name != "kind" and value is not None
        }


@dataclass(frozen=True, kw_only=True)
class TrainTokenizerOptions:
    """What a tokenizer learns from, how large it gets, and where it is saved.

    inputs: files, globs, folders of texts; with counts, files of `count_pieces`. sizes: tokens,
    special ones included; with several, each goes to `OUT-SIZE`. memory: as "2G"; pieces are
    counted first, in so much memory, then on disk. start: a tokenizer that is trained further, and
    says its kind and how it cuts texts. on: "ray" or "ray:ADDRESS" counts on Ray. overwrite:
    finished work in a folder may go.
    """

    inputs: Sequence[str]
    out: Path
    pieces: PieceOptions = PieceOptions()
    start: str | None = None
    sizes: Sequence[int] = (30_000,)
    min_frequency: int | None = None
    text_column: str | None = None
    delimiter: str | None = None
    memory: str | None = None
    on: str | None = None
    counts: bool = False
    overwrite: bool = False

    def folders(self) -> dict[int, Path]:
        """Name the folder of each size, the smallest first."""
        name = self.out.name
        if len(self.sizes) == 1:
            return {self.sizes[0]: self.out}
        return {size: self.out.with_name(f"{name}-{size}") for size in sorted(self.sizes)}


@dataclass(frozen=True, kw_only=True)
class CountPiecesOptions:
    """What is counted, in how much memory before it goes to disk, and the file to write.

    on: "ray" or "ray:ADDRESS" counts on Ray.
    """

    inputs: Sequence[str]
    out: Path
    pieces: PieceOptions = PieceOptions()
    text_column: str | None = None
    delimiter: str | None = None
    memory: str = "2G"
    on: str | None = None


@dataclass(frozen=True, kw_only=True)
class MeasureFitOptions:
    """What is measured, on which texts.

    tokenizer: folder, file or hf:NAME. pattern: how the texts of a .tiktoken file are split, as
    `tokenizers.load` takes it. by: the column to report by, such as language.
    """

    tokenizer: str
    inputs: Sequence[str]
    pattern: str | None = None
    by: str | None = None
    text_column: str | None = None
    delimiter: str | None = None


def train_tokenizer(
    options: TrainTokenizerOptions, *, watch: Watch = Watch()
) -> list[tuple[Path, Tokenizer]]:
    """Learn a vocabulary and save it in every size asked for; give each folder and what is in it.

    The same bytes on every run, for any order of the files and any number of threads.

    >>> _ = Path("a.txt").write_text("low lower lowest\\n" * 9, encoding="utf-8")
    >>> few = TrainTokenizerOptions(inputs=["a.txt"], out=Path("tok"), sizes=[260, 264])
    >>> [(str(folder), len(tok.vocabulary)) for folder, tok in train_tokenizer(few)]
    [('tok-260', 260), ('tok-264', 264)]
    """
    for folder in options.folders().values():
        files.refuse_finished(folder, overwrite=options.overwrite)
    largest = _learn(options, watch)
    several = len(options.sizes) > 1
    saved: list[tuple[Path, Tokenizer]] = []
    for number, folder in options.folders().items():
        watch.progress(Progress(SAVING, len(saved), len(options.sizes), "sizes"))
        whole = not several or number >= len(largest.vocabulary)
        tokenizer = largest if whole else largest.shrink(number)
        tokenizer.save(folder, overwrite=options.overwrite)
        saved.append((folder, tokenizer))
    return saved


def count_pieces(options: CountPiecesOptions, *, watch: Watch = Watch()) -> int:
    """Count pieces into a file for a later training, so that machines can count apart and train
    together; give how many different pieces there are.
    """
    pieces = options.pieces
    limit = counting.parse_memory(options.memory)
    watch.note(
        f"up to {limit // counting.PIECE_BYTES:,} different pieces are held in {options.memory};"
        f" more go to disk"
    )
    if options.on is not None:
        counts = _count_on(options.on, options, limit, watch)
    else:
        finder = piece_finder(pieces.kind, **pieces.chosen())
        counts = counting.count_texts(_read_texts(options, watch), finder, memory_bytes=limit)
    facts = count_facts(pieces.kind, **pieces.chosen())
    return counting.write_counts(options.out, counts, facts=facts)


@dataclass(frozen=True)
class PieceCounting:
    """Count the pieces of a part; can be pickled."""

    pieces: PieceOptions

    def __call__(self, part: Part) -> tuple[int, list[tuple[str, int]]]:
        finder = piece_finder(self.pieces.kind, **self.pieces.chosen())
        return len(part.rows), list(counting.count_texts(part.texts, finder))


def _count_on(
    on: str,
    options: TrainTokenizerOptions | CountPiecesOptions,
    memory_bytes: int | None,
    watch: Watch,
) -> Iterator[tuple[str, int]]:
    """Count the pieces of a corpus on Ray, a part at a time, as one process would."""
    rows = Inputs.of(options.inputs, text_column=options.text_column, delimiter=options.delimiter)
    parts = rows.cut(n_rows=_PART_ROWS, n_characters=PART_CHARACTERS)

    def counted() -> Iterator[list[tuple[str, int]]]:
        number = 0
        watch.progress(Progress(READING, 0))
        for n_rows, counts in map_on_ray(PieceCounting(options.pieces), parts, on=on):
            number += n_rows
            watch.progress(Progress(READING, number))
            yield counts

    yield from counting.add_counts(counted(), memory_bytes=memory_bytes)
    for line in rows.notes:
        watch.note(line)


def convert_tokenizer(
    source: str,
    out: Path,
    *,
    pattern: str | None = None,
    lowercase: bool | None = None,
    overwrite: bool = False,
) -> Tokenizer:
    """Turn any known tokenizer format into a folder that textkit, tokenizers and transformers
    read.

    pattern, lowercase: as `tokenizers.load` takes them, for a .tiktoken file and a vocab.txt.
    overwrite: finished work in the folder may go.
    """
    files.refuse_finished(out, overwrite=overwrite)
    tokenizer = tokenizers.load(source, pattern=pattern, lowercase=lowercase)
    tokenizer.save(out, overwrite=overwrite)
    return tokenizer


def measure_tokenizer(options: MeasureFitOptions, *, watch: Watch = Watch()) -> FitReport:
    """Measure how well a tokenizer fits texts: coverage, fertility, unused ids."""
    tokenizer = tokenizers.load(options.tokenizer, pattern=options.pattern)
    for line in tokenizer.engine_notes:
        watch.note(f"{options.tokenizer}: {line}")
    by = options.by
    rows = Inputs.of(
        options.inputs,
        text_column=options.text_column,
        delimiter=options.delimiter,
        keep=() if by is None else (by,),
    )
    pairs = ((row.text, "" if by is None else str(row.kept[0] or "(none)")) for row in rows)
    report = measure_fit(tokenizer, pairs)
    for line in rows.notes:
        watch.note(line)
    return report


def _learn(options: TrainTokenizerOptions, watch: Watch) -> Tokenizer:
    if options.start is not None:
        return _train_further(options.start, options, watch)
    kind, chosen = options.pieces.kind, options.pieces.chosen()
    if kind != "byte":
        chosen["size"] = max(options.sizes)
    if options.min_frequency is not None:
        chosen["min_frequency"] = options.min_frequency
    memory = None if options.memory is None else counting.parse_memory(options.memory)
    if options.on is not None:
        if options.counts:
            raise UsageError("--on counts texts; the counts are there: leave it out")
        with tempfile.TemporaryDirectory(prefix="textkit-counts-") as folder:
            path = Path(folder, "counts")
            facts = count_facts(kind, **options.pieces.chosen())
            found = _count_on(options.on, options, memory, watch)
            if not counting.write_counts(path, found, facts=facts):
                raise DataError("no text to learn from", where=", ".join(options.inputs))
            watch.progress(Progress(LEARNING, 0))
            return train_counts(kind, [path], memory_bytes=memory, say=watch.note, **chosen)
    if options.counts:
        watch.progress(Progress(LEARNING, 0))
        paths = [Path(name) for name in options.inputs]
        return train_counts(kind, paths, memory_bytes=memory, say=watch.note, **chosen)
    texts = _read_texts(options, watch)
    return tokenizers.train(kind, texts, memory_bytes=memory, say=watch.note, **chosen)


def _train_further(start: str, options: TrainTokenizerOptions, watch: Watch) -> Tokenizer:
    """Go on from a tokenizer that is there."""
    old = tokenizers.load(start)
    if not isinstance(old, PipelineTokenizer):
        raise UsageError(f"a tokenizer of kind '{old.kind}' cannot be trained further")
    if options.counts:
        raise UsageError(
            "counts are of pieces that another tokenizer made; give texts with --start"
        )
    if options.on is not None:
        raise UsageError("--on counts texts anew; what --start goes on with is counted here")
    given = [*options.pieces.chosen()]
    if options.pieces.kind not in (PieceOptions.kind, old.kind):
        given.append("kind")
    if given:
        raise UsageError(f"{start} says its own {given[0]}; leave out --{given[0]} with --start")
    return old.train_further(
        _read_texts(options, watch),
        size=max(options.sizes),
        min_frequency=2 if options.min_frequency is None else options.min_frequency,
        memory_bytes=None if options.memory is None else counting.parse_memory(options.memory),
        say=watch.note,
    )


def _read_texts(options: TrainTokenizerOptions | CountPiecesOptions, watch: Watch) -> Iterator[str]:
    """Stream the texts of files; say how far it is, with a total where sizes tell, and at the end
    what was guessed.
    """
    rows = Inputs.of(options.inputs, text_column=options.text_column, delimiter=options.delimiter)
    plain = all(name.endswith(".txt") and url_of(name) is None for name in rows.names)
    total = sum(Path(name).stat().st_size for name in rows.names) // 1000 if plain else None
    number = n_bytes = 0
    watch.progress(Progress(READING, 0, total, "kB"))
    for number, row in enumerate(rows, start=1):
        n_bytes += len(row.text.encode("utf-8", "surrogatepass")) + 1
        if number % 1000 == 0:
            watch.progress(Progress(READING, n_bytes // 1000, total, "kB", f"{number:,} rows"))
        yield row.text
    for line in rows.notes:
        watch.note(line)
    if n_bytes == number and isinstance(options, TrainTokenizerOptions):
        raise DataError(
            f"no text to learn from: {number:,} rows, none of them with a character",
            where=", ".join(rows.names),
        )
    watch.progress(Progress(LEARNING, 0))
