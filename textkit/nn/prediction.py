"""Encoded rows -> the network's outputs, in batches of like length, on whatever device the
network lies.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from textkit.data.batching import plan_sorted
from textkit.data.rows import Rows
from textkit.nn.network import TextNetwork

# Padded positions a batch: a batch of short texts holds many, one of long texts few.
BATCH_TOKENS = 8192


def predict_outputs(
    network: TextNetwork, tokens: Rows, *, part: tuple[int, int] = (0, 1)
) -> Tensor:
    """Compute the outputs of every row in order: (n_rows, n_outputs) float32 on the CPU.

    part: (i, n) computes every n-th batch from the i-th on and leaves the rows of the others zero.
    """
    device = next(network.parameters()).device
    network.eval()
    outputs = torch.zeros((len(tokens), network.n_outputs))
    index, count = part
    with torch.inference_mode():
        for rows in plan_sorted(tokens.lengths, batch_tokens=BATCH_TOKENS)[index::count]:
            batch = network.make_batch(tokens.take(rows)).to(device)
            outputs.index_copy_(0, torch.from_numpy(np.asarray(rows)), network(batch).float().cpu())
    return outputs
