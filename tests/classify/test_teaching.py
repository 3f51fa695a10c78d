"""Distillation: what a student learns of a teacher beside, and beyond, its own labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from textkit import TextClassifier
from textkit.classify import answers
from textkit.classify.learner import Examples
from textkit.classify.machines import DenseFeatures
from textkit.data.lessons import Lesson
from textkit.errors import DataError, TextkitError, UsageError
from textkit.jobs import ExportOptions, TrainOptions, export_model, train_run
from textkit.recipe import make_recipe
from textkit.training.losses import Taught
from textkit.watch import Step, Watch

if TYPE_CHECKING:
    from textkit.classify.fitted import Model

GOOD = ["fine", "lovely", "super", "brisk", "warm", "jolly", "neat", "zesty", "ideal", "vivid"]
BAD = ["dull", "poor", "grim", "hoarse", "muddy", "cruel", "stale", "awkward", "ugly", "vexing"]
EVERY = [f"a {word} thing" for pair in zip(GOOD, BAD, strict=True) for word in pair] * 5
KINDS = ["pos", "neg"] * 50
# The labelled rows know two of the words each; texts without labels hold the others.
FEW = [text for text in EVERY if text.split()[1] in {*GOOD[:2], *BAD[:2]}]
FEW_KINDS = ["pos" if text.split()[1] in GOOD else "neg" for text in FEW]
TASKS: dict[str, Callable[[str], Any]] = {
    "single-label": lambda kind: kind,
    "multi-label": lambda kind: [kind, "any"],
    "regression": lambda kind: 5.0 if kind == "pos" else -5.0,
}
BAG: dict[str, Any] = {
    "encoder": {"name": "bag"},
    "embedding": {"dim": 8, "dropout": 0.0},
    "head": {"pooling": ["mean"], "dropout": 0.0},
    "training": {"epochs": 12, "lr": 0.1, "average": 0.0, "device": "cpu"},
    "tokenizer": {"name": "word", "min_frequency": 1},
}
STUDENTS: dict[str, dict[str, Any]] = {"linear": {"encoder": {"name": "linear"}}, "bag": BAG}


def labels(task: str, kinds: list[str]) -> list[Any]:
    return [TASKS[task](kind) for kind in kinds]


def teacher(task: str = "single-label") -> TextClassifier:
    return TextClassifier(encoder="linear", head__task=task).fit(EVERY, labels(task, KINDS))


def student(kind: str, task: str = "single-label", **more: Any) -> TextClassifier:
    return TextClassifier(STUDENTS[kind], head__task=task, **more)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", STUDENTS)
def test_a_student_learns_words_that_no_labelled_row_has(kind: str, task: str) -> None:
    given, wanted = labels(task, FEW_KINDS), labels(task, KINDS)
    alone = student(kind, task).fit(FEW, given).score(EVERY, wanted)
    taught = student(kind, task).fit(FEW, given, teacher=teacher(task), unlabelled=EVERY)
    assert taught.score(EVERY, wanted) > max(0.9, alone + 0.1)
    assert taught.n_rows_ == len(FEW)
    if task != "regression":
        assert taught.fitted_.facts is not None
        assert taught.fitted_.facts.class_rows["pos"] == FEW_KINDS.count("pos")


@pytest.mark.parametrize("kind", STUDENTS)
def test_the_teacher_outweighs_wrong_labels_by_its_share(kind: str) -> None:
    wrong = ["neg" if label == "pos" else "pos" for label in KINDS]
    for weight, right in ((1.0, KINDS), (0.0, wrong)):
        model = student(kind, distil__weight=weight)
        model.fit(EVERY, wrong, teacher=teacher(), validation=(EVERY, right))
        assert model.score(EVERY, right) == 1.0


def test_classes_are_matched_by_name_whatever_their_order() -> None:
    swapped = TextClassifier(encoder="linear").fit(EVERY, KINDS)
    fitted = swapped.fitted_
    order = fitted.classes[::-1].copy()
    assert order.tolist() != fitted.classes.tolist()
    object.__setattr__(fitted, "classes", order)  # a teacher whose columns are the other way round
    taught = student("linear").fit(FEW, FEW_KINDS, teacher=swapped, unlabelled=EVERY)
    assert taught.score(EVERY, swapped.predict(EVERY)) > 0.9


def test_a_teacher_of_other_labels_is_refused_by_name() -> None:
    other = TextClassifier(encoder="linear").fit(EVERY, ["pos", "bad"] * 50)
    with pytest.raises(DataError, match=r"it does not know 'neg'; no row is 'bad'; take"):
        student("linear").fit(FEW, FEW_KINDS, teacher=other)
    numbers = teacher("regression")
    with pytest.raises(UsageError, match="the teacher was trained for regression, not single"):
        student("linear").fit(FEW, FEW_KINDS, teacher=numbers)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"encoder": "auto"}, "encoder = 'auto' learns from no teacher"),
        ({"encoder": "linear", "distil__temperature": 2.0}, "nothing to a linear model"),
        ({"head__task": "regression", "distil__temperature": 2.0}, "nothing to a regression"),
        ({"distil__weight": 1.5}, r"distil\.weight = 1\.5"),
    ],
)
def test_what_cannot_be_taught_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TextClassifier(**options).fit(FEW, FEW_KINDS, teacher=teacher())


def test_what_is_for_a_teacher_is_refused_without_one() -> None:
    with pytest.raises(UsageError, match=r"distil\.weight is the share of a teacher"):
        student("linear", distil__weight=0.3).fit(FEW, FEW_KINDS)


def test_empty_texts_are_left_out_and_that_is_said() -> None:
    said: list[str] = []
    more = [*EVERY, "", " "]
    student("linear").fit(
        FEW, FEW_KINDS, teacher=teacher(), unlabelled=more, watch=Watch(note=said.append)
    )
    assert "2 of 102 unlabelled texts are empty and are left out" in said


def test_a_linear_model_takes_a_row_once_for_each_class_weighed_by_its_share() -> None:
    said = np.array([[0.2, 0.8], [0.999, 0.001], [0.5, 0.5]], np.float32)
    share, known = np.array([0.5, 1.0, 1.0], np.float32), np.array([True, False, False])
    rows = DenseFeatures(np.arange(3, dtype=np.float32)[:, None])
    weights = np.array([1.0, 2.0, 1.0], np.float32)
    examples = Examples(rows, np.array([0, 0, 0]), weights, Lesson(said, share, known)).spread()
    assert isinstance(examples.rows, DenseFeatures)
    assert examples.rows.vectors[:, 0].tolist() == [0, 0, 1, 2, 2]
    assert examples.targets.tolist() == [0, 1, 0, 0, 1]
    np.testing.assert_allclose(examples.weights, [0.6, 0.4, 1.998, 0.5, 0.5], rtol=1e-6)


def test_at_a_temperature_the_gradient_is_that_of_softened_distributions() -> None:
    first, second = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.3, 0.1, -0.7]])
    lesson = Lesson(first.softmax(1).numpy(), np.ones(1, np.float32), np.zeros(1, np.bool_))
    taught = Taught.of(lesson, "single-label", np.array([0]), heat=3.0)
    outputs = second.clone().requires_grad_()
    taught.losses("single-label", outputs, torch.zeros(1)).sum().backward()
    again = second.clone().requires_grad_()
    apart = functional.kl_div(
        (again / 3).log_softmax(1), (first / 3).softmax(1), reduction="batchmean"
    )
    (9 * apart).backward()
    assert outputs.grad is not None and again.grad is not None
    torch.testing.assert_close(outputs.grad, again.grad)


def test_of_several_labels_each_is_softened_for_itself() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    lesson = Lesson(logits.sigmoid().numpy(), np.ones(1, np.float32), np.zeros(1, np.bool_))
    said = Taught.of(lesson, "multi-label", np.array([0]), heat=3.0).said
    torch.testing.assert_close(said, (logits / 3).sigmoid())


def write_files() -> None:
    rows = [f"{text},{kind}\n" for text, kind in zip(FEW, FEW_KINDS, strict=True)]
    Path("few.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    Path("more.txt").write_text("\n".join(EVERY) + "\n", encoding="utf-8")
    teacher().save("big")


def options(out: str = "run", **more: Any) -> TrainOptions:
    chosen = {"recipe": make_recipe(BAG), "teacher": Path("big"), "baseline": False, **more}
    chosen = {"unlabelled": Path("more.txt"), **chosen}
    return TrainOptions(data=Path("few.csv"), out=Path(out), **chosen)


def test_a_stopped_run_goes_on_to_the_same_bytes_when_its_teacher_is_gone() -> None:
    write_files()
    recipe = make_recipe(BAG, distil={"temperature": 2.0}, training={"checkpoint_seconds": 0.0})
    whole = train_run(options("whole", recipe=recipe))
    seen: list[Step] = []
    stop = Watch(step=seen.append, should_stop=lambda: len(seen) >= 5)
    assert train_run(options(recipe=recipe), watch=stop).stopped
    TextClassifier(encoder="linear", seed=1).fit(EVERY[::-1], KINDS[::-1]).save("other")
    for changed, said in (
        ({"teacher": Path("other")}, "--teacher is not as when"),
        ({"unlabelled": None}, "--unlabelled is not as when"),
    ):
        with pytest.raises(UsageError, match=said):
            train_run(options(resume=True, **{"recipe": recipe, **changed}))
    shutil.rmtree("big")
    again = train_run(options(recipe=recipe, resume=True, teacher=None))
    weights = [(report.model / "model.safetensors").read_bytes() for report in (whole, again)]
    assert weights[0] == weights[1]
    assert "[distil]" in Path("run/recipe.toml").read_text(encoding="utf-8")


def test_an_exported_model_teaches_as_the_one_that_it_was() -> None:
    write_files()
    small = train_run(options("first"))
    export_model(ExportOptions(model=small.model, out=Path("exported")))
    reports = [
        train_run(options(str(place), teacher=source))
        for place, source in (("a", small.model), ("b", Path("exported")))
    ]
    said = [TextClassifier.load(report.model).predict(EVERY).tolist() for report in reports]
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"stream": True}, "goes with neither --stream nor --find-lr"),
        ({"teacher": None, "stream": True}, "--unlabelled without a --teacher fits several"),
        ({"overrides": ["encoder.name=auto"], "recipe": None}, "'auto' learns from no teacher"),
        ({"teacher": Path("few.csv")}, "few.csv: is a file, not a folder"),
        ({"unlabelled": Path("empty.txt")}, "empty.txt"),
    ],
)
def test_options_that_do_not_go_together_begin_no_run(more: dict[str, Any], said: str) -> None:
    write_files()
    Path("empty.txt").write_text("", encoding="utf-8")
    with pytest.raises(TextkitError, match=said):
        train_run(options(**more))
    assert not Path("run").exists()


class Counting:
    """A model that counts the texts it is asked about."""

    def __init__(self, model: Any) -> None:
        self.model, self.n_asked = model, 0

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.n_asked += len(texts)
        if self.n_asked > 3000:
            raise KeyboardInterrupt
        said: NDArray[np.float32] = self.model.logits(texts)
        return said


def test_a_teacher_that_was_interrupted_is_asked_about_the_rest_alone(tmp_path: Path) -> None:
    texts = [f"{text} {i}" for i, text in enumerate(EVERY * 40)]
    fitted = teacher().fitted_
    wanted = answers.ask(fitted, texts)
    slow = Counting(fitted.model)
    counted = replace(fitted, model=cast("Model", slow))
    with pytest.raises(KeyboardInterrupt):
        answers.ask(counted, texts, folder=tmp_path)
    slow.n_asked = 0
    np.testing.assert_array_equal(answers.ask(counted, texts, folder=tmp_path), wanted)
    assert slow.n_asked == 16 + len(texts) - 2048
    np.testing.assert_array_equal(answers.ask(None, texts, folder=tmp_path), wanted)
    for others in (texts[:-1], [*texts, "one more"]):
        with pytest.raises(UsageError, match="not kept whole; name it again: --teacher MODEL"):
            answers.ask(None, others, folder=tmp_path)


def test_another_teacher_is_asked_anew(tmp_path: Path) -> None:
    answers.ask(teacher().fitted_, EVERY, folder=tmp_path)
    wrong = ["neg" if label == "pos" else "pos" for label in KINDS]
    other = TextClassifier(encoder="linear").fit(EVERY, wrong).fitted_
    said = answers.ask(other, EVERY, folder=tmp_path)
    np.testing.assert_array_equal(said, answers.ask(other, EVERY))
    (tmp_path / answers.FILE).write_bytes(b"no safetensors")
    np.testing.assert_array_equal(answers.ask(other, EVERY, folder=tmp_path), said)


def test_a_refused_teacher_leaves_no_run_behind() -> None:
    write_files()
    TextClassifier(encoder="linear").fit(EVERY, ["pos", "bad"] * 50).save("wrong")
    with pytest.raises(DataError, match="it does not know 'neg'"):
        train_run(options(teacher=Path("wrong")))
    assert not Path("run").exists()
    Path("run").mkdir()
    Path("run/lr.png").write_bytes(b"a picture of rates")
    with pytest.raises(DataError, match="it does not know 'neg'"):
        train_run(options(teacher=Path("wrong")))
    assert [path.name for path in Path("run").iterdir()] == ["lr.png"]
