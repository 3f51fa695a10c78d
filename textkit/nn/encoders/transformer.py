"""The transformer encoder (Vaswani et al. 2017), pre-norm (Xiong et al.
2020), over scaled_dot_product_attention.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from textkit.errors import DataError, UsageError, unknown_name
from textkit.nn.layers import Dropout, Norm, feed_forward_width, make_activation, needs_mask

Positions = Literal["learned", "sinusoidal", "rotary", "none"]
POSITIONS = ("learned", "sinusoidal", "rotary", "none")
_NORMS = ("layer", "rms")
# Both sinusoids and rotations: wavelengths from 2 pi to 10,000 times that (Vaswani et al. 2017, Su
# et al. 2021).
_BASE = 10_000.0


class TransformerEncoder(nn.Module):
    """Let every position look at all real positions, `layers` times.

    positions: `rotary` (Su et al. 2021) and `sinusoidal` take rows of any length, `learned` those
    up to `max_length`, `none` sees a bag of words. ffn: width of the feed-forward layers, in
    multiples of `dim`. norm: `layer` or `rms`. dropout: on what each block adds and inside the
    feed-forward layers; attention weights are not dropped, which would take
    scaled_dot_product_attention off its fast kernels on the CPU. Where no row is padded no mask is
    built.

    >>> encoder = TransformerEncoder(in_dim=3, dim=8, heads=2)
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
        heads: int = 4,
        ffn: float = 4.0,
        positions: Positions = "rotary",
        max_length: int = 512,
        activation: str = "gelu",
        norm: str = "layer",
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        _check(dim=dim, heads=heads, positions=positions)
        self.in_dim, self.out_dim = in_dim, dim
        self.positions, self.head_dim = positions, dim // heads
        self.project = nn.Linear(in_dim, dim)
        self.max_length = max_length if positions == "learned" else None
        if positions == "learned":
            self.table = nn.Embedding(max_length, dim)
            nn.init.normal_(self.table.weight, std=0.02)
        if positions == "sinusoidal":
            # Sinusoids are 1 high, embeddings start at dim ** -0.5: words must be heard beside
            # them.
            self.scale = nn.Parameter(torch.tensor(dim**-0.5))
        width = feed_forward_width(ffn, dim)
        blocks = [
            Block(dim, heads, width, activation=activation, norm=norm, dropout=dropout)
            for _ in range(layers)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.norm = Norm(norm, dim=dim, known=_NORMS)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """states (batch, time, in_dim), mask (batch, time) bool, lengths (batch,) CPU -> (batch,
        time, out_dim).

        Raises DataError for a batch wider than `max_length` under learned positions.
        """
        time, padding = states.shape[1], ~mask.unsqueeze(-1)
        states = self._add_positions(self.project(states.masked_fill(padding, 0.0)))
        states = self.dropout(states)
        angles = (
            rotary_angles(time, self.head_dim, like=states) if self.positions == "rotary" else None
        )
        # The lengths are on the CPU: asking them waits for no GPU. An empty row looks at its first
        # padding, since a softmax over nothing is NaN; its result is zeroed like all padding.
        looked_at = None
        if needs_mask(lengths, time):
            looked_at = mask.clone()
            looked_at[:, 0] = True
            looked_at = looked_at[:, None, None]
        for block in self.blocks:
            states = block(states, looked_at, angles)
        output: Tensor = self.norm(states)
        return output.masked_fill(padding, 0.0)

    def _add_positions(self, states: Tensor) -> Tensor:
        time = states.shape[1]
        if self.positions == "learned":
            limit = self.table.num_embeddings
            if time > limit:
                raise DataError(
                    f"a row has {time} tokens, learned positions end at max_length = {limit};"
                    " set encoder.max_length, or tokenizer.max_length to cut rows"
                )
            return states + self.table.weight[:time]
        if self.positions == "sinusoidal":
            return states + self.scale * sinusoids(time, states.shape[2], like=states)
        return states


class Block(nn.Module):
    """One pre-norm layer: states + attention(norm(states)), then states +
    feed-forward(norm(states)).
    """

    def __init__(
        self, dim: int, heads: int, width: int, *, activation: str, norm: str, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, dim // heads
        self.attention_norm = Norm(norm, dim=dim, known=_NORMS)
        self.in_project = nn.Linear(dim, 3 * dim)
        self.out_project = nn.Linear(dim, dim)
        self.ffn_norm = Norm(norm, dim=dim, known=_NORMS)
        layers = [
            nn.Linear(dim, width),
            make_activation(activation),
            Dropout(dropout),
            nn.Linear(width, dim),
        ]
        self.ffn = nn.Sequential(*layers)
        self.dropout = Dropout(dropout)

    def forward(
        self, states: Tensor, looked_at: Tensor | None, angles: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """states (batch, time, dim), looked_at (batch, 1, 1, time) bool or None -> (batch, time,
        dim).
        """
        states = states + self.dropout(self.attend(self.attention_norm(states), looked_at, angles))
        added: Tensor = self.dropout(self.ffn(self.ffn_norm(states)))
        return states + added

    def attend(
        self, states: Tensor, looked_at: Tensor | None, angles: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Mix positions by attention: (batch, time, dim) -> (batch, time, dim)."""
        batch, time, dim = states.shape
        query, key, value = self._heads(states, angles)
        mixed = scaled_dot_product_attention(query, key, value, attn_mask=looked_at)
        joined: Tensor = self.out_project(mixed.transpose(1, 2).reshape(batch, time, dim))
        return joined

    def look(
        self, states: Tensor, looked_at: Tensor | None, angles: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Give how much each position looks at each other one, rows that sum to 1: (batch, heads,
        time, time); the arguments are those of `forward`.
        """
        query, key, _ = self._heads(self.attention_norm(states), angles)
        scores = query @ key.transpose(-1, -2) * self.head_dim**-0.5
        if looked_at is not None:
            scores = scores.masked_fill(~looked_at, float("-inf"))
        shares: Tensor = scores.softmax(dim=-1)
        return shares

    def _heads(
        self, states: Tensor, angles: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Project to queries, keys and values, each (batch, heads, time, head_dim)."""
        batch, time, _ = states.shape
        parts = (
            self.in_project(states)
            .view(batch, time, 3, self.heads, self.head_dim)
            .permute(2, 0, 3, 1, 4)
        )
        query, key, value = parts.unbind(0)
        if angles is not None:
            query, key = rotate(query, angles), rotate(key, angles)
        return query, key, value


def sinusoids(time: int, dim: int, *, like: Tensor) -> Tensor:
    """Compute sine and cosine positions: (time, dim) in the dtype of `like`, sines in the first
    half, cosines in the second.

    >>> sinusoids(2, 4, like=torch.zeros(1))[0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    angles = _angles(time, (dim + 1) // 2, like=like)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :dim].to(like.dtype)


def rotary_angles(time: int, head_dim: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Compute cosines and sines of the rotation of every position and pair of features: 2 x
    (time, head_dim // 2).
    """
    angles = _angles(time, head_dim // 2, like=like)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn feature i of the first half with feature i of the second by the angle of its position.

    heads: (..., time, head_dim); a product of two turned vectors depends on the distance of their
    positions alone.
    """
    cosines, sines = angles
    first, second = heads.chunk(2, dim=-1)
    return torch.cat(
        [first * cosines - second * sines, second * cosines + first * sines], dim=-1
    ).to(heads.dtype)


def _angles(time: int, n: int, *, like: Tensor) -> Tensor:
    """Angles (time, n): position * base ** (-i / n), in float32 or wider, since bfloat16 cannot
    count to 300.
    """
    wide = torch.promote_types(like.dtype, torch.float32)
    exponents = torch.arange(n, device=like.device, dtype=wide) / n
    return torch.arange(time, device=like.device, dtype=wide)[:, None] * _BASE**-exponents


def _check(*, dim: int, heads: int, positions: str) -> None:
    if positions not in POSITIONS:
        raise UsageError(unknown_name("positions of encoder 'transformer'", positions, POSITIONS))
    if dim % heads:
        raise UsageError(f"encoder 'transformer': dim = {dim} does not divide into heads = {heads}")
    if positions == "rotary" and dim // heads % 2:
        raise UsageError(
            f"encoder 'transformer': dim / heads = {dim // heads}; rotary positions need an even"
            f" number"
        )
