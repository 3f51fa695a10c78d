"""What makes vectors is saved in the layout of its own world, and opens there with the same
numbers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.embedders.test_contextual import TEXTS, bert, sentence_folder
from textkit import TextEmbedder, Vectors
from textkit.embedders.distilling import distil
from textkit.errors import ArtifactError, UsageError
from textkit.jobs import ExportOptions, export_model

__all__ = ["bert"]  # the fixture


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "cls"},
        {"pooling": ["cls", "max", "mean"]},
        {"normalize": True},
        {"prompt": "queen, "},
        {"max_length": 5},
    ],
    ids=lambda options: "+".join(options) or "as it is",
)
def test_a_transformer_is_saved_as_it_was_opened(
    bert: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    embedder = TextEmbedder.open(bert, **options)
    embedder.save(tmp_path / "saved")
    again = TextEmbedder.open(tmp_path / "saved")
    assert np.array_equal(again.encode(TEXTS), embedder.encode(TEXTS))
    assert again.n_truncated == embedder.n_truncated
    assert not (tmp_path / "saved" / "README.md").exists()


def test_dense_layers_and_the_prompts_of_a_folder_are_kept(bert: Path, tmp_path: Path) -> None:
    dense = TextEmbedder.open(sentence_folder(bert, tmp_path / "1"))
    dense.save(tmp_path / "dense")
    again = TextEmbedder.open(tmp_path / "dense")
    assert np.array_equal(again.encode(TEXTS), dense.encode(TEXTS))
    prompts = {"query": "a ", "passage": "the "}
    folder = sentence_folder(bert, tmp_path / "2", prompts=prompts, default="query")
    TextEmbedder.open(folder, prompt_name="passage").save(tmp_path / "prompted")
    said = json.loads((tmp_path / "prompted" / "config_sentence_transformers.json").read_text())
    assert said == {"prompts": prompts, "default_prompt_name": "passage"}
    for name in (None, "query"):
        one = TextEmbedder.open(folder, prompt_name=name or "passage").encode(TEXTS)
        other = TextEmbedder.open(tmp_path / "prompted", prompt_name=name).encode(TEXTS)
        assert np.array_equal(one, other)


@pytest.mark.parametrize("normalize", [True, False])
def test_vectors_of_pieces_are_saved_as_model2vec(
    bert: Path, tmp_path: Path, normalize: bool
) -> None:
    distil(bert, tmp_path / "static", dim=4)
    embedder = TextEmbedder.open(tmp_path / "static", normalize=normalize)
    embedder.save(tmp_path / "saved")
    again = TextEmbedder.open(tmp_path / "saved")
    np.testing.assert_allclose(again.encode(TEXTS), embedder.encode(TEXTS), atol=1e-7)
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert config["normalize"] is normalize


def test_a_saved_folder_is_sealed(bert: Path, tmp_path: Path) -> None:
    embedder = TextEmbedder.open(bert)
    embedder.save(tmp_path / "saved")
    embedder.save(tmp_path / "saved")  # the same bytes
    with pytest.raises(UsageError, match="finished work"):
        TextEmbedder.open(bert, pooling="max").save(tmp_path / "saved")
    TextEmbedder.open(bert, pooling="max").save(tmp_path / "saved", overwrite=True)
    (tmp_path / "saved" / "modules.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"modules\.json: file was changed"):
        TextEmbedder.open(tmp_path / "saved")


def test_what_others_could_not_open_is_refused(bert: Path, tmp_path: Path) -> None:
    words = Vectors(["king"], np.ones((1, 2), np.float32))
    words.save(tmp_path / "words")
    distil(bert, tmp_path / "static", dim=4)
    for opened, why in (
        (TextEmbedder.open(tmp_path / "words"), "vectors of whole words"),
        (TextEmbedder.open(tmp_path / "static", pooling="max"), "pools by the mean"),
        (TextEmbedder.open(bert, pooling=["mean", "cls"]), "another order"),
    ):
        with pytest.raises(UsageError, match=why):
            opened.save(tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_sentence_transformers_opens_what_was_saved(bert: Path, tmp_path: Path) -> None:
    peers = pytest.importorskip(
        "sentence_transformers", reason="sentence-transformers is not installed"
    )
    embedder = TextEmbedder.open(bert, pooling=["cls", "mean"], normalize=True, max_length=9)
    embedder.save(tmp_path / "saved")
    theirs = peers.SentenceTransformer(str(tmp_path / "saved"), device="cpu", local_files_only=True)
    np.testing.assert_allclose(theirs.encode(TEXTS), embedder.encode(TEXTS), atol=1e-6)


def test_the_shell_writes_both_layouts(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    distil(bert, tmp_path / "static", dim=4, overwrite=True)
    for model, out in ((bert, "saved"), (tmp_path / "static", "pieces")):
        options = ExportOptions(
            model=model, out=tmp_path / out, layout="sentence-transformers", overwrite=True
        )
        report = export_model(options)
        assert report.certificate.difference <= 1e-6
        made = TextEmbedder.open(tmp_path / out).encode(TEXTS)
        np.testing.assert_allclose(made, TextEmbedder.open(model).encode(TEXTS), atol=1e-6)
    with pytest.raises(UsageError, match="unknown layout"):
        export_model(ExportOptions(model=bert, out=tmp_path / "out", layout="tei"))
    zipped = ExportOptions(model=bert, out=tmp_path / "out.zip", layout="sentence-transformers")
    with pytest.raises(UsageError, match="opens folders"):
        export_model(zipped)
