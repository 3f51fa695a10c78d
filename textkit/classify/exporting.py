"""Bring a fitted model out of torch: the same Fitted, computed by onnxruntime or numpy.

In: a Fitted. Out: one that `model_folder` saves as an exported model. A bag with mean pooling
becomes its table and its heads; a linear model stays what it is; every other network becomes a
graph whose outputs are

- `logits`, before the temperature; of a regression `values`, the user's numbers;
- `probabilities`, the temperature in them, and `chosen` (batch, n_labels) bool: the label that is
  most probable, or of several labels those above their thresholds;
- `pooled`, what the heads see.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from textkit.classify.exported import BagModel, GraphModel
from textkit.classify.fitted import Fitted
from textkit.classify.network_model import NetworkModel
from textkit.nn.collate import PaddedBatch
from textkit.nn.layers import Mlp
from textkit.nn.network import TextNetwork
from textkit.nn.tracing import one_table, to_graph, trace
from textkit.runtime.bag import Bag, Layer
from textkit.runtime.graph import Graph


def export(fitted: Fitted) -> Fitted:
    """Give the model without torch; one that has none already is given as it is.

    Raises UsageError for a network that cannot be traced.
    """
    model = fitted.model
    if not isinstance(model, NetworkModel):
        return replace(fitted, facts=None)
    network = model.network
    if network.table is not None and all(m.pool_mean is not None for m in network.members):
        exported: GraphModel | BagModel = BagModel(
            model.text_input, _to_bag(network), network.n_outputs
        )
    else:
        exported = _to_graph_model(fitted, model)
    return replace(fitted, model=exported, facts=None)


def _to_graph_model(fitted: Fitted, model: NetworkModel) -> GraphModel:
    is_regression = fitted.task == "regression"
    outputs = ["values"] if is_regression else ["logits", "probabilities", "chosen"]
    graph = _ClassifierGraph(
        to_graph(model.network),
        task=fitted.task,
        temperature=fitted.temperature,
        thresholds=torch.from_numpy(fitted.thresholds).float(),
    )
    return GraphModel(
        model.text_input,
        Graph(
            trace(graph.eval(), outputs=[*outputs, "pooled"]),
            where="model.onnx",
            pad_id=model.network.pad_id,
            longest=model.longest_row,
        ),
        outputs[0],
        model.n_weights,
    )


class _ClassifierGraph(nn.Module):
    """input_ids and attention_mask (batch, time) int64 -> all outputs of the graph."""

    thresholds: Tensor

    def __init__(
        self, network: TextNetwork, *, task: str, temperature: float, thresholds: Tensor
    ) -> None:
        super().__init__()
        self.network, self.task, self.temperature = network, task, temperature
        self.register_buffer("thresholds", thresholds)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs in the order of their names."""
        mask = attention_mask != 0
        batch = PaddedBatch(input_ids, mask, mask.sum(dim=1))
        outputs, pooled = self.network.outputs_and_pooled(batch)
        if self.task == "regression":
            return self.network.restore(outputs), pooled
        scaled = outputs / self.temperature
        if self.task == "multi-label":
            probabilities = scaled.sigmoid()
            return outputs, probabilities, probabilities > self.thresholds, pooled
        probabilities = scaled.softmax(dim=-1)
        labels = torch.arange(probabilities.shape[1])
        chosen = outputs.argmax(dim=-1, keepdim=True) == labels
        return outputs, probabilities, chosen, pooled


def _to_bag(network: TextNetwork) -> Bag:
    with torch.no_grad():
        table = one_table(network.table) if network.table is not None else None
        assert table is not None
        heads = [_to_layers(member.head, network) for member in network.members]
    return Bag(_array(table), heads)


def _to_layers(head: Mlp, network: TextNetwork) -> list[Layer]:
    """Give the layers of a head; of a regression the last one gives the user's numbers."""
    weights = head.linear_layers
    layers = []
    for i, (linear, norm) in enumerate(zip(weights, [None, *head.norms], strict=True)):
        weight, bias = linear.weight.detach().T, linear.bias.detach()
        if linear is weights[-1] and network.is_scaled:
            weight = weight * network.target_deviation
            bias = bias * network.target_deviation + network.target_mean
        scale, shift = (None, None) if norm is None else norm.affine()
        layers.append(
            Layer(
                _array(weight),
                _array(bias),
                norm="affine" if norm is None or norm.name == "batch" else norm.name,
                scale=None if scale is None else _array(scale),
                shift=None if shift is None else _array(shift),
                activation=head.activation if i else "none",
            )
        )
    return layers


def _array(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
