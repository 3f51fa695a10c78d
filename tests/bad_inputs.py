"""Bad inputs, each with the command that meets it: what docs/errors.md shows, made here.

`python -m tests.bad_inputs` writes the page anew; tests/test_bad_inputs.py holds it to what the
commands say.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import Workbook

from tests.shell import ROOT, run_textkit

PAGE = ROOT / "docs" / "errors.md"
ROWS = [
    (f"the {noun} number {n} is here", label)
    for n in range(40)
    for noun, label in (("cat", "pet"), ("car", "thing"))
]
TRAIN = "train {} -e linear -o run"

INTRO = """# Errors

One line on standard error says what is wrong, where, and what to do. `--debug` shows the traceback
below it. The [exit code](stability.md#names) says of what kind it is. A job of many parts that
stops at a bad row keeps the parts that are whole: mend the file, and `--resume` goes on.

This page is made by the tests (`python -m tests.bad_inputs`) out of what each command said.
"""


@dataclass(frozen=True)
class Bad:
    """One bad input: what it is, and the command that is given it."""

    what: str
    command: str


# Lists of names grow with every part that is added: the page shows where one stands.
_KNOWN = re.compile(r"known: .{40,}")

SECTIONS = {
    "Files of texts": [
        Bad("a name that is not there", "tokenize missing.csv -t tok"),
        Bad("a link to nothing", "tokenize dead.csv -t tok"),
        Bad("an empty file", "tokenize empty.csv -t tok"),
        Bad("a header and no rows", TRAIN.format("header.csv")),
        Bad("a header and no rows, for a vocabulary", "tokenizer train header.csv -o tok2"),
        Bad("no column of labels", TRAIN.format("nolabel.csv")),
        Bad("two columns of one name", "tokenize twice.csv -t tok"),
        Bad("a row with too many fields", "tokenize ragged.csv -t tok"),
        Bad("a quote that is not closed", "tokenize quote.csv -t tok"),
        Bad("a quote written with a backslash", "tokenize backslash.csv -t tok"),
        Bad("a pipe that has to be read twice", "train ok.csv --valid pipe.csv -e linear -o run2"),
        Bad("bytes that are no UTF-8", "tokenize latin1.csv -t tok"),
        Bad("UTF-16", "tokenize utf16.csv -t tok"),
        Bad("a row without a label", TRAIN.format("unlabelled.csv")),
        Bad("a word for a missing value", TRAIN.format("nanlabel.csv")),
        Bad("one label for all rows", TRAIN.format("one.csv")),
        Bad("a line that is no JSON", "predict model broken.jsonl"),
        Bad("a line that is no JSON object", "predict model list.jsonl"),
        Bad("a number where a text is wanted", "predict model number.jsonl"),
        Bad("a JSON array that is not closed", "predict model open.json"),
        Bad("a Parquet file that was cut off", "predict model cut.parquet"),
        Bad("a Parquet file without a text", "predict model numbers.parquet"),
        Bad("an Arrow file that is none", "predict model no.arrow"),
        Bad("a workbook that was cut off", "predict model cut.xlsx"),
        Bad("a workbook with a password", "predict model locked.xlsx"),
        Bad("an old workbook", "predict model old.xls"),
        Bad("a sheet that is not there", "predict model book.xlsx#Mai"),
        Bad("a formula that was never calculated", "predict model book.xlsx"),
        Bad("an error for a label", "evaluate model book.xlsx#June"),
        Bad("a gzip file that was cut off", "predict model cut.csv.gz"),
        Bad("a Git LFS pointer", "predict model pointer.csv"),
        Bad("a folder without files", "predict model nothing"),
        Bad("labels that the model has never seen", "evaluate model others.csv"),
    ],
    "Models": [
        Bad("a name that is not there", "predict nowhere ok.csv"),
        Bad("a file", "predict ok.csv ok.csv"),
        Bad("a folder of something else", "predict nothing ok.csv"),
        Bad("a tokenizer", "predict tok ok.csv"),
        Bad("a byte that was changed", "predict changed ok.csv"),
        Bad("a file that is missing", "predict short ok.csv"),
        Bad("a newer format", "predict newer ok.csv"),
        Bad("a file to start a training from", "train ok.csv -e bag --init-from ok.csv -o run2"),
        Bad("nothing to export", "export nowhere -o out"),
        Bad("a push without a licence", "push model ann/news"),
        Bad("a licence that is misspelt", "push model ann/news --licence apache2.0"),
    ],
    "Tokenizers": [
        Bad("a name that is not there", "tokenize ok.csv -t nowhere"),
        Bad("JSON that is cut off", "tokenize ok.csv -t cut.json"),
        Bad("JSON without a vocabulary", "tokenize ok.csv -t plain.json"),
        Bad("a file of sentencepiece that is none", "tokenize ok.csv -t no.model"),
        Bad("a file of tiktoken that is none", "tokenize ok.csv -t no.tiktoken"),
        Bad("a decoder's pattern that may take for ever", "tokenize ok.csv -t decoder.json"),
        Bad("an empty list of words", "tokenize ok.csv -t empty.txt"),
        Bad("a size that is too small", "tokenizer train ok.csv --kind bpe --size 60 -o tok2"),
    ],
    "Vectors": [
        Bad("a name that is not there", "vectors nearest nowhere cat"),
        Bad("a row that is too short", "vectors nearest ragged.txt a"),
        Bad("fewer rows than the first line says", "vectors nearest few.vec a"),
        Bad("a value that is no number", "vectors nearest nan.txt b"),
        Bad("a row of a mapped table that is not finite", "vectors nearest odd b"),
        Bad("a word that is not there", "vectors nearest good.txt zebra"),
    ],
    "Options, recipes and places": [
        Bad("an encoder that is not there", "train ok.csv -e lstn -o run2"),
        Bad("a key that a recipe does not have", "train ok.csv -s training.epoch=3 -o run2"),
        Bad("a value out of range", "train ok.csv -e bag -s training.epochs=0 -o run2"),
        Bad("a recipe that is no TOML", "train ok.csv -r ok.csv -o run2"),
        Bad("a column that is not there", "predict model ok.csv --text-column body"),
        Bad("an option that is not there", "predict model ok.csv --labels"),
        Bad("a place that holds finished work", "train ok.csv -e linear -o done"),
        Bad("a place inside a file", "train ok.csv -e linear -o ok.csv/run"),
        Bad("a format that no ending names", "predict model ok.csv -o answers.txt"),
    ],
}


def build(folder: Path) -> None:
    """Make the files that the commands are given; a model and a tokenizer among them."""
    place = Path.cwd()
    os.chdir(folder)
    try:
        _write_tables()
        _write_others()
        for command in (
            "train ok.csv -e linear -o done",
            "tokenizer train ok.csv --kind bpe --size 300 -o tok",
            "vectors convert good.txt -o odd",
        ):
            done = run_textkit(*command.split())
            assert done.returncode == 0, done.stderr
        shutil.copytree("done/model", "model")
        _spoil_models()
        _spoil_others()
    finally:
        os.chdir(place)


def _csv(rows: list[tuple[str, ...]], header: str = "text,label") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def _write(name: str, content: str | bytes) -> None:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)


def _write_tables() -> None:
    good = _csv([*ROWS])
    for name, more in (
        ("ok", ""),
        ("ragged", "a,b,c,d\n"),
        ("quote", '"open,pet\nmore\n'),
        ("backslash", '"a \\"good\\" cat",pet\n'),
        ("unlabelled", "a text,\n"),
        ("nanlabel", "a text,NaN\n"),
    ):
        _write(f"{name}.csv", good + more)
    _write("empty.csv", "")
    _write("header.csv", "text,label\n")
    _write("nolabel.csv", _csv([(text,) for text, _ in ROWS], "text"))
    _write("twice.csv", _csv([(*row, row[0]) for row in ROWS], "text,label,text"))
    _write("one.csv", _csv([(text, "pet") for text, _ in ROWS]))
    _write("others.csv", _csv([(text, "plant") for text, _ in ROWS]))
    _write("latin1.csv", good.encode() + b"caf\xe9,pet\n")
    _write("utf16.csv", good.encode("utf-16"))
    _write("cut.csv.gz", gzip.compress(good.encode(), mtime=0)[:-20])
    _write("pointer.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n")
    Path("dead.csv").symlink_to("nowhere")
    os.mkfifo("pipe.csv")


def _write_others() -> None:
    _write("broken.jsonl", '{"text": "a"}\n{"text": \n')
    _write("list.jsonl", "[1, 2]\n")
    _write("number.jsonl", '{"text": 3}\n')
    _write("open.json", '[{"text": "a"}, ')
    pq.write_table(pa.table({"a": [1]}), "numbers.parquet")
    _write("cut.parquet", Path("numbers.parquet").read_bytes()[:-9])
    _write("no.arrow", "no")
    _write_workbooks()
    Path("nothing").mkdir()
    _write("cut.json", "{")
    _write("plain.json", '{"version": "1.0"}')
    _write("no.model", b"\x08no")
    _write("no.tiktoken", "no no\n")
    _write("empty.txt", "")
    _write("ragged.txt", "a 1 2\nb 1\n")
    _write("nan.txt", "a 1 nan\nb 1 2\n")
    _write("good.txt", "a 1 2\nb 2 1\n")
    _write("few.vec", "3 2\na 1 2\n")


def _write_workbooks() -> None:
    book = Workbook()
    for sheet, row in (
        (book.active, ("=A9", "pet")),
        (book.create_sheet("June"), ("cat", "#N/A")),
    ):
        sheet.append(("text", "label"))
        sheet.append(row)
    book.active.title = "May"
    book.save("book.xlsx")
    _write("cut.xlsx", Path("book.xlsx").read_bytes()[:-99])
    for name in ("locked.xlsx", "old.xls"):
        _write(name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))


def _spoil_models() -> None:
    for name in ("changed", "short", "newer"):
        shutil.copytree("model", name)
    content = bytearray(Path("changed/model.safetensors").read_bytes())
    content[-1] ^= 255
    Path("changed/model.safetensors").write_bytes(content)
    Path("short/model.safetensors").unlink()
    manifest = json.loads(Path("newer/manifest.json").read_text(encoding="utf-8"))
    _write("newer/manifest.json", json.dumps(manifest | {"format": 99}))


def _spoil_others() -> None:
    """Put NaN into a table of vectors, and a pattern into the decoder of a tokenizer."""
    table = Path("odd/vectors.safetensors")
    _write(str(table), table.read_bytes()[:-4] + b"\0\0\xc0\x7f")
    made = json.loads(Path("tok/tokenizer.json").read_text(encoding="utf-8"))
    decoder = {"type": "Replace", "pattern": {"Regex": "[a-z]+@"}, "content": ""}
    _write("decoder.json", json.dumps(made | {"decoder": decoder}))


def said(bad: Bad, folder: Path) -> tuple[int, str]:
    """Run one command: its exit code, and the last line that it wrote to standard error."""
    done = run_textkit(*bad.command.split(), folder=folder)
    return done.returncode, done.stderr.decode("utf-8").strip().split("\n")[-1]


def page(folder: Path) -> Iterator[str]:
    """Run every command and give the lines of the page."""
    yield from INTRO.splitlines()
    for title, every in SECTIONS.items():
        yield from (
            "",
            f"## {title}",
            "",
            "| input | command | code | line |",
            "|---|---|---:|---|",
        )
        for bad in every:
            code, line = said(bad, folder)
            line = _KNOWN.sub("known: ...", line.replace("|", "\\|").replace("`", "'"))
            yield f"| {bad.what} | `textkit {bad.command}` | {code} | `{line}` |"


def main() -> None:
    """Write the page anew."""
    with tempfile.TemporaryDirectory() as place:
        build(Path(place))
        PAGE.write_text("\n".join(page(Path(place))) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
