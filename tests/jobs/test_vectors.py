"""Word vectors as Python calls: what the shell's verbs do, and nothing is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from textkit.jobs import train_vectors as training
from textkit.jobs import vectors as jobs
from textkit.watch import Progress, Watch


@pytest.fixture
def table() -> str:
    rows = {"king": "1 0", "queen": "1 0.1", "man": "0 1", "woman": "0.1 1"}
    lines = [f"{word} {values}\n" for word, values in rows.items()]
    Path("v.txt").write_text("".join(lines), encoding="utf-8")
    return "v.txt"


def test_searches_give_words_and_print_nothing(
    table: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = jobs.SearchOptions(vectors=table, top=1)
    (nearest,) = jobs.find_nearest(options, ["king"])
    assert [word for word, _ in nearest] == ["queen"]
    assert len(jobs.solve_analogy(options, "man", "woman", "king")) == 1
    assert capsys.readouterr() == ("", "")


def test_scores_come_one_after_the_other(table: str) -> None:
    Path("pairs.tsv").write_text("king\tqueen\t9\nking\tman\t1\nman\twoman\t8\n", encoding="utf-8")
    options = jobs.EvaluateVectorsOptions(
        vectors=table, files=[Path("pairs.tsv"), Path("missing.tsv")]
    )
    scores = jobs.evaluate_vectors(options)
    path, score = next(scores)
    assert (path.name, score.to_dict()["n_covered"]) == ("pairs.tsv", 3)
    with pytest.raises(OSError, match="missing"):
        next(scores)


def test_a_training_reports_to_its_watch_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("gensim")
    Path("a.txt").write_text("low lower lowest newer\n" * 3000, encoding="utf-8")
    seen: list[Progress] = []
    options = training.TrainVectorsOptions(
        inputs=["a.txt"],
        out=Path("v"),
        lowercase=True,
        training=training.VectorTraining(dim=4, epochs=1, min_count=1),
    )
    trained = training.train_word_vectors(options, watch=Watch(progress=seen.append))
    assert trained is not None and "lower" in trained
    assert {entry.title for entry in seen} == {"training"}
    assert seen[-1].total == 12_000
    assert capsys.readouterr() == ("", "")
