"""Train the LSTM recipe beside transformers' Trainer and beside a bare PyTorch loop, in one run.

The same network, the same encoded texts, AdamW, one epoch. `Trainer`: random batches of 32 padded
to their longest row, as people use it. `bare`: zero_grad, forward, backward, clip, step over
textkit's own batches, nothing else. Rounds are interleaved and the best of each counts. Real tokens
a second: padding does not count.

    python benchmarks/train_speed.py [--rows N] [--rounds N] [--threads N]
"""

from __future__ import annotations

import argparse
import copy
import csv
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from textkit import tokenizers
from textkit.data import quickstart
from textkit.data.batching import plan_batches
from textkit.nn.collate import collate
from textkit.nn.network import TextNetwork
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.training.examples import Examples
from textkit.training.loop import train_network
from textkit.watch import Watch

SHARED = Path(__file__).parents[2] / "shared" / "data" / "train_dev"


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    texts, labels = read_rows(options.rows)
    recipe = complete_recipe(
        make_recipe(
            training__epochs=1,
            training__device="cpu",
            training__threads=options.threads,
            encoder__dim=128,
        )
    )
    tokenizer = tokenizers.train("word", texts, lowercase=True)
    tokens = tokenizer.encode(texts, max_length=512)
    _, codes = np.unique(labels, return_inverse=True)
    train = Examples(tokens, codes.astype(np.int64))
    valid = Examples(tokens.take(np.arange(64)), train.targets[:64])
    torch.manual_seed(0)
    network = TextNetwork(
        recipe, n_tokens=len(tokenizer.vocabulary), n_outputs=int(codes.max()) + 1
    )
    contenders: dict[str, Callable[[TextNetwork], float]] = {
        "textkit": lambda net: time_textkit(net, train, valid, recipe),
        "bare loop, the same batches": lambda net: time_bare(net, train, recipe),
        "transformers Trainer, random batches": lambda net: time_trainer(net, train),
    }
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(options.rounds):
        for name, run in contenders.items():
            best[name] = min(best[name], run(copy.deepcopy(network)))
    n_tokens = len(tokens.ids)
    print(
        f"{len(texts):,} texts, {n_tokens / len(texts):.0f} tokens a text, {options.threads}"
        f" threads"
    )
    for name, seconds in best.items():
        ratio = best[name] / best["textkit"]
        print(
            f"{name:38} {seconds:6.2f} s {n_tokens / seconds:10,.0f} tokens/s   textkit is"
            f" {ratio:.2f} x as fast"
        )


def read_rows(n_rows: int) -> tuple[list[str], list[str]]:
    """Read AG News where it lies beside the project, or the quick-start data."""
    path = SHARED / "ag_news_train_subset.csv"
    if not path.exists():
        print("AG News is not beside the project: the quick-start data stand in")
        quickstart.write_docstrings("data")
        path = Path("data/train.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:n_rows]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def time_textkit(network: TextNetwork, train: Examples, valid: Examples, recipe: Recipe) -> float:
    """Seconds of the training loop's batches, validation left out."""
    history = train_network(network, train, valid, recipe, watch=Watch())
    return int(train.tokens.lengths.sum()) / history.tokens_per_second


def time_bare(network: TextNetwork, train: Examples, recipe: Recipe) -> float:
    """Seconds of the shortest loop that trains."""
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.training.lr, fused=True)
    plan = plan_batches(train.tokens.lengths, batch_size=32, seed=0, epoch=1)
    started = time.perf_counter()
    for rows in plan:
        batch = network.make_batch(train.tokens.take(rows), targets=train.targets[rows])
        optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(network(batch), batch.targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    return time.perf_counter() - started


def time_trainer(network: TextNetwork, train: Examples) -> float:
    """Seconds of transformers' Trainer over the same network."""
    import transformers

    class Wrapped(torch.nn.Module):
        """The network as Trainer wants it: keyword tensors in, loss and logits out."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, rows: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            batch = collate(train.tokens.take(rows.numpy()), pad_id=0)
            logits = self.network(batch)
            return {"loss": functional.cross_entropy(logits, labels), "logits": logits}

    dataset = [{"rows": i, "labels": int(label)} for i, label in enumerate(train.targets)]
    arguments = transformers.TrainingArguments(
        output_dir="trainer",
        num_train_epochs=1,
        per_device_train_batch_size=32,
        learning_rate=4e-3,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
        remove_unused_columns=False,
    )
    trainer = transformers.Trainer(model=Wrapped(), args=arguments, train_dataset=dataset)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
