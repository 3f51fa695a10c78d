"""Train a small causal transformer on packed blocks: texts, tokens, blocks, a loss that falls.

Run it anywhere; it takes the GPU when there is one. Rows are the help pages of Python itself, and
no token looks across the border of two of them. The training stops half way and goes on exactly.
"""

import math
import pydoc_data.topics
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from textkit import tokenizers
from textkit.data.blocks import BlockLoader, PackedBlocks
from textkit.jobs import PackOptions, TokenizeOptions, pack_tokens, tokenize_corpus
from textkit.nn.encoders.transformer import TransformerEncoder, rotary_angles

LENGTH, STEPS, SIZE, END = 128, 168, 1000, 0


class LanguageModel(nn.Module):
    """textkit's transformer encoder, in which a token sees those before it in its document."""

    def __init__(self, n_ids: int, dim: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_ids, dim)
        nn.init.normal_(self.embedding.weight, std=0.05)
        self.encoder = TransformerEncoder(in_dim=dim, dim=dim, layers=2, heads=4, dropout=0.0)

    def forward(self, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """ids and positions (batch, time) -> logits (batch, time, n_ids)."""
        encoder, time = self.encoder, ids.shape[1]
        document = (positions == 0).cumsum(1)
        same = document[:, :, None] == document[:, None, :]
        looked_at = (same & torch.ones(time, time, device=ids.device).tril().bool())[:, None]
        states = encoder.project(self.embedding(ids))
        angles = rotary_angles(time, encoder.head_dim, like=states)
        for block in encoder.blocks:
            states = block(states, looked_at, angles)
        return encoder.norm(states) @ self.embedding.weight.T


def loss_of(model: LanguageModel, batch: dict, device: str) -> torch.Tensor:
    """Give the mean loss of the next tokens; none is asked for across a border, or of padding."""
    ids, positions = (
        torch.from_numpy(batch[name]).to(device) for name in ("input_ids", "position_ids")
    )
    logits = model(ids, positions)[:, :-1]
    asked = positions[:, 1:] > 0
    return cross_entropy(logits[asked], ids[:, 1:][asked])


topics = [" ".join(text.split()) for text in pydoc_data.topics.topics.values()]
Path("topics.txt").write_text("\n".join(topics), encoding="utf-8")
tok = tokenizers.train("bpe", topics, size=SIZE)
tokenize_corpus(TokenizeOptions(inputs=["topics.txt"], tokenizer=tok, out=Path("tokens")))
packed = pack_tokens(
    PackOptions(tokens=["tokens"], out=Path("blocks"), length=LENGTH, end_id=END, pad_id=END)
)
print(
    f"{packed.whole.n_tokens:,} tokens, {packed.whole.n_blocks:,} blocks, {packed.fill:.2%} filled"
)

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
model = LanguageModel(SIZE).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
state, losses = (0, 0), []
for _part in range(2):  # the second part goes on with the blocks that come next
    loader = BlockLoader(PackedBlocks.open("blocks"), batch_size=8, seed=1, state=state)
    for _, batch in zip(range(STEPS // 2), loader, strict=False):
        loss = loss_of(model, batch, device)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    state = loader.state

for step in range(0, STEPS, 24):
    mean = sum(losses[step : step + 24]) / 24
    print(f"step {step:3}  loss {mean:.3f}  {'#' * round(8 * mean)}")
print(f"a guess among {SIZE:,} ids: {math.log(SIZE):.3f}; epoch, position: {state}")
assert losses[-1] < 0.8 * losses[0]
