"""Walk one text through a network: tokens, ids, mask, and what every stage gives.

In: a Fitted and a text. Out: a Walk. The row is given two tokens of padding, so that it can be seen
that padding stays zeros. Of several members the first is looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textkit.batch import TokenBatch
from textkit.classify.fitted import Fitted
from textkit.evaluation.walk_drawing import Panel, Walk
from textkit.nn.collate import collate
from textkit.nn.encoders.transformer import Block
from textkit.nn.pooling import AttentionPooling

_PADDING = 2


def walk_text(fitted: Fitted, text: str) -> Walk:
    """Walk a text through a model; UsageError where it has no network."""
    network = fitted.network.eval()
    source = fitted.text_input
    tokens = source.encode([text])
    row = tokens[0].tolist()
    padded = collate(TokenBatch.from_rows([row, row + [0] * _PADDING]), pad_id=network.pad_id)
    ids, mask = padded.input_ids[:1], padded.attention_mask[:1]
    member = network.members[0]
    panels: list[Panel] = []
    handles = [
        module.register_forward_pre_hook(_look(panels, f"attention of block {i + 1}"))
        for i, module in enumerate(each for each in member.encoder.modules() if _looks(each))
    ]
    try:
        with torch.no_grad():
            states = network.embedding(ids, mask)
            panels.append(_panel("states", "embedding", states))
            states = member.encoder(states, mask, mask.sum(dim=1))
            panels.append(_panel("states", f"encoder {fitted.recipe.encoder.name}", states))
            pooled = []
            for name, pooling in zip(fitted.recipe.head.pooling, member.poolings, strict=True):
                if isinstance(pooling, AttentionPooling):
                    weights = pooling.weigh(states.masked_fill(~mask.unsqueeze(-1), 0.0), mask)
                    panels.append(_panel("weights", "attention pooling looks at", weights))
                pooled.append(pooling(states, mask))
                panels.append(_panel("vector", f"pooling {name}", pooled[-1]))
            outputs = network.restore(member.head(torch.cat(pooled, dim=-1)))
            panels.append(_panel("logits", "head", outputs))
    finally:
        for handle in handles:
            handle.remove()
    names = {id_: token for token, id_ in source.tokenizer.vocabulary.items()}
    shown = ids[0].tolist()
    return Walk(
        text,
        tuple(names.get(id_, f"n-gram {id_}") for id_ in shown),
        tuple(shown),
        tuple(mask[0].tolist()),
        tuple(panels),
        tuple(str(name) for name in fitted.classes.tolist()),
    )


def _looks(module: nn.Module) -> bool:
    return isinstance(module, Block)


def _look(panels: list[Panel], title: str) -> Any:
    def hook(block: Block, inputs: tuple[Any, ...]) -> None:
        panels.append(_panel("attention", title, block.look(*inputs)))

    return hook


def _panel(kind: str, title: str, value: Tensor) -> Panel:
    """Take the row of a tensor whose first axis is the batch of one."""
    values = value[0].double().numpy().astype(np.float64)
    return Panel(kind, title, values, tuple(value.shape))
