"""Eight threads at once on every public object, from its first call on: all get what one gets.

Threads that start together, and change places every few instructions, meet in each gap between a
look and the step that follows from it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from tests.tokenizers import small
from tests.tokenizers.small import OPTIONS, WORDS
from textkit import TextEmbedder, Vectors, registry, tokenizers
from textkit.features import ngrams
from textkit.features.ngrams import HashedNgrams
from textkit.threads import SharedLock, computed_once
from textkit.tokenizers.engines import choice, forking, word_table

Given = TypeVar("Given")
Result = TypeVar("Result")
N_THREADS = 8


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Let threads change places every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[Given], Result], inputs: Iterable[Given]) -> list[Result]:
    """Do the work for each input in a thread of its own, all from one moment on; an error is
    raised.
    """
    given = list(inputs)
    barrier = threading.Barrier(len(given))

    def start(one: Given) -> Result:
        barrier.wait(timeout=60)
        return work(one)

    with ThreadPoolExecutor(len(given)) as pool:
        waiting = [pool.submit(start, one) for one in given]
        return [future.result(timeout=120) for future in waiting]


def draw_texts(seed: int, n: int = 40) -> list[str]:
    return small.draw_texts(np.random.default_rng(seed), n, n_new=400)


def look_at(tokenizer: Any, texts: list[str]) -> tuple[object, ...]:
    """Ask a tokenizer for all that it gives of some texts."""
    spanned = tokenizer.encode(texts, spans=True)
    plain = tokenizer.encode(texts)
    ids = plain.ids.tolist()
    return (
        ids,
        plain.offsets.tolist(),
        spanned.ids.tolist(),
        spanned.spans.tolist(),
        tokenizer.tokens(ids),
        tokenizer.decode(ids),
        [tokenizer.normalize(text) for text in texts[:3]],
        getattr(tokenizer, "around", None),
    )


@pytest.mark.parametrize("kind", registry.names("tokenizer"))
def test_threads_on_a_fresh_tokenizer_get_what_one_thread_gets(kind: str) -> None:
    trained = tokenizers.train(kind, draw_texts(0, 200), **OPTIONS.get(kind, {}))
    trained.save("tokenizer")
    for round_ in range(2):
        inputs = [draw_texts(100 * round_ + i) for i in range(N_THREADS)]
        alone, fresh = tokenizers.load("tokenizer"), tokenizers.load("tokenizer")
        expected = [look_at(alone, texts) for texts in inputs]
        for mine, ours in zip(together(partial(look_at, fresh), inputs), expected, strict=True):
            assert mine == ours
        assert [look_at(fresh, texts) for texts in inputs] == expected  # and ever after


@pytest.mark.parametrize("spans", [False, True])
def test_a_table_of_words_that_fills_up_under_threads_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, spans: bool
) -> None:
    monkeypatch.setattr(word_table, "CAPACITY", 300)
    tokenizers.train("unigram", draw_texts(0, 200), size=60).save("tokenizer")
    alone = tokenizers.load("tokenizer", engine="reference")
    shared = tokenizers.load("tokenizer", engine="table")
    inputs = [draw_texts(i) for i in range(N_THREADS)]
    expected = [[alone.encode(texts, spans=spans).ids.tolist()] * 10 for texts in inputs]

    def encode_often(texts: list[str]) -> list[list[int]]:
        return [shared.encode(texts, spans=spans).ids.tolist() for _ in range(10)]

    assert together(encode_often, inputs) == expected


def make_ngrams(**options: Any) -> HashedNgrams:
    words = tokenizers.create("word", vocabulary=WORDS, lowercase=True)
    return HashedNgrams(words, buckets=997, **options)


@pytest.mark.parametrize(
    "options",
    [{"minn": 3, "maxn": 6}, {"minn": 0, "maxn": 0, "word_ngrams": 2}, {"word_ngrams": 3}],
    ids=["characters", "words", "both"],
)
@pytest.mark.parametrize("capacity", [40, 500_000], ids=["forgets", "keeps"])
def test_threads_on_fresh_ngrams_get_what_one_thread_gets(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], capacity: int
) -> None:
    monkeypatch.setattr(ngrams, "_CACHE_WORDS", capacity)
    for round_ in range(5):
        inputs = [draw_texts(100 * round_ + i) for i in range(N_THREADS)]
        expected = [make_ngrams(**options).encode(texts).ids.tolist() for texts in inputs]
        got = together(partial(encode_often, make_ngrams(**options)), inputs)
        assert got == [[ids] * 3 for ids in expected]


def encode_often(source: HashedNgrams, texts: list[str]) -> list[list[int]]:
    return [source.encode(texts).ids.tolist() for _ in range(3)]


def make_vectors() -> Vectors:
    table = np.random.default_rng(5).standard_normal((2000, 16)).astype(np.float32)
    return Vectors([f"w{i}" for i in range(2000)], table)


def ask_vectors(vectors: Vectors, index: Any, words: list[str]) -> list[object]:
    """Ask vectors for all that they compute."""
    return [
        vectors.nearest(words, k=4, index=index),
        vectors.analogy(*words[:3], k=2, index=index),
        vectors.lookup([*words, "nobody"], "mean").tolist(),
        vectors.lookup([*words, "nobody"], "random", seed=3).tolist(),
        vectors.row_words.tolist(),
    ]


@pytest.mark.parametrize("indexed", [False, True], ids=["exact", "index"])
def test_threads_on_fresh_vectors_get_what_one_thread_gets(indexed: bool) -> None:
    index = None
    if indexed:
        pytest.importorskip("usearch")
        from textkit.vectors.index import build_index, open_index

        build_index(make_vectors(), "index")
        index = open_index("index")
    for round_ in range(4):
        asked = [
            [f"w{n}" for n in np.random.default_rng([round_, i]).integers(0, 2000, 40)]
            for i in range(N_THREADS)
        ]
        expected = [ask_vectors(make_vectors(), index, words) for words in asked]
        assert together(partial(ask_vectors, make_vectors(), index), asked) == expected


@pytest.mark.parametrize("pooling", ["mean", "max", "sif"])
def test_threads_on_a_fresh_embedder_of_words_get_what_one_thread_gets(pooling: str) -> None:
    make_vectors().save("vectors")
    inputs = [draw_texts(i) for i in range(N_THREADS)]
    alone, shared = (TextEmbedder.open("vectors", pooling=pooling) for _ in range(2))
    got = together(shared.encode, inputs)
    assert [part.tolist() for part in got] == [alone.encode(texts).tolist() for texts in inputs]


def test_one_thread_at_a_time_is_inside_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer: Any = tokenizers.create("spacy", vocabulary=["pride"])
    inside, most, cutter = [0], [0], tokenizer._pipe

    class Watched:
        vocab = cutter.vocab

        def pipe(self, texts: list[str]) -> Iterator[object]:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            time.sleep(0.01)
            yield from cutter.pipe(texts)
            inside[0] -= 1

    monkeypatch.setattr(tokenizer, "_pipe", Watched())
    got = together(tokenizer.encode, [["pride, vanity"]] * N_THREADS)
    assert most == [1] and all(batch.ids.tolist() == [2, 1, 1] for batch in got)


class Slow:
    """An object whose value takes its time."""

    def __init__(self) -> None:
        self.n_computed = 0

    @computed_once
    def value(self) -> list[int]:
        self.n_computed += 1
        time.sleep(0.02)
        return [self.n_computed]


def test_a_lazy_value_is_computed_by_one_thread_for_all() -> None:
    slow = Slow()
    values = together(lambda _: slow.value, range(N_THREADS))
    assert slow.n_computed == 1 and all(value is values[0] for value in values)
    assert Slow().value is not values[0]


def test_no_lazy_value_is_computed_without_a_lock_that_outlives_a_fork() -> None:
    package = Path(registry.__file__).parent
    lazy = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"\bcached_property\b", path.read_text(encoding="utf-8"))
    ]
    assert lazy == []


def test_an_engine_is_chosen_and_made_once_for_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    makers = choice._MAKERS["auto"]
    made: list[str] = []

    def slowly(make: choice.Maker) -> choice.Maker:
        def maker(*arguments: Any) -> choice.FastEngine | None:
            made.append(make.__name__)
            time.sleep(0.01)
            return make(*arguments)

        return maker

    monkeypatch.setitem(choice._MAKERS, "auto", tuple(map(slowly, makers)))
    tokenizer = tokenizers.create("word", vocabulary=WORDS)
    names = together(lambda i: tokenizer.engine_for([f"w{i}"], spans=i % 2 == 0), range(N_THREADS))
    assert len(made) == len(set(made)) and len(set(names)) == 1


def test_forks_are_watched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[object] = []
    pid = os.getpid()

    def slow_pid() -> int:
        time.sleep(0.01)
        return pid

    monkeypatch.setattr(forking, "_owner", None)
    monkeypatch.setattr(os, "register_at_fork", lambda **hooks: watched.append(hooks))
    monkeypatch.setattr(os, "getpid", slow_pid)
    together(lambda _: forking.keep_forks_safe(), range(N_THREADS))
    assert len(watched) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_finds_every_lock_open() -> None:
    lock, slow = SharedLock(), Slow()
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock, Slow.value._lock:
            taken.set()
            done.wait(timeout=60)

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert taken.wait(timeout=60) and not lock.take(wait=False)
    child = os.fork()
    if not child:
        free = lock.take(wait=False) and Slow.value._lock.take(wait=False)
        os._exit(0 if free and slow.value == [1] else 1)
    done.set()
    assert os.waitpid(child, 0)[1] == 0
    holder.join()


def test_a_lock_goes_to_another_process_and_into_a_copy_as_a_new_one() -> None:
    import copy
    import pickle

    source = make_ngrams()
    texts = draw_texts(1)
    expected = source.encode(texts).ids.tolist()
    for other in (copy.deepcopy(source), pickle.loads(pickle.dumps(source))):
        assert other.encode(texts).ids.tolist() == expected


_AFTER_A_FORK = """
import multiprocessing
from textkit import TextClassifier

TEXTS, LABELS = ["good film", "bad film"] * 40, ["pos", "neg"] * 40
options = {"encoder": "lstm", "training__epochs": 1, "training__threads": 2, "seed": 1}
model = TextClassifier(**options).fit(TEXTS, LABELS)
before = model.predict_proba(TEXTS * 20)  # in threads

def work(queue):
    again = TextClassifier(**options).fit(TEXTS, LABELS)
    queue.put(abs(model.predict_proba(TEXTS * 20) - before).max())
    queue.put(abs(again.predict_proba(TEXTS) - before[:80]).max())

context = multiprocessing.get_context("fork")
queue = context.Queue()
child = context.Process(target=work, args=(queue,))
child.start()
print(max(queue.get(timeout=60), queue.get(timeout=60)))
child.join()
"""


@pytest.mark.slow
def test_a_child_forked_after_a_prediction_predicts_and_trains() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AFTER_A_FORK], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-4
