"""Many clients at once, mixed sizes, some of them bad: every answer goes to who asked.

`python benchmarks/serve.py --parts soak --requests 1000000` is the long one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.serve.calls import client_of, open_host, run
from textkit import Vectors
from textkit.serve.host import Host
from textkit.serve.options import Limits

N_MARKERS, N_REQUESTS, N_CLIENTS = 64, 300, 24


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Open vectors in which each marker is a direction of its own."""
    words = [f"marker{i}" for i in range(N_MARKERS)]
    Vectors(words, np.eye(N_MARKERS, dtype=np.float32)).save(tmp_path / "v")
    host = open_host([str(tmp_path / "v")], limits=Limits(batch_tokens=200))
    yield host
    host.close()


def test_no_answer_goes_to_another_and_nothing_stays_held(host: Host) -> None:
    chance = random.Random(0)
    codes: dict[int, int] = {}

    async def one_client(numbers: Iterator[int]) -> None:
        async with client_of(host) as client:
            for i in numbers:
                markers = [(i + j) % N_MARKERS for j in range(chance.randint(1, 5))]
                texts: list[object] = [
                    f"marker{n} " + "x " * int(chance.lognormvariate(2, 1.5)) for n in markers
                ]
                bad = i % 20 == 0
                if bad:
                    texts.insert(chance.randrange(len(texts) + 1), None)
                if i % 17 == 0:  # this client hangs up
                    asking = asyncio.ensure_future(client.post("/embed", json={"texts": texts}))
                    await asyncio.sleep(0.001)
                    asking.cancel()
                    continue
                answer = await client.post("/embed", json={"texts": texts})
                codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
                assert answer.status_code == (422 if bad else 200)
                if not bad:
                    rows = answer.json()["embeddings"]
                    assert [int(np.argmax(row["vector"])) for row in rows] == markers

    async def all_clients() -> None:
        numbers = iter(range(N_REQUESTS))
        await asyncio.gather(*(one_client(numbers) for _ in range(N_CLIENTS)))

    run(all_clients())
    assert codes[200] > 200 and codes[422] > 5
    assert vars(host.admission.held) == {"items": 0, "tokens": 0, "bytes": 0}
    assert host.n_open == 0
    before = host.metrics.text().decode()
    rows = float(before.partition('textkit_batch_rows_sum{model="v",work="embed"} ')[2].split()[0])
    n = float(before.partition('textkit_batch_rows_count{model="v",work="embed"} ')[2].split()[0])
    assert rows / n > 1.2  # requests met in batches


def test_past_the_bounds_requests_are_told_when_to_come_again(tmp_path: Path) -> None:
    Vectors(["a"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    host = open_host([str(tmp_path / "v")], limits=Limits(items=4, wait_seconds=0.5))

    async def flood() -> list[tuple[int, str]]:
        async with client_of(host) as client:
            asked = (client.post("/embed", json={"texts": ["a", "a"]}) for _ in range(20))
            answers = await asyncio.gather(*asked)
            told = [(a.status_code, a.headers.get("retry-after", "")) for a in answers]
            late = await client.post("/embed", json={"texts": "a"})
            return [*told, (late.status_code, "")]

    told = run(flood())
    host.close()
    assert told[-1][0] == 200
    assert {code for code, _ in told} == {200, 429}
    assert all(after.isdigit() and int(after) >= 1 for code, after in told if code == 429)


def test_a_body_past_the_bound_is_refused_before_it_is_read(tmp_path: Path) -> None:
    Vectors(["a"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    host = open_host([str(tmp_path / "v")], limits=Limits(bytes=1000, body_bytes=900))
    n_read = 0

    async def parts() -> object:
        nonlocal n_read
        for _ in range(100):
            n_read += 1
            yield b" " * 100

    async def send() -> int:
        async with client_of(host) as client:
            answer = await client.post("/embed", content=parts())  # type: ignore[arg-type]
            return answer.status_code

    assert run(send()) == 413
    host.close()
    assert host.admission.held.bytes == 0
