"""A spaCy pipeline classifies as textkit does, carries its model, and has textkit's vectors."""

# ruff: noqa: E402 - without spaCy the imports below are skipped

from __future__ import annotations

import pickle
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

spacy = pytest.importorskip("spacy", reason="spaCy is not installed")

from spacy.scorer import Scorer
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import OOV_RANK

from textkit import TextClassifier, Vectors
from textkit.classify.fitted import Fitted
from textkit.errors import ArtifactError, TextkitError, UsageError
from textkit.integrations.spacy import TextkitClassifier, add_vectors
from textkit.jobs import ExportOptions, export_model

ROOT = Path(__file__).parents[2]
NAME = "textkit_classifier"
TEXTS = ["good film", "bad film", "good plot indeed", "bad plot"] * 10
LABELS: dict[str, list[Any]] = {
    "single-label": ["pos", "neg", "pos", "neg"] * 10,
    "multi-label": [["a"], ["b"], ["a", "b"], []] * 10,
    "regression": [1.5, 200.0, 3.0, 4.0] * 10,
}
HARD = ["a good film", "", "bad " * 40, "👨‍👩‍👧 ภาษาไทย", " \n ", "good\tplot", ""]
BAG = {
    "encoder": "bag",
    "head__pooling": ("mean",),
    "embedding__dim": 8,
    "training__epochs": 1,
    "training__average": 0.0,
    "seed": 1,
}
LINEAR = {"encoder": "linear"}


def fit(task: str = "single-label", **options: Any) -> TextClassifier:
    """Fit a small model, with a temperature that shows."""
    model = TextClassifier(**(options or LINEAR), head__task=task).fit(TEXTS, LABELS[task])
    model.fitted_ = replace(model.fitted_, temperature=1.0 if task == "regression" else 1.7)
    return model


def pipeline(model: str | Path | None, **config: Any) -> Any:
    """Make a pipeline of nothing but the component."""
    nlp = spacy.blank("en")
    given = None if model is None else str(model)
    nlp.add_pipe(NAME, config={"model": given, **config})
    return nlp


def check(nlp: Any, model: TextClassifier, *, name: str = NAME) -> None:
    """Hold what a pipeline says against what the model does."""
    wanted, answers = model.predict_proba(HARD), model.predict(HARD)
    for docs in ([nlp(text) for text in HARD], list(nlp.pipe(HARD, batch_size=3))):
        said = [[doc.cats[str(label)] for label in model.classes_] for doc in docs]
        assert np.abs(np.array(said) - wanted).max() < 1e-6
        assert [doc.text for doc in docs] == HARD
        for doc, answer in zip(docs, answers, strict=True):
            assert all(type(value) is float for value in doc.cats.values())
            assert doc._.textkit[name] == (list(answer) if isinstance(answer, tuple) else answer)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear") / "model"
    fit().save(folder)
    return folder


@pytest.mark.parametrize(
    ("task", "options"),
    [("single-label", LINEAR), ("multi-label", LINEAR), ("single-label", BAG)],
)
def test_cats_are_the_probabilities_of_predict_proba(task: str, options: dict[str, Any]) -> None:
    model = fit(task, **options)
    model.save("model")
    check(pipeline("model"), model)


def test_an_exported_model_and_a_zip_and_a_run_folder_are_models() -> None:
    model = fit(**BAG)
    model.save("run/model")
    Path("run/recipe.toml").touch()
    export_model(ExportOptions(model=Path("run"), out=Path("out.zip")))
    for place in ("run", "run/model", "out.zip"):
        nlp = pipeline(place)
        check(nlp, model)
        nlp.to_disk("saved")
        check(spacy.load("saved"), model)
        check(pickle.loads(pickle.dumps(nlp)), model)


def test_labels_that_are_numbers_are_named_by_their_digits() -> None:
    model = TextClassifier(encoder="linear").fit(TEXTS, [1, 0] * 20)
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME).initialize(model=model)
    check(nlp, model)
    assert nlp.pipe_labels == {NAME: ["0", "1"]}
    assert nlp("good")._.textkit[NAME] == 1


def test_a_regression_has_a_number_and_no_cats() -> None:
    model = fit("regression")
    model.save("model")
    nlp = pipeline("model")
    docs = list(nlp.pipe(HARD))
    assert [doc._.textkit[NAME] for doc in docs] == model.predict(HARD).tolist()
    assert [doc.cats for doc in docs] == [{}] * len(HARD)
    assert nlp.get_pipe(NAME).labels == ()
    examples = [Example.from_dict(nlp.make_doc("good"), {"cats": {}})]
    assert "cats_score" not in nlp.evaluate(examples)


def test_a_saved_pipeline_holds_its_model(linear: Path) -> None:
    model = TextClassifier.load(linear)
    model.save("model")
    nlp = pipeline("model")
    nlp.to_disk("out")
    nlp.to_disk("out")
    Path("model").rename("elsewhere")
    Path("out").rename("moved")
    check(spacy.load("moved"), model)
    again = TextClassifier.load(f"moved/{NAME}")
    assert np.array_equal(again.predict_proba(HARD), model.predict_proba(HARD))
    assert spacy.load("moved").meta["labels"] == {NAME: ["neg", "pos"]}
    # The folder that the config names is looked at, and what is wrong with it matters no more.
    Path("model").mkdir()
    check(spacy.load("moved"), model)


def test_bytes_and_pickles_hold_the_model(linear: Path) -> None:
    model = TextClassifier.load(linear)
    model.save("model")
    nlp = pipeline("model", batch_size=2)
    data, pickled = nlp.to_bytes(), pickle.dumps(nlp)
    assert data == nlp.to_bytes()
    Path("model").rename("elsewhere")
    check(spacy.util.get_lang_class("en").from_config(nlp.config).from_bytes(data), model)
    check(pipeline(None).from_bytes(data), model)
    restored = pickle.loads(pickled)
    check(restored, model)
    assert restored.get_pipe(NAME).batch_size == 2
    empty = pickle.loads(pickle.dumps(TextkitClassifier("empty")))
    assert empty.name == "empty" and empty.labels == ()


def test_two_models_stand_side_by_side(linear: Path) -> None:
    tags = fit("multi-label")
    nlp = pipeline(linear)
    component = nlp.add_pipe(NAME, name="tags", first=True)
    component.initialize(model=tags)
    check(nlp, TextClassifier.load(linear))
    check(nlp, tags, name="tags")
    assert set(nlp("good").cats) == {"neg", "pos", "a", "b"}
    with nlp.select_pipes(disable=["tags"]):
        assert set(nlp("good").cats) == {"neg", "pos"}
        assert set(nlp("good")._.textkit) == {NAME}
    assert nlp.get_pipe(NAME).thresholds == {}


def test_answers_travel_with_their_docs(linear: Path) -> None:
    nlp = pipeline(linear)
    packed = DocBin(docs=nlp.pipe(["good film", "bad"]), store_user_data=True).to_bytes()
    docs = list(DocBin().from_bytes(packed).get_docs(nlp.vocab))
    assert [doc._.textkit for doc in docs] == [{NAME: "pos"}, {NAME: "neg"}]
    assert nlp.make_doc("good")._.textkit == {}


def examples_of(nlp: Any, gold: dict[str, dict[str, float]]) -> list[Example]:
    return [Example.from_dict(nlp.make_doc(text), {"cats": cats}) for text, cats in gold.items()]


def test_evaluate_scores_as_textcat_does(linear: Path) -> None:
    nlp = pipeline(linear)
    gold = {
        "good film": {"pos": 1.0, "neg": 0.0},
        "good": {"pos": 0.0, "neg": 1.0},
        "bad plot": {"pos": 0.0, "neg": 1.0},
    }
    scores = nlp.evaluate(examples_of(nlp, gold))
    examples = examples_of(nlp, gold)
    for example in examples:
        example.predicted = nlp(example.text)
    wanted = Scorer.score_cats(examples, "cats", labels=["neg", "pos"], multi_label=False)
    assert {key: scores[key] for key in wanted} == wanted
    assert scores["cats_f_per_type"]["neg"] == {"p": 1.0, "r": 0.5, "f": pytest.approx(2 / 3)}
    assert scores["cats_score"] == scores["cats_macro_f"]
    assert nlp.get_pipe_meta(NAME).scores == spacy.blank("en").get_factory_meta("textcat").scores


def test_a_label_of_several_counts_where_it_exceeds_its_own_threshold() -> None:
    model = fit("multi-label")
    shares = model.predict_proba(TEXTS[:4])
    # Of `a` only its best row is above, of `b` all but the lowest: none that only reaches it.
    thresholds = np.array([np.sort(shares[:, 0])[-2], shares[:, 1].min()])
    model.fitted_ = replace(model.fitted_, thresholds=thresholds)
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME).initialize(model=model)
    assert nlp.get_pipe(NAME).thresholds == dict(zip("ab", thresholds.tolist(), strict=True))
    gold = {
        text: {"a": float("a" in labels), "b": float("b" in labels)}
        for text, labels in zip(TEXTS[:4], LABELS["multi-label"], strict=False)
    }
    # Nobody said whether the row that has `b` most surely has it.
    del gold[TEXTS[int(shares[:, 1].argmax())]]["b"]
    scores = nlp.evaluate(examples_of(nlp, gold))
    above = shares > thresholds
    for number, label in enumerate("ab"):
        said = [row for row, cats in enumerate(gold.values()) if label in cats]
        right = np.array([cats[label] for cats in gold.values() if label in cats])
        hits = (above[said, number] & (right > 0)).sum()
        found = scores["cats_f_per_type"][label]
        assert found["p"] == pytest.approx(hits / above[said, number].sum())
        assert found["r"] == pytest.approx(hits / right.sum())
    assert above.sum(axis=0).tolist() == [1, 3]
    assert [set(nlp(text)._.textkit[NAME]) for text in gold] == [
        {label for label, is_above in zip("ab", row, strict=True) if is_above} for row in above
    ]
    examples = examples_of(nlp, gold)
    for example in examples:
        example.predicted = nlp(example.text)
    plain = Scorer.score_cats(examples, "cats", labels=["a", "b"], multi_label=True)
    assert scores["cats_auc_per_type"] == plain["cats_auc_per_type"]
    assert scores["cats_score"] == plain["cats_score"] == plain["cats_macro_auc"]
    asked = nlp.get_pipe(NAME).score(examples, threshold=0.99)
    assert asked["cats_micro_r"] == 0.0


def test_a_pipeline_that_is_trained_leaves_it_and_reads_its_cats(linear: Path) -> None:
    nlp = pipeline(None)
    nlp.config["initialize"]["components"][NAME] = {"model": str(linear)}
    seen = []

    class Reader:
        def __call__(self, doc: Doc) -> Doc:
            return doc

        def update(self, examples: list[Example], **_: Any) -> dict[str, float]:
            seen.extend(example.predicted.cats for example in examples)
            return {}

    spacy.language.Language.factory("reader", func=lambda nlp, name: Reader())
    nlp.add_pipe("reader")
    nlp.initialize()
    before = nlp.get_pipe(NAME).classifier.predict_proba(HARD)
    nlp.update(examples_of(nlp, {"good film": {}}), annotates=[NAME])
    assert seen == [nlp("good film").cats]
    assert np.array_equal(nlp.get_pipe(NAME).classifier.predict_proba(HARD), before)
    nlp.initialize()  # of a model that is there nothing is forgotten
    assert not nlp.get_pipe(NAME).is_trainable


@pytest.mark.parametrize(("size", "wanted"), [(None, [3, 3, 1]), (5, [5, 2])])
def test_docs_go_to_the_model_as_many_at_a_time_as_is_said(
    size: int | None, wanted: list[int], linear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nlp = pipeline(linear, batch_size=size)
    sizes = []
    decide = Fitted.decide

    def count(self: Fitted, logits: np.ndarray) -> Any:
        sizes.append(len(logits))
        return decide(self, logits)

    monkeypatch.setattr(Fitted, "decide", count)
    assert len(list(nlp.pipe(HARD, batch_size=3))) == len(HARD)
    assert sizes == wanted


def test_what_fails_goes_to_the_handler_of_the_pipeline(linear: Path) -> None:
    nlp = pipeline(linear)
    failed = []
    nlp.set_error_handler(lambda name, component, docs, err: failed.append((name, len(docs), err)))
    nlp.get_pipe(NAME)._classifier = None
    assert list(nlp.pipe(["good", "bad", "plot"], batch_size=2)) == []
    assert [(name, size) for name, size, _ in failed] == [(NAME, 2), (NAME, 1)]
    assert all(isinstance(err, TextkitError) for _, _, err in failed)


@pytest.mark.parametrize(
    ("fail", "kind", "line"),
    [
        (lambda: pipeline("nowhere")("good"), ArtifactError, "nowhere: no such folder; expected"),
        (lambda: list(pipeline("nowhere").pipe(["a"])), ArtifactError, "nowhere: no such folder"),
        (lambda: pipeline("nowhere").to_disk("out"), ArtifactError, "nowhere: no such folder"),
        (lambda: pipeline("nowhere").initialize(), ArtifactError, "nowhere: no such folder"),
        (
            lambda: spacy.blank("en").add_pipe(NAME).from_disk("nowhere"),
            ArtifactError,
            "nowhere: no such folder",
        ),
        (
            lambda: pipeline(None)("good"),
            UsageError,
            r"component 'textkit_classifier' has no model; name its folder: .*\(model=FOLDER\)",
        ),
        (lambda: pipeline(None).initialize(), UsageError, "has no model; name its folder"),
        (
            lambda: spacy.blank("en").add_pipe(NAME).initialize(model=TextClassifier()),
            UsageError,
            "this TextClassifier is not fitted",
        ),
        (
            lambda: TextkitClassifier("mine").from_bytes(b"PK"),
            ArtifactError,
            "the bytes of 'mine': not readable as a .zip file",
        ),
        (
            lambda: pipeline("hf:ann/reviews"),
            UsageError,
            "no hub is asked for the model of a config",
        ),
        (lambda: TextkitClassifier(batch_size=0), UsageError, "batch_size is 0, expected 1"),
    ],
)
def test_an_error_is_one_line(
    fail: Callable[[], object], kind: type[TextkitError], line: str
) -> None:
    with pytest.raises(kind, match=rf"^.*{line}[^\n]*$") as caught:
        fail()
    assert "\n" not in str(caught.value)


def test_a_pipeline_without_the_folder_of_its_model_is_refused(linear: Path) -> None:
    pipeline(linear).to_disk("out")
    weights = Path("out", NAME, "model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=f"out/{NAME}/model.safetensors: file was changed"):
        spacy.load("out")
    Path("out", NAME).rename("elsewhere")
    with pytest.raises(ArtifactError, match=f"^out/{NAME}: no such folder"):
        spacy.load("out")


OWN = """
from textkit.nn.encoders.bag import BagEncoder

open("imported", "w").close()
Own = BagEncoder
"""


def test_no_pipeline_imports_what_its_model_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(".")
    Path("own_encoder.py").write_text(OWN, encoding="utf-8")
    code = "own_encoder:Own"
    model = TextClassifier(**{**BAG, "encoder": code}).fit(TEXTS, LABELS["single-label"])
    nlp = spacy.blank("en")
    nlp.add_pipe(NAME).initialize(model=model)
    nlp.to_disk("out")
    Path("imported").unlink()
    monkeypatch.delitem(sys.modules, "own_encoder")
    with pytest.raises(ArtifactError, match="'own_encoder:Own' is code of package"):
        spacy.load("out")
    assert not Path("imported").exists()
    again = spacy.load("out", exclude=[NAME])
    again.add_pipe(NAME).from_disk(f"out/{NAME}", allow=[code])
    check(again, model)
    for pipe in (nlp, again):
        check(pickle.loads(pickle.dumps(pipe)), model)
    again.config["initialize"]["components"][NAME] = {"model": "out", "allow": [code]}
    with pytest.raises(ValueError, match="allow"):
        again.initialize()


FORK = """
import json, sys
import spacy, textkit.integrations.spacy
nlp = spacy.blank("en")
nlp.add_pipe("textkit_classifier", config={"model": sys.argv[1]})
texts = ["good film", "bad film and a long text about a plot " * 30, ""] * 40
one = [(doc.cats, doc._.textkit) for doc in nlp.pipe(texts)]
two = [(doc.cats, doc._.textkit) for doc in nlp.pipe(texts, n_process=2, batch_size=16)]
assert len(one) == len(two)
for (cats, answer), (wanted, said) in zip(two, one):
    assert answer == said and all(abs(cats[key] - wanted[key]) < 1e-6 for key in wanted)
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", [LINEAR, {**BAG, "encoder": {"name": "cnn", "dim": 64}}])
def test_several_processes_say_the_same(options: dict[str, Any]) -> None:
    fit(**options).save("model")
    subprocess.run([sys.executable, "-c", FORK, "model"], check=True, timeout=60)


@pytest.mark.slow
def test_an_installed_textkit_needs_no_import(linear: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["spacy_factories"]
    said = "".join(f"{name} = {target}\n" for name, target in points.items())
    installed = Path("site/textkit_nlp-0.dist-info")
    installed.mkdir(parents=True)
    (installed / "entry_points.txt").write_text(f"[spacy_factories]\n{said}", encoding="utf-8")
    (installed / "METADATA").write_text("Name: textkit-nlp\nVersion: 0\n", encoding="utf-8")
    pipeline(linear).to_disk("out")
    code = (
        "import sys; sys.path.insert(0, 'site'); import spacy;"
        " print(spacy.load('out')('a good film')._.textkit)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "{'textkit_classifier': 'pos'}\n", done.stderr


def test_a_missing_spacy_is_one_line() -> None:
    code = "import sys; sys.modules['spacy'] = None; import textkit.integrations.spacy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    kind, _, line = done.stderr.splitlines()[-1].partition(": ")
    assert kind == "textkit.errors.MissingExtraError"
    assert line == (
        "spaCy is not installed, textkit.integrations.spacy needs it:"
        " pip install 'textkit-nlp[spacy]'"
    )


TABLE = np.array([[1, 0.5, 0], [1, 0.25, 0], [0, 0.5, 1]], np.float32)


def test_vectors_of_words_are_the_rows_of_the_table() -> None:
    v = Vectors(["king", "queen", "film"], TABLE)
    nlp = spacy.blank("en")
    nlp("a king")  # a word that spaCy met before
    add_vectors(nlp, v)
    for word in v.words:
        assert np.array_equal(nlp(word).vector, v[word])
        assert nlp(word)[0].has_vector and nlp.vocab.has_vector(word)
    assert nlp("king").similarity(nlp("queen")) == pytest.approx(v.similarity("king", "queen"))
    unknown = nlp("emperor King")
    assert not unknown[0].has_vector and not unknown.vector.any()
    assert [nlp.vocab[word].rank for word in ("king", "film", "a")] == [0, 2, OOV_RANK]
    assert nlp.vocab.vectors.name == nlp.meta["vectors"]["name"] == "en_pipeline.vectors"
    add_vectors(nlp, Vectors(["emperor"], np.ones((1, 2), np.float32)), name="other")
    assert nlp("emperor").vector.tolist() == [1.0, 1.0]
    assert not nlp("king")[0].has_vector and nlp.vocab["king"].rank == OOV_RANK
    assert nlp.vocab.vectors.name == "other"
    assert np.array_equal(v.table, TABLE)
    nlp.vocab.set_vector("emperor", np.zeros(2, np.float32))  # the table is the pipeline's own


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_vectors_go_into_a_pipeline_and_come_back(dtype: str) -> None:
    rows = np.array([0, 1, 2, 0])
    Vectors(["king", "Königin", "🙂", "monarch"], TABLE, word_rows=rows).save("v", dtype=dtype)
    v = Vectors.open("v")
    nlp = spacy.blank("de")
    add_vectors(nlp, "v")
    assert nlp.vocab.vectors.shape == (3, 3)
    nlp.to_disk("out")
    again = Vectors.open("spacy:out")
    assert sorted(again.words) == sorted(v.words)
    assert np.array_equal(again.lookup(list(v.words)), v.lookup(list(v.words)))
    assert again.rows(["monarch"]) == again.rows(["king"])
    loaded = spacy.load("out")
    assert np.array_equal(loaded("Königin").vector, v["Königin"])
    assert loaded.vocab.vectors.name == "de_pipeline.vectors"
    add_vectors(nlp, again)
    assert np.array_equal(nlp("🙂").vector, v["🙂"])


def test_a_table_without_words_gives_zeros() -> None:
    nlp = spacy.blank("en")
    add_vectors(nlp, Vectors([], np.zeros((0, 3), np.float32)))
    assert nlp("king").vector.tolist() == [0.0, 0.0, 0.0]
    with pytest.raises(TextkitError, match="no such file"):
        add_vectors(nlp, "nowhere.vec")
