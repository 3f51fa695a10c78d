"""The network of a classifier: embedding -> encoder -> pooling -> head, put together from a
recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textkit.batch import TokenBatch
from textkit.data.batching import plan_sorted
from textkit.data.rows import Rows
from textkit.data.targets import Label, Targets
from textkit.errors import UsageError
from textkit.nn import encoders
from textkit.nn.characters import CharCnnEmbedding
from textkit.nn.collate import PaddedBatch, RaggedBatch, collate, collate_ragged
from textkit.nn.embedding import Embedding
from textkit.nn.encoders import (
    Encoder,
    InputEmbedding,
    LayeredEncoder,
    LimitedEncoder,
    OwnEmbedding,
    RaggedPooling,
    Rebuilt,
)
from textkit.nn.layers import Mlp
from textkit.recipe import Recipe

# Padded positions a batch: a batch of short texts holds many, one of long texts few. A GPU wants
# thousands of rows.
BATCH_TOKENS, GPU_BATCH_TOKENS = 8192, 65536


@dataclass(frozen=True)
class Mix:
    """Mixup: row i becomes share * row i + (1 - share) * row partners[i].

    partners: (batch,) int64.
    """

    share: float
    partners: Tensor


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that are trained alike: at `share` of the recipe's rate, and with one decay."""

    weights: list[nn.Parameter]
    share: float
    weight_decay: float


class Member(nn.Module):
    """One encoder with its poolings and its head: states (batch, time, in_dim) -> outputs
    (batch, n_outputs).

    pool_mean: the pooled states straight from the embedding table, where the encoder offers it and
    their mean is all that the head sees.
    """

    def __init__(self, recipe: Recipe, *, encoder: Encoder, n_outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        head = recipe.head
        poolings = [encoders.create_pooling(name, dim=encoder.out_dim) for name in head.pooling]
        self.poolings = nn.ModuleList(poolings)
        self.head = Mlp(
            in_dim=sum(pooling.out_dim for pooling in poolings),
            out_dim=n_outputs,
            hidden=head.hidden,
            activation=head.activation,
            norm=head.norm,
            dropout=head.dropout,
        )
        self.pool_mean: Callable[[Tensor, RaggedBatch], Tensor] | None = None
        if isinstance(encoder, RaggedPooling) and head.pooling == ("mean",):
            self.pool_mean = encoder.pool_mean

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
        encoder_options: dict[str, object] | None = None,
    ) -> None:
        super().__init__()
        check_parts(recipe)
        name = recipe.encoder.name
        self.n_outputs, self.pad_id = n_outputs, pad_id
        self.embedding: InputEmbedding = _make_embedding(
            recipe, n_tokens=n_tokens, n_fixed=n_fixed, vocabulary=vocabulary
        )
        options = recipe.encoder.options if encoder_options is None else encoder_options
        brings_own = issubclass(encoders.kind_of(name), OwnEmbedding)
        in_dim = None if brings_own else self.embedding.out_dim
        self.members: Any = nn.ModuleList()  # of Member
        for _ in range(recipe.encoder.members):
            encoder = encoders.create(name, in_dim=in_dim, **options)
            if isinstance(encoder, OwnEmbedding):
                self.embedding = encoder.input_embedding()
            self.members.append(Member(recipe, encoder=encoder, n_outputs=n_outputs))
        # A bag's average needs no padded rectangle; mixup does.
        self.is_ragged = (
            all(member.pool_mean is not None for member in self.members)
            and self.table is not None
            and not recipe.augment.mixup
            and not n_fixed
        )
        self.is_scaled = recipe.head.task == "regression"
        if self.is_scaled:
            self.register_buffer("target_mean", torch.zeros(n_outputs))
            self.register_buffer("target_deviation", torch.ones(n_outputs))

    @property
    def table(self) -> Embedding | None:
        """The embedding, where it is a table of the recipe's own, which vectors can fill."""
        return self.embedding if isinstance(self.embedding, Embedding) else None

    @property
    def encoder_options(self) -> dict[str, object] | None:
        """What rebuilds the encoder in the place of the recipe's options; None for those."""
        encoder = self.members[0].encoder
        return encoder.saved_options if isinstance(encoder, Rebuilt) else None

    @property
    def longest_row(self) -> int | None:
        """Tokens of the longest row that it takes; None where it takes any."""
        encoders_ = [member.encoder for member in self.members]
        limits = [e.max_length for e in encoders_ if isinstance(e, LimitedEncoder)]
        return min((limit for limit in limits if limit is not None), default=None)

    def make_batch(
        self, tokens: TokenBatch, *, targets: Targets | None = None
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
        outputs: list[Tensor] = [
            member.head(part) for member, part in zip(self.members, pooled, strict=True)
        ]
        if len(outputs) == 1:
            return outputs[0]
        # The mean of logits is, but for one number a row, that of log-probabilities.
        return torch.stack(outputs) if self.training else torch.stack(outputs).mean(dim=0)

    def outputs_and_pooled(self, batch: PaddedBatch | RaggedBatch) -> tuple[Tensor, Tensor]:
        """Compute what `forward` and `pooled` give of a network in eval mode, in one pass."""
        pooled = self._pool(batch, None)
        outputs = [m.head(part) for m, part in zip(self.members, pooled, strict=True)]
        return torch.stack(outputs).mean(dim=0), torch.cat(pooled, dim=-1)

    def pooled(self, batch: PaddedBatch | RaggedBatch) -> Tensor:
        """Compute what the heads see of each text, one member's beside the other's: (batch, sum
        of their widths).
        """
        return torch.cat(self._pool(batch, None), dim=-1)

    def outputs_of(self, states: Tensor, mask: Tensor) -> Tensor:
        """Compute (batch, n_outputs) from embedded states (batch, time, in_dim) under mask (batch,
        time) bool: what an explanation follows back to the tokens. Of a ragged network, too.
        """
        lengths = mask.sum(dim=1).cpu()
        outputs = [member.head(member.pool(states, mask, lengths)) for member in self.members]
        return torch.stack(outputs).mean(dim=0)

    def _pool(self, batch: PaddedBatch | RaggedBatch, mix: Mix | None) -> list[Tensor]:
        """Compute (batch, width) for each member, with its own dropout of the embedding."""
        if isinstance(batch, RaggedBatch):
            assert self.table is not None
            averages = [member.pool_mean(self.table.table.weight, batch) for member in self.members]
            return [self.table.dropout(average) for average in averages]
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

    def parameter_groups(
        self, *, encoder_share: float = 1.0, layer_decay: float = 1.0, weight_decay: float = 0.0
    ) -> list[ParameterGroup]:
        """Group the weights that are trained; biases and norms do not decay.

        encoder_share: share of the rate for all but the heads. layer_decay: the share of each layer
        of the encoder beside that of the layer above it. The order is that of `parameters()`.
        Raises UsageError for a layer_decay without layers.
        """
        heads = {weight for member in self.members for weight in member.head.parameters()}
        depths: Mapping[nn.Parameter, int] = {}
        if layer_decay < 1:
            encoder = self.members[0].encoder
            if not isinstance(encoder, LayeredEncoder):
                raise UsageError(
                    "training.layer_decay is for the encoder 'pretrained', whose layers know"
                    " something already"
                )
            depths = encoder.depths()
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for weight in self.parameters():
            if weight.requires_grad:
                share = 1.0 if weight in heads else encoder_share
                share *= layer_decay ** depths.get(weight, 0)
                decay = weight_decay if weight.ndim > 1 else 0.0
                groups.setdefault((share, decay), []).append(weight)
        return [ParameterGroup(weights, *key) for key, weights in groups.items()]

    def copy_weights(
        self, source: TextNetwork, *, labels: Sequence[Label], source_labels: Sequence[Label]
    ) -> None:
        """Start from another network's weights; the outputs of labels that it lacks stay as drawn.

        labels, source_labels: what each output of this network and of the other stands for. Raises
        UsageError that names the first weight which is missing or of another shape.
        """
        weights = source.state_dict()
        by_label = {
            f"members.{i}.head.{name}"
            for i, member in enumerate(self.members)
            for name in member.head.output_names
        }
        places = {label: i for i, label in enumerate(source_labels)}
        for name, value in self.state_dict().items():
            found = weights.get(name)
            if found is not None and name in by_label and found.shape[1:] == value.shape[1:]:
                for i, label in enumerate(labels):
                    if label in places:
                        value[i] = found[places[label]]
            elif found is not None and found.shape == value.shape:
                value.copy_(found)
            else:
                raise UsageError(
                    f"init_from does not fit the recipe: weight '{name}' is missing or of another"
                    f" shape"
                )

    def standardize(self, targets: Tensor) -> Tensor:
        """Bring a regression's targets to mean 0 and deviation 1; leave all others as they are."""
        if not self.is_scaled:
            return targets
        return (targets - self.target_mean) / self.target_deviation

    def restore(self, outputs: Tensor) -> Tensor:
        """Bring a regression's outputs back to the user's numbers; leave logits as they are."""
        if not self.is_scaled:
            return outputs
        return outputs * self.target_deviation.to(outputs) + self.target_mean.to(outputs)

    def learn_scale(self, targets: Targets) -> None:
        """Take mean and deviation from the training targets of a regression, (n_rows,
        n_outputs).
        """
        if self.is_scaled:
            values = torch.from_numpy(targets).double()
            self.target_mean.copy_(values.mean(dim=0))
            deviation = values.std(dim=0, unbiased=False)
            self.target_deviation.copy_(torch.where(deviation > 0, deviation, 1.0))


def check_parts(recipe: Recipe) -> None:
    """Refuse what the recipe asks of an encoder that does not offer it, before a text is read."""
    kind, name = encoders.kind_of(recipe.encoder.name), recipe.encoder.name
    if recipe.encoder.members > 1 and issubclass(kind, OwnEmbedding):
        raise UsageError(
            f"encoder.members: a {name} encoder has an embedding of its own; set it to 1"
        )
    if recipe.ngrams is not None and not issubclass(kind, RaggedPooling):
        raise UsageError(f"ngrams are for the encoder 'bag', not '{name}', which reads an order")
    has_table = recipe.embedding.name == "table" and not issubclass(kind, OwnEmbedding)
    if recipe.embedding.vectors is not None and not has_table:
        raise UsageError(
            "embedding.vectors fill a table; remove them, or set embedding.name = 'table'"
        )


def _make_embedding(
    recipe: Recipe, *, n_tokens: int, n_fixed: int, vocabulary: dict[str, int] | None
) -> Embedding | CharCnnEmbedding:
    section = recipe.embedding
    if section.name == "table":
        return Embedding(
            n_tokens=n_tokens, n_fixed=n_fixed, dim=section.dim, dropout=section.dropout
        )
    return CharCnnEmbedding(vocabulary=vocabulary or {}, dim=section.dim, dropout=section.dropout)


def predict_outputs(
    network: TextNetwork, tokens: Rows, *, part: tuple[int, int] = (0, 1)
) -> Tensor:
    """Compute the outputs of every row in order: (n_rows, n_outputs) float32 on the CPU.

    part: (i, n) computes every n-th batch from the i-th on and leaves the rows of the others zero.
    """
    device = next(network.parameters()).device
    network.eval()
    outputs = torch.zeros((len(tokens), network.n_outputs))
    index, count = part
    budget = GPU_BATCH_TOKENS if device.type == "cuda" else BATCH_TOKENS
    plan = plan_sorted(tokens.lengths, batch_tokens=budget)[index::count]
    with torch.inference_mode():
        parts = []
        for rows in plan:
            batch = network.make_batch(tokens.take(rows)).to(device)
            parts.append(network(batch).float())
        if plan:  # one copy from the device at the end: each waits for all work before it
            outputs.index_copy_(0, torch.from_numpy(np.concatenate(plan)), torch.cat(parts).cpu())
    return outputs
