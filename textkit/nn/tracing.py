"""A network as an ONNX graph: the same numbers for any batch and any number of tokens.

In: a module from `input_ids` and `attention_mask`, both (batch, time) int64, to tensors. Out: the
bytes of a `model.onnx`. What has no graph of its own is replaced in a copy first: recurrent cells
by ONNX's operators (torch unrolls them, or makes a loop of a node a step), and an embedding from
characters by the table of the vectors that it gives to all words.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from textkit.errors import UsageError, require
from textkit.nn.characters import CharCnnEmbedding
from textkit.nn.embedding import Embedding
from textkit.nn.encoders import InputEmbedding
from textkit.nn.encoders.recurrent import RecurrentEncoder
from textkit.nn.network import TextNetwork
from textkit.runtime.graph import INPUTS

if TYPE_CHECKING:
    from onnx import ModelProto

# Where ONNX wants the gates that torch keeps as i f g o, and r z n.
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN_TANH": (0,)}
# Words whose vectors are computed from their characters at a time.
_WORDS = 1024


def trace(module: nn.Module, *, outputs: Sequence[str]) -> bytes:
    """Trace a module in eval mode: the bytes of its graph, the same for the same weights.

    outputs: the names of what its forward returns. Raises UsageError for a module that torch
    cannot trace.
    """
    require("onnx", "onnxscript", needed_by="an export")
    assert not any(part.training for part in module.modules()), "a copy of `to_graph` is traced"
    free = torch.export.Dim.DYNAMIC
    # Neither 0 nor 1: torch would take these for fixed.
    example = (torch.zeros(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.int64))
    with _quiet(), torch.no_grad():
        try:
            program = torch.onnx.export(
                module,
                example,
                dynamo=True,
                verbose=False,
                input_names=list(INPUTS),
                output_names=list(outputs),
                dynamic_shapes={name: {0: free, 1: free} for name in INPUTS},
            )
        except Exception as err:  # whatever a plug-in's forward does, torch or the exporter refuses
            reason = _reason(err)
            raise UsageError(f"this network cannot be exported: {reason}") from err
    assert program is not None
    data: bytes = _plain(program.model_proto).SerializeToString(deterministic=True)
    return data


def to_graph(network: TextNetwork) -> TextNetwork:
    """Copy a network for a trace: on the CPU, in eval mode and float32, each part replaced that
    has no graph.
    """
    network = copy.deepcopy(network).cpu().float().eval().requires_grad_(requires_grad=False)
    network.embedding = _one_table(network.embedding)
    for module in network.modules():
        if isinstance(module, RecurrentEncoder):
            module.ahead, module.back = _operators(module.ahead), _operators(module.back)
    return network.eval()


def _operators(cells: nn.ModuleList) -> nn.ModuleList:
    return nn.ModuleList(_RecurrentOperator(c) for c in cells if isinstance(c, nn.RNNBase))


def one_table(embedding: InputEmbedding) -> Tensor | None:
    """Give the vectors of all ids as one table (n_ids, dim); None for an embedding that is none."""
    if isinstance(embedding, CharCnnEmbedding):
        ids = torch.arange(len(embedding.spellings))
        parts = torch.split(ids, _WORDS)
        return torch.cat([embedding.embed_words(part) for part in parts])
    if isinstance(embedding, Embedding):
        table = embedding.table.weight
        return torch.cat([table, embedding.fixed]) if embedding.n_fixed else table
    return None


def _one_table(embedding: InputEmbedding) -> InputEmbedding:
    with torch.no_grad():
        table = one_table(embedding)
        if table is None:
            return embedding
        made = Embedding(n_tokens=len(table), dim=table.shape[1])
        made.table.weight.copy_(table)
    return made.requires_grad_(requires_grad=False)


class _RecurrentOperator(nn.Module):
    """ONNX's LSTM, GRU or RNN in the place of torch's, one direction, batch first; it has no
    numbers outside a trace.
    """

    weights: Tensor
    recurrent: Tensor
    bias: Tensor

    def __init__(self, cell: nn.RNNBase) -> None:
        super().__init__()
        gates = _GATES[cell.mode]
        self.operator, self.width = cell.mode.removesuffix("_TANH"), cell.hidden_size

        def arrange(name: str) -> Tensor:
            parts: tuple[Tensor, ...] = getattr(cell, name).detach().chunk(len(gates))
            return torch.cat([parts[i] for i in gates]).unsqueeze(0)

        self.register_buffer("weights", arrange("weight_ih_l0"))
        self.register_buffer("recurrent", arrange("weight_hh_l0"))
        bias = torch.cat([arrange("bias_ih_l0"), arrange("bias_hh_l0")], dim=1)
        self.register_buffer("bias", bias)

    def forward(self, states: Tensor) -> tuple[Tensor, None]:
        """states (batch, time, in_dim) -> (batch, time, width), as the first of a pair."""
        batch, time = states.shape[:2]
        attributes: dict[str, Any] = {"hidden_size": self.width}
        if self.operator == "GRU":
            attributes["linear_before_reset"] = 1
        (output,) = torch.onnx.ops.symbolic_multi_out(
            self.operator,
            (states.transpose(0, 1), self.weights, self.recurrent, self.bias),
            attributes,
            dtypes=(torch.float32,),
            shapes=((time, 1, batch, self.width),),
        )
        return output.squeeze(1).transpose(0, 1), None


def _plain(model: ModelProto) -> ModelProto:
    """Leave out what the exporter notes of this machine: files, lines and torch's own names."""
    del model.metadata_props[:], model.graph.metadata_props[:]
    for value in [
        *model.graph.node,
        *model.graph.value_info,
        *model.graph.input,
        *model.graph.output,
        *model.graph.initializer,
    ]:
        del value.metadata_props[:]
        value.doc_string = ""
    model.doc_string = model.graph.doc_string = ""
    model.producer_name, model.producer_version = "textkit", ""
    return model


def _reason(err: Exception) -> str:
    """Find the line of the innermost cause, which tells most."""
    cause: BaseException = err
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return " ".join(str(cause).split())[:200]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporter prints, warns of and logs, none of which its user can change."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(io.StringIO()):
                yield
    finally:
        logging.disable(disabled)
