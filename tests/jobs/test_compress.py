"""Compressing a model, file to file: what fits is searched, more loss than allowed is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import textkit
from tests.classify.test_compressing import LABELS, TEXTS
from textkit import TextClassifier
from textkit.errors import DataError, LimitError, UsageError
from textkit.io import zipped
from textkit.jobs import CompressOptions, compress_model
from textkit.jobs.compress import parse_size

BAG = {"encoder": "bag", "head__pooling": ("mean",), "embedding__dim": 16, "seed": 1}
GRAMS = {"ngrams": {"word_ngrams": 2, "minn": 0, "maxn": 0}}
BRIEF = {"training__epochs": 8, "training__lr": 0.05, "training__average": 0.0}
PLAIN = {"head__dropout": 0.0, "embedding__dropout": 0.0, "augment__word_dropout": 0.0}


def write(path: Path, texts: list[str], labels: list[str]) -> Path:
    rows = [f'"{text}",{label}' for text, label in zip(texts, labels, strict=True)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> CompressOptions:
    folder = tmp_path_factory.mktemp("models")
    TextClassifier(**BAG, **GRAMS, **BRIEF, **PLAIN).fit(
        TEXTS, LABELS, validation=(TEXTS, LABELS)
    ).save(folder / "bag")
    return CompressOptions(
        model=folder / "bag",
        out=Path("small"),
        check=write(folder / "check.csv", TEXTS[::3], LABELS[::3]),
        train=write(folder / "train.csv", TEXTS, LABELS),
    )


def test_a_size_is_met_and_the_table_says_what_it_cost(options: CompressOptions) -> None:
    whole = compress_model(replace(options, out=Path("whole")))
    fixed = zipped.size_of("whole") - (Path("whole") / "model.safetensors").stat().st_size
    size = fixed + (Path("whole") / "model.safetensors").stat().st_size // 2
    report = compress_model(replace(options, size=size))
    assert report.after.n_bytes == zipped.size_of("small") <= size
    assert report.compression.n_rows < whole.compression.n_rows
    model = textkit.load("small")
    assert isinstance(model, TextClassifier)
    original = TextClassifier.load(options.model)
    same = original.predict(TEXTS[::3]) == model.predict(TEXTS[::3])
    assert report.agreement == pytest.approx(same.mean())
    assert report.after.score == pytest.approx(model.score(TEXTS[::3], LABELS[::3]))
    assert report.before.score == pytest.approx(original.score(TEXTS[::3], LABELS[::3]))
    table = report.to_text()
    assert f"{report.after.n_bytes:,}" in table and "times smaller" in table
    assert report.to_dict()["before"]["bytes"] == zipped.size_of(options.model)  # type: ignore[index]


def test_the_smallest_within_a_loss_is_taken(options: CompressOptions) -> None:
    report = compress_model(replace(options, max_loss=0.02))
    assert report.before.score is not None and report.after.score is not None
    assert report.before.score - report.after.score <= 0.02
    assert report.compression.n_rows < report.compression.n_rows_before // 2


def test_more_loss_than_allowed_is_refused_and_nothing_is_written(options: CompressOptions) -> None:
    few = replace(options, size=zipped.size_of(options.model) * 78 // 100, max_loss=0.0, train=None)
    worse = compress_model(replace(few, max_loss=None, size=None, rows=3))
    assert worse.before.score is not None and worse.after.score is not None
    assert worse.after.score < worse.before.score - 0.2
    with pytest.raises(LimitError, match="the smallest that was tried has"):
        compress_model(replace(options, out=Path("none.zip"), size=2000))
    tight = replace(options, out=Path("none"), train=None, max_loss=0.0)
    with pytest.raises(LimitError, match=r"the least that is lost is 0\.\d+ .*--max-loss"):
        compress_model(replace(tight, size=worse.after.n_bytes + 2500))
    assert not Path("none").exists() and not Path("none.zip").exists()


def test_what_is_left_is_trained_once_more(options: CompressOptions) -> None:
    plain = compress_model(replace(options, rows=30, out=Path("plain")))
    again = compress_model(replace(options, rows=30, retrain=True, out=Path("again")))
    assert again.compression.retrained and not plain.compression.retrained
    right = [["neg", "pos"].index(label) for label in LABELS]
    said = [
        TextClassifier.load(name).predict_log_proba(TEXTS)[range(len(TEXTS)), right].mean()
        for name in ("plain", "again")
    ]
    assert said[1] > said[0] + 0.001
    compress_model(replace(options, rows=30, retrain=True, out=Path("twice")))
    for file in Path("again").iterdir():
        assert file.read_bytes() == (Path("twice") / file.name).read_bytes(), file.name


@pytest.mark.parametrize("task", ["multi-label", "regression"])
def test_other_tasks_are_measured_by_their_own_score(task: str) -> None:
    labels = [f"{len(text)}.5" if task == "regression" else "a|b"[: 1 + i % 3] for i, text in
              enumerate(TEXTS)]  # fmt: skip
    check = write(Path("check.csv"), TEXTS, labels)
    cells = [
        float(label) if task == "regression" else [x for x in label.split("|") if x]
        for label in labels
    ]
    TextClassifier(encoder="linear", head__task=task).fit(TEXTS, cells).save("model")
    options = CompressOptions(model=Path("model"), out=Path("small"), check=check, max_loss=0.05)
    report = compress_model(replace(options, train=check))
    assert report.metric == {"multi-label": "micro_f1", "regression": "r2"}[task]
    model = TextClassifier.load("small")
    assert report.after.score == pytest.approx(model.score(TEXTS, cells), abs=1e-4)
    assert 0.5 < report.agreement <= 1


def test_labels_that_are_numbers_and_labels_unknown_are_read() -> None:
    TextClassifier(encoder="linear").fit(TEXTS, [int("good" in t) for t in TEXTS]).save("model")
    labels = [str(int("good" in text)) for text in TEXTS]
    check = write(Path("check.csv"), [*TEXTS, "odd"], [*labels, "7"])
    report = compress_model(CompressOptions(model=Path("model"), out=Path("s"), check=check))
    assert report.n_texts == len(TEXTS) and report.after.score == 1.0
    with pytest.raises(DataError, match="knows none of the labels"):
        odd = write(Path("odd.csv"), ["odd"], ["7"])
        compress_model(CompressOptions(model=Path("model"), out=Path("t"), check=odd))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_loss": 0.1, "check": None}, "--check FILE"),
        ({"retrain": True, "train": None}, "--train FILE"),
        ({"size": 9000, "numbers": "float16"}, "leave out --numbers"),
        ({"size": 0}, "expected at least 1"),
        ({"max_loss": 1.5}, "expected a share"),
        ({"members": 2}, "the model has 1"),
        ({"numbers": "int4"}, "expected float32, float16 or int8"),
    ],
)
def test_options_that_do_not_go_together_are_said(
    options: CompressOptions, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        compress_model(replace(options, **change))  # type: ignore[arg-type]


def test_the_model_itself_is_never_written_over(options: CompressOptions) -> None:
    with pytest.raises(UsageError, match="is the model itself"):
        compress_model(replace(options, out=options.model, overwrite=True))


def test_sizes_are_read() -> None:
    assert [parse_size(text) for text in ("2MB", "1.5 kb", "7")] == [2_000_000, 1500, 7]
    for text in ("", "MB", "nan", "-2MB", "2 apples", "1e400"):
        with pytest.raises(UsageError, match="expected bytes"):
            parse_size(text)
    assert np.isfinite(parse_size("1GB"))
