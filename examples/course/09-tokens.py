"""Course, page 9: how a text is cut, on one sentence, trained and compared.

Every strategy is trained on the standard library's docstrings where it has something to learn, then
measured by how many tokens it makes, what it cannot say, and how well a linear model reads it.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.svm import LinearSVC

from textkit import tokenizers
from textkit.data import quickstart
from textkit.evaluation.figures import BLUE, ORANGE, new_figure, save_figure
from textkit.tokenizers import Tokenizer

SENTENCE = "Unzipping isn't re-reading naïve bytes."
KINDS = {
    "word": {"lowercase": True, "min_frequency": 2},
    "whitespace": {"min_frequency": 2},
    "char": {},
    "byte": {},
    "bpe": {"size": 2000},
    "wordpiece": {"size": 2000},
    "unigram": {"size": 2000},
}


def count(tokenizer: Tokenizer, texts: list[str]) -> csr_matrix:
    """Count each token of each text: (n_texts, n_tokens)."""
    batch = tokenizer.encode(texts)
    ones = np.ones(len(batch.ids))
    return csr_matrix((ones, batch.ids, batch.offsets), shape=(len(texts), len(tokenizer)))


def main() -> None:
    train, test = quickstart.split_rows(quickstart.docstring_rows())
    texts, labels = map(list, zip(*train, strict=True))
    test_texts, truth = map(list, zip(*test, strict=True))
    made = {kind: tokenizers.train(kind, texts, **options) for kind, options in KINDS.items()}

    print(SENTENCE)
    for kind, tokenizer in made.items():
        batch = tokenizer.encode([SENTENCE], spans=True)
        pieces = [SENTENCE[start:end] for start, end in batch.spans.tolist()]
        shown = "|".join(pieces[:14]) + ("|..." if len(pieces) > 14 else "")
        print(f"{kind:10} {len(pieces):3}  {shown}")

    print("\n            ids   tokens a text  exact  right")
    scores = {}
    for kind, tokenizer in made.items():
        held = tokenizer.encode(test_texts)
        exact = np.mean(
            [tokenizer.decode(row) == text for row, text in zip(held, test_texts, strict=True)]
        )
        weigh = TfidfTransformer(sublinear_tf=True)
        model = LinearSVC(random_state=0).fit(weigh.fit_transform(count(tokenizer, texts)), labels)
        scores[kind] = model.score(weigh.transform(count(tokenizer, test_texts)), truth)
        print(f"{kind:10}  {len(tokenizer):5,}  {len(held.ids) / len(test_texts):12.0f}", end="")
        print(f"  {exact:5.2f}  {scores[kind]:5.2f}")
    assert scores["word"] > scores["byte"]
    draw(made)


def draw(made: dict[str, Tokenizer]) -> None:
    """Draw where each strategy cuts the sentence: a box a token."""
    figure = new_figure(8, 3.1)
    axes = figure.add_subplot()
    for row, tokenizer in enumerate(made.values()):
        spans = tokenizer.encode([SENTENCE], spans=True).spans
        for number, (start, end) in enumerate(spans.tolist()):
            colour = (BLUE, ORANGE)[number % 2]
            axes.barh(row, end - start, left=start, color=colour, alpha=0.3, edgecolor="white")
        for place, letter in enumerate(SENTENCE):
            axes.text(place + 0.5, row, letter, ha="center", va="center", fontfamily="monospace")
    axes.set_yticks(range(len(made)), list(made))
    axes.set(xlim=(0, len(SENTENCE)), ylim=(len(made) - 0.5, -0.5), xticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    save_figure(figure, "09-tokens.png")


if __name__ == "__main__":
    main()
