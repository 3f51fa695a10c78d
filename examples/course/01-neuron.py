"""Course, page 1: a neuron and back-propagation by hand, checked against torch.

A Value is a number that remembers what it was made of. Calling `backward` on a result goes through
all that it was made of, in reverse order, and leaves in each Value how much the result would change
with it: its gradient. Nothing else happens in the training of the largest network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch


class Value:
    """A number in a computation: `data`, and after `backward` its `grad`."""

    def __init__(self, data: float, name: str = "", parents: tuple[Value, ...] = ()) -> None:
        self.data, self.name, self.parents = data, name, parents
        self.grad = 0.0
        self._push: Callable[[], None] = lambda: None  # hands its gradient on to its parents

    def __add__(self, other: Value) -> Value:
        out = Value(self.data + other.data, "+", (self, other))

        def push() -> None:  # a sum changes as much as each of its parts
            self.grad += out.grad
            other.grad += out.grad

        out._push = push
        return out

    def __mul__(self, other: Value) -> Value:
        out = Value(self.data * other.data, "*", (self, other))

        def push() -> None:  # a product changes with one factor as much as the other is large
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._push = push
        return out

    def __pow__(self, power: float) -> Value:
        return self._through(self.data**power, f"^{power:g}", power * self.data ** (power - 1))

    def exp(self) -> Value:
        """e to this power, which is its own slope."""
        return self._through(math.exp(self.data), "exp", math.exp(self.data))

    def tanh(self) -> Value:
        """Squash the number to between -1 and 1; far out the slope is nearly 0."""
        squashed = math.tanh(self.data)
        return self._through(squashed, "tanh", 1 - squashed**2)

    def _through(self, data: float, name: str, slope: float) -> Value:
        out = Value(data, name, (self,))

        def push() -> None:
            self.grad += slope * out.grad

        out._push = push
        return out

    def backward(self) -> None:
        """Fill the gradient of all that this number was made of."""
        self.grad = 1.0
        for value in reversed(order(self)):
            value._push()


def order(result: Value) -> list[Value]:
    """List all values of a computation, each behind what it was made of."""
    listed: list[Value] = []

    def visit(value: Value) -> None:
        if not any(value is other for other in listed):
            for parent in value.parents:
                visit(parent)
            listed.append(value)

    visit(result)
    return listed


def mermaid(result: Value) -> str:
    """Write the graph of a computation as a diagram, with data and gradients."""
    values = order(result)
    place = {id(value): number for number, value in enumerate(values)}
    lines = ["graph LR"]
    for value in values:
        words = f"{value.name}<br>{value.data:.4f}<br>grad {value.grad:.4f}"
        lines.append(f'  v{place[id(value)]}["{words}"]')
        lines += [f"  v{place[id(each)]} --> v{place[id(value)]}" for each in value.parents]
    return "\n".join(lines)


def neuron(x1: Value, x2: Value, w1: Value, w2: Value, b: Value) -> Value:
    """The weighted sum of two inputs, squashed."""
    return (x1 * w1 + x2 * w2 + b).tanh()


def main() -> None:
    numbers = {"x1": 2.0, "x2": 0.5, "w1": -0.3, "w2": 1.2, "b": 0.4}
    inputs = {name: Value(data, name) for name, data in numbers.items()}
    out = neuron(**inputs)
    out.backward()
    print(f"out {out.data:.4f}")

    tensors = {name: torch.tensor(data, dtype=torch.float64) for name, data in numbers.items()}
    for tensor in tensors.values():
        tensor.requires_grad_()
    x1, x2, w1, w2, b = tensors.values()
    torch.tanh(x1 * w1 + x2 * w2 + b).backward()
    for name, value in inputs.items():
        theirs = tensors[name].grad.item()
        assert abs(value.grad - theirs) < 1e-12
        print(f"{name:2}  data {value.data:7.4f}  grad {value.grad:7.4f}  torch {theirs:7.4f}")

    softplus = (Value(1.0, "1") + inputs["x1"].exp()) ** 0.5
    softplus.backward()  # a value used twice adds up: x1 has the neuron's gradient, and this one
    root = (1 + math.e**2) ** 0.5
    assert abs(inputs["x1"].grad - (tensors["x1"].grad.item() + math.e**2 / (2 * root))) < 1e-12

    print("\nlearning to say 0.8, a step of a tenth of the gradient at a time")
    losses = []
    for step in range(41):
        inputs = {name: Value(value.data, name) for name, value in inputs.items()}
        loss = (neuron(**inputs) + Value(-0.8, "-0.8")) ** 2
        loss.backward()
        losses.append(loss.data)
        if step % 10 == 0:
            print(f"step {step:2}  loss {loss.data:.6f}")
        for name in ("w1", "w2", "b"):
            inputs[name].data -= 0.1 * inputs[name].grad
    assert all(later < earlier for earlier, later in pairwise(losses))

    small = Value(2.0, "a") * Value(-3.0, "b") + Value(10.0, "c")
    small.backward()
    print(f"\n{mermaid(small)}")


if __name__ == "__main__":
    main()
