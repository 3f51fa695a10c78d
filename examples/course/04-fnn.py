"""Course, page 4: a feed-forward network reads digits.

Images of 8 x 8 points, 1,797 of them, come with scikit-learn. The network is textkit's own Mlp, the
head of every text classifier; the loop is written out: forward pass, loss, backward pass, step.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from textkit.nn.layers import Mlp

EPOCHS, BATCH = 30, 32


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give points (n, 64) from 0 to 1 and digits (n,), to learn from; then those held out."""
    digits = load_digits()
    points = torch.tensor(digits.data, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :]
    return points[train], names[train], points[held], names[held]


def learn(network: nn.Module, points: Tensor, names: Tensor, *, seed: int) -> list[float]:
    """Train with mini-batches; give the mean loss of each epoch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    luck = torch.Generator().manual_seed(seed)
    means = []
    network.train()
    for _ in range(EPOCHS):
        losses = []
        for rows in torch.randperm(len(points), generator=luck).split(BATCH):
            scores = network(points[rows])  # forward: (rows, 10)
            loss = nn.functional.cross_entropy(scores, names[rows])
            optimizer.zero_grad()
            loss.backward()  # page 1, for all weights at once
            optimizer.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def accuracy(network: nn.Module, points: Tensor, names: Tensor) -> float:
    """Give the share of digits that are read rightly."""
    network.eval()
    with torch.no_grad():
        return (network(points).argmax(dim=1) == names).float().mean().item()


def main() -> None:
    torch.manual_seed(0)
    points, names, held_points, held_names = read_digits()
    print(f"{len(points):,} digits to learn from, {len(held_points)} held out")

    # Of five settings the best in a cross-validation of the rows to learn from, .971; plain .963.
    network = Mlp(in_dim=64, hidden=(128, 64), out_dim=10, norm="layer", dropout=0.1)
    print(f"{sum(weight.numel() for weight in network.parameters()):,} weights")
    with torch.no_grad():
        first = nn.functional.cross_entropy(network(points), names).item()
    print(f"loss before the first step {first:.2f}; guessing one of ten costs 2.30")

    losses = learn(network, points, names, seed=0)
    print(f"loss of the first epoch {losses[0]:.2f}, of the last {losses[-1]:.3f}")
    reached = accuracy(network, held_points, held_names)
    print(f"held out, right: {reached:.3f}")

    line = LogisticRegression(max_iter=1000).fit(points.numpy(), names.numpy())
    straight = line.score(held_points.numpy(), held_names.numpy())
    print(f"logistic regression, no hidden layer: {straight:.3f}")
    assert reached > 0.96 and losses[-1] < losses[0] / 10


if __name__ == "__main__":
    main()
