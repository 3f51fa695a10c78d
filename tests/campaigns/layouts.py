"""Random layouts of tokenizer.json on random Unicode: ids and spans as the reference's.

Usage: python tests/campaigns/layouts.py [SECONDS [SEED]]. Not part of `make test`: run by `make
fuzz`. Every round puts a model with random options behind random normalisers and splitters, loads
it, lets the engines be chosen on a harmless text, and compares both ways of encoding with Hugging
Face's tokenizers. Exits 1 and names every layout that
differs with its first text.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import tokenizers as hf

from textkit import tokenizers
from textkit.errors import TextkitError
from textkit.tokenizers.engines.guard import HARD_STRINGS
from textkit.tokenizers.engines.reference import native_errors

_TEXT = """
pride vanity and are different things the of a to in is don't it's we're naïve
ÜNDER straße हिन्दी भाषा 漢字 かな 한국어 العربية ไทย 🙂 👍🏽 e\u0301te ﬁn 3.14 1,000 2024
__init__ x=y; -- ... ?! Çedilla ŒUVRE İstanbul ſtrange 'ſ 'S 'RE \u212aelvin
``quoted'' “so” ½ Ⅳ ٣٤
"""
WORDS = _TEXT.split()
SPACES = [" ", " ", " ", " ", "  ", "\n", "\t", " \n", "\r\n", "\u00a0", "\u3000", "\u2581", ""]
ALPHABET = sorted({c for word in WORDS for c in word} | set(map(chr, range(33, 127))))
PATTERNS = [
    r"\s+",
    r"\w+|[^\w\s]+",
    r"[A-Za-z]+|\d",
    r"\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+|\s+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i)the|[a-z]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|\p{N}|\s+",
    "[\u3040-\u30ff\u4e00-\u9fff]+",
    r"[[:punct:]]",
    r"\d{3}(?=\D|$)",
]
BEHAVIORS = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
LOWER_BEHAVIORS = {
    "Isolated": "isolated",
    "Removed": "removed",
    "MergedWithPrevious": "merged_with_previous",
    "MergedWithNext": "merged_with_next",
    "Contiguous": "contiguous",
}


def normalizer(draw: random.Random) -> hf.normalizers.Normalizer | None:
    n = hf.normalizers
    flags = [draw.random() < 0.5 for _ in range(4)]
    makers = [
        n.Lowercase,
        n.NFC,
        n.NFD,
        n.NFKC,
        n.NFKD,
        n.StripAccents,
        n.Nmt,
        lambda: n.Strip(left=flags[0], right=flags[1]),
        lambda: n.Replace(" ", "\u2581"),
        lambda: n.Replace("``", '"'),
        lambda: n.Replace(hf.Regex(r" {2,}"), " "),
        lambda: n.Replace(hf.Regex(r"\d"), "0"),
        lambda: n.Prepend("\u2581"),
        lambda: n.BertNormalizer(
            clean_text=flags[0],
            handle_chinese_chars=flags[1],
            strip_accents=draw.choice([None, True, False]),
            lowercase=flags[3],
        ),
        n.ByteLevel,
    ]
    count = draw.choice([0, 0, 1, 1, 1, 2, 3])
    steps = [draw.choice(makers)() for _ in range(count)]
    if not steps:
        return None
    return steps[0] if count == 1 else n.Sequence(steps)


def splitter(draw: random.Random) -> hf.pre_tokenizers.PreTokenizer | None:
    p = hf.pre_tokenizers
    flag, other = draw.random() < 0.5, draw.random() < 0.5
    behavior = LOWER_BEHAVIORS[draw.choice(BEHAVIORS)]
    makers = [
        lambda: p.ByteLevel(add_prefix_space=flag, use_regex=other),
        lambda: p.Metaspace(prepend_scheme=draw.choice(["always", "never", "first"]), split=flag),
        lambda: p.Metaspace(replacement="_", prepend_scheme="always", split=flag),
        lambda: p.Digits(individual_digits=flag),
        lambda: p.Punctuation(behavior),
        p.WhitespaceSplit,
        p.Whitespace,
        p.BertPreTokenizer,
        p.UnicodeScripts,
        lambda: p.CharDelimiterSplit(draw.choice("-.' ")),
        lambda: p.FixedLength(length=draw.randint(1, 5)),
        lambda: p.Split(hf.Regex(draw.choice(PATTERNS)), behavior, invert=flag),
        lambda: p.Split(hf.Regex(draw.choice(PATTERNS)), behavior, invert=flag),
        lambda: p.Split(draw.choice([" ", ".", "a", "--"]), behavior, invert=flag),
    ]
    steps = [draw.choice(makers)() for _ in range(draw.choice([0, 1, 1, 1, 2, 2, 3]))]
    if draw.random() < 0.3:
        steps.append(p.ByteLevel(add_prefix_space=False, use_regex=other))
    if not steps:
        return None
    return steps[0] if len(steps) == 1 else p.Sequence(steps)


def model(
    draw: random.Random, level: bool, *, kind: str | None = None, whole: bool = False
) -> hf.models.Model:
    """Make a model with random options over the alphabet.

    level: over the letters of bytes. whole: no letter is missing.
    """
    kind = kind or draw.choice(["BPE", "BPE", "BPE", "WordPiece", "Unigram", "WordLevel"])
    letters = sorted(hf.pre_tokenizers.ByteLevel.alphabet()) if level else list(ALPHABET)
    if not whole and draw.random() < 0.3:
        letters = draw.sample(letters, int(len(letters) * 0.9))
    if draw.random() < 0.5:
        letters += ["\u2581", "\u0120"]
    letters = list(dict.fromkeys(letters))
    words = [w for w in WORDS if w]
    if level:
        table = byte_letters()
        words = [
            "".join(table[b] for b in (" " * (i % 2) + w).encode()) for i, w in enumerate(words)
        ]
    elif draw.random() < 0.5:
        words = ["\u2581" * (i % 2) + w for i, w in enumerate(words)]
    if kind == "BPE":
        return bpe(draw, letters, words)
    if kind == "WordPiece":
        prefix = draw.choice(["##", "##", "@@", ""])
        pieces = ["[UNK]", *letters, *(prefix + c for c in letters), *draw.sample(words, 20)]
        pieces += [prefix + w[1:] for w in words if len(w) > 1]
        return hf.models.WordPiece(
            {t: i for i, t in enumerate(dict.fromkeys(pieces))},
            unk_token="[UNK]",
            continuing_subword_prefix=prefix,
            max_input_chars_per_word=draw.choice([100, 100, 5]),
        )
    if kind == "WordLevel":
        pieces = ["[UNK]", *letters, *words]
        return hf.models.WordLevel(
            {t: i for i, t in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]"
        )
    fallback = draw.random() < 0.3
    pieces = [*(f"<0x{b:02X}>" for b in range(256))] if fallback else []
    pieces += [*letters, *draw.sample(words, 30), *(w[:3] for w in words)]
    scored = [("<unk>", 0.0)]
    scored += [(t, -draw.randint(1, 12) - draw.random()) for t in dict.fromkeys(pieces)]
    return hf.models.Unigram(scored, unk_id=0, byte_fallback=fallback)


def bpe(draw: random.Random, letters: list[str], words: list[str]) -> hf.models.BPE:
    suffix = draw.choice([None, None, None, "</w>"])
    prefix = draw.choice([None, None, None, "##"])
    fallback = draw.random() < 0.3
    vocab = ["<unk>", *letters]
    vocab += [c + suffix for c in letters] if suffix else []
    vocab += [prefix + c for c in letters] if prefix else []
    vocab += [prefix + c + suffix for c in letters] if prefix and suffix else []
    vocab += [f"<0x{b:02X}>" for b in range(256)] if fallback else []
    known = dict.fromkeys(vocab)
    merges: list[tuple[str, str]] = []
    for _ in range(draw.choice([20, 200, 400])):
        word = draw.choice(words)
        parts = [(prefix or "") * (i > 0) + c for i, c in enumerate(word)]
        if suffix:
            parts[-1] += suffix
        for left, right in merges:
            parts = merged(parts, left, right, prefix)
        if len(parts) > 1:
            i = draw.randrange(len(parts) - 1)
            left, right = parts[i], parts[i + 1]
            if left in known and right in known and (left, right) not in merges:
                merges.append((left, right))
                known[joined(left, right, prefix)] = None
    if draw.random() < 0.2:
        add_merges(draw, merges, known, prefix)
    if draw.random() < 0.4:  # tokens that no merge makes
        known.update(dict.fromkeys(draw.sample(words, 10)))
    tokens = list(known)
    if draw.random() < 0.2:  # ids in another order than the merges
        draw.shuffle(tokens)
    options: dict[str, Any] = {}
    if draw.random() < 0.6:
        options["unk_token"] = "<unk>"
    if prefix:
        options["continuing_subword_prefix"] = prefix
    if suffix:
        options["end_of_word_suffix"] = suffix
    return hf.models.BPE(
        {t: i for i, t in enumerate(tokens)},
        merges,
        fuse_unk=draw.random() < 0.4,
        byte_fallback=fallback,
        ignore_merges=draw.random() < 0.3,
        **options,
    )


def add_merges(
    draw: random.Random,
    merges: list[tuple[str, str]],
    known: dict[str, None],
    prefix: str | None,
) -> None:
    """Put merges of any two tokens in, which training would not have made."""
    for _ in range(60):
        left, right = draw.choice(list(known)[1:]), draw.choice(list(known)[1:])
        fits = right.startswith(prefix or "") and "<0x" not in left + right
        if fits and (left, right) not in merges:
            merges.insert(draw.randint(0, len(merges)), (left, right))
            known[joined(left, right, prefix)] = None


def joined(left: str, right: str, prefix: str | None) -> str:
    return left + (right[len(prefix) :] if prefix and right.startswith(prefix) else right)


def merged(parts: list[str], left: str, right: str, prefix: str | None) -> list[str]:
    out: list[str] = []
    for part in parts:
        if out and (out[-1], part) == (left, right):
            out[-1] = joined(left, right, prefix)
        else:
            out.append(part)
    return out


def byte_letters() -> list[str]:
    """Give ByteLevel's letter of every byte, as the GPT-2 code defines it."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b if b in kept else next(others)) for b in range(256)]


def forms(draw: random.Random) -> hf.normalizers.Normalizer | None:
    n = hf.normalizers
    steps = [n.NFC, n.NFD, n.NFKC, n.NFKD, n.Lowercase]
    return draw.choice(
        [None, None, *(step() for step in steps), n.Sequence([n.NFKC(), n.Lowercase()])]
    )


def common_parts(draw: random.Random) -> tuple[Any, Any, Any]:
    """Give a model, a normaliser and a splitter as the public families put them together."""
    n, p = hf.normalizers, hf.pre_tokenizers
    meta = draw.choice(["always", "never", "first"])
    family = draw.choice(["bytes", "bytes", "bytes", "bert", "unigram", "unigram", "fallback"])
    if family == "bytes":
        steps = [splitter_before_bytes(draw) for _ in range(draw.choice([0, 1, 1, 2, 3]))]
        steps.append(p.ByteLevel(add_prefix_space=draw.random() < 0.3, use_regex=not steps))
        made = model(draw, True, kind="BPE", whole=True)
        return made, forms(draw), steps[0] if len(steps) == 1 else p.Sequence(steps)
    if family == "bert":
        bert = n.BertNormalizer(
            clean_text=draw.random() < 0.7,
            handle_chinese_chars=draw.random() < 0.7,
            strip_accents=draw.choice([None, True, False]),
            lowercase=draw.random() < 0.5,
        )
        normal = draw.choice([bert, bert, forms(draw), n.Sequence([n.NFD(), n.StripAccents()])])
        return model(draw, False, kind="WordPiece"), normal, p.BertPreTokenizer()
    if family == "unigram":
        space = p.Metaspace(prepend_scheme=meta, split=draw.random() < 0.7)
        joins = n.Replace(hf.Regex(" {2,}"), " ")
        normal = draw.choice(
            [forms(draw), n.Sequence([n.NFKC(), joins]), n.Sequence([joins, n.Lowercase()])]
        )
        split = draw.choice([space, p.Sequence([p.WhitespaceSplit(), space])])
        return model(draw, False, kind="Unigram"), normal, split
    before = draw.choice([n.Prepend("\u2581"), n.Replace(hf.Regex(r"\A(?!(?:)?\z)"), "\u2581")])
    steps = [before, n.Replace(" ", "\u2581")][draw.choice([0, 0, 1]) :]
    if draw.random() < 0.3:
        joins = [n.Replace(hf.Regex(r"\A +| +\z"), ""), n.Replace(hf.Regex(" {2,}"), " ")]
        steps = [*joins, *steps]
    return model(draw, False, kind="BPE"), n.Sequence(steps), None


def splitter_before_bytes(draw: random.Random) -> hf.pre_tokenizers.PreTokenizer:
    p = hf.pre_tokenizers
    behavior = draw.choice(["isolated", "removed"])
    return draw.choice(
        [
            p.Digits(individual_digits=draw.random() < 0.5),
            p.Punctuation(draw.choice([behavior, "contiguous"])),
            p.Split(hf.Regex(draw.choice(PATTERNS)), behavior, invert=behavior == "removed"),
        ]
    )


def layout(draw: random.Random) -> dict[str, Any]:
    if draw.random() < 0.5:
        made, normal, split = common_parts(draw)
    else:
        split, normal = splitter(draw), normalizer(draw)
        made = model(draw, "ByteLevel" in repr(split) + repr(normal))
    backend = hf.Tokenizer(made)
    if normal is not None:
        backend.normalizer = normal
    if split is not None:
        backend.pre_tokenizer = split
    if draw.random() < 0.3:
        backend.add_tokens(
            [
                hf.AddedToken(
                    text,
                    lstrip=draw.random() < 0.3,
                    rstrip=draw.random() < 0.3,
                    single_word=draw.random() < 0.3,
                    normalized=draw.random() < 0.5,
                )
                for text in draw.sample(["<tool>", "THING", "and v", "Über", "ab", "\n"], 3)
            ]
        )
    return dict(json.loads(backend.to_str()))


def random_text(draw: random.Random) -> str:
    roll = draw.random()
    if roll < 0.1:
        return draw.choice(HARD_STRINGS)
    if roll < 0.2:
        return "".join(chr(code_point(draw)) for _ in range(draw.randint(1, 12)))
    text = ""
    for _ in range(draw.randint(1, 8)):
        word = draw.choice([*WORDS, "<tool>", "THING", "and v", "Über", "ab"])
        if draw.random() < 0.2:
            word = draw.choice([word.upper(), word.title(), word[::-1], word * 3])
        if draw.random() < 0.15:
            at = draw.randint(0, len(word))
            word = word[:at] + chr(code_point(draw)) + word[at:]
        text += word + draw.choice(SPACES)
    return text


def code_point(draw: random.Random) -> int:
    top = draw.choice([0x7F, 0x250, 0x700, 0x3100, 0xFFFF, 0x1FFFF, 0x10FFFF])
    code = draw.randint(0, top)
    return code if not 0xD800 <= code < 0xE000 else 0x20


def expected_rows(description: dict[str, Any], texts: list[str]) -> list[tuple[Any, Any]]:
    backend = hf.Tokenizer.from_str(json.dumps(description))
    backend.encode_special_tokens = True
    with native_errors("the reference fails"):  # it panics on some added tokens
        rows = [backend.encode(text, add_special_tokens=False) for text in texts]
    return [(row.ids, [tuple(span) for span in row.offsets]) for row in rows]


def difference(path: Path, description: dict[str, Any], texts: list[str]) -> tuple[str, str] | None:
    """Give what differs, and on which text; None where nothing does."""
    expected = expected_rows(description, texts)
    tokenizer = tokenizers.load(str(path))
    for spans in (False, True):
        tokenizer.encode(["pride"], spans=spans)  # the engines are chosen on a harmless text
    plain, spanned = tokenizer.encode(texts), tokenizer.encode(texts, spans=True)
    for row, text in enumerate(texts):
        if plain[row].tolist() != expected[row][0]:
            return f"ids ({tokenizer.engine_for(texts)})", text
        if spanned[row].tolist() != expected[row][0]:
            return f"ids with spans ({tokenizer.engine_for(texts, spans=True)})", text
        if [tuple(span) for span in spanned.row_spans(row).tolist()] != expected[row][1]:
            return f"spans ({tokenizer.engine_for(texts, spans=True)})", text
    return None


def run(seed: int, *, seconds: float = float("inf"), rounds: float = float("inf")) -> int:
    """Search so long or so often; give the number of layouts that differ."""
    ends = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    n_texts = failed = round_ = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        while time.monotonic() < ends and round_ < rounds:
            draw = random.Random(f"{seed} {round_}")
            round_ += 1
            description = layout(draw)
            texts = [random_text(draw) for _ in range(60)]
            path.write_text(json.dumps(description), encoding="utf-8")
            try:
                problem = difference(path, description, texts)
            except TextkitError as err:
                counts[f"refused: {err.message[:60]}"] += 1
                continue
            n_texts += len(texts)
            counts[tokenizers.load(str(path)).engine_for(texts)] += 1
            if problem is not None:
                failed += 1
                steps = {k: description[k] for k in ("normalizer", "pre_tokenizer")}
                options = {
                    k: v for k, v in description["model"].items() if k not in ("vocab", "merges")
                }
                print(f"seed {seed} round {round_ - 1}: {problem[0]} on {problem[1]!r}")
                print(
                    f"  {json.dumps(steps, ensure_ascii=False)}\n  {json.dumps(options)}",
                    flush=True,
                )
    print(f"{round_:,} layouts, {n_texts:,} texts, {failed} differ; {dict(counts)}")
    return failed


if __name__ == "__main__":
    arguments = [float(word) for word in sys.argv[1:]]
    seconds, seed = [*arguments, *(60.0, 0.0)[len(arguments) :]]
    sys.exit(1 if run(int(seed), seconds=seconds) else 0)
