"""textkit.load opens models of any kind; exported ones need no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import textkit
from textkit import TextClassifier, TextEmbedder, Vectors
from textkit.classify.opening import Predictor, open_predictor
from textkit.errors import TextkitError

TEXTS = ["good film", "bad film", "good plot", "bad plot"] * 10
LABELS = ["pos", "neg", "pos", "neg"] * 10


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linear") / "model"
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(folder)
    return folder


def test_load_opens_what_labels_and_what_makes_vectors(linear: Path, tmp_path: Path) -> None:
    model = textkit.load(linear)
    assert isinstance(model, TextClassifier)
    assert model.predict(["good film"]).tolist() == ["pos"]
    Vectors(["king"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    vectors = textkit.load(tmp_path / "v")
    assert isinstance(vectors, TextEmbedder)
    assert vectors.encode(["a king"]).tolist() == [[1.0, 1.0]]


def test_a_predictor_says_what_it_is(linear: Path) -> None:
    model: Predictor = open_predictor(linear)
    facts = model.describe()
    assert facts["task"] == model.task_ == "single-label"
    assert facts["labels"] == model.classes_.tolist() == ["neg", "pos"]
    assert facts["engine"] == "numpy"


def test_a_place_that_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TextkitError):
        textkit.load(tmp_path / "nowhere")
    with pytest.raises(TextkitError, match="no such folder"):
        open_predictor(tmp_path / "nowhere")


FORK = """
import multiprocessing
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from textkit.batch import TokenBatch
from textkit.runtime.graph import Graph

ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "time"])
mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "time"])
logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
table = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(3, 2), "table")
nodes = [
    helper.make_node("Gather", ["table", "input_ids"], ["states"]),
    helper.make_node("ReduceMax", ["states"], ["logits"], axes=[1], keepdims=0),
]
made = helper.make_graph(nodes, "graph", [ids, mask], [logits], [table])
model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
graph = Graph(model.SerializeToString(), where="model.onnx")
rows = TokenBatch(
    np.array([1, 2], np.int32), np.array([0, 1, 2]), None, np.zeros(2, np.int32)
)
wanted = graph.run(rows, output="logits").tolist()
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
child = context.Process(
    target=lambda: queue.put(graph.run(rows, output="logits").tolist()), daemon=True
)
child.start()
child.join(20)
assert child.exitcode == 0, "the child hangs"
assert queue.get() == wanted == graph.run(rows, output="logits").tolist() == [[2, 3], [4, 5]]
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_graph_that_computed_goes_on_in_a_forked_process() -> None:
    subprocess.run([sys.executable, "-c", FORK], check=True, timeout=60)
