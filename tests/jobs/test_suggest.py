"""Rows to label next: the most doubtful first, no two alike, the same for every size of a batch."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.shell import run_textkit
from textkit import TextClassifier
from textkit.errors import DataError, UsageError
from textkit.jobs import SuggestOptions, suggest_rows

GOOD = ["a good film", "a good long plot", "good and fine", "one fine evening"]
BAD = ["a bad film", "a bad long plot", "bad and dull", "one dull evening"]
TEXTS = [
    "a good film",
    "",
    "the film",
    "a bad film",
    "bad dull dull",
    "The  Film",
    "the film \U0001f468\u200d\U0001f469",
    "good fine plot",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("suggest") / "model"
    labels = ["pos"] * len(GOOD) + ["neg"] * len(BAD)
    TextClassifier(encoder="linear").fit((GOOD + BAD) * 5, labels * 5).save(place)
    return place


def _write(texts: list[str]) -> Path:
    lines = [json.dumps({"text": text}) for text in texts]
    Path("new.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path("new.jsonl")


def test_the_most_doubtful_come_first_and_none_is_there_twice(model: Path) -> None:
    chosen = suggest_rows(SuggestOptions(model=model, data=_write(TEXTS), n=20))
    doubts = [found.doubt for found in chosen]
    assert doubts == sorted(doubts, reverse=True) and 0 <= doubts[-1] < doubts[0] <= 1
    rows = [found.row for found in chosen]
    assert 2 not in rows, "a row without a text teaches nothing"
    assert 3 in rows and 6 not in rows, "a row that differs in case and spaces alone is the same"
    assert [TEXTS[row - 1] for row in rows] == [found.text for found in chosen]
    classifier = TextClassifier.load(model)
    for found in chosen:
        low, high = sorted(classifier.predict_proba([found.text])[0].tolist())
        assert found.doubt == pytest.approx(1 - (high - low))
        assert found.label == classifier.predict([found.text])[0]


def test_rows_of_which_most_pairs_of_words_are_the_same_are_one(model: Path) -> None:
    texts = [f"the film of the long evening by the river is there {n}" for n in range(9)]
    assert len(suggest_rows(SuggestOptions(model=model, data=_write(texts), n=5))) == 1


def test_the_size_of_a_batch_changes_nothing(model: Path) -> None:
    data = _write(TEXTS * 3)
    every = [
        suggest_rows(SuggestOptions(model=model, data=data, n=3, batch_rows=size))
        for size in (1, 2, 100)
    ]
    assert [[found.row for found in some] for some in every] == [[f.row for f in every[0]]] * 3


def test_labels_of_several_are_doubted_at_their_thresholds(tmp_path: Path) -> None:
    labels = [["pos"]] * len(GOOD) + [["neg"]] * len(BAD)
    fitted = TextClassifier(encoder="linear", head__task="multi-label").fit(
        (GOOD + BAD) * 5, labels * 5
    )
    fitted.save(tmp_path / "tags")
    options = SuggestOptions(model=tmp_path / "tags", data=_write(TEXTS), n=3)
    for found in suggest_rows(options):
        near = abs(fitted.predict_proba([found.text])[0] - fitted.thresholds_).min()
        assert found.doubt == pytest.approx(1 - near)
        assert isinstance(found.label, tuple)


def test_a_model_of_numbers_and_a_file_without_rows_are_refused(
    model: Path, tmp_path: Path
) -> None:
    numbers = TextClassifier(encoder="linear", head__task="regression")
    numbers.fit((GOOD + BAD) * 5, [float(n) for n in range(8)] * 5).save(tmp_path / "numbers")
    with pytest.raises(UsageError, match="doubts nothing"):
        suggest_rows(SuggestOptions(model=tmp_path / "numbers", data=_write(TEXTS)))
    Path("none.csv").write_text("text\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"none\.csv:1: no rows"):
        suggest_rows(SuggestOptions(model=model, data=Path("none.csv")))


@pytest.mark.slow
def test_a_file_to_label_is_not_replaced_and_can_be_learnt_from(model: Path) -> None:
    data = _write(TEXTS)
    done = run_textkit("suggest", str(model), str(data), "-n", "3", "-o", "label.csv")
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    again = run_textkit("suggest", str(model), str(data), "-o", "label.csv")
    assert (
        again.returncode == 2 and b"label.csv is there already, perhaps with labels" in again.stderr
    )
    assert run_textkit("suggest", str(model), str(data), "-o", "label.txt").returncode == 2
    with Path("label.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [""] * 3
    assert all(TEXTS[int(row["row"]) - 1] == row["text"] for row in rows)
    shown = run_textkit("suggest", str(model), str(data), "-n", "2", "--json")
    first = json.loads(shown.stdout.splitlines()[0])
    assert first["text"] == rows[0]["text"] and first["predicted"] in ("pos", "neg")
