"""Chat templates give the text and the ids that transformers gives, and reach nothing else."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.tokenizers.test_contract import make
from textkit import tokenizers
from textkit.errors import ArtifactError, UsageError
from textkit.tokenizers.chats import render

CHAT_ML = """{% for message in messages %}
{{- '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
LLAMA = """{% if messages[0]['role'] == 'system' %}{% set start = 1 %}{% else %}{% set start = 0 %}
{% endif %}{% for m in messages[start:] %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- if m['role'] == 'user' %}{{ bos_token + '[INST] ' + m['content'] + ' [/INST]' }}
    {%- else %}{{ ' ' + m['content'] + eos_token }}{% endif %}
    {%- if m.content is none %}{% break %}{% endif %}
{% endfor %}"""
TOOLS = """{% if tools %}{% for tool in tools %}{{ tool | tojson(indent=2) }}
{% endfor %}{% endif %}{{ messages | tojson }} {{ name | default('nobody') }}"""
CHATS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "hello  "}],
    [
        {"role": "user", "content": "<b>'é' \U0001f642</b>\n"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": ""},
    ],
    [{"role": "system", "content": "s"}, {"role": "user", "content": "<|im_end|>"}],
]


@pytest.mark.parametrize("place", ["jinja", "config"])
@pytest.mark.parametrize("template", [CHAT_ML, LLAMA, TOOLS])
def test_a_chat_is_that_of_transformers(template: str, place: str) -> None:
    from transformers import AutoTokenizer

    names = {"bos_token": "<s>", "eos_token": "</s>"}
    made = make("bpe").add_tokens(["<|im_start|>", "<|im_end|>"], special=True)
    made.add_special_tokens(**names).save("tok")
    if place == "jinja":
        Path("tok/chat_template.jinja").write_text(template, encoding="utf-8")
    else:
        config = json.loads(Path("tok/tokenizer_config.json").read_text(encoding="utf-8"))
        config["chat_template"] = template
        Path("tok/tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    Path("tok/manifest.json").unlink()
    peer, tokenizer = AutoTokenizer.from_pretrained("tok"), tokenizers.load("tok")
    assert isinstance(tokenizer, tokenizers.PipelineTokenizer)
    tokenizer.save("again")
    again = tokenizers.load("again")
    tools = [{"type": "function", "function": {"name": "é", "parameters": {"a": [1]}}}]
    for ours in (tokenizer, again, pickle.loads(pickle.dumps(tokenizer))):
        for chat in CHATS:
            for add in (False, True):
                text = ours.chat_text(
                    chat, add_generation_prompt=add, tools=tools, variables={"name": "x"}
                )
                options = {"add_generation_prompt": add, "tools": tools, "name": "x"}
                assert text == peer.apply_chat_template(chat, tokenize=False, **options)
                ids = ours.encode([text], allow_special=True)[0].tolist()
                assert ids == peer.apply_chat_template(chat, **options)["input_ids"]


def test_a_template_reaches_nothing_outside() -> None:
    for template in (
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__['json'] }}",
    ):
        with pytest.raises(UsageError, match="the chat template refuses these messages"):
            render(template, [])
    with pytest.raises((UsageError, ArtifactError)):
        render("{% include '/etc/passwd' %}", [])


def test_what_is_no_chat_is_said() -> None:
    with pytest.raises(UsageError, match="has no chat template"):
        make("bpe").chat_text([])
    with pytest.raises(ArtifactError, match="the chat template is none: "):
        render("{% for %}", [])
    with pytest.raises(UsageError, match="roles must alternate"):
        render(LLAMA, [{"role": "assistant", "content": "a"}])
    with pytest.raises(UsageError, match="messages are a list of objects"):
        render(CHAT_ML, ["hello"])  # type: ignore[list-item]
    assert render(CHAT_ML, []) == ""
