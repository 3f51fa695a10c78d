"""A real Chromium without a window, driven over the WebDriver protocol by chromedriver."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

# Alone: no profile of the user's, nothing asked of the network.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find(names: tuple[str, ...]) -> str:
    """Give the path of a program; skip the test where there is none."""
    paths = [path for path in map(shutil.which, names) if path]
    return paths[0] if paths else pytest.skip(f"{' or '.join(names)} is not installed")


class Browser:
    """A page in a browser."""

    def __init__(self, port: int, session: str) -> None:
        self._port, self._session = port, session

    def open(self, url: str, *, scheme: str = "light", width: int = 1200) -> None:
        """Load a page, in a window of its own height, and wait until it says that it is ready."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.ask("url", {"url": "about:blank"})
        self.ask("url", {"url": url})
        self.wait("document.body.dataset.ready === 'yes'")

    def run(self, code: str) -> Any:
        """Give the value of an expression."""
        return self.ask("execute/sync", {"script": f"return {code}", "args": []})

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + 60
        while not self.run(condition):
            assert time.monotonic() < until, condition
            time.sleep(0.05)

    def command(self, name: str, **values: Any) -> Any:
        """Send a command of the DevTools protocol."""
        return self.ask("goog/cdp/execute", {"cmd": name, "params": values})

    def problems(self) -> list[str]:
        """Give what the console told of errors since it was last asked."""
        told = self.ask("se/log", {"type": "browser"})
        return [entry["message"] for entry in told if entry["level"] == "SEVERE"]

    def ask(self, path: str, body: object) -> Any:
        """Ask the driver."""
        return call(self._port, "POST", f"/session/{self._session}/{path}", body)


def call(port: int, method: str, path: str, body: object = None) -> Any:
    """Send one request to a driver."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        value = json.loads(connection.getresponse().read())["value"]
    finally:
        connection.close()
    assert not (isinstance(value, dict) and "error" in value), value
    return value


@contextmanager
def browsing(port: int, profile: str) -> Iterator[Browser]:
    """Start a browser with an empty profile; the driver listens at port."""
    driver = find(("chromedriver",))
    options = {
        "args": [*ARGUMENTS, f"--user-data-dir={profile}"],
        "binary": find(("chromium", "chromium-browser", "google-chrome")),
    }
    asked = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    null = subprocess.DEVNULL
    with subprocess.Popen([driver, f"--port={port}"], stdout=null, stderr=null) as process:
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                with suppress(OSError):
                    call(port, "GET", "/status")
                    break
                time.sleep(0.05)
            body = {"capabilities": {"alwaysMatch": asked}}
            session = call(port, "POST", "/session", body)["sessionId"]
            yield Browser(port, session)
            call(port, "DELETE", f"/session/{session}")
        finally:
            process.terminate()
