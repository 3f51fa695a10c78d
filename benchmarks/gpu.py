"""Training and embedding on one GPU, beside bare loops and sentence-transformers, in one run.

    python benchmarks/gpu.py [--json FILE]           # any machine with one GPU, under 8 minutes
    python benchmarks/gpu.py --device cpu --quick    # see it work; its figures say nothing of a GPU

It needs torch, transformers, accelerate, tokenizers, pyarrow and pydantic, and no data: texts are
the docstrings of the standard library, networks are drawn at random, and the tokenizer is trained
here. What it tells:

- rate: what a large matrix product reaches on this card, for each precision; TF32 is off in fp32.
- tokens/s: real tokens, padding does not count; contenders run in turn, the best round counts.
- share: floating-point operations of the real tokens' products (`flops_per_row`; a training does
  three times those of a forward pass) as a share of that rate. Padding, lookups, norms and softmax
  count as nothing.
- waits: an upper bound of the time in which the device had nothing to do since no batch was ready.
  Training: seconds of taking and collating batches that ended with an empty queue. Embedding: all
  seconds outside the network. `host` are the seconds of the same work whether the device waited or
  not.
- logits: largest difference between this device and the CPU, float32, TF32 off; and what float64
  on the CPU says of both.

The contenders of a training: textkit's loop; a bare loop (zero_grad, forward, backward, clip, step)
over the same network and batches; a bare loop over a network of `torch.nn`'s own modules of the
same widths. In bf16 the cells of our LSTM stay in float32 (with TF32), while torch.nn's run in
float16, as torch's autocast has it. Of an embedding: textkit, sentence-transformers as it is (32
texts a batch) and with 256, or, where it is not installed, its loop over bare transformers.
GB is the peak of the card's memory; the weights of an embedder do not count.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import importlib.util
import itertools
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
NEEDS = ("numpy", "torch", "transformers", "accelerate", "tokenizers", "pyarrow", "safetensors")
missing = [name for name in (*NEEDS, "pydantic") if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"benchmarks/gpu.py needs {', '.join(missing)}: pip install {' '.join(missing)}")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from gpu_embedding import Busy, make_peers, save_sentence_model  # noqa: E402
from gpu_tables import Figures, Row, misses, tell  # noqa: E402
from gpu_training import (  # noqa: E402
    MAX_LENGTH,
    N_CLASSES,
    Clock,
    Plain,
    collect_texts,
    flops_per_row,
    train_bare,
)
from torch import nn  # noqa: E402

from textkit import TextEmbedder, TokenBatch, tokenizers  # noqa: E402
from textkit.nn.network import TextNetwork, predict_outputs  # noqa: E402
from textkit.recipe import Recipe, complete_recipe, make_recipe  # noqa: E402
from textkit.tokenizers import Tokenizer  # noqa: E402
from textkit.training.examples import Examples  # noqa: E402
from textkit.training.loop import train_network  # noqa: E402
from textkit.watch import Watch  # noqa: E402

ENCODERS = ("bag", "cnn", "gru", "lstm", "mixer", "rnn", "transformer")


@dataclass(frozen=True)
class Sizes:
    """How much is run. seconds: of one measurement, about; limit: of all, in seconds."""

    dim: int
    layers: int
    batch_size: int
    embedders: dict[str, tuple[int, int, int, int]]  # width, layers, heads; texts to embed
    matrix: int
    n_files: int | None
    seconds: float
    rounds: int
    limit: float


MODELS = {"MiniLM": (384, 6, 12, 60_000), "base": (768, 12, 12, 15_000)}
WHOLE = Sizes(512, 6, 256, MODELS, 8192, None, 4.0, 2, 420)
QUICK = Sizes(32, 1, 16, {"tiny": (32, 1, 2, 200)}, 512, 60, 0.3, 1, 60)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def allow_tf32(*, allowed: bool) -> None:
    """Let products of float32 run in TF32, or not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def matrix_rate(device: torch.device, dtype: torch.dtype, n: int) -> float:
    """Measure the operations a second of n x n products of random numbers."""
    left, right = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        left @ right
    synchronize(device)
    began = time.perf_counter()
    for _ in range(10):
        left @ right
    synchronize(device)
    return 10 * 2 * n**3 / (time.perf_counter() - began)


class Bench:
    """All measurements of one machine."""

    def __init__(self, device: torch.device, sizes: Sizes) -> None:
        self.device, self.sizes, self.began = device, sizes, time.perf_counter()
        is_gpu = device.type == "cuda"
        card = torch.cuda.get_device_name() if is_gpu else "CPU"
        self.figures = Figures(card, torch.__version__, is_real=is_gpu and sizes is WHOLE)
        self.texts = collect_texts(sizes.n_files)
        self.tokenizer: Tokenizer = tokenizers.train("wordpiece", self.texts, size=30_000)
        self.tokens: TokenBatch = self.tokenizer.encode(self.texts, max_length=MAX_LENGTH)
        for name, dtype, tf32 in (
            ("fp32", torch.float32, False),
            ("tf32", torch.float32, True),
            ("bf16", torch.bfloat16, True),
        ):
            allow_tf32(allowed=tf32)
            self.figures.rates[name] = matrix_rate(device, dtype, sizes.matrix)

    def attempt(self, measure: Callable[[str, str], None], name: str, precision: str) -> None:
        """Measure one thing unless the time is over; what breaks is a note, the rest goes on."""
        what = f"{measure.__name__} {name} {precision}"
        if time.perf_counter() - self.began > self.sizes.limit:
            self.figures.notes.append(f"left out, the time was over: {what}")
            return
        try:
            measure(name, precision)
        except Exception as err:  # noqa: BLE001
            traceback.print_exc()
            self.figures.notes.append(
                f"FAILED {what}: {type(err).__name__}: {' '.join(str(err).split())}"
            )
        print(f"{time.perf_counter() - self.began:4.0f} s: {what}", file=sys.stderr, flush=True)

    def start_peak(self) -> None:
        """Forget the highest memory of the card so far."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.held = torch.cuda.memory_allocated()

    def peak(self) -> int | None:
        """Give the highest memory of the card since then, beyond what was held already."""
        if self.device.type != "cuda":
            return None
        return int(torch.cuda.max_memory_allocated()) - self.held

    def network(self, recipe: Recipe) -> TextNetwork:
        """Draw a network for the tokenizer's ids."""
        torch.manual_seed(0)
        return TextNetwork(recipe, n_tokens=len(self.tokenizer.vocabulary), n_outputs=N_CLASSES)

    def repeat(self, n: int) -> Examples:
        """Give n rows, the texts over and over, with targets that mean nothing."""
        rows = np.arange(n) % len(self.tokens)
        return Examples(self.tokens.take(rows), (rows % N_CLASSES).astype(np.int64))

    def train(self, model: str, precision: str) -> None:
        """Measure one training by all contenders."""
        sizes, dim = self.sizes, self.sizes.dim
        allow_tf32(allowed=precision != "fp32")
        options: dict[str, object] = {"encoder__name": model.partition(",")[0]}
        layers = 2 if model.startswith("lstm") else sizes.layers
        width, batch_size = dim, sizes.batch_size
        if model.endswith("recipe"):
            dim, layers, width, batch_size = 64, 1, 100, 32
        else:
            options |= {"embedding__dim": dim, "encoder__dim": dim, "encoder__layers": layers}
            if model == "transformer":
                options["encoder__heads"] = max(2, dim // 64)
        recipe = complete_recipe(
            make_recipe(
                **options,
                training__epochs=1,
                training__lr=1e-4,
                training__batch_size=batch_size,
                training__device=self.device.type,
                training__precision=precision,
            )
        )
        network = self.network(recipe)
        if model != "transformer":
            assert network.members[0].encoder.out_dim == 2 * dim
        plain = Plain(
            model, n_tokens=len(self.tokenizer.vocabulary), width=width, dim=dim, layers=layers
        )

        def bare(module: nn.Module, data: Examples) -> tuple[float, Clock]:
            return train_bare(module, data, recipe, self.device, network)

        def ours(module: TextNetwork, data: Examples) -> tuple[float, Clock]:
            clock, valid = Clock(self.device), self.repeat(8)
            history = train_network(module, data, valid, recipe, watch=Watch(stage=clock.stage))
            return int(data.tokens.lengths.sum()) / history.tokens_per_second, clock

        contenders: dict[str, tuple[nn.Module, Callable[..., tuple[float, Clock]]]] = {
            "textkit": (network, ours),
            "bare loop": (network, bare),
            "torch.nn, bare loop": (plain, bare),
        }
        few = self.repeat(6 * batch_size)
        for module, run in contenders.values():  # warms up
            run(copy.deepcopy(module), few)
        each = bare(copy.deepcopy(network), few)[0] / 6
        n_batches = int(np.clip(sizes.seconds / each, 6, 3000))
        data = self.repeat(n_batches * batch_size)
        lengths = data.tokens.lengths
        flops = 3 * flops_per_row(model, lengths, width=width, dim=dim, layers=layers).sum()
        best: dict[str, Row] = {}
        for _, (name, (module, run)) in itertools.product(range(sizes.rounds), contenders.items()):
            self.start_peak()
            seconds, clock = run(copy.deepcopy(module), data)
            row = Row(
                "train",
                model,
                precision,
                name,
                int(lengths.sum()) / seconds,
                flops / seconds / self.figures.rates[precision],
                self.peak(),
                clock.waits / seconds,
                clock.host / seconds,
            )
            if name not in best or row.tokens_per_second > best[name].tokens_per_second:
                best[name] = row
        self.figures.rows += best.values()

    def embed(self, name: str, precision: str) -> None:
        """Measure embedding by one model of random weights."""
        allow_tf32(allowed=precision != "fp32")
        dim, layers, heads, n_texts = self.sizes.embedders[name]
        rows = np.arange(n_texts) % len(self.texts)
        texts = [self.texts[row] for row in rows]
        with tempfile.TemporaryDirectory() as place:
            folder = save_sentence_model(Path(place), self.tokenizer, dim, layers, heads)
            embedder = TextEmbedder.open(
                folder,
                device=self.device.type,
                precision={"fp32": "float32", "bf16": "bfloat16"}[precision],
            )
            backend: Any = embedder.backend
            lengths = backend.encode(texts).lengths
            dtype = torch.float32 if precision == "fp32" else torch.bfloat16
            peers = make_peers(folder, dtype, self.device, self.figures.notes)
            busy = Busy(backend.network, self.device)
            contenders = {"textkit": embedder.encode, **peers}
            few = texts[: max(64, len(texts) // 50)]
            vectors = {key: np.asarray(run(few), np.float32) for key, run in contenders.items()}
            for key, made in vectors.items():
                difference = float(np.abs(made - vectors["textkit"]).max())
                if difference > (1e-4 if precision == "fp32" else 0.1):
                    self.figures.notes.append(
                        f"{name} {precision}: vectors of {key} differ by {difference:.1e}"
                    )
            flops = flops_per_row("", lengths, width=0, dim=dim, layers=layers).sum()
            best: dict[str, Row] = {}
            rounds = itertools.product(range(self.sizes.rounds), contenders.items())
            for _, (key, run) in rounds:
                self.start_peak()
                busy.clear()
                synchronize(self.device)
                began = time.perf_counter()
                run(texts)
                seconds = time.perf_counter() - began
                is_ours = key == "textkit"
                waits = 1 - busy.seconds() / seconds if is_ours else None
                share = flops / seconds / self.figures.rates[precision]
                speed = int(lengths.sum()) / seconds
                row = Row("embed", name, precision, key, speed, share, self.peak(), waits)
                if key not in best or speed > best[key].tokens_per_second:
                    best[key] = row
            self.figures.rows += best.values()

    def check_logits(self) -> None:
        """Compare this device with the CPU, and both with float64, for every encoder."""
        allow_tf32(allowed=False)
        tokens = self.tokens.take(np.arange(min(64, 4 * self.sizes.batch_size, len(self.tokens))))
        for name in ENCODERS:
            network = self.network(complete_recipe(make_recipe(encoder__name=name))).eval()
            here = predict_outputs(copy.deepcopy(network).to(self.device), tokens)
            cpu = predict_outputs(copy.deepcopy(network), tokens)
            exact = predict_outputs(copy.deepcopy(network).double(), tokens)
            self.figures.logits[name] = {
                "from_cpu": float((here - cpu).abs().max()),
                "from_float64": float((here - exact).abs().max()),
                "cpu_from_float64": float((cpu - exact).abs().max()),
            }

    def finish(self, path: Path | None) -> Figures:
        """Look at the limits, and write the figures so far."""
        self.figures.missed = misses(self.figures)
        self.figures.seconds = time.perf_counter() - self.began
        if path is not None:
            path.write_text(json.dumps(asdict(self.figures), indent=1), encoding="utf-8")
        return self.figures


def main() -> None:
    """Measure, print the table, and write it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--quick", action="store_true", help="tiny networks, a look at the script")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go, too")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here that torch can use; --device cpu --quick shows the script at work")
        return
    warnings.filterwarnings("ignore")
    if options.device == "cpu":
        torch.set_num_threads(1)
    sizes = QUICK if options.quick else WHOLE
    bench = Bench(torch.device(options.device), sizes)
    print(f"{bench.figures.device}, torch {torch.__version__}", flush=True)
    jobs = [(bench.train, model) for model in ("lstm", "transformer", "lstm, default recipe")]
    jobs += [(bench.embed, name) for name in sizes.embedders]
    with contextlib.suppress(KeyboardInterrupt):
        bench.check_logits()
        for (measure, name), precision in itertools.product(jobs, ("fp32", "bf16")):
            bench.attempt(measure, name, precision)
            bench.finish(options.json)
    sys.stderr.flush()
    print("\n".join(tell(bench.finish(options.json))))


if __name__ == "__main__":
    main()
