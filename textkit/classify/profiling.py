"""Where the time of a prediction goes: by stage, by batch size, by length, with what it computes.

In: a Fitted and batches of texts. Out: plain numbers. Each batch goes through twice: once stage by
stage, once as a prediction goes, so that it can be seen that the stages add up to the whole.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from textkit.classify.ensemble import EnsembleModel
from textkit.classify.fitted import Fitted
from textkit.classify.frozen import FrozenModel
from textkit.classify.linear import LinearModel
from textkit.classify.machines import DenseFeatures

STAGES = ("read", "tokenize", "collate", "embed", "encode", "pool", "head")
_LENGTHS = (16, 32, 64, 128, 256, 512)
_REPEATS = 5
# Tokens after which sentence encoders usually cut.
_ENCODED = 256
# A stage is a name, when it began, and how long it took, in seconds.
Mark = tuple[str, float, float]


@dataclass(frozen=True)
class Latency:
    """Seconds that a prediction of so many texts takes, over many."""

    batch_size: int
    p50: float
    p95: float
    p99: float

    @staticmethod
    def of(batch_size: int, seconds: Sequence[float]) -> Latency:
        """Take the percentiles of some durations."""
        return Latency(batch_size, *np.percentile(seconds, [50, 95, 99]).tolist())


@dataclass(frozen=True)
class Growth:
    """Seconds by the number of words of a text, and the exponent of the power that fits them.

    1 is linear, 2 quadratic; only the longer half is fitted, where the fixed costs count least.
    """

    words: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> float:
        half = len(self.words) // 2
        if len(self.words) - half < 2:
            return math.nan
        slope, _ = np.polyfit(np.log(self.words[half:]), np.log(self.seconds[half:]), 1)
        return float(slope)


def stage_batch(fitted: Fitted, texts: Sequence[str]) -> list[Mark]:
    """Predict a batch of texts stage by stage; give what each took.

    A bag that averages straight from its table, without a padded rectangle, does so in `pool`. The
    members of an ensemble come one after the other.
    """
    marks: list[Mark] = []
    clock = time.perf_counter

    def run(name: str, work: Callable[..., Any], *inputs: Any) -> Any:
        began = clock()
        made = work(*inputs)
        marks.append((name, began, clock() - began))
        return made

    if isinstance(fitted.model, EnsembleModel):
        return [mark for member in fitted.model.members for mark in stage_batch(member, texts)]
    if isinstance(fitted.model, FrozenModel):
        made = run("embed", fitted.model.embedder.embed, texts)
        run("head", fitted.model.machines.score, DenseFeatures(made.vectors))
        return marks
    if isinstance(fitted.model, LinearModel):
        rows = run("tokenize", fitted.model.features.encode, texts)
        run("head", fitted.model.score, rows)
        return marks
    import torch

    from textkit.data.batching import plan_sorted
    from textkit.nn.network import BATCH_TOKENS

    network = fitted.network
    with torch.inference_mode():
        tokens = run("tokenize", fitted.text_input.encode, texts)
        run("collate", network.eval)  # a prediction does so, too
        plan = run("collate", lambda: list(plan_sorted(tokens.lengths, batch_tokens=BATCH_TOKENS)))
        outputs = torch.zeros((len(tokens), network.n_outputs))
        for rows in plan:
            batch = run("collate", lambda rows=rows: network.make_batch(tokens.take(rows)))
            pooled = _stage_network(network, batch, run)
            run("head", _stage_heads, network, pooled, outputs, rows)
        run("head", lambda: network.restore(outputs).numpy())
    return marks


def _stage_network(network: Any, batch: Any, run: Callable[..., Any]) -> Any:
    """Embed, encode and pool a batch: what the heads see, for each member."""
    import torch

    if network.is_ragged:
        return run("pool", network._pool, batch, None)
    mask, lengths = batch.attention_mask, batch.lengths
    states = run("embed", network.embedding, batch.input_ids, mask)
    encoded = run(
        "encode", lambda: [each.encoder(states, mask, lengths) for each in network.members]
    )
    return run(
        "pool",
        lambda: [
            torch.cat([pool(part, mask) for pool in member.poolings], dim=-1)
            for member, part in zip(network.members, encoded, strict=True)
        ],
    )


def _stage_heads(network: Any, pooled: Any, outputs: Any, rows: Any) -> None:
    import torch

    heads = [each.head(part) for each, part in zip(network.members, pooled, strict=True)]
    mean = heads[0] if len(heads) == 1 else torch.stack(heads).mean(dim=0)
    outputs.index_copy_(0, torch.from_numpy(np.asarray(rows)), mean.float())


def measure_latency(fitted: Fitted, texts: Sequence[str], *, batch_size: int, n: int) -> Latency:
    """Predict `n` batches of a size, taken in turn from texts, after a first one that warms up."""
    batches = [
        [texts[(i * batch_size + j) % len(texts)] for j in range(batch_size)] for i in range(n)
    ]
    fitted.logits(batches[0])
    seconds = []
    for batch in batches:
        began = time.perf_counter()
        fitted.logits(batch)
        seconds.append(time.perf_counter() - began)
    return Latency.of(batch_size, seconds)


def measure_growth(fitted: Fitted, texts: Sequence[str]) -> Growth:
    """Predict texts of more and more words, up to where rows are cut; the median of a few."""
    words = " ".join(texts).split() or ["word"]
    limit = _longest(fitted)
    lengths = [n for n in _LENGTHS if n <= limit] or [_LENGTHS[0]]
    medians = []
    for n in lengths:
        text = " ".join((words * (n // len(words) + 1))[:n])
        fitted.logits([text])
        seconds = []
        for _ in range(_REPEATS):
            began = time.perf_counter()
            fitted.logits([text])
            seconds.append(time.perf_counter() - began)
        medians.append(float(np.median(seconds)))
    return Growth(tuple(lengths), tuple(medians))


def _longest(fitted: Fitted) -> float:
    """Give where texts are cut; of an encoder that is not trained a usual length."""
    if isinstance(fitted.model, EnsembleModel):
        return min(map(_longest, fitted.model.members))
    if isinstance(fitted.model, LinearModel):
        return math.inf
    return _ENCODED if isinstance(fitted.model, FrozenModel) else fitted.text_input.max_length


def count_flops(fitted: Fitted, texts: Sequence[str]) -> int:
    """Count the floating-point operations of a batch: two for each multiplication of products.

    torch counts them; of recurrent cells, whose kernels it does not look into, they are counted by
    their formula.
    """
    if isinstance(fitted.model, EnsembleModel):
        return sum(count_flops(member, texts) for member in fitted.model.members)
    if isinstance(fitted.model, FrozenModel):
        return _count_frozen(fitted.model, texts)
    if isinstance(fitted.model, LinearModel):
        rows = fitted.model.features.encode(texts)
        return 2 * len(rows.values) * int(fitted.model.weights.shape[1])
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    network = fitted.network
    recurrent = [module for module in network.modules() if isinstance(module, torch.nn.RNNBase)]
    formula = [0]

    def add(cell: Any, inputs: tuple[Any, ...], output: Any) -> None:
        gates = {"LSTM": 4, "GRU": 3}.get(type(cell).__name__, 1)
        positions = inputs[0].shape[0] * inputs[0].shape[1]
        width = cell.input_size + cell.hidden_size
        formula[0] += 2 * gates * cell.hidden_size * width * positions

    handles = [cell.register_forward_hook(add) for cell in recurrent]
    counter = FlopCounterMode(display=False)
    try:
        # Of attention by its fused kernel on a CPU torch counts no product.
        plain = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), plain, counter if not recurrent else nullcontext():
            network(network.make_batch(fitted.text_input.encode(texts)))
        if recurrent:
            return formula[0] + _count_rest(fitted, texts, counter)
    finally:
        for handle in handles:
            handle.remove()
    return int(counter.get_total_flops())


def _count_frozen(model: FrozenModel, texts: Sequence[str]) -> int:
    """Count the products of an encoder that is not trained, and of what was learnt on it."""
    learnt = 2 * len(texts) * int(model.machines.weights.size)
    if model.engine == "numpy":
        return learnt
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        model.embedder.embed(texts)
    return learnt + int(counter.get_total_flops())


def _count_rest(fitted: Fitted, texts: Sequence[str], counter: Any) -> int:
    """Count the poolings and heads of a recurrent network, whose encoder goes by its formula."""
    import torch

    network = fitted.network
    batch: Any = network.make_batch(fitted.text_input.encode(texts))
    mask = batch.attention_mask
    with torch.no_grad(), counter:
        for member in network.members:
            states = torch.zeros(*mask.shape, member.encoder.out_dim)
            member.head(torch.cat([pool(states, mask) for pool in member.poolings], dim=-1))
    return int(counter.get_total_flops())


def count_tokens(fitted: Fitted, texts: Sequence[str]) -> int:
    """Count the tokens that the network reads; of a linear model the features of the rows, of
    vectors that are not trained the words; of an ensemble the most that a member reads.
    """
    if isinstance(fitted.model, EnsembleModel):
        return max(count_tokens(member, texts) for member in fitted.model.members)
    if isinstance(fitted.model, FrozenModel):
        return sum(len(text.split()) for text in texts)
    if isinstance(fitted.model, LinearModel):
        return len(fitted.model.features.encode(texts).values)
    return int(fitted.text_input.encode(texts).lengths.sum())
