"""A graph in fewer bytes: its tables and weights int8 with scales, or float16, and its products in
8 bits.

In: the bytes of a `model.onnx`. Out: those of one that computes the same from packed numbers.

1. products: onnxruntime's dynamic quantization of MatMul and Gemm, per channel. Products with a
   matrix of one column, as poolings have them, are left out by name: per channel fails on them.
2. What is looked up by Gather stays packed: rows are unpacked after they were looked up.
3. Every other large weight is unpacked once, when the graph is opened: the file is smaller, the
   products are those of float32.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from textkit.errors import require
from textkit.runtime.quantized import Quantized, quantize

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

# Weights of fewer numbers are left as they are: norms, biases, heads of a few classes.
_FEWEST_NUMBERS = 1024
_PRODUCTS = ("MatMul", "Gemm")


def pack_graph(data: bytes, *, numbers: str, products: bool = False) -> bytes:
    """Pack a graph: the same bytes for the same graph.

    numbers: float32, float16 or int8. products: multiply in 8 bits too.
    """
    require("onnx", needed_by="compressing a graph")
    import onnx

    model = onnx.load_from_string(data)
    if products:
        model = _quantize_products(model)
    if numbers != "float32":
        _pack_weights(model.graph, numbers)
    packed: bytes = model.SerializeToString(deterministic=True)
    return packed


def has_products(data: bytes) -> bool:
    """Tell whether a graph has products with weights that can be made in 8 bits."""
    require("onnx", needed_by="compressing a graph")
    import onnx

    graph = onnx.load_from_string(data).graph
    weights = {weight.name: weight for weight in graph.initializer}
    return any(
        node.op_type in _PRODUCTS and node.input[1] in weights and not _is_left_out(node, weights)
        for node in graph.node
    )


def _is_left_out(node: NodeProto, weights: dict[str, TensorProto]) -> bool:
    shape = list(weights[node.input[1]].dims)
    return len(shape) != 2 or 1 in shape


def _quantize_products(model: ModelProto) -> ModelProto:
    require("onnxruntime", needed_by="int8 products of a network")
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    weights = {weight.name: weight for weight in model.graph.initializer}
    left_out = []
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"node.{i}"
        if node.op_type not in _PRODUCTS:
            continue
        if node.input[1] not in weights or _is_left_out(node, weights):
            left_out.append(node.name)
    with _quiet(), tempfile.TemporaryDirectory() as beside:
        out = Path(beside) / "model.onnx"
        quantize_dynamic(
            model,
            out,
            op_types_to_quantize=list(_PRODUCTS),
            nodes_to_exclude=left_out,
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
        quantized = onnx.load_from_string(out.read_bytes())
    quantized.producer_name, quantized.producer_version = "textkit", ""
    return quantized


def _pack_weights(graph: GraphProto, numbers: str) -> None:
    """Put packed weights, and nodes that unpack them, in the place of large ones, in the graph."""
    from onnx import numpy_helper

    nodes = list(graph.node)
    unpacking: list[NodeProto] = []
    for weight in list(graph.initializer):
        array = numpy_helper.to_array(weight)
        if array.dtype != np.float32 or array.size < _FEWEST_NUMBERS:
            continue
        users = [node for node in nodes if weight.name in node.input]
        looked_up = array.ndim == 2 and all(
            node.op_type == "Gather" and node.input[0] == weight.name and _axis(node) == 0
            for node in users
        )
        table = array.reshape(_rows_of(array.shape), -1)
        stored = quantize(np.ascontiguousarray(table), numbers)
        graph.initializer.remove(weight)
        if looked_up:
            nodes = [
                new
                for node in nodes
                for new in (_look_up(graph, node, stored) if node in users else [node])
            ]
        else:
            unpacking += _unpack(graph, weight.name, stored, array.shape)
    del graph.node[:]
    graph.node.extend([*unpacking, *nodes])


def _rows_of(shape: tuple[int, ...]) -> int:
    """Give the number of rows that have a scale each: of a convolution its filters, else all but
    the last axis.
    """
    return shape[0] if len(shape) > 2 and shape[0] > 1 else int(np.prod(shape[:-1]))


def _axis(node: NodeProto) -> int:
    return next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)


def _add(graph: GraphProto, name: str, array: NDArray[np.generic]) -> str:
    from onnx import numpy_helper

    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
    return name


def _look_up(graph: GraphProto, node: NodeProto, stored: Quantized) -> list[NodeProto]:
    """Give the nodes that look rows up and unpack them, in the place of a Gather."""
    from onnx import TensorProto, helper

    name, ids, out = node.input[0], node.input[1], node.output[0]
    known = {weight.name for weight in graph.initializer}
    codes = f"{name}.codes"
    if codes not in known:
        _add(graph, codes, stored.codes)
    made = [helper.make_node("Gather", [codes, ids], [f"{out}.codes"], axis=0)]
    floats = out if stored.scales is None else f"{out}.floats"
    made.append(helper.make_node("Cast", [f"{out}.codes"], [floats], to=TensorProto.FLOAT))
    if stored.scales is not None:
        scales = f"{name}.scales"
        if scales not in known:
            _add(graph, scales, stored.scales)
        made += [
            helper.make_node("Gather", [scales, ids], [f"{out}.scales"], axis=0),
            helper.make_node("Cast", [f"{out}.scales"], [f"{out}.wide"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [floats, f"{out}.wide"], [out]),
        ]
    return made


def _unpack(
    graph: GraphProto, name: str, stored: Quantized, shape: tuple[int, ...]
) -> list[NodeProto]:
    """Give the nodes that make a weight out of what is stored of it."""
    from onnx import TensorProto, helper

    codes = _add(graph, f"{name}.codes", stored.codes.reshape(shape))
    if stored.scales is None:
        return [helper.make_node("Cast", [codes], [name], to=TensorProto.FLOAT)]
    rows = stored.scales.size
    wide = shape[:1] if rows == shape[0] and len(shape) > 2 else shape[:-1]
    spread = (*wide, *(1 for _ in shape[len(wide) :]))
    scales = _add(graph, f"{name}.scales", stored.scales.reshape(spread))
    return [
        helper.make_node("Cast", [codes], [f"{name}.floats"], to=TensorProto.FLOAT),
        helper.make_node("Cast", [scales], [f"{name}.wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.floats", f"{name}.wide"], [name]),
    ]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back advice that onnxruntime logs, which its user cannot follow."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
