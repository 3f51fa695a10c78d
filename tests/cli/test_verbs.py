"""The command line as a shell sees it: output, exit codes, one line an error, signals."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.shell import ROOT, run_textkit

SMALL = [
    "--set",
    "encoder.dim=8",
    "--set",
    "embedding.dim=8",
    "--device",
    "cpu",
    "--epochs",
    "2",
    "--no-baseline",
]
NOUNS = ["film", "plot", "cast", "song", "book", "meal", "walk", "game", "talk", "room"]
ROWS = [
    (f"{word} {noun}", label)
    for word, label in (("good", "pos x"), ("bad", "neg"))
    for noun in NOUNS
]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "textkit", *arguments]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


def check(*arguments: str, input: bytes = b"") -> str:
    done = run_textkit(*arguments, input=input)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def fails(code: int, *arguments: str, input: bytes = b"") -> str:
    """Run a command that must fail with this code and exactly one error line; give that line."""
    done = run_textkit(*arguments, input=input)
    lines = [line for line in done.stderr.decode().splitlines() if line.startswith("error: ")]
    assert done.returncode == code, done.stderr.decode()
    assert len(lines) == 1
    assert "Traceback" not in done.stderr.decode()
    return lines[0]


def write_rows(name: str, rows: list[tuple[str, str]] = ROWS) -> str:
    with Path(name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    return name


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Train once through the command line; give the run folder."""
    folder = tmp_path_factory.mktemp("run")
    write_rows(str(folder / "train.csv"))
    check("train", str(folder / "train.csv"), "-o", str(folder / "run"), *SMALL)
    return str(folder / "run")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["tokenize", "--help"],
        ["train", "--help"],
        ["vectors", "--help"],
        ["tokenize", "-"],
        ["data", "docstrings"],
    ],
)
def test_light_verbs_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom textkit.cli import main\nsys.argv[1:] = " + repr(arguments) + "\n"
        "try: main()\nexcept SystemExit as err: assert not err.code, err.code\n"
        "heavy = {'torch', 'transformers', 'spacy', 'sklearn', 'gensim', 'matplotlib',"
        " 'accelerate', 'pyarrow', 'rich'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=b"a b\n",
        capture_output=True,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()


def test_importing_the_tokenizers_does_not_import_torch() -> None:
    program = "import sys, textkit, textkit.tokenizers; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], env=environment(), timeout=60).returncode
        == 0
    )


def test_help_lists_every_verb_and_version_is_said() -> None:
    from textkit import __version__
    from textkit.cli import VERBS

    text = check("--help")
    assert all(f"  {verb} " in text for verb in VERBS)
    assert check("--version") == f"textkit {__version__}\n"
    for verb in VERBS:
        assert "Usage: textkit" in check(verb, "--help")


def test_usage_errors_exit_2() -> None:
    assert run_textkit().returncode == 2
    done = run_textkit("tokenise")
    assert done.returncode == 2
    assert "tokenize" in done.stderr.decode()
    assert run_textkit("train").returncode == 2
    assert run_textkit("tokenize", "--max-length", "x", "-").returncode == 2


def test_tokenize_streams_json_lines() -> None:
    lines = check("tokenize", "-", input="Don't stop 🙂\n\nहिन्दी\n".encode()).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["tokens"] for row in rows] == [["Don't", "stop", "🙂"], [], ["हिन्दी"]]
    assert rows[0]["spans"] == [[0, 5], [6, 10], [11, 12]]
    assert [row["row"] for row in rows] == [0, 1, 2]


@pytest.mark.slow
def test_tokenize_with_a_trained_tokenizer_gives_ids() -> None:
    Path("a.txt").write_text("low lower lowest\n" * 9, encoding="utf-8")
    check("tokenizer", "train", "a.txt", "-k", "bpe", "--size", "270", "-o", "tok")
    row = json.loads(check("tokenize", "a.txt", "-t", "tok").splitlines()[0])
    assert len(row["ids"]) == len(row["tokens"]) == len(row["spans"])
    assert "".join(row["tokens"]) == "low lower lowest"
    table = check("tokenize", "a.txt", "-t", "tok/tokenizer.json", "--to", "tsv").splitlines()
    fields = [line.split("\t") for line in table]
    assert [int(field[4]) for field in fields if field[0] == "0"] == row["ids"]


def test_tokenize_says_what_it_cut_and_colours_on_request() -> None:
    done = run_textkit(
        "tokenize", "-", "--max-length", "1", "--to", "colour", input=b"one two \x1b[31m\n"
    )
    assert b"one\x1b[0m two" in done.stdout
    assert b"\x1b[31m\n" in done.stdout or b"\\x1b" in done.stdout
    assert "1 rows cut at 1 tokens" in done.stderr.decode()


def test_tokenize_to_a_closed_pipe_is_quiet() -> None:
    Path("big.txt").write_text("one two three\n" * 200_000, encoding="utf-8")
    process = subprocess.Popen(
        command("tokenize", "big.txt"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_train_leaves_a_whole_run_folder(model: str) -> None:
    run_folder = Path(model)
    assert {path.name for path in run_folder.iterdir()} == {
        "curves.png",
        "data.json",
        "metrics.jsonl",
        "model",
        "recipe.toml",
        "run.json",
    }
    epochs = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2]
    assert json.loads((run_folder / "run.json").read_text())["n_rows"] == len(ROWS)


@pytest.mark.slow
def test_the_written_recipe_repeats_the_run(model: str) -> None:
    write_rows("train.csv")
    check("train", "train.csv", "--recipe", f"{model}/recipe.toml", "-o", "again", "--no-baseline")
    assert (
        Path("again/model/model.safetensors").read_bytes()
        == Path(model, "model/model.safetensors").read_bytes()
    )
    assert Path("again/metrics.jsonl").read_bytes() == Path(model, "metrics.jsonl").read_bytes()


@pytest.mark.slow
def test_train_says_the_guess_and_the_baseline() -> None:
    write_rows("train.csv")
    done = run_textkit("train", "train.csv", "-o", "run", *SMALL[:-1])
    said = done.stderr.decode()
    assert "text = 'text', label = 'label' (guessed" in said
    assert "baseline: TF-IDF + LinearSVC" in said
    assert "best: epoch" in said


@pytest.mark.slow
def test_evaluate_prints_numbers_and_draws(model: str) -> None:
    write_rows("test.csv")
    write_rows("train.csv")
    text = check(
        "evaluate", f"{model}/model", "test.csv", "--png", "c.png", "--baseline", "train.csv"
    )
    assert text.startswith("accuracy ")
    assert "TF-IDF + LinearSVC on the same files: accuracy 1.000" in text
    assert "pos x" in text and "support" in text
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")
    report = json.loads(check("evaluate", f"{model}/model", "test.csv", "--json", "--png", "c.png"))
    assert report["n_rows"] == len(ROWS)
    assert sum(map(sum, report["confusion"]["counts"])) == len(ROWS)


@pytest.mark.slow
def test_evaluate_names_labels_that_the_model_lacks(model: str) -> None:
    write_rows("test.csv", [("good film", "pos x"), ("odd", "new")])
    done = run_textkit("evaluate", f"{model}/model", "test.csv", "--png", "c.png")
    assert "1 labels are unknown to the model and count as wrong: new" in done.stderr.decode()


@pytest.mark.slow
def test_predict_gives_one_line_for_each_row(model: str) -> None:
    lines = check(
        "predict", f"{model}/model", "--top", "2", input=b"good film\n\n\xf0\x9f\x99\x82\n"
    ).splitlines()
    assert len(lines) == 3
    fields = lines[0].split("\t")
    assert {fields[0], fields[2]} == {"pos x", "neg"}
    assert float(fields[1]) + float(fields[3]) == pytest.approx(1, abs=1e-3)
    Path("t.jsonl").write_text('{"text": "a\\ud800b"}\n', encoding="utf-8")
    row = json.loads(check("predict", f"{model}/model", "t.jsonl", "--json", "-k", "9"))
    assert [set(entry) for entry in row["labels"]] == [{"label", "probability"}] * 2
    assert check("predict", f"{model}/model", input=b"") == ""


@pytest.mark.slow
def test_info_verifies_and_names_a_changed_file(model: str) -> None:
    assert "all files verified" in check("info", f"{model}/model")
    assert json.loads(check("info", f"{model}/model", "--json"))["manifest"]["format"] == 2
    import shutil

    shutil.copytree(f"{model}/model", "copy")
    with Path("copy/model.safetensors").open("ab") as file:
        file.write(b"\0")
    for verb in (["info", "copy"], ["predict", "copy"]):
        assert fails(4, *verb).startswith("error: copy/model.safetensors: file was changed")


@pytest.mark.slow
def test_data_docstrings_writes_both_files() -> None:
    check("data", "docstrings", "-o", "data")
    assert {path.name for path in Path("data").iterdir()} == {"train.csv", "test.csv"}


BAD: list[tuple[int, str, bytes | None, str]] = [
    (5, "no.csv", None, "error: no.csv: cannot open: No such file or directory"),
    (3, "a.csv", b"", "error: a.csv: file is empty"),
    (3, "a.csv", b"text,label\n", "error: a.csv:1: no rows after the header"),
    (3, "a.csv", b"a,b,c\n1,2,3\n", "error: a.csv:1: no text column found"),
    (3, "a.csv", b"text,label\na,b\nc,d,e\n", "error: a.csv:3: expected 2 fields, found 3"),
    (3, "a.csv", b'text,label\na,b\n"c,d\ne,f\n', "error: a.csv:3: a quote opens on this line"),
    (
        3,
        "a.csv",
        b"text,label\nok,x\ncaf\xe9,x\n",
        "error: a.csv:3:4: not UTF-8: byte 0xE9 at byte column 4",
    ),
    (3, "a.csv", b"text,label\na,\n", "error: a.csv:2: the label is empty"),
    (3, "a.csv", b"text,label\na,x\nb,x\n", "error: all 2 rows have the label 'x'"),
    (
        3,
        "a.jsonl",
        b'{"text": 1, "label": 2}\n',
        "error: a.jsonl:1: 'text' is 1, expected a string",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("code", "name", "data", "message"), BAD)
def test_bad_input_is_one_line_and_its_exit_code(
    code: int, name: str, data: bytes | None, message: str
) -> None:
    if data is not None:
        Path(name).write_bytes(data)
    assert fails(code, "train", name, "-o", "run", *SMALL).startswith(message)
    assert not Path("run/model").exists()


@pytest.mark.slow
def test_a_folder_a_missing_column_and_a_strange_run_folder() -> None:
    Path("folder").mkdir()
    assert fails(3, "train", "folder").startswith("error: folder: no texts in this folder")
    write_rows("a.csv")
    message = fails(3, "train", "a.csv", "--text-column", "texd")
    assert (
        message == "error: a.csv:1: unknown column 'texd'; did you mean 'text'? known: label, text"
    )
    Path("folder/photo").write_text("x", encoding="utf-8")
    assert "is no run folder" in fails(2, "train", "a.csv", "-o", "folder")
    assert fails(2, "train", "a.csv", "--encoder", "lsmt").startswith(
        "error: unknown encoder 'lsmt'; did you mean"
    )
    assert fails(2, "train", "a.csv", "--set", "training.epoch=1").startswith(
        "error: unknown recipe key"
    )
    assert fails(4, "predict", "folder", input=b"x").startswith("error: folder: no manifest.json")
    assert fails(4, "tokenize", "a.csv", "-t", "nowhere").startswith(
        "error: nowhere: no such tokenizer"
    )
    assert fails(2, "tokenize", "a.csv", "-t", "bpe").startswith(
        "error: a 'bpe' tokenizer must be trained first"
    )


@pytest.mark.slow
def test_odd_but_good_input_trains() -> None:
    """An empty text, a label with spaces, a lone surrogate and a text of 1 MB are data, not
    errors.
    """
    rows = [{"text": text, "label": label} for text, label in ROWS]
    rows += [{"text": "", "label": "neg"}, {"text": "a\ud800b", "label": "pos x"}]
    rows += [{"text": "word " * 200_000, "label": "neg"}]
    Path("a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run_textkit("train", "a.jsonl", "-o", "run", *SMALL)
    assert done.returncode == 0, done.stderr.decode()
    assert "lone surrogates became U+FFFD in 1 fields" in done.stderr.decode()
    assert "1 rows were cut at tokenizer.max_length = 512" in done.stderr.decode()
    assert len(check("predict", "run/model", "a.jsonl").splitlines()) == len(rows)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_training_leaves_a_usable_run(number: signal.Signals, code: int) -> None:
    write_rows("train.csv", ROWS * 20)
    slow = [
        "--set",
        "training.patience=9999",
        "--epochs",
        "9999",
        "--set",
        "encoder.dim=64",
        "--no-baseline",
    ]
    process = subprocess.Popen(
        command("train", "train.csv", "-o", "run", *slow), stderr=subprocess.PIPE, env=environment()
    )
    deadline = time.monotonic() + 60
    metrics = Path("run/metrics.jsonl")
    while not (metrics.exists() and metrics.read_text()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said.decode()
    assert (
        said.decode()
        .splitlines()[-1]
        .startswith("error: stopped by a signal; run/model holds the best weights")
    )
    assert json.loads(Path("run/run.json").read_text())["ended"] == "stopped"
    check("info", "run/model")
    assert check("predict", "run/model", input=b"good film\n").startswith("pos x\t")


@pytest.mark.slow
def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import errno

    from textkit.cli.errors import run_guarded
    from textkit.data import quickstart
    from textkit.io import files

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    assert run_guarded(lambda: quickstart.write_docstrings("data"), debug=False) == 5
    assert (
        capsys.readouterr().err == "error: data/train.csv: cannot write: No space left on device\n"
    )
    assert list(Path("data").iterdir()) == []


def test_a_bug_is_one_line_and_a_traceback_on_request(capsys: Any) -> None:
    from textkit.cli.errors import run_guarded

    def broken() -> None:
        raise RuntimeError("two\nlines")

    assert run_guarded(broken, debug=False) == 70
    said = capsys.readouterr().err
    assert (
        said.startswith("error: a bug in textkit: RuntimeError: two lines;")
        and said.count("\n") == 1
    )
    assert run_guarded(broken, debug=True) == 70
    assert "Traceback" in capsys.readouterr().err


def test_quoting_survives_a_round_trip() -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(['a "quoted", text\nof two lines', "x"])
    Path("a.csv").write_text("text,label\n" + buffer.getvalue(), encoding="utf-8")
    row = json.loads(check("tokenize", "a.csv"))
    assert "".join(row["tokens"]) == 'a"quoted",textoftwolines'


@pytest.mark.parametrize(
    "args",
    [
        ["tokenizer", "train", "t.txt", "-k", "word", "-o", "-"],
        ["tokenizer", "count", "t.txt", "-o", "-"],
        ["embed", "t.txt", "-m", "vec", "-o", "-"],
        ["evaluate", "run", "t.csv", "--html", "-"],
        ["vectors", "train", "t.txt", "-o", "-"],
        ["train", "t.csv", "-o", "-"],
    ],
)
def test_no_file_is_ever_named_dash(args: list[str]) -> None:
    Path("t.txt").write_text("a b\n", encoding="utf-8")
    done = run_textkit(*args)
    assert done.returncode == 2 and b"is not written to standard output" in done.stderr
    assert not Path("-").exists()
