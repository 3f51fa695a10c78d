"""What every registered encoder and pooling promises; a plug-in is tested by being registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from textkit import registry
from textkit.batch import TokenBatch
from textkit.errors import UsageError
from textkit.nn import encoders
from textkit.nn.collate import collate
from textkit.nn.network import TextNetwork
from textkit.recipe import complete_recipe, make_recipe

POOLINGS = registry.names("pooling")
IN_DIM = 8
LENGTHS = [5, 0, 1, 9, 2, 0, 3]
# Options of those that cannot do without any.
TINY_BERT = {
    "model_type": "bert",
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 10,
    "max_position_embeddings": 14,
}
NEEDED: dict[str, dict[str, Any]] = {"pretrained": {"config": TINY_BERT}}
# Every encoder as it comes, then those whose options take another path.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, NEEDED.get(name, {})) for name in registry.names("encoder")},
    "cnn batch": ("cnn", {"norm": "batch", "widths": (1, 2, 7), "dim": 5, "activation": "tanh"}),
    "cnn layer": ("cnn", {"norm": "layer", "dropout": 0.2, "activation": "silu"}),
    "cnn rms": ("cnn", {"norm": "rms", "activation": "swish", "widths": (2,)}),
    "lstm layers": ("lstm", {"layers": 3, "dropout": 0.2, "norm": "layer", "dim": 6}),
    "gru ahead": ("gru", {"bidirectional": False, "norm": "batch"}),
    "mixer rms": ("mixer", {"norm": "rms", "activation": "relu", "mixing": 3, "layers": 1}),
    "transformer learned": (
        "transformer",
        {"positions": "learned", "max_length": 14, "dim": 12, "heads": 3},
    ),
    "transformer none": ("transformer", {"positions": "none", "activation": "silu", "layers": 1}),
    "transformer sinusoidal": (
        "transformer",
        {"positions": "sinusoidal", "norm": "rms", "ffn": 0.5, "dropout": 0.0},
    ),
}
ENCODERS = list(CASES)
ROWS = [[5, 6, 7, 8, 9], [], [3], [4, 5], [], [9, 8, 7, 6, 5, 4, 3, 2]]


def make(case: str) -> Any:
    torch.manual_seed(0)
    name, options = CASES[case]
    return encoders.create(name, in_dim=IN_DIM, **options)


def batch_of(
    lengths: list[int], *, width: int | None = None, seed: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """States with noise at padding too, mask and lengths."""
    width = width or max(1, *lengths)
    states = torch.randn(len(lengths), width, IN_DIM, generator=torch.Generator().manual_seed(seed))
    return states, torch.arange(width) < torch.tensor(lengths)[:, None], torch.tensor(lengths)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def check_gradients(module: nn.Module) -> None:
    for key, value in module.named_parameters():
        if value.requires_grad:
            assert value.grad is not None and value.grad.isfinite().all() and value.grad.any(), key


@pytest.mark.parametrize("name", ENCODERS)
def test_output_is_batch_time_out_dim_with_zeros_at_padding(name: str) -> None:
    encoder = make(name)
    assert encoder.in_dim == IN_DIM
    for mode in (True, False):
        states, mask, lengths = batch_of(LENGTHS)
        output = encoder.train(mode)(states, mask, lengths)
        assert output.shape == (*mask.shape, encoder.out_dim)
        assert not output[~mask].any()
        assert output[mask].any(dim=-1).all()
        assert output.isfinite().all()


@pytest.mark.parametrize("name", ENCODERS)
def test_a_row_alone_gives_what_it_gives_in_a_batch(name: str) -> None:
    encoder = make(name).eval()
    states, mask, lengths = batch_of(LENGTHS)
    together = encoder(states, mask, lengths)
    for row, length in enumerate(LENGTHS):
        part, width = slice(row, row + 1), max(length, 1)
        alone = encoder(states[part, :width], mask[part, :width], lengths[part])
        close(alone[0, :length], together[row, :length])


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("noise", [0.0, 1e4])
def test_states_at_padding_and_more_padding_change_nothing(name: str, noise: float) -> None:
    encoder = make(name).eval()
    states, mask, lengths = batch_of(LENGTHS)
    expected = encoder(states, mask, lengths)
    wide = torch.full((len(LENGTHS), 14, IN_DIM), noise)
    wide[:, : states.shape[1]] = states.masked_fill(~mask.unsqueeze(-1), noise)
    output = encoder(wide, torch.arange(14) < lengths[:, None], lengths)
    close(output[:, : states.shape[1]], expected)
    assert not output[:, states.shape[1] :].any()


@pytest.mark.parametrize("name", ENCODERS)
def test_other_rows_change_nothing(name: str) -> None:
    encoder = make(name).eval()
    states, mask, lengths = batch_of([4, 7])
    other, other_mask, other_lengths = batch_of([4, 2], width=7, seed=2)
    other[0] = states[0]
    close(encoder(other, other_mask, other_lengths)[0], encoder(states, mask, lengths)[0])


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("lengths", [[0], [0, 0, 0], [1], [1, 1], [6, 6]])
def test_empty_short_and_full_batches_have_finite_gradients(name: str, lengths: list[int]) -> None:
    encoder = make(name).train()
    states, mask, lengths_ = batch_of(lengths)
    output = encoder(states.requires_grad_(), mask, lengths_)
    assert output.shape == (*mask.shape, encoder.out_dim)
    output.square().sum().backward()
    assert states.grad is not None and states.grad.isfinite().all()
    assert all(value.grad is None or value.grad.isfinite().all() for value in encoder.parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_gradients_are_finite_and_reach_every_parameter_and_no_padding(name: str) -> None:
    encoder = make(name).train()
    states, mask, lengths = batch_of(LENGTHS)
    output = encoder(states.requires_grad_(), mask, lengths)
    (output * torch.randn(output.shape)).sum().backward()
    check_gradients(encoder)
    assert states.grad is not None and states.grad.isfinite().all()
    assert not states.grad[~mask].any()
    assert states.grad[mask].any(dim=-1).all()


@pytest.mark.parametrize("name", ENCODERS)
def test_eval_is_deterministic_and_a_state_dict_carries_everything(name: str) -> None:
    encoder = make(name).train()
    states, mask, lengths = batch_of(LENGTHS)
    encoder(states, mask, lengths)  # batch statistics move
    expected = encoder.eval()(states, mask, lengths)
    assert torch.equal(encoder(states, mask, lengths), expected)
    torch.manual_seed(9)
    twin = encoders.create(CASES[name][0], in_dim=IN_DIM, **CASES[name][1])
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(twin.eval()(states, mask, lengths), expected)


@pytest.mark.parametrize("name", ENCODERS)
def test_float64_agrees(name: str) -> None:
    encoder = make(name).eval()
    states, mask, lengths = batch_of(LENGTHS)
    narrow = encoder(states, mask, lengths)
    wide = encoder.double()(states.double(), mask, lengths)
    assert wide.dtype == torch.float64
    close(narrow, wide.float())


@pytest.mark.parametrize("name", ENCODERS)
def test_bfloat16_autocast_agrees_roughly(name: str) -> None:
    encoder = make(name).eval()
    states, mask, lengths = batch_of(LENGTHS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = encoder(states, mask, lengths)
    torch.testing.assert_close(output.float(), encoder(states, mask, lengths), atol=0.1, rtol=0.1)


@pytest.mark.parametrize("name", registry.names("encoder"))
def test_a_misspelt_option_is_refused_with_its_neighbour(name: str) -> None:
    known = registry.default_options(registry.resolve("encoder", name))
    longest = max(known, key=len)
    message = f"unknown option of encoder '{name}' '{longest}_x'; did you mean '{longest}'"
    with pytest.raises(UsageError, match=message):
        encoders.create(name, in_dim=IN_DIM, **{f"{longest}_x": 1})


@pytest.mark.parametrize("name", [name for name in registry.names("encoder") if name not in NEEDED])
def test_an_ensemble_gives_the_mean_of_its_members_on_one_embedding(name: str) -> None:
    torch.manual_seed(0)
    recipe = complete_recipe(make_recipe(encoder={"name": name, "members": 3}, embedding__dim=8))
    network = TextNetwork(recipe, n_tokens=10, n_outputs=2).eval()
    batch = collate(TokenBatch.from_rows(ROWS), pad_id=0)
    with torch.inference_mode():
        states = network.embedding(batch.input_ids, batch.attention_mask)
        pooled = [
            member.pool(states, batch.attention_mask, batch.lengths) for member in network.members
        ]
        each = [member.head(part) for member, part in zip(network.members, pooled, strict=True)]
        close(network(batch), sum(each) / 3)
        close(network.pooled(batch), torch.cat(pooled, dim=1))
    assert not torch.equal(each[0], each[1]) and not torch.equal(each[1], each[2])


@pytest.mark.parametrize("name", [name for name in registry.names("encoder") if name not in NEEDED])
def test_logits_do_not_depend_on_batch_companions_or_the_pad_id(name: str) -> None:
    torch.manual_seed(0)
    recipe = complete_recipe(make_recipe(encoder=name, embedding__dim=8))
    network = TextNetwork(recipe, n_tokens=10, n_outputs=3).eval()
    with torch.inference_mode():
        together = network(collate(TokenBatch.from_rows(ROWS), pad_id=0))
        for row, expected in zip(ROWS, together, strict=True):
            for pad_id in (0, 9):
                alone = network(collate(TokenBatch.from_rows([row]), pad_id=pad_id))[0]
                close(alone, expected)


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_ignores_padding_and_gives_zeros_for_empty_rows(name: str) -> None:
    pooling = encoders.create_pooling(name, dim=IN_DIM)
    states, mask, _ = batch_of(LENGTHS)
    pooled = pooling(states, mask)
    assert pooled.shape == (len(LENGTHS), pooling.out_dim)
    for row, length in enumerate(LENGTHS):
        if length:
            close(
                pooling(states[row : row + 1, :length], mask[row : row + 1, :length])[0],
                pooled[row],
            )
        assert pooled[row].any() == (length > 0)
    close(pooling(states.masked_fill(~mask.unsqueeze(-1), 1e4), mask), pooled)


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_has_finite_gradients_and_a_state_dict(name: str) -> None:
    pooling = encoders.create_pooling(name, dim=IN_DIM)
    states, mask, _ = batch_of(LENGTHS)
    pooled = pooling(states.requires_grad_(), mask)
    (pooled * torch.randn(pooled.shape)).sum().backward()
    check_gradients(pooling)
    assert states.grad is not None and states.grad.isfinite().all() and not states.grad[~mask].any()
    twin = encoders.create_pooling(name, dim=IN_DIM)
    twin.load_state_dict(pooling.state_dict())
    assert torch.equal(twin(states, mask), pooled)


NAIVE: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda row: row.mean(dim=0),
    "max": lambda row: row.max(dim=0).values,
    "first": lambda row: row[0],
    "last": lambda row: row[-1],
}


@pytest.mark.parametrize("name", NAIVE)
def test_pooling_equals_its_definition_on_the_bare_row(name: str) -> None:
    states, mask, _ = batch_of([5, 1, 9])
    pooled = encoders.create_pooling(name, dim=IN_DIM)(states, mask)
    for row, length in enumerate([5, 1, 9]):
        close(pooled[row], NAIVE[name](states[row, :length]))


def test_attention_pooling_equals_a_loop() -> None:
    pooling = encoders.create_pooling("attention", dim=IN_DIM)
    states, mask, _ = batch_of([5, 1, 9])
    pooled = pooling(states, mask)
    for row, length in enumerate([5, 1, 9]):
        scores = torch.stack(
            [torch.tanh(pooling.project(state)) @ pooling.query for state in states[row, :length]]
        )
        weights = scores.exp() / scores.exp().sum()
        close(
            pooled[row],
            sum(w * state for w, state in zip(weights, states[row, :length], strict=True)),
        )


def test_a_misspelt_pooling_is_refused_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match="unknown pooling 'men'; did you mean 'mean'"):
        encoders.create_pooling("men", dim=4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("name", ENCODERS)
def test_a_module_of_another_dtype_gives_that_dtype(name: str, dtype: torch.dtype) -> None:
    encoder = make(name).to(dtype).eval()
    states, mask, lengths = batch_of(LENGTHS)
    found = encoder(states.to(dtype), mask, lengths)
    assert found.dtype == dtype and found.isfinite().all()


SIZES = [
    (name, parameter.name)
    for name in registry.names("encoder")
    for parameter in registry.keyword_parameters(registry.resolve("encoder", name))
    if parameter.annotation in ("int", "Sequence[int]") and parameter.name != "in_dim"
]


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "8", None])
@pytest.mark.parametrize(("name", "option"), SIZES)
def test_a_size_that_is_none_is_refused_by_name(name: str, option: str, value: Any) -> None:
    given = [3, value] if option == "widths" else value
    with pytest.raises(UsageError, match=rf"encoder '{name}': {option} = .*; expected"):
        encoders.create(name, **{"in_dim": 8, option: given})
    with pytest.raises(UsageError, match=rf"encoder '{name}': {option} = .*; expected"):
        complete_recipe(make_recipe(encoder={"name": name, option: given}))


@pytest.mark.parametrize("ffn", [0.0, -1.0, 0.01, float("nan")])
@pytest.mark.parametrize("name", ["mixer", "transformer"])
def test_a_feed_forward_layer_without_a_width_is_refused(name: str, ffn: float) -> None:
    with pytest.raises(UsageError, match=r"ffn = .*; expected a number| of dim = 8 is no width"):
        encoders.create(name, in_dim=8, dim=8, ffn=ffn)
