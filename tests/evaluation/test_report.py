"""Pictures and the page: whole, escaped, the same bytes every time; learning curves."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textkit.errors import DataError, StorageError
from textkit.evaluation import (
    Comparison,
    Evaluation,
    MultiLabelStream,
    RegressionStream,
    Stream,
    evaluate,
    evaluate_multilabel,
    evaluate_regression,
    write_html,
    write_multilabel_html,
    write_regression_html,
)
from textkit.evaluation.drawings import MAX_CLASSES, confusion_svg
from textkit.evaluation.figures import (
    draw_confusion,
    draw_labels,
    draw_regression,
    draw_reliability,
)
from textkit.training.curves import draw_curves, read_metrics

NASTY = ["<script>alert(1)</script>", "a & b", 'quote " $x_$', "日本語"]


class Page(HTMLParser):
    """Check that tags close in order; gather the texts of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.targets += [
            value or "" for name, value in attrs if name in ("src", "href", "onload", "onclick")
        ]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def make_stream(classes: list[str], n: int = 200, unseen: tuple[str, ...] = ()) -> Stream:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, len(classes), n)
    logits = generator.normal(size=(n, len(classes)))
    logits[np.arange(n), truth] += 2
    powers = np.exp(logits)
    labels = [classes[i] for i in truth]
    labels[: len(unseen)] = unseen
    stream = Stream(classes, n_mistakes=5)
    texts = [f"<b>text {i}</b> & so on" for i in range(n)]
    stream.add(stream.encode(labels), powers / powers.sum(axis=1, keepdims=True), texts)
    return stream


def read_page(path: str) -> Page:
    page = Page()
    page.feed(Path(path).read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def test_the_page_holds_everything_escaped() -> None:
    stream = make_stream(NASTY, unseen=("new <label>", "other"))
    result = stream.result()
    write_html(
        result,
        "report.html",
        title="model <1> & test",
        mistakes=stream.mistakes(),
        comparisons={"rival <i>": Comparison(100, 60, 20, 20)},
    )
    page = read_page("report.html")
    assert not {"script", "b1", "i", "img", "link"} & set(page.tags)
    assert page.targets == []
    words = "\n".join(page.words)
    for name in NASTY:
        assert name in words
    for mistake in stream.mistakes():
        assert mistake.text in words
        assert f"{mistake.probability:.3f}" in words
    assert "new <label> (1), other (1)" in words
    assert "rival <i>" in words and "+0.200" in words and "< 0.001" in words
    assert page.tags.count("svg") == 2
    for value in (result.accuracy, result.macro_f1, result.weighted_f1):
        assert f"{value:.3f}" in words
    assert str(result.intervals()["accuracy"]) in words
    assert "{{" not in words
    text = Path("report.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"https?://", text)


def test_the_page_is_the_same_on_every_run() -> None:
    for name in ("a.html", "b.html"):
        write_html(make_stream(["x", "y"]).result(), name)
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


def test_every_cell_of_the_matrix_is_drawn() -> None:
    result = make_stream(["x", "y", "z"], unseen=("new",)).result()
    write_html(result, "report.html")
    text = Path("report.html").read_text(encoding="utf-8")
    counts = re.findall(r"<title>(.+?) → (.+?): ([\d,]+) rows", text)
    assert len(counts) == np.count_nonzero(result.counts)
    for truth, predicted, count in counts:
        assert result.counts[result.classes.index(truth), result.classes.index(predicted)] == int(
            count
        )


def test_of_many_classes_those_with_the_most_errors_are_drawn_side_by_side() -> None:
    classes = [f"c{i}" for i in range(150)]
    truth = [*classes, *["c7", "c99"] * 5, "c30", "c31"]
    predicted = [*classes, *["c99", "c7"] * 5, "c31", "new"]
    result = evaluate([*truth, "odd"], [*predicted, "c1"], classes=[*classes, "new"])
    rows, columns = result.arrange(MAX_CLASSES)
    assert len(columns) == MAX_CLASSES and rows == [*columns, 151]
    assert abs(columns.index(7) - columns.index(99)) == 1
    assert {7, 30, 31, 99, 150} < {*columns}
    write_html(result, "report.html")
    words = "\n".join(read_page("report.html").words)
    assert f"Of 151 classes the {MAX_CLASSES} with the most errors" in words
    assert result.arrange(200)[1] != list(range(151))
    assert evaluate(["a"], ["b"], classes=["a", "b"]).arrange(40) == ([0, 1], [0, 1])


def test_long_names_stand_whole_and_their_columns_have_numbers() -> None:
    long = "Why was my payment reverted by the merchant"
    drawn = confusion_svg(evaluate([long, "b"], ["b", "b"], classes=["b", long]))
    assert f"{long}\u20022</text>" in drawn and f"<title>{long}</title>2</text>" in drawn
    assert "rotate(-45)" in confusion_svg(evaluate(["a"], ["a"], classes=["a", "b"]))


@pytest.mark.parametrize(
    "result",
    [
        evaluate([], [], classes=["a"]),
        evaluate(["a"], ["a"], classes=["a", "b"]),
        Stream(["a"]).result(),
    ],
)
def test_a_page_of_little_is_a_page(result: Evaluation) -> None:
    write_html(result, "report.html")
    assert "svg" in read_page("report.html").tags


def make_label_stream(classes: list[str], n: int = 60) -> MultiLabelStream:
    generator = np.random.default_rng(2)
    truth, probabilities = (
        generator.random((n, len(classes))) < 0.3,
        generator.random((n, len(classes))),
    )
    thresholds = np.full(len(classes), 0.625)
    stream = MultiLabelStream(classes, thresholds=thresholds, n_mistakes=5)
    marks = (truth, probabilities > thresholds)
    truths, guesses = (
        [[classes[i] for i in np.flatnonzero(row)] for row in rows] for rows in marks
    )
    truths[0].append("new <label>")
    stream.add(truths, guesses, probabilities, [f"<b>text {i}</b> & so on" for i in range(n)])
    return stream


def test_the_page_of_a_multilabel_model_holds_everything_escaped() -> None:
    stream = make_label_stream(NASTY)
    result = stream.result()
    write_multilabel_html(
        result, "report.html", title="model <1> & test", mistakes=stream.mistakes()
    )
    page = read_page("report.html")
    assert not {"script", "label", "b1", "img", "link"} & set(page.tags) and page.targets == []
    words = "\n".join(page.words)
    for name in (*NASTY, "new <label> (1)", "0.625", "model <1> & test"):
        assert name in words
    assert len(stream.mistakes()) == 5
    for mistake in stream.mistakes():
        assert mistake.text in words and f"{mistake.loss:.3f}" in words
        for probability in (*mistake.missed.values(), *mistake.extra.values()):
            assert probability is None or f"{probability:.3f}" in words
    for name, interval in result.intervals().items():
        assert f"{getattr(result, name):.3f}" in words and str(interval) in words
    assert page.tags.count("svg") == 1 and "{{" not in words


def test_the_page_of_a_regression_holds_everything_escaped() -> None:
    stream = RegressionStream(n_mistakes=3)
    truth, predicted = np.random.default_rng(3).normal(size=(2, 50))
    stream.add(truth, predicted, [f"<b>text {i}</b> & so on" for i in range(50)])
    results = {"stars <i>": stream.result(), "other": evaluate_regression([1.0, 1.0], [1.0, 1.0])}
    write_regression_html(
        results, "report.html", title="<t>", mistakes={"stars <i>": stream.mistakes()}
    )
    page = read_page("report.html")
    assert not {"script", "i", "t", "img", "link"} & set(page.tags) and page.targets == []
    words = "\n".join(page.words)
    assert "stars <i>" in words and page.tags.count("svg") == 4
    for name, interval in results["stars <i>"].intervals().items():
        assert f"{getattr(results['stars <i>'], name):.4g}" in words and f"{interval:.4g}" in words
    for mistake in stream.mistakes():
        assert mistake.text in words and f"{mistake.residual:+.4g}" in words
    text = Path("report.html").read_text(encoding="utf-8")
    drawn = re.findall(r"<title>([\d,]+) rows: true", text)
    assert len(drawn) == sum(np.count_nonzero(result.field.counts) for result in results.values())
    assert not re.search(r"\bnan\b", text)


def test_the_pages_of_all_tasks_are_the_same_on_every_run() -> None:
    pages = []
    for _ in range(2):
        stream = make_label_stream(["x", "y"])
        write_multilabel_html(stream.result(), "a.html", mistakes=stream.mistakes())
        write_regression_html({"v": evaluate_regression([1.0, 2.0], [1.0, 3.0])}, "b.html")
        pages.append((Path("a.html").read_bytes(), Path("b.html").read_bytes()))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("n_labels", [1, 3, 130])
def test_labels_are_drawn_whole_or_the_most_frequent(
    n_labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textkit.evaluation import figures

    drawn: list[Any] = []
    monkeypatch.setattr(figures, "save_figure", lambda figure, path: drawn.append(figure))
    result = make_label_stream(
        [*NASTY, *(f"label {i}" for i in range(n_labels))][:n_labels]
    ).result()
    draw_labels(result, "l.png")
    (axes,) = drawn[0].axes
    rows = [
        int(re.findall(r"\(([\d,]+)\)$", label.get_text())[0]) for label in axes.get_yticklabels()
    ]
    assert rows == sorted(result.support.tolist(), reverse=True)[:100]
    assert [bar.get_width() for bar in axes.patches] == result.f1[
        np.argsort(-result.support, kind="stable")
    ][:100].tolist()
    assert drawn[0].get_size_inches()[1] < 30


@pytest.mark.slow
def test_pictures_of_every_task_are_png() -> None:
    labels = make_label_stream(NASTY).result()
    draw_labels(labels, "labels.png")
    draw_reliability(labels, "reliability.png")
    results = {
        name: evaluate_regression(values, [*values[1:], values[0]])
        for name, values in {
            "$x_": [1.0, 2.0, 1e9],
            "one": [3.0],
            "same": [0.0, 0.0],
            "small": [1e-12, 2e-12],
        }.items()
    }
    draw_regression(results, "regression.png")
    draw_regression({"value": evaluate_regression([1.0, 2.0], [2.0, 1.0])}, "one.png")
    for name in ("labels.png", "reliability.png", "regression.png", "one.png"):
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match="no probabilities"):
        draw_reliability(evaluate_multilabel([("a",)], [()], classes=["a"]), "c.png")


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 42])
def test_the_picture_is_a_png(n_classes: int) -> None:
    classes = [*NASTY, *(f"class {i} $\\frac{{" for i in range(n_classes))][:n_classes]
    draw_confusion(evaluate(classes, classes[::-1], classes=classes), "c.png")
    assert Path("c.png").read_bytes().startswith(b"\x89PNG")


def test_the_reliability_diagram_is_a_png_and_needs_probabilities() -> None:
    for name, stream in (("some.png", make_stream(NASTY)), ("none.png", Stream(["a"]))):
        draw_reliability(stream.result(), name)
        assert Path(name).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match="no probabilities"):
        draw_reliability(evaluate(["a"], ["a"], classes=["a"]), "c.png")


@pytest.mark.parametrize(
    "lines",
    [
        [{"epoch": 1, "train_loss": 0.5}],
        [
            {
                "epoch": i,
                "train_loss": 1 / i,
                "valid_loss": 0.9,
                "valid_accuracy": 0.1 * i,
                "lr": 0.1 / i,
            }
            for i in (1, 2, 3)
        ],
        [
            {"epoch": 1, "valid_loss": float("nan"), "valid_mae": 2},
            {"epoch": 2, "valid_loss": 0.3, "note": "$x_"},
        ],
        [{"epoch": i, "valid_a_$_name": i} for i in (1, 2)],
    ],
)
def test_curves_are_drawn(lines: list[dict[str, object]]) -> None:
    Path("metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    draw_curves("metrics.jsonl", "curves.png")
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


def test_curves_differ_where_the_numbers_do() -> None:
    pictures = []
    for loss in (0.4, 0.4, 0.6):
        Path("m.jsonl").write_text(
            json.dumps({"epoch": 1, "train_loss": 1})
            + "\n"
            + json.dumps({"epoch": 2, "train_loss": loss}),
            encoding="utf-8",
        )
        draw_curves("m.jsonl", "c.png")
        pictures.append(Path("c.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "^m.jsonl: no epochs to draw"),
        ('{"epoch": 1}\n', "^m.jsonl: no line has a loss or a score"),
        ('{"epoch": 1, "train_loss": 1}\n{"epoch"', "^m.jsonl:2: not valid JSON"),
        ("[1]\n", "^m.jsonl:1: expected a JSON object with an epoch"),
    ],
)
def test_metrics_that_cannot_be_drawn_are_refused(text: str, message: str) -> None:
    Path("m.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        draw_curves("m.jsonl", "c.png")
    assert not Path("c.png").exists()


def test_missing_metrics_are_named() -> None:
    with pytest.raises(StorageError, match=r"^none.jsonl: cannot open"):
        read_metrics("none.jsonl")
