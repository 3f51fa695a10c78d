"""Where random numbers of a network come from: a generator of one fit, not torch's global one.

In: a seeded generator. Out: first weights and dropout drawn from it, by this thread alone: fits in
several threads draw what each would draw alone, and the caller's generators stay as they are.

Three ways, from the first that will do:

1. First weights: `first_draws` hands the generator to whatever torch and transformers draw with.
2. Dropout of our own layers asks `own_generator()`, which `draws_of_fit` sets for a thread.
3. What draws where nobody can hand it a generator (a pretrained model's attention, an encoder of
   the user's own, CUDA's kernels, a compiled graph) takes torch's global generators, as
   `draws_of_fit` lends them to one fit after the other, and leaves them as they were.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from textkit.nn.devices import choose_device
from textkit.recipe import Recipe
from textkit.registry import BUILT_IN
from textkit.threads import SharedLock

# Names of functions of torch, of its tensors and of torch.nn.init that draw, by a generator where
# they are given one. Names, since transformers puts functions of its own in the place of torch's.
_DRAWING = frozenset(
    [
        *("bernoulli", "multinomial", "normal", "rand", "randint", "randn", "randperm"),
        *("bernoulli_", "exponential_", "log_normal_", "normal_", "random_", "uniform_"),
        *("kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"),
        *("orthogonal_", "sparse_", "trunc_normal_"),
    ]
)
# While it loads a model transformers changes functions of torch, and the type of new numbers, for
# all threads: one network is made at a time.
making = SharedLock()
_global = SharedLock()


class _Here(threading.local):
    """What this thread draws from."""

    generator: torch.Generator | None = None


_here = _Here()


def own_generator() -> torch.Generator | None:
    """Give the generator of the fit that this thread runs; None, torch's global one, outside."""
    return _here.generator


@contextlib.contextmanager
def drawing(generator: torch.Generator | None) -> Iterator[None]:
    """Let this thread's layers draw from a generator; None is torch's global one."""
    before, _here.generator = _here.generator, generator
    try:
        yield
    finally:
        _here.generator = before


class _FirstDraws(TorchFunctionMode):
    """Hand a generator to every function that draws on the CPU and was given none."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        options, name = dict(kwargs or {}), getattr(func, "__name__", "")
        values = (*args, *options.values())
        given = any(isinstance(value, torch.Generator) for value in values)
        drawn = next((value for value in values if isinstance(value, Tensor)), None)
        device = options.get("device") or ("cpu" if drawn is None else drawn.device)
        kind = torch.device(str(device)).type
        # Without memory there is nothing to draw, but torch imports its compiler, which takes 1 s.
        if kind == "meta" and drawn is not None and name in _DRAWING and name.endswith("_"):
            return drawn
        if kind == "cpu" and name in _DRAWING and not given:
            options["generator"] = self._generator
        return func(*args, **options)


@contextlib.contextmanager
def first_draws(seed: int) -> Iterator[None]:
    """Draw first weights as torch draws them after `torch.manual_seed(seed)`, beside its global
    generator.

    >>> before = torch.get_rng_state()
    >>> with first_draws(1):
    ...     first = torch.nn.Linear(2, 2).weight
    >>> bool((before == torch.get_rng_state()).all())
    True
    """
    with making, _FirstDraws(torch.Generator().manual_seed(seed)):
        yield


def draws_apart(recipe: Recipe) -> bool:
    """Tell whether a fit draws from `own_generator` alone: its layers are our own, on the CPU.

    >>> draws_apart(Recipe())
    True
    """
    name, section = recipe.encoder.name, recipe.training
    ours = name in BUILT_IN["encoder"] and name != "pretrained"
    ours = ours and all(pooling in BUILT_IN["pooling"] for pooling in recipe.head.pooling)
    return ours and not section.compile and choose_device(section.device).type == "cpu"


@contextlib.contextmanager
def draws_of_fit(recipe: Recipe) -> Iterator[None]:
    """Let this thread draw for a fit.

    Fits that draw from torch's global generators wait for each other, and leave them as they were.
    """
    if draws_apart(recipe):
        with drawing(torch.Generator()):
            yield
    else:
        with _global, torch.random.fork_rng(), drawing(None):
            torch.manual_seed(recipe.seed)
            yield


def seed_draws(seed: int) -> None:
    """Seed what this thread's layers draw from."""
    generator = own_generator()
    if generator is None:
        torch.manual_seed(seed)
    else:
        generator.manual_seed(seed)
