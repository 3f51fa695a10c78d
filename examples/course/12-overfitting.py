"""Course, page 12: a network learns its rows by heart, and what helps against it.

Of the digits of page 4 only 240 are learnt from, and a fifth of their labels is wrong, as labels
often are: who learns those by heart has understood nothing. Each cure is tried alone. The digits
held out on page 4, whose labels are right, tell how much was understood.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit.evaluation.figures import BLUE, ORANGE, new_figure, save_figure
from textkit.nn.layers import Mlp

EPOCHS, BATCH, RATE, ROWS = 40, 32, 3e-3, 240


@dataclass(frozen=True)
class Cure:
    """What is done against overfitting, beside nothing."""

    l1: float = 0.0
    l2: float = 0.0
    dropout: float = 0.0
    shift: bool = False  # move each image by up to a point
    plateau: bool = False  # a smaller rate where the held-out loss no longer falls


CURES = {
    "nothing": Cure(),
    "L1": Cure(l1=2e-3),
    "L2 (weight decay)": Cure(l2=1.0),
    "dropout": Cure(dropout=0.4),
    "augmentation": Cure(shift=True),
    "reduce on plateau": Cure(plateau=True),
}


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give images (n, 8, 8) and digits (n,), few to learn from, a fifth of them with another label;
    then a fifth of all held out.
    """
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :][:ROWS]
    wrong = names[train].clone()
    wrong[::5] = (wrong[::5] + 1 + torch.arange(len(wrong[::5])) % 9) % 10
    return images[train], wrong, images[held], names[held]


def shifted(images: Tensor, luck: torch.Generator) -> Tensor:
    """Move all images of a batch by up to a point, up or down and to a side."""
    down, right = (int(torch.randint(-1, 2, (), generator=luck)) for _ in range(2))
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    return padded[:, 1 + down : 9 + down, 1 + right : 9 + right]


def learn(
    cure: Cure, digits: tuple[Tensor, Tensor, Tensor, Tensor]
) -> tuple[list[float], list[float], float]:
    """Train; give the loss of each epoch on what is learnt from and on what is held out, and the
    share of digits that is right at the end.
    """
    images, names, held_images, held_names = digits
    torch.manual_seed(0)
    network = Mlp(in_dim=64, hidden=(128, 64), out_dim=10, dropout=cure.dropout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=cure.l2)
    slower = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=2)
    luck = torch.Generator().manual_seed(0)
    seen, unseen = [], []
    for _ in range(EPOCHS):
        network.train()
        for rows in torch.randperm(len(images), generator=luck).split(BATCH):
            batch = shifted(images[rows], luck) if cure.shift else images[rows]
            loss = nn.functional.cross_entropy(network(batch.flatten(1)), names[rows])
            if cure.l1:
                weights = [layer.weight for layer in network.linear_layers]
                loss = loss + cure.l1 * sum(weight.abs().sum() for weight in weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            scores = network(held_images.flatten(1))
            seen.append(nn.functional.cross_entropy(network(images.flatten(1)), names).item())
            unseen.append(nn.functional.cross_entropy(scores, held_names).item())
        if cure.plateau:
            slower.step(unseen[-1])
    return seen, unseen, (scores.argmax(dim=1) == held_names).float().mean().item()


def draw(curves: dict[str, tuple[list[float], list[float]]]) -> None:
    """Draw both losses of each cure, and where early stopping would have stopped."""
    figure = new_figure(8, 4.4)
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for axes, (name, (seen, unseen)) in zip(panels.flat, curves.items(), strict=True):
        axes.plot(seen, color=BLUE, label="learnt from")
        axes.plot(unseen, color=ORANGE, label="held out")
        best = min(range(EPOCHS), key=unseen.__getitem__)
        axes.axvline(best, color="0.6", linewidth=0.8, linestyle="--")
        axes.set_title(name, fontsize=10)
        axes.set(ylim=(0, 2.4))
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].legend(frameon=False, fontsize=9)
    figure.supxlabel("epoch; dashed: where early stopping keeps the weights", fontsize=10)
    figure.supylabel("loss", fontsize=10)
    save_figure(figure, "12-overfitting.png")


def main() -> None:
    digits = read_digits()
    print(f"{len(digits[0])} digits to learn from, {len(digits[2])} held out")
    print(f"{'':18}  loss: learnt from  held out  lowest, in epoch  right at the end")
    curves = {}
    gaps = {}
    for name, cure in CURES.items():
        seen, unseen, right = learn(cure, digits)
        curves[name] = seen, unseen
        gaps[name] = unseen[-1] - seen[-1]
        best = min(range(EPOCHS), key=unseen.__getitem__)
        print(
            f"{name:18}  {seen[-1]:17.2f}  {unseen[-1]:8.2f}  {unseen[best]:6.2f}, {best + 1:8}"
            f"  {right:16.2f}"
        )
    draw(curves)


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    main()
