"""Exported models give the numbers of the networks that they were, and need no torch."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textkit import TextClassifier, TextEmbedder, tokenizers
from textkit.classify import certify as certifying
from textkit.classify.exported import BagModel, GraphModel
from textkit.classify.exporting import export as export_network
from textkit.errors import ArtifactError, UsageError
from textkit.io import files
from textkit.jobs import (
    DrawOptions,
    ExportOptions,
    PredictCorpusOptions,
    draw_model,
    export_model,
    predict_corpus,
)
from textkit.serve.options import name_models

TEXTS = ["good film", "bad film", "good plot indeed", "bad plot"] * 10
LABELS: dict[str, list[Any]] = {
    "single-label": ["pos", "neg", "pos", "neg"] * 10,
    "multi-label": [["a"], ["b"], ["a", "b"], []] * 10,
    "regression": [1.5, 200.0, 3.0, 4.0] * 10,
}
EVERY = ("mean", "max", "attention", "first", "last")
SMALL = {"embedding__dim": 8, "training__epochs": 1, "training__average": 0.0, "seed": 1}
BAG = {"encoder": "bag", "head__pooling": ("mean",)}
NGRAMS = {"minn": 2, "maxn": 3, "buckets": 5000}


def fit(task: str = "single-label", **options: Any) -> TextClassifier:
    return TextClassifier(**{**SMALL, **options, "head__task": task}).fit(TEXTS, LABELS[task])


def export(
    model: TextClassifier, folder: Path, *, out: str = "out"
) -> tuple[TextClassifier, float]:
    model.save(folder / "model")
    report = export_model(ExportOptions(model=folder / "model", out=folder / "out"))
    return TextClassifier.load(folder / "out"), report.certificate.difference


def encoder(name: str, **options: Any) -> dict[str, Any]:
    heads = {"heads": 2} if name == "transformer" else {}
    return {"encoder": {"name": name, "dim": 8, **heads, **options}}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bag")
    export(fit(**BAG, ngrams=NGRAMS), folder)
    return folder


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("graph")
    export(fit("multi-label", **encoder("rnn"), head__pooling=EVERY), folder)
    return folder


BAGS: list[tuple[str, dict[str, Any]]] = [
    ("single-label", {"ngrams": NGRAMS, "encoder__members": 2, "head__hidden": (5,)}),
    ("multi-label", {"head__hidden": (5,), "head__norm": "layer", "head__activation": "gelu"}),
    ("regression", {"head__hidden": (5, 4), "head__norm": "batch", "head__activation": "silu"}),
    ("regression", {"head__hidden": (5,), "head__norm": "rms", "head__activation": "tanh"}),
]


@pytest.mark.parametrize(("task", "options"), BAGS)
def test_a_bag_needs_numpy_alone(task: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = fit(task, **BAG, **options)
    exported, difference = export(model, tmp_path)
    assert isinstance(exported.fitted_.model, BagModel)
    assert difference <= 1e-5
    assert np.allclose(
        exported.predict_logits(TEXTS), model.predict_logits(TEXTS), rtol=1e-5, atol=1e-5
    )
    if task == "regression":
        assert np.allclose(exported.predict(TEXTS), model.predict(TEXTS), rtol=1e-5, atol=1e-5)
    else:
        assert list(exported.predict(TEXTS)) == list(model.predict(TEXTS))


NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("single-label", {**encoder("lstm", norm="batch"), "encoder__members": 2}),
    ("regression", {**encoder("gru"), "head__hidden": (6,), "head__norm": "batch"}),
    ("single-label", {**encoder("mixer"), "embedding__name": "char-cnn"}),
    ("single-label", {"encoder": "bag", "ngrams": NGRAMS, "head__pooling": ("max",)}),
    ("multi-label", encoder("cnn")),
    *[
        ("single-label", encoder("transformer", positions=positions, max_length=512))
        for positions in ("learned", "rotary")
    ],
]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "options"), NETWORKS)
def test_a_network_becomes_a_graph(task: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = fit(task, **options)
    exported, difference = export(model, tmp_path)
    assert isinstance(exported.fitted_.model, GraphModel)
    assert difference <= 1e-5
    assert np.allclose(
        exported.predict_logits(TEXTS), model.predict_logits(TEXTS), rtol=1e-5, atol=1e-5
    )


def test_temperature_and_thresholds_are_in_the_graph(graph: Path) -> None:
    model = TextClassifier.load(graph / "out")
    inner = model.fitted_.model
    assert isinstance(inner, GraphModel)
    tokens = model.encode(TEXTS[:4])
    probabilities = inner.graph.run(tokens, output="probabilities")
    assert np.allclose(probabilities, model.predict_proba(TEXTS[:4]), atol=1e-6)
    chosen = inner.graph.run(tokens, output="chosen")
    names = model.classes_.tolist()
    rows = [tuple(names[i] for i in np.flatnonzero(row)) for row in chosen]
    assert rows == model.predict(TEXTS[:4])
    assert inner.graph.run(tokens, output="pooled").shape == (4, 16 * len(EVERY))


def test_the_certificate_stands_in_the_manifest(graph: Path) -> None:
    manifest = json.loads((graph / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["kind"] == "exported model"
    assert 0 <= manifest["certificate"]["difference"] <= 1e-5
    assert manifest["certificate"]["n_texts"] >= len(certifying.HARD_TEXTS)


def test_an_export_is_the_same_bytes_every_time(graph: Path, tmp_path: Path) -> None:
    export_model(ExportOptions(model=graph / "model", out=tmp_path / "again"))
    for file in (graph / "out").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_model_that_differs_is_refused_and_nothing_is_written(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = BagModel.score
    monkeypatch.setattr(BagModel, "score", lambda self, tokens: right(self, tokens) + 2e-5)
    with pytest.raises(ArtifactError, match="differs by 2"):
        export_model(ExportOptions(model=bag / "model", out=tmp_path / "out"))
    assert not list(tmp_path.iterdir())


def test_one_zip_file_holds_the_whole_model(bag: Path, tmp_path: Path) -> None:
    report = export_model(ExportOptions(model=bag / "model", out=tmp_path / "m.zip"))
    assert report.n_bytes == (tmp_path / "m.zip").stat().st_size
    model = TextClassifier.load(tmp_path / "m.zip")
    expected = TextClassifier.load(bag / "out").predict_proba(TEXTS)
    assert np.array_equal(model.predict_proba(TEXTS), expected)
    with pytest.raises(UsageError, match="finished work"):
        export_model(ExportOptions(model=bag / "model", out=tmp_path / "m.zip"))
    (tmp_path / "half.zip").write_bytes((tmp_path / "m.zip").read_bytes()[:500])
    with pytest.raises(ArtifactError, match=r"half\.zip"):
        TextClassifier.load(tmp_path / "half.zip")


def test_what_the_exported_model_lacks_is_said(graph: Path) -> None:
    model = TextClassifier.load(graph / "out")
    with pytest.raises(UsageError, match="exported model has no network"):
        _ = model.network_
    assert model.tokenizer_.fingerprint == tokenizers.load(graph / "out").fingerprint


def test_an_exported_model_makes_the_vectors_that_its_heads_see(graph: Path, bag: Path) -> None:
    for folder in (graph, bag):
        expected = TextEmbedder.open(folder / "model").encode(TEXTS[:4])
        exported = TextEmbedder.open(folder / "out")
        assert np.allclose(exported.encode(TEXTS[:4]), expected, atol=1e-5)


def test_a_saved_export_is_the_export(graph: Path, tmp_path: Path) -> None:
    TextClassifier.load(graph / "out").save(tmp_path / "copy")
    written = (tmp_path / "copy" / "model.onnx").read_bytes()
    assert written == (graph / "out" / "model.onnx").read_bytes()


def test_an_exported_model_is_pickled(graph: Path, bag: Path) -> None:
    for folder in (graph, bag):
        model = TextClassifier.load(folder / "out")
        copied = pickle.loads(pickle.dumps(model))
        assert np.array_equal(copied.predict_logits(TEXTS), model.predict_logits(TEXTS))


def test_no_rows_give_no_rows(graph: Path, bag: Path) -> None:
    for folder in (graph, bag):
        assert TextClassifier.load(folder / "out").predict_proba([]).shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("config.json", {"engine": "other"}, "expected numpy or onnxruntime"),
        ("config.json", {"labels": ["a"]}, "for 1 labels"),
        ("config.json", {"tokenizer_fingerprint": "0"}, "not the one that the model"),
        ("config.json", {"n_weights": "x"}, "n_weights"),
        ("model.onnx", b"no graph", "onnxruntime cannot open it"),
    ],
)
def test_a_changed_export_is_refused(
    graph: Path, tmp_path: Path, name: str, change: Any, message: str
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for file in (graph / "out").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    if isinstance(change, bytes):
        (folder / name).write_bytes(change)
    else:
        config = json.loads((folder / name).read_text(encoding="utf-8")) | change
        config["thresholds"] = config["thresholds"][: len(config["labels"])]
        (folder / name).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        TextClassifier.load(folder)
    files.write_manifest(folder, kind="exported model", format=1)
    with pytest.raises(ArtifactError, match=message):
        TextClassifier.load(folder)


WITHOUT = """
import importlib.abc, sys
class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError("blocked: " + name)
sys.meta_path.insert(0, Block())
import textkit
model = textkit.load(sys.argv[1])
print(model.predict_proba(["good film"]).round(6).tolist(), model.describe()["engine"])
assert not {blocked!r} & set(sys.modules), sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocked"),
    [
        ("graph", {"torch", "transformers", "sklearn", "onnx", "scipy"}),
        ("bag", {"torch", "transformers", "sklearn", "onnx", "scipy", "onnxruntime"}),
    ],
)
def test_an_exported_model_predicts_where_torch_cannot_be_imported(
    name: str, blocked: set[str], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(name)
    code = WITHOUT.format(blocked=blocked)
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "out"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    model = TextClassifier.load(folder / "model")
    expected = model.predict_proba(["good film"])
    shown, engine = done.stdout.rsplit(" ", 1)
    assert np.allclose(json.loads(shown), expected, atol=2e-6)
    assert engine.strip() == {"graph": "onnxruntime", "bag": "numpy"}[name]


def test_a_run_folder_is_exported_and_a_zip_stands_for_a_model_in_every_verb() -> None:
    TextClassifier(encoder="linear").fit(TEXTS, LABELS["single-label"]).save("run/model")
    Path("run", "recipe.toml").touch()
    assert export_model(ExportOptions(model=Path("run"), out=Path("a.zip"))).engine == "numpy"
    for place in ("run", "run/model"):
        with pytest.raises(UsageError, match=f"^{place} is the model itself"):
            export_model(ExportOptions(model=Path("run"), out=Path(place), overwrite=True))
    drawn = [draw_model(DrawOptions(source=Path(name))).to_text() for name in ("run", "a.zip")]
    assert drawn[0] == drawn[1]
    Path("new.txt").write_text("good film\n", encoding="utf-8")
    for model in ("run", "a.zip"):
        out = Path(f"{model}.csv")
        predict_corpus(PredictCorpusOptions(model=Path(model), inputs=["new.txt"], out=out))
    assert Path("run.csv").read_bytes() == Path("a.zip.csv").read_bytes()
    assert name_models(["run"]) == {"run": "run/model"}


def test_sums_that_torch_itself_rounds_are_settled_exactly(tmp_path: Path) -> None:
    model = fit(**BAG)
    table = model.network_.table
    assert table is not None
    with torch.no_grad():
        table.table.weight.mul_(100)
        for member in model.network_.members:  # logits near 0 of vectors that are large
            member.head.linear_layers[0].weight.div_(100)
    texts = ["word " * 2500]
    exported = export_network(model.fitted_)
    gap = np.abs(exported.logits(texts) - model.predict_logits(texts)).max()
    certificate = certifying.certify(model.fitted_, exported, texts, tolerance=gap / 3)
    assert certificate.difference < gap / 3
    moved = replace(
        exported.model, bag=replace(exported.model.bag, table=exported.model.bag.table * 1.01)
    )
    with pytest.raises(ArtifactError, match="differs by"):
        certifying.certify(model.fitted_, replace(exported, model=moved), texts, tolerance=gap / 3)
