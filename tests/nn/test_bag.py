"""The bag encoder: its fused path against the padded one, gradients too, on any number of
threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from textkit import TextClassifier
from textkit.batch import TokenBatch
from textkit.nn import encoders
from textkit.nn.collate import RaggedBatch, collate, collate_ragged
from textkit.nn.encoders.bag import BagEncoder
from textkit.nn.network import TextNetwork
from textkit.recipe import complete_recipe, make_recipe

ROWS = [[5, 6, 7, 8, 9], [], [3], [4, 4], [], [9, 8, 7, 6, 5, 4, 3, 0]]


def pool_padded(encoder: BagEncoder, table: Tensor, rows: TokenBatch) -> Tensor:
    batch = collate(rows, pad_id=0)
    states = encoder(table[batch.input_ids], batch.attention_mask, batch.lengths)
    pooled: Tensor = encoders.create_pooling("mean", dim=table.shape[1])(
        states, batch.attention_mask
    )
    return pooled


def random_rows(n_rows: int, *, n_ids: int, seed: int) -> TokenBatch:
    generator = np.random.default_rng(seed)
    rows = [generator.integers(0, n_ids, generator.integers(0, 40)).tolist() for _ in range(n_rows)]
    return TokenBatch.from_rows(rows)


@pytest.mark.parametrize("rows", [ROWS, [[]], [[], []], [[1]]])
def test_the_fused_path_gives_the_padded_ones_numbers_and_gradients(rows: list[list[int]]) -> None:
    tokens = TokenBatch.from_rows(rows)
    table = torch.randn(10, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    twin = table.clone().requires_grad_()
    table.requires_grad_()
    encoder = BagEncoder(in_dim=4)
    padded = pool_padded(encoder, table, tokens)
    fused = encoder.pool_mean(twin, collate_ragged(tokens))
    assert fused.shape == (len(rows), 4)
    torch.testing.assert_close(fused, padded)
    weights = torch.randn(padded.shape, dtype=torch.float64)
    (padded * weights).sum().backward()
    (fused * weights).sum().backward()
    torch.testing.assert_close(twin.grad, table.grad)


def test_dropped_positions_are_made_up_for() -> None:
    tokens = TokenBatch.from_rows([list(range(10)) * 400, []])
    table = torch.ones(10, 4)
    encoder = BagEncoder(in_dim=4, dropout=0.5)
    for pooled in (
        pool_padded(encoder, table, tokens),
        encoder.pool_mean(table, collate_ragged(tokens)),
    ):
        assert pooled[0].tolist() == pytest.approx([1.0] * 4, abs=0.1)
        assert pooled[0, 0] != 1.0
        assert not pooled[1].any()
    encoder.eval()
    for pooled in (
        pool_padded(encoder, table, tokens),
        encoder.pool_mean(table, collate_ragged(tokens)),
    ):
        assert pooled.tolist() == [[1.0] * 4, [0.0] * 4]


def test_a_step_is_the_same_to_the_bit_on_any_number_of_threads() -> None:
    tokens = random_rows(300, n_ids=2000, seed=0)
    before = torch.get_num_threads()
    gradients = []
    try:
        for threads in (1, 2, 3, 4):
            torch.set_num_threads(threads)
            table = torch.randn(
                2000, 32, generator=torch.Generator().manual_seed(1)
            ).requires_grad_()
            pooled = BagEncoder(in_dim=32).pool_mean(table, collate_ragged(tokens))
            (
                pooled * torch.randn(pooled.shape, generator=torch.Generator().manual_seed(2))
            ).sum().backward()
            gradients.append(table.grad)
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(gradient, gradients[0])
        for gradient in gradients[1:]
        if gradients[0] is not None
    )
    assert gradients[0] is not None


def test_a_ragged_batch_moves_with_its_targets() -> None:
    batch = collate_ragged(TokenBatch.from_rows(ROWS), targets=np.arange(len(ROWS)))
    moved = batch.to(torch.device("meta"))
    assert isinstance(moved, RaggedBatch) and moved.targets is not None
    assert moved.ids.device.type == moved.offsets.device.type == moved.targets.device.type == "meta"
    assert batch.to(torch.device("cpu")) is batch


@pytest.mark.parametrize("members", [1, 3])
def test_the_network_takes_ragged_rows_and_gives_the_padded_ones_outputs(members: int) -> None:
    encoder = {"name": "bag", "members": members}
    recipe = complete_recipe(
        make_recipe(encoder=encoder, embedding__dim=8, head__pooling=("mean",))
    )
    network = TextNetwork(recipe, n_tokens=10, n_outputs=3).eval()
    tokens = TokenBatch.from_rows(ROWS)
    assert isinstance(network.make_batch(tokens), RaggedBatch)
    with torch.inference_mode():
        torch.testing.assert_close(
            network(network.make_batch(tokens)), network(collate(tokens, pad_id=0))
        )


def test_a_classifier_of_ngrams_learns_word_order_and_is_saved_with_its_buckets() -> None:
    texts, labels = ["not good but bad", "not bad but good"] * 30, ["neg", "pos"] * 30
    recipe: dict[str, Any] = {
        "ngrams": {"word_ngrams": 2},
        "encoder": {"name": "bag"},
        "embedding": {"dim": 8, "dropout": 0.0},
        "head": {"pooling": ["mean"], "dropout": 0.0},
        "training": {"epochs": 20, "lr": 0.05, "device": "cpu"},
    }
    model = TextClassifier(recipe).fit(texts, labels)
    assert model.score(texts, labels) == 1.0
    # Four words, [PAD] and [UNK], and the five bigrams that occur, of two million buckets.
    assert model.network_.embedding.table.weight.shape[0] == model.input_.n_ids <= 6 + 6
    model.save("model")
    loaded = TextClassifier.load("model")
    unseen = ["good", "", "never seen words", "but good not bad"]
    assert np.array_equal(
        loaded.predict_logits([*texts, *unseen]), model.predict_logits([*texts, *unseen])
    )
