"""Bring an embedder out of torch: its transformer, poolings and normalising as one graph.

In: the backend that `contextual` opens. Out: the files of an exported embedder, and how far its
vectors are from the original's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from textkit.embedders.contextual import ContextualTexts
from textkit.embedders.exported import OUTPUT, open_files, write
from textkit.errors import ArtifactError, UsageError
from textkit.nn.tracing import trace
from textkit.runtime.graph import Graph

# Texts that are embedded alone, too.
_ALONE = 8


class _VectorGraph(nn.Module):
    """input_ids and attention_mask (batch, time) int64 -> vectors (batch, dim)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Compute the vectors."""
        vectors: Tensor = self.network(input_ids, attention_mask != 0)
        return vectors


def write_exported(
    backend: ContextualTexts, folder: Path, texts: Sequence[str], *, tolerance: float
) -> float:
    """Write the files into a folder, open them, and give the largest difference on texts; above
    the tolerance it is an ArtifactError.
    """
    if backend.network is None or backend.source is None:
        raise UsageError(
            "only vectors of transformers, and models that textkit trained, have an"
            " export; vectors of words need no torch as they are"
        )
    network = copy.deepcopy(backend.network).cpu().float().eval()
    source = backend.source
    graph = Graph(
        trace(_VectorGraph(network).eval(), outputs=[OUTPUT]),
        where="model.onnx",
        pad_id=source.tokenizer.pad_id or 0,
        longest=source.max_length,
    )
    facts = {name: backend.facts[name] for name in ("pooling", "normalize")}
    write(folder, source, graph, prompt=backend.prompt, facts=facts)
    exported = open_files(folder)
    expected = backend.embed(texts).vectors.astype(np.float64)
    rows = [exported.embed(texts).vectors]
    rows += [exported.embed([text]).vectors for text in texts[:_ALONE]]
    wanted = [expected, *(expected[i : i + 1] for i in range(min(_ALONE, len(texts))))]
    largest = max(
        float((np.abs(want - got) / np.maximum(np.abs(want), 1)).max(initial=0))
        for want, got in zip(wanted, rows, strict=True)
    )
    if not largest <= tolerance:
        raise ArtifactError(
            f"the vectors differ by {largest:.1e} from those of the original, more than"
            f" {tolerance:.0e}; nothing was written"
        )
    return largest
