"""The graph of an expression: its numbers are torch's, and nothing of the text is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from textkit.errors import UsageError
from textkit.jobs import draw_expression

FUNCTIONS = ("exp", "log", "relu", "sigmoid", "sqrt", "tanh")
NUMBERS = {"a": 1.5, "b": -0.7, "c": 0.4}


@pytest.mark.parametrize(
    "expression",
    [
        "a * b + c",
        "tanh(a * b + c) - a / b",
        "sigmoid(a) * relu(b) + relu(-b) ** 2",
        "exp(-a) + log(a) * sqrt(c)",
        "a ** c + a ** 2 + b ** 3 + c ** -0.5",
        "a * a * a + a",
        "-(a + b) + c * 1",
    ],
)
def test_values_and_gradients_are_those_of_torch(expression: str) -> None:
    used = {name: NUMBERS[name] for name in re.findall(r"\b[abc]\b", expression)}
    found = draw_expression(expression, used)
    tensors = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in used.items()}
    functions = {name: getattr(torch, name) for name in FUNCTIONS}
    result = eval(expression, {**functions, **tensors})
    result.backward()
    assert found.steps[-1].value == pytest.approx(result.item(), abs=1e-12)
    for step in found.steps:
        if step.name in used and not step.parents:
            assert step.gradient == pytest.approx(tensors[step.name].grad.item(), abs=1e-12)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("__import__('os').system('touch ran')", "expected numbers, names"),
        ("a.real", "expected numbers, names"),
        ("[a]", "expected numbers, names"),
        ("sine(a)", "unknown function 'sine'"),
        ("a +", "is no expression"),
        ("", "is no expression"),
        ("a\0", "is no expression"),
        ("d", "'d' has no number"),
        ("a / 0", "/ has no value or no slope at 1.5, 0"),
        ("log(0 * a)", "log has no value"),
        ("exp(1000 * a)", "exp has no value"),
        ("(0 - a) ** 0.5", "^ has no value"),
        ("1e999 * a", "expected numbers that are finite"),
        ("(" * 150 + "a" + ")" * 150 + "+", "is no expression"),
        ("+".join("a" * 200), "more than 100 steps"),
        ("2", "'a' is not in the expression"),
    ],
)
def test_what_is_no_expression_is_refused(
    expression: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        draw_expression(expression, {"a": 1.5})
    assert words in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_the_shell_draws_an_expression(tmp_path: Path) -> None:
    def textkit(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "textkit", "draw", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    shown = textkit("a * b + c", "--at", "a=2,b=-3", "--at", "c=10").stdout
    page = (Path(__file__).parents[2] / "docs/course/01-neuron.md").read_text(encoding="utf-8")
    assert sorted(shown.split("\n")[1:3]) == [
        '  v0["a<br>2.0000<br>grad -3.0000"]',
        '  v1["b<br>-3.0000<br>grad 2.0000"]',
    ]
    assert shown.strip() in page
    for ending in ("svg", "png", "mmd"):
        done = textkit("tanh(a*b)", "--at", "a=2,b=-3", "-o", f"graph.{ending}")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / f"graph.{ending}").stat().st_size > 50
    for words in (["a", "--at", "a"], ["a", "--at", "a=nan"], ["a", "--at", "a=1,a=2"]):
        assert textkit(*words).returncode == 2
