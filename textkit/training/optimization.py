"""Optimisers and learning rates: which weights move, how far, and when.

Everything is a pure function of the recipe.

The rate is a function of the progress alone, so a resumed training needs no scheduler's state.
"""

from __future__ import annotations

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from textkit.nn.network import TextNetwork
from textkit.recipe.sections import TrainingSection

# reduce-on-plateau: after this many epochs without a better score the rate falls by this factor.
PLATEAU_EPOCHS, PLATEAU_FACTOR = 2, 0.5
# one-cycle (Smith 2018): the share of the training that rises, unless warmup says another.
RISING_SHARE = 0.3
# sweep rises geometrically from this share of the rate.
LOWEST_SHARE = 1e-6


def make_optimizer(network: TextNetwork, section: TrainingSection) -> torch.optim.Optimizer:
    """Make AdamW or SGD with momentum; an encoder may have a rate of its own.

    Every group has `share`: its rate divided by the recipe's. Raises UsageError for a layer_decay
    without layers.
    """
    groups = network.parameter_groups(
        encoder_share=1.0 if section.encoder_lr is None else section.encoder_lr / section.lr,
        layer_decay=section.layer_decay,
        weight_decay=section.weight_decay,
    )
    settings = [
        {"params": group.weights, "weight_decay": group.weight_decay, "share": group.share}
        for group in groups
    ]
    if section.optimizer == "sgd":
        return _without_wrappers(torch.optim.SGD)(
            settings, lr=section.lr, momentum=section.momentum
        )
    # fused: one pass over each weight instead of ten, which is most of a step where a table is
    # large.
    return _without_wrappers(torch.optim.AdamW)(settings, lr=section.lr, fused=True)


def _without_wrappers(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Give an optimiser's class without the wrappers that import torch's compiler at their first
    call.

    The wrappers matter only under torch.compile of the optimiser itself, which we never do; the
    import takes 1.4 s of processor time, half as much again as torch's own (`python -X importtime`,
    torch 2.13).
    """
    names = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods: dict[str, object] = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), methods)


class WeightAverage:
    """A running average of the weights that are trained, which validates and is kept.

    decay: of the average at each step; 0 keeps none, and all methods do nothing.

    >>> from textkit.recipe import Recipe
    >>> network = TextNetwork(Recipe(), n_tokens=3, n_outputs=2)
    >>> len(WeightAverage(network, decay=0.0).values)
    0
    """

    def __init__(self, network: TextNetwork, *, decay: float) -> None:
        self.network, self.decay = network, decay
        self.values = {name: value.clone() for name, value in self._present()} if decay else {}

    def update(self, steps: int) -> None:
        """Take the weights after a step, when there were `steps` before it."""
        if self.values:
            # The first averages are short: the weights of the first steps are not worth keeping.
            decay = min(self.decay, (1 + steps) / (10 + steps))
            present = [value for _, value in self._present()]
            torch._foreach_lerp_(list(self.values.values()), present, 1 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average in the weights' place for a while."""
        present = self._present() if self.values else []
        own = [value.clone() for _, value in present]
        for name, value in present:
            value.copy_(self.values[name])
        yield
        for (_, value), before in zip(present, own, strict=True):
            value.copy_(before)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Go on from another average of the same weights."""
        self.values = {name: values[name].to(value) for name, value in self.values.items()}

    def _present(self) -> list[tuple[str, Tensor]]:
        """Give the weights as they are now, in the memory that they have."""
        named = self.network.named_parameters()
        return [(name, value.detach()) for name, value in named if value.requires_grad]


def rate_factor(section: TrainingSection, progress: float, scores: Sequence[float] = ()) -> float:
    """Give the learning rate's factor. progress: 0 to 1 of the epochs.

    scores: of the epochs so far, higher is better.

    >>> section = TrainingSection(schedule="linear", warmup=0.5)
    >>> [rate_factor(section, progress) for progress in (0.25, 0.5, 0.75)]
    [0.5, 1.0, 0.5]
    """
    rising = section.warmup or (RISING_SHARE if section.schedule == "one-cycle" else 0.0)
    if progress < rising:
        share = progress / rising
        return (
            0.04 + 0.96 * (1 - math.cos(math.pi * share)) / 2
            if section.schedule == "one-cycle"
            else share
        )
    share = (progress - rising) / (1 - rising)
    if section.schedule == "linear":
        return 1 - share
    if section.schedule in ("cosine", "one-cycle"):
        return (1 + math.cos(math.pi * share)) / 2
    if section.schedule == "sweep":  # for the rate finder
        return float(LOWEST_SHARE ** (1 - progress))
    if section.schedule == "plateau":
        return plateau_factor(scores)
    return 1.0


def plateau_factor(scores: Sequence[float]) -> float:
    """Halve the rate each time that PLATEAU_EPOCHS epochs have brought no better score.

    >>> plateau_factor([0.5, 0.6, 0.6, 0.6, 0.7])
    0.5
    """
    factor, best, waited = 1.0, -math.inf, 0
    for score in scores:
        waited = 0 if score > best else waited + 1
        best = max(best, score)
        if waited == PLATEAU_EPOCHS:
            factor, waited = factor * PLATEAU_FACTOR, 0
    return factor


def set_rates(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of a rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]
