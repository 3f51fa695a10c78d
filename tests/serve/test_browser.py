"""The page at `/` in a real Chromium: what models say stands there as text, in every direction."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from tests.serve.browser import Browser, browsing
from tests.serve.calls import TEXTS, open_host, served
from textkit import SearchIndex, TextClassifier, tokenizers
from textkit.serve.life import _listen

pytestmark = pytest.mark.slow
SCRIPT = "<script>window.ran = 1</script>"
LABELS = [
    SCRIPT,
    '<img src=x onerror="window.ran = 2">',
    "إيجابي جدا",
    "👨‍👩‍👧‍👦",
    "one_long_label_" * 8,
]
ARABIC = "هذا فيلم جيد 👨‍👩‍👧‍👦 " + SCRIPT


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Serve a model with odd labels, one with 77, a tokenizer and an index."""
    folder = tmp_path_factory.mktemp("models")
    texts = ["good film", "bad film", "جيد", "family", "long"]
    TextClassifier(encoder="linear").fit(texts * 4, LABELS * 4).save(folder / "odd")
    many = [f"topic{i}" for i in range(77)]
    TextClassifier(encoder="linear").fit(many * 4, many * 4).save(folder / "many")
    tokenizers.train("bpe", TEXTS, size=280).save(folder / "bpe")
    SearchIndex.build([*TEXTS[:4], ARABIC], folder / "found")
    host = open_host([str(folder / name) for name in ("odd", "many", "bpe", "found")])
    with served(host) as port:
        yield port


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with _listen("127.0.0.1", 0) as free:
        driver = free.getsockname()[1]
    with browsing(driver, str(tmp_path_factory.mktemp("profile"))) as browser:
        yield browser


def test_what_models_say_is_text(port: int, browser: Browser) -> None:
    browser.open(f"http://127.0.0.1:{port}/#{urlencode({'text': ARABIC})}")
    cards = browser.run("[...document.querySelectorAll('.model')].map((card) => card.innerText)")
    odd, _, bpe, found = cards
    assert SCRIPT in odd.replace("\n", "") and "onerror" in odd and "إيجابي جدا" in odd
    assert len(browser.run("[...document.querySelectorAll('.model:nth-child(2) dt')]")) == 12
    assert "tokens" in bpe and SCRIPT in found
    assert browser.run("window.ran") is None
    assert browser.run("document.querySelectorAll('#answers script, #answers img').length") == 0
    line = "document.querySelector('.model:nth-child(3) .tokens')"
    assert browser.run(f"{line}.textContent") == ARABIC
    assert browser.run(f"getComputedStyle({line}).direction") == "rtl"
    assert SCRIPT in browser.run("document.querySelector('#curl').textContent")
    origins = (
        "[...new Set(performance.getEntriesByType('resource').map((e) => new URL(e.name).origin))]"
    )
    assert browser.run(origins) == [f"http://127.0.0.1:{port}"]
    assert browser.problems() == []


def test_nothing_is_wider_than_a_phone_and_dark_is_dark(port: int, browser: Browser) -> None:
    text = urlencode({"text": "x" * 3000 + " a text of many words" * 200})
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.open(f"http://127.0.0.1:{port}/#{text}", width=390)
    light = browser.run(paper)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.open(f"http://127.0.0.1:{port}/#{text}", width=1200, scheme="dark")
    assert browser.run(paper) != light
    assert browser.run("document.documentElement.scrollWidth") <= 1200


def test_typing_and_running_answers_and_an_error_is_told(port: int, browser: Browser) -> None:
    browser.open(f"http://127.0.0.1:{port}/")
    for box in ("model-1", "model-2", "model-3"):
        browser.run(f"document.getElementById('{box}').click()")
    browser.run("document.getElementById('text').value = 'good film'")
    browser.run("document.querySelector('button[type=submit]').click()")
    browser.wait("document.querySelectorAll('.model').length === 1")
    assert SCRIPT in browser.run("document.querySelector('.bars dt').textContent")
    assert f"for {SCRIPT}" in browser.run("document.querySelector('.reasons .note').textContent")
    assert browser.run("document.querySelectorAll('#answers script').length") == 0
    browser.run("models[0].name = 'gone', document.querySelector('button[type=submit]').click()")
    browser.wait("document.querySelector('.model .cut') !== null")
    assert "unknown model 'gone'" in browser.run(
        "document.querySelector('.model .cut').textContent"
    )
