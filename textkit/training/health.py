"""What goes on inside a network while it learns: gradients, updates, activations, dead units.

In: a network, at each step and at the end of each epoch. Out: a Health an epoch. It is measured
only where a Watch asks for it, and changes no weight and no random choice:

1. each step gives the norm of its gradients before they are clipped;
2. the last step of an epoch gives, layer by layer, how long its update is beside the weights;
3. after the validation some of its rows go through again, and the outputs of each layer are looked
   at: their size, and the units that say the same at every position.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from textkit.data.rows import Rows
from textkit.nn.layers import Dropout
from textkit.nn.network import TextNetwork
from textkit.watch import Health

_ROWS = 64  # of the validation, the first, that the activations are of
# Outputs of a unit that differ by less say the same at every position.
_SAME = 1e-7


class Probe:
    """Gather the health of an epoch; `end_epoch` gives it and begins anew."""

    def __init__(self, network: TextNetwork, *, clip: float) -> None:
        self.network, self.clip = network, clip
        self._norms: list[Tensor] = []
        self._before: dict[str, Tensor] = {}
        self._ratios: dict[str, float] = {}

    def before_step(self, norm: Tensor, *, is_last: bool) -> None:
        """Take the norm of a step's gradients, and the weights where the step is the last."""
        self._norms.append(norm.detach())  # read at the epoch's end: reading waits for a GPU
        if is_last:
            self._before = {
                name: weight.detach().clone()
                for name, weight in self.network.named_parameters()
                if weight.grad is not None
            }

    def after_step(self) -> None:
        """Compare the weights with what they were before the epoch's last step."""
        sums: dict[str, tuple[float, float]] = {}
        for name, weight in self.network.named_parameters():
            if name in self._before:
                old = self._before[name]
                update = float((weight.detach() - old).double().square().sum())
                layer = _spell(self.network, name.rpartition(".")[0])
                so_far = sums.get(layer, (0.0, 0.0))
                sums[layer] = (so_far[0] + update, so_far[1] + float(old.double().square().sum()))
        if self._before:
            self._ratios = {
                layer: (update / size) ** 0.5 for layer, (update, size) in sums.items() if size > 0
            }
        self._before = {}

    def end_epoch(self, epoch: int, rows: Rows) -> Health:
        """Look at what the layers give for some rows; the network stands on its device."""
        norms = torch.stack(self._norms).tolist() if self._norms else []
        ratios = self._ratios
        self._norms, self._ratios = [], {}
        sizes, dead = self._look(rows)
        clipped = float(np.mean([norm > self.clip for norm in norms])) if norms else 0.0
        middle = float(np.median(norms)) if norms else 0.0
        return Health(epoch, middle, clipped, ratios, sizes, dead)

    def _look(self, rows: Rows) -> tuple[dict[str, float], dict[str, float]]:
        """Give the root mean square of each layer's outputs, and its share of dead units."""
        squares: dict[str, list[float]] = {}
        shares: dict[str, list[float]] = {}
        if not len(rows):
            return {}, {}
        device = next(self.network.parameters()).device
        tokens = rows.take(np.arange(min(_ROWS, len(rows))))
        batch = self.network.make_batch(tokens).to(device)
        mask = getattr(batch, "attention_mask", None)

        def watch(name: str, output: object) -> None:
            values = _real(output, mask)
            if values is None or len(values) < 2:
                return
            squares.setdefault(name, []).append(float(values.double().square().mean()))
            spread = values.amax(dim=0) - values.amin(dim=0)
            shares.setdefault(name, []).append(float((spread < _SAME).double().mean()))

        handles = [
            module.register_forward_hook(lambda _, __, output, name=name: watch(name, output))
            for name, module in _layers(self.network)
        ]
        was_training = self.network.training
        self.network.eval()
        try:
            with torch.inference_mode():
                self.network(batch)
        finally:
            self.network.train(was_training)
            for handle in handles:
                handle.remove()
        sizes = {name: float(np.mean(each)) ** 0.5 for name, each in squares.items()}
        return sizes, {name: max(each) for name, each in shares.items()}


def _layers(network: TextNetwork) -> Iterator[tuple[str, nn.Module]]:
    """Give the modules that compute something and hold no others, by name."""
    for name, module in network.named_modules():
        is_leaf = next(module.children(), None) is None
        if is_leaf and not isinstance(module, Dropout | nn.Identity | nn.Dropout):
            yield _spell(network, name), module


def _spell(network: TextNetwork, name: str) -> str:
    """Leave out the number of a member where there is only one."""
    return name.removeprefix("members.0.") if len(network.members) == 1 else name


def _real(output: object, mask: Tensor | None) -> Tensor | None:
    """Give the outputs at real positions, (n, width) float; None for what is no such thing."""
    if isinstance(output, tuple) and output:
        output = output[0]
    if isinstance(output, PackedSequence):
        output = output.data
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim < 2:
        return None
    if mask is not None and output.ndim == 3 and output.shape[:2] == mask.shape:
        return output[mask].float()
    return output.reshape(-1, output.shape[-1]).float() if output.ndim == 2 else None
