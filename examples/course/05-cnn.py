"""Course, page 5: a convolution reads digits, and letters.

An image of 8 x 8 points is a sequence of 8 lines to textkit's CnnEncoder, the same that looks at
windows of words in a text: here it looks at windows of 3, 4 and 5 lines. Then it reads texts, word
by word and letter by letter.
"""

from __future__ import annotations

import random

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from textkit import TextClassifier
from textkit.data import quickstart
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


def shift(images: Tensor, luck: torch.Generator) -> Tensor:
    """Move each image (n, 8, 8) by at most a point along each axis: augmentation."""
    wide = nn.functional.pad(images, (1, 1, 1, 1))
    moves = torch.randint(0, 3, (len(images), 2), generator=luck)
    cut = [image[y : y + 8, x : x + 8] for image, (y, x) in zip(wide, moves.tolist(), strict=True)]
    return torch.stack(cut)


def learn(network: nn.Module, images: Tensor, names: Tensor, *, augment: bool = False) -> float:
    """Train with a rate that rises and falls; give the mean loss of the last epoch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    luck = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        losses = []
        for rows in torch.randperm(len(images), generator=luck).split(BATCH):
            seen = shift(images[rows], luck) if augment else images[rows]
            loss = nn.functional.cross_entropy(network(seen), names[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    return sum(losses) / len(losses)


def share_right(network: nn.Module, images: Tensor, names: Tensor) -> float:
    """Give the share of images (n, 8, 8) that are given their name."""
    with torch.no_grad():
        guessed = network.eval()(images).argmax(dim=1)
    return (guessed == names).float().mean().item()


def read_images() -> None:
    """Learn digits: with other poolings, and with images that move."""
    images, names, held_images, held_names = read_digits()
    moved = shift(held_images, torch.Generator().manual_seed(1))
    for pooling, augment in ((("mean", "max"), False), (("max",), False), (("mean", "max"), True)):
        torch.manual_seed(0)
        network = SequenceNetwork("cnn", in_dim=8, out_dim=10, dim=64, pooling=pooling)
        n_weights = sum(weight.numel() for weight in network.parameters())
        loss = learn(network, images, names, augment=augment)
        reached = share_right(network, held_images, held_names)
        when_moved = share_right(network, moved, held_names)
        moves = "moving" if augment else "still"
        print(
            f"{' + '.join(pooling):10} {moves:6} {n_weights:,} weights, last loss {loss:.3f},"
            f" held out, right: {reached:.3f}, and moved: {when_moved:.3f}"
        )
        assert reached > 0.96

    # The same image as patches, which is how pages 7 and 8 read it.
    print(f"patches of 2 x 2: {tuple(cut_patches(images[:1], 2).shape)}")


def swap_letters(text: str, luck: random.Random) -> str:
    """Swap two neighbours within each word of four letters or more, as a hasty hand does."""
    words = text.split(" ")
    for i, word in enumerate(words):
        if len(word) >= 4:
            at = luck.randrange(1, len(word) - 2)
            words[i] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def read_letters() -> None:
    """Learn texts by words, and letter by letter; then read what a hasty hand has typed."""
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    kinds = ("files", "network")
    texts, labels = zip(*(row for row in train if row[1] in kinds), strict=True)
    held_texts, truth = zip(*(row for row in test if row[1] in kinds), strict=True)
    luck = random.Random(0)  # noqa: S311
    hasty = [swap_letters(text, luck) for text in held_texts]
    print(f"\n{held_texts[0][:40]!r} -> {hasty[0][:40]!r}")
    most = max(truth.count(kind) for kind in kinds) / len(truth)
    print(f"always the most frequent kind: {most:.2f}")
    letters = {
        "tokenizer__name": "char",
        "tokenizer__max_length": 160,
        "embedding__dim": 16,
        "encoder__widths": (3, 5, 7),
    }
    for unit, options in (("words", {}), ("letters", letters)):
        model = TextClassifier(
            encoder="cnn",
            encoder__dim=32,
            training__epochs=12,
            training__threads=1,
            **options,
        ).fit(texts, labels)
        clean, typed = model.score(held_texts, truth), model.score(hasty, truth)
        print(f"{unit:7} held out, right: {clean:.2f}, and typed in haste: {typed:.2f}")


def main() -> None:
    torch.set_num_threads(1)
    read_images()
    read_letters()


if __name__ == "__main__":
    main()
