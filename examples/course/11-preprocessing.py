"""Course, page 11: what each architecture wants of its input.

Points of an image are scaled, numbers are centred, texts get ids, special tokens and padding; what
a step learns from the rows it learns from the training rows alone.
"""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import nn

from textkit import tokenizers
from textkit.evaluation.figures import BLUE, GREY, ORANGE, new_figure, save_figure
from textkit.nn import encoders
from textkit.nn.layers import Mlp

TEXTS = ["a short text", "a much longer text than the short one", ""]


def learn_points(factor: float) -> list[float]:
    """Train the network of page 4 on points times a factor; give the loss of each epoch."""
    digits = load_digits()
    points = torch.tensor(digits.data, dtype=torch.float32) * factor
    names = torch.tensor(digits.target)
    torch.manual_seed(0)
    network = Mlp(in_dim=64, hidden=(64,), out_dim=10)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    luck = torch.Generator().manual_seed(0)
    means = []
    for _ in range(8):
        losses = []
        for rows in torch.randperm(len(points), generator=luck).split(64):
            loss = nn.functional.cross_entropy(network(points[rows]), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def see_numbers() -> None:
    rows = load_diabetes(scaled=False).data
    train, later = rows[:350], rows[350:]
    mean, spread = train.mean(axis=0), train.std(axis=0)
    scaled = (later - mean) / spread  # by what is known of the training rows
    for column, name in ((0, "age"), (3, "pressure"), (4, "cholesterol")):
        print(
            f"{name:12} {later[:, column].mean():6.1f} +- {later[:, column].std():4.1f}  ->"
            f" {scaled[:, column].mean():5.2f} +- {scaled[:, column].std():.2f}"
        )


def see_texts() -> None:
    words = tokenizers.train("word", TEXTS, lowercase=True)
    named = words.add_special_tokens(cls_token="[CLS]", sep_token="[SEP]")  # noqa: S106, no secrets
    marked = named.with_template("bert")
    batch = marked.encode(TEXTS, add_special_tokens=True, max_length=8)
    padded = batch.pad(pad_id=marked.pad_id)
    cls, sep = (marked.vocabulary[token] for token in ("[CLS]", "[SEP]"))
    print(f"\n[CLS] is {cls}, [SEP] {sep}, padding {marked.pad_id}")
    print(padded.ids)
    print(padded.mask.astype(int))
    print(f"tokens cut from each: {batch.truncated.tolist()}")


def see_padding() -> None:
    """A row alone, and the same row padded beside a longer one: every encoder gives the same."""
    print("\npadded by 5 zeros: largest change of a real place, with the mask and without")
    torch.manual_seed(0)
    alone = torch.randn(1, 4, 8)
    padded = torch.cat([alone, torch.zeros(1, 5, 8)], dim=1)
    mask = torch.arange(9)[None] < 4
    for name in ("cnn", "lstm", "transformer", "mixer"):
        encoder = encoders.create(name, in_dim=8, dim=8)
        assert isinstance(encoder, nn.Module)
        encoder.eval()
        with torch.no_grad():
            wanted = encoder(alone, mask[:, :4], torch.tensor([4]))
            seen = encoder(padded, mask, torch.tensor([4]))[:, :4]
            careless = encoder(padded, torch.ones_like(mask), torch.tensor([9]))[:, :4]
        with_mask, without = (float((x - wanted).abs().max()) for x in (seen, careless))
        print(f"{name:12} {with_mask:.3f}  {'changed' if without > 1e-3 else 'the same'}")
        assert with_mask < 1e-5


def main() -> None:
    figure = new_figure(5, 3)
    axes = figure.add_subplot()
    print("points from 0 to  loss of the first epoch, of the last")
    for factor, colour in ((1.0, GREY), (1 / 16, ORANGE), (1 / 1600, BLUE)):
        losses = learn_points(factor)
        name = f"0 to {16 * factor:g}"
        print(f"{16 * factor:16g}  {losses[0]:23.1f}  {losses[-1]:11.1f}")
        axes.plot(range(1, 9), np.minimum(losses, 3), color=colour, label=name)
    axes.set(xlabel="epoch", ylabel="training loss", ylim=(0, 3))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "11-preprocessing.png")
    print()
    see_numbers()
    see_texts()
    see_padding()


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    main()
