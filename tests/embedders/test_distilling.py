"""Static vectors of an encoder: against a naive loop, opened by whatever opens such folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from textkit import TextClassifier, TextEmbedder, Vectors, tokenizers
from textkit.embedders.distilling import SIF_A, distil, principal, zipf_shares
from textkit.errors import ArtifactError, UsageError
from textkit.jobs import DistilOptions, describe_vectors, distil_vectors
from textkit.watch import Progress, Watch

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[unused0]"]
WORDS = ["the", "king", "queen", "##ly", "tree", "and", ",", "!", "a"]
TEXTS = ["the king and the queen", "", "queenly, a tree!", "nothing"]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "bert"
    torch.manual_seed(0)
    sizes = {"hidden_size": 6, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(
        vocab_size=len(SPECIAL + WORDS), max_position_embeddings=16, intermediate_size=8, **sizes
    )
    transformers.BertModel(config).eval().save_pretrained(folder)
    description = json.loads(tokenizers.create("wordpiece", vocabulary=SPECIAL + WORDS).json)
    description["post_processor"] = {
        "type": "BertProcessing",
        "sep": ["[SEP]", 3],
        "cls": ["[CLS]", 2],
    }
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


def naive(bert: Path, shares: np.ndarray, dim: int) -> np.ndarray:
    """Each piece alone through transformers itself, axes by SVD, weights."""
    model = transformers.AutoModel.from_pretrained(bert).eval()
    ids = range(len(SPECIAL), len(SPECIAL + WORDS))
    with torch.no_grad():
        rows = [model(input_ids=torch.tensor([[2, i, 3]]))[0][0].mean(0).numpy() for i in ids]
    centred = np.stack(rows) - np.mean(rows, axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:dim].T
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), range(dim)])
    return np.asarray((centred @ axes) * (SIF_A / (SIF_A + shares))[:, None])


def test_each_piece_is_its_own_text_turned_and_weighed(bert: Path, tmp_path: Path) -> None:
    heard: list[Progress] = []
    embedder = distil(bert, tmp_path / "static", dim=4, watch=Watch(progress=heard.append))
    table = Vectors.open(tmp_path / "static")
    wanted = naive(bert, zipf_shares(len(WORDS)), 4)
    np.testing.assert_allclose(table.lookup(WORDS, "error"), wanted, atol=1e-6)
    assert not table.lookup(SPECIAL, "error").any()
    assert (heard[-1].done, heard[-1].total) == (len(WORDS), len(WORDS))
    rows = wanted[[WORDS.index(word) for word in TEXTS[0].split()]].mean(0)
    made = embedder.encode(TEXTS)
    np.testing.assert_allclose(made[0], rows / np.linalg.norm(rows), atol=1e-5)
    assert not made[[1, 3]].any()


def test_texts_say_how_frequent_pieces_are(bert: Path, tmp_path: Path) -> None:
    texts = ["the the the king", "the queenly tree"]
    distil(bert, tmp_path / "static", dim=4, texts=texts)
    counts = np.array([4, 1, 1, 1, 1, 0, 0, 0, 0])
    made = Vectors.open(tmp_path / "static").lookup(WORDS, "error")
    np.testing.assert_allclose(made, naive(bert, counts / 8, 4), atol=1e-6)


def test_words_have_rows_of_their_own(bert: Path, tmp_path: Path) -> None:
    words = ["the", "queenly", "king", "the"]
    embedder = distil(bert, tmp_path / "words", dim=2, words=words)
    shares = SIF_A / (SIF_A + zipf_shares(3))
    wanted = principal(TextEmbedder.open(bert).encode(words[:3]), 2) * shares[:, None]
    assert list(Vectors.open(tmp_path / "words").words) == words[:3]
    np.testing.assert_allclose(embedder.encode(words[:3]), wanted, atol=1e-6)


@pytest.mark.slow
def test_opens_as_vectors_of_a_bag_and_of_a_frozen_model(bert: Path, tmp_path: Path) -> None:
    distil(bert, tmp_path / "static", dim=4)
    texts, labels = ["the king", "a king", "the tree", "a tree"] * 5, ["k", "k", "t", "t"] * 5
    options = {"embedding__vectors": str(tmp_path / "static"), "embedding__dim": 4}
    bag = TextClassifier(encoder="bag", training__epochs=1, **options).fit(texts, labels)
    assert bag.predict(["a tree"]).shape == (1,)
    frozen = TextClassifier(encoder="frozen", encoder__embedder=str(tmp_path / "static"))
    frozen.fit(texts, labels).save(tmp_path / "model")
    opened = TextClassifier.load(tmp_path / "model")
    assert opened.predict(["a king", "the tree"]).tolist() == ["k", "t"]


def test_the_job_writes_verifies_and_refuses_to_overwrite(bert: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("king\nqueen\ntree\n", encoding="utf-8")
    out = tmp_path / "out"
    assert len(distil_vectors(DistilOptions(model=str(bert), out=out, dim=2, words=words))) == 3
    with pytest.raises(UsageError, match="holds finished work"):
        distil_vectors(DistilOptions(model=str(bert), out=out))
    v = distil_vectors(DistilOptions(model=str(bert), out=out, overwrite=True))
    assert (len(v), v.dim) == (len(SPECIAL + WORDS), 6)
    assert describe_vectors(str(out)).verified
    data = bytearray((out / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (out / "model.safetensors").write_bytes(data)
    with pytest.raises(ArtifactError, match="SHA-256"):
        describe_vectors(str(out))
    (out / "model.safetensors").write_bytes(data[:-4])
    with pytest.raises(ArtifactError, match="file was changed"):
        TextEmbedder.open(out)


def test_what_cannot_be_distilled_is_said(bert: Path, tmp_path: Path) -> None:
    Vectors(["king"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    with pytest.raises(UsageError, match="only a transformer has pieces"):
        distil(tmp_path / "v", tmp_path / "out")
    with pytest.raises(UsageError, match="expected dim from 1 on"):
        distil(bert, tmp_path / "out", dim=0)
    with pytest.raises(UsageError, match="no words"):
        distil(bert, tmp_path / "out", words=[])
    with pytest.raises(UsageError, match="texts are for the encoder's pieces"):
        distil(bert, tmp_path / "out", words=["king"], texts=TEXTS)
    assert not (tmp_path / "out").exists()


def test_model2vec_and_sentence_transformers_open_the_folder(bert: Path, tmp_path: Path) -> None:
    model2vec = pytest.importorskip("model2vec", reason="model2vec is not installed")
    peers = pytest.importorskip("sentence_transformers", reason="it is not installed")
    made = distil(bert, tmp_path / "static", dim=4).encode(TEXTS)
    folder = str(tmp_path / "static")
    for theirs in (
        model2vec.StaticModel.from_pretrained(folder).encode(TEXTS),
        peers.SentenceTransformer(folder, device="cpu").encode(TEXTS),
    ):
        np.testing.assert_allclose(made, theirs, atol=1e-6)
