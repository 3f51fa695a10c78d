"""The machine of a training: a network and its optimiser, prepared for a device, a precision and
any number of processes, and given back at the end.

In: a network on the CPU and the recipe's section. Out: an Engine; afterwards the network is on the
CPU again, as it was before but for its weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from textkit.data.targets import Task
from textkit.evaluation.task_scores import score
from textkit.nn.devices import make_accelerator
from textkit.nn.network import TextNetwork, predict_outputs
from textkit.recipe.sections import TrainingSection
from textkit.training.examples import Examples
from textkit.training.losses import row_losses
from textkit.training.optimization import make_optimizer


class Engine:
    """accelerate's object, the model that is called, and the optimiser.

    rank, n_ranks: which process this is, and of how many.

    >>> from textkit.recipe import Recipe
    >>> network = TextNetwork(Recipe(), n_tokens=3, n_outputs=2)
    >>> engine = Engine(network, TrainingSection(device="cpu"))
    >>> engine.device.type, engine.rank, engine.n_ranks
    ('cpu', 0, 1)
    """

    def __init__(self, network: TextNetwork, section: TrainingSection) -> None:
        self.network, self.section = network, section
        self.accelerator = make_accelerator(section.device, precision=section.precision)
        self.device: torch.device = self.accelerator.device
        self.rank, self.n_ranks = self.accelerator.process_index, self.accelerator.num_processes
        self.optimizer: torch.optim.Optimizer
        if self.n_ranks == 1 and section.precision == "fp32":
            # `prepare` would do no more, and imports torch's distributed tensors and compiler: 2 s
            # of processor time.
            model = network.to(self.device)
            self.optimizer = make_optimizer(model, section)
        else:
            model, self.optimizer = self.accelerator.prepare(
                network, make_optimizer(network, section)
            )
        # `dynamic`: every batch has another shape, and one compiled graph must do for all of them.
        self.model: Any = torch.compile(model, dynamic=True) if section.compile else model

    def clip(self) -> Tensor:
        """Bring the gradients to the recipe's length at most; give the one that they had."""
        if self.accelerator.scaler is not None:
            self.accelerator.unscale_gradients()
        return torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.section.clip)

    def validate(self, valid: Examples, task: Task) -> tuple[float, dict[str, float]]:
        """Score the validation rows, shared among the ranks: the plain loss, and the scores of
        the task.
        """
        network = self.network
        outputs = predict_outputs(network, valid.tokens, part=(self.rank, self.n_ranks))
        outputs = self.accelerator.reduce(outputs.to(self.device), reduction="sum").cpu()
        targets = torch.from_numpy(valid.targets)
        standard = network.standardize(targets.to(self.device)).cpu()
        loss = row_losses(task, outputs, standard, TrainingSection()).mean().item()
        return loss, score(task, network.restore(outputs).numpy(), valid.targets)

    def release(self) -> None:
        """Bring the network to the CPU, in eval mode, with its own forward, and free the device."""
        is_wrapped = self.section.precision != "fp32"
        if is_wrapped:
            self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        self.network.to("cpu").eval()
        if is_wrapped or self.device.type != "cpu":
            # What refers to itself, and the device's cache; it calls Python's collector, as long as
            # a small fit.
            self.accelerator.free_memory()
