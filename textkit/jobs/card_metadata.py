"""What the hub reads at the head of a model card: licence, language, data sets, and the figures as
`model-index`, written as YAML.

In: plain values. Out: the lines between two `---`, which the hub's own client reads back as they
were.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence

from textkit.errors import UsageError
from textkit.jobs.card_figures import Figures

# As the hub spells them (its page on licences); "other" is for every other.
_KNOWN = """
afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m
bigscience-bloom-rail-1.0 bigscience-openrail-m bsd bsd-2-clause bsd-3-clause
bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0
cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl
gpl gpl-2.0 gpl-3.0 grok2-community h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0
lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa odbl
odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0 other pddl postgresql unknown unlicense
wtfpl zlib
"""
LICENCES = tuple(_KNOWN.split())
_HOW = "as --licence mit, apache-2.0, cc-by-4.0, or other"
# A text that needs no quotes, unless YAML takes it for something else: `no` is Norwegian here.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9.]+)*")
_NO_TEXT = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
# What YAML would not take as it is between quotes, though JSON does.
_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")


def check_licence(licence: str | None) -> str:
    """Give a licence as the hub spells it.

    Raises UsageError where none is given, where it is no name of one, and where it is close to one
    that the hub knows; any other passes, for the hub may know more.

    >>> check_licence("MIT")
    'mit'
    >>> check_licence("apache2.0")
    Traceback (most recent call last):
    textkit.errors.UsageError: unknown licence 'apache2.0'; did you mean 'apache-2.0'?
    """
    if not licence or not licence.strip():
        raise UsageError(f"no licence is given; say under which others may use the model, {_HOW}")
    name = licence.strip().lower()
    if name in LICENCES:
        return name
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", name):
        raise UsageError(f"licence is {licence!r}, expected one name, {_HOW}")
    close = difflib.get_close_matches(name, LICENCES, n=1, cutoff=0.85)
    if close:
        raise UsageError(f"unknown licence '{licence}'; did you mean '{close[0]}'?")
    return name


def head(
    *,
    name: str,
    licence: str,
    language: Sequence[str] = (),
    data: Sequence[str] = (),
    tags: Sequence[str] = (),
    base_model: str | None = None,
    figures: Sequence[Figures] = (),
) -> str:
    """Write the head of a card.

    name: what the figures are filed under. data: names of data sets on the hub; figures: those of
    rows that the training never saw.
    """
    values: dict[str, object] = {
        "license": licence,
        "library_name": "textkit",
        "pipeline_tag": "text-classification",
        "tags": [*dict.fromkeys(["textkit", "text-classification", *tags])],
    }
    if language:
        values["language"] = list(language)
    if data:
        values["datasets"] = list(data)
    if base_model:
        values["base_model"] = base_model
    if figures:
        results = [_result(measured, data) for measured in figures]
        values["model-index"] = [{"name": name, "results": results}]
    return "\n".join(["---", *_lines(values), "---"])


def _result(figures: Figures, data: Sequence[str]) -> dict[str, object]:
    of = data[0] if len(data) == 1 else re.sub(r"\W+", "-", figures.of).strip("-").lower()
    metrics = []
    for figure in figures.figures:
        kind, average = figure.kind
        metric: dict[str, object] = {"type": kind, "value": figure.value, "name": figure.title}
        arguments: dict[str, object] = {} if average is None else {"average": average}
        if figure.interval is not None:
            arguments["interval_95"] = list(figure.interval)
        metrics.append(metric | ({"args": arguments} if arguments else {}))
    return {
        "task": {"type": "text-classification", "name": "Text classification"},
        "dataset": {"name": figures.of, "type": of or "rows"},
        "metrics": metrics,
    }


def _lines(values: Mapping[str, object] | Sequence[object]) -> list[str]:
    """Write a mapping, or a sequence, as a block of YAML."""
    if not isinstance(values, Mapping):
        lines = []
        for value in values:
            first, *rest = _lines(value) if isinstance(value, Mapping) else [_scalar(value)]
            lines += [f"- {first}", *(f"  {line}" for line in rest)]
        return lines
    lines = []
    for key, value in values.items():
        is_block = isinstance(value, Mapping | list)
        lines.append(f"{key}:" if is_block else f"{key}: {_scalar(value)}")
        if isinstance(value, Mapping | list):
            lines += [f"  {line}" for line in _lines(value)]
    return lines


def _scalar(value: object) -> str:
    """Write a number or a text so that YAML reads the same back: quoted, unless it is plain."""
    if isinstance(value, float):
        shown = f"{value:.6f}".rstrip("0")  # 1e-05 would be a text to YAML
        return f"{shown}0" if shown.endswith(".") else shown
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and value.lower() not in _NO_TEXT):
        quoted = json.dumps(value, ensure_ascii=False)
        return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
    return str(value)
