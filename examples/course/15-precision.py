"""Course, page 15: fewer bits a number, and steps of several batches.

Mixed precision computes with 16 bits where that is enough. Accumulation adds up the gradients of
small batches until they are those of a large one.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit.evaluation.figures import BLUE, ORANGE, new_figure, save_figure
from textkit.nn.layers import Mlp

EPOCHS, BATCH, RATE = 6, 64, 3e-3


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give points (n, 64) from 0 to 1 and digits (n,); then those held out, as on page 4."""
    digits = load_digits()
    points = torch.tensor(digits.data, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :]
    return points[train], names[train], points[held], names[held]


def see_bits() -> None:
    print("           1 + 1/256   1e-8   70,000  bytes")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        values = torch.tensor([1 + 1 / 256, 1e-8, 70_000.0]).to(dtype).double().tolist()
        shown = f"{values[0]:.5f}  {values[1]:7.0e}  {values[2]:7.0f}"
        print(f"{str(dtype).removeprefix('torch.'):9}  {shown}  {dtype.itemsize:5}")

    small = torch.tensor(1e-6, dtype=torch.float16) * torch.tensor(1e-3, dtype=torch.float16)
    scaled = torch.tensor(1e-6 * 65_536, dtype=torch.float16) * torch.tensor(1e-3).half()
    print(f"a gradient of 1e-9 in float16: {small.item():g}", end="; ")
    print(f"of a loss times 65,536, and divided again: {scaled.item() / 65_536:.0e}")


def same_gradients(points: Tensor, names: Tensor) -> None:
    """One batch of 64, and four of 16 whose losses are divided by four."""
    torch.manual_seed(0)
    network = Mlp(in_dim=64, hidden=(64,), out_dim=10)
    nn.functional.cross_entropy(network(points[:64]), names[:64]).backward()
    whole = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    for rows in torch.arange(64).split(16):
        (nn.functional.cross_entropy(network(points[rows]), names[rows]) / 4).backward()
    summed = [weight.grad for weight in network.parameters()]
    apart = max((a - b).abs().max().item() for a, b in zip(whole, summed, strict=True))
    print(f"\nfour batches of 16 or one of 64: gradients differ by less than {1e-6:g}")
    assert apart < 1e-6


def learn(
    points: Tensor, names: Tensor, *, bits16: bool, pieces: int
) -> tuple[nn.Module, list[float]]:
    """Train; bits16: compute in bfloat16 where autocast does. pieces: batches of a step."""
    torch.manual_seed(0)
    network = Mlp(in_dim=64, hidden=(128, 64), out_dim=10, norm="layer")
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    luck = torch.Generator().manual_seed(0)
    means = []
    for _ in range(EPOCHS):
        losses = []
        for step in torch.randperm(len(points), generator=luck).split(BATCH):
            for rows in step.split(-(-len(step) // pieces)):
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bits16):
                    scores = network(points[rows])
                loss = nn.functional.cross_entropy(scores.float(), names[rows], reduction="sum")
                (loss / len(step)).backward()
                losses.append(loss.item())
            optimizer.step()
            optimizer.zero_grad()
        means.append(sum(losses) / len(points))
    return network.eval(), means


def main() -> None:
    see_bits()
    points, names, held, held_names = read_digits()
    same_gradients(points, names)

    print(f"\n{'':24}  loss of the last epoch  held out, right")
    figure = new_figure(5, 3)
    axes = figure.add_subplot()
    for what, colour, bits16, pieces in (
        ("float32", BLUE, False, 1),
        ("float32, four batches", "black", False, 4),
        ("bfloat16 by autocast", ORANGE, True, 1),
    ):
        network, losses = learn(points, names, bits16=bits16, pieces=pieces)
        with torch.no_grad():
            right = (network(held).argmax(dim=1) == held_names).float().mean().item()
        print(f"{what:24}  {losses[-1]:22.2f}  {right:15.2f}")
        style = {"linestyle": "--"} if pieces > 1 else {}
        axes.plot(range(1, EPOCHS + 1), losses, color=colour, label=what, **style)
        assert right > 0.93
    axes.set(xlabel="epoch", ylabel="training loss", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "15-precision.png")


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    main()
