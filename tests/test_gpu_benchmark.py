"""`benchmarks/gpu.py` in the small, on the CPU: that it runs, and that it counts right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    import gpu

    return gpu


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_measures_every_contender_and_writes_the_figures(gpu: Any, tmp_path: Path) -> None:
    sizes = gpu.Sizes(8, 1, 4, {"tiny": (8, 1, 2, 12)}, 16, 12, 0.001, 1, 60)
    bench = gpu.Bench(torch.device("cpu"), sizes)
    bench.check_logits()
    for model in ("lstm", "transformer"):
        bench.attempt(bench.train, model, "fp32")
    bench.attempt(bench.train, "transformer", "bf16")
    bench.attempt(bench.embed, "tiny", "fp32")
    figures = bench.finish(tmp_path / "gpu.json")
    assert [note for note in figures.notes if "stands in" not in note] == []
    assert figures.missed == []
    assert len(figures.rows) == 4 * 3 and not figures.is_real
    for row in figures.rows:
        assert row.tokens_per_second > 0 and row.share > 0
        if row.job == "train":
            assert 0 < row.waits == row.host < 1
    assert all(values["from_cpu"] == 0 for values in figures.logits.values())
    assert json.loads((tmp_path / "gpu.json").read_text())["rows"][0]["contender"] == "textkit"
    text = "\n".join(gpu.tell(figures))
    assert "torch.nn, bare loop" in text and "no figure of a GPU" in text


def test_what_breaks_and_what_is_late_is_said(gpu: Any) -> None:
    bench = object.__new__(gpu.Bench)
    bench.figures = gpu.Figures("CPU", "2", is_real=True)
    bench.sizes, bench.began = gpu.QUICK, 0.0

    def train(name: str, precision: str) -> None:
        raise ValueError("no\nsuch thing")

    bench.attempt(train, "lstm", "fp32")
    assert bench.figures.notes == ["left out, the time was over: train lstm fp32"]
    bench.began = gpu.time.perf_counter()
    bench.attempt(train, "lstm", "fp32")
    assert bench.figures.notes[1] == "FAILED train lstm fp32: ValueError: no such thing"


def test_limits_that_are_not_kept_are_named(gpu: Any) -> None:
    row = gpu.Row("train", "lstm", "fp32", "textkit", 10.0, 0.1, 5, 0.07, 0.08)
    figures = gpu.Figures("card", "2", is_real=True, rows=[row])
    figures.logits["lstm"] = {"from_cpu": 2e-4, "from_float64": 0.0}
    figures.logits["cnn"] = {"from_cpu": float("nan"), "from_float64": 0.0}
    said = gpu.misses(figures)
    assert len(said) == 3 and "waits 7.0%" in said[0] and "logits of lstm" in said[1]


def test_operations_are_counted_as_torch_counts_them(gpu: Any) -> None:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from textkit import TokenBatch
    from textkit.nn.network import TextNetwork
    from textkit.recipe import make_recipe

    options = {"dim": 32, "layers": 2, "heads": 2}
    recipe = make_recipe(encoder={"name": "transformer", **options}, embedding__dim=16)
    network = TextNetwork(recipe, n_tokens=9, n_outputs=2).eval()
    tokens = TokenBatch.from_rows([[1] * 11] * 3)
    plain = sdpa_kernel(SDPBackend.MATH)  # torch counts no product of its fused kernel on a CPU
    with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
        network(network.make_batch(tokens))
    counted = gpu.flops_per_row("transformer", tokens.lengths, width=16, dim=32, layers=2).sum()
    rest = 3 * 2 * (32 * 32 * 11 + 32 * 11) + 3 * 2 * 96 * 2  # attention pooling, the head
    assert counted == counter.get_total_flops() - rest
    lstm = gpu.flops_per_row("lstm", np.array([1]), width=5, dim=3, layers=2)
    weights = torch.nn.LSTM(5, 3, 2, bidirectional=True, bias=False).parameters()
    assert lstm.item() == 2 * sum(weight.numel() for weight in weights)
