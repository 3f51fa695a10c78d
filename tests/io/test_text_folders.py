"""Folders of a file a text: their labels, their order, what is passed over and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from textkit.data.check import check_files
from textkit.errors import DataError, LimitError, UsageError
from textkit.io.corpus import RowReader
from textkit.io.text_folders import hash_data
from textkit.io.text_lines import RowLimit
from textkit.jobs import EvaluateOptions, TrainOptions, evaluate_file, train_run


def write(files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = Path("films", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Path("films")


def read(**options: Any) -> list[tuple[str, str | None]]:
    return [(row.text, row.label) for row in RowReader("films", labelled=True, **options)]


def test_each_file_is_a_text_under_the_label_of_its_folder() -> None:
    write({"pos/2.txt": b"\xef\xbb\xbfgood\nfilm\r\n", "pos/a/3": b"", "neg x/1.txt": b"bad"})
    write({"readme.md": b"x", ".git/1": b"x", "pos/.hidden": b"x"})
    assert read() == [("bad", "neg x"), ("good\nfilm", "pos"), ("", "pos")]


def test_what_is_no_text_is_named_and_skipped_where_asked() -> None:
    write({"pos/1.txt": b"good \xff", "neg/1.txt": b"bad"})
    with pytest.raises(DataError, match=r"^films/pos/1\.txt: not UTF-8 \(byte 0xFF at byte 6\)"):
        read()
    reader = RowReader("films", labelled=True, on_bad="skip")
    assert len([*reader]) == 1 and reader.rejects[0].startswith("films/pos/1.txt: not UTF-8")
    write({"pos/1.txt": b"x" * ((1 << 20) + 1)})
    with pytest.raises(LimitError, match=r"films/pos/1\.txt"):
        read(limit=RowLimit(megabytes=1))


def test_a_folder_without_folders_or_with_columns_is_refused() -> None:
    write({"1.txt": b"good"})
    with pytest.raises(DataError, match="expected a folder for each label"):
        read()
    for options in ({"text_column": "text"}, {"keep": ["id"]}):
        with pytest.raises(UsageError, match="without a column"):
            read(**options)


def test_a_flat_folder_is_read_where_no_label_is_asked_for() -> None:
    write({"2.txt": b"bad", "1.txt": b"good\nfilm\n", ".hidden": b"x"})
    reader = RowReader("films", keep=("file", "label"))
    assert [(row.text, row.label, row.kept) for row in reader] == [
        ("good\nfilm", None, ("1.txt", "")),
        ("bad", None, ("2.txt", "")),
    ]
    assert reader.notes() == ["films: 2 texts, a file each"]
    write({"a/b.csv": b"text\nx\n"})
    with pytest.raises(DataError, match=r"films/a/b\.csv is a table; name the files"):
        list(RowReader("films"))
    Path("films/a/b.csv").unlink()
    write({"pos/1.txt": b"good"})
    reader = RowReader("films", keep=("file", "label"))
    assert [row.kept for row in reader] == [("pos/1.txt", "pos")]
    assert "2 files beside the folders of texts passed over, the first: 1.txt" in reader.notes()[0]


def test_the_hash_is_of_names_and_contents() -> None:
    folder = write({"pos/1.txt": b"good", "neg/1.txt": b"bad"})
    first = hash_data(folder)
    write({".hidden/1": b"x"})
    assert hash_data(folder) == first
    write({"pos/1.txt": b"fine"})
    assert hash_data(folder) != first


def test_a_folder_is_learnt_measured_and_checked() -> None:
    write({f"{side}/{n}.txt": f"{side} film {n}".encode() for side in "ab" for n in range(10)})
    small = ["training.device=cpu", "encoder.name=bag", "embedding.dim=4", "training.epochs=1"]
    given: dict[str, Any] = {"data": Path("films"), "out": Path("run"), "overrides": small}
    assert train_run(TrainOptions(**given, baseline=False)).n_rows == 20
    config = json.loads(Path("run/model/config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["a", "b"]
    measured = evaluate_file(EvaluateOptions(model=Path("run"), data=Path("films")))
    assert measured.to_dict()["n_rows"] == 20
    assert check_files("films").to_dict()["files"]
    with pytest.raises(UsageError, match="not a folder of texts"):
        train_run(TrainOptions(**{**given, "out": Path("two")}, stream=True))
