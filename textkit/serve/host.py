"""The models that a server has open, each work with its queue; a new model takes the place of an
old one while requests go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from textkit.errors import TextkitError, unknown_name
from textkit.serve.admission import Admission
from textkit.serve.answers import RequestError
from textkit.serve.batching import Answer, Batcher, Ran
from textkit.serve.metrics import Metrics
from textkit.serve.models import ServedModel, WorkName, open_model, read_version
from textkit.serve.options import ServeOptions, name_models
from textkit.serve.works import Item

Log = Callable[[str], None]


def _one_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "aside")


@dataclass
class Hosted:
    """An open model with a queue for each of its works, and a thread for what comes one by one:
    explanations, and the queries of an index.
    """

    model: ServedModel
    batchers: dict[WorkName, Batcher] = field(default_factory=dict)
    aside: ThreadPoolExecutor = field(default_factory=_one_thread)

    async def answer(self, work: WorkName, items: Sequence[Item]) -> list[Answer]:
        """Give what a work says of each item."""
        return await self.batchers[work].answer(items)

    def close(self) -> None:
        """Finish what was taken; wait for it."""
        for batcher in self.batchers.values():
            batcher.close()
        self.aside.shutdown()


class Host:
    """Open models, find them by name, and hand texts to them.

    log: takes lines for the operator. `open` is called once before the first request. is_open:
    requests are worked on; is_ready: clients may send more; is_stopping: answers say that their
    connection closes.
    """

    def __init__(self, options: ServeOptions, *, log: Log = lambda line: None) -> None:
        self.options = options
        self.limits = options.limits
        self.log = log
        self.admission = Admission(options.limits)
        self.metrics = Metrics(self.admission)
        self.is_open = self.is_ready = self.is_stopping = False
        self.n_open = 0  # requests on their way in or waiting
        self._places = name_models(options.models)
        self._hosted: dict[str, Hosted] = {}
        self._broken: dict[str, str] = {}

    def open(self) -> None:
        """Open and warm every model; the first that cannot be opened raises."""
        if self.options.threads is not None:
            _set_threads(self.options.threads)
        for name, place in self._places.items():
            self._hosted[name] = self._open(name, place)
            self.log(f"{name}: {place}, {self._hosted[name].model.kind}")
        self.is_open = self.is_ready = True

    def stop(self) -> None:
        """Say to clients that no more is to be sent; what comes yet is still answered."""
        self.is_ready, self.is_stopping = False, True

    def close(self) -> None:
        """Finish all that was taken."""
        self.is_open = self.is_ready = False
        for hosted in self._hosted.values():
            hosted.close()

    @property
    def models(self) -> list[ServedModel]:
        """The open models, in the order in which they were given."""
        return [hosted.model for hosted in self._hosted.values()]

    @property
    def is_alive(self) -> bool:
        """Whether every thread that should work does."""
        batchers = [b for hosted in self._hosted.values() for b in hosted.batchers.values()]
        return all(batcher.is_alive for batcher in batchers)

    def find(self, name: str | None, verb: str | None = None) -> Hosted:
        """Give the model of a name, or the first that can do something: 404 where there is none, or
        it cannot.
        """
        if name is None:
            able = (h for h in self._hosted.values() if verb is None or h.model.can(verb))
            first = next(able, None)
            if first is None:
                raise _no_model(f"no model here can {verb}")
            return first
        if name not in self._hosted:
            raise _no_model(unknown_name("model", name, self._hosted))
        hosted = self._hosted[name]
        if verb is not None and not hosted.model.can(verb):
            kind = hosted.model.kind
            raise _no_model(f"model '{name}' is a {kind} that cannot {verb}")
        return hosted

    async def reload_changed(self) -> bool:
        """Open anew each model whose folder holds another; the old one answers until then. Tells
        whether there was one.

        A folder that cannot be opened is said once, and the old model stays.
        """
        reloaded = False
        for name, place in self._places.items():
            version = await asyncio.to_thread(read_version, place)
            old = self._hosted[name]
            if version in (old.model.version, self._broken.get(name)):
                continue
            try:
                self._hosted[name] = await asyncio.to_thread(self._open, name, place)
            except (TextkitError, OSError) as err:
                self._broken[name] = version
                self.metrics.note_reload(name, ok=False)
                self.log(f"{name}: the new model is not used, the old one stays: {err}")
                continue
            self.metrics.note_reload(name, ok=True)
            self.log(f"{name}: replaced by the new model in {place}")
            await asyncio.to_thread(old.close)
            reloaded = True
        return reloaded

    def _open(self, name: str, place: str) -> Hosted:
        model = open_model(name, place, allow=self.options.allow)
        model.warm()
        hosted = Hosted(model)
        for work_name, work in model.works.items():
            hosted.batchers[work_name] = Batcher(
                work,
                limits=self.limits,
                on_batch=partial(self._note_batch, name, work_name),
                on_bug=lambda err: self.log(f"a bug: {name}: {type(err).__name__}: {err}"),
                n_coming=lambda: self.n_open,
                name=f"{name}-{work_name}",
            )
        return hosted

    def _note_batch(self, model: str, work: str, ran: Ran) -> None:
        self.metrics.note_batch(model, work, ran)
        self.admission.note_batch(ran.n_tokens, ran.seconds)


def _no_model(message: str) -> RequestError:
    return RequestError(message, status=404, code="model_not_found", param="model")


def _set_threads(threads: int) -> None:
    """Bound the threads of torch, where a model will need it."""
    from importlib.util import find_spec

    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(threads)
