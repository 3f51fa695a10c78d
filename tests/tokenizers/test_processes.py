"""Fork, spawn, threads and DataLoader workers: the same ids, no warning, no deadlock, no
environment variable.
"""

from __future__ import annotations

import importlib
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from textkit import tokenizers

ROOT = Path(__file__).parents[2]
PROLOGUE = """
import multiprocessing, os, sys
from textkit import tokenizers
texts = ["pride and vanity 🙂", "don't", "", "[PAD]"] * 300
def make(kind):
    tok = tokenizers.train(kind, texts * 2, size=300)
    # start the engines' thread pools before any fork
    tok.encode(texts); tok.encode(texts, spans=True)
    return tok
"""
FORK = """
for kind in ("word", "bpe", "wordpiece"):
    tok = make(kind)
    expected = tok.encode(texts, spans=True).ids.tolist()
    def child(queue):
        with_spans = tok.encode(texts, spans=True).ids.tolist()
        queue.put((tok.encode(texts).ids.tolist(), with_spans, make(kind).kind))
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    plain, spanned, trained = queue.get()
    process.join()
    assert plain == spanned == expected and trained == kind
    assert tok.encode(texts).ids.tolist() == expected       # the parent goes on in parallel
    assert "TOKENIZERS_PARALLELISM" not in os.environ
"""
LOADER = """
from torch.utils.data import DataLoader, Dataset
tok = make("bpe")
class Rows(Dataset):
    def __len__(self): return 40
    def __getitem__(self, i): return tok.encode([texts[i]]).ids.tolist()
loader = DataLoader(Rows(), batch_size=None, num_workers=2, multiprocessing_context="fork")
assert [row for row in loader] == [row.tolist() for row in tok.encode(texts[:40])]
"""
SPAWN = """
def child(texts):
    return tokenizers.create("word").encode(texts).ids.tolist()
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(child, [texts]) == [child(texts)]
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [FORK, LOADER, SPAWN], ids=["fork", "loader", "spawn"])
def test_other_processes_encode_alike_and_quietly(program: str) -> None:
    Path("program.py").write_text(PROLOGUE + program, encoding="utf-8")
    environment = {
        key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "program.py"],
        capture_output=True,
        env={**environment, "PYTHONPATH": str(ROOT)},
        timeout=120,  # a deadlock ends here
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["word", "bpe", "wordpiece"])
def test_threads_share_one_tokenizer(kind: str) -> None:
    texts = [f"pride and vanity {i}" for i in range(200)]
    tokenizer = tokenizers.train(kind, texts, size=300)
    expected = tokenizer.encode(texts, spans=True).ids.tolist()
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: tokenizer.encode(texts).ids.tolist(), range(50)))
    assert all(result == expected for result in results)


@pytest.mark.parametrize("kind", ["word", "bpe", "unigram", "regex", "spacy"])
def test_a_tokenizer_in_use_goes_to_another_process(kind: str) -> None:
    options = {"bpe": {"size": 300}, "unigram": {"size": 60}, "regex": {"pattern": r"\w+"}}.get(
        kind, {}
    )
    made = tokenizers.train(kind, ["pride and vanity are different things"] * 4, **options)
    expected = made.encode(["pride, vanity"], spans=True)  # an engine is made, which cannot travel
    sent = pickle.loads(pickle.dumps(made))
    assert sent.fingerprint == made.fingerprint and sent.kind == kind
    assert sent.encode(["pride, vanity"], spans=True).spans.tolist() == expected.spans.tolist()


BUSY = """
import faulthandler, threading
made = tokenizers.train("unigram", texts * 2, size=60)
made.encode(texts)
stop = False
def work():
    i = 0
    while not stop:
        made.encode([f"pride{i}x{j} vanity" for j in range(200)])
        i += 1
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
codes = []
for number in range(20):
    child = os.fork()
    if not child:
        faulthandler.dump_traceback_later(20, exit=True)
        made.encode([f"don't{number}q{j}" for j in range(200)])
        os._exit(0)
    codes.append(os.waitpid(child, 0)[1])
stop = True
for thread in threads: thread.join()
assert codes == [0] * 20, codes
assert "TOKENIZERS_PARALLELISM" not in os.environ
"""


def test_a_fork_beside_busy_threads_does_not_hang() -> None:
    """Before forks waited for running calls, one child in three inherited a locked engine."""
    Path("program.py").write_text(PROLOGUE + BUSY, encoding="utf-8")
    environment = {
        key: value for key, value in os.environ.items() if key != "TOKENIZERS_PARALLELISM"
    }
    command = [
        sys.executable,
        "-W",
        "error",
        "-W",
        "ignore:This process:DeprecationWarning",
        "program.py",
    ]
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_a_fork_waits_for_the_imports_of_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python leaves a module locked in the child that another thread was importing."""
    Path("slow_module.py").write_text("import time\ntime.sleep(0.4)\nnumber = 3\n")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    tokenizers.create("word").encode(["forks are watched from here on"])
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(importlib.import_module, "slow_module")
        while "slow_module" not in sys.modules:
            time.sleep(0.001)
        child = os.fork()
        if child == 0:
            signal.alarm(5)  # which ends a child that waits for ever
            os._exit(importlib.import_module("slow_module").number)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
        assert importing.result().number == 3
    assert importlib.import_module("textkit").__name__ == "textkit"  # the parent imports on
