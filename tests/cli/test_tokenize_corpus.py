"""`textkit tokenize` on a corpus: every format in, every format out, resumable to the same
bytes.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow
import pytest
from pyarrow import ipc, parquet

from tests.cli.test_verbs import check, command, environment, fails
from tests.shell import run_textkit

TEXTS = ["Don't stop 🙂", "", "हिन्दी ไทย", "a\tb", 'say "hi"', "one two three four five"]


def write_corpus(name: str, texts: list[str] = TEXTS) -> str:
    """Write the texts, numbered, in the format that the name tells."""
    bare = name.removesuffix(".gz").removesuffix(".zst")
    table = pyarrow.table({"id": [str(i) for i in range(len(texts))], "text": texts})
    if bare.endswith("parquet"):
        parquet.write_table(table, name)
        return name
    if bare.endswith("arrow"):
        with ipc.new_file(name, table.schema) as writer:
            writer.write_table(table)
        return name
    if bare.endswith("jsonl"):
        data = "".join(
            json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(texts)
        )
    elif bare.endswith("txt"):
        data = "".join(text + "\n" for text in texts)
    else:
        quoted = (text.replace('"', '""') for text in texts)
        data = "id,text\n" + "".join(f'{i},"{text}"\n' for i, text in enumerate(quoted))
    raw = data.encode()
    if name.endswith(".gz"):
        raw = gzip.compress(raw)
    if name.endswith(".zst"):
        raw = pyarrow.compress(raw, codec="zstd", asbytes=True)
    Path(name).write_bytes(raw)
    return name


def folder_bytes(folder: str, *, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(Path(folder).iterdir())
        if path.name not in but
    }


NAMES = [
    "a.txt",
    "a.csv",
    "a.jsonl",
    "a.parquet",
    "a.arrow",
    "a.txt.gz",
    "a.csv.gz",
    "a.jsonl.zst",
    "a.txt.zst",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_input_format_gives_the_same_rows(name: str) -> None:
    keep = [] if ".txt" in name else ["--keep", "id"]
    rows = [json.loads(line) for line in check("tokenize", write_corpus(name), *keep).splitlines()]
    assert [row["tokens"] for row in rows] == [
        ["Don't", "stop", "🙂"],
        [],
        ["हिन्दी", *"ไทย"],
        ["a", "b"],
        ["say", '"', "hi", '"'],
        ["one", "two", "three", "four", "five"],
    ]
    if keep:
        assert [row["id"] for row in rows] == [str(i) for i in range(len(TEXTS))]


@pytest.mark.slow
def test_folders_globs_and_stdin_are_read_in_order() -> None:
    Path("in").mkdir()
    write_corpus("in/b.txt", ["second"])
    write_corpus("in/a.jsonl", ["first"])
    Path("in/picture.png").write_bytes(b"\x89PNG")
    for arguments in (["in"], ["in/a.jsonl", "in/*.txt"], ["in/*.[jt]*"]):
        assert check("tokenize", *arguments, "--to", "text") == "first\nsecond\n"
    assert (
        check("tokenize", "-", "in/b.txt", "--to", "text", input=b"zeroth\n") == "zeroth\nsecond\n"
    )
    assert fails(5, "tokenize", "in/*.csv") == "error: in/*.csv: no file matches"
    Path("empty").mkdir()
    assert fails(5, "tokenize", "empty").startswith("error: empty: no files to read in this folder")


@pytest.mark.slow
@pytest.mark.parametrize("output", ["parquet", "arrow", "jsonl", "tsv", "text"])
def test_parts_hold_every_row_once_whatever_the_workers(output: str) -> None:
    write_corpus("a.csv", TEXTS * 5)
    for workers, folder in (("1", "one"), ("2", "two")):
        check(
            "tokenize",
            "a.csv",
            "-o",
            folder,
            "--to",
            output,
            "--part-rows",
            "7",
            "--workers",
            workers,
            "--keep",
            "id",
        )
    assert folder_bytes("one") == folder_bytes("two")
    assert len(list(Path("one").glob(f"part-*.{output}"))) == 5


@pytest.mark.slow
def test_spacys_words_come_from_workers_too() -> None:
    write_corpus("a.csv", TEXTS * 2)
    for workers, folder in (("1", "one"), ("2", "two")):
        check(
            "tokenize",
            "a.csv",
            "-t",
            "spacy",
            "-o",
            folder,
            "--part-rows",
            "7",
            "--workers",
            workers,
        )
    assert folder_bytes("one") == folder_bytes("two")


@pytest.mark.slow
def test_a_table_holds_ids_spans_tokens_and_kept_columns() -> None:
    write_corpus("a.txt", ["low lower lowest"] * 20)
    check("tokenizer", "train", "a.txt", "-k", "bpe", "--size", "270", "-o", "tok")
    write_corpus("b.csv")
    check("tokenize", "b.csv", "-t", "tok", "-o", "out", "--keep", "id")
    table = parquet.read_table("out/part-00000.parquet")
    assert table.column_names == ["row", "id", "ids", "spans", "tokens"]
    lines = [
        json.loads(line)
        for line in check("tokenize", "b.csv", "-t", "tok", "--keep", "id").splitlines()
    ]
    assert table.to_pylist() == [{key: line[key] for key in table.column_names} for line in lines]
    check("tokenize", "b.csv", "-t", "tok", "-o", "bare", "--no-spans", "--no-tokens")
    assert parquet.read_table("bare").column_names == [
        "row",
        "ids",
    ]  # the whole folder is one table
    assert json.loads(Path("bare/_manifest.json").read_text())["n_rows"] == len(TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["row", "ids", "spans", "tokens"])
def test_a_kept_column_never_replaces_one_of_ours(name: str) -> None:
    Path("a.csv").write_text(f"text,{name}\nlow,7\n")
    for more in (["-o", "out"], ["--to", "jsonl"]):
        assert f"column '{name}' of its own" in fails(2, "tokenize", "a.csv", "--keep", name, *more)
    assert not Path("out").exists()


@pytest.mark.slow
def test_shards_together_are_the_whole() -> None:
    write_corpus("a.jsonl", TEXTS * 5)
    check("tokenize", "a.jsonl", "-o", "whole", "--part-rows", "4")
    for shard in ("1/3", "2/3", "3/3"):
        check(
            "tokenize",
            "a.jsonl",
            "-o",
            shard.replace("/", "-"),
            "--part-rows",
            "4",
            "--shard",
            shard,
        )
    parts = {**folder_bytes("1-3"), **folder_bytes("2-3"), **folder_bytes("3-3")}
    whole = folder_bytes("whole")
    assert {name: data for name, data in parts.items() if name.startswith("part")} == {
        name: data for name, data in whole.items() if name.startswith("part")
    }
    assert "expected --shard i/n" in fails(2, "tokenize", "a.jsonl", "-o", "x", "--shard", "4/3")


@pytest.mark.slow
def test_a_killed_job_resumes_to_the_same_bytes() -> None:
    write_corpus("a.txt", [f"{text} {i}" for i in range(3000) for text in TEXTS])
    arguments = ["tokenize", "a.txt", "--part-rows", "200", "--to", "jsonl"]
    check(*arguments, "-o", "whole")
    generator = random.Random(1)
    kills = 0
    while True:
        resume = ["--resume"] if Path("killed/_job.json").exists() else []
        process = subprocess.Popen(
            command(*arguments, "-o", "killed", *resume), stderr=subprocess.PIPE, env=environment()
        )
        deadline = time.monotonic() + 60
        ready = len(list(Path("killed").glob("part-*"))) + generator.randrange(5, 30)
        while process.poll() is None and len(list(Path("killed").glob("part-*"))) < ready:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, said.decode()
        kills += 1
    assert kills > 0
    assert not [*Path("killed").glob(".*")]  # what a killed process left was removed
    assert folder_bytes("killed") == folder_bytes("whole", but=())


@pytest.mark.slow
def test_a_job_is_resumed_only_as_it_was() -> None:
    write_corpus("a.txt")
    check("tokenize", "a.txt", "-o", "out")
    assert "out holds finished work" in fails(2, "tokenize", "a.txt", "-o", "out")
    check("tokenize", "a.txt", "-o", "out", "--resume")
    assert fails(4, "tokenize", "a.txt", "-o", "out", "--resume", "-t", "char").startswith(
        "error: out/_job.json: tokenizer was "
    )
    write_corpus("a.txt", ["grown", *TEXTS])
    assert "a.txt is not as it was when the job began" in fails(
        4, "tokenize", "a.txt", "-o", "out", "--resume"
    )
    Path("mine").mkdir()
    Path("mine/x").touch()
    assert "holds no job" in fails(5, "tokenize", "a.txt", "-o", "mine")


@pytest.mark.slow
def test_bad_rows_stop_or_are_skipped_and_written_down() -> None:
    Path("a.csv").write_bytes(b"id,text\n1,ok\n2,too,many\n3,caf\xe9\n4,fine\n")
    assert fails(3, "tokenize", "a.csv", "-o", "out").startswith(
        "error: a.csv:3: expected 2 fields, found 3"
    )
    shutil.rmtree("out")
    check("tokenize", "a.csv", "-o", "out", "--on-bad", "skip", "--to", "text")
    assert Path("out/part-00000.text").read_text() == "ok\nfine\n"
    rejects = Path("out/_rejects.txt").read_text().splitlines()
    assert [line.split(": ")[0] for line in rejects] == ["a.csv:3", "a.csv:4:6"]
    Path("b.jsonl").write_text('{"text": "a"}\n{\n{"text": 3}\n{"text": "b"}\n', encoding="utf-8")
    done = run_textkit("tokenize", "b.jsonl", "--on-bad", "skip", "--to", "text")
    assert done.stdout == b"a\nb\n"
    assert "2 bad rows were left out, the first: b.jsonl:2: not valid JSON" in done.stderr.decode()


@pytest.mark.slow
def test_count_says_what_there_is() -> None:
    write_corpus("a.txt")
    counts = json.loads(check("tokenize", "a.txt", "--count", "--json", "--max-length", "3"))
    assert counts["n_rows"] == len(TEXTS)
    assert counts["n_truncated_rows"] == 3
    assert counts["n_truncated_tokens"] == 4
    assert counts["n_tokens"] == 14
    assert counts["p99_length"] == 5
    done = run_textkit("tokenize", "a.txt", "--count", "--max-length", "3")
    assert "3 rows cut at 3 tokens (22.2% of all tokens)" in done.stderr.decode()
    assert done.stdout == b""


def test_count_by_file_adds_up_to_the_whole() -> None:
    for name, texts in (("a.txt", TEXTS), ("b.jsonl", TEXTS[:1]), ("empty.txt", [])):
        write_corpus(name, texts)
    files = ["a.txt", "b.jsonl", "empty.txt"]
    done = run_textkit("tokenize", *files, "--count", "--by-file", "--json")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["file"] for row in told] == files
    assert [row["n_rows"] for row in told] == [6, 1, 0]
    whole = json.loads(run_textkit("tokenize", *files, "--count", "--json").stdout)
    assert sum(row["n_tokens"] for row in told) == whole["n_tokens"]
    shown = run_textkit("tokenize", *files, "--count", "--by-file").stdout.decode().splitlines()
    assert shown[2].split() == ["0", "0", "empty.txt"]
    refused = run_textkit("tokenize", *files, "--by-file")
    assert (refused.returncode, refused.stdout) == (2, b"")


@pytest.mark.slow
def test_check_passes_good_tokenizers_and_catches_a_lossy_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_corpus("a.txt")
    for kind in ("word", "char", "grapheme", "byte"):
        check("tokenize", "a.txt", "-t", kind, "--check")
    from textkit import tokenizers
    from textkit.jobs.token_counts import check_rows
    from textkit.tokenizers import PipelineTokenizer

    tokenizer = tokenizers.create("byte")
    monkeypatch.setattr(PipelineTokenizer, "decode", lambda self, ids: "other")
    assert check_rows(tokenizer, ["text"], first_row=7) == [
        "row 7: decoding the ids does not give the text back"
    ]


def test_show_writes_a_page_that_needs_nothing_else() -> None:
    Path("a.txt").write_text("<b>bold</b> & 🙂\n\x1b[31mred\n", encoding="utf-8")
    check("tokenize", "a.txt", "-t", "byte", "--show", "page.html")
    page = Path("page.html").read_text(encoding="utf-8")
    assert "&lt;" in page and "<b>" not in page and "\x1b" not in page
    assert (
        'title="id 241, 15 to 16; id 160, 15 to 16' not in page
    )  # spans are the text's own, not shifted
    assert "id 241, 14 to 15" in page.replace("id 241, 14 to 15;", "id 241, 14 to 15")
    assert "http" not in page.lower().replace("http-equiv", "")


@pytest.mark.slow
def test_a_very_long_line_and_an_empty_file_stream_through() -> None:
    Path("long.txt").write_text("word " * 400_000 + "\n", encoding="utf-8")
    assert json.loads(check("tokenize", "long.txt", "--count", "--json"))["n_tokens"] == 400_000
    Path("empty.txt").touch()
    assert check("tokenize", "empty.txt") == ""
    check("tokenize", "empty.txt", "-o", "out")
    assert json.loads(Path("out/_manifest.json").read_text())["n_parts"] == 0


def test_to_a_table_needs_a_folder_and_a_damaged_table_is_said() -> None:
    write_corpus("a.txt")
    assert "name a folder with -o" in fails(2, "tokenize", "a.txt", "--to", "parquet")
    Path("bad.parquet").write_bytes(b"PAR1 not really")
    assert fails(3, "tokenize", "bad.parquet").startswith(
        "error: bad.parquet: not a readable parquet file"
    )


def test_a_pattern_says_how_a_tiktoken_file_is_split_and_a_guess_is_said() -> None:
    tokens = [*(bytes([byte]) for byte in range(256)), b"12", b"34", b"1234"]
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))
    Path("own.tiktoken").write_bytes(b"".join(lines))
    Path("a.txt").write_text("1234\n", encoding="utf-8")
    guessed = run_textkit("tokenize", "a.txt", "-t", "own.tiktoken")
    assert b"own.tiktoken: the file is none of OpenAI's" in guessed.stderr
    asked = run_textkit("tokenize", "a.txt", "-t", "own.tiktoken", "--pattern", "gpt2")
    assert json.loads(asked.stdout)["ids"] == [258]
    assert b"split" not in asked.stderr
    for pattern, n_tokens in (("gpt2", 1), ("qwen", 4)):
        report = ("tokenizer", "report", "own.tiktoken", "a.txt", "--json", "--pattern", pattern)
        assert json.loads(check(*report))["all"]["n_tokens"] == n_tokens
    check("tokenizer", "convert", "own.tiktoken", "--pattern", "qwen", "-o", "tok")
    converted = run_textkit("tokenize", "a.txt", "-t", "tok")
    assert json.loads(converted.stdout)["ids"] == [ord(c) for c in "1234"]
    assert "unknown split pattern 'gpt'" in fails(
        2, "tokenize", "a.txt", "-t", "own.tiktoken", "--pattern", "gpt"
    )
    assert "is for a .tiktoken file" in fails(2, "tokenize", "a.txt", "--pattern", "gpt2")


@pytest.mark.slow
def test_what_a_vocabulary_alone_leaves_open_is_said_and_can_be_chosen() -> None:
    Path("vocab.txt").write_text("[PAD]\n[UNK]\ndas\nHaus\nhaus\n", encoding="utf-8")
    Path("a.txt").write_text("Das Haus\n", encoding="utf-8")
    verbs = ("tokenize", "a.txt", "-t", "vocab.txt", "--no-spans", "--to", "jsonl")
    guessed = run_textkit(*verbs)
    assert "33.3% of its whole words have a capital letter" in guessed.stderr.decode()
    assert json.loads(guessed.stdout)["ids"] == [1, 3]
    lowered = run_textkit(*verbs, "--lowercase")
    assert "whole words" not in lowered.stderr.decode()
    assert json.loads(lowered.stdout)["ids"] == [2, 4]
    check("tokenizer", "convert", "vocab.txt", "--lowercase", "-o", "tok")
    again = run_textkit("tokenize", "a.txt", "-t", "tok", "--to", "jsonl")
    assert json.loads(again.stdout)["ids"] == [2, 4]
    assert "vocab.txt" in fails(2, "tokenize", "a.txt", "-t", "word", "--lowercase")
