"""Course, page 3: what stands between the layers, and what a loss asks for.

A linear layer, batch and layer norm, dropout and three losses, each first by hand and then as torch
or textkit has it; and a deep network of digits with and without a norm.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit.evaluation.figures import BLUE, GREY, ORANGE, new_figure, save_figure
from textkit.nn.layers import Dropout, Mlp, Norm

EPOCHS, BATCH, RATE = 8, 64, 2e-3
DEPTH = 8


def normalise(states: Tensor, dim: int) -> Tensor:
    """Take the mean away and divide by the spread, along one axis."""
    mean = states.mean(dim=dim, keepdim=True)
    spread = states.var(dim=dim, keepdim=True, correction=0)
    return (states - mean) / torch.sqrt(spread + 1e-5)


def see_layers() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    rows = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.0, 10.0]])
    assert torch.allclose(layer(rows), rows @ layer.weight.T + layer.bias)
    print(f"a linear layer 3 -> 2: {sum(weight.numel() for weight in layer.parameters())} weights")

    for name, dim in (("batch", 0), ("layer", 1)):
        normed = Norm(name, dim=3)(rows)
        assert torch.allclose(normed, normalise(rows, dim), atol=1e-5)
        shown = " ".join(f"[{' '.join(f'{x:5.2f}' for x in row)}]" for row in normed)
        print(f"{name} norm of [1 2 3] and [0 0 10]: {shown}")

    drop, ones = Dropout(0.25), torch.ones(100_000)
    kept = drop(ones)
    values = sorted({round(value, 3) for value in kept.tolist()})
    print(f"dropout .25: values {values}, mean {kept.mean():.2f}", end="; ")
    print(f"after eval() all {drop.eval()(ones).mean():g}")


def see_losses() -> None:
    scores, truth = torch.tensor([[2.0, 1.0, -1.0]]), torch.tensor([0])
    by_hand = -scores.softmax(dim=1)[0, truth[0]].log()
    assert torch.allclose(by_hand, nn.functional.cross_entropy(scores, truth))
    print(f"\ncross-entropy, one label of three: {by_hand:.3f}")

    wanted = torch.tensor([[1.0, 0.0, 1.0]])
    each = wanted * scores.sigmoid().log() + (1 - wanted) * (1 - scores.sigmoid()).log()
    theirs = nn.functional.binary_cross_entropy_with_logits(scores, wanted)
    assert torch.allclose(-each.mean(), theirs, atol=1e-6)
    print(f"binary cross-entropy, any of three: {theirs:.3f}")

    guesses, numbers = torch.tensor([1.0, 2.0, 10.0]), torch.tensor([1.5, 2.0, 3.0])
    print(
        f"numbers off by .5, 0 and 7: squared {nn.functional.mse_loss(guesses, numbers):.2f},"
        f" absolute {nn.functional.l1_loss(guesses, numbers):.2f}"
    )


def learn(norm: str, points: Tensor, names: Tensor) -> list[float]:
    """Train a network of eight hidden layers; give the mean loss of each epoch."""
    torch.manual_seed(0)
    network = Mlp(in_dim=64, hidden=(32,) * DEPTH, out_dim=10, norm=norm)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    luck = torch.Generator().manual_seed(0)
    means = []
    for _ in range(EPOCHS):
        losses = []
        for rows in torch.randperm(len(points), generator=luck).split(BATCH):
            loss = nn.functional.cross_entropy(network(points[rows]), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def see_depth() -> None:
    digits = load_digits()
    points = torch.tensor(digits.data, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    print(f"\n{DEPTH} hidden layers, mean loss of epochs 1, 4 and {EPOCHS}")
    figure = new_figure(5, 3)
    axes = figure.add_subplot()
    last = {}
    for norm, colour in (("none", GREY), ("batch", BLUE), ("layer", ORANGE)):
        losses = learn(norm, points, names)
        last[norm] = losses[-1]
        print(f"{norm:6}" + "".join(f"{losses[epoch - 1]:6.2f}" for epoch in (1, 4, EPOCHS)))
        axes.plot(range(1, EPOCHS + 1), losses, color=colour, label=f"norm: {norm}")
    assert max(last["batch"], last["layer"]) < last["none"] / 2
    axes.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "03-layers.png")


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    see_layers()
    see_losses()
    see_depth()
