"""A model card says what is known of a model, reads back as the hub reads it, and tells no path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from textkit import TextClassifier
from textkit.errors import DataError, UsageError
from textkit.io import files
from textkit.jobs import (
    EvaluateOptions,
    PushOptions,
    TrainOptions,
    evaluate_file,
    push_model,
    train_run,
)
from textkit.jobs.card import make_card
from textkit.jobs.card_facts import CardOptions
from textkit.jobs.card_metadata import check_licence, head

WORDS = {"sport": ("goal", "match"), "money": ("bank", "price"), "no": ("rain", "sun")}
LABELS = [label for label in WORDS for _ in range(30)]
TEXTS = [f"a {WORDS[label][n % 2]} number {n}" for n, label in enumerate(LABELS)]


def write_rows(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{text},{label}\n" for text, label in zip(TEXTS, LABELS, strict=True))
    path.write_text("text,label\n" + rows, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a run, and the report of its evaluation with the baseline beside it."""
    folder = tmp_path_factory.mktemp("made")
    rows = write_rows(folder / "private" / "rows.csv")
    options = TrainOptions(data=rows, out=folder / "run", overrides=["encoder.name=linear"])
    train_run(options)
    told = evaluate_file(EvaluateOptions(model=folder / "run", data=rows, baseline=rows)).to_dict()
    (folder / "report.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def section(card: str, title: str) -> str:
    return card.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_card_of_a_run_says_what_is_known(made: Path) -> None:
    options = CardOptions(
        model=made / "run",
        licence="MIT",
        name="ann/news",
        language="no",
        data="ann/rows",
        evaluation=made / "report.json",
    )
    card = make_card(options)
    facts = json.loads((made / "run" / "run.json").read_text(encoding="utf-8"))
    assert facts["n_valid_rows"] == 9 and facts["class_rows"] == {
        "money": 30,
        "no": 30,
        "sport": 30,
    }
    assert str(made) not in card and "private" not in card
    data = section(card, "Training data")
    assert "90 rows of `rows.csv`, 9 of them held out" in data
    assert files.sha256(made / "private" / "rows.csv") in data
    figures = section(card, "Figures")
    assert "On rows.csv (90 rows)" in figures and "| accuracy | 1.000 | " in figures
    assert "On the 9 rows held out for validation" in figures
    valid = facts["best"]["valid_accuracy"]
    assert f"| accuracy | {valid:.3f} | 0.701 to 1.000 | {valid:.3f} |" in figures
    assert "| no | 30 | 30 |" in card
    limits = section(card, "Limits")
    assert "Only 9 rows were held out" in limits
    assert "fewer than 50 rows: money (30), no (30), sport (30)" in limits
    assert "textkit train rows.csv --recipe recipe.toml" in section(card, "How to make it again")
    read = ModelCard(card).data
    assert (read.license, read.language, read.datasets) == ("mit", ["no"], ["ann/rows"])
    assert read.library_name == "textkit" and read.pipeline_tag == "text-classification"
    assert read.model_name == "news" and read.eval_results is not None
    result = read.eval_results[0]
    assert (result.metric_type, result.metric_value) == ("accuracy", 1.0)
    report = json.loads((made / "report.json").read_text(encoding="utf-8"))
    low, high = report["intervals"]["accuracy"]
    assert result.metric_args == {"interval_95": [pytest.approx(low), pytest.approx(high)]}


def test_figures_of_another_model_are_refused(made: Path) -> None:
    TextClassifier(encoder="linear", seed=7).fit(TEXTS, LABELS).save("other")
    with pytest.raises(DataError, match="the evaluation is of another model; run textkit evaluate"):
        make_card(CardOptions(model="other", licence="mit", evaluation=made / "report.json"))
    report = json.loads((made / "report.json").read_text(encoding="utf-8"))
    del report["measured"]
    make_card(CardOptions(model="other", licence="mit", evaluation=report))
    report["classes"] = {"up": report["classes"]["no"]}
    with pytest.raises(DataError, match="of a model with other labels: up"):
        make_card(CardOptions(model="other", licence="mit", evaluation=report))
    for wrong in ({}, {"outputs": {}}, {"outputs": {"a": 1}}):
        Path("wrong.json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(DataError, match=r"wrong\.json: no report of an evaluation; write one"):
            make_card(CardOptions(model="other", licence="mit", evaluation="wrong.json"))


def test_a_run_is_asked_for_by_name_and_has_the_same_labels(made: Path) -> None:
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save("lone")
    assert "is not recorded" in make_card(CardOptions(model="lone", licence="mit"))
    card = make_card(CardOptions(model="lone", licence="mit", run=made / "run"))
    assert "90 rows of `rows.csv`" in card
    TextClassifier(encoder="linear").fit(TEXTS, ["a", "b"] * 45).save(made / "run" / "beside")
    card = make_card(CardOptions(model=made / "run" / "beside", licence="mit"))
    assert "is not recorded" in card
    with pytest.raises(UsageError, match="run has a model of other labels than this one"):
        make_card(CardOptions(model=made / "run" / "beside", licence="mit", run=made / "run"))
    with pytest.raises(UsageError, match="lone is no run folder that is finished"):
        make_card(CardOptions(model="lone", licence="mit", run="lone"))


@pytest.mark.parametrize(
    ("task", "labels", "said"),
    [
        ("multi-label", [["a"], ["b"], ["a", "b"]] * 30, "any number of 2 labels"),
        ("regression", [1.5, 200.0, 3.0] * 30, "gives a text a number"),
    ],
)
def test_every_task_has_a_card(task: str, labels: list[Any], said: str) -> None:
    model = TextClassifier(encoder="linear", head__task=task).fit(TEXTS, labels)
    model.save("model")
    rows = [{"text": t, "label": y} for t, y in zip(TEXTS, labels, strict=True)]
    Path("t.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    report = evaluate_file(EvaluateOptions(model=Path("model"), data=Path("t.jsonl"))).to_dict()
    card = make_card(CardOptions(model="model", licence="mit", evaluation=report))
    assert said in card and "On t.jsonl (90 rows)" in card
    results = ModelCard(card).data.eval_results
    assert results is not None
    assert {each.metric_type for each in results} >= (
        {"f1", "hamming_loss"} if task == "multi-label" else {"mae", "rmse", "r2"}
    )


def test_odd_words_read_back_as_they_were() -> None:
    odd = [
        "no",
        "true",
        "a: b",
        '"q"',
        "- x",
        "#1",
        "1e5",
        "é 👍 \x85\u2028",
        "null",
        "",
        "it's\\n",
    ]
    text = head(name="on", licence="mit", language=["no"], data=odd, tags=["off"])
    read = ModelCard(f"{text}\n").data
    assert read.datasets == odd and read.language == ["no"] and "off" in (read.tags or [])


def test_labels_stand_in_their_cells() -> None:
    labels = ["a|b", "<b>", "two\nlines"]
    TextClassifier(encoder="linear").fit(TEXTS, labels * 30).save("model")
    card = make_card(CardOptions(model="model", licence="mit"))
    assert "| a\\|b |\n" in card and "| &lt;b> |\n" in card and "| two lines |\n" in card


def test_a_licence_is_asked_for() -> None:
    with pytest.raises(UsageError, match="no licence is given; say under which others may use"):
        make_card(CardOptions(model="nowhere", licence=None))
    for wrong in ("two words", "mit\nx: y"):
        with pytest.raises(UsageError, match="expected one name, as --licence mit"):
            check_licence(wrong)
    assert check_licence("some-new-licence-9") == "some-new-licence-9"


def test_a_card_of_ones_own_says_the_licence() -> None:
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save("model")
    options = {"model": "model", "name": "ann/news", "card": "own.md", "dry_run": True}
    for text in ("# News\n", "---\ntags: [a]\n---\nlicense: mit\n"):
        Path("own.md").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"own\.md: the card says no licence"):
            push_model(PushOptions(licence=None, **options))
    Path("own.md").write_text("---\nlicense: mit\n---\n# News\n", encoding="utf-8")
    assert push_model(PushOptions(licence=None, **options)).card.endswith("# News\n")
    with pytest.raises(UsageError, match="the card says licence mit, --licence says isc"):
        push_model(PushOptions(licence="isc", **options))
    for name in ("news", "ann/b/c", "ann/ne ws"):
        with pytest.raises(UsageError, match="is no name on the hub; write USER/NAME"):
            push_model(PushOptions(licence="mit", model="model", name=name))
    with pytest.raises(UsageError, match="push to a branch with --revision v1"):
        push_model(PushOptions(licence="mit", model="model", name="ann/news@v1"))
