"""Course, page 7: attention by hand, a vision transformer, and a transformer on texts.

An image of 8 x 8 points is cut into 16 patches of 2 x 2. To textkit's TransformerEncoder they are
16 tokens, as words are in a text.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation.figures import new_figure, save_figure
from textkit.nn.sequences import SequenceNetwork, cut_patches

# Of eight settings the best on a quarter of the rows to learn from: .975.
EPOCHS, BATCH, RATE = 16, 64, 8e-3


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Give each query (time, dim) the mean of the values, weighted by how well their keys fit."""
    fits = queries @ keys.T / queries.shape[1] ** 0.5
    weights = fits.softmax(dim=1)
    return weights @ values, weights


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give images (n, 8, 8) from 0 to 1 and digits (n,); then those held out, as on page 4."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16
    names = torch.tensor(digits.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    held, train = order[: len(order) // 5], order[len(order) // 5 :]
    return images[train], names[train], images[held], names[held]


def learn(network: nn.Module, patches: Tensor, names: Tensor) -> None:
    """Train with a rate that rises and falls."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    steps = EPOCHS * -(-len(patches) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    luck = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(patches), generator=luck).split(BATCH):
            loss = nn.functional.cross_entropy(network(patches[rows]), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()


def accuracy(network: nn.Module, patches: Tensor, names: Tensor) -> float:
    """Give the share of digits that are read rightly."""
    with torch.no_grad():
        return (network(patches).argmax(dim=1) == names).float().mean().item()


def look_up_by_hand() -> None:
    words = ("cat", "sat", "dog")
    states = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]])
    seen, weights = attend(states * 4, states, states)
    for word, row in zip(words, weights, strict=True):
        looks = ", ".join(f"{other} {share:.2f}" for other, share in zip(words, row, strict=True))
        print(f"{word} looks at {looks}")
    queries, keys = (states * 4)[None], states[None]
    theirs = nn.functional.scaled_dot_product_attention(queries, keys, keys)[0]
    assert torch.allclose(seen, theirs, atol=1e-6)


def read_images() -> None:
    torch.manual_seed(0)
    images, names, held_images, held_names = read_digits()
    patches, held = cut_patches(images, 2), cut_patches(held_images, 2)
    print(f"\n{len(patches):,} images of {patches.shape[1]} patches of {patches.shape[2]} points")
    network = SequenceNetwork(
        "transformer",
        in_dim=4,
        out_dim=10,
        dim=48,
        ffn=2.0,
        positions="learned",
        max_length=16,
        dropout=0.0,
    )
    learn(network, patches, names)
    reached = accuracy(network, held, held_names)
    print(f"held out, right: {reached:.3f}")
    turned = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    print(
        f"the same patches in another order: {accuracy(network, held[:, turned], held_names):.1f}"
    )
    assert reached >= 0.96
    draw(network, held_images, held)


def draw(network: SequenceNetwork, images: Tensor, patches: Tensor) -> None:
    """Draw how much the score of its digit changes with each patch of four images."""
    figure = new_figure(7, 3.6)
    panels = figure.subplots(2, 4)
    for column in range(4):
        seen = patches[column : column + 1].clone().requires_grad_()
        scores = network(seen)
        scores.max().backward()
        assert seen.grad is not None
        felt = seen.grad.abs().sum(dim=2).reshape(4, 4)
        panels[0, column].imshow(images[column].numpy(), cmap="gray_r")
        panels[0, column].set_title(f"read as {int(scores.argmax())}", fontsize=10)
        panels[1, column].imshow(felt.numpy(), cmap="Oranges")
        for axes in panels[:, column]:
            axes.set(xticks=[], yticks=[])
    panels[0, 0].set_ylabel("image")
    panels[1, 0].set_ylabel("gradient by patch")
    save_figure(figure, "07-attention.png")


def read_texts() -> None:
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    kinds = ("files", "network")
    texts, labels = zip(*(row for row in train if row[1] in kinds), strict=True)
    test_texts, truth = zip(*(row for row in test if row[1] in kinds), strict=True)
    model = TextClassifier(
        encoder="transformer",
        encoder__dim=32,
        encoder__ffn=2.0,
        embedding__dim=50,
        tokenizer__max_length=32,
        training__epochs=4,
        training__threads=1,
    ).fit(texts, labels)
    reached = model.score(test_texts, truth)
    print(f"\n{len(texts):,} texts, the same encoder: held out, right: {reached:.2f}")
    assert reached > 0.7


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    look_up_by_hand()
    read_images()
    read_texts()
