"""What a model is made of: its layers with output shapes, weights and bytes, as a table.

In: a classifier, a model folder, or a network. Out: a Summary, which prints itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textkit.classify import model_folder
from textkit.classify.ensemble import EnsembleModel
from textkit.classify.fitted import Fitted
from textkit.classify.frozen import FrozenModel
from textkit.classify.linear import LinearModel
from textkit.errors import UsageError

if TYPE_CHECKING:
    from textkit.classify.classifier import TextClassifier
    from textkit.nn.network import TextNetwork


@dataclass(frozen=True)
class SummaryRow:
    """One layer; depth: 0 for embedding, encoder, pooling and head, more for their parts."""

    layer: str
    kind: str
    depth: int
    shape: tuple[str, ...]
    n_weights: int
    n_bytes: int


@dataclass(frozen=True)
class Summary:
    """The layers in order, and the totals. n_trained: weights that a training may change."""

    rows: tuple[SummaryRow, ...]
    n_weights: int
    n_trained: int
    n_bytes: int

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {
            "layers": [vars(row) | {"shape": list(row.shape)} for row in self.rows],
            "n_weights": self.n_weights,
            "n_trained": self.n_trained,
            "n_bytes": self.n_bytes,
        }

    def __str__(self) -> str:
        heads = ("layer", "kind", "output", "weights", "bytes")
        lines = [
            (
                ("  " if row.depth else "") + row.layer,
                row.kind,
                f"({', '.join(row.shape)})" if row.shape else "",
                f"{row.n_weights:,}",
                f"{row.n_bytes:,}",
            )
            for row in self.rows
        ]
        total = ("total", "", "", f"{self.n_weights:,}", f"{self.n_bytes:,}")
        widths = [max(len(line[i]) for line in [heads, *lines, total]) for i in range(len(heads))]

        def write(line: tuple[str, ...]) -> str:
            cells = [f"{cell:{'<' if i < 3 else '>'}{widths[i]}}" for i, cell in enumerate(line)]
            return "  ".join(cells).rstrip()

        said = [write(heads), *map(write, lines), write(total)]
        if self.n_trained != self.n_weights:
            said.append(f"{self.n_trained:,} of the weights are trained")
        return "\n".join(said)


def summary(model: TextClassifier | Fitted | TextNetwork | str | Path) -> Summary:
    """List the layers of a classifier, a model folder or a network.

    Raises UsageError for what has no layers.

    >>> from textkit import TextClassifier
    >>> fit = TextClassifier(encoder="linear").fit(["good film", "bad film"] * 9, ["a", "b"] * 9)
    >>> summary(fit).rows[-1].layer
    'bias'
    """
    if isinstance(model, str | Path):
        model = model_folder.load(model)
    fitted = getattr(model, "fitted_", model)
    if not isinstance(fitted, Fitted):
        return _of_network(model)
    return _of_fitted(fitted)


def _of_fitted(fitted: Fitted) -> Summary:
    if isinstance(fitted.model, EnsembleModel):
        return _of_ensemble(fitted.model)
    if isinstance(fitted.model, FrozenModel):
        return _of_frozen(fitted.model)
    if isinstance(fitted.model, LinearModel):
        return _of_linear(fitted.model)
    return _of_network(fitted.network)


def _of_ensemble(model: EnsembleModel) -> Summary:
    rows: list[SummaryRow] = []
    parts = [_of_fitted(member) for member in model.members]
    for place, (member, share, part) in enumerate(
        zip(model.members, model.shares, parts, strict=True), start=1
    ):
        name = f"member {place}"
        kind = f"{member.recipe.encoder.name}, {share:.2f}"
        rows.append(SummaryRow(name, kind, 0, (), part.n_weights, part.n_bytes))
        rows += [replace(row, depth=row.depth + 1) for row in part.rows]
    totals = [(part.n_weights, part.n_trained, part.n_bytes) for part in parts]
    return Summary(tuple(rows), *map(sum, zip(*totals, strict=True)))


def _of_frozen(model: FrozenModel) -> Summary:
    """List the learnt layer; what makes the vectors stands there without its weights."""
    machines, width = model.machines, f"{model.embedder.dim}"
    n_bytes = machines.weights.nbytes + machines.bias.nbytes
    outputs = f"{machines.weights.shape[1]}"
    rows = (
        SummaryRow("vectors", "not trained", 0, ("batch", width), 0, 0),
        SummaryRow(
            *("weights", "linear", 0, ("batch", outputs)),
            *(machines.weights.size, machines.weights.nbytes),
        ),
        SummaryRow(
            *("bias", "linear", 0, ("batch", outputs), machines.bias.size, machines.bias.nbytes)
        ),
    )
    return Summary(rows, model.n_weights, model.n_weights, n_bytes)


def _of_network(network: object) -> Summary:
    from textkit.nn.layer_table import count_bytes, list_layers
    from textkit.nn.network import TextNetwork

    if not isinstance(network, TextNetwork):
        raise UsageError(
            f"a {type(network).__name__} has no layers to list; expected a fitted TextClassifier,"
            " a model folder or a TextNetwork"
        )
    layers = list_layers(network)
    weights = list(network.parameters())
    return Summary(
        tuple(
            SummaryRow(
                layer.name, layer.kind, layer.depth, layer.shape, layer.n_weights, layer.n_bytes
            )
            for layer in layers
        ),
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
        count_bytes(network),
    )


def _of_linear(model: LinearModel) -> Summary:
    features, machines = model.features, str(model.weights.shape[1])
    rows = [
        SummaryRow("features", "TF-IDF", 0, ("batch", f"{features.n_features}"), 0, 0),
        SummaryRow(
            "weights", "linear", 0, ("batch", machines), model.weights.size, model.weights.nbytes
        ),
        SummaryRow("bias", "linear", 0, ("batch", machines), model.bias.size, model.bias.nbytes),
    ]
    n_bytes = model.weights.nbytes + model.bias.nbytes
    return Summary(tuple(rows), model.n_weights, model.n_weights, n_bytes)
