"""Integrated gradients of a network (Sundararajan et al. 2017), by captum: what each token added on
the way from a text that says nothing to this one.

In: a NetworkModel, a text, a direction among its outputs. Out: a number a token with its span. The
baseline has the same length and mask, with zeros in the place of the tokens' vectors; special
tokens, which no text chose, stay. A text is alone in its batch, and nothing is padded.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textkit.batch import TokenBatch
from textkit.classify.network_model import NetworkModel
from textkit.features.text_input import TextInput
from textkit.nn.collate import collate
from textkit.nn.network import BATCH_TOKENS, TextNetwork

# The way is cut where the sum misses the gap, until it misses at most this share of it.
_TOLERANCE = 0.002
# A gap below this is no gap: float32 cannot tell it from 0.
_LEAST_GAP = 1e-3
# Points of a stretch of the way, and how many stretches there may be. A mixer's norms are steep
# beside zeros: 512 points evenly miss a third of a gap that 8 stretches meet to .1 %.
_POINTS, _STRETCHES = 8, 160


def has_spans(text_input: TextInput) -> bool:
    """Tell whether the ids are tokens with a place in the text; hashed n-grams have none."""
    return text_input.ngrams is None


def encode_spans(text_input: TextInput, text: str) -> TokenBatch:
    """Encode a text as the network reads it, with spans; special tokens have the span (0, 0)."""
    tokenizer, limit = text_input.tokenizer, text_input.max_length
    if text_input.template is None:
        return tokenizer.encode([text], spans=True, max_length=limit)
    template = text_input.template
    return template.encode(tokenizer, [text], spans=True, max_length=limit).tokens


def integrate(
    model: NetworkModel, text: str, direction: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int32], float, float, int]:
    """Give the attribution of each token, (n_tokens,), and its span, (n_tokens, 2); the value of
    the text, of the baseline, and how many points the integral took.

    direction: (n_outputs,); a value is the outputs' product with it.
    """
    network = model.network.eval()
    tokens = encode_spans(model.text_input, text)
    spans = tokens.row_spans(0)
    batch = collate(tokens, pad_id=network.pad_id)
    mask = batch.attention_mask
    with torch.no_grad():
        states = network.embedding(batch.input_ids, mask)
    baseline = torch.zeros_like(states)
    special = torch.from_numpy(spans[:, 0] == spans[:, 1])
    if len(special):
        baseline[0, special] = states[0, special]
    value_of = _Value(network, torch.from_numpy(direction))
    with torch.no_grad():
        value, nothing = value_of(states, mask).item(), value_of(baseline, mask).item()
    if not len(special) or bool(special.all()):
        return np.zeros(len(special)), spans, value, nothing, 0
    integral, n_points = _follow(value_of, baseline, states, mask)
    scores = integral[0].double().sum(dim=-1).numpy()[: len(spans)]
    return scores, spans, value, nothing, n_points


def _follow(value_of: _Value, baseline: Tensor, states: Tensor, mask: Tensor) -> tuple[Tensor, int]:
    """Integrate the gradients along the straight way from the baseline to the states, both (1,
    time, dim): the attributions, and the number of points.

    The stretch whose sum misses its part of the gap most is cut in two, until all together miss
    little.
    """
    from captum.attr import IntegratedGradients

    integrated = IntegratedGradients(value_of)

    def measure(start: float, end: float) -> tuple[float, float, float, Tensor]:
        """Give (the error, start, end, attributions) of a stretch."""
        low, high = (torch.lerp(baseline, states, share) for share in (start, end))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum's, of batches smaller than the points
            part = integrated.attribute(
                high,
                baselines=low,
                additional_forward_args=(mask,),
                n_steps=_POINTS,
                internal_batch_size=max(2, BATCH_TOKENS // states.shape[1]),
            ).detach()
        with torch.no_grad():
            gap = (value_of(high, mask) - value_of(low, mask)).item()
        return part.double().sum().item() - gap, start, end, part

    stretches = [measure(0.0, 1.0)]
    with torch.no_grad():
        gap = abs((value_of(states, mask) - value_of(baseline, mask)).item())
    n_measured = 1
    while len(stretches) < _STRETCHES:
        if sum(abs(stretch[0]) for stretch in stretches) <= _TOLERANCE * max(gap, _LEAST_GAP):
            break
        worst = max(range(len(stretches)), key=lambda i: abs(stretches[i][0]))
        _, start, end, _ = stretches.pop(worst)
        middle = (start + end) / 2
        stretches += [measure(start, middle), measure(middle, end)]
        n_measured += 2
    return torch.stack([stretch[3] for stretch in stretches]).sum(dim=0), n_measured * _POINTS


class _Value:
    """States -> the outputs' product with a direction, (batch,) float64."""

    def __init__(self, network: TextNetwork, direction: Tensor) -> None:
        self.network, self.direction = network, direction

    def __call__(self, states: Tensor, mask: Tensor) -> Tensor:
        outputs = self.network.restore(self.network.outputs_of(states, mask))
        return outputs.double() @ self.direction
