"""The page: whole, from this server alone, with a policy that lets nothing else run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from tests.serve.calls import get, open_host
from textkit import Vectors
from textkit.serve.host import Host

SITE = files("textkit.serve") / "site"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    Vectors(["king"], np.ones((1, 2), np.float32)).save(tmp_path / "v")
    host = open_host([str(tmp_path / "v")], key="secret")
    yield host
    host.close()


def test_the_page_needs_no_key_and_has_a_policy(host: Host) -> None:
    for path, kind in (("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "javascript")):
        answer = get(host, path)
        assert answer.status_code == 200 and kind in answer.headers["content-type"]
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_of_it_comes_from_elsewhere_or_would_break_the_policy() -> None:
    page = (SITE / "index.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources and all(source.startswith("/") for source in sources)
    assert not re.search(r"\son\w+=|style=|<script>|<style", page)
    for name in ("page.css", "page.js"):
        assert "://" not in (SITE / name).read_text(encoding="utf-8").replace("http://x", "")


def test_answers_are_written_as_text() -> None:
    code = (SITE / "page.js").read_text(encoding="utf-8")
    assert "textContent" in code
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        ".style",
    ):
        assert way not in code


def test_every_id_that_the_code_asks_for_is_there() -> None:
    page = (SITE / "index.html").read_text(encoding="utf-8")
    code = (SITE / "page.js").read_text(encoding="utf-8")
    for name in re.findall(r'\$\("([\w-]+)"\)', code):
        assert f'id="{name}"' in page
