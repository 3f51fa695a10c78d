"""Course, page 16: from a trained model to one that is served.

Quantizing and pruning by hand on digits first; then a text classifier is compressed, measured,
and written as what a container image is built from.
"""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation.figures import BLUE, ORANGE, new_figure, save_figure
from textkit.jobs import CompressOptions, ProfileOptions, compress_model, profile_models
from textkit.nn.layers import Mlp
from textkit.serve.images import write_image

SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
BITS = (8, 6, 5, 4, 3, 2)


def quantize(weights: Tensor, bits: int) -> Tensor:
    """Round each row (n, dim) to whole numbers of so many bits, times one scale a row."""
    most = 2 ** (bits - 1) - 1
    scale = weights.abs().amax(dim=1, keepdim=True) / most
    return (weights / scale).round() * scale


def prune(weights: Tensor, share: float) -> Tensor:
    """Set the smallest weights to 0, so large a share of them."""
    n_cut = round(share * weights.numel())
    limit = weights.abs().flatten().sort().values[n_cut - 1] if n_cut else -1.0
    return weights.masked_fill(weights.abs() <= limit, 0.0)


def learn() -> tuple[Mlp, Tensor, Tensor]:
    """Train the network of page 4; give it with the digits held out."""
    digits = load_digits()
    points = torch.tensor(digits.data, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(points), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :]
    torch.manual_seed(0)
    network = Mlp(in_dim=64, hidden=(128, 64), out_dim=10, norm="layer")
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    luck = torch.Generator().manual_seed(0)
    for _ in range(10):
        for rows in train[torch.randperm(len(train), generator=luck)].split(64):
            loss = nn.functional.cross_entropy(network(points[rows]), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval(), points[held], names[held]


def by_hand() -> None:
    network, points, names = learn()

    def right(change: object, amount: float) -> float:
        changed = copy.deepcopy(network)
        with torch.no_grad():
            for layer in changed.linear_layers:
                layer.weight.copy_(change(layer.weight, amount))
            return (changed(points).argmax(dim=1) == names).float().mean().item()

    rounded = [right(quantize, bits) for bits in BITS]
    cut = [right(prune, share) for share in SHARES]
    print("bits a weight   32 " + "".join(f"{bits:6}" for bits in BITS))
    print(f"right         {cut[0]:.2f} " + "".join(f"{x:6.2f}" for x in rounded))
    print("weights at 0  " + "".join(f"{share:6.0%}" for share in SHARES))
    print("right         " + "".join(f"{x:6.2f}" for x in cut))
    assert rounded[0] > cut[0] - 0.01 and cut[1] > cut[0] - 0.05

    figure = new_figure(7, 2.9)
    left, other = figure.subplots(1, 2, sharey=True)
    left.plot(BITS, rounded, "o-", color=BLUE)
    left.set(xlabel="bits a weight", ylabel="right", ylim=(0, 1), xlim=(8.5, 1.5))
    other.plot([100 * share for share in SHARES], cut, "o-", color=ORANGE)
    other.set(xlabel="weights set to 0, %")
    for axes in (left, other):
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "16-ship.png")


def ship(folder: Path) -> None:
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    kinds = ("files", "network")
    texts, labels = zip(*(row for row in train if row[1] in kinds), strict=True)
    test_texts, truth = zip(*(row for row in test if row[1] in kinds), strict=True)
    model = TextClassifier(encoder="linear").fit(texts, labels)
    model.save(folder / "model")
    before = model.score(test_texts, truth)

    report = compress_model(CompressOptions(model=folder / "model", out=folder / "small"))
    smaller = report.before.n_bytes / report.after.n_bytes
    small = TextClassifier.load(folder / "small")
    after = small.score(test_texts, truth)
    print(f"\nas int8 {smaller:.1f} times smaller; right {before:.2f}, then {after:.2f}")
    assert smaller > 4 and after > before - 0.02

    profile = profile_models(ProfileOptions(models=[folder / "model"], rows=64, repeats=1))
    stages = profile.profiles[0].stages
    slowest = max(stages, key=stages.__getitem__)
    print(f"stages of a prediction: {', '.join(stages)}; most time goes to: {slowest}")

    image = write_image([f"topics={folder / 'small'}"], folder / "image")
    lines = (image / "Dockerfile").read_text(encoding="utf-8").splitlines()
    print(
        "\n" + "\n".join(line for line in lines if line.startswith(("FROM", "USER", "ENTRYPOINT")))
    )
    assert "torch" not in "".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    by_hand()
    with tempfile.TemporaryDirectory() as scratch:
        ship(Path(scratch))
