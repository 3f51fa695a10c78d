"""A compressed model is smaller, predicts nearly the same, and opens wherever an export does."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.classify.test_exporting import WITHOUT, encoder, fit
from textkit import TextClassifier
from textkit.classify import model_folder
from textkit.classify.compressing import (
    Plan,
    check_compressible,
    measure_needs,
    narrow,
    pack,
    store,
)
from textkit.classify.compression import Compression
from textkit.classify.fitted import Fitted
from textkit.classify.graph_packing import has_products
from textkit.errors import ArtifactError, UsageError
from textkit.io import files, zipped
from textkit.runtime.quantized import quantize

WORDS = [f"{kind}{thing}" for kind in ("good", "bad") for thing in range(60)]
TEXTS = [f"a {one} film, {other}" for one, other in itertools.pairwise(WORDS)]
LABELS = ["pos" if "good" in text[:6] else "neg" for text in TEXTS]


@pytest.fixture(scope="module")
def bag() -> Fitted:
    options = {"head__pooling": ("mean",), "encoder": {"name": "bag", "members": 2}, "seed": 1}
    sizes = {"ngrams": {"word_ngrams": 2, "minn": 0, "maxn": 0}, "embedding__dim": 16}
    shown = {"training__epochs": 2, "training__lr": 0.05, "training__average": 0.0}
    return TextClassifier(**options, **sizes, **shown).fit(TEXTS, LABELS).fitted_


@pytest.fixture(scope="module")
def linear() -> Fitted:
    return TextClassifier(encoder="linear").fit(TEXTS, LABELS).fitted_


def compress(fitted: Fitted, plan: Plan, texts: list[str] | None = None) -> Fitted:
    needs = measure_needs(fitted, texts or [])
    return pack(*narrow(fitted, plan, needs, texts or []))


def reopen(fitted: Fitted, folder: Path) -> Fitted:
    model_folder.save(fitted, folder)
    return model_folder.load(folder)


@pytest.mark.parametrize("name", ["bag", "linear"])
@pytest.mark.parametrize("numbers", ["float16", "int8"])
def test_tables_of_fewer_bits_predict_the_same_labels_and_open_as_they_were(
    name: str, numbers: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    fitted: Fitted = request.getfixturevalue(name)
    small = compress(fitted, Plan(numbers=numbers))
    opened = reopen(small, tmp_path / "small")
    assert np.array_equal(opened.logits(TEXTS), small.logits(TEXTS))
    assert np.abs(opened.logits(TEXTS) - fitted.logits(TEXTS)).max() < 0.05
    assert np.array_equal(opened.labels(TEXTS), fitted.labels(TEXTS))
    model_folder.save(fitted, tmp_path / "whole")
    sizes = [(tmp_path / part / "model.safetensors").stat().st_size for part in ("whole", "small")]
    assert sizes[1] < sizes[0] * {"float16": 0.75, "int8": 0.55}[numbers]
    model_folder.save(opened, tmp_path / "again")
    for file in (tmp_path / "small").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name
    manifest = json.loads((tmp_path / "small" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["kind"], manifest["format"]) == ("exported model", 2)


def test_a_number_differs_by_at_most_half_a_scale() -> None:
    table = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    table[3] = 0
    for by_row in (True, False):
        stored = quantize(table, "int8", by_row=by_row)
        assert stored.scales is not None and stored.scales.dtype == np.float16
        gap = np.abs(stored.floats() - table)
        assert (gap <= stored.scales.astype(np.float32) * 0.57).all()
    assert not quantize(table, "int8").floats()[3].any()


def test_rows_too_small_or_large_for_float16_have_scales_of_float32() -> None:
    for size in (1e-9, 1e9):
        table = np.full((2, 3), size, np.float32)
        assert np.allclose(quantize(table, "int8").floats(), table, rtol=0.01)
    with pytest.raises(UsageError, match="float16"):
        quantize(np.full((1, 1), 1e9, np.float32), "float16")


def test_the_rows_that_stay_are_those_most_needed_and_in_step_with_the_ids(bag: Fitted) -> None:
    needs = measure_needs(bag, TEXTS)
    assert needs is not None
    small = compress(bag, Plan(rows=100), TEXTS)
    kept = np.flatnonzero(needs.best(100))
    whole, left = bag.text_input, small.text_input
    names = {i: name for name, i in left.tokenizer.vocabulary.items()}
    table, rows = bag.network.table, small.model.bag
    assert table is not None
    expected = table.table.weight.detach().numpy()
    unpacked = rows.table * rows.scales[:, None].astype(np.float32)
    n_words, n_before = len(left.tokenizer), len(whole.tokenizer)
    for i in range(n_words):
        old = whole.tokenizer.vocabulary[names[i]]
        assert old in kept or old in whole.tokenizer.special_ids
        assert np.allclose(unpacked[i], expected[old], atol=0.02)
    assert left.ngrams is not None and whole.ngrams is not None and whole.ngrams.kept is not None
    buckets = [np.flatnonzero(whole.ngrams.kept == one)[0] for one in left.ngrams.kept]
    assert np.allclose(unpacked[n_words:], expected[n_before + np.array(buckets)], atol=0.02)
    assert small.model.compression.n_rows == left.n_ids == len(rows.table)


def test_rows_that_the_texts_do_not_use_are_dropped_and_change_nothing(bag: Fitted) -> None:
    small = compress(bag, Plan(numbers="float32", used=True), TEXTS[:20])
    assert small.text_input.n_ids < bag.text_input.n_ids // 2
    assert np.allclose(small.logits(TEXTS[:20]), bag.logits(TEXTS[:20]), atol=1e-5)


def test_a_linear_model_keeps_the_features_most_needed(linear: Fitted, tmp_path: Path) -> None:
    small = reopen(compress(linear, Plan(rows=50)), tmp_path / "small")
    names = linear.model.features.names()
    kept = [names[i] for i in np.flatnonzero(measure_needs(linear).best(50))]
    assert small.model.features.names() == kept


def test_the_first_members_of_an_ensemble_stay(bag: Fitted) -> None:
    small = compress(bag, Plan(numbers="float32", members=1))
    assert small.recipe.encoder.members == 1
    weight = bag.network.members[0].head.linear_layers[0].weight.detach().numpy()
    assert np.array_equal(small.model.bag.heads[0][0].weight, weight.T)


def test_pieces_of_a_subword_tokenizer_that_no_text_uses_are_dropped(tmp_path: Path) -> None:
    model = TextClassifier(
        tokenizer={"name": "wordpiece", "size": 200},
        encoder="bag",
        head__pooling=("mean",),
        embedding__dim=8,
        training__epochs=1,
    ).fit(TEXTS, LABELS)
    small = reopen(compress(model.fitted_, Plan(used=True), TEXTS[:10]), tmp_path / "small")
    assert small.text_input.n_ids < model.input_.n_ids
    gap = small.logits(TEXTS[:10]) - model.predict_logits(TEXTS[:10])
    assert np.abs(gap).max() < 0.05


GRAPHS: list[tuple[str, dict[str, Any]]] = [
    ("multi-label", {**encoder("cnn"), "embedding__dim": 64}),
    ("single-label", {**encoder("lstm", norm="batch"), "embedding__dim": 64}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "options"), GRAPHS)
def test_a_graph_is_packed_and_gives_the_same_answers(
    task: str, options: dict[str, Any], tmp_path: Path
) -> None:
    wide = {"name": options["encoder"]["name"], "dim": 64}
    model = fit(task, **{**options, "encoder": wide}).fitted_
    texts = ["good film", "bad film", "", "good plot indeed " * 50]
    from textkit.classify.exporting import export

    whole = export(model)
    assert has_products(whole.model.graph.data)
    for plan in (Compression(numbers="float16"), Compression(), Compression(products=True)):
        small = reopen(store(whole, plan), tmp_path / f"{plan.numbers}-{plan.products}")
        assert small.model.compression == plan
        assert len(small.model.graph.data) < len(whole.model.graph.data) * 0.8
        assert np.abs(small.logits(texts) - model.logits(texts)).max() < 0.05
        assert store(whole, plan).model.graph.data == small.model.graph.data


def test_what_cannot_be_compressed_is_said(linear: Fitted, bag: Fitted) -> None:
    with pytest.raises(UsageError, match="compressed already"):
        check_compressible(compress(linear, Plan()))
    with pytest.raises(UsageError, match="compress the model that it was made from"):
        check_compressible(compress(bag, Plan()))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("bag", {"ngrams.kept.packed": np.array([0x80], np.uint8)}, "packed numbers"),
        ("bag", {"table.scales": np.ones(3, np.float16)}, "do not belong together"),
        ("linear", {"weights.scales": np.ones((1, 9), np.float16)}, "do not belong together"),
        ("linear", {"row_counts": np.array([1], np.uint8)}, "counts"),
        ("linear", {"words.columns.1.size": np.array([1 << 40])}, "nodes"),
    ],
)
def test_a_changed_file_is_refused(
    name: str,
    change: dict[str, np.ndarray],
    message: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    model_folder.save(compress(request.getfixturevalue(name), Plan()), tmp_path / "m")
    arrays = load_file(tmp_path / "m" / "model.safetensors") | change
    save_file(arrays, tmp_path / "m" / "model.safetensors")
    files.write_manifest(tmp_path / "m", kind="exported model", format=2)
    with pytest.raises(ArtifactError, match=message):
        model_folder.load(tmp_path / "m")


def test_a_config_that_says_nothing_is_refused(linear: Fitted, tmp_path: Path) -> None:
    model_folder.save(compress(linear, Plan()), tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text(encoding="utf-8"))
    config["compression"] = {"numbers": "int2"}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), encoding="utf-8")
    files.write_manifest(tmp_path / "m", kind="exported model", format=2)
    with pytest.raises(ArtifactError, match="compression is"):
        model_folder.load(tmp_path / "m")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bag", "linear"])
def test_a_compressed_bag_or_linear_model_needs_numpy_alone(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    small = compress(request.getfixturevalue(name), Plan())
    with zipped.place_for(tmp_path / "small.zip") as folder:
        model_folder.write(small, folder)
        model_folder.seal(small, folder)
    blocked = {"torch", "transformers", "sklearn", "onnx", "scipy", "onnxruntime"}
    code = WITHOUT.format(blocked=blocked)
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "small.zip"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    shown, engine = done.stdout.rsplit(" ", 1)
    assert np.allclose(json.loads(shown), small.probabilities(["good film"]), atol=2e-6)
    assert engine.strip() == "numpy"
