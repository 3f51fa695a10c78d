"""The computation graph of a small expression: every number on the way, and its gradient.

In: an expression such as `tanh(x * w + b)` and a number for each name. Out: a Computation, which
writes a mermaid diagram, a picture or JSON. Only numbers, names, + - * / ** and a few functions are
read; nothing of the text is run.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from textkit.errors import UsageError, unknown_name
from textkit.evaluation.confusion import shorten
from textkit.evaluation.figures import new_figure, plain, save_figure
from textkit.io import files

_MOST_STEPS = 100
_COLOURS = {"input": ("#dcebf7", "#0072b2"), "step": ("#fbe6d4", "#d55e00")}


@dataclass(frozen=True)
class Step:
    """A number: its name or what made it, its value, how much the result changes with it, and the
    places of the numbers that it was made of.
    """

    name: str
    value: float
    gradient: float
    parents: tuple[int, ...] = ()


@dataclass(frozen=True)
class Computation:
    """All steps, each behind what it was made of; the last is the result."""

    expression: str
    steps: tuple[Step, ...]

    def to_dict(self) -> dict[str, object]:
        """Give everything as plain JSON values."""
        return {"expression": self.expression, "steps": [asdict(step) for step in self.steps]}

    def to_text(self) -> str:
        """Write a mermaid diagram, with values and gradients."""
        lines = ["graph LR"]
        for place, step in enumerate(self.steps):
            words = f"{step.name}<br>{step.value:.4f}<br>grad {step.gradient:.4f}"
            lines.append(f'  v{place}["{words}"]')
            lines += [f"  v{parent} --> v{place}" for parent in step.parents]
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        """Write a picture, .svg or .png, or a mermaid diagram, .mmd."""
        ending = path.suffix.lower()
        if ending not in (".svg", ".png", ".mmd"):
            raise UsageError(f"-o {path}: expected a name that ends in .svg, .png, .mmd")
        if ending == ".mmd":
            files.write_text(path, self.to_text() + "\n")
        else:
            _draw(self, path)


# What each function gives at x, and its slope there.
_FUNCTIONS: dict[str, Callable[[float], tuple[float, float]]] = {
    "exp": lambda x: (math.exp(x), math.exp(x)),
    "log": lambda x: (math.log(x), 1 / x),
    "relu": lambda x: (max(x, 0.0), float(x > 0)),
    "sigmoid": lambda x: (_sigmoid(x), _sigmoid(x) * (1 - _sigmoid(x))),
    "sqrt": lambda x: (math.sqrt(x), 0.5 / math.sqrt(x)),
    "tanh": lambda x: (math.tanh(x), 1 - math.tanh(x) ** 2),
}
# What each operation gives of a and b, and its slopes.
_OPERATIONS: dict[type, tuple[str, Callable[[float, float], tuple[float, float, float]]]] = {
    ast.Add: ("+", lambda a, b: (a + b, 1.0, 1.0)),
    ast.Sub: ("-", lambda a, b: (a - b, 1.0, -1.0)),
    ast.Mult: ("*", lambda a, b: (a * b, b, a)),
    ast.Div: ("/", lambda a, b: (a / b, 1 / b, -a / b**2)),
    ast.Pow: ("^", lambda a, b: (math.pow(a, b), *_power_slopes(a, b))),
}


def compute(expression: str, at: Mapping[str, float]) -> Computation:
    """Compute an expression at given numbers, and the gradient of its result at every step.

    A name that stands twice is one number, whose gradient is the sum of both. Raises UsageError
    for what is no such expression, a name without a number, and what has no value or no slope.

    >>> found = compute("x * w + 10", {"x": 2, "w": -3})
    >>> [(step.name, step.value, step.gradient) for step in found.steps][-1]
    ('+', 4.0, 1.0)
    >>> [step.gradient for step in found.steps if step.name in ("x", "w")]
    [-3.0, 2.0]
    """
    reader = _Reader(at)
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError, ValueError) as err:
        raise UsageError(
            f"'{shorten(expression, 60)}' is no expression, as tanh(x * w + b)"
        ) from err
    try:
        reader.read(tree)
    except RecursionError as err:
        raise UsageError("brackets within brackets, too deep to be drawn") from err
    idle = [name for name in at if name not in reader.places]
    if idle:
        raise UsageError(f"'{idle[0]}' is not in the expression; leave it out")
    return Computation(expression, reader.finish())


class _Reader:
    """Reads an expression from the inside out; each step keeps its slopes for the way back."""

    def __init__(self, at: Mapping[str, float]) -> None:
        self.at = at
        self.names: list[str] = []
        self.values: list[float] = []
        self.parents: list[tuple[int, ...]] = []
        self.slopes: list[tuple[float, ...]] = []
        self.places: dict[str, int] = {}

    def read(self, node: ast.expr) -> int:
        """Read a part; its place among the steps."""
        match node:
            case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
                return self._add(f"{number:g}", float(number))
            case ast.Name(id=name):
                return self._read_name(name)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return self._add(f"{-number:g}", -float(number))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand)
                return self._add("-", -self.values[inner], (inner,), (-1.0,))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                name, rule = _OPERATIONS[type(op)]
                a, b = self.read(left), self.read(right)
                value, *slopes = self._apply(rule, name, self.values[a], self.values[b])
                return self._add(name, value, (a, b), tuple(slopes))
            case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]):
                if name not in _FUNCTIONS:
                    raise UsageError(unknown_name("function", name, _FUNCTIONS))
                inner = self.read(argument)
                value, slope = self._apply(_FUNCTIONS[name], name, self.values[inner])
                return self._add(name, value, (inner,), (slope,))
        shown = shorten(ast.unparse(node), 40)
        known = ", ".join(_FUNCTIONS)
        raise UsageError(f"'{shown}': expected numbers, names, + - * / ** and one of {known}")

    def finish(self) -> tuple[Step, ...]:
        """Go back from the result, and give all steps with their gradients."""
        gradients = [0.0] * len(self.values)
        gradients[-1] = 1.0
        for place in reversed(range(len(self.values))):
            for parent, slope in zip(self.parents[place], self.slopes[place], strict=True):
                gradients[parent] += slope * gradients[place]
        rows = zip(self.names, self.values, gradients, self.parents, strict=True)
        return tuple(Step(*row) for row in rows)

    def _read_name(self, name: str) -> int:
        if name not in self.at:
            raise UsageError(f"'{name}' has no number; say which with --at {name}=NUMBER")
        if name not in self.places:
            self.places[name] = self._add(name, float(self.at[name]))
        return self.places[name]

    def _apply(
        self, rule: Callable[..., tuple[float, ...]], name: str, *numbers: float
    ) -> tuple[float, ...]:
        try:
            return rule(*numbers)
        except (ArithmeticError, ValueError) as err:
            at = ", ".join(f"{number:g}" for number in numbers)
            raise UsageError(f"{name} has no value or no slope at {at}") from err

    def _add(
        self,
        name: str,
        value: float,
        parents: tuple[int, ...] = (),
        slopes: tuple[float, ...] = (),
    ) -> int:
        if len(self.values) >= _MOST_STEPS:
            raise UsageError(f"more than {_MOST_STEPS} steps; draw a part of the expression")
        if not math.isfinite(value):
            raise UsageError(f"{name} is {value:g}; expected numbers that are finite")
        self.names.append(name)
        self.values.append(value)
        self.parents.append(parents)
        self.slopes.append(slopes)
        return len(self.values) - 1


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


def _power_slopes(a: float, b: float) -> tuple[float, float]:
    """The slopes of a to the b; of b only where a is above 0, for a constant power has none."""
    return (b * math.pow(a, b - 1) if b else 0.0), (math.pow(a, b) * math.log(a) if a > 0 else 0.0)


def _draw(found: Computation, path: Path) -> None:
    """Draw the steps from left to right, each behind the last of what it was made of."""
    columns: list[int] = []
    for step in found.steps:
        columns.append(1 + max((columns[parent] for parent in step.parents), default=-1))
    rows, used = [], dict.fromkeys(columns, 0)
    for column in columns:
        rows.append(used[column])
        used[column] += 1
    tallest = max(used.values())
    figure = new_figure(0.6 + 1.75 * len(used), 0.7 + 0.95 * tallest)
    axes = figure.add_subplot()
    axes.axis("off")
    axes.set(xlim=(-0.5, len(used) - 0.5), ylim=(tallest - 0.45, -0.55))
    axes.set_title(plain(found.expression, 70), fontsize=11)
    spots = [
        (column, row + (tallest - used[column]) / 2)
        for column, row in zip(columns, rows, strict=True)
    ]
    for step, (x, y) in zip(found.steps, spots, strict=True):
        for parent in step.parents:
            axes.annotate(
                "",
                (x - 0.29, y),
                (spots[parent][0] + 0.29, spots[parent][1]),
                arrowprops={"arrowstyle": "->", "color": "0.5"},
            )
        fill, edge = _COLOURS["step" if step.parents else "input"]
        axes.text(
            x,
            y,
            f"{plain(step.name, 14)}\n{step.value:.4f}\ngrad {step.gradient:.4f}",
            ha="center",
            va="center",
            fontsize=9,
            bbox={"boxstyle": "round,pad=0.35", "facecolor": fill, "edgecolor": edge},
        )
    save_figure(figure, path)
