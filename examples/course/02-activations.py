"""Course, page 2: what activations do to a number, to its gradient, and to learning.

The activations are those of a recipe (`head.activation`, `encoder.activation`), by the same names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textkit.nn.layers import make_activation

NAMES = ("relu", "gelu", "swish", "tanh")
POINTS = (-6.0, -1.0, 0.5, 6.0)
DEPTH, WIDTH = 20, 64


def slopes(activation: nn.Module, points: Tensor) -> Tensor:
    """Give how much the activation changes at some points."""
    points = points.clone().requires_grad_()
    activation(points).sum().backward()
    assert points.grad is not None
    return points.grad


def first_gradient(activation: nn.Module) -> float:
    """Give the gradient that is left at the first of 20 layers, beside that at the last."""
    torch.manual_seed(0)
    layers = [nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)]
    states = torch.randn(32, WIDTH)
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight)
        nn.init.zeros_(layer.bias)
        states = activation(layer(states))
    states.square().mean().backward()
    first, last = (layer.weight.grad.norm().item() for layer in (layers[0], layers[-1]))
    return first / last


def near(number: Tensor) -> float:
    """Round to three places; what is nearly 0 has no sign, which differs between machines."""
    return round(number.item(), 3) + 0.0


def main() -> None:
    points = torch.tensor(POINTS)
    known = {name: make_activation(name) for name in NAMES} | {"sigmoid": nn.Sigmoid()}
    print(f"{'':9}" + "".join(f"{f'at {point:g}':>16}" for point in POINTS))
    for name, activation in known.items():
        values, slope = activation(points), slopes(activation, points)
        cells = (f"{near(a):7.3f} ({near(b):6.3f})" for a, b in zip(values, slope, strict=True))
        print(f"{name:9}" + "".join(f"{cell:>16}" for cell in cells))

    scores = torch.tensor([2.0, 1.0, -1.0])
    shares = scores.softmax(dim=0)
    assert abs(shares.sum().item() - 1) < 1e-6
    assert torch.allclose(shares, (scores + 100).softmax(dim=0))  # only differences count
    print(f"\nsoftmax of 2, 1, -1: {', '.join(f'{share:.3f}' for share in shares)}")

    print(f"\ngradient at the first of {DEPTH} layers, beside that at the last")
    left = {name: first_gradient(activation) for name, activation in known.items()}
    for name, share in left.items():
        print(f"{name:9}{share:10.1e}")
    assert left["sigmoid"] < 1e-6 < left["relu"]

    dead = nn.Linear(4, 1)
    nn.init.constant_(dead.bias, -100.0)
    torch.relu(dead(torch.randn(64, 4))).sum().backward()
    assert dead.weight.grad is not None
    print(f"\na dead ReLU: its largest gradient over 64 rows is {dead.weight.grad.abs().max():g}")


if __name__ == "__main__":
    main()
