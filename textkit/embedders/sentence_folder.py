"""Read how a folder of a transformer makes one vector of a text: sentence-transformers' own files,
without torch.

In: a folder with a `config.json`, and where sentence-transformers wrote it `modules.json`,
`1_Pooling/config.json`, `sentence_bert_config.json` and `config_sentence_transformers.json`. Out: a
SentenceConfig.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from textkit.errors import ArtifactError
from textkit.io import files
from textkit.tokenizers.protocol import SENTENCE_FORMAT, SENTENCE_KIND

POOLINGS = ("cls", "last", "max", "mean")
POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "last",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
# Families whose positions are counted from pad_token_id + 1, so that their table has that many rows
# too many.
_SHIFTED_POSITIONS = (
    "camembert",
    "data2vec-text",
    "longformer",
    "mpnet",
    "roberta",
    "xlm-roberta",
    "xlm-roberta-xl",
)
# Tokenizers without a limit state a huge number.
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class SentenceConfig:
    """How states become one vector: poolings joined, then dense layers, then perhaps length 1.

    model: the folder of the transformer itself. max_length: tokens a text with its special ones, or
    None. dense: folders of linear layers. prompts: texts by name that go before each text; prompt:
    the one that is used by default.
    """

    model: Path
    pooling: tuple[str, ...] = ("mean",)
    normalize: bool = False
    max_length: int | None = None
    lowercase: bool = False
    dense: tuple[Path, ...] = ()
    prompts: dict[str, str] = field(default_factory=dict)
    prompt: str = ""
    include_prompt: bool = True


def read_sentence_folder(folder: Path) -> SentenceConfig:
    """Read a folder of transformers or sentence-transformers.

    ArtifactError names the file and what is wrong.

    >>> files.write_json("m/config.json", {"model_type": "bert", "max_position_embeddings": 512})
    >>> config = read_sentence_folder(Path("m"))
    >>> config.pooling, config.max_length
    (('mean',), 512)
    """
    if (folder / files.MANIFEST).is_file():
        files.check_manifest(folder, kind=SENTENCE_KIND, format=SENTENCE_FORMAT, hashes=False)
    if not (folder / "modules.json").is_file():
        return SentenceConfig(folder, max_length=_longest(folder))
    model, include_prompt, normalize = folder, True, False
    pooling: tuple[str, ...] = ("mean",)
    dense: list[Path] = []
    for kind, path in _modules(folder):
        if kind == "Transformer":
            model = path
        elif kind == "Pooling":
            pooling, include_prompt = _read_pooling(path / "config.json")
        elif kind == "Normalize":
            normalize = True
        elif kind == "Dense":
            dense.append(path)
        elif kind != "Dropout":
            raise ArtifactError(
                f"module '{kind}' is not known; expected Transformer, Pooling, Dense, Normalize",
                where=str(folder / "modules.json"),
            )
    own = files.read_object(model / "sentence_bert_config.json")
    said = files.read_object(folder / "config_sentence_transformers.json")
    prompts = said.get("prompts")
    known = {str(k): str(v) for k, v in prompts.items()} if isinstance(prompts, dict) else {}
    max_length = own.get("max_seq_length")
    return SentenceConfig(
        model,
        pooling,
        normalize,
        max_length if isinstance(max_length, int) and max_length > 0 else _longest(model),
        own.get("do_lower_case") is True,
        tuple(dense),
        known,
        known.get(str(said.get("default_prompt_name")), ""),
        include_prompt,
    )


def _modules(folder: Path) -> list[tuple[str, Path]]:
    """Give the class name and the folder of each module, in order."""
    path = folder / "modules.json"
    modules = files.read_json(path)
    try:
        found = [
            (str(module["type"]).rpartition(".")[2], str(module.get("path", "")))
            for module in modules
        ]
    except (TypeError, KeyError, AttributeError) as err:
        raise ArtifactError(
            "not a list of modules with a 'type' and a 'path'", where=str(path)
        ) from err
    for _, inside in found:
        if Path(inside).is_absolute() or ".." in Path(inside).parts:
            raise ArtifactError(f"module path '{inside}' leaves the folder", where=str(path))
    if "Transformer" not in (kind for kind, _ in found):
        raise ArtifactError("names no Transformer among the modules", where=str(path))
    return [(kind, folder / inside) for kind, inside in found]


def _read_pooling(path: Path) -> tuple[tuple[str, ...], bool]:
    """Give the poolings, in the order in which they are joined, and whether a prompt's tokens
    are pooled too.
    """
    config = files.read_object(path)
    if not config:
        raise ArtifactError(
            "file is missing or empty; it says how states are pooled", where=str(path)
        )
    named = config.get("pooling_mode")
    if named is None:
        modes = [mode for key, mode in POOLING_KEYS.items() if config.get(key) is True] or ["mean"]
    else:
        modes = [str(mode) for mode in (named if isinstance(named, list) else [named])]
    modes = ["last" if mode == "lasttoken" else mode for mode in modes]
    unknown = [mode for mode in modes if mode not in POOLINGS]
    if unknown:
        raise ArtifactError(
            f"pooling '{unknown[0]}' is not known; expected {', '.join(POOLINGS)}", where=str(path)
        )
    return tuple(modes), config.get("include_prompt") is not False


def _longest(model: Path) -> int | None:
    """Give the most tokens that a model takes: the less of what its tokenizer and its positions
    allow.
    """
    config, own = (
        files.read_object(model / "config.json"),
        files.read_object(model / "tokenizer_config.json"),
    )
    limits = []
    positions, pad = config.get("max_position_embeddings"), config.get("pad_token_id")
    if isinstance(positions, int) and positions > 0:
        shifted = config.get("model_type") in _SHIFTED_POSITIONS
        limits.append(positions - ((pad if isinstance(pad, int) else 1) + 1 if shifted else 0))
    said = own.get("model_max_length")
    if isinstance(said, int) and 0 < said < _NO_LIMIT:
        limits.append(said)
    return min(limits, default=None)
