"""Word vectors from characters: the same for a word wherever it stands, near for words spelled
alike, computed once.
"""

from __future__ import annotations

import pytest
import torch

from textkit import tokenizers
from textkit.nn.characters import CharCnnEmbedding, spell_vocabulary

VOCABULARY = tokenizers.create(
    "word", vocabulary=["king", "kings", "a", "été", "x" * 40]
).vocabulary


def make(**options: int) -> CharCnnEmbedding:
    torch.manual_seed(0)
    return CharCnnEmbedding(vocabulary=VOCABULARY, dim=6, **options).eval()


def test_states_depend_on_the_word_alone_and_are_zeros_at_padding() -> None:
    layer = make()
    ids = torch.tensor([[2, 3, 2], [4, 6, 0], [0, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, True, False], [False, False, False]])
    states = layer(ids, mask)
    assert states.shape == (3, 3, layer.out_dim)
    assert torch.equal(states[0, 0], states[0, 2])
    assert not states[~mask].any() and states[mask].any(dim=-1).all()
    for row, column in mask.nonzero().tolist():
        alone = layer(ids[row : row + 1, column : column + 1], torch.ones(1, 1, dtype=torch.bool))
        torch.testing.assert_close(alone[0, 0], states[row, column], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer(ids.masked_fill(~mask, 5), mask), states)


def test_each_distinct_word_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make()
    seen = []
    embed = layer.embed_words
    monkeypatch.setattr(layer, "embed_words", lambda ids: seen.append(ids.tolist()) or embed(ids))
    layer(torch.tensor([[2, 3, 2], [3, 3, 2]]), torch.ones(2, 3, dtype=torch.bool))
    assert seen == [[2, 3]]


def test_gradients_reach_every_parameter() -> None:
    layer = make().train()
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    states = layer(ids, torch.ones_like(ids, dtype=torch.bool))
    (states * torch.randn(states.shape)).sum().backward()
    for name, value in layer.named_parameters():
        assert value.grad is not None and value.grad.isfinite().all() and value.grad.any(), name


def test_a_state_dict_has_no_spellings_and_rebuilds_the_layer() -> None:
    layer = make()
    assert "spellings" not in layer.state_dict()
    twin = CharCnnEmbedding(vocabulary=dict(reversed(VOCABULARY.items())), dim=6).eval()
    twin.load_state_dict(layer.state_dict())
    ids = torch.tensor([[1, 2, 3, 4, 5, 6]])
    mask = torch.ones_like(ids, dtype=torch.bool)
    assert torch.equal(twin(ids, mask), layer(ids, mask))


def test_long_words_are_cut_and_unknown_is_no_spelling() -> None:
    spellings, n_characters = spell_vocabulary(VOCABULARY, max_characters=5)
    assert spellings.shape == (7, 7)
    assert (spellings[VOCABULARY["x" * 40]] != 0).all()
    assert spellings[VOCABULARY["[UNK]"]].tolist() == [1, 3, 2, 0, 0, 0, 0]
    assert n_characters == 4 + len(set("kingsaétx"))
