"""Tokenizers as Python calls: what the shell's verbs do, and nothing is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from textkit.jobs import tokenizer as jobs
from textkit.watch import Progress, Watch


@pytest.fixture
def text() -> str:
    Path("a.txt").write_text("low lower lowest newer\n" * 2500, encoding="utf-8")
    return "a.txt"


def test_a_training_says_when_it_reads_learns_and_saves(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Progress] = []
    options = jobs.TrainTokenizerOptions(
        inputs=[text],
        out=Path("tok"),
        pieces=jobs.PieceOptions(kind="wordpiece", lowercase=False),
        sizes=[20],
    )
    ((folder, tokenizer),) = jobs.train_tokenizer(options, watch=Watch(progress=seen.append))
    assert (folder, len(tokenizer.vocabulary)) == (Path("tok"), 20)
    titles = [entry.title for entry in seen]
    assert list(dict.fromkeys(titles)) == [jobs.READING, jobs.LEARNING, jobs.SAVING]
    assert titles.count(jobs.LEARNING) == 1
    assert [entry.done for entry in seen if entry.title == jobs.READING] == [0, 23, 46]
    assert capsys.readouterr() == ("", "")


def test_counts_give_the_tokenizer_that_texts_give(text: str) -> None:
    notes: list[str] = []
    counting = jobs.CountPiecesOptions(inputs=[text], out=Path("counts"), memory="1M")
    assert jobs.count_pieces(counting, watch=Watch(note=notes.append)) == 4
    assert notes[0].startswith("up to 6,168 different pieces are held in 1M")
    direct, counted = (
        jobs.train_tokenizer(
            jobs.TrainTokenizerOptions(inputs=[name], out=Path(out), sizes=[300], counts=counts)
        )[0][1]
        for name, out, counts in ((text, "direct", False), ("counts", "counted", True))
    )
    assert direct.fingerprint == counted.fingerprint
    fit = jobs.measure_tokenizer(jobs.MeasureFitOptions(tokenizer="direct", inputs=[text]))
    assert fit["all"]["n_rows"] == 2500
