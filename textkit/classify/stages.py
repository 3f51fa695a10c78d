"""A model, or a recipe that was never trained, as stages from text to answer: what a drawing shows.

In: a Fitted, or a Recipe. Out: Stages, with shapes, options and weights. Of a recipe the size of
the vocabulary and the number of labels are not known and stand as words.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textkit.classify.ensemble import EnsembleOptions
from textkit.classify.fitted import Fitted
from textkit.classify.linear import LinearModel
from textkit.evaluation.confusion import shorten
from textkit.evaluation.network_drawing import Box, Stage
from textkit.recipe import Recipe, complete_recipe
from textkit.registry import is_whole

if TYPE_CHECKING:
    from torch import nn

    from textkit.nn.network import TextNetwork

_SAMPLE_TOKENS, _SAMPLE_LABELS = 16, 2
_ANSWERS = {
    "single-label": ("softmax", "the most probable label"),
    "multi-label": ("sigmoid", "each label above its threshold"),
    "regression": ("scale back", "a number for each output"),
}


def stages_of(source: Fitted | Recipe) -> list[Stage]:
    """Give the stages of a fitted model or of a recipe.

    >>> [stage.kind for stage in stages_of(Recipe())]
    ['text', 'input', 'embedding', 'encoder', 'pooling', 'head', 'answer']
    """
    fitted = source if isinstance(source, Fitted) else None
    recipe = source.recipe if isinstance(source, Fitted) else complete_recipe(source)
    stages = [Stage("text", (Box("text"),), "(batch,) texts")]
    if recipe.encoder.name == "frozen":
        return [*stages, *_frozen(recipe, fitted), _answer(recipe, fitted)]
    if recipe.encoder.name == "ensemble":
        return [*stages, _ensemble(recipe, fitted), _answer(recipe, fitted)]
    if is_whole(recipe.encoder.name):
        return [*stages, *_linear(recipe, fitted), _answer(recipe, fitted)]
    network = _network(recipe, fitted)
    n_ids = f"{fitted.text_input.n_ids:,}" if fitted else "vocabulary"
    stages.append(_input(recipe, fitted))
    stages.append(_embedding(recipe, network, n_ids, is_fitted=fitted is not None))
    stages += _members(recipe, network, fitted)
    return [*stages, _answer(recipe, fitted)]


def _network(recipe: Recipe, fitted: Fitted | None) -> TextNetwork | None:
    """Give the network, or a small one of the recipe's widths; None where it lies elsewhere."""
    if fitted is not None:
        return fitted.network
    if recipe.encoder.name == "pretrained":
        return None  # its folder or its name on the hub need not be there to draw the recipe
    from textkit.nn.draws import first_draws
    from textkit.nn.network import TextNetwork

    with first_draws(recipe.seed):
        return TextNetwork(
            recipe,
            n_tokens=_SAMPLE_TOKENS,
            n_outputs=_SAMPLE_LABELS,
            vocabulary={"[PAD]": 0, "[UNK]": 1, "a": 2},
        )


def _input(recipe: Recipe, fitted: Fitted | None) -> Stage:
    section = recipe.tokenizer
    lines = [] if section.path is None else [f"path {section.path}"]
    hidden = ("lowercase", "min_frequency", "size", "pattern", "model")
    lines += [_options({k: v for k, v in section.options.items() if k in hidden})]
    lines += [f"cut at {section.max_length:,} tokens" + (", special tokens" * section.special)]
    if fitted is not None:
        lines.append(f"{len(fitted.text_input.tokenizer):,} tokens in the vocabulary")
    name = "tokenizer" if section.path else f"tokenizer: {section.name}"
    boxes = [Box(name, tuple(line for line in lines if line))]
    if recipe.ngrams is not None:
        grams = recipe.ngrams
        said = [f"pairs of words and more: up to {grams.word_ngrams}"] * (grams.word_ngrams > 1)
        said += [f"characters: {grams.minn} to {grams.maxn} of each word"] * bool(grams.maxn)
        if fitted is not None:
            said.append(f"{fitted.text_input.n_ids:,} ids with the words")
        boxes.append(Box("hashed n-grams", tuple(said)))
    ragged = recipe.ngrams is not None
    return Stage("input", tuple(boxes), "ids, row after row" if ragged else "ids (batch, time)")


def _embedding(
    recipe: Recipe, network: TextNetwork | None, n_ids: str, *, is_fitted: bool
) -> Stage:
    section = recipe.embedding
    if network is None or recipe.encoder.name == "pretrained":
        width = "width" if network is None else str(network.embedding.out_dim)
        weights = f"{_count(network.embedding):,}" if network is not None else ""
        box = Box("embedding of the pretrained model", (f"{n_ids} x {width}",))
        return Stage("embedding", (box,), f"(batch, time, {width})", weights)
    dim = network.embedding.out_dim
    if section.name == "table":
        lines = [f"{n_ids} x {dim}"]
        weights = f"{_count(network.embedding):,}" if is_fitted else f"{n_ids} x {dim}"
    else:
        lines = ["the characters of each word, convolved"]
        weights = f"{_count(network.embedding):,}" if is_fitted else "by alphabet"
    if section.vectors:
        more = f", {section.extend:,} words more" if section.extend else ""
        lines.append(f"from vectors {section.vectors}{', frozen' * section.freeze}{more}")
    lines += [f"dropout {section.dropout:g}"] * bool(section.dropout)
    box = Box(f"embedding: {section.name}", tuple(lines))
    return Stage("embedding", (box,), f"(batch, time, {dim})", weights)


def _members(recipe: Recipe, network: TextNetwork | None, fitted: Fitted | None) -> list[Stage]:
    """Give encoder, poolings and head, those of one member: all are alike."""
    times = recipe.encoder.members
    more = (f"{times} of them, each with poolings and a head; the mean counts",) * (times > 1)
    name, head = recipe.encoder.name, recipe.head
    encoder = None if network is None else network.members[0].encoder
    lines = describe_encoder(name, recipe.encoder.options, encoder)
    width = "width" if encoder is None else str(encoder.out_dim)
    weights = "" if encoder is None else f"{_count(encoder) * times:,}"
    box = Box(f"encoder: {name}", (*lines, *more))
    stages = [
        Stage("encoder", (box,), f"(batch, time, {width})", "" if weights == "0" else weights)
    ]
    n = len(head.pooling)
    joined = width if encoder is None or n == 0 else str(network.members[0].head.in_dim)  # type: ignore[union-attr]
    boxes = tuple(
        Box(f"pooling: {pooling}", _POOLINGS.get(pooling, ())) for pooling in head.pooling
    )
    poolings = 0 if network is None else _count(network.members[0].poolings) * times
    stages.append(
        Stage("pooling", boxes, f"(batch, {joined})", f"{poolings:,}" if poolings else "")
    )
    n_labels = "labels" if fitted is None else f"{len(fitted.classes):,}"
    steps = []
    for hidden in head.hidden:
        norm = "" if head.norm == "none" else f", norm {head.norm}"
        steps.append(f"linear to {hidden}{norm}, {head.activation}")
    steps.append(f"linear to {n_labels}")
    steps += [f"dropout {head.dropout:g}"] * bool(head.dropout)
    weights = f"{_count(network.members[0].head) * times:,}" if network and fitted else ""
    stages.append(
        Stage("head", (Box("head", tuple(steps)),), f"logits (batch, {n_labels})", weights)
    )
    return stages


_POOLINGS = {
    "mean": ("average of the tokens",),
    "max": ("largest of each feature",),
    "attention": ("weighed by a query",),
    "first": ("the first token",),
    "last": ("the last token",),
}


def describe_encoder(
    name: str, options: Mapping[str, Any], encoder: object | None
) -> tuple[str, ...]:
    """Say in words what an encoder does with its options; of a plug-in, the options.

    >>> describe_encoder("cnn", {"dim": 100, "widths": [3, 4], "activation": "relu"}, None)
    ('windows of 3 and 4 tokens, 100 filters each, relu',)
    """
    get = options.get
    lines: list[str] = []
    if name == "bag":
        lines.append("each token for itself: no order is read")
    elif name == "cnn":
        widths = " and ".join(str(width) for width in get("widths", ()))
        lines.append(f"windows of {widths} tokens, {get('dim')} filters each, {get('activation')}")
    elif name in ("rnn", "gru", "lstm"):
        ways = ", ahead and back" if get("bidirectional", True) else ""
        lines.append(
            f"{_times(get('layers', 1), 'layer')} of {get('dim')} {name.upper()} cells{ways}"
        )
    elif name == "transformer":
        lines.append(f"project to {get('dim')}, positions {get('positions')}")
        lines.append(f"{_times(get('layers', 1), 'block')}, each added to what comes in:")
        lines.append(f"   norm, attention of {get('heads')} heads")
        lines.append(
            f"   norm, linear to {get('ffn'):g} x {get('dim')}, {get('activation')}, linear"
        )
    elif name == "mixer":
        lines.append(f"project to {get('dim')}")
        lines.append(f"{_times(get('layers', 1), 'block')}, each added to what comes in:")
        lines.append(f"   norm, tokens mixed over {get('mixing')} hidden ones")
        lines.append(
            f"   norm, linear to {get('ffn'):g} x {get('dim')}, {get('activation')}, linear"
        )
    elif name == "pretrained":
        lines.append(f"{get('path') or 'from its architecture'}; trained: {get('train', 'all')}")
        config = getattr(getattr(encoder, "model", None), "config", None)
        if config is not None:
            n, heads = getattr(config, "num_hidden_layers", "?"), config.num_attention_heads
            lines.append(f"{config.model_type}: {n} layers of {heads} heads")
    else:
        return (_options(options),)
    if get("norm", "none") != "none":
        lines.append(f"norm {get('norm')}")
    if get("dropout"):
        lines.append(f"dropout {get('dropout'):g}")
    return tuple(lines)


def _frozen(recipe: Recipe, fitted: Fitted | None) -> list[Stage]:
    options = recipe.encoder.options
    vectors = Box("text vectors", (shorten(Path(options["embedder"]).name, 24), "not trained"))
    labels, weights, dim = "labels", "", "width"
    if fitted is not None:
        labels, weights = f"{len(fitted.classes):,}", f"{fitted.model.n_weights:,}"
        dim = f"{fitted.model.describe()['vocab_size']:,}"
    return [
        Stage("input", (vectors,), f"vectors (batch, {dim})"),
        Stage("head", (_machine(options),), f"logits (batch, {labels})", weights),
    ]


def _ensemble(recipe: Recipe, fitted: Fitted | None) -> Stage:
    options = EnsembleOptions.of(recipe)
    members = zip(options.members(recipe), options.shares, strict=True)
    boxes = tuple(Box(own.encoder.name, (f"weight {share:.2f}",)) for own, share in members)
    labels, weights = "labels", ""
    if fitted is not None:
        labels, weights = f"{len(fitted.classes):,}", f"{fitted.model.n_weights:,}"
    return Stage("encoder", boxes, f"mean of logits (batch, {labels})", weights)


def _machine(options: Mapping[str, Any]) -> Box:
    return Box("linear", (f"loss {options.get('loss')}, cost {options.get('cost')}",))


def _linear(recipe: Recipe, fitted: Fitted | None) -> list[Stage]:
    options = recipe.encoder.options
    boxes = []
    for name in ("words", "characters"):
        gram_range = list(options.get(name) or [])
        if gram_range:
            said = " to ".join(str(n) for n in gram_range)
            boxes.append(Box(f"n-grams of {name}", (f"{said} at a time",)))
    n, weights, labels = "features", "", "labels"
    if fitted is not None and isinstance(fitted.model, LinearModel):
        n, labels = f"{fitted.model.features.n_features:,}", f"{len(fitted.classes):,}"
        weights = f"{fitted.model.n_weights:,}"
    return [
        Stage("input", tuple(boxes), f"TF-IDF (batch, {n}), sparse"),
        Stage("head", (_machine(options),), f"logits (batch, {labels})", weights),
    ]


def _answer(recipe: Recipe, fitted: Fitted | None) -> Stage:
    how, what = _ANSWERS[recipe.head.task]
    lines = [what]
    if fitted is not None:
        if recipe.head.task != "regression":
            how += f" at temperature {fitted.temperature:.2f}"
        names = [shorten(str(name), 24) for name in fitted.classes.tolist()]
        lines.append(", ".join(names[:8]) + (f" and {len(names) - 8} more" if names[8:] else ""))
    return Stage("answer", (Box(how, tuple(lines)),), "")


def _options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_value(value)}" for key, value in options.items())


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _times(n: int, what: str) -> str:
    return f"1 {what}" if n == 1 else f"{n} {what}s"


def _count(module: nn.Module | Any) -> int:
    return sum(weight.numel() for weight in module.parameters())
