"""A TextEmbedder is a model of mteb's: its protocol by hand, and its own runs where it is installed
(it is in no extra that the tests install: pip install 'textkit-nlp[mteb]').
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from textkit import TextEmbedder, Vectors
from textkit.errors import MissingExtraError, UsageError

WORDS = ["good", "bad", "film", "plot", "query"]


@pytest.fixture
def embedder() -> TextEmbedder:
    table = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    Vectors(WORDS, table).save("vec")
    return TextEmbedder.open("vec")


@pytest.fixture
def no_mteb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the parts of mteb that are asked for."""
    made: dict[str, Any] = {}
    meta = ModuleType("mteb.models.model_meta")
    meta.ModelMeta = SimpleNamespace(create_empty=lambda overwrites: overwrites)  # type: ignore[attr-defined]
    meta.ScoringFunction = SimpleNamespace(COSINE="cosine")  # type: ignore[attr-defined]
    for name in ("mteb", "mteb.models"):
        made[name] = ModuleType(name)
        made[name].__spec__ = SimpleNamespace(name=name)
    for name, module in {**made, "mteb.models.model_meta": meta}.items():
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.usefixtures("no_mteb")
def test_it_encodes_batches_and_asks_another_embedder_for_queries(embedder: TextEmbedder) -> None:
    Vectors(WORDS, np.ones((5, 4), np.float32)).save("ones")
    model = embedder.as_mteb(queries=TextEmbedder.open("ones"), name="me/words")
    batches = [{"text": ["good film", ""]}, {"text": ["bad"]}]
    told: Any = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}
    found = model.encode(batches, **told, batch_size=2)
    np.testing.assert_array_equal(found, embedder.encode(["good film", "", "bad"]))
    query = SimpleNamespace(value="query")
    assert (model.encode([{"text": ["good"]}], **told, prompt_type=query) == 1).all()
    assert model.encode([], **told).shape == (0, 4)
    assert model.mteb_model_meta["name"] == "me/words"
    other = embedder.as_mteb(name="me/words").mteb_model_meta["revision"]
    assert other != model.mteb_model_meta["revision"]  # its results are not taken for these


@pytest.mark.usefixtures("no_mteb")
def test_queries_of_another_width_are_refused(embedder: TextEmbedder) -> None:
    Vectors(WORDS, np.ones((5, 3), np.float32)).save("narrow")
    with pytest.raises(UsageError, match="3 wide, those of texts 4"):
        embedder.as_mteb(queries=TextEmbedder.open("narrow"))


def test_without_mteb_the_error_gives_the_pip_command(embedder: TextEmbedder) -> None:
    if find_spec("mteb") is not None:
        pytest.skip("mteb is installed")
    with pytest.raises(MissingExtraError, match="mteb"):
        embedder.as_mteb()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mteb_runs_local_tasks(embedder: TextEmbedder, tmp_path: Path) -> None:
    mteb = pytest.importorskip("mteb", reason="mteb is not installed")
    datasets = pytest.importorskip("datasets")
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    facts: dict[str, Any] = {
        "description": "local",
        "reference": "https://example.com",
        "dataset": {"path": "NA", "revision": "NA"},
        "category": "t2t",
        "eval_splits": ["test"],
        "eval_langs": ["eng-Latn"],
        "date": ("2024-01-01", "2024-01-01"),
        "dialect": ["Written"],
        "domains": [],
        "task_subtypes": [],
        "license": "cc-by-4.0",
        "annotations_creators": "derived",
        "modalities": ["text"],
        "sample_creation": "found",
        "bibtex_citation": "",
    }
    texts, labels = ["good film", "bad film", "good plot", "bad plot"] * 10, [1, 0, 1, 0] * 10
    rows = datasets.Dataset.from_dict({"text": texts, "label": labels})

    class Films(AbsTaskClassification):
        metadata = TaskMetadata(type="Classification", name="Films", main_score="accuracy", **facts)

        def load_data(self, num_proc: int | None = None, **more: Any) -> None:
            self.dataset = datasets.DatasetDict({"train": rows, "test": rows})
            self.data_loaded = True

    class Found(AbsTaskRetrieval):
        metadata = TaskMetadata(type="Retrieval", name="Found", main_score="ndcg_at_10", **facts)

        def load_data(self, num_proc: int | None = None, **more: Any) -> None:
            corpus = {"id": ["d0", "d1", "d2"], "text": ["good film", "bad plot", "query"]}
            queries = {"id": ["q0", "q1"], "text": ["a good film", "plot bad"]}
            split = {
                "corpus": datasets.Dataset.from_dict(corpus | {"title": ["", "", ""]}),
                "queries": datasets.Dataset.from_dict(queries),
                "relevant_docs": {"q0": {"d0": 1}, "q1": {"d1": 1}},
                "top_ranked": None,
            }
            self.dataset = {"default": {"test": split}}
            self.data_loaded = True

    model = embedder.as_mteb(name="me/words")
    done = mteb.evaluate(model, [Films(), Found()], cache=None, show_progress_bar=False)
    scores = {result.task_name: result.get_score() for result in done.task_results}
    assert scores == {"Films": 1.0, "Found": 1.0}
