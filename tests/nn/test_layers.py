"""Activations, norms and the Mlp: against torch's own on real positions, and blind to padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from textkit.errors import UsageError
from textkit.nn.layers import ACTIVATIONS, NORMS, BatchNorm, Dropout, Mlp, Norm, make_activation


def test_batch_norm_sees_real_positions_alone() -> None:
    torch.manual_seed(0)
    ours, theirs = BatchNorm(3), nn.BatchNorm1d(3)
    states, mask = torch.randn(4, 5, 3), torch.arange(5) < torch.tensor([5, 0, 2, 1])[:, None]
    for _ in range(3):
        output = ours(states.masked_fill(~mask.unsqueeze(-1), 1e6), mask)
        torch.testing.assert_close(output[mask], theirs(states[mask]))
        assert not output[~mask].any()
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(states, mask)[mask], theirs(states[mask]))
    torch.testing.assert_close(ours(states[:, 0]), theirs(states[:, 0]))


@pytest.mark.parametrize("n_real", [0, 1])
def test_batch_norm_of_fewer_than_two_positions_uses_what_it_has_seen(n_real: int) -> None:
    norm = BatchNorm(3).train()
    before = norm.norm.running_mean.clone()
    output = norm(torch.ones(1, 2, 3), torch.arange(2)[None] < n_real)
    torch.testing.assert_close(
        output[:, :n_real], torch.ones(1, n_real, 3) / (1 + norm.norm.eps) ** 0.5
    )
    assert torch.equal(norm.norm.running_mean, before)


@pytest.mark.parametrize("name", NORMS)
def test_norms_keep_the_shape_and_pass_gradients(name: str) -> None:
    norm = Norm(name, dim=4)
    states, mask = (
        torch.randn(2, 3, 4, requires_grad=True),
        torch.tensor([[True, True, True], [True, False, False]]),
    )
    output = norm(states, mask)
    assert output.shape == states.shape
    output[mask].square().sum().backward()
    assert states.grad is not None and states.grad.isfinite().all()


def test_rms_norm_divides_by_the_root_mean_square() -> None:
    states = torch.randn(2, 4)
    expected = states / (states.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(Norm("rms", dim=4)(states), expected)


def test_names_are_checked() -> None:
    with pytest.raises(UsageError, match="unknown activation 'gelo'; did you mean 'gelu'"):
        make_activation("gelo")
    with pytest.raises(UsageError, match="unknown norm 'batch'; known: layer, rms"):
        Norm("batch", dim=2, known=("layer", "rms"))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("hidden", [(), (5,), (5, 7)])
def test_mlp_has_the_layers_it_names(activation: str, norm: str, hidden: tuple[int, ...]) -> None:
    mlp = Mlp(in_dim=3, hidden=hidden, out_dim=2, activation=activation, norm=norm, dropout=0.1)
    widths = [layer.out_features for layer in mlp.layers if isinstance(layer, nn.Linear)]
    assert widths == [*hidden, 2]
    output = mlp(torch.randn(6, 3))
    assert output.shape == (6, 2)
    output.sum().backward()
    assert all(value.grad is not None for value in mlp.parameters())


def test_mlp_without_hidden_layers_is_linear() -> None:
    mlp = Mlp(in_dim=3, out_dim=2).eval()
    a, b = torch.randn(3), torch.randn(3)
    torch.testing.assert_close(mlp(a) + mlp(b) - mlp(torch.zeros(3)), mlp(a + b))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    states = torch.ones(1001, 999, requires_grad=True)
    output = Dropout(p)(states)
    zeros = (output == 0).float()
    assert zeros.mean().item() == pytest.approx(p, abs=3e-3)
    # No row, column or place within a 64-bit draw is favoured.
    assert (zeros.mean(dim=0) - p).abs().max() < 0.08 and (zeros.mean(dim=1) - p).abs().max() < 0.08
    assert all(zeros.flatten()[i::4].mean().item() == pytest.approx(p, abs=5e-3) for i in range(4))
    assert output.max().item() == pytest.approx(1 / (1 - p), rel=1e-3)
    output.sum().backward()
    assert torch.equal(states.grad, output.detach())


def test_dropout_draws_from_torchs_generator_and_stops_in_eval() -> None:
    dropout, states = Dropout(0.3), torch.randn(3, 5, dtype=torch.bfloat16)
    torch.manual_seed(1)
    first, second = dropout(states), dropout(states)
    torch.manual_seed(1)
    assert torch.equal(dropout(states), first) and not torch.equal(first, second)
    assert first.dtype == torch.bfloat16
    assert dropout.eval()(states) is states or torch.equal(dropout(states), states)
    assert Dropout(0.0)(states).equal(states)
    assert not Dropout(1.0)(states).any()
    assert Dropout(0.5)(torch.zeros(0, 4)).shape == (0, 4)
