"""Encoders by `package.module:Name` that bring their own embedding, or that pool ragged rows: they
train, are saved and load as the built-in ones of their sort.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from textkit import TextClassifier
from textkit.errors import UsageError
from textkit.nn.collate import RaggedBatch

TEXTS = ["good film", "fine plot", "bad film", "poor plot"] * 10
LABELS = ["pos", "pos", "neg", "neg"] * 10
SMALL: dict[str, Any] = {
    "training": {"epochs": 8, "batch_size": 4, "lr": 0.05, "device": "cpu", "threads": 1},
    "head__pooling": ["mean"],
    "seed": 1,
}


class Codes(nn.Module):
    """A table that is never trained: a feature an id, the last for all others."""

    def __init__(self) -> None:
        super().__init__()
        self.out_dim = 16

    def forward(self, input_ids: Tensor, mask: Tensor) -> Tensor:
        codes = functional.one_hot(input_ids.clamp(max=self.out_dim - 1), self.out_dim)
        return codes.float().masked_fill(~mask.unsqueeze(-1), 0.0)


class OwnCodes(nn.Module):
    """An encoder of one layer that reads Codes."""

    def __init__(self, *, in_dim: int | None = None, dim: int = 8) -> None:
        super().__init__()
        self.in_dim, self.out_dim = 16, dim
        assert in_dim in (None, self.in_dim)
        self.project = nn.Linear(self.in_dim, dim)
        self.saved_options = {"dim": dim}

    def input_embedding(self) -> Codes:
        return Codes()

    def depths(self) -> dict[nn.Parameter, int]:
        return dict.fromkeys(self.parameters(), 2)

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        return torch.tanh(self.project(states)).masked_fill(~mask.unsqueeze(-1), 0.0)


class DoubledBag(nn.Module):
    """A bag whose states are twice the embedding's."""

    def __init__(self, *, in_dim: int) -> None:
        super().__init__()
        self.in_dim = self.out_dim = in_dim

    def forward(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        return 2 * states.masked_fill(~mask.unsqueeze(-1), 0.0)

    def pool_mean(self, table: Tensor, batch: RaggedBatch) -> Tensor:
        return 2 * functional.embedding_bag(
            batch.ids, table, batch.offsets, mode="mean", include_last_offset=True
        )


def saved_and_loaded(model: TextClassifier) -> TextClassifier:
    assert model.score(TEXTS, LABELS) == 1.0
    model.save("model", overwrite=True)
    own = [f"{__name__}:OwnCodes", f"{__name__}:DoubledBag"]
    loaded = TextClassifier.load("model", allow=own)
    texts = [*TEXTS[:4], "", "words never seen"]
    assert np.array_equal(loaded.predict_logits(texts), model.predict_logits(texts))
    return loaded


def test_an_encoder_brings_its_own_embedding() -> None:
    encoder = {"name": f"{__name__}:OwnCodes", "dim": 6}
    model = TextClassifier(encoder=encoder, **SMALL).fit(TEXTS, LABELS)
    loaded = saved_and_loaded(model)
    assert isinstance(loaded.network_.embedding, Codes)
    assert not any(name.startswith("embedding") for name in loaded.network_.state_dict())
    assert loaded.network_.encoder_options == {"dim": 6}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder__members": 2}, r"encoder\.members: a .*OwnCodes encoder has an embedding of"),
        ({"embedding__vectors": "any"}, r"embedding\.vectors fill a table"),
        ({"ngrams": {"word_ngrams": 2}}, "ngrams are for the encoder 'bag', not '.*OwnCodes'"),
    ],
)
def test_what_its_own_embedding_rules_out_is_said_before_a_text_is_read(
    options: dict[str, Any], message: str
) -> None:
    model = TextClassifier(**SMALL, encoder__name=f"{__name__}:OwnCodes", **options)
    with pytest.raises(UsageError, match=message):
        model.fit(TEXTS, LABELS)
    with pytest.raises(UsageError, match=message):
        model.fit_file("there-is-no-such-file.csv")


def test_an_encoder_of_layers_learns_more_slowly_below() -> None:
    shares = {"training__layer_decay": 0.5, "training__encoder_lr": 0.01}
    model = TextClassifier(**SMALL, encoder__name=f"{__name__}:OwnCodes", **shares)
    network = model.fit(TEXTS, LABELS).network_
    groups = network.parameter_groups(encoder_share=0.2, layer_decay=0.5, weight_decay=0.1)
    assert [(group.share, group.weight_decay) for group in groups] == [
        (0.05, 0.1),
        (0.05, 0.0),
        (1.0, 0.1),
        (1.0, 0.0),
    ]


@pytest.mark.slow
def test_an_encoder_pools_ragged_rows_and_takes_ngrams() -> None:
    encoder = {"name": f"{__name__}:DoubledBag"}
    for more in ({}, {"ngrams": {"word_ngrams": 2}}, {"encoder__members": 2}):
        model = TextClassifier(encoder=encoder, **{**SMALL, **more}).fit(TEXTS, LABELS)
        assert isinstance(model.network_.make_batch(model.encode(TEXTS)), RaggedBatch)
        loaded = saved_and_loaded(model)
        assert loaded.network_.is_ragged
    padded = TextClassifier(encoder=encoder, **{**SMALL, "head__pooling": ["mean", "max"]})
    assert not saved_and_loaded(padded.fit(TEXTS, LABELS)).network_.is_ragged


def test_ngrams_need_an_encoder_that_reads_no_order() -> None:
    with pytest.raises(UsageError, match="ngrams are for the encoder 'bag', not 'lstm'"):
        TextClassifier(ngrams={"word_ngrams": 2}).fit(TEXTS, LABELS)
