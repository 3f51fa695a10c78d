"""The embedding half of benchmarks/gpu.py: a model of random weights, its peers, and a clock."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from gpu_training import MAX_LENGTH
from torch import nn

from textkit.tokenizers import Tokenizer


class Busy:
    """Seconds in which the device works on a network's forward passes."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.clear()
        network.register_forward_pre_hook(lambda *_: self.began.append(self._now()))
        network.register_forward_hook(lambda *_: self.ended.append(self._now()))

    def clear(self) -> None:
        """Forget what was measured."""
        self.began: list[Any] = []
        self.ended: list[Any] = []

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self) -> float:
        """Add up the passes; the device has ended them."""
        pairs = zip(self.began, self.ended, strict=True)
        if self.on_gpu:
            return sum(first.elapsed_time(last) for first, last in pairs) / 1000
        return sum(last - first for first, last in pairs)


def make_peers(
    folder: Path, dtype: torch.dtype, device: torch.device, notes: list[str]
) -> dict[str, Callable[[list[str]], Any]]:
    """Give sentence-transformers' encode with 32 and 256 texts a batch, or its loop."""
    if importlib.util.find_spec("sentence_transformers") is not None:
        try:
            return _sentence_transformers(folder, dtype, device)
        except Exception as err:  # noqa: BLE001
            notes.append(f"sentence-transformers cannot open the model: {err}"[:300])
    line = "its loop over bare transformers stands in for sentence-transformers, not used here"
    if line not in notes:
        notes.append(line)
    from transformers import AutoModel, AutoTokenizer

    bare = AutoModel.from_pretrained(folder, dtype=dtype).to(device).eval()
    fast = AutoTokenizer.from_pretrained(folder)
    return {
        f"bare transformers, {size}": lambda texts, size=size: embed_bare(
            texts, bare, fast, size, device
        )
        for size in (32, 256)
    }


def _sentence_transformers(folder: Path, dtype: torch.dtype, device: torch.device) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(folder), device=device.type, local_files_only=True, model_kwargs={"dtype": dtype}
    )

    def encode(texts: list[str], size: int) -> Any:
        made = model.encode(texts, batch_size=size, show_progress_bar=False, convert_to_tensor=True)
        return made.float().cpu()

    encode(["a"], 1)
    return {
        f"sentence-transformers, {size}": lambda texts, size=size: encode(texts, size)
        for size in (32, 256)
    }


def embed_bare(texts: list[str], model: Any, fast: Any, size: int, device: torch.device) -> Any:
    """Embed as sentence-transformers does: sorted by length, the mean of real states, each batch to
    the CPU.
    """
    order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
    made: list[Any] = [None] * len(texts)
    with torch.inference_mode():
        for at in range(0, len(order), size):
            rows = order[at : at + size]
            batch = fast(
                [texts[row] for row in rows],
                padding=True,
                truncation=True,
                max_length=MAX_LENGTH,
                return_tensors="pt",
            ).to(device)
            mask = batch["attention_mask"].unsqueeze(-1)
            states = model(**batch)[0].float()
            mean = ((states * mask).sum(1) / mask.sum(1).clamp(min=1)).cpu()
            for row, vector in zip(rows, mean, strict=True):
                made[row] = vector
    return torch.stack(made)


def save_sentence_model(
    folder: Path, tokenizer: Tokenizer, dim: int, layers: int, heads: int
) -> Path:
    """Write a BERT of random weights as sentence-transformers keeps its models."""
    import transformers

    described = json.loads(tokenizer.json)
    vocabulary = dict(tokenizer.vocabulary)
    for piece in ("[CLS]", "[SEP]"):
        if piece not in vocabulary:
            vocabulary[piece] = len(vocabulary)
            described["added_tokens"].append(
                {"id": vocabulary[piece], "content": piece, "special": True}
                | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            )
            described["model"]["vocab"][piece] = vocabulary[piece]
    around = [[piece, vocabulary[piece]] for piece in ("[SEP]", "[CLS]")]
    described["post_processor"] = {"type": "BertProcessing", "sep": around[0], "cls": around[1]}
    (folder / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")
    files: dict[str, object] = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_LENGTH,
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "model_input_names": ["input_ids", "attention_mask"],
        },
        "sentence_bert_config.json": {"max_seq_length": MAX_LENGTH, "do_lower_case": False},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {
                "idx": 1,
                "name": "1",
                "path": "1_Pooling",
                "type": "sentence_transformers.models.Pooling",
            },
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": dim,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    }
    (folder / "1_Pooling").mkdir()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * dim,
        pad_token_id=vocabulary["[PAD]"],
    )
    transformers.BertModel(config).eval().save_pretrained(folder)
    return folder
