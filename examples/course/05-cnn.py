"""Course, page 5: a convolution reads digits.

An image of 8 x 8 points is a sequence of 8 lines to textkit's CnnEncoder, the same that looks at
windows of words in a text: here it looks at windows of 3, 4 and 5 lines.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit.nn.sequences import SequenceNetwork, cut_patches

# Of four settings the best on a quarter of the rows to learn from: .978.
EPOCHS, BATCH, RATE = 15, 64, 1e-2


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give images (n, 8, 8) from 0 to 1 and digits (n,); then those held out, as on page 4."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :]
    return images[train], names[train], images[held], names[held]


def learn(network: nn.Module, images: Tensor, names: Tensor) -> float:
    """Train with a rate that rises and falls; give the mean loss of the last epoch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    luck = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        losses = []
        for rows in torch.randperm(len(images), generator=luck).split(BATCH):
            loss = nn.functional.cross_entropy(network(images[rows]), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


def main() -> None:
    torch.manual_seed(0)
    images, names, held_images, held_names = read_digits()
    network = SequenceNetwork("cnn", in_dim=8, out_dim=10, dim=64)
    print(f"{sum(weight.numel() for weight in network.parameters()):,} weights")
    loss = learn(network, images, names)
    network.eval()
    with torch.no_grad():
        guessed = network(held_images).argmax(dim=1)
    reached = (guessed == held_names).float().mean().item()
    print(f"loss of the last epoch {loss:.3f}")
    print(f"held out, right: {reached:.3f}")
    assert reached > 0.96

    # The same image as patches, which is how pages 7 and 8 read it.
    print(f"patches of 2 x 2: {tuple(cut_patches(images[:1], 2).shape)}")


if __name__ == "__main__":
    main()
