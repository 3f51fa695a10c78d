"""Fitting: texts and labels, or a file that need not fit into memory -> a Fitted.

Both ways are the same steps, and end in one assembly, `fit_examples`:

1. labels -> the classes and each row's target;
2. rows -> those that are trained on, and those held out for validation;
3. texts -> the text input: a tokenizer, loaded or trained, and what the recipe puts around it;
4. the text input turns rows into Examples, in memory or in mapped files;
5. a network with first weights, drawn, of another model or of word vectors, is trained on them;
6. temperature and thresholds are chosen on the validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.classify.contrasting import check_contrast, fit_by_contrast
from textkit.classify.fitted import FitFacts, Fitted
from textkit.classify.given import Given
from textkit.classify.held_out import calibrate, say_weak, split_rows, split_validation
from textkit.classify.network_model import NetworkModel, make_network
from textkit.classify.teaching import take_lesson
from textkit.data.augment import augment_texts, augment_tokens
from textkit.data.imbalance import named_weights, weigh_rows
from textkit.data.rows import RenumberedRows, Rows, RowView, count_ids
from textkit.data.targets import Classes, Label, count_classes
from textkit.data.token_shards import TokenShards
from textkit.errors import DataError, UsageError
from textkit.features.text_input import TextInput, make_tokenizer
from textkit.io.corpus import read_rows
from textkit.nn.devices import cpu_threads
from textkit.nn.draws import draws_of_fit
from textkit.nn.network import TextNetwork, check_parts, predict_outputs
from textkit.recipe import Recipe, complete_recipe
from textkit.training.examples import Change, Examples
from textkit.training.loop import train_network
from textkit.vectors.coverage import Coverage
from textkit.vectors.vectors import Vectors
from textkit.watch import Watch


def fit_texts(recipe: Recipe, given: Given, *, watch: Watch = Watch()) -> Fitted:
    """Fit on texts (n,) and labels (n,) in memory."""
    recipe = _complete(recipe)
    task, init_from = recipe.head.task, given.init_from
    if init_from is not None and init_from.task != task:
        raise UsageError(f"init_from was trained for {init_from.task}, not {task}")
    if given.keep_labels and (init_from is None or task == "regression"):
        raise UsageError(
            "--keep-labels keeps the labels of the model that --init-from names; without one, or in"
            " a regression, leave it out"
        )
    with watch.stage("read"):
        rows = split_rows(recipe, given, watch=watch)
        rows = take_lesson(recipe, rows, given, watch=watch)
    texts = rows.texts
    with watch.stage("tokenize"):
        if init_from is None:
            text_input = TextInput.make(recipe, make_tokenizer(recipe, texts)).extend(recipe)
            text_input, tokens = text_input.learn(recipe, texts)
        else:
            text_input = init_from.text_input
            tokens = text_input.encode(texts)
        valid_tokens = text_input.encode(rows.valid_texts)
    change = make_change(recipe, text_input, texts, tokens)
    return fit_examples(
        recipe,
        text_input,
        rows.classes,
        Examples(tokens, rows.targets, change, rows.weights, rows.lesson),
        Examples(valid_tokens, rows.valid_targets),
        init_from=init_from,
        checkpoints=given.checkpoints,
        watch=watch,
    )


def fit_file(
    recipe: Recipe,
    path: str | Path,
    *,
    validation: str | Path | None = None,
    cache: str | Path | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    separator: str | None = None,
    checkpoints: Path | None = None,
    watch: Watch = Watch(),
) -> Fitted:
    """Fit on a file whose rows lie in mapped files; as TextClassifier.fit_file says."""
    recipe = _complete(recipe)
    task = recipe.head.task
    if recipe.augment.char_noise:
        raise UsageError("augment.char_noise needs the texts in memory; use fit, or set it to 0")
    with watch.stage("tokenize"):
        rows_of_file = read_rows(path, text_column=text_column, delimiter=delimiter)
        tokenizer = make_tokenizer(recipe, (row.text for row in rows_of_file))
        text_input = TextInput.make(recipe, tokenizer).extend(recipe)

    def encode_file(name: str | Path, classes: Sequence[Label] | None = None) -> TokenShards:
        with watch.stage("tokenize"):
            return TokenShards.build(
                name,
                text_input,
                cache=cache,
                task=task,
                classes=classes,
                text_column=text_column,
                label_column=label_column,
                delimiter=delimiter,
                separator=separator,
            )

    shards = encode_file(path)
    for line in shards.notes:
        watch.note(line)
    if task == "single-label" and len(shards.classes) < 2:
        raise DataError(
            f"all {len(shards):,} rows have the same label; expected two classes or more",
            where=str(path),
        )
    assert shards.labels is not None
    targets = shards.labels
    if validation is None:
        train, valid = (
            Examples(RowView(shards, rows), targets[rows])
            for rows in split_validation(targets, recipe)
        )
    else:
        known = encode_file(validation, shards.classes.tolist())
        assert known.labels is not None
        train, valid = Examples(shards, targets), Examples(known, known.labels)
    if text_input.ngrams is not None and recipe.ngrams is not None:
        counts = count_ids(train.tokens, n_ids=text_input.n_ids)
        least = recipe.ngrams.min_frequency
        ngrams = text_input.ngrams.keep_counted(counts, min_frequency=least)
        text_input = replace(text_input, ngrams=ngrams)
        train, valid = (
            replace(part, tokens=RenumberedRows.of(part.tokens, ngrams)) for part in (train, valid)
        )
    train = replace(train, change=make_change(recipe, text_input, (), train.tokens))
    return fit_examples(
        recipe, text_input, shards.classes, train, valid, checkpoints=checkpoints, watch=watch
    )


def fit_examples(
    recipe: Recipe,
    text_input: TextInput,
    classes: Classes,
    train: Examples,
    valid: Examples,
    *,
    init_from: Fitted | None = None,
    checkpoints: Path | None = None,
    watch: Watch = Watch(),
) -> Fitted:
    """Train a network on encoded rows, and choose temperature and thresholds on the validation
    rows: the one assembly of a Fitted.
    """
    check_tokens(text_input, train, watch=watch)
    if isinstance(recipe.training.class_weights, dict) and recipe.head.task != "regression":
        of_classes = named_weights(recipe.training.class_weights, classes)
        weights = weigh_rows(train.targets, of_classes)
        train = replace(train, weights=weights * (1 if train.weights is None else train.weights))
    coverage = None
    with draws_of_fit(recipe), cpu_threads(recipe.training.threads):
        with watch.stage("start"):
            network = make_network(recipe, text_input, n_outputs=len(classes))
            network.learn_scale(train.targets)
            if init_from is not None:
                network.copy_weights(
                    init_from.network,
                    labels=classes.tolist(),
                    source_labels=init_from.classes.tolist(),
                )
            elif recipe.embedding.vectors is not None:
                coverage = load_vectors(recipe, text_input, network, train.tokens)
                watch.note(f"vectors {recipe.embedding.vectors}: {coverage}")
        if recipe.contrast is not None:
            history, outputs = fit_by_contrast(
                network, train, valid, recipe, classes, watch=watch, folder=checkpoints
            )
        else:
            history = train_network(network, train, valid, recipe, watch=watch, folder=checkpoints)
            with watch.stage("evaluation"):
                outputs = predict_outputs(network, valid.tokens).numpy()
        with watch.stage("evaluation"):
            temperature, thresholds = calibrate(recipe, outputs, valid.targets)
    if history.ended in ("epochs", "early"):
        say_weak(recipe, classes, outputs, valid.targets, watch=watch)
    known = train.targets[train.labelled]
    n_truncated = sum(
        int((part.tokens.truncated > 0)[part.labelled].sum()) for part in (train, valid)
    )
    facts = FitFacts(
        history,
        n_rows=len(known) + len(valid.targets),
        n_truncated=n_truncated,
        n_valid=len(valid.targets),
        class_rows=count_classes(recipe.head.task, classes, known, valid.targets),
        coverage=coverage,
    )
    model = NetworkModel(text_input, network)
    return Fitted(recipe, classes, model, temperature, thresholds, facts)


def check_tokens(text_input: TextInput, train: Examples, *, watch: Watch) -> None:
    """Refuse training texts of which none has a token of its own, and say how many have none."""
    n_around = int(text_input.encode([""]).lengths[0])  # [CLS] and [SEP], say
    n, n_empty = len(train.tokens), int((train.tokens.lengths <= n_around).sum())
    if n_empty == n:
        raise DataError(
            f"all {n:,} training texts are empty: the tokenizer finds no token in any; is the text"
            " column the right one?"
        )
    if n_empty:
        watch.note(f"{n_empty:,} of {n:,} training texts are empty: they have no token")


def load_vectors(
    recipe: Recipe, text_input: TextInput, network: TextNetwork, tokens: Rows
) -> Coverage:
    """Start the embedding table from the recipe's vectors.

    Says what they cover of the training texts, whose rows `tokens` are.
    """
    section, tokenizer = recipe.embedding, text_input.tokenizer
    assert network.table is not None  # check_parts has seen to it
    counts = count_ids(tokens, n_ids=text_input.n_ids)
    return network.table.load_vectors(
        Vectors.open(str(section.vectors)),
        tokenizer,
        freeze=section.freeze,
        missing=section.missing,
        counts=counts[: max(tokenizer.vocabulary.values()) + 1],
        seed=recipe.seed,
    )


def make_change(
    recipe: Recipe, text_input: TextInput, texts: Sequence[str], tokens: Rows
) -> Change | None:
    """Make the function that augments training rows as the recipe says.

    None when it says nothing. texts: of the rows, for noise in their characters.
    """
    section, seed = recipe.augment, recipe.seed
    if not (section.word_dropout or section.swap or section.char_noise):
        return None

    def change(rows: NDArray[np.int64], epoch: int) -> TokenBatch:
        if section.char_noise:
            chosen = [texts[row] for row in rows]
            batch = text_input.encode(
                augment_texts(chosen, rows, seed=seed, epoch=epoch, noise=section.char_noise)
            )
        else:
            batch = tokens.take(rows)
        return augment_tokens(
            batch,
            rows,
            seed=seed,
            epoch=epoch,
            dropout=section.word_dropout,
            swap=section.swap,
            unknown_id=text_input.tokenizer.unknown_id,
        )

    return change


def _complete(recipe: Recipe) -> Recipe:
    """Write out all choices and refuse those that do not go together, before a text is read."""
    recipe = complete_recipe(recipe)
    check_parts(recipe)
    check_contrast(recipe)
    return recipe
