"""Word tokenization against gold: UD English EWT test, surface tokens, beside spaCy's own
tokenizer, in one run.

A token counts as right when its span is a gold token's span. UAX 29 keeps "don't" whole where the
gold cuts it in two, so its F1 measures a difference of convention as much as of quality.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
Spans = set[tuple[int, int]]


def gold_spans(row: dict[str, object]) -> Spans | None:
    """Find each gold token in its text, from left to right.

    None where the tokens do not join back to it.
    """
    text, at, spans = str(row["text"]), 0, set()
    for token in row["tokens"]:  # type: ignore[attr-defined]
        at = text.find(token, at)
        if at < 0:
            return None
        spans.add((at, at + len(token)))
        at += len(token)
    return spans


def score(found: Iterable[Spans], gold: list[Spans]) -> tuple[float, float, float]:
    right = n_found = n_gold = 0
    for spans, expected in zip(found, gold, strict=True):
        right, n_found, n_gold = (
            right + len(spans & expected),
            n_found + len(spans),
            n_gold + len(expected),
        )
    precision, recall = right / n_found, right / n_gold
    return precision, recall, 2 * precision * recall / (precision + recall)


def main() -> None:
    import spacy

    from textkit import tokenizers

    path = SHARED / "corpora/ud_en_ewt_test.jsonl.gz"
    if not path.exists():
        print("no ../shared/data beside the project: nothing to measure on")
        return
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    pairs = [(row["text"], spans) for row in rows if (spans := gold_spans(row)) is not None]
    texts, gold = [text for text, _ in pairs], [spans for _, spans in pairs]
    nlp = spacy.blank("en")

    def ours(kind: str) -> Callable[[], list[Spans]]:
        batch = tokenizers.create(kind).encode(texts, spans=True)
        return lambda: [
            {(a, b) for a, b in batch.row_spans(row).tolist()} for row in range(len(texts))
        ]

    contenders = {
        "spaCy, tokenizer of en": lambda: [
            {
                (token.idx, token.idx + len(token))
                for token in nlp.make_doc(text)
                if not token.is_space
            }
            for text in texts
        ],
        "textkit spacy": ours("spacy"),
        "textkit unicode": ours("unicode"),
        "textkit whitespace": ours("whitespace"),
    }
    print(f"UD English EWT test, {len(texts):,} sentences, {sum(map(len, gold)):,} gold tokens")
    for name, find in contenders.items():
        precision, recall, f1 = score(find(), gold)
        print(f"  {name:24} precision {precision:.4f}  recall {recall:.4f}  F1 {f1:.4f}")


if __name__ == "__main__":
    main()
