"""The mixer: positions mixed by a perceptron whose weights the tokens make, after HyperMixer (Mai
et al. 2023, ACL).

A plain MLP-Mixer (Tolstikhin et al. 2021) learns one weight per position, so its rows have one
length and padding takes part. Here two small networks turn each token into its own row of the
mixing weights: any length works, the cost is linear in it, and the weights of padding are zeros, so
that padding takes no part at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textkit.nn.encoders.transformer import sinusoids
from textkit.nn.layers import Dropout, Mlp, Norm, feed_forward_width, make_activation

_NORMS = ("layer", "rms")


class MixerEncoder(nn.Module):
    """Mix positions, then features, `layers` times, each added to what came in (pre-norm).

    mixing: width of the perceptron over positions. ffn: width of the one over features, in
    multiples of `dim`. Differs from HyperMixer: masked, norm `layer` or `rms`, and the positions
    that the paper adds to what makes the mixing weights are sinusoids with a learned height, so
    that no length is too long.

    >>> encoder = MixerEncoder(in_dim=3, dim=8)
    >>> mask = torch.tensor([[True, True], [False, False]])
    >>> encoder(torch.ones(2, 2, 3), mask, mask.sum(1)).shape
    torch.Size([2, 2, 8])
    """

    def __init__(
        self,
        *,
        in_dim: int,
        dim: int = 128,
        layers: int = 2,
        mixing: int = 64,
        ffn: float = 2.0,
        activation: str = "gelu",
        norm: str = "layer",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, dim
        self.project = nn.Linear(in_dim, dim)
        width = feed_forward_width(ffn, dim)
        blocks = [
            Block(dim, mixing, width, activation, norm=norm, dropout=dropout) for _ in range(layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.norm = Norm(norm, dim=dim, known=_NORMS)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch,
        time, out_dim).
        """
        padding = ~mask.unsqueeze(-1)
        states = self.dropout(self.project(states.masked_fill(padding, 0.0)))
        positions = sinusoids(states.shape[1], self.out_dim, like=states)
        for block in self.blocks:
            states = block(states, padding, positions)
        output: Tensor = self.norm(states)
        return output.masked_fill(padding, 0.0)


class Block(nn.Module):
    """states + mix positions of norm(states), then states + feed-forward(norm(states))."""

    def __init__(
        self, dim: int, mixing: int, width: int, activation: str, *, norm: str, dropout: float
    ) -> None:
        super().__init__()
        self.mixing_norm = Norm(norm, dim=dim, known=_NORMS)
        self.position_scale = nn.Parameter(torch.tensor(0.1))
        # The two networks in one: a token's row of the weights into the mixing layer, and of those
        # out of it.
        self.make_in = Mlp(in_dim=dim, hidden=(dim,), out_dim=mixing, activation=activation)
        self.make_out = Mlp(in_dim=dim, hidden=(dim,), out_dim=mixing, activation=activation)
        self.activation = make_activation(activation)
        self.mixed_norm = Norm(norm, dim=dim, known=_NORMS)
        self.ffn_norm = Norm(norm, dim=dim, known=_NORMS)
        self.ffn = Mlp(in_dim=dim, hidden=(width,), out_dim=dim, activation=activation)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, padding: Tensor, positions: Tensor) -> Tensor:
        """states (batch, time, dim), padding (batch, time, 1) bool, positions (time, dim) ->
        (batch, time, dim).
        """
        normed = self.mixing_norm(states)
        states = states + self.dropout(self.mixed_norm(self.mix(normed, padding, positions)))
        added: Tensor = self.dropout(self.ffn(self.ffn_norm(states)))
        return states + added

    def mix(self, states: Tensor, padding: Tensor, positions: Tensor) -> Tensor:
        """Compute W_out act(W_in^T X), one column of X a feature.

        W_in and W_out (batch, time, mixing) come from X.
        """
        located = states + self.position_scale * positions
        into = self.make_in(located).masked_fill(padding, 0.0)
        out = self.make_out(located)
        mixed: Tensor = out @ self.activation(into.transpose(1, 2) @ states)
        return mixed
