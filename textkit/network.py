"""The network of a classifier: embedding -> encoder -> pooling -> linear head, put together from a recipe."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textkit import encoders
from textkit.collate import PaddedBatch
from textkit.embeddings.layer import Embedding
from textkit.recipe import Recipe


class TextNetwork(nn.Module):
    """PaddedBatch -> logits (batch, n_labels); a row's logits do not depend on the rows beside it."""

    def __init__(self, recipe: Recipe, *, n_tokens: int, n_labels: int) -> None:
        super().__init__()
        self.embedding = Embedding(n_tokens=n_tokens, dim=recipe.embedding.dim, dropout=recipe.embedding.dropout)
        encoder = encoders.create(recipe.encoder.name, in_dim=self.embedding.out_dim, **recipe.encoder.options)
        self.encoder = encoder
        poolings = [encoders.create_pooling(name, dim=encoder.out_dim) for name in recipe.head.pooling]
        self.poolings = nn.ModuleList(poolings)
        self.dropout = nn.Dropout(recipe.head.dropout)
        self.head = nn.Linear(sum(pooling.out_dim for pooling in poolings), n_labels)

    def forward(self, batch: PaddedBatch) -> Tensor:
        mask = batch.attention_mask
        states = self.encoder(self.embedding(batch.input_ids, mask), mask, batch.lengths)
        pooled = torch.cat([pool(states, mask) for pool in self.poolings], dim=-1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits
