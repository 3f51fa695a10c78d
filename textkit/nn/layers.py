"""Layers that encoders and heads share: activations and norms by name, a faster dropout, and the
Mlp.

In: a name from a recipe. Out: an nn.Module; a misspelt name is a UsageError with the nearest known
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from textkit.errors import UsageError, unknown_name
from textkit.nn.draws import own_generator

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "tanh": nn.Tanh,
}
NORMS = ("none", "batch", "layer", "rms")


def make_activation(name: str) -> nn.Module:
    """Make an activation by name; swish is another name of silu.

    >>> make_activation("relu")(torch.tensor([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    if name not in ACTIVATIONS:
        raise UsageError(unknown_name("activation", name, ACTIVATIONS))
    return ACTIVATIONS[name]()


def feed_forward_width(ffn: float, dim: int) -> int:
    """Give the width of a feed-forward layer, `ffn` times `dim`; UsageError where none is left.

    >>> feed_forward_width(0.5, 8)
    4
    """
    width = round(ffn * dim)
    if width < 1:
        raise UsageError(f"ffn = {ffn} of dim = {dim} is no width; expected one of 1 or more")
    return width


def needs_mask(lengths: Tensor, time: int) -> bool:
    """Tell whether a row of a batch is shorter than its rectangle; an exported graph, which takes
    any batch, always looks.

    >>> needs_mask(torch.tensor([3, 3]), 3), needs_mask(torch.tensor([3, 2]), 3)
    (False, True)
    """
    return torch.compiler.is_exporting() or bool((lengths < time).any())


class Norm(nn.Module):
    """Normalise the features of every position: `none`, `batch`, `layer`, or `rms` (Zhang &
    Sennrich 2019).

    known: the names that make sense where it stands. Padding never enters the statistics of a batch
    norm.

    >>> Norm("layer", dim=2)(torch.tensor([[1.0, 3.0]])).round().tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, name: str, *, dim: int, known: Iterable[str] = NORMS) -> None:
        super().__init__()
        if name not in known:
            raise UsageError(unknown_name("norm", name, known))
        self.name = name
        made = {"none": nn.Identity, "batch": BatchNorm, "layer": nn.LayerNorm, "rms": RmsNorm}
        self.norm: nn.Module = made[name](dim)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """states (..., dim), mask (...) bool, True = real; without a mask everything is real.

        Same shape out.
        """
        normed: Tensor = self.norm(states, mask) if self.name == "batch" else self.norm(states)
        return normed

    def affine(self) -> tuple[Tensor | None, Tensor | None]:
        """Give the scale and the shift (dim,) that follow the normalising, None where there is
        none; of a batch norm in eval mode they are all that it does.
        """
        if self.name == "batch":
            assert isinstance(self.norm, BatchNorm)
            return self.norm.affine()
        weight, bias = getattr(self.norm, "weight", None), getattr(self.norm, "bias", None)
        return weight, bias


class RmsNorm(nn.RMSNorm):
    """torch's RMSNorm, in the weight's dtype: it is not on autocast's list, and warns where the
    dtypes differ.

    >>> RmsNorm(2)(torch.tensor([3.0, 4.0])).square().mean().round().item()
    1.0
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-6)  # torch's default depends on the dtype

    def forward(self, states: Tensor) -> Tensor:
        """states (..., dim) -> the same shape."""
        normed: Tensor = super().forward(states.to(self.weight.dtype))
        return normed


class BatchNorm(nn.Module):
    """Batch norm (Ioffe & Szegedy 2015) over the real positions of a batch alone; zeros at padding.

    Fewer than two real positions have no spread: such a batch is normalised by the running
    statistics.

    >>> norm = BatchNorm(1)
    >>> states, mask = torch.tensor([[[1.0], [3.0], [99.0]]]), torch.tensor([[True, True, False]])
    >>> norm(states, mask).flatten().round().tolist()
    [-1.0, 1.0, 0.0]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Tensor:
        """states (..., dim), mask (...) bool -> the same shape."""
        if mask is None or not self.training:  # which rows are real decides statistics alone
            normed = self._normalise(states.reshape(-1, states.shape[-1])).view_as(states)
            return normed if mask is None else normed.masked_fill(~mask.unsqueeze(-1), 0.0)
        normed = self._normalise(states[mask])
        return torch.zeros_like(states, dtype=normed.dtype).index_put((mask,), normed)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Give the scale and the shift (dim,) of eval mode."""
        norm = self.norm
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        return scale, norm.bias - norm.running_mean * scale

    def _normalise(self, real: Tensor) -> Tensor:
        norm = self.norm
        if self.training and len(real) > 1:
            normed: Tensor = norm(real)
            return normed
        return nn.functional.batch_norm(
            real, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
        )


class Dropout(nn.Dropout):
    """nn.Dropout, four times as fast on a CPU: 2.3 and 9.7 ms forward and back over 1280 x 512
    floats, 1 thread.

    One 64-bit draw decides four values, so p is rounded to a 65,536th (and the scale with it). It
    was a quarter of the time of a transformer's step. Draws come from the fit's own generator, and
    outside a fit from torch's; other devices use torch's own kernels.

    >>> Dropout(0.5).eval()(torch.ones(2)).tolist()
    [1.0, 1.0]
    """

    def forward(self, states: Tensor) -> Tensor:
        """Zero a share p of the values and scale up the others, in training; the same shape."""
        if not self.training or self.p in (0, 1) or states.device.type != "cpu":
            return super().forward(states)
        dropped = min(round(self.p * 65_536), 65_535)
        draws = torch.empty((states.numel() + 3) // 4, dtype=torch.int64)
        draws.random_(-(2**63), None, generator=own_generator())
        numbers = draws.view(torch.int16)[: states.numel()].view(states.shape)
        keep = (numbers >= dropped - 32_768).to(states.dtype).mul_(65_536 / (65_536 - dropped))
        return states * keep


class Mlp(nn.Module):
    """A perceptron: (..., in_dim) -> (..., out_dim), with dropout before every linear layer.

    hidden: widths of the layers between, each followed by norm and activation; none is a linear
    map.

    >>> head = Mlp(in_dim=4, hidden=(8,), out_dim=3, activation="gelu", norm="layer")
    >>> head(torch.ones(2, 4)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        *,
        in_dim: int,
        out_dim: int,
        hidden: Sequence[int] = (),
        activation: str = "relu",
        norm: str = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_dim, self.out_dim, self.activation = in_dim, out_dim, activation
        layers: list[nn.Module] = []
        for width in hidden:
            layers += [Dropout(dropout), nn.Linear(in_dim, width), Norm(norm, dim=width)]
            layers.append(make_activation(activation))
            in_dim = width
        self.layers = nn.Sequential(*layers, Dropout(dropout), nn.Linear(in_dim, out_dim))

    @property
    def linear_layers(self) -> list[nn.Linear]:
        """The linear layers, from the first on."""
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    @property
    def norms(self) -> list[Norm]:
        """The norms, one behind each linear layer but the last."""
        return [layer for layer in self.layers if isinstance(layer, Norm)]

    @property
    def output_names(self) -> tuple[str, str]:
        """The names of the last layer's weight and bias, which have a row for each output."""
        last = f"layers.{len(self.layers) - 1}"
        return f"{last}.weight", f"{last}.bias"

    def forward(self, states: Tensor) -> Tensor:
        """states (..., in_dim) -> (..., out_dim)."""
        output: Tensor = self.layers(states)
        return output
