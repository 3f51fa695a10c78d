"""Convolution, attention and mixing against loops that follow the papers, one position at a
time, in float64.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textkit.errors import DataError, UsageError
from textkit.nn import encoders
from textkit.nn.encoders.transformer import rotary_angles, rotate, sinusoids

LENGTHS = [5, 1, 2, 7]


def rows_of(in_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    states = torch.randn(len(LENGTHS), max(LENGTHS), in_dim, dtype=torch.float64)
    return (
        states,
        torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None],
        torch.tensor(LENGTHS),
    )


def make(name: str, **options: Any) -> Any:
    torch.manual_seed(0)
    return encoders.create(name, **options).double().eval()


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_cnn_equals_a_loop_over_windows(width: int) -> None:
    encoder = make("cnn", in_dim=3, dim=4, widths=(width,))
    states, mask, lengths = rows_of(3)
    output = encoder(states, mask, lengths)
    weight, bias = encoder.filters[0].weight.view(4, width, 3), encoder.filters[0].bias
    for row, length in enumerate(LENGTHS):
        for position in range(length):
            total = bias.clone()
            for offset in range(width):
                seen = position + offset - (width - 1) // 2
                if 0 <= seen < length:
                    total = total + weight[:, offset] @ states[row, seen]
            torch.testing.assert_close(output[row, position], total.relu())


def test_cnn_with_max_pooling_is_kims_feature_where_windows_fit() -> None:
    encoder = make("cnn", in_dim=3, dim=4, widths=(3, 5))
    inner = torch.randn(1, 6, 3, dtype=torch.float64)
    # Kim's own code surrounds a text by width - 1 zeros; with as many zeros as tokens all his
    # windows are ours too.
    states = functional.pad(inner, (0, 0, 4, 4))
    mask = torch.ones(1, 14, dtype=torch.bool)
    pooled = encoders.create_pooling("max", dim=8)(encoder(states, mask, torch.tensor([14])), mask)
    kim = []
    for width, filters in zip((3, 5), encoder.filters, strict=True):
        weight = filters.weight.view(4, width, 3).transpose(1, 2)
        found = functional.conv1d(
            functional.pad(inner, (0, 0, 6, 6)).transpose(1, 2), weight, filters.bias
        )
        kim.append(found.relu().amax(dim=2))
    torch.testing.assert_close(pooled, torch.cat(kim, dim=1))


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_recurrent_equals_torch_over_packed_rows(name: str, bidirectional: bool) -> None:
    encoder = make(name, in_dim=3, dim=4, layers=2, bidirectional=bidirectional)
    cell = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[name]
    theirs = cell(3, 4, num_layers=2, bidirectional=bidirectional, batch_first=True).double()
    ours = {}
    for layer in range(2):
        for direction, suffix in ((encoder.ahead, ""), (encoder.back, "_reverse"))[
            : 1 + bidirectional
        ]:
            for key, value in direction[layer].state_dict().items():
                ours[key.replace("_l0", f"_l{layer}{suffix}")] = value
    theirs.load_state_dict(ours)
    states, mask, lengths = rows_of(3)
    packed = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(encoder(states, mask, lengths), expected)


def naive_transformer(encoder: Any, row: Tensor, heads: int, positions: str) -> Tensor:
    dim = encoder.out_dim
    states = [encoder.project(state) for state in row]
    if positions == "learned":
        states = [state + encoder.table.weight[i] for i, state in enumerate(states)]
    if positions == "sinusoidal":
        half = dim // 2
        table = [
            [f(i / 10_000 ** (k / half)) for f in (math.sin, math.cos) for k in range(half)]
            for i in range(len(row))
        ]
        states = [
            state + encoder.scale * torch.tensor(table[i]).double()
            for i, state in enumerate(states)
        ]
    for block in encoder.blocks:
        triples = [
            block.in_project(block.attention_norm(state)).view(3, heads, dim // heads)
            for state in states
        ]
        if positions == "rotary":
            triples = [
                torch.stack([naive_turn(triple[0], i), naive_turn(triple[1], i), triple[2]])
                for i, triple in enumerate(triples)
            ]
        mixed = []
        for query, _, _ in triples:
            joined = []
            for head in range(heads):
                scores = [
                    math.exp(query[head] @ key[head] / math.sqrt(dim // heads))
                    for _, key, _ in triples
                ]
                parts = [
                    score * value[head]
                    for score, (_, _, value) in zip(scores, triples, strict=True)
                ]
                joined.append(torch.stack(parts).sum(0) / sum(scores))
            mixed.append(block.out_project(torch.cat(joined)))
        states = [state + added for state, added in zip(states, mixed, strict=True)]
        states = [state + block.ffn(block.ffn_norm(state)) for state in states]
    return torch.stack([encoder.norm(state) for state in states])


def naive_turn(heads: Tensor, position: int) -> Tensor:
    half = heads.shape[-1] // 2
    turned = heads.clone()
    for i in range(half):
        angle = position / 10_000 ** (i / half)
        turned[:, i] = heads[:, i] * math.cos(angle) - heads[:, half + i] * math.sin(angle)
        turned[:, half + i] = heads[:, i] * math.sin(angle) + heads[:, half + i] * math.cos(angle)
    return turned


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "none"])
def test_transformer_equals_loops(positions: str) -> None:
    encoder = make("transformer", in_dim=3, dim=8, heads=2, layers=2, ffn=2, positions=positions)
    states, mask, lengths = rows_of(3)
    with torch.no_grad():
        output = encoder(states, mask, lengths)
        for row, length in enumerate(LENGTHS):
            expected = naive_transformer(encoder, states[row, :length], 2, positions)
            # The angles are float64 in the loop and here: the states are.
            torch.testing.assert_close(output[row, :length], expected, atol=1e-6, rtol=1e-6)


def test_no_mask_is_built_where_no_row_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    masks = []

    def spy(query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None) -> Tensor:
        masks.append(attn_mask)
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=attn_mask)

    monkeypatch.setattr("textkit.nn.encoders.transformer.scaled_dot_product_attention", spy)
    encoder = make("transformer", in_dim=3, dim=8, heads=2, layers=1)
    states, mask, lengths = rows_of(3)
    encoder(states, torch.ones_like(mask), torch.full_like(lengths, 7))
    assert masks.pop() is None
    lengths[1], mask[1] = 0, False
    encoder(states, mask, lengths)
    looked_at = masks.pop()
    assert looked_at is not None and torch.equal(looked_at[[0, 2, 3], 0, 0], mask[[0, 2, 3]])
    # Of a row without anything to look at some kernels make NaN.
    assert looked_at[1].flatten().tolist() == [True] + [False] * 6


def test_rotated_products_depend_on_distance_alone() -> None:
    query, key = torch.randn(1, 8).double(), torch.randn(1, 8).double()
    angles = rotary_angles(40, 8, like=query)
    turned = [
        (rotate(query, (c[None], s[None])), rotate(key, (c[None], s[None])))
        for c, s in zip(*angles, strict=True)
    ]
    near = (turned[3][0] * turned[7][1]).sum()
    torch.testing.assert_close((turned[30][0] * turned[34][1]).sum(), near)
    assert not torch.isclose((turned[30][0] * turned[35][1]).sum(), near)


def test_positions_tell_orders_apart_and_none_does_not() -> None:
    for positions in ("learned", "sinusoidal", "rotary", "none"):
        encoder = make("transformer", in_dim=3, dim=8, heads=2, positions=positions)
        states = torch.randn(1, 6, 3).double()
        mask, lengths = torch.ones(1, 6, dtype=torch.bool), torch.tensor([6])
        forward, backward = (
            encoder(states, mask, lengths),
            encoder(states.flip(1), mask, lengths).flip(1),
        )
        assert torch.allclose(forward, backward) == (positions == "none")


def test_odd_sinusoids_have_the_width_asked_for() -> None:
    assert sinusoids(3, 5, like=torch.zeros(1)).shape == (3, 5)


def test_a_row_longer_than_the_learned_positions_is_refused() -> None:
    encoder = make("transformer", in_dim=3, dim=8, heads=2, positions="learned", max_length=6)
    with pytest.raises(
        DataError,
        match=r"a row has 7 tokens, learned positions end at max_length = 6; set encoder\.max_",
    ):
        encoder(*rows_of(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 10, "heads": 4}, "dim = 10 does not divide into heads = 4"),
        ({"dim": 6, "heads": 2}, "dim / heads = 3; rotary positions need an even number"),
        (
            {"positions": "rotery"},
            "unknown positions of encoder 'transformer' 'rotery'; did you mean 'rotary'",
        ),
        ({"norm": "batch"}, "unknown norm 'batch'"),
        ({"activation": "geluu"}, "did you mean 'gelu'"),
    ],
)
def test_transformer_options_that_do_not_fit_are_refused(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make("transformer", in_dim=3, **options)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((), "expected at least one, each 1 or more"),
        ((0, 3), r"widths = \(0, 3\); expected whole numbers of 1 or more"),
    ],
)
def test_cnn_without_a_window_is_refused(widths: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make("cnn", in_dim=3, widths=widths)


def test_mixer_equals_loops() -> None:
    encoder = make("mixer", in_dim=3, dim=8, mixing=5, layers=2)
    states, mask, lengths = rows_of(3)
    with torch.no_grad():
        output = encoder(states, mask, lengths)
        for row, length in enumerate(LENGTHS):
            tokens = [encoder.project(state) for state in states[row, :length]]
            table = sinusoids(length, 8, like=states)
            for block in encoder.blocks:
                normed = [block.mixing_norm(token) for token in tokens]
                located = [
                    token + block.position_scale * table[i] for i, token in enumerate(normed)
                ]
                into, out = (
                    [block.make_in(token) for token in located],
                    [block.make_out(token) for token in located],
                )
                hidden = [
                    functional.gelu(sum(into[i][m] * normed[i] for i in range(length)))
                    for m in range(5)
                ]
                for i in range(length):
                    mixed = sum(out[i][m] * hidden[m] for m in range(5))
                    tokens[i] = tokens[i] + block.mixed_norm(mixed)
                    tokens[i] = tokens[i] + block.ffn(block.ffn_norm(tokens[i]))
            expected = torch.stack([encoder.norm(token) for token in tokens])
            torch.testing.assert_close(output[row, :length], expected)
