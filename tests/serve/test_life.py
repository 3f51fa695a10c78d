"""A server from its first moment to its last: sockets, signals, slow clients, new models."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.serve.calls import LABELS, TEXTS, client_of, open_host, run, served
from textkit import TextClassifier
from textkit.errors import StorageError, UsageError
from textkit.serve.life import QuietServer, _listen, make_config
from textkit.serve.options import Limits, ServeOptions, name_models

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "model"
    TextClassifier(encoder="linear").fit(TEXTS, LABELS).save(folder)
    return folder


def ask(port: int, texts: object) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/predict", json.dumps({"texts": texts}))
    answer = connection.getresponse()
    told = answer.status, json.loads(answer.read())
    connection.close()
    return told


def held_items(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    told = connection.getresponse().read().decode()
    connection.close()
    return int(float(told.partition("\ntextkit_held_items ")[2].split()[0]))


def read_all(client: socket.socket) -> bytes:
    client.settimeout(60)
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_slow_clients_are_closed_and_others_answered(model: Path) -> None:
    limits = Limits(header_seconds=2, body_seconds=2, body_bytes=1 << 20)
    host = open_host([str(model)], limits=limits)
    head = b"POST /predict HTTP/1.1\r\nHost: a\r\n"
    with served(host) as port:
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        silent, slow_head, slow_body, too_large = clients
        slow_head.sendall(head)
        slow_body.sendall(head + b"Content-Length: 50\r\n\r\n{")
        too_large.sendall(head + b"Content-Length: 9999999\r\n\r\n{")
        for _ in range(8):  # trickling on does not help
            time.sleep(0.05)
            for client, byte in ((slow_head, b"a"), (slow_body, b" "), (too_large, b" ")):
                with suppress(OSError):
                    client.sendall(byte)
        assert ask(port, "good film")[0] == 200
        assert read_all(silent) == b""
        assert read_all(slow_head) == b""
        assert b" 408 " in read_all(slow_body)
        assert b" 413 " in read_all(too_large)
        for client in clients:
            client.close()
    assert 'why="request not sent"' in host.metrics.text().decode()
    assert vars(host.admission.held) == {"items": 0, "tokens": 0, "bytes": 0}


def test_headers_without_end_are_refused(model: Path) -> None:
    host = open_host([str(model)], limits=Limits(header_bytes=2000))
    with served(host) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"A: " + b"x" * 4000)
        assert read_all(client).startswith(b"HTTP/1.1 400 ")


def test_an_address_that_is_taken_is_named() -> None:
    with (
        _listen("127.0.0.1", 0) as listening,
        pytest.raises(StorageError, match="cannot listen there"),
    ):
        _listen("127.0.0.1", listening.getsockname()[1])


def test_a_new_model_is_taken_without_a_lost_request(model: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(model, place)
    turned = ["neg" if label == "pos" else "pos" for label in LABELS]
    log: list[str] = []
    host = open_host([str(place)], log=log)

    async def go() -> list[tuple[int, str]]:
        told: list[tuple[int, str]] = []
        ended = asyncio.Event()

        async def keep_asking() -> None:
            async with client_of(host) as client:
                while not ended.is_set():
                    answer = await client.post("/predict", json={"texts": "good film"})
                    (row,) = answer.json()["predictions"]
                    told.append((answer.status_code, row["labels"][0]["label"]))
                    await asyncio.sleep(0.002)

        asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
        await host.reload_changed()  # nothing new
        (place / "manifest.json").write_text("{}", encoding="utf-8")
        await host.reload_changed()
        await host.reload_changed()  # said once
        fitted = await asyncio.to_thread(TextClassifier(encoder="linear").fit, TEXTS, turned)
        await asyncio.to_thread(shutil.rmtree, place)
        fitted.save(place)
        await host.reload_changed()
        async with asyncio.timeout(60):
            while told[-1][1] != "neg":
                await asyncio.sleep(0.002)
        ended.set()
        await asyncio.gather(*asking)
        return told

    told = run(go())
    host.close()
    assert {status for status, _ in told} == {200}
    labels = [label for _, label in told]
    assert labels[0] == "pos" and labels[-1] == "neg"
    assert labels == sorted(labels, reverse=True)
    assert len([line for line in log if "the old one stays" in line]) == 1
    assert len([line for line in log if "replaced by the new model" in line]) == 1


def test_a_client_that_hangs_up_frees_what_it_held(model: Path) -> None:
    host = open_host([str(model)])
    with served(host) as port:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{")
            until = time.monotonic() + 60
            while not host.admission.held.bytes and time.monotonic() < until:
                time.sleep(0.01)
            assert host.admission.held.bytes == 500
        while host.admission.held.bytes and time.monotonic() < until:
            time.sleep(0.01)
        assert host.admission.held.bytes == 0 and host.n_open == 0


@pytest.mark.slow
def test_a_signal_ends_the_shells_server_when_all_is_answered(model: Path, tmp_path: Path) -> None:
    with _listen("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "textkit", "serve", f"films={model}", "--port", str(port)]
    log = tmp_path / "log"
    with open(log, "wb") as file:
        server = subprocess.Popen(command, stderr=file, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        until = time.monotonic() + 60
        while "ready: http://127.0.0.1" not in log.read_text() and time.monotonic() < until:
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        told: list[int] = []
        big = ["good film " * 200] * 2000
        askers = [threading.Thread(target=lambda: told.append(ask(port, big)[0])) for _ in range(3)]
        for asker in askers:
            asker.start()
        while len(told) + held_items(port) // len(big) < len(askers):
            time.sleep(0.01)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        for asker in askers:
            asker.join()
        assert told == [200] * 3
    finally:
        server.kill()
    lines = log.read_text()
    assert "films: " in lines and "stopped; all that was taken is answered" in lines
    assert "good film" not in lines


def test_a_server_that_stops_says_so_and_still_answers(model: Path) -> None:
    host = open_host([str(model)])
    server = QuietServer(make_config(host), host=host)
    server.handle_exit(signal.SIGTERM, None)

    async def go() -> None:
        async with client_of(host) as client:
            answer = await client.post("/predict", json={"texts": "good film"})
            assert answer.status_code == 200 and answer.headers["connection"] == "close"
            assert (await client.get("/ready")).status_code == 503
            assert (await client.get("/health")).status_code == 200

    run(go())
    host.close()


def test_a_name_of_the_hub_is_not_watched() -> None:
    with pytest.raises(UsageError, match="'hf:some/model' is a name of the hub"):
        ServeOptions(models=["b=hf:some/model"], watch=1.0)
    assert ServeOptions(models=["b=hf:some/model"]).watch is None


def test_a_run_folder_is_served_by_its_own_name(model: Path) -> None:
    shutil.copytree(model, "runs/first/model")
    assert name_models(["runs/first", "b=runs/first/model", "hf:some/model"]) == {
        "first": "runs/first/model",
        "b": "runs/first/model",
        "some/model": "hf:some/model",
    }
