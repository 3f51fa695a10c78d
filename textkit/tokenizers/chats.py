"""Chat templates: messages to the text that a model of conversations was trained on.

In: the Jinja template of a tokenizer folder, and messages. Out: one text. The template comes from
whoever made the folder, so that it runs in Jinja's sandbox, which reaches no attribute that begins
with an underscore and changes nothing, with the options and functions that transformers gives it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from textkit.errors import ArtifactError, UsageError, require
from textkit.io import files
from textkit.tokenizers.description import CONFIG_JSON

CHAT_TEMPLATE = "chat_template.jinja"
Message = Mapping[str, Any]


def read_template(folder: Path) -> str | None:
    """Read the chat template of a folder: of chat_template.jinja, else of tokenizer_config.json,
    where the one called "default" counts of several.
    """
    if (folder / CHAT_TEMPLATE).is_file():
        try:
            return (folder / CHAT_TEMPLATE).read_text(encoding="utf-8")
        except UnicodeDecodeError as err:
            raise ArtifactError("is no UTF-8", where=str(folder / CHAT_TEMPLATE)) from err
    said = files.read_object(folder / CONFIG_JSON).get("chat_template")
    if isinstance(said, list):
        by_name = {one.get("name"): one.get("template") for one in said if isinstance(one, dict)}
        said = by_name.get("default")
    return said if isinstance(said, str) else None


def render(
    template: str,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = False,
    tools: Sequence[Mapping[str, Any]] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> str:
    """Give the text of a conversation, as transformers' apply_chat_template does with
    tokenize=False.

    messages: each with "role" and "content", or what the template reads. variables: what else the
    template reads. Raises ArtifactError for a template that is none, UsageError for messages that
    it refuses.

    >>> template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    >>> render(template, [{"role": "user", "content": "hello"}])
    '<user>hello'
    """
    require("jinja2", needed_by="a chat template")
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if isinstance(messages, str) or not all(isinstance(one, Mapping) for one in messages):
        raise UsageError("messages are a list of objects with 'role' and 'content'")
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    try:
        compiled = environment.from_string(template)
    except jinja2.TemplateSyntaxError as err:
        raise ArtifactError(f"the chat template is none: {err}") from err
    try:
        return compiled.render(
            messages=messages,
            tools=tools,
            documents=None,
            add_generation_prompt=add_generation_prompt,
            **(variables or {}),
        )
    except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as err:
        raise UsageError(f"the chat template refuses these messages: {err}") from err


def _to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)
