"""Texts -> the ids that a classifier's network reads: tokenizer, hashed n-grams, special tokens,
and the cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from textkit import tokenizers
from textkit.batch import TokenBatch
from textkit.errors import UsageError
from textkit.features.ngrams import HashedNgrams
from textkit.features.templates import BoundTemplate, IdTemplate, for_transformer
from textkit.features.text_encoder import BoundTokenizer, TextEncoder
from textkit.recipe import Recipe
from textkit.tokenizers import Tokenizer


@dataclass(frozen=True)
class TextInput:
    """What a recipe does with a text before the network.

    Pure, so training and prediction see the same ids.

    >>> tokenizer = tokenizers.train("word", ["good film", "bad film"])
    >>> made = TextInput.make(Recipe(), tokenizer)
    >>> made.encode(["good good"]).lengths.tolist(), made.n_ids == len(tokenizer)
    ([2], True)
    """

    tokenizer: Tokenizer
    max_length: int
    ngrams: HashedNgrams | None = None
    template: IdTemplate | None = None
    # The last ids: words that only the vectors know, whose rows are never trained.
    n_fixed: int = 0

    @staticmethod
    def make(
        recipe: Recipe,
        tokenizer: Tokenizer,
        *,
        kept: NDArray[np.int32] | None = None,
        n_fixed: int = 0,
    ) -> TextInput:
        """Put together what the recipe says around its tokenizer.

        kept: the buckets of n-grams that are in use.
        """
        template = for_transformer(tokenizer) if recipe.tokenizer.special else None
        if recipe.ngrams is None:
            return TextInput(
                tokenizer, recipe.tokenizer.max_length, template=template, n_fixed=n_fixed
            )
        if template is not None:
            raise UsageError("tokenizer.special and ngrams exclude each other; remove one")
        options = recipe.ngrams.model_dump(exclude={"min_frequency"})
        return TextInput(
            tokenizer, recipe.tokenizer.max_length, HashedNgrams(tokenizer, **options, kept=kept)
        )

    def extend(self, recipe: Recipe) -> TextInput:
        """Take the most frequent words of the recipe's vectors into the vocabulary, as many as
        it says.
        """
        if recipe.embedding.vectors is None or not recipe.embedding.extend:
            return self
        if self.ngrams is not None:
            raise UsageError("embedding.extend and ngrams exclude each other; remove one")
        from textkit.vectors.vectors import Vectors

        words = Vectors.open(recipe.embedding.vectors).words[: recipe.embedding.extend]
        tokenizer = self.tokenizer.extend(words)
        return replace(self, tokenizer=tokenizer, n_fixed=len(tokenizer) - len(self.tokenizer))

    def learn(self, recipe: Recipe, texts: Sequence[str]) -> tuple[TextInput, TokenBatch]:
        """Encode the training texts.

        Of hashed n-grams only those that occur in them are numbered from then on.
        """
        batch = self.encode(texts)
        if self.ngrams is None or recipe.ngrams is None:
            return self, batch
        ngrams, batch = self.ngrams.keep(batch, min_frequency=recipe.ngrams.min_frequency)
        return replace(self, ngrams=ngrams), batch

    @property
    def encoder(self) -> TextEncoder:
        """What makes the ids: hashed n-grams, the tokenizer with a template, or it alone."""
        if self.ngrams is not None:
            return self.ngrams
        if self.template is not None:
            return BoundTemplate(self.tokenizer, self.template, self.max_length)
        return BoundTokenizer(self.tokenizer, self.max_length)

    @property
    def n_ids(self) -> int:
        """Number of ids: tokens, and buckets of n-grams."""
        return self.encoder.n_ids

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Turn texts into ids, one row a text.

        What is cut at max_length is counted in `truncated`.
        """
        return self.encoder.encode(texts)

    def describe(self) -> dict[str, object]:
        """Give all that decides the ids."""
        return self.encoder.describe()


def make_tokenizer(recipe: Recipe, texts: Iterable[str]) -> Tokenizer:
    """Load the recipe's tokenizer, or train it on the training texts."""
    section = recipe.tokenizer
    if section.path is not None:
        return tokenizers.load(section.path, pattern=section.options.get("pattern"))
    return tokenizers.train(section.name, texts, **section.options)
