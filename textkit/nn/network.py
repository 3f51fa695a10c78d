"""The network of a classifier: embedding -> encoder -> pooling -> head, put together from a
recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from textkit.batch import TokenBatch
from textkit.errors import UsageError
from textkit.nn import encoders
from textkit.nn.collate import PaddedBatch, RaggedBatch, collate, collate_ragged
from textkit.nn.embedding import Embedding
from textkit.nn.encoders.bag import BagEncoder
from textkit.nn.layers import Mlp
from textkit.recipe import Recipe


@dataclass(frozen=True)
class Mix:
    """Mixup: row i becomes share * row i + (1 - share) * row partners[i].

    partners: (batch,) int64.
    """

    share: float
    partners: Tensor


class Member(nn.Module):
    """One encoder with its poolings and its head: states (batch, time, in_dim) -> outputs
    (batch, n_outputs).
    """

    def __init__(self, recipe: Recipe, *, encoder: Any, n_outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        poolings = [
            encoders.create_pooling(name, dim=encoder.out_dim) for name in recipe.head.pooling
        ]
        self.poolings = nn.ModuleList(poolings)
        head = recipe.head
        self.head = Mlp(
            in_dim=sum(pooling.out_dim for pooling in poolings),
            out_dim=n_outputs,
            hidden=head.hidden,
            activation=head.activation,
            norm=head.norm,
            dropout=head.dropout,
        )

    def pool(self, states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """Encode states (batch, time, in_dim) and pool them: (batch, the poolings' width)."""
        states = self.encoder(states, mask, lengths)
        return torch.cat([pool(states, mask) for pool in self.poolings], dim=-1)


class TextNetwork(nn.Module):
    """PaddedBatch -> outputs (batch, n_outputs).

    A row's outputs do not depend on the rows beside it.

    One embedding and the members that read it, mostly one; the mean of their outputs counts.
    Outputs are logits of the classes, or in a regression numbers of mean 0 and deviation 1:
    `restore` gives the user's. n_fixed: how many of the tokens, the last ones, have vectors that
    are never trained. encoder_options: what rebuilds the encoder of a saved model where that
    differs from the recipe's own options.
    """

    target_mean: Tensor
    target_deviation: Tensor

    def __init__(
        self,
        recipe: Recipe,
        *,
        n_tokens: int,
        n_outputs: int,
        n_fixed: int = 0,
        pad_id: int = 0,
        vocabulary: dict[str, int] | None = None,
        encoder_options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.n_outputs, self.pad_id = n_outputs, pad_id
        self.embedding = _make_embedding(
            recipe, n_tokens=n_tokens, n_fixed=n_fixed, vocabulary=vocabulary
        )
        options = recipe.encoder.options if encoder_options is None else encoder_options
        self.members: Any = nn.ModuleList()  # of Member
        if recipe.encoder.name == "pretrained":  # it brings its own embedding
            if recipe.encoder.members > 1:
                raise UsageError(
                    "encoder.members: a pretrained encoder has an embedding of its own; set it to 1"
                )
            encoder = encoders.create("pretrained", **options)
            self.embedding = encoder.input_embedding()
            self.members.append(Member(recipe, encoder=encoder, n_outputs=n_outputs))
        while len(self.members) < recipe.encoder.members:
            encoder = encoders.create(recipe.encoder.name, in_dim=self.embedding.out_dim, **options)
            self.members.append(Member(recipe, encoder=encoder, n_outputs=n_outputs))
        # A bag's average needs no padded rectangle; mixup does.
        self.is_ragged = (
            isinstance(encoder, BagEncoder)
            and tuple(recipe.head.pooling) == ("mean",)
            and recipe.embedding.name == "table"
            and not recipe.augment.mixup
            and not n_fixed
        )
        if recipe.head.task == "regression":
            self.register_buffer("target_mean", torch.zeros(n_outputs))
            self.register_buffer("target_deviation", torch.ones(n_outputs))

    def make_batch(
        self, tokens: TokenBatch, *, targets: NDArray[Any] | None = None
    ) -> PaddedBatch | RaggedBatch:
        """Turn encoded rows into the batch that this network takes."""
        if self.is_ragged:
            return collate_ragged(tokens, targets=targets)
        return collate(tokens, pad_id=self.pad_id, targets=targets)

    def forward(self, batch: PaddedBatch | RaggedBatch, *, mix: Mix | None = None) -> Tensor:
        """Compute (batch, n_outputs).

        While several members train, each for itself, (n_members, batch, n_outputs).
        """
        pooled = self._pool(batch, mix)
        outputs = [member.head(part) for member, part in zip(self.members, pooled, strict=True)]
        if len(outputs) == 1:
            return outputs[0]  # type: ignore[no-any-return]
        # The mean of logits is, but for one number a row, that of log-probabilities.
        return torch.stack(outputs) if self.training else torch.stack(outputs).mean(dim=0)

    def pooled(self, batch: PaddedBatch | RaggedBatch) -> Tensor:
        """Compute what the heads see of each text, one member's beside the other's: (batch, sum
        of their widths).
        """
        return torch.cat(self._pool(batch, None), dim=-1)

    def _pool(self, batch: PaddedBatch | RaggedBatch, mix: Mix | None) -> list[Tensor]:
        """Compute (batch, width) for each member, with its own dropout of the embedding."""
        if isinstance(batch, RaggedBatch):
            table = self.embedding.table.weight
            averages = [member.encoder.pool_mean(table, batch) for member in self.members]
            return [self.embedding.dropout(average) for average in averages]
        mask, lengths = batch.attention_mask, batch.lengths
        if self.training:
            states = [self.embedding(batch.input_ids, mask) for _ in self.members]
        else:  # without dropout one look at the embedding serves all
            states = [self.embedding(batch.input_ids, mask)] * len(self.members)
        if mix is not None:
            states = [mix.share * part + (1 - mix.share) * part[mix.partners] for part in states]
            mask = mask | mask[mix.partners]
            lengths = torch.maximum(lengths, lengths[mix.partners.to(lengths.device)])
        return [
            member.pool(part, mask, lengths)
            for member, part in zip(self.members, states, strict=True)
        ]

    def standardize(self, targets: Tensor) -> Tensor:
        """Bring a regression's targets to mean 0 and deviation 1; leave all others as they are."""
        if not hasattr(self, "target_mean"):
            return targets
        return (targets - self.target_mean) / self.target_deviation

    def restore(self, outputs: Tensor) -> Tensor:
        """Bring a regression's outputs back to the user's numbers; leave logits as they are."""
        if not hasattr(self, "target_mean"):
            return outputs
        return outputs * self.target_deviation.to(outputs) + self.target_mean.to(outputs)

    def learn_scale(self, targets: NDArray[Any]) -> None:
        """Take mean and deviation from the training targets of a regression, (n_rows,
        n_outputs).
        """
        if hasattr(self, "target_mean"):
            values = torch.from_numpy(targets).double()
            self.target_mean.copy_(values.mean(dim=0))
            deviation = values.std(dim=0, unbiased=False)
            self.target_deviation.copy_(torch.where(deviation > 0, deviation, 1.0))


def _make_embedding(
    recipe: Recipe, *, n_tokens: int, n_fixed: int, vocabulary: dict[str, int] | None
) -> Any:
    section = recipe.embedding
    if section.name == "table":
        return Embedding(
            n_tokens=n_tokens, n_fixed=n_fixed, dim=section.dim, dropout=section.dropout
        )
    from textkit.nn.characters import CharCnnEmbedding

    return CharCnnEmbedding(vocabulary=vocabulary or {}, dim=section.dim, dropout=section.dropout)
