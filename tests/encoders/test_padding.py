"""Padding changes nothing, for every registered encoder and pooling, alone and inside the whole network."""

from __future__ import annotations

import pytest
import torch

from textkit import encoders, registry
from textkit.batch import TokenBatch
from textkit.collate import collate
from textkit.network import TextNetwork
from textkit.recipe import complete_recipe, make_recipe

ROWS = [[5, 6, 7, 8, 9], [], [3], [4, 5], [], [9, 8, 7, 6, 5, 4, 3, 2]]


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_logits_do_not_depend_on_batch_companions(name: str) -> None:
    torch.manual_seed(0)
    recipe = complete_recipe(make_recipe(encoder=name, embedding__dim=8))
    network = TextNetwork(recipe, n_tokens=10, n_labels=3).eval()
    with torch.inference_mode():
        together = network(collate(TokenBatch.from_rows(ROWS), pad_id=0))
        for row, expected in zip(ROWS, together, strict=True):
            for pad_id in (0, 9):
                alone = network(collate(TokenBatch.from_rows([row]), pad_id=pad_id))[0]
                torch.testing.assert_close(alone, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_padding_comes_out_as_zeros(name: str) -> None:
    encoder = encoders.create(name, in_dim=4).eval()
    batch = collate(TokenBatch.from_rows(ROWS), pad_id=0)
    states = torch.randn(*batch.input_ids.shape, 4)
    output = encoder(states, batch.attention_mask, batch.lengths)
    assert output.shape == (*batch.input_ids.shape, encoder.out_dim)
    assert not output[~batch.attention_mask].any()
    assert output[batch.attention_mask].any()


@pytest.mark.parametrize("name", registry.names("pooling"))
def test_pooling_ignores_padding_and_gives_zeros_for_empty_rows(name: str) -> None:
    pool = registry.resolve("pooling", name)
    states = torch.randn(2, 3, 4)
    mask = torch.tensor([[True, True, False], [False, False, False]])
    pooled = pool(states, mask)
    torch.testing.assert_close(pooled[:1], pool(states[:1, :2], mask[:1, :2]))
    assert not pooled[1].any()
