"""The linear model: learnt by scikit-learn, kept as numbers, predicted with numpy alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from textkit import TextClassifier
from textkit.classify.linear_fitting import COSTS
from textkit.classify.machines import multiply
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.features.tfidf import SparseRows
from textkit.io import files
from textkit.jobs import (
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    evaluate_file,
    predict_file,
    train_run,
)
from textkit.watch import Watch

THINGS = ["film", "plot", "song", "book", "meal", "trip", "game", "show", "talk", "walk"]
KINDS = ["good", "bad", "long"]
TEXTS = [f"a {kind} {thing}, {thing}s are {kind}" for kind in KINDS for thing in THINGS] * 2
LABELS = [kind for kind in KINDS for _ in THINGS] * 2
SETS = [[kind, *(["early"] if thing < "m" else [])] for kind in KINDS for thing in THINGS] * 2
NUMBERS = [float(len(kind)) for kind in KINDS for _ in THINGS] * 2
TASKS = {
    "two classes": ("single-label", TEXTS[:20] * 2, LABELS[:20] * 2),
    "three classes": ("single-label", TEXTS, LABELS),
    "label sets": ("multi-label", TEXTS, SETS),
    "numbers": ("regression", TEXTS, NUMBERS),
    "pairs of numbers": ("regression", TEXTS, [[value, -value] for value in NUMBERS]),
}
ODD = ["", "  \n", "日本", "zzz qqq", "GOOD game", "lone \ud800 surrogate"]


def linear(**options: object) -> TextClassifier:
    return TextClassifier(encoder="linear", **options)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("loss", ["squared_hinge", "logistic"])
def test_every_task_is_learnt_and_predicts_the_same_once_loaded(tmp_path, name, loss):
    task, texts, labels = TASKS[name]
    model = linear(head__task=task, encoder__loss=loss).fit(texts, labels)
    assert model.score(texts, labels) > 0.9
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    assert np.array_equal(
        loaded.predict_logits([*texts, *ODD]), model.predict_logits([*texts, *ODD])
    )
    assert str(loaded.predict(ODD)) == str(model.predict(ODD))
    assert loaded.recipe_ == model.recipe_
    assert (loaded.temperature_, loaded.task_) == (model.temperature_, task)
    assert np.array_equal(loaded.thresholds_, model.thresholds_)


@pytest.mark.parametrize("name", ["two classes", "three classes", "label sets"])
def test_texts_without_a_known_feature_all_get_the_same_probabilities(name):
    task, texts, labels = TASKS[name]
    model = linear(head__task=task).fit(texts, labels)
    probabilities = model.predict_proba(["", "  \n", "日本 ﷽", "٣٣"])
    assert np.isfinite(probabilities).all()
    assert (probabilities == probabilities[0]).all()
    if task == "single-label":
        assert np.allclose(probabilities.sum(axis=1), 1)
    assert len(model.predict([])) == 0
    assert model.predict_proba([]).shape == (0, len(model.classes_))


def test_a_text_gives_the_same_bits_whatever_stands_beside_it():
    model = linear().fit(TEXTS, LABELS)
    together = model.predict_logits([*TEXTS, *ODD])
    alone = np.concatenate([model.predict_logits([text]) for text in [*TEXTS, *ODD]])
    assert np.array_equal(together, alone)


def test_sparse_rows_times_weights_is_the_dense_product():
    generator = np.random.default_rng(0)
    dense = generator.random((7, 30)) * (generator.random((7, 30)) < 0.3)
    dense[2] = 0
    columns = [np.flatnonzero(row) for row in dense]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in columns])])
    rows = SparseRows(offsets, np.concatenate(columns).astype(np.int32), dense[dense != 0])
    for n in (1, 2, 9):
        weights = generator.random((30, n)).astype(np.float32)
        assert np.allclose(multiply(rows, weights), dense @ weights, atol=1e-5)


def test_the_cost_is_chosen_among_some_or_taken_as_given():
    said: list[str] = []
    linear().fit(TEXTS, LABELS, watch=Watch(note=said.append))
    assert any(line.startswith(f"cost {cost:g};") for line in said for cost in COSTS)
    linear(encoder__cost=0.07).fit(TEXTS, LABELS, watch=Watch(note=said.append))
    assert any(line.startswith("cost 0.07;") for line in said)


def test_rows_held_out_are_learnt_at_last_unless_refit_is_off_or_they_are_given():
    def vocabulary(model: TextClassifier) -> int:
        return model.fitted_.model.n_weights

    texts = [f"{text} u{i}u" for i, text in enumerate(TEXTS)]
    whole, part = (linear(encoder__refit=refit).fit(texts, LABELS) for refit in (True, False))
    given = linear().fit(texts[:54], LABELS[:54], validation=(texts[54:], LABELS[54:]))
    assert vocabulary(whole) > vocabulary(part)
    assert vocabulary(given) < vocabulary(whole)
    assert whole.n_rows_ == part.n_rows_ == given.n_rows_ == 60
    # What is measured is measured on rows that the measured model did not learn from.
    assert whole.history_.best == part.history_.best


def test_balanced_class_weights_find_more_of_a_rare_class():
    texts = [f"common {thing} {i}" for i in range(9) for thing in THINGS]
    texts += [f"common rare {thing}" for thing in THINGS]
    labels = ["often"] * 90 + ["rare"] * 10
    wanted = [f"rare {thing} common 5" for thing in THINGS]
    plain, balanced = (
        linear(training__class_weights=kind, encoder__cost=0.01).fit(texts, labels)
        for kind in ("none", "balanced")
    )
    assert (plain.predict(wanted) == "rare").sum() < (balanced.predict(wanted) == "rare").sum()


def test_probabilities_are_calibrated_unless_the_recipe_says_not():
    assert linear().fit(TEXTS, LABELS).temperature_ != 1.0
    assert linear(training__calibrate=False).fit(TEXTS, LABELS).temperature_ == 1.0


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b"], ["x", "x"], "all 2 rows have the label 'x'"),
        (["", ""] * 9, ["x", "y"] * 9, "no n-gram of words or characters"),
        (["a b"], ["x", "y"], "1 texts but 2 labels"),
        ([], [], "no rows"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_refused(texts, labels, message):
    with pytest.raises(DataError, match=message):
        linear().fit(texts, labels)


def test_classes_of_one_row_are_learnt():
    texts, labels = [*TEXTS, "a strange thing"], [*LABELS, "odd"]
    assert linear().fit(texts, labels).predict(["a strange thing"]).tolist() == ["odd"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": "bpe"}, r"tokenizer.name = 'bpe' means nothing to a linear model"),
        ({"embedding__dim": 8}, r"embedding.dim = 8 means nothing"),
        ({"training__epochs": 3}, r"training.epochs = 3 means nothing"),
        ({"ngrams__minn": 3, "ngrams__maxn": 4}, r"ngrams\..* means nothing"),
        ({"encoder__members": 2}, r"encoder.members = 2 means nothing"),
        ({"encoder__cots": 2}, "unknown option of encoder 'linear' 'cots'; did you mean 'cost'"),
        ({"encoder__cost": 0}, "cost = 0; expected 'auto' or a number above 0"),
        ({"encoder__cost": "cheap"}, "cost = 'cheap'"),
        ({"encoder__loss": "log"}, "loss = 'log'; expected squared_hinge or logistic"),
        ({"encoder__words": [2, 1]}, r"words = \[2, 1\]"),
        ({"encoder__min_rows": -1}, "min_rows = -1"),
        ({"encoder__lowercase": 1}, "lowercase = 1; expected true or false"),
    ],
)
def test_what_means_nothing_to_a_linear_model_is_refused_by_name(options, message):
    with pytest.raises(UsageError, match=message):
        linear(**options).fit(TEXTS, LABELS)


def test_what_only_a_network_has_is_refused(tmp_path):
    model = linear().fit(TEXTS, LABELS)
    for ask in (lambda: model.encode(["a"]), lambda: model.network_, lambda: model.tokenizer_):
        with pytest.raises(UsageError, match="a linear model has no tokenizer and no network"):
            ask()
    with pytest.raises(UsageError, match="starts from nothing"):
        linear().fit(TEXTS, LABELS, init_from=model)
    with pytest.raises(UsageError, match="learns from texts in memory"):
        linear().fit_file(tmp_path / "train.csv")


def test_an_encoder_near_linear_is_named():
    with pytest.raises(UsageError, match="did you mean 'linear'"):
        TextClassifier(encoder="liner").fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("weights", lambda array: array[:-1]),
        ("weights", lambda array: array * np.float32(np.nan)),
        ("weights", lambda array: array.astype(np.float64)),
        ("bias", lambda array: array[:1]),
        ("row_counts", lambda array: array * 0),
        ("characters.keys.3", lambda array: array[::-1].copy()),
        ("characters.columns.2", lambda array: array + 1),
        ("characters.symbols", lambda array: array[:-1]),
        ("words.symbols", lambda array: array[:3]),
        ("words.keys.2", None),
    ],
)
def test_numbers_that_do_not_belong_together_are_named(tmp_path, name, change):
    folder = tmp_path / "model"
    linear().fit(TEXTS, LABELS).save(folder)
    arrays = load_file(folder / "model.safetensors")
    changed = arrays.pop(name)
    if change is not None:
        arrays[name] = change(changed)
    save_file(arrays, folder / "model.safetensors")
    manifest = files.read_json(folder / files.MANIFEST)
    (folder / files.MANIFEST).unlink()
    files.write_manifest(folder, kind=manifest["kind"], format=manifest["format"])
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        TextClassifier.load(folder)


def test_loading_and_predicting_import_neither_torch_nor_scikit_learn(tmp_path):
    linear().fit(TEXTS, LABELS).save(tmp_path / "model")
    program = (
        "import sys; from textkit import TextClassifier;"
        f" model = TextClassifier.load({str(tmp_path / 'model')!r});"
        " model.predict_proba(['a good film', '']);"
        " sys.exit(' '.join({'torch', 'sklearn', 'scipy', 'transformers'} & {*sys.modules}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_threads(tmp_path):
    program = (
        "import sys, warnings; from textkit import TextClassifier;"
        "from tests.classify.test_linear import TASKS\n"
        "for name, (task, texts, labels) in TASKS.items():\n"
        "    model = TextClassifier(encoder='linear', head__task=task, seed=3).fit(texts, labels)\n"
        "    model.save(sys.argv[1] + name)\n"
    )
    for threads in ("1", "4"):
        subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / f"{threads} ")],
            check=True,
            cwd=Path(__file__).parents[2],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": threads}
            | {"OPENBLAS_NUM_THREADS": threads, "PATH": ""},
        )
    for name in TASKS:
        one, four = (tmp_path / f"{threads} {name}" for threads in ("1", "4"))
        for file in sorted(one.iterdir()):
            assert file.read_bytes() == (four / file.name).read_bytes(), file


def test_a_run_from_files_trains_predicts_and_evaluates(tmp_path):
    for part, first in (("train", 0), ("valid", 30)):
        lines = [f'"{t}",{y}' for t, y in zip(TEXTS[first:], LABELS[first:], strict=True)]
        (tmp_path / f"{part}.csv").write_text("text,label\n" + "\n".join(lines), encoding="utf-8")
    options = TrainOptions(
        data=tmp_path / "train.csv",
        valid=tmp_path / "valid.csv",
        out=tmp_path / "run",
        overrides=["encoder.name=linear", "encoder.words=[1, 1]"],
    )
    report = train_run(options)
    assert (report.n_rows, report.history.best.valid_accuracy) == (90, 1.0)
    assert report.baseline == 1.0
    names = {path.name for path in report.run.iterdir()}
    assert names == {"recipe.toml", "data.json", "metrics.jsonl", "run.json", "model"}
    again = train_run(TrainOptions(**{**vars(options), "resume": True}))
    assert again.was_over
    assert again.history.best == report.history.best
    predicted = predict_file(PredictOptions(model=report.model, data=tmp_path / "valid.csv", top=3))
    assert [row.labels[0][0] for row in predicted] == LABELS[30:]
    scores = evaluate_file(EvaluateOptions(model=report.model, data=tmp_path / "valid.csv"))
    assert scores.to_dict()["accuracy"] == 1.0
