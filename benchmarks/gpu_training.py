"""The training half of benchmarks/gpu.py: texts, the clock of batches, peers, their arithmetic."""

from __future__ import annotations

import ast
import contextlib
import itertools
import sysconfig
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textkit.nn.network import TextNetwork
from textkit.recipe import Recipe
from textkit.training.examples import Examples, plan_epoch

MAX_LENGTH, N_CLASSES = 256, 6


def collect_texts(n_files: int | None) -> list[str]:
    """Read the docstrings of the standard library, each once."""
    root = Path(sysconfig.get_paths()["stdlib"])
    apart = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3"}
    paths = (p for p in sorted(root.rglob("*.py")) if not apart & set(p.relative_to(root).parts))
    texts: dict[str, None] = {}
    for path in itertools.islice(paths, n_files):
        with contextlib.suppress(SyntaxError, ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for node in ast.walk(ast.parse(path.read_bytes())):
                if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                    text = ast.get_docstring(node) or ""
                    if len(text.split()) > 3:
                        texts[text] = None
    return list(texts)


class Clock:
    """Seconds in which batches were made, and those of them after which the device was idle."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.host = self.waits = self._made = 0.0
        self._last: Any = None  # the end of the last step's work

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage, as a Watch has it."""
        began = time.perf_counter()
        yield
        if name in ("data", "collate"):
            self._made += time.perf_counter() - began
        if name == "collate":
            self.host += self._made
            if self._last is None or self._last.query():
                self.waits += self._made
            self._made = 0.0
        if name == "optimizer" and self.device.type == "cuda":
            self._last = torch.cuda.Event()
            self._last.record()


def flops_per_row(model: str, lengths: np.ndarray, *, width: int, dim: int, layers: int) -> Any:
    """Count the operations of a forward pass over rows of these lengths, two a product: (n,).

    width: of what goes in. A transformer's layer: 24 dim^2 a token (queries, keys, values, output,
    two feed-forward layers of 4 dim) and 4 dim for each pair of tokens. A bidirectional LSTM's: 2 x
    8 dim (in + dim) a token.
    """
    n = lengths.astype(np.float64)
    if model.startswith("lstm"):
        ins = [width] + [2 * dim] * (layers - 1)
        return n * sum(2 * 8 * dim * (size + dim) for size in ins)
    return n * (2 * width * dim) * (width > 0) + layers * (n * 24 * dim**2 + 4 * dim * n**2)


class Plain(nn.Module):
    """The same widths of torch's own modules, as one writes them down."""

    def __init__(self, model: str, *, n_tokens: int, width: int, dim: int, layers: int) -> None:
        super().__init__()
        self.table = nn.Embedding(n_tokens, width)
        self.is_lstm = model.startswith("lstm")
        if self.is_lstm:
            self.body: Any = nn.LSTM(width, dim, layers, batch_first=True, bidirectional=True)
        else:
            layer = nn.TransformerEncoderLayer(
                dim, max(2, dim // 64), 4 * dim, 0.1, "gelu", batch_first=True, norm_first=True
            )
            self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
            self.project, self.places = nn.Linear(width, dim), nn.Embedding(MAX_LENGTH, dim)
        self.head = nn.Linear(2 * dim if self.is_lstm else dim, N_CLASSES)

    def forward(self, batch: Any) -> Tensor:
        states, mask = self.table(batch.input_ids), batch.attention_mask
        if self.is_lstm:
            packed = pack_padded_sequence(
                states, batch.lengths.clamp(min=1), batch_first=True, enforce_sorted=False
            )
            states = pad_packed_sequence(self.body(packed)[0], batch_first=True)[0]
        else:
            states = self.project(states) + self.places.weight[: states.shape[1]]
            states = self.body(states, src_key_padding_mask=~mask)
        kept = states.masked_fill(~mask.unsqueeze(-1), 0.0).sum(1) / mask.sum(1, keepdim=True)
        return self.head(kept)


def train_bare(
    network: nn.Module, data: Examples, recipe: Recipe, device: torch.device, batches: TextNetwork
) -> tuple[float, Clock]:
    """Run the shortest loop that trains; give its seconds. batches: what makes them."""
    plan = plan_epoch(data.tokens.lengths, data.targets, recipe, epoch=1, is_ragged=False)
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, fused=True)
    autocast = torch.autocast(
        device.type, torch.bfloat16, enabled=recipe.training.precision == "bf16"
    )
    clock = Clock(device)
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    for rows in plan:
        with clock.stage("data"):
            tokens = data.tokens.take(rows)
        with clock.stage("collate"):
            batch = batches.make_batch(tokens, targets=data.targets[rows]).to(device)
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            outputs = network(batch)
        loss = nn.functional.cross_entropy(outputs.float(), batch.targets)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        with clock.stage("optimizer"):
            optimizer.step()
    assert np.isfinite(loss.item())
    return time.perf_counter() - began, clock
