"""Train a tokenizer further: more tokens, learnt from more texts, behind those that it has.

In: the description of a tokenizer and counted words. Out: a description with more tokens; every id
and every merge that was there stays.

1. Each word is cut by the tokenizer as it is. A character that it does not know is a new one, and
   the most frequent of these come first among the new tokens.
2. Every token becomes one character, in the order of ids, and tokenizers' own BPE trainer learns
   merges of these: to go on with the same texts gives what training to the larger size at once
   would have given.
3. What it merged is spelled again. A list of words simply gets the most frequent new ones.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import tokenizers as hf
from tokenizers import models, pre_tokenizers, trainers

from textkit.errors import UsageError
from textkit.tokenizers.changes import BYTE_PIECES, merges_of
from textkit.tokenizers.counting import repeat_pieces
from textkit.tokenizers.description import Description, TableModel
from textkit.tokenizers.protocol import Splitter

# Characters of an alphabet: tokenizers takes a number, and Unicode has fewer.
_UNLIMITED = 1 << 21
# The first character that stands for a token; a space and surrogates cannot.
_FIRST, _SURROGATES, _N_SURROGATES = 0x21, 0xD800, 0x800
# The words of a text in which '▁' stands for a space.
_WORDS = re.compile("▁*[^▁]+|▁+").findall
# A tokenizer.json of a model alone.
_EMPTY: dict[str, object] = {
    "version": "1.0",
    "added_tokens": [],
    **dict.fromkeys(
        ["truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"]
    ),
}
Counts = list[tuple[str, int]]


def word_finder(
    description: Description, splitter: Splitter | None, normalize: Callable[[str], str]
) -> Callable[[str], list[str]]:
    """Give what cuts a text into the words that tokens are learnt within; what an added token
    would be found in is none.

    splitter: None where merges run over whole texts, as sentencepiece has them: a word begins with
    a '▁' there.
    """
    added = [
        re.escape(token["content"]) for token in description["added_tokens"] if not token["special"]
    ]
    parts = re.compile("|".join(sorted(added, key=len, reverse=True)) or r"(?!)").split

    def find(text: str) -> list[str]:
        if splitter is None:
            return [word for part in parts(text) for word in _WORDS(normalize(part))]
        found = (piece for part in parts(text) for piece in splitter.find(part))
        if not splitter.drops_space:
            return list(found)
        return [piece.lstrip(" ") for piece in found if not piece.isspace()]

    return find


def learn_further(
    description: Description, counts: Iterable[tuple[str, int]], *, size: int, min_frequency: int
) -> Description:
    """Give a tokenizer of up to `size` tokens in all.

    counts: words as the tokenizer's splitter gives them, and how often each came. min_frequency: of
    a merge, a word or a character. UsageError where a vocabulary cannot be learnt further.
    """
    description = copy.deepcopy(description)
    model = description["model"]
    if model["type"] == "Unigram":
        raise UsageError(
            "the pieces of a unigram tokenizer are weighed together: it cannot be trained further"
        )
    ids = _all_ids(description, model)
    if size <= len(ids):
        raise UsageError(f"size is {size}, expected more than the {len(ids)} tokens that are there")
    words = [(word, count) for word, count in counts if word]
    if model["type"] == "WordLevel":
        new = _new_words(words, ids, room=size - len(ids), min_frequency=min_frequency)
        model["vocab"] = {**ids, **{word: len(ids) + i for i, word in enumerate(new)}}
        return description
    room = size - len(ids)
    pieces = _cut(model, words)
    letters = _frequent(pieces, ids, min_frequency=min_frequency)[:room]
    ids |= {letter: len(ids) + i for i, letter in enumerate(letters)}
    prefix = model.get("continuing_subword_prefix") or ""
    merges = _learn(
        _runs_of_known(pieces, ids),
        ids,
        prefix=prefix,
        room=room - len(letters),
        min_frequency=min_frequency,
    )
    known = set(merges_of(model)) if "merges" in model else set()
    for left, right in merges:
        made = left + right.removeprefix(prefix)
        if len(ids) >= size and made not in ids:
            break
        ids.setdefault(made, len(ids))
        if "merges" in model and (left, right) not in known:
            model["merges"].append([left, right])
    model["vocab"] = ids
    return description


def _all_ids(description: Description, model: TableModel) -> dict[str, int]:
    """Give the ids of the model and of the added tokens, which stay where they are: the model must
    have them too, or tokenizers would number them behind the new tokens.
    """
    ids = dict(model["vocab"])
    for token in description["added_tokens"]:
        if token["content"] not in ids:
            if model["type"] != "BPE" and not token["special"]:
                raise UsageError(
                    f"the added token '{token['content']}' stands behind the vocabulary: train"
                    " further first, then add tokens"
                )
            ids[token["content"]] = token["id"]
    if sorted(ids.values()) != list(range(len(ids))):
        raise UsageError("the ids of the vocabulary have gaps: it cannot be trained further")
    return dict(sorted(ids.items(), key=lambda item: item[1]))


def _new_words(
    words: Counts, ids: Mapping[str, int], *, room: int, min_frequency: int
) -> list[str]:
    found = [(word, n) for word, n in words if n >= min_frequency and word not in ids]
    return [word for word, _ in sorted(found, key=lambda pair: (-pair[1], pair[0]))[:room]]


def _cut(model: TableModel, words: Counts) -> list[tuple[list[str], int]]:
    """Cut words into the tokens that they have, with what is unknown as characters."""
    backend = hf.Tokenizer.from_str(
        json.dumps({**_EMPTY, "model": {**model, "dropout": None}})
    ).model
    prefix = model.get("continuing_subword_prefix") or ""
    suffix = model.get("end_of_word_suffix") or ""
    if model["type"] == "WordPiece":
        known, longest = model["vocab"], model.get("max_input_chars_per_word", 100)
        return [(_longest_first(w, known, prefix), n) for w, n in words if len(w) <= longest]
    cut = []
    for word, count in words:
        pieces: list[str] = []
        data = word.encode("utf-8", "replace")
        for token in backend.tokenize(word):
            if token.value != model.get("unk_token"):
                pieces.append(token.value)
                continue
            start, end = token.offsets  # in bytes
            first = len(data[:start].decode("utf-8"))
            for at, letter in enumerate(data[start:end].decode("utf-8"), first):
                mark = prefix if at else ""
                pieces.append(mark + letter + (suffix if at == len(word) - 1 else ""))
        cut.append((pieces, count))
    return cut


def _longest_first(word: str, known: Mapping[str, int], prefix: str) -> list[str]:
    """Cut a word as WordPiece does, a character that has no piece by itself."""
    pieces: list[str] = []
    at = 0
    while at < len(word):
        mark = prefix if at else ""
        ends = range(len(word), at, -1)
        end = next((end for end in ends if mark + word[at:end] in known), at + 1)
        pieces.append(mark + word[at:end])
        at = end
    return pieces


def _frequent(
    pieces: list[tuple[list[str], int]], ids: Mapping[str, int], *, min_frequency: int
) -> list[str]:
    """Give the characters that the vocabulary lacks, the most frequent first."""
    counts: Counter[str] = Counter()
    for word, count in pieces:
        for piece in word:
            if piece not in ids:
                counts[piece] += count
    found = [(piece, n) for piece, n in counts.items() if n >= min_frequency]
    return [piece for piece, _ in sorted(found, key=lambda pair: (-pair[1], pair[0]))]


def _runs_of_known(
    pieces: list[tuple[list[str], int]], ids: Mapping[str, int]
) -> list[tuple[list[str], int]]:
    """Give the runs of pieces that merges may join: bytes of characters that have no token, and
    what stays unknown, stand between them.
    """
    runs = []
    for word, count in pieces:
        run: list[str] = []
        for piece in [*word, ""]:
            if piece in ids and piece not in BYTE_PIECES:
                run.append(piece)
                continue
            if len(run) > 1:
                runs.append((run, count))
            run = []
    return runs


def _learn(
    runs: list[tuple[list[str], int]],
    ids: Mapping[str, int],
    *,
    prefix: str,
    room: int,
    min_frequency: int,
) -> list[tuple[str, str]]:
    """Learn up to `room` merges of tokens."""
    names = {_character(i): name for name, i in ids.items()}
    character = {name: char for char, name in names.items()}
    written = [("".join(map(character.__getitem__, run)), count) for run, count in runs]
    backend = hf.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    trainer = trainers.BpeTrainer(
        vocab_size=len(set().union(*(word for word, _ in written))) + room,
        min_frequency=min_frequency,
        limit_alphabet=_UNLIMITED,
        show_progress=False,
    )
    backend.train_from_iterator(repeat_pieces(written), trainer)

    def spell(characters: str) -> str:
        first, *others = (names[char] for char in characters)
        return first + "".join(name.removeprefix(prefix) for name in others)

    found = json.loads(backend.to_str())["model"]["merges"]
    return [(spell(left), spell(right)) for left, right in found]


def _character(i: int) -> str:
    code = _FIRST + i
    return chr(code if code < _SURROGATES else code + _N_SURROGATES)
