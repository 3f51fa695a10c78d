"""What a CUDA device computes: the CPU's numbers, in every precision, and resumed as on a CPU.

Skipped where there is none. Run by hand on a machine that has one: `pytest -n0 tests/test_gpu.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
if not torch.cuda.is_available():
    pytest.skip("no CUDA device", allow_module_level=True)

from textkit import TextClassifier, TextEmbedder, TokenBatch  # noqa: E402
from textkit.nn.network import TextNetwork, predict_outputs  # noqa: E402
from textkit.recipe import complete_recipe, make_recipe  # noqa: E402
from textkit.training.examples import Examples  # noqa: E402
from textkit.training.loop import train_network  # noqa: E402
from textkit.watch import Watch  # noqa: E402

ENCODERS = ("bag", "cnn", "gru", "lstm", "mixer", "rnn", "transformer")
WORDS = ("film", "plot", "king", "queen", "tree", "old", "new", "long", "short", "very")


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = True


def some_rows(n: int = 60) -> TokenBatch:
    generator = np.random.default_rng(0)
    rows = [generator.integers(1, 40, size).tolist() for size in generator.integers(0, 30, n)]
    return TokenBatch.from_rows([[], *rows])


def some_texts(n: int = 200) -> tuple[list[str], list[str]]:
    generator = np.random.default_rng(0)
    labels = ["good" if coin else "bad" for coin in generator.integers(0, 2, n)]
    words = [generator.choice(WORDS, size).tolist() for size in generator.integers(2, 20, n)]
    return [" ".join([*row, label]) for row, label in zip(words, labels, strict=True)], labels


@pytest.mark.parametrize("encoder", ENCODERS)
def test_logits_are_those_of_the_cpu(encoder: str) -> None:
    torch.manual_seed(0)
    recipe = complete_recipe(make_recipe(encoder__name=encoder))
    network, rows = TextNetwork(recipe, n_tokens=40, n_outputs=3), some_rows()
    cpu = predict_outputs(network, rows)
    here = predict_outputs(network.to("cuda"), rows)
    assert here.device.type == "cpu" and (here - cpu).abs().max() < 1e-4


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("encoder", [*ENCODERS, "cnn-mixup", "lstm-members"])
def test_a_training_learns_in_every_precision(encoder: str, precision: str) -> None:
    name, _, more = encoder.partition("-")
    options: dict[str, Any] = {"augment__mixup": 0.2} if more == "mixup" else {}
    options |= {"encoder__members": 2} if more == "members" else {}
    model = TextClassifier(
        encoder=name,
        training__precision=precision,
        training__device="cuda",
        training__epochs=8,
        **options,
    )
    texts, labels = some_texts()
    model.fit(texts, labels)
    assert model.history_.device == "cuda"
    assert model.score(texts, labels) > 0.8
    model.save("model")
    opened = TextClassifier.load("model")
    np.testing.assert_allclose(opened.predict_logits(texts), model.predict_logits(texts), atol=1e-4)


def test_a_first_step_is_that_of_the_cpu() -> None:
    rows = some_rows()
    targets = np.arange(len(rows)) % 3
    losses = []
    for device in ("cpu", "cuda"):
        recipe = complete_recipe(
            make_recipe(
                encoder__name="lstm",
                embedding__dropout=0.0,
                head__dropout=0.0,
                training__device=device,
                training__epochs=2,
            )
        )
        torch.manual_seed(0)
        network = TextNetwork(recipe, n_tokens=40, n_outputs=3)
        data = Examples(rows, targets)
        history = train_network(network, data, data, recipe, watch=Watch())
        losses.append([epoch.train_loss for epoch in history.epochs])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_stopped_training_goes_on(precision: str, tmp_path: Path) -> None:
    recipe = complete_recipe(
        make_recipe(
            encoder__name="lstm",
            training__device="cuda",
            training__precision=precision,
            training__batch_size=8,
            training__epochs=3,
        )
    )
    rows = some_rows()
    data = Examples(rows, np.arange(len(rows)) % 3)

    def run(folder: Path | None, stop_after: int | None) -> Any:
        torch.manual_seed(0)
        network = TextNetwork(recipe, n_tokens=40, n_outputs=3)
        asked = iter(range(10**6))
        watch = Watch(should_stop=lambda: stop_after is not None and next(asked) >= stop_after)
        return train_network(network, data, data, recipe, watch=watch, folder=folder)

    whole = run(None, None)
    assert run(tmp_path, 11).ended == "stopped"
    resumed = run(tmp_path, None)
    assert resumed.ended == whole.ended
    for one, other in zip(resumed.epochs, whole.epochs, strict=True):
        assert one.train_loss == pytest.approx(other.train_loss, rel=0.02)


def test_a_block_is_embedded_while_the_next_is_tokenized() -> None:
    texts, labels = some_texts(2500)
    TextClassifier(encoder="lstm", training__epochs=1, training__device="cuda").fit(
        texts, labels
    ).save("model")
    here = TextEmbedder.open("model", device="cuda").encode(texts)
    cpu = TextEmbedder.open("model", device="cpu").encode(texts)
    np.testing.assert_allclose(here, cpu, atol=1e-4)
