"""The frozen model: a linear one on text vectors, which lie in its folder with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from textkit import TextClassifier, Vectors
from textkit.classify.frozen import COSTS, FrozenOptions, FrozenSource, embed_texts
from textkit.embedders.embedder import TextEmbedder
from textkit.errors import ArtifactError, UsageError
from textkit.io import files
from textkit.watch import Watch

THINGS = ["film", "plot", "song", "book", "meal", "trip", "game", "show", "talk", "walk"]
KINDS = ["good", "bad", "long"]
TEXTS = [f"a {kind} {thing}" for kind in KINDS for thing in THINGS] * 2
LABELS = [kind for kind in KINDS for _ in THINGS] * 2
NUMBERS = [float(len(kind)) for kind in KINDS for _ in THINGS] * 2
TASKS = {
    "two classes": ("single-label", TEXTS[:20] * 2, LABELS[:20] * 2),
    "three classes": ("single-label", TEXTS, LABELS),
    "label sets": ("multi-label", TEXTS, [[kind] for kind in LABELS]),
    "numbers": ("regression", TEXTS, NUMBERS),
}
ODD = ["", "  \n", "日本", "zzz", "lone \ud800 surrogate"]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("words") / "vectors"
    known = ["a", *KINDS, *THINGS]
    table = np.random.default_rng(0).normal(size=(len(known), 16)).astype(np.float32)
    Vectors(known, table).save(place)
    return str(place)


def frozen(words: str, **options: object) -> TextClassifier:
    return TextClassifier(encoder="frozen", encoder__embedder=words, **options)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_learnt_and_its_folder_needs_nothing_beside_it(words, tmp_path, name):
    task, texts, labels = TASKS[name]
    shutil.copytree(words, tmp_path / "words")
    model = frozen(str(tmp_path / "words"), head__task=task).fit(texts, labels)
    assert model.score(texts, labels) > 0.9
    model.save(tmp_path / "model")
    wanted = model.predict_logits([*texts, *ODD])
    shutil.rmtree(tmp_path / "words")
    (tmp_path / "model").rename(tmp_path / "moved")
    loaded = TextClassifier.load(tmp_path / "moved")
    assert np.allclose(loaded.predict_logits([*texts, *ODD]), wanted, atol=1e-5)
    assert np.isfinite(wanted).all()
    assert loaded.predict_logits([]).shape == (0, len(model.classes_))
    loaded.save(tmp_path / "again")  # one that was loaded is saved from its own folder
    assert TextClassifier.load(tmp_path / "again").describe() == model.describe()


def test_a_few_rows_of_many_classes_are_learnt(words):
    texts, labels = [*TEXTS[::5], "a strange walk"], [*LABELS[::5], "odd"]
    model = frozen(words).fit(texts, labels)
    assert set(model.classes_) == {*KINDS, "odd"}
    assert len(model.predict(TEXTS)) == len(TEXTS)


def test_vectors_are_made_once_and_kept(words, tmp_path, monkeypatch):
    source = FrozenSource(FrozenOptions(embedder=words), tmp_path)
    first = source.embed([*TEXTS, *ODD])
    made: list[str] = []
    again = FrozenSource(FrozenOptions(embedder=words), tmp_path)
    embed = again.embedder.embed
    monkeypatch.setattr(
        again.embedder, "embed", lambda texts: (made.extend(texts), embed(texts))[1]
    )
    assert np.array_equal(again.embed([*ODD, *TEXTS]), np.roll(first, len(ODD), axis=0))
    again.embed(["a good new film", *TEXTS])
    assert made == ["a good new film"]


def test_kept_vectors_that_are_broken_are_made_anew(words, tmp_path):
    source = FrozenSource(FrozenOptions(embedder=words), tmp_path)
    wanted = source.embed(TEXTS)
    kept = next(tmp_path.glob("vectors-*"))
    kept.write_bytes(kept.read_bytes()[:100])
    assert np.array_equal(
        FrozenSource(FrozenOptions(embedder=words), tmp_path).embed(TEXTS), wanted
    )


def test_the_cost_is_chosen_among_some_or_taken_as_given(words):
    said: list[str] = []
    frozen(words).fit(TEXTS, LABELS, watch=Watch(note=said.append))
    assert any(line.startswith(f"cost {cost:g};") for line in said for cost in COSTS)
    frozen(words, encoder__cost=0.07).fit(TEXTS, LABELS, watch=Watch(note=said.append))
    assert any(line.startswith("cost 0.07;") for line in said)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding__dim": 8}, "embedding.dim = 8 means nothing to a frozen model"),
        ({"encoder__loss": "log"}, "loss = 'log'"),
        ({"encoder__embedder": ""}, "embedder = ''; name a folder"),
        ({"encoder__embeder": "x"}, "did you mean 'embedder'"),
    ],
)
def test_what_means_nothing_is_refused_by_name(words, options, message):
    with pytest.raises(UsageError, match=message):
        TextClassifier(encoder="frozen", **options).fit(TEXTS, LABELS)


def _reseal(folder: Path) -> None:
    manifest = files.read_json(folder / files.MANIFEST)
    (folder / files.MANIFEST).unlink()
    files.write_manifest(folder, kind=manifest["kind"], format=manifest["format"])


def test_weights_on_other_vectors_are_refused(words, tmp_path):
    folder = tmp_path / "model"
    frozen(words).fit(TEXTS, LABELS).save(folder)
    arrays = load_file(folder / "model.safetensors")
    save_file(arrays | {"weights": arrays["weights"][:-1]}, folder / "model.safetensors")
    _reseal(folder)
    with pytest.raises(ArtifactError, match=r"model\.safetensors.*expected \(16, 3\)"):
        TextClassifier.load(folder)
    shutil.rmtree(folder / "embedder")
    Vectors(["good"], np.ones((1, 16), np.float32)).save(folder / "embedder")
    _reseal(folder)
    with pytest.raises(ArtifactError, match="other vectors than those"):
        TextClassifier.load(folder)
    shutil.rmtree(folder / "embedder")
    _reseal(folder)
    with pytest.raises(ArtifactError, match="what makes the vectors is missing"):
        TextClassifier.load(folder)


def test_a_long_text_is_read_in_pieces_where_windows_are_asked_for(words: str) -> None:
    cut = TextEmbedder.open(words, max_length=2)
    texts = ["good film bad plot good song", "good film", "", "goodgoodgoodgood"]
    found = embed_texts(cut, texts, windows=True)
    assert not found.truncated.any()
    whole = embed_texts(TextEmbedder.open(words), texts, windows=False)
    assert np.allclose(found.vectors[1:], whole.vectors[1:])
    assert not np.allclose(found.vectors[0], cut.embed(texts).vectors[0])
    cosine = found.vectors[0] @ whole.vectors[0]
    cosine /= np.linalg.norm(found.vectors[0]) * np.linalg.norm(whole.vectors[0])
    assert cosine > 0.9


def test_texts_that_are_cut_are_counted_and_windows_read_them(words: str, tmp_path: Path) -> None:
    texts = [f"a a a a {text}" for text in TEXTS]  # what tells stands behind the fourth token
    scores = {}
    for windows in (False, True):
        said: list[str] = []
        model = frozen(words, encoder__max_length=3, encoder__windows=windows)
        model.fit(texts, LABELS, watch=Watch(note=said.append))
        scores[windows] = model.score(texts, LABELS)
        line = "30 texts are longer than the encoder takes, and are cut"
        assert any(each.startswith(line) for each in said) != windows
    assert scores[True] > 0.9 > scores[False]
    model.save(tmp_path / "model")
    loaded = TextClassifier.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(texts), model.predict(texts))
