"""Every public object under threads, asyncio, forks, spawned processes and DataLoader workers.

In: a budget of seconds, set-up and all, and a seed: after it no round is begun, and soon the last
one is given up. Out: a table, a row for each object: rounds, calls and wrong answers of every way.
Each round makes an object anew, asks it in one of the ways for what eight draws of texts come to,
from its first call on, and compares with another new object that one thread asks alone. Exits 1
where an answer differs, a child fails, or nothing moves for two minutes.

Not part of `make test`, whose tests/test_threads.py does a short form of it. Run by `make threads`.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing.pool import Pool
from typing import Any

import numpy as np

from tests.tokenizers import small
from tests.tokenizers.small import OPTIONS, WORDS
from textkit import TextClassifier, TextEmbedder, Vectors, registry, tokenizers
from textkit.features.ngrams import HashedNgrams
from textkit.vectors.index import build_index
from textkit.vectors.index import open_index as load_index

# Of threads; a fit takes some ten times what any other answer does.
N_AT_ONCE, N_FITS, STUCK_SECONDS = 8, 3, 120
# So long after the budget the campaign ends, whatever goes on.
GRACE_SECONDS = 45.0
FIT = {"encoder__dim": 8, "embedding__dim": 8, "training__epochs": 1, "training__batch_size": 8}
FIT_TEXTS = ["good film", "fine plot", "bad film", "poor plot", "great story", "awful story"] * 4
FIT_LABELS = ["pos", "pos", "neg", "neg", "pos", "neg"] * 4


@dataclass(frozen=True)
class Subject:
    """What is tried.

    make: a new object; ask: what it says of texts; forks: whether a forked child may use it, which
    torch's own threads do not allow.
    """

    make: Callable[[], Any]
    ask: Callable[[Any, list[str]], object]
    forks: bool = True

    def may_be_asked(self, way: str) -> bool:
        """Tell whether the way is one for this object."""
        return self.forks or way not in ("fork", "loader")


def draw_texts(rng: np.random.Generator, n: int = 30) -> list[str]:
    return small.draw_texts(rng, n, n_new=2000)


def ask_tokenizer(tokenizer: Any, texts: list[str]) -> object:
    spanned, plain = tokenizer.encode(texts, spans=True), tokenizer.encode(texts)
    ids = plain.ids.tolist()
    return ids, spanned.ids.tolist(), spanned.spans.tolist(), tokenizer.decode(ids)


def ask_ngrams(source: HashedNgrams, texts: list[str]) -> object:
    batch = source.encode(texts)
    return batch.ids.tolist(), batch.offsets.tolist()


def ask_vectors(vectors: Vectors, texts: list[str], *, folder: str | None = None) -> object:
    index = None if folder is None else load_index(folder)
    words = [word for text in texts for word in text.split() if word in vectors][:20]
    unknown = vectors.lookup([*words, "nobody"], "random", seed=3).tolist()
    return vectors.nearest(words, k=3, index=index) if words else [], unknown


def ask_embedder(embedder: TextEmbedder, texts: list[str]) -> object:
    return embedder.encode(texts).tolist()


def ask_classifier(model: TextClassifier, texts: list[str]) -> object:
    return model.predict_proba(texts).tolist(), model.predict(texts).tolist()


def ask_fit(options: dict[str, Any], texts: list[str]) -> object:
    model = TextClassifier(**options, seed=len("".join(texts)) % 3).fit(FIT_TEXTS, FIT_LABELS)
    return [weight.numpy().tobytes() for weight in model.network_.state_dict().values()]


def make_ngrams() -> HashedNgrams:
    return HashedNgrams(tokenizers.create("word", vocabulary=WORDS), word_ngrams=2, buckets=997)


def name_subjects() -> dict[str, Callable[[], Subject]]:
    """Name the subjects; each makes what it is opened from, in the working directory, when it is
    first asked for: what a budget does not reach costs nothing.
    """
    rng = np.random.default_rng(0)
    corpus = draw_texts(rng, 200)

    def train(kind: str) -> Subject:
        tokenizers.train(kind, corpus, **OPTIONS.get(kind, {})).save(f"tokenizer-{kind}")
        return Subject(partial(tokenizers.load, f"tokenizer-{kind}"), ask_tokenizer)

    @cache
    def open_vectors() -> Callable[[], Vectors]:
        table = rng.standard_normal((2000, 16)).astype(np.float32)
        Vectors([f"w{i}" for i in range(2000)], table).save("vectors")
        return partial(Vectors.open, "vectors")

    def open_index() -> Subject:
        build_index(open_vectors()(), "index")
        return Subject(open_vectors(), partial(ask_vectors, folder="index"))

    def fit() -> Subject:
        TextClassifier(**FIT, seed=1).fit(FIT_TEXTS, FIT_LABELS).save("model")
        return Subject(partial(TextClassifier.load, "model"), ask_classifier, forks=False)

    def embed(pooling: str) -> Subject:
        open_vectors()
        make = partial(TextEmbedder.open, "vectors", pooling=pooling)
        return Subject(make, ask_embedder)

    return {
        **{kind: cache(partial(train, kind)) for kind in registry.names("tokenizer")},
        "n-grams": cache(lambda: Subject(make_ngrams, ask_ngrams)),
        "vectors": cache(lambda: Subject(open_vectors(), ask_vectors)),
        "index": cache(open_index),
        "classifier": cache(fit),
        "fits": cache(lambda: Subject(partial(dict, FIT), ask_fit, forks=False)),
        **{f"embedder, {p}": cache(partial(embed, p)) for p in ("mean", "max", "sif")},
    }


def by_threads(subject: Subject, shared: Any, inputs: list[list[str]]) -> list[object]:
    """Ask from threads that start together."""
    barrier = threading.Barrier(len(inputs))

    def start(texts: list[str]) -> object:
        barrier.wait(timeout=STUCK_SECONDS)
        return subject.ask(shared, texts)

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(start, inputs))


def by_asyncio(subject: Subject, shared: Any, inputs: list[list[str]]) -> list[object]:
    """Ask from one event loop, which gives each call to a thread."""

    async def ask_all() -> list[object]:
        calls = [asyncio.to_thread(subject.ask, shared, texts) for texts in inputs]
        return list(await asyncio.gather(*calls))

    return asyncio.run(ask_all())


def by_fork(subject: Subject, shared: Any, inputs: list[list[str]]) -> list[object]:
    """Ask in forked children, while threads of this process ask too."""
    stop = threading.Event()
    context = multiprocessing.get_context("fork")

    def go_on(texts: list[str]) -> object:
        while True:
            answer = subject.ask(shared, texts)
            if stop.is_set():
                return answer

    def answer_child(connection: Any, texts: list[str]) -> None:
        signal.alarm(STUCK_SECONDS)  # faulthandler would wait here for the parent's thread
        connection.send(subject.ask(shared, texts))

    answers = []
    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(go_on, texts) for texts in inputs[:2]]
        for texts in inputs[2:4]:
            ours, theirs = context.Pipe(duplex=False)
            child = context.Process(target=answer_child, args=(theirs, texts))
            child.start()
            theirs.close()
            answers.append(ours.recv())  # EOFError where the child died
            child.join()
        stop.set()
        return [*(future.result() for future in busy), *answers]


def by_spawn(subject: Subject, shared: Any, inputs: list[list[str]], *, pool: Pool) -> list[object]:
    """Ask in spawned processes, which get the object pickled."""
    return pool.map(partial(subject.ask, shared), inputs[:4])


class Rows:
    """A data set of answers, for a DataLoader."""

    def __init__(self, subject: Subject, shared: Any, inputs: list[list[str]]) -> None:
        self._subject, self._shared, self._inputs = subject, shared, inputs

    def __len__(self) -> int:
        return len(self._inputs)

    def __getitem__(self, number: int) -> object:
        return [self._subject.ask(self._shared, self._inputs[number])]


def by_loader(subject: Subject, shared: Any, inputs: list[list[str]]) -> list[object]:
    """Ask in the workers of a DataLoader."""
    from torch.utils.data import DataLoader

    rows: Any = Rows(subject, shared, inputs[:4])
    loader = DataLoader(
        rows,
        batch_size=None,
        collate_fn=list,
        num_workers=2,
        multiprocessing_context="fork",
    )
    return [row[0] for row in loader]


@dataclass
class Figures:
    """What came out: rounds and calls by object and way, wrong answers by object."""

    seed: int
    names: list[str]
    ways: list[str]
    began: float = field(default_factory=time.perf_counter)
    rounds: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    now: tuple[str, str] | None = None  # the object and the way of the round that goes on

    def show(self) -> int:
        """Print all of it; 1 where an answer was wrong."""
        print("calls (wrong)".ljust(18) + "".join(way.rjust(10) for way in self.ways))
        for name in self.names:
            cells = "".join(str(self.calls[name, way]).rjust(10) for way in self.ways)
            print(f"{name} ({self.wrong[name]})".ljust(18) + cells)
        print(
            f"seed {self.seed}: {sum(self.rounds.values())} rounds,"
            f" {sum(self.calls.values()):,} calls, {sum(self.wrong.values())} wrong answers,"
            f" {time.perf_counter() - self.began:.0f} s",
            flush=True,
        )
        return 1 if self.wrong.total() else 0

    def give_up(self) -> None:
        """End the process although a round is not over: on a busy machine one may take minutes."""
        print(f"given up: {self.now}", flush=True)
        code = self.show()
        for child in multiprocessing.active_children():
            child.kill()
        os._exit(code)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.setswitchinterval(1e-6)
    os.chdir(tempfile.mkdtemp(prefix="threads-"))
    subjects = name_subjects()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        ways: dict[str, Callable[[Subject, Any, list[list[str]]], list[object]]] = {
            "threads": by_threads,
            "asyncio": by_asyncio,
            "fork": by_fork,
            "spawn": partial(by_spawn, pool=pool),
            "loader": by_loader,
        }
        figures = Figures(options.seed, list(subjects), list(ways))
        end = threading.Timer(options.seconds + GRACE_SECONDS, figures.give_up)
        end.daemon = True
        end.start()
        # Every object in one way, each in another one than the object before it; then in the next.
        tried = [
            (name, figures.ways[(place + shift) % len(ways)])
            for shift in range(len(ways))
            for place, name in enumerate(subjects)
        ]
        number = 0
        while time.perf_counter() - figures.began < options.seconds:
            faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)  # from now on
            rng = np.random.default_rng([options.seed, number])
            name, way = figures.now = tried[number % len(tried)]
            subject, number = subjects[name](), number + 1
            if not subject.may_be_asked(way):
                continue
            n_at_once = N_FITS if name == "fits" else N_AT_ONCE
            inputs = [draw_texts(rng) for _ in range(n_at_once)]
            got = ways[way](subject, subject.make(), inputs)
            alone = subject.make()
            expected = [subject.ask(alone, texts) for texts in inputs[: len(got)]]
            figures.rounds[name, way] += 1
            figures.calls[name, way] += len(got)
            figures.wrong[name] += sum(a != b for a, b in zip(got, expected, strict=True))
        end.cancel()
    return figures.show()


if __name__ == "__main__":
    sys.exit(main())
