"""Fits in threads: each gives what it gives alone, and leaves the caller's settings as they are."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from textkit import TextClassifier
from textkit.nn.devices import cpu_threads, make_accelerator
from textkit.nn.draws import first_draws

TEXTS = ["good film", "fine plot", "bad film", "poor plot", "great story", "awful story"] * 6
LABELS = ["pos", "pos", "neg", "neg", "pos", "neg"] * 6
SMALL: dict[str, Any] = {
    "embedding__dim": 8,
    "embedding__dropout": 0.3,
    "head__dropout": 0.3,
    "head__hidden": [6],
    "training__epochs": 2,
    "training__batch_size": 8,
}
BERT = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 60,
}
OWN: dict[str, dict[str, Any]] = {
    "lstm": {"encoder": "lstm", "encoder__dim": 6, "encoder__layers": 2, "encoder__dropout": 0.5},
    "gru": {"encoder": "gru", "encoder__dim": 6, "head__pooling": ["attention", "max"]},
    "members": {"encoder": "rnn", "encoder__dim": 6, "encoder__members": 2},
    "transformer": {"encoder": "transformer", "encoder__dim": 8, "encoder__dropout": 0.5},
    "mixer": {"encoder": "mixer", "encoder__dim": 8, "encoder__mixing": 4},
    "cnn": {"encoder": "cnn", "encoder__dim": 4, "encoder__dropout": 0.5},
    "characters": {"encoder": "cnn", "encoder__dim": 4, "embedding__name": "char-cnn"},
    "bag": {"encoder": "bag", "encoder__dropout": 0.5, "head__pooling": ["mean"]},
    "bag of padded": {"encoder": "bag", "encoder__dropout": 0.5, "head__pooling": ["max"]},
    "twice": {"encoder": "lstm", "encoder__dim": 6, "training__r_drop": 1.0},
    "bfloat16": {"encoder": "lstm", "encoder__dim": 6, "training__precision": "bf16"},
    "mixed": {"encoder": "rnn", "encoder__dim": 6, "augment__mixup": 0.4},
}
SHARED: dict[str, dict[str, Any]] = {
    "pretrained": {"encoder": "pretrained", "encoder__config": BERT},
    "foreign": {"encoder": "foreign_encoders:Foreign"},
}


class Foreign(nn.Module):
    """An encoder of a user's own, which draws from torch's global generator."""

    def __init__(self, *, in_dim: int) -> None:
        super().__init__()
        self.in_dim = self.out_dim = in_dim
        self.scale = nn.Parameter(torch.rand_like(torch.zeros(in_dim)))
        self.dropout = nn.Dropout(0.5)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        dropped: Tensor = self.dropout(states * self.scale)
        return dropped.masked_fill(~mask.unsqueeze(-1), 0.0)


@pytest.fixture(autouse=True)
def plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("foreign_encoders")
    module.__dict__["Foreign"] = Foreign
    monkeypatch.setitem(sys.modules, "foreign_encoders", module)


def fit(options: dict[str, Any], *, seed: int = 1) -> dict[str, bytes]:
    """Fit on the few texts; every weight as bytes."""
    model = TextClassifier(**SMALL, **options, seed=seed).fit(TEXTS, LABELS)
    weights = {name: w.numpy().tobytes() for name, w in model.network_.state_dict().items()}
    return {**weights, "probabilities": model.predict_proba(TEXTS).tobytes()}


def together(jobs: list[Callable[[], Any]]) -> list[Any]:
    """Run jobs in threads of their own, all from one moment on."""
    barrier = threading.Barrier(len(jobs))

    def start(job: Callable[[], Any]) -> Any:
        barrier.wait(timeout=60)
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [future.result(timeout=300) for future in [pool.submit(start, j) for j in jobs]]


@pytest.fixture
def noise() -> Iterator[None]:
    """Draw from the global generators, and seed them, all the while in another thread."""
    stop = threading.Event()

    def draw() -> None:
        while not stop.wait(0.0005):
            torch.manual_seed(7)
            torch.rand(3)
            np.random.default_rng()
            np.random.seed(3)
            random.random()

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.parametrize("name", OWN)
def test_fits_at_once_give_what_each_gives_alone_whatever_the_caller_draws(
    name: str, noise: None
) -> None:
    options = OWN[name]
    alone = [fit(options, seed=seed) for seed in (1, 2)]
    assert alone[0] != alone[1]
    got = together([lambda s=s: fit(options, seed=s) for s in (1, 2, 1)])
    assert got == [alone[0], alone[1], alone[0]]


@pytest.mark.parametrize("name", SHARED)
def test_fits_that_draw_from_torch_itself_wait_for_each_other(name: str) -> None:
    options = SHARED[name]
    alone, other = fit(options), fit(OWN["gru"])
    jobs = [lambda: fit(options), lambda: fit(OWN["gru"]), lambda: fit(options)]
    assert together(jobs) == [alone, other, alone]


@pytest.mark.parametrize("name", ["lstm", "bag", "pretrained", "foreign", "bfloat16"])
def test_a_fit_leaves_the_callers_generators_and_settings_alone(name: str) -> None:
    torch.manual_seed(11)
    np.random.seed(11)
    random.seed(11)
    before = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    n_threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    fit({**OWN, **SHARED}[name])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1] and random.getstate() == before[2]
    assert (torch.get_num_threads(), torch.get_default_dtype()) == (n_threads, dtype)


def test_opening_a_model_draws_nothing_from_the_callers_generator() -> None:
    TextClassifier(**SMALL, **OWN["lstm"]).fit(TEXTS, LABELS).save("model")
    torch.manual_seed(11)
    before = torch.get_rng_state()
    TextClassifier.load("model")
    assert torch.equal(torch.get_rng_state(), before)


def test_first_weights_are_those_of_a_seeded_torch() -> None:
    def draw() -> list[Tensor]:
        layers = (nn.Linear(3, 4), nn.LSTM(3, 4), nn.Embedding(4, 3), nn.Conv1d(2, 2, 2))
        weights = [weight.detach() for layer in layers for weight in layer.parameters()]
        free = [torch.randn(3), torch.rand(3), torch.randperm(9), torch.randint(0, 99, (5,))]
        starts = [nn.init.orthogonal_(torch.empty(3, 3)), nn.init.trunc_normal_(torch.empty(4))]
        return [*weights, *free, *starts]

    with torch.random.fork_rng():
        torch.manual_seed(5)
        expected = draw()
    with first_draws(5):
        assert all(torch.equal(a, b) for a, b in zip(draw(), expected, strict=True))


def test_each_thread_has_its_own_number_of_cpu_threads_and_newcomers_the_usual_one() -> None:
    def newcomer() -> int:
        with ThreadPoolExecutor(1) as other:
            return other.submit(torch.get_num_threads).result()

    before, usual = torch.get_num_threads(), newcomer()
    inside = threading.Barrier(4)

    def hold(number: int) -> list[int]:
        with cpu_threads(number):
            inside.wait(timeout=60)  # all are here at once
            found = [torch.get_num_threads(), newcomer()]
            inside.wait(timeout=60)
            with cpu_threads(number + 3):
                found.append(torch.get_num_threads())
            inside.wait(timeout=60)
        return [*found, torch.get_num_threads()]

    got = together([lambda n=n: hold(n) for n in (1, 2, 3, 1)])
    assert got == [[n, usual, n + 3, usual] for n in (1, 2, 3, 1)]
    with cpu_threads(before + 2):
        assert newcomer() == usual
    assert (torch.get_num_threads(), newcomer()) == (before, usual)


def test_an_accelerator_in_use_outlives_the_next_one() -> None:
    first = make_accelerator("cpu", precision="bf16")
    second = make_accelerator("cpu")
    assert (first.mixed_precision, second.mixed_precision) == ("bf16", "no")
    assert first.device.type == "cpu" and AcceleratorState().mixed_precision == "no"
