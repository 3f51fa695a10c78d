"""Templates: the special tokens round a text or a pair, as BERT's [CLS] A [SEP] B [SEP].

In: a spelled template, or the post-processor of a tokenizer.json. Out: a Template, which puts
batches together, and the post-processor that makes other programs do the same:

1. `PRESETS` spells the templates of BERT, RoBERTa, T5 and Llama: `$A` and `$B` are the texts, `:1`
   is a type id, and what is in braces is the name of a special token;
2. `bind` looks the names up in a vocabulary, and `to_step` writes the post-processor;
3. `read` asks tokenizers itself what a post-processor makes of a text and of a pair, so that every
   kind of post-processor is read as it is meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import tokenizers as hf
from numpy.typing import NDArray
from tokenizers import models, pre_tokenizers

from textkit.batch import TokenBatch, offsets_of
from textkit.errors import UsageError, unknown_name
from textkit.origins import Origins
from textkit.tokenizers.description import Step
from textkit.tokenizers.lengths import OnLong, fit_pairs, limit, refuse_long

TEXTS = ("$A", "$B")
_SPELLED = re.compile(r"(\$A|\$B|\{\w+\})(?::(\d+))?")


@dataclass(frozen=True)
class Spelled:
    """A template by the names of its special tokens, and what a vocabulary may call them.

    single, pair: as in "{cls} $A {sep} $B:1 {sep}:1". names: role -> what it is called where
    nothing says so. has_types: whether models of the family read type ids.
    """

    single: str
    pair: str
    names: Mapping[str, tuple[str, ...]]
    has_types: bool = False


# transformers 5.23: tokenization_bert.py, tokenization_roberta.py, tokenization_t5.py,
# tokenization_llama.py.
PRESETS = {
    "bert": Spelled(
        "{cls} $A {sep}",
        "{cls} $A {sep} $B:1 {sep}:1",
        {"cls": ("[CLS]", "<s>"), "sep": ("[SEP]", "</s>")},
        has_types=True,
    ),
    "roberta": Spelled(
        "{cls} $A {sep}",
        "{cls} $A {sep} {sep} $B {sep}",
        {"cls": ("<s>", "[CLS]"), "sep": ("</s>", "[SEP]")},
    ),
    "t5": Spelled("$A {eos}", "$A {eos} $B {eos}", {"eos": ("</s>", "<|endoftext|>")}),
    "llama": Spelled(
        "{bos} $A",
        "{bos} $A {bos}:1 $B:1",
        {"bos": ("<s>", "<|begin_of_text|>", "<|endoftext|>")},
    ),
}


@dataclass(frozen=True)
class Part:
    """A special token, by its name and id, or one of TEXTS, without an id; and its type id."""

    name: str
    id: int | None = None
    type: int = 0


@dataclass(frozen=True)
class Template:
    """What stands round a text (`single`) and round two (`pair`), in order.

    has_types: whether batches are given type ids.

    >>> vocabulary = {"<s>": 0, "</s>": 2}
    >>> template = bind("roberta", vocabulary)
    >>> one, two = TokenBatch.from_rows([[7, 8]]), TokenBatch.from_rows([[9]])
    >>> template.join(one, two).ids.tolist()
    [0, 7, 8, 2, 2, 9, 2]
    """

    single: tuple[Part, ...] = (Part("$A"),)
    pair: tuple[Part, ...] = (Part("$A"), Part("$B"))
    has_types: bool = False

    @property
    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids before and after a text of its own."""
        texts = [i for i, part in enumerate(self.single) if part.id is None]
        first, last = (texts[0], texts[-1]) if texts else (len(self.single), len(self.single))
        before, after = self.single[:first], self.single[last + 1 :]
        return (
            tuple(part.id for part in before if part.id is not None),
            tuple(part.id for part in after if part.id is not None),
        )

    @property
    def n_special(self) -> int:
        """How many special tokens stand round a text of its own."""
        return sum(part.id is not None for part in self.single)

    def without_special(self) -> Template:
        """Give the texts alone, with the type ids that they have."""
        return replace(
            self,
            single=tuple(part for part in self.single if part.id is None),
            pair=tuple(part for part in self.pair if part.id is None),
        )

    def join(
        self,
        first: TokenBatch,
        second: TokenBatch | None = None,
        *,
        max_length: int | None = None,
        on_long: OnLong = "truncate",
        stride: int | None = None,
    ) -> TokenBatch:
        """Put texts, or texts and their pairs, and the special tokens side by side.

        max_length: of a row, special tokens included; a pair loses tokens of the longer text first,
        as tokenizers does. on_long="window" goes on with a text in further rows, and with a pair's
        second text, the first one and the special tokens in each. Special tokens have the span
        (0, 0) and the origin -1; `sequences` and, where the template has them, `types` are in
        `origins`.
        """
        if second is not None and len(second) != len(first):
            raise UsageError(f"{len(first)} texts but {len(second)} pairs")
        parts = self.single if second is None else self.pair
        if max_length is not None:
            n_special = sum(part.id is not None for part in parts)
            if max_length < n_special:
                raise UsageError(
                    f"max_length is {max_length}, but the template alone takes {n_special} tokens"
                )
            first, second = _fit(
                first, second, room=max_length - n_special, on_long=on_long, stride=stride
            )
        texts = {"$A": first, "$B": first if second is None else second}
        return _interleave(parts, texts, has_types=self.has_types)

    def to_step(self) -> Step:
        """Spell it as the post-processor of a tokenizer.json."""
        special = {part.name: part.id for part in (*self.single, *self.pair) if part.id is not None}
        step: dict[str, object] = {
            "type": "TemplateProcessing",
            "single": [_to_piece(part) for part in self.single],
            "pair": [_to_piece(part) for part in self.pair],
            "special_tokens": {
                name: {"id": name, "ids": [i], "tokens": [name]} for name, i in special.items()
            },
        }
        return cast(Step, step)


def bind(
    preset: str, vocabulary: Mapping[str, int], *, named: Mapping[str, str] | None = None
) -> Template:
    """Give a preset with the ids of a vocabulary: bert, roberta, t5 or llama.

    named: `cls_token` and its like, which go before the names that the preset knows. Raises
    UsageError where the vocabulary has none of them.
    """
    if preset not in PRESETS:
        raise UsageError(unknown_name("template", preset, PRESETS))
    spelled = PRESETS[preset]
    roles = {role: _name_of(role, preset, vocabulary, named or {}) for role in spelled.names}
    single, pair = (
        tuple(_part(text, type_id, roles, vocabulary) for text, type_id in _SPELLED.findall(form))
        for form in (spelled.single, spelled.pair)
    )
    return Template(single, pair, has_types=spelled.has_types)


def missing_roles(
    preset: str, vocabulary: Mapping[str, int], *, named: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give the usual names of the special tokens of a preset that a vocabulary lacks."""
    if preset not in PRESETS:
        raise UsageError(unknown_name("template", preset, PRESETS))
    known = named or {}
    return {
        f"{role}_token": names[0]
        for role, names in PRESETS[preset].names.items()
        if not any(name in vocabulary for name in (known.get(f"{role}_token"), *names))
    }


def roles_of(
    preset: str, vocabulary: Mapping[str, int], *, named: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give what a preset calls its special tokens: `cls_token` -> "[CLS]"."""
    names = PRESETS[preset].names
    return {f"{role}_token": _name_of(role, preset, vocabulary, named or {}) for role in names}


def read(step: Step | None, *, has_types: bool | None = None) -> Template:
    """Read a post-processor, of whatever type, by what it makes of a text and of a pair.

    has_types: None finds out whether a pair's texts have different type ids.
    """
    probe = hf.Tokenizer(models.WordLevel({"A": 0, "B": 1, "": 2}, unk_token=""))
    probe.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    described = json.loads(probe.to_str())
    described["post_processor"] = step
    probe = hf.Tokenizer.from_str(json.dumps(described))
    single, pair = _parts(probe.encode("A")), _parts(probe.encode("A", "B"))
    differ = len({part.type for part in pair}) > 1
    return Template(
        single, pair, has_types=(differ and step is not None) if has_types is None else has_types
    )


def _parts(row: hf.Encoding) -> tuple[Part, ...]:
    return tuple(
        Part(token, i, type_id) if special else Part(f"${'AB'[i]}", None, type_id)
        for token, i, type_id, special in zip(
            row.tokens, row.ids, row.type_ids, row.special_tokens_mask, strict=True
        )
    )


def _name_of(
    role: str, preset: str, vocabulary: Mapping[str, int], named: Mapping[str, str]
) -> str:
    known = (named.get(f"{role}_token"), *PRESETS[preset].names[role])
    name = next((name for name in known if name is not None and name in vocabulary), None)
    if name is None:
        wanted = PRESETS[preset].names[role]
        raise UsageError(
            f"template '{preset}' needs a {role}_token, and the vocabulary has none of"
            f" {', '.join(wanted)}; add one: add_special_tokens({role}_token='{wanted[0]}')"
        )
    return name


def _part(text: str, type_id: str, roles: Mapping[str, str], vocabulary: Mapping[str, int]) -> Part:
    if text in TEXTS:
        return Part(text, None, int(type_id or 0))
    name = roles[text[1:-1]]
    return Part(name, vocabulary[name], int(type_id or 0))


def _to_piece(part: Part) -> dict[str, dict[str, object]]:
    if part.id is None:
        return {"Sequence": {"id": part.name[1:], "type_id": part.type}}
    return {"SpecialToken": {"id": part.name, "type_id": part.type}}


def _fit(
    first: TokenBatch,
    second: TokenBatch | None,
    *,
    room: int,
    on_long: OnLong,
    stride: int | None,
) -> tuple[TokenBatch, TokenBatch | None]:
    if second is None:
        return limit(first, max_length=room, on_long=on_long, stride=stride), None
    if on_long == "error":
        refuse_long(first.lengths + second.lengths, room)
    if on_long != "window":
        limit(first.slice(0, 0), max_length=room, on_long=on_long, stride=None)  # a wrong on_long
        return fit_pairs(first, second, room=room)
    rooms = room - first.lengths
    if len(full := np.flatnonzero(rooms < 1)):
        raise UsageError(
            f"text {full[0]} has {first.lengths[full[0]]} tokens, which leaves no room for windows"
            f" of its pair; raise max_length"
        )
    windows = second.windows(rooms, stride=np.maximum(1, rooms // 2) if stride is None else stride)
    assert windows.sources is not None
    return replace(first.take(windows.sources), sources=windows.sources), windows


def _interleave(
    parts: tuple[Part, ...], texts: Mapping[str, TokenBatch], *, has_types: bool
) -> TokenBatch:
    """Put the rows of texts and the special tokens side by side."""
    like = texts["$A"]
    n = len(like)
    segments = [texts[part.name] if part.id is None else _constant(part.id, like) for part in parts]
    lengths = np.array([segment.lengths for segment in segments], dtype=np.int64).reshape(-1, n)
    total = offsets_of(lengths.sum(axis=0))
    ids = np.zeros(int(total[-1]), dtype=np.int32)
    sequences, types = np.zeros_like(ids), np.zeros_like(ids)
    has_words = all(
        batch.origins is not None and batch.origins.words is not None for batch in texts.values()
    )
    words = np.full_like(ids, -1) if has_words else None
    spans = None if like.spans is None else np.zeros((len(ids), 2), dtype=np.int32)
    begins = total[:-1].copy()
    for part, segment, sizes in zip(parts, segments, lengths, strict=True):
        places = np.arange(len(segment.ids)) + np.repeat(begins - segment.offsets[:-1], sizes)
        ids[places] = segment.ids
        types[places] = part.type
        sequences[places] = -1 if part.id is not None else TEXTS.index(part.name)
        if spans is not None and segment.spans is not None:
            spans[places] = segment.spans
        said = None if segment.origins is None else segment.origins.words
        if words is not None and said is not None:
            words[places] = said
        begins += sizes
    shown = {part.name for part in parts if part.id is None}
    return replace(
        like,
        ids=ids,
        offsets=total,
        spans=spans,
        truncated=_sum([texts[name].truncated for name in shown], like.truncated),
        n_replaced=sum(texts[name].n_replaced for name in shown),
        origins=Origins(words, sequences, types if has_types else None),
    )


def _sum(columns: list[NDArray[np.int32]], like: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.sum(columns, axis=0, dtype=np.int32) if columns else np.zeros_like(like)


def _constant(i: int, like: TokenBatch) -> TokenBatch:
    """Give a batch with one id in every row."""
    n = len(like)
    return TokenBatch(
        np.full(n, i, dtype=np.int32), np.arange(n + 1), None, np.zeros(n, dtype=np.int32)
    )
