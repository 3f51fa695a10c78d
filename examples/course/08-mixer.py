"""Course, page 8: an MLP-Mixer reads patches and texts.

It has no attention and no recurrence: one small network mixes the places of a sequence, another the
numbers of each place, in turn.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation.figures import BLUE, ORANGE, new_figure, save_figure
from textkit.nn.sequences import SequenceNetwork, cut_patches

# Of nine settings the best on a quarter of the rows to learn from: .983.
EPOCHS, BATCH, RATE = 10, 32, 5e-3


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give images (n, 8, 8) from 0 to 1 and digits (n,); then those held out, as on page 4."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :]
    return images[train], names[train], images[held], names[held]


def cut(images: Tensor, *, told: bool) -> Tensor:
    """Cut images into 16 patches (n, 16, 4); told: with 16 more numbers, a 1 at a patch's place."""
    patches = cut_patches(images, 2)
    places = torch.eye(16).expand(len(patches), 16, 16)
    return torch.cat([patches, places], dim=2) if told else patches


def learn(network: nn.Module, patches: Tensor, names: Tensor) -> list[float]:
    """Train with a rate that rises and falls; give the mean loss of each epoch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    steps = EPOCHS * -(-len(patches) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    luck = torch.Generator().manual_seed(0)
    means = []
    for _ in range(EPOCHS):
        losses = []
        for rows in torch.randperm(len(patches), generator=luck).split(BATCH):
            loss = nn.functional.cross_entropy(network(patches[rows]), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    network.eval()
    return means


def accuracy(network: nn.Module, patches: Tensor, names: Tensor) -> float:
    """Give the share of digits that are read rightly."""
    with torch.no_grad():
        return (network(patches).argmax(dim=1) == names).float().mean().item()


def read_images() -> None:
    images, names, held_images, held_names = read_digits()
    curves = {}
    for told in (True, False):
        patches, held = cut(images, told=told), cut(held_images, told=told)
        torch.manual_seed(0)
        network = SequenceNetwork(
            "mixer", in_dim=patches.shape[2], out_dim=10, dim=32, mixing=32, dropout=0.0
        )
        what = "patches that know their place" if told else "patches alone"
        curves[what] = learn(network, patches, names)
        weights = sum(weight.numel() for weight in network.parameters())
        reached = accuracy(network, held, held_names)
        print(f"{what:30} {weights:,} weights  held out, right: {reached:.3f}")
        assert not told or reached > 0.95

    figure = new_figure(5, 3)
    axes = figure.add_subplot()
    for (name, losses), colour in zip(curves.items(), (ORANGE, BLUE), strict=True):
        axes.plot(range(1, EPOCHS + 1), losses, color=colour, label=name)
    axes.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "08-mixer.png")


def read_texts() -> None:
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    kinds = ("files", "network")
    texts, labels = zip(*(row for row in train if row[1] in kinds), strict=True)
    test_texts, truth = zip(*(row for row in test if row[1] in kinds), strict=True)
    model = TextClassifier(
        encoder="mixer",
        encoder__dim=32,
        encoder__mixing=16,
        embedding__dim=50,
        tokenizer__max_length=32,
        training__epochs=5,
        training__threads=1,
    ).fit(texts, labels)
    reached = model.score(test_texts, truth)
    print(f"\n{len(texts):,} texts, the same encoder: held out, right: {reached:.2f}")
    assert reached > 0.65


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    read_images()
    read_texts()
