"""The folder that an image is built from: whole, without torch where nothing needs it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

from tests.serve.calls import LABELS, TEXTS
from textkit import TextClassifier, Vectors
from textkit.errors import ArtifactError, UsageError
from textkit.serve.images import write_image
from textkit.serve.models import open_model


def test_an_image_holds_its_models_and_no_torch(tmp_path: Path) -> None:
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(tmp_path / "films" / "model")
    Vectors(["a"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    out = write_image([str(tmp_path / "films" / "model"), f"words={tmp_path / 'v'}"], "out")
    dockerfile = (out / "Dockerfile").read_text(encoding="utf-8")
    assert "torch" not in dockerfile and "textkit-nlp[serve]==" in dockerfile
    assert '"films=/models/films", "words=/models/words"' in dockerfile
    assert "USER 10001" in dockerfile and "HEALTHCHECK" in dockerfile
    assert open_model("films", str(out / "models" / "films")).labels == ("neg", "pos")
    assert open_model("words", str(out / "models" / "words")).works["embed"].width == 2
    assert "read_only: true" in (out / "compose.yaml").read_text(encoding="utf-8")
    assert "path: /ready" in (out / "kubernetes.yaml").read_text(encoding="utf-8")
    assert (out / ".dockerignore").read_text(encoding="utf-8").startswith("*\n")


def test_an_image_of_a_network_has_the_torch_that_opened_it(tmp_path: Path) -> None:
    model = TextClassifier(encoder="bag", training__epochs=1).fit(TEXTS, LABELS)
    model.save(tmp_path / "model")
    out = write_image([f"net={tmp_path / 'model'}"], tmp_path / "out")
    dockerfile = (out / "Dockerfile").read_text(encoding="utf-8")
    wanted = version("torch").partition("+")[0]
    assert f"RUN pip install --no-cache-dir torch=={wanted} \\\n    --index-url " in dockerfile
    assert dockerfile.count("RUN ") == 2 and "&& pip install" in dockerfile


def test_what_is_no_file_cannot_be_in_an_image() -> None:
    with pytest.raises(UsageError, match="holds its models as files"):
        write_image(["glove"], "out")
    assert not Path("out").exists()


def test_a_damaged_model_is_not_served_as_its_tokenizer(tmp_path: Path) -> None:
    model = TextClassifier(encoder="bag", training__epochs=1).fit(TEXTS * 4, LABELS * 4)
    model.save(tmp_path / "model")
    (tmp_path / "model" / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"no manifest\.json: not a model folder"):
        open_model("films", str(tmp_path / "model"))
