"""`textkit search`: the same bytes for any number of processes and after a kill, one line for what
goes wrong, and answers that can be read by people, by programs and in a browser.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_tokenize_corpus import folder_bytes
from tests.cli.test_verbs import check, command, environment, fails
from tests.shell import run_textkit
from textkit import SearchIndex, Vectors

WORDS = ["the", "king", "queen", "tree", "and"]
ROWS = ["The king and the queen", "a tree", "", "<b>king</b> & 🙂", "queen\nqueen", "مَلِك"]


@pytest.fixture
def corpus() -> str:
    Vectors(WORDS, np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)).save("vec")
    rows = ({"text": text, "lang": "en" if i % 2 else "de", "n": i} for i, text in enumerate(ROWS))
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    Path("rows.jsonl").write_text(lines * 3, encoding="utf-8")
    return "rows.jsonl"


def test_build_then_query(corpus: str) -> None:
    done = run_textkit("search", "build", corpus, "-m", "vec", "--keep", "lang,n", "-o", "index")
    assert done.returncode == 0, done.stderr.decode()
    assert "index: 18 rows, searched by words and vectors" in done.stderr.decode()
    assert not done.stdout
    assert sorted(path.name for path in Path().iterdir()) == ["index", "rows.jsonl", "vec"]

    shown = check("search", "query", "index", "king", "-k", "2", "--method", "bm25")
    assert [line.split("  ")[2:] for line in shown.splitlines()] == [
        ["row 3 lang=en n=3", "<b>**king**</b> & 🙂"],
        ["row 9 lang=en n=3", "<b>**king**</b> & 🙂"],
    ]
    told = [
        json.loads(line)
        for line in check(
            *("search", "query", "index", "queen", "ملك", "--where", "n>=3", "--json", "-k", "1")
        ).splitlines()
    ]
    assert [answer["query"] for answer in told] == ["queen", "ملك"]
    [hit] = told[1]["hits"]
    assert (hit["row"], hit["marks"], hit["kept"]) == (5, [[0, 5]], {"lang": "en", "n": "5"})
    assert hit["found_by"]["bm25"]["rank"] == 1


def test_queries_come_from_standard_input(corpus: str) -> None:
    check("search", "build", corpus, "-o", "index")
    shown = check("search", "query", "index", "-", "-k", "1", input="tree\n\nملك\n".encode())
    assert [line.split()[0] for line in shown.splitlines()] == ["#", "1", "#", "1"]


class Marks(HTMLParser):
    """Gather the texts of the marks, and refuse what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert tag not in ("script", "b")
        self.inside = tag == "mark"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.marks.append(data)
        self.inside = False


def test_the_page_marks_words_and_runs_nothing(corpus: str) -> None:
    check("search", "build", corpus, "-o", "index", "--keep", "lang")
    check("search", "query", "index", "king", "<script>alert(1)</script>", "--page", "found.html")
    page = Path("found.html").read_text(encoding="utf-8")
    parser = Marks()
    parser.feed(page)
    assert parser.marks == ["king"] * 6
    assert "nothing was found" in page and "http" not in page


@pytest.mark.slow
def test_any_number_of_processes_gives_the_same_bytes(corpus: str) -> None:
    arguments = ["search", "build", corpus, "-m", "vec", "--keep", "lang", "--part-rows", "4"]
    check(*arguments, "-o", "one")
    check(*arguments, "-o", "two", "--workers", "2")
    check(*arguments[:-1], "100", "-o", "three")
    assert folder_bytes("one") == folder_bytes("two") == folder_bytes("three")


@pytest.mark.slow
def test_a_killed_build_goes_on_to_the_same_bytes(corpus: str) -> None:
    Path("many.jsonl").write_text(Path(corpus).read_text(encoding="utf-8") * 300, encoding="utf-8")
    arguments = ["search", "build", "many.jsonl", "-m", "vec", "--keep", "n", "--part-rows", "50"]
    check(*arguments, "-o", "whole")
    parts = Path("killed.parts")
    process = subprocess.Popen(
        command(*arguments, "-o", "killed"), stderr=subprocess.PIPE, env=environment()
    )
    deadline = time.monotonic() + 60
    while process.poll() is None and len(list(parts.glob("part-*"))) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143 and b"to go on, add --resume" in told
    assert not Path("killed").exists()
    process = subprocess.Popen(
        command(*arguments, "-o", "killed", "--resume"), stderr=subprocess.PIPE, env=environment()
    )
    ready = len(list(parts.glob("part-*"))) + 20
    while process.poll() is None and len(list(parts.glob("part-*"))) < ready:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not Path("killed").exists()
    said = fails(2, *arguments, "-o", "killed")
    assert said.endswith("go on with --resume, or begin anew with --overwrite")
    first = (parts / "part-00000.safetensors").stat().st_mtime_ns
    assert fails(4, *arguments[:-1], "51", "-o", "killed", "--resume").count("part_rows was 50")
    assert (parts / "part-00000.safetensors").stat().st_mtime_ns == first
    check(*arguments, "-o", "killed", "--resume")
    assert folder_bytes("killed") == folder_bytes("whole")
    assert not [path.name for path in Path().iterdir() if "killed." in path.name]


def test_finished_work_is_not_overwritten(corpus: str) -> None:
    check("search", "build", corpus, "-o", "index")
    for more in ([], ["--resume"]):
        assert "finished work" in fails(2, "search", "build", corpus, "-o", "index", *more)
    check("search", "build", corpus, "-m", "vec", "-o", "index", "--overwrite")
    assert SearchIndex.open("index").method == "hybrid"


def test_info_verifies_every_file(corpus: str) -> None:
    check("search", "build", corpus, "-m", "vec", "--keep", "lang", "-o", "index")
    shown = check("info", "index")
    assert "search index, format 1, all files verified" in shown
    assert "columns    lang" in shown and "vectors    3 wide, float32, of vec" in shown
    told = json.loads(check("info", "index", "--json"))
    assert (told["manifest"]["kind"], told["config"]["n_rows"]) == ("search index", 18)
    path = Path("index/texts.arrow")
    data = path.read_bytes()
    path.write_bytes(data[:-20] + bytes(8) + data[-12:])
    assert "SHA-256" in fails(4, "info", "index")
    assert "--layers" in fails(2, "info", "index", "--layers")


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ["build", "rows.jsonl", "--no-words", "-o", "x"], "needs a model"),
        (2, ["build", "rows.jsonl", "--prompt", "a: ", "-o", "x"], "--prompt is for the model"),
        (2, ["build", "rows.jsonl", "--approximate", "-o", "x"], "of vectors; name the model"),
        (3, ["build", "empty.txt", "-o", "x"], "no row to index"),
        (4, ["query", "vec", "king"], "kind is 'vectors', expected 'search index'"),
        (4, ["query", "nowhere", "king"], "no such folder"),
        (2, ["query", "index", "king", "--method", "dense"], "holds no vectors"),
        (2, ["query", "index", "king", "--where", "lang=en"], "kept no columns"),
    ],
)
def test_what_goes_wrong_is_one_line(
    corpus: str, code: int, arguments: list[str], message: str
) -> None:
    Path("empty.txt").write_text("", encoding="utf-8")
    if "index" in arguments:
        check("search", "build", corpus, "-o", "index")
    assert message in fails(code, "search", *arguments)
    assert not Path("x").exists()


def test_bad_rows_are_left_out_and_written_down() -> None:
    Path("bad.jsonl").write_text('{"text": "a king"}\n{bad\n{"text": "b"}\n', encoding="utf-8")
    assert fails(3, "search", "build", "bad.jsonl", "-o", "index").count("bad.jsonl:2")
    check("search", "build", "bad.jsonl", "-o", "index", "--on-bad", "skip", "--overwrite")
    assert len(SearchIndex.open("index")) == 2
    assert "bad.jsonl:2" in Path("index.rejects.txt").read_text(encoding="utf-8")
