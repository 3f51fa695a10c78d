"""Course, page 6: recurrent networks read a time series and texts.

The series is an electroencephalogram that comes with matplotlib: 800 samples of the current of a
brain. The texts are the standard library's docstrings. Both are read by the same three encoders.
"""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.cbook import get_sample_data
from torch import Tensor, nn

from textkit import TextClassifier
from textkit.data import quickstart
from textkit.evaluation.figures import BLUE, GREY, ORANGE, new_figure, save_figure
from textkit.nn.sequences import SequenceNetwork, cut_windows

NAMES = ("rnn", "gru", "lstm")
LENGTH, EPOCHS, BATCH, RATE = 16, 20, 32, 5e-3


def read_series() -> tuple[Tensor, Tensor]:
    """Give the first 70 % of the first trace, to learn from, and the rest, both scaled by what is
    known of the first part alone.
    """
    path = get_sample_data("eeg.dat", asfileobj=False)
    trace = torch.tensor(np.fromfile(path, dtype=np.float64).reshape(800, 4)[:, 0])
    known, later = trace[:560].float(), trace[560:].float()
    return (known - known.mean()) / known.std(), (later - known.mean()) / known.std()


def learn(name: str, windows: Tensor, following: Tensor) -> SequenceNetwork:
    """Train an encoder to say how the value behind a window differs from the window's last."""
    torch.manual_seed(0)
    network = SequenceNetwork(
        name, in_dim=1, out_dim=1, pooling=["last"], dim=24, bidirectional=False
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    steps = EPOCHS * -(-len(windows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    luck = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(windows), generator=luck).split(BATCH):
            change = following[rows] - windows[rows, -1, 0]
            loss = nn.functional.smooth_l1_loss(network(windows[rows])[:, 0], change)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return network.eval()


def tell(network: SequenceNetwork, windows: Tensor) -> Tensor:
    """Give the value that a network expects behind each window."""
    with torch.no_grad():
        return windows[:, -1, 0] + network(windows)[:, 0]


def straight(windows: Tensor, following: Tensor, later: Tensor) -> Tensor:
    """Fit a weight for each place of a window, the plainest model of a series there is."""
    places = [torch.cat([part[:, :, 0], torch.ones(len(part), 1)], 1) for part in (windows, later)]
    return places[1] @ torch.linalg.lstsq(places[0], following).solution


def read_series_aloud() -> None:
    known, later = read_series()
    windows, following = cut_windows(known, LENGTH)
    held_windows, truth = cut_windows(later, LENGTH)  # no window reaches over the cut
    print(f"{len(windows)} windows of {LENGTH} to learn from, {len(held_windows)} held out")

    told = {"last value": held_windows[:, -1, 0]}
    told["linear"] = straight(windows, following, held_windows)
    told |= {name: tell(learn(name, windows, following), held_windows) for name in NAMES}
    errors = {name: (guess - truth).abs().mean().item() for name, guess in told.items()}
    for name, error in errors.items():
        print(f"{name:13}  mean error {error:.3f}")
    assert all(errors[name] < 0.95 * errors["last value"] for name in NAMES)

    figure = new_figure(7, 3)
    axes = figure.add_subplot()
    axes.plot(truth[:120], color=GREY, linewidth=2.5, alpha=0.6, label="what came")
    axes.plot(told["last value"][:120], color=BLUE, linewidth=1, label="last value")
    axes.plot(told["gru"][:120], color=ORANGE, linewidth=1.3, label="gru")
    axes.set(xlabel="sample of the held-out part", ylabel="current, scaled")
    axes.legend(frameon=False, ncols=3, loc="upper center")
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, "06-rnn.png")


def read_texts_aloud() -> None:
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    kinds = ("files", "network")
    texts, labels = zip(*(row for row in train if row[1] in kinds), strict=True)
    test_texts, truth = zip(*(row for row in test if row[1] in kinds), strict=True)
    print(f"\n{len(texts):,} texts to learn from, {len(test_texts)} held out, of two classes")
    for name in NAMES:
        model = TextClassifier(
            encoder=name,
            encoder__dim=32,
            embedding__dim=50,
            tokenizer__max_length=32,
            training__epochs=4,
            training__threads=1,
        ).fit(texts, labels)
        reached = model.score(test_texts, truth)
        print(f"{name:13}  right {reached:.2f}")
        assert reached > 0.7


if __name__ == "__main__":
    torch.set_num_threads(1)  # networks this small lose by sharing their work
    read_series_aloud()
    read_texts_aloud()
