"""How long a training step of each encoder takes, beside torch's own layers of the same size, in
one run.

Forward and backward over 32 rows of 36 to 40 tokens, 128 wide, as length buckets give them, on one
thread; rounds go through all of them in turn, and the best of each is printed. `lstm` and `gru`
have torch's packed bidirectional layers beside them, `cnn` Conv1d, `transformer`
nn.TransformerEncoder (pre-norm).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from textkit.nn import encoders

Run = Callable[[Tensor, Tensor, Tensor], Tensor]
ROWS, WIDTH, DIM = 32, 40, 128


def peers() -> Iterator[tuple[str, nn.Module, Run]]:
    for name, cell in (("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)):
        layer = cell(DIM, 64, batch_first=True, bidirectional=True)
        yield f"{name}: torch, packed", layer, packed(layer)
    convolutions = nn.ModuleList(
        nn.Conv1d(DIM, 100, width, padding=width // 2) for width in (3, 4, 5)
    )
    yield "cnn: torch's Conv1d", convolutions, convolved(convolutions)
    layer = nn.TransformerEncoderLayer(DIM, 4, 512, 0.1, "gelu", batch_first=True, norm_first=True)
    stack = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    yield (
        "transformer: torch's",
        stack,
        lambda states, mask, lengths: stack(states, src_key_padding_mask=~mask),
    )


def packed(layer: nn.RNNBase) -> Run:
    def run(states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        rows = pack_padded_sequence(states, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(layer(rows)[0], batch_first=True, total_length=states.shape[1])[
            0
        ]

    return run


def convolved(convolutions: nn.ModuleList) -> Run:
    def run(states: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        channels = states.masked_fill(~mask.unsqueeze(-1), 0.0).transpose(1, 2)
        found = torch.cat([convolve(channels)[:, :, -WIDTH:] for convolve in convolutions], dim=1)
        return found.relu().transpose(1, 2).masked_fill(~mask.unsqueeze(-1), 0.0)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    chosen: list[tuple[str, nn.Module, Run]] = []
    for name in ("lstm", "gru", "rnn", "cnn", "transformer", "mixer"):
        encoder = encoders.create(name, in_dim=DIM)
        chosen.append((name, encoder, encoder))
    chosen += peers()
    states = torch.randn(ROWS, WIDTH, DIM, requires_grad=True)
    lengths = torch.randint(36, WIDTH + 1, (ROWS,))
    lengths[0] = WIDTH
    mask = torch.arange(WIDTH) < lengths[:, None]
    best = dict.fromkeys((name for name, _, _ in chosen), float("inf"))
    for _ in range(options.rounds):
        for name, module, run in chosen:
            module.zero_grad()
            started = time.perf_counter()
            run(states, mask, lengths).sum().backward()
            best[name] = min(best[name], time.perf_counter() - started)
    n_tokens = int(lengths.sum())
    for name, module, _ in sorted(chosen, key=lambda row: row[0]):
        size = sum(value.numel() for value in module.parameters())
        print(
            f"{name:24} {1000 * best[name]:7.1f} ms {n_tokens / best[name]:9,.0f} tokens/s"
            f" {size:9,} parameters"
        )


if __name__ == "__main__":
    main()
