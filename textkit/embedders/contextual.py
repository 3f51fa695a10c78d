"""Contextual text vectors: the pooled states of a transformer, or of an encoder that textkit
trained.

In: texts and a model folder. Out: one vector a text, in the order of the texts. Texts are tokenized
by textkit's own fast engines, put into batches of like length up to a budget of tokens, and each
batch is pooled on the device. Folders of sentence-transformers give the numbers that
sentence-transformers gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from textkit import tokenizers
from textkit.batch import TokenBatch, cut_rows
from textkit.data.batching import plan_sorted
from textkit.embedders.backend import EmbedderOptions, TextVectors, embed_blocks, not_fitted
from textkit.embedders.exported import SentenceInput
from textkit.embedders.sentence_folder import POOLINGS, SentenceConfig, read_sentence_folder
from textkit.errors import ArtifactError, LimitError, UsageError, unknown_name
from textkit.features.templates import IdTemplate
from textkit.io import files
from textkit.nn.collate import collate
from textkit.nn.devices import choose_device
from textkit.nn.encoders import pretrained
from textkit.nn.pooling import first_pool, last_pool, max_pool, mean_pool
from textkit.threads import work_ahead
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.protocol import check_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Texts that are tokenized and sorted by length at a time.
_BLOCK_ROWS, _BLOCK_CHARACTERS, _FIRST_ROWS = 16384, 16 << 20, 1024
# Padding that costs as much as a further batch would. MiniLM on a CPU, processor time for 96
# questions: 0.44 s with 16 or 64, 0.53 with 256, 0.68 without a bound. A GPU takes as long for a
# small batch as for a large one.
BATCH_PADDING = {"cpu": 64, "mps": 1024, "cuda": 8192}
# Padded tokens of a batch. On a CPU a batch should stay in the cache; a GPU wants thousands of
# rows.
BATCH_TOKENS = {"cpu": 2048, "mps": 16384, "cuda": 65536}
WEIGHTS = "model.safetensors"
_POOL = {"cls": first_pool, "last": last_pool, "max": max_pool, "mean": mean_pool}


@dataclass(frozen=True)
class ContextualTexts:
    """Texts to vectors by a network; made by `open_texts`, here and in classify/texts.py.

    encode: texts -> TokenBatch with special tokens, cut to the model's length. pool:
    TokenBatch -> (batch, dim) float32, on the device. facts: all that decides the vectors. source,
    network: what an export is made of, where there is one. config: of a transformer, where it lies
    and how it makes vectors.
    """

    parallel: ClassVar[bool] = False
    dim: int
    encode: Callable[[Sequence[str]], TokenBatch]
    pool: Callable[[TokenBatch], Tensor]
    device: torch.device
    batch_tokens: int
    facts: dict[str, object]
    prompt: str = ""
    notes: tuple[str, ...] = ()
    source: SentenceInput | None = None
    network: nn.Module | None = None
    config: SentenceConfig | None = None

    @property
    def batch_padding(self) -> int:
        """Padded positions without a token that a batch may hold."""
        return BATCH_PADDING[self.device.type]

    def embed(self, texts: Sequence[str]) -> TextVectors:
        """Give the vectors of texts; one row a text, in order."""
        if self.device.type == "cuda":
            return self._embed_beside(check_texts(texts))
        return embed_blocks(
            check_texts(texts),
            self._embed_block,
            dim=self.dim,
            n_rows=_BLOCK_ROWS,
            n_characters=_BLOCK_CHARACTERS,
        )

    def _embed_beside(self, texts: list[str]) -> TextVectors:
        """Embed a block on the device while a thread tokenizes the next; the first, for which the
        device waits, is small.
        """
        blocks = (
            cut_rows(part, n_rows=_BLOCK_ROWS, n_characters=_BLOCK_CHARACTERS)
            for part in (texts[:_FIRST_ROWS], texts[_FIRST_ROWS:])
        )
        parts = [
            TextVectors(self.embed_tokens(tokens), tokens.truncated)
            for tokens in work_ahead(self.encode_prompted, chain.from_iterable(blocks))
        ]
        if not parts:
            return TextVectors(np.zeros((0, self.dim), np.float32), np.zeros(0, np.int32))
        return TextVectors(
            np.concatenate([part.vectors for part in parts]),
            np.concatenate([part.truncated for part in parts]),
        )

    def _embed_block(self, texts: Sequence[str]) -> TextVectors:
        tokens = self.encode_prompted(texts)
        return TextVectors(self.embed_tokens(tokens), tokens.truncated)

    def encode_prompted(self, texts: Sequence[str]) -> TokenBatch:
        """Encode texts behind the prompt, where there is one."""
        return self.encode([self.prompt + text for text in texts] if self.prompt else texts)

    def fit(self, texts: Iterable[str], *, n_components: int = 1) -> ContextualTexts:
        """Refuse: a model's vectors are as it was trained."""
        raise not_fitted()

    def describe(self) -> dict[str, object]:
        """Say all that decides the vectors."""
        return {**self.facts, "prompt": self.prompt, "batch_tokens": self.batch_tokens}

    def embed_tokens(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Give the vectors of encoded texts: (n, dim) float32, in their order."""
        plan = plan_sorted(
            tokens.lengths,
            batch_tokens=self.batch_tokens,
            batch_padding=self.batch_padding,
        )
        parts = []
        with torch.inference_mode():
            for rows in plan:
                try:
                    parts.append(self.pool(tokens.take(rows)))
                except torch.OutOfMemoryError as err:
                    shape = f"{len(rows)} x {tokens.lengths[rows].max()}"
                    raise LimitError(
                        f"a batch of {shape} tokens does not fit the memory of {self.device};"
                        f" lower batch_tokens (--batch-tokens), now {self.batch_tokens:,}"
                    ) from err
            # One copy from the device at the end: each copy waits for all work before it.
            pooled = (
                torch.cat(parts).cpu().numpy() if parts else np.zeros((0, self.dim), np.float32)
            )
        if not np.isfinite(pooled).all():
            raise ArtifactError(
                "the model gives numbers that are not finite; its weights are broken"
            )
        made = np.empty_like(pooled)
        if plan:
            made[np.concatenate(plan)] = pooled
        return made


def open_texts(place: str, options: EmbedderOptions) -> ContextualTexts:
    """Open a folder of transformers or sentence-transformers, with its own tokenizer.

    pooling ("mean", "cls", "last", "max", or several, joined), normalize, prompt and max_length are
    by default what the folder says, without a word from it: mean, not scaled, none, the longest
    that the model takes. prompt: text put before each text; prompt_name: one of the folder's own.
    precision: "auto" is bfloat16 on a GPU, float32 elsewhere. Weights are read from safetensors
    alone. Raises ArtifactError that names the file and what is wrong.
    """
    options.refuse("tokenizer", "lowercase", spec=place, what="a transformer, which has its own")
    options.refuse("allow", spec=place, what="a transformer, which imports nothing that it names")
    config = read_sentence_folder(Path(place))
    tokenizer = tokenizers.load(config.model)
    chosen = _poolings(config.pooling if options.pooling is None else options.pooling)
    text = _prompt(config, options.prompt, options.prompt_name)
    where = choose_device(options.device)
    dtype = choose_precision(options.precision, where)
    model = (
        pretrained.load(str(config.model))
        .eval()
        .requires_grad_(requires_grad=False)
        .to(where, dtype)
    )
    dense = [_load_dense(path).to(where) for path in config.dense]
    scaled = config.normalize if options.normalize is None else options.normalize
    length = config.max_length if options.max_length is None else options.max_length
    _check_vocabulary(model, tokenizer, config.model)

    source = SentenceInput(tokenizer, length, config.lowercase)
    network = SentenceNetwork(model, poolings=chosen, dense=dense, normalize=scaled).eval()

    def pool(tokens: TokenBatch) -> Tensor:
        batch = collate(tokens).to(where)
        mask = batch.attention_mask
        # Without a mask attention takes its faster way.
        whole = int(batch.lengths.min()) == mask.shape[1]
        vectors: Tensor = network(batch.input_ids, mask, whole=whole)
        return vectors

    facts = {
        "weights": [files.sha256(path) for path in sorted(config.model.glob("*.safetensors"))],
        "dense": [files.sha256(path / WEIGHTS) for path in config.dense],
        "tokenizer": tokenizer.fingerprint,
        "pooling": list(chosen),
        "normalize": scaled,
        "max_length": length,
        "precision": str(dtype).removeprefix("torch."),
        "device": where.type,
    }
    budget = options.batch_tokens or BATCH_TOKENS[where.type]
    made = ContextualTexts(
        0,
        source.encode,
        pool,
        where,
        budget,
        facts,
        prompt=text,
        source=source,
        network=network,
        config=replace(config, pooling=chosen, normalize=scaled, max_length=length),
    )
    return measure_width(made)


class SentenceNetwork(nn.Module):
    """A transformer, poolings of its states joined, dense layers, and perhaps length 1."""

    def __init__(
        self,
        model: nn.Module,
        *,
        poolings: Sequence[str],
        dense: Sequence[nn.Module],
        normalize: bool,
    ) -> None:
        super().__init__()
        self.model, self.dense = model, nn.ModuleList(dense)
        self.poolings, self.normalize = tuple(poolings), normalize

    def forward(self, input_ids: Tensor, mask: Tensor, *, whole: bool = False) -> Tensor:
        """input_ids (batch, time) int64, mask (batch, time) bool -> (batch, dim) float32.

        whole: nothing is padded, and no mask is built.
        """
        attention_mask = None if whole else mask.long()
        states = self.model(input_ids=input_ids, attention_mask=attention_mask)[0].float()
        pooled = torch.cat([_POOL[name](states, mask) for name in self.poolings], dim=-1)
        for layer in self.dense:
            pooled = layer(pooled)
        return nn.functional.normalize(pooled, dim=-1) if self.normalize else pooled


def measure_width(made: ContextualTexts) -> ContextualTexts:
    """Fill in the width of the vectors, found by embedding one text."""
    with torch.inference_mode():
        return replace(made, dim=int(made.pool(made.encode(["a"])).shape[-1]))


def template_of(tokenizer: Tokenizer) -> IdTemplate:
    """Find the special tokens that a tokenizer.json puts around one text.

    >>> template_of(tokenizers.create("wordpiece", vocabulary=["[UNK]", "a"])).before
    ()
    """
    return IdTemplate(*tokenizer.around)


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """Choose the number format of the weights: "auto" is bfloat16 on a GPU that computes in it,
    else float32.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise UsageError(unknown_name("precision", precision, ["auto", "bfloat16", "float32"]))
    if precision == "auto":
        return (
            torch.bfloat16
            if device.type == "cuda" and torch.cuda.is_bf16_supported()
            else torch.float32
        )
    return torch.float32 if precision == "float32" else torch.bfloat16


def _poolings(pooling: str | Sequence[str]) -> tuple[str, ...]:
    names = (pooling,) if isinstance(pooling, str) else tuple(pooling)
    for name in names:
        if name not in POOLINGS:
            raise UsageError(unknown_name("pooling of a transformer", name, POOLINGS))
    if not names:
        raise UsageError("no pooling given")
    return names


def _prompt(config: SentenceConfig, prompt: str | None, prompt_name: str | None) -> str:
    if prompt is not None and prompt_name is not None:
        raise UsageError("prompt and prompt_name are both given; one of them is enough")
    if prompt_name is not None and prompt_name not in config.prompts:
        if not config.prompts:
            raise UsageError(
                f"the model has no named prompts, so not '{prompt_name}'; give its text as prompt"
            )
        raise UsageError(unknown_name("prompt", prompt_name, config.prompts))
    text = (
        config.prompts[prompt_name]
        if prompt_name is not None
        else (config.prompt if prompt is None else prompt)
    )
    if text and not config.include_prompt:
        raise UsageError(
            "this model pools without the prompt's tokens, which textkit does not do; pass"
            " prompt=''"
        )
    return text


def _load_dense(folder: Path) -> nn.Module:
    """Load a linear layer with its activation, as sentence-transformers' Dense module is kept."""
    from safetensors.torch import load_file

    config = files.read_json(folder / "config.json")
    named = str(
        config.get("activation_function", "Tanh") if isinstance(config, dict) else ""
    ).rpartition(".")[2]
    known = {
        "Identity": nn.Identity,
        "Tanh": nn.Tanh,
        "ReLU": nn.ReLU,
        "GELU": nn.GELU,
        "Sigmoid": nn.Sigmoid,
    }
    if named not in known or config.get("use_residual"):
        raise ArtifactError(
            f"a dense layer with '{named}' is not known; expected one of {', '.join(known)},"
            f" without residual",
            where=str(folder / "config.json"),
        )
    try:
        weights = load_file(folder / WEIGHTS)
        weight, bias = weights["linear.weight"].float(), weights.get("linear.bias")
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.load_state_dict(
            {"weight": weight} if bias is None else {"weight": weight, "bias": bias.float()}
        )
    except Exception as err:  # a missing file, no safetensors, a missing or misshapen tensor
        reason = " ".join(str(err).split())
        raise ArtifactError(
            f"cannot load a dense layer: {reason}", where=str(folder / WEIGHTS)
        ) from err
    return nn.Sequential(layer, known[named]()).eval().requires_grad_(requires_grad=False)


def _check_vocabulary(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Refuse a tokenizer whose ids the model's table does not have."""
    n_rows = model.get_input_embeddings().num_embeddings
    highest = max(tokenizer.vocabulary.values(), default=-1)
    if highest >= n_rows:
        raise ArtifactError(
            f"the tokenizer has ids up to {highest:,}, the model only {n_rows:,} rows for them",
            where=str(folder),
        )
