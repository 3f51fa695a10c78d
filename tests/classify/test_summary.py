"""The table of layers: shapes, weights and bytes of every kind of model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import textkit
from tests.shell import run_textkit
from textkit.errors import UsageError
from textkit.nn.network import TextNetwork
from textkit.recipe import make_recipe
from textkit.registry import names

GOLDEN = Path(__file__).parents[1] / "data" / "golden"


@pytest.mark.parametrize("name", [name for name in names("encoder") if name != "pretrained"])
def test_every_encoder_has_shapes_that_grow_with_the_batch(name: str) -> None:
    recipe = make_recipe(None, encoder=name, embedding__dim=8)
    network = TextNetwork(recipe, n_tokens=11, n_outputs=3).train()
    found = textkit.summary(network)
    rows = {row.layer: row for row in found.rows}
    assert rows["embedding"].shape == ("batch", "time", "8")
    width = str(network.members[0].encoder.out_dim)
    assert rows["encoder"].shape == ("batch", "time", width)
    assert rows["head"].shape == ("batch", "3")
    roles = sum(row.n_weights for row in found.rows if row.depth == 0)
    assert roles == found.n_weights == sum(p.numel() for p in network.parameters())
    assert found.n_bytes == 4 * found.n_weights and network.training
    assert not any(module._forward_hooks for module in network.modules())


def test_frozen_weights_and_several_members_are_told() -> None:
    recipe = make_recipe(None, encoder="lstm", encoder__members=2, encoder__dim=4)
    network = TextNetwork(recipe, n_tokens=11, n_outputs=3)
    network.embedding.table.weight.requires_grad_(False)
    found = textkit.summary(network)
    assert found.n_weights - found.n_trained == network.embedding.table.weight.numel()
    assert "of the weights are trained" in str(found)
    assert {"members.0.head", "members.1.head"} <= {row.layer for row in found.rows}


def test_a_linear_model_is_its_features_and_weights() -> None:
    texts = ["good film", "bad film"] * 9
    model = textkit.TextClassifier(encoder="linear").fit(texts, ["a", "b"] * 9)
    found = textkit.summary(model)
    assert [row.layer for row in found.rows] == ["features", "weights", "bias"]
    assert found.n_weights == model.fitted_.model.n_weights


def test_what_has_no_layers_is_refused() -> None:
    with pytest.raises(UsageError, match="a Linear has no layers to list"):
        textkit.summary(torch.nn.Linear(1, 1))  # type: ignore[arg-type]


@pytest.mark.slow
def test_info_lists_the_layers() -> None:
    done = run_textkit("info", str(GOLDEN / "model-2-lstm"), "--layers", "--json")
    layers = json.loads(done.stdout)["summary"]["layers"]
    assert layers[0]["layer"] == "embedding" and layers[-1]["shape"] == ["batch", "2"]
