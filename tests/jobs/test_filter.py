"""Rows that are of use stay with their bytes, the others go with their reason, in every script."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest

from textkit import TextClassifier
from textkit.data.quality import Bounds, split_words
from textkit.errors import StorageError, UsageError
from textkit.jobs import FilterOptions, filter_file

GOOD = "a film of a man and his dog"


def run(name: str, out: str, **more: Any) -> Any:
    bounds = {name: more.pop(name) for name in list(more) if name in vars(Bounds())}
    options = FilterOptions(data=Path(name), out=Path(out), bounds=Bounds(**bounds), **more)
    return filter_file(options)


def removed(name: str) -> list[dict[str, str]]:
    with open(f"{name}.removed.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("", "min_characters", 0),
        ("no", "min_characters", 2),
        ("x" * 201, "max_characters", 201),
        ("one, two!", "min_words", 2),
        ("漢字", "min_characters", 2),
        (" ".join(f"w{n}" for n in range(31)), "max_words", 31),
        ("buy now " * 6, "max_repeats", 0.8),
        ("大家好" * 4, "max_repeats", 0.7),
        ("one\ntwo\n\none\n one\n", "max_repeated_lines", 0.5),
        ("one two three =======", "max_symbols", 1 / 3),
        ("👩‍👩‍👧 👩‍👩‍👧 a b c", "max_symbols", 0.5882),
    ],
)
def test_a_bound_names_itself_and_what_it_measured(text: str, rule: str, value: float) -> None:
    bounds = Bounds(
        min_characters=3,
        max_characters=200,
        min_words=3,
        max_words=30,
        max_repeats=0.6,
        max_repeated_lines=0.4,
        max_symbols=0.3,
    )
    fault = bounds.judge(text)
    assert fault is not None and (fault.rule, fault.value) == (rule, pytest.approx(value, abs=1e-4))
    for fine in (
        GOOD,
        "这是一部关于狗的电影",
        "เขาและสุนัข ของ เขา",
        "قصة رجل وكلبه",
        "e\u0301té à la mer",
    ):
        assert bounds.judge(fine) is None


def test_words_of_every_script_are_cut() -> None:
    assert split_words("GPT四はAI, don't") == ["gpt", "四", "は", "ai", "dont"]
    assert split_words("") == []


def test_rows_stay_byte_for_byte_and_each_other_row_has_its_reason() -> None:
    rows = f'text,id\r\n"{GOOD}",1\r\nno,2\r\n"two\nlines of a ""film""",3\r\n'.encode()
    Path("a.csv.gz").write_bytes(gzip.compress(rows))
    made = run("a.csv.gz", "b.csv.gz", min_words=3)
    assert gzip.decompress(Path("b.csv.gz").read_bytes()) == rows.replace(b"no,2\r\n", b"")
    assert made.to_dict() == {
        "file": "b.csv.gz",
        "report": "b.csv.gz.removed.csv",
        "n_rows": 3,
        "n_kept": 2,
        "removed": {"min_words": 1},
    }
    assert removed("b.csv.gz") == [
        {"row": "1", "line": "3", "reason": "min_words", "value": "1", "text": "no"}
    ]


def test_an_empty_file_and_one_that_loses_nothing_have_no_report() -> None:
    Path("a.txt").write_text("", encoding="utf-8")
    made = run("a.txt", "b.txt", min_words=3)
    assert (made.n_rows, made.report, Path("b.txt").read_bytes()) == (0, None, b"")
    Path("b.txt.removed.csv").write_text("of an earlier run", encoding="utf-8")
    Path("a.txt").write_text(f"{GOOD}\n", encoding="utf-8")
    assert run("a.txt", "b.txt", min_words=3, overwrite=True).n_kept == 1
    assert not Path("b.txt.removed.csv").exists()


def test_a_classifier_says_which_rows_are_wanted() -> None:
    texts = ["der Hund und die Katze", "the dog and the cat", "le chien et le chat"]
    labels = ["de", "en", "fr"]
    model = TextClassifier(encoder="linear", seed=1).fit(texts * 9, labels * 9)
    Path("a.txt").write_text("\n".join([*texts, "x"]) + "\n", encoding="utf-8")
    made = run("a.txt", "b.txt", min_words=2, model=model, labels=["de", "fr"], least=0.7)
    assert dict(made.removed) == {"min_words": 1, "model": 1}
    assert Path("b.txt").read_text(encoding="utf-8").splitlines() == [texts[0], texts[2]]
    went = {row["text"]: float(row["value"]) for row in removed("b.txt")}
    wanted = model.predict_proba([texts[1]])[0][[0, 2]].sum()
    assert went[texts[1]] == pytest.approx(wanted, abs=1e-4)
    with pytest.raises(UsageError, match="unknown label 'dee'; did you mean 'de'"):
        run("a.txt", "c.txt", model=model, labels=["dee"])


def test_what_cannot_be_asked_is_one_line() -> None:
    Path("a.txt").write_text("x\n", encoding="utf-8")
    for asked, message in (
        ({}, "nothing to filter by"),
        ({"labels": ["de"]}, "a model needs the labels"),
        ({"max_repeats": 1.5}, "max_repeats is 1.5, expected 0 to 1"),
        ({"min_words": -1}, "min_words is -1, expected at least 0"),
        ({"min_words": 4, "max_words": 3}, "min_words is 4, more than max_words, 3"),
        ({"min_words": 1, "least": 2.0}, "least is 2.0, expected 0 to 1"),
    ):
        with pytest.raises(UsageError, match=message):
            run("a.txt", "b.txt", **asked)
    for out, message in (("b.csv", "ends as it does, in .txt"), ("a.txt", "is an input itself")):
        with pytest.raises(UsageError, match=message):
            run("a.txt", out, min_words=1)
    Path("b.txt").touch()
    with pytest.raises(UsageError, match="is there already"):
        run("a.txt", "b.txt", min_words=1)


def test_a_file_never_lies_there_without_the_report_of_what_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("a.txt").write_text(f"{GOOD}\nno\n", encoding="utf-8")
    renamed: list[str] = []

    def stop(self: Path, target: Path) -> Path:
        renamed.append(target.name)
        raise OSError(5, "stopped")

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(StorageError, match="stopped"):
        run("a.txt", "b.txt", min_words=3)
    assert renamed == ["b.txt.removed.csv"]
    assert not Path("b.txt").exists()
