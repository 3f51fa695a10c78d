"""Tokenizing a corpus as Python calls: what the shell makes, and nothing is printed."""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.cli.test_tokenize_corpus import TEXTS, folder_bytes, write_corpus
from tests.cli.test_verbs import check
from textkit import tokenizers
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.jobs import (
    TokenizeOptions,
    count_corpus,
    show_corpus,
    stream_corpus,
    tokenize_corpus,
)
from textkit.watch import Progress, Watch


@pytest.fixture
def options() -> TokenizeOptions:
    write_corpus("a.csv", TEXTS * 5)
    return TokenizeOptions(inputs=["a.csv"], out=Path("out"), keep=("id",), part_rows=7)


def test_a_call_makes_the_folder_that_the_shell_makes(
    options: TokenizeOptions, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[Progress] = []
    notes: list[str] = []
    report = tokenize_corpus(options, watch=Watch(progress=seen.append, note=notes.append))
    assert capfd.readouterr() == ("", "")
    check("tokenize", "a.csv", "-o", "shell", "--keep", "id", "--part-rows", "7")
    assert folder_bytes("out") == folder_bytes("shell")
    assert (report.n_parts, report.n_rows, report.n_ready) == (5, 30, 0)
    assert (report.counts.n_rows, report.stopped, report.folder) == (30, False, Path("out"))
    assert [(entry.title, entry.done, entry.unit) for entry in seen] == [
        ("tokenizing", done, "rows") for done in (0, 7, 14, 21, 28, 30)
    ]
    assert seen[-1].details.endswith(" MB/s")
    assert notes == ["a.csv: text = 'text' (guessed; --text-column)"]


def test_two_workers_give_the_same_bytes_with_an_open_tokenizer(options: TokenizeOptions) -> None:
    tokenizer = tokenizers.train("bpe", TEXTS, size=280)
    one = tokenize_corpus(replace(options, tokenizer=tokenizer, inputs=[Path("a.csv")]))
    two = tokenize_corpus(replace(options, tokenizer=tokenizer, out=Path("two"), workers=2))
    assert folder_bytes("out") == folder_bytes("two")
    assert one.counts == two.counts


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_job_is_gone_on_with(options: TokenizeOptions, workers: int) -> None:
    tokenize_corpus(replace(options, out=Path("whole")))
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    options = replace(options, workers=workers)
    first = tokenize_corpus(options, watch=Watch(should_stop=should_stop))
    assert (first.stopped, first.counts.n_rows) == (True, 14)
    made = {"part-00000.parquet", "part-00001.parquet"}
    assert {*folder_bytes("out")} == {"_job.json", "_parts.jsonl", *made}
    second = tokenize_corpus(replace(options, resume=True))
    assert (second.stopped, second.n_ready, second.counts.n_rows) == (False, 2, 16)
    assert (second.n_parts, second.n_rows) == (5, 30)
    assert folder_bytes("out") == folder_bytes("whole")


def test_a_stop_asked_after_the_last_part_stops_nothing(options: TokenizeOptions) -> None:
    ended: list[int] = []
    watch = Watch(
        progress=lambda progress: ended.append(progress.done), should_stop=lambda: 30 in ended
    )
    assert not tokenize_corpus(options, watch=watch).stopped
    assert Path("out/_manifest.json").exists()


@pytest.mark.parametrize("output", ["jsonl", "tsv", "text"])
def test_a_stream_is_the_shells_standard_output(options: TokenizeOptions, output: str) -> None:
    sink = io.BytesIO()
    report = stream_corpus(replace(options, output=output), sink, n_rows=4)
    said = check("tokenize", "a.csv", "--keep", "id", "--to", output)
    assert sink.getvalue().decode() == said
    assert (report.counts.n_rows, report.folder) == (30, None)


def test_colours_show_each_token(options: TokenizeOptions) -> None:
    sink = io.BytesIO()
    Path("a.txt").write_text("a b\x1b\n", encoding="utf-8")
    stream_corpus(TokenizeOptions(inputs=["a.txt"], tokenizer="whitespace", output="colour"), sink)
    assert sink.getvalue() == b"\x1b[48;5;24ma\x1b[0m \x1b[48;5;58mb\\x1b\x1b[0m\n"


@pytest.mark.slow
def test_counting_gives_what_the_shell_counts(options: TokenizeOptions) -> None:
    counted = count_corpus(replace(options, max_length=3, workers=2)).counts
    said = check("tokenize", "a.csv", "--count", "--json", "--max-length", "3")
    assert counted.to_dict() == json.loads(said)
    assert counted.n_truncated_tokens == 20


def test_a_check_names_the_first_row_that_fails(
    options: TokenizeOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = tokenizers.create("byte")
    checked = replace(options, tokenizer=tokenizer, check=True)
    assert count_corpus(checked).counts.failures == []
    monkeypatch.setattr(type(tokenizer), "decode", lambda self, ids: "")
    with pytest.raises(DataError, match=r"a\.csv: 25 rows fail the check, the first: row 0: "):
        count_corpus(checked)


def test_the_first_rows_are_shown_as_a_page(options: TokenizeOptions) -> None:
    shown = show_corpus(replace(options, tokenizer="byte"), Path("page.html"), n_rows=4)
    assert shown.n_rows == 4
    assert "<h1>a.csv by byte</h1>" in Path("page.html").read_text(encoding="utf-8")


def test_what_cannot_be_written_is_refused_before_a_folder_is_made(
    options: TokenizeOptions,
) -> None:
    with pytest.raises(UsageError, match="unknown output 'parket'; did you mean 'parquet'"):
        tokenize_corpus(replace(options, output="parket"))
    with pytest.raises(UsageError, match="unknown output 'jsnl'; did you mean 'jsonl'"):
        stream_corpus(replace(options, output="jsnl"), io.BytesIO())
    with pytest.raises(UsageError, match="colour is for a terminal"):
        tokenize_corpus(replace(options, output="colour"))
    with pytest.raises(UsageError, match="name a folder with -o"):
        stream_corpus(replace(options, output="arrow"), io.BytesIO())
    with pytest.raises(UsageError, match="no folder for the parts"):
        tokenize_corpus(replace(options, out=None))
    with pytest.raises(UsageError, match="column 'ids' of its own"):
        replace(options, keep=("ids",))
    with pytest.raises(
        UsageError, match=r"inputs is one name, expected a list: inputs=\['a.csv'\]"
    ):
        replace(options, inputs="a.csv")
    with pytest.raises(UsageError, match="keep is one name"):
        replace(options, keep="id")
    with pytest.raises(UsageError, match="workers is 0, expected at least 1"):
        replace(options, workers=0)
    with pytest.raises(UsageError, match="part_rows is 0, expected at least 1"):
        replace(options, part_rows=0)
    assert not Path("out").exists()


@pytest.mark.parametrize("output", ["parquet", "arrow", "jsonl"])
def test_kept_columns_keep_their_types(output: str) -> None:
    table = pa.table(
        {
            "text": ["a film", "b"],
            "id": pa.array([7, None], pa.int64()),
            "on": pa.array([datetime.date(2024, 2, 1), None]),
            "tags": [["x"], []],
            "score": [float("nan"), 0.5],
        }
    )
    pq.write_table(table, "new.parquet")
    keep = ("id", "on", "tags", "score")
    tokenize_corpus(
        TokenizeOptions(inputs=["new.parquet"], out=Path("out"), output=output, keep=keep)
    )
    part = f"out/part-00000.{output}"
    if output == "jsonl":
        first, second = map(json.loads, Path(part).read_text(encoding="utf-8").splitlines())
        assert [first[name] for name in keep] == [7, "2024-02-01", ["x"], None]
        assert [second[name] for name in keep] == [None, None, [], 0.5]
        return
    made = pq.read_table(part) if output == "parquet" else pa.ipc.open_file(part).read_all()
    for name in ("id", "on", "score"):
        assert made.schema.field(name).type == table.schema.field(name).type
    assert made["id"].to_pylist() == [7, None] and made["tags"].to_pylist() == [["x"], []]


def test_values_of_json_stay_themselves_in_json_and_are_spelled_in_tables() -> None:
    Path("new.jsonl").write_text('{"text": "a", "n": 7, "o": ["\\ud800", null]}\n')
    options = TokenizeOptions(
        inputs=["new.jsonl"], out=Path("out"), output="jsonl", keep=("n", "o")
    )
    tokenize_corpus(options)
    row = json.loads(Path("out/part-00000.jsonl").read_text(encoding="utf-8"))
    assert (row["n"], row["o"]) == (7, ["\ufffd", None])
    tokenize_corpus(replace(options, output="parquet", overwrite=True))
    made = pq.read_table("out/part-00000.parquet")
    assert (made["n"].to_pylist(), made["o"].to_pylist()) == (["7"], ['["\ufffd", null]'])


def test_a_kept_text_that_is_no_utf8_is_a_bad_row_and_bytes_are_bytes() -> None:
    raw = pa.array([b"\xff", b"a"])
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    pq.write_table(pa.table({"text": ["x", "y"], "id": broken, "raw": raw}), "new.parquet")
    options = TokenizeOptions(inputs=["new.parquet"], out=Path("out"), keep=("raw", "id"))
    with pytest.raises(DataError, match=r"^new.parquet:1: 'id' is not UTF-8"):
        tokenize_corpus(options)
    tokenize_corpus(replace(options, on_bad="skip", overwrite=True))
    assert pq.read_table("out/part-00000.parquet")["id"].to_pylist() == ["a"]
    tokenize_corpus(replace(options, keep=("raw",), overwrite=True))
    assert pq.read_table("out/part-00000.parquet")["raw"].to_pylist() == [b"\xff", b"a"]


@pytest.mark.parametrize("output", ["parquet", "arrow"])
def test_windows_know_their_row_and_their_span(output: str) -> None:
    texts = ["One two. Three 👨‍👩‍👧 four. Five.", "", "Ä six."]
    Path("a.jsonl").write_text(
        "".join(json.dumps({"text": text, "id": i}) + "\n" for i, text in enumerate(texts)),
        encoding="utf-8",
    )
    options = TokenizeOptions(
        inputs=["a.jsonl"], keep=("id",), window=4, stride=3, out=Path("w"), output=output
    )
    report = tokenize_corpus(options)
    assert report.counts.n_rows == 3
    assert report.counts.n_windows == report.counts.to_dict()["n_windows"] == 5
    rows = ds.dataset(sorted(Path("w").glob("part-*")), format=output).to_table().to_pylist()
    assert [
        (row["row"], int(row["id"]), texts[row["row"]][slice(*row["window"])]) for row in rows
    ] == [
        (0, 0, "One two."),
        (0, 0, "Three 👨‍👩‍👧 four."),
        (0, 0, "Five."),
        (1, 1, ""),
        (2, 2, "Ä six."),
    ]
    for row in rows:
        assert row["tokens"] == [texts[row["row"]][start:end] for start, end in row["spans"]]
    streamed = replace(options, out=None, output="jsonl")
    sink = io.BytesIO()
    stream_corpus(streamed, sink)
    lines = list(map(json.loads, sink.getvalue().decode().splitlines()))
    assert [line["window"] for line in lines] == [row["window"] for row in rows]
    assert [line["tokens"] for line in lines] == [row["tokens"] for row in rows]
    sink = io.BytesIO()
    stream_corpus(replace(streamed, output="tsv"), sink)
    assert sink.getvalue().decode().splitlines()[-1] == "2\t0\t6\t.\t5\t6\t"


def test_windows_are_refused_where_they_have_no_place(options: TokenizeOptions) -> None:
    for wrong, said in [
        ({"stride": 3}, "stride is for windows"),
        ({"sentences": "spacy"}, "sentences is for windows"),
        ({"window": 3, "max_length": 9}, "give one of the two"),
        ({"window": 3, "output": "text"}, "no place for where a window is"),
        ({"window": 3, "keep": ("window",)}, "a column 'window' of its own"),
    ]:
        with pytest.raises(UsageError, match=said):
            replace(options, **wrong)
    with pytest.raises(UsageError, match="a page shows rows, not windows"):
        show_corpus(replace(options, window=3), Path("page.html"))
    with pytest.raises(UsageError, match="stride is 4, expected 1 to the size of a window, 3"):
        count_corpus(replace(options, window=3, stride=4))


def test_a_resumed_job_has_the_same_windows(options: TokenizeOptions) -> None:
    tokenize_corpus(replace(options, window=3))
    with pytest.raises(ArtifactError, match="window was 3 and is 4 now"):
        tokenize_corpus(replace(options, window=4, resume=True))
