"""Exported embedders give the vectors of their transformers, and need no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import textkit
from tests.embedders.test_contextual import TEXTS, save_bert
from textkit import TextEmbedder, Vectors, tokenizers
from textkit.embedders.exported import GraphTexts
from textkit.errors import ArtifactError, UsageError
from textkit.jobs import ExportOptions, export_model

pytest.importorskip("transformers")


@pytest.mark.slow
def test_an_exported_transformer_gives_its_vectors(tmp_path: Path) -> None:
    place = save_bert(tmp_path / "bert")
    report = export_model(ExportOptions(model=place, out=tmp_path / "out"))
    assert report.certificate.difference <= 1e-5
    exported = textkit.load(tmp_path / "out")
    assert isinstance(exported, TextEmbedder) and isinstance(exported.backend, GraphTexts)
    original = TextEmbedder.open(place)
    assert np.allclose(exported.encode(TEXTS), original.encode(TEXTS), atol=1e-5)
    assert exported.n_truncated == original.n_truncated > 0
    assert exported.encode([]).shape == (0, original.dim)
    scaled = TextEmbedder.open(tmp_path / "out", normalize=True).encode(["a tree"])
    assert np.allclose(np.linalg.norm(scaled, axis=1), 1)
    ids = tokenizers.load(tmp_path / "out").encode(["a tree"]).ids.tolist()
    assert ids == tokenizers.load(place).encode(["a tree"]).ids.tolist()
    with pytest.raises(UsageError, match="option pooling is not for an exported model"):
        TextEmbedder.open(tmp_path / "out", pooling="max")
    (tmp_path / "out" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactError, match="was changed"):
        textkit.load(tmp_path / "out")


def test_vectors_of_words_need_no_export(tmp_path: Path) -> None:
    Vectors(["king"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    with pytest.raises(UsageError, match="need no torch as they are"):
        export_model(ExportOptions(model=tmp_path / "v", out=tmp_path / "out"))
