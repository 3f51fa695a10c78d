"""What the configuration files of a Hugging Face folder say of its tokenizer.

In: a folder with `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` or
`config.json`, each optional. Out: a FolderConfig: the class of its author's tool, the options of
that class, and the tokens it names, read as transformers reads them:

1. the class is `tokenizer_class`, else follows from the `model_type` of config.json;
2. where the config has `added_tokens_decoder`, its tokens and their flags count alone;
3. else special_tokens_map.json overrides the config, and added_tokens.json names further tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokenizers import AddedToken

from textkit.errors import ArtifactError
from textkit.io import files
from textkit.tokenizers.description import CONFIG_JSON, NAMED

SPECIAL_TOKENS_JSON, ADDED_TOKENS_JSON = "special_tokens_map.json", "added_tokens.json"
Token = AddedToken | str
# transformers 5.23, models/auto/tokenization_auto.py: what a model_type's folder is read by.
CLASS_OF_MODEL_TYPE = {
    **dict.fromkeys(
        ("bert", "convbert", "distilbert", "electra", "layoutlm", "mobilebert", "squeezebert"),
        "BertTokenizer",
    ),
    **dict.fromkeys(("bart", "longformer", "roberta", "led", "mvp"), "RobertaTokenizer"),
    **dict.fromkeys(("codegen", "gpt2", "gpt_neo", "gptj"), "GPT2Tokenizer"),
    "albert": "AlbertTokenizer",
    "barthez": "BarthezTokenizer",
    "big_bird": "BigBirdTokenizer",
    "blenderbot": "BlenderbotTokenizer",
    "camembert": "CamembertTokenizer",
    "clip": "CLIPTokenizer",
    "deberta": "DebertaTokenizer",
    "deberta-v2": "DebertaV2Tokenizer",
    "funnel": "FunnelTokenizer",
    "gpt_neox": "GPTNeoXTokenizer",
    "herbert": "HerbertTokenizer",
    "llama": "LlamaTokenizer",
    "mbart": "MBartTokenizer",
    "mbart50": "MBart50Tokenizer",
    "mpnet": "MPNetTokenizer",
    "mt5": "T5Tokenizer",
    "nllb": "NllbTokenizer",
    "openai-gpt": "OpenAIGPTTokenizer",
    "pegasus": "PegasusTokenizer",
    "qwen2": "Qwen2Tokenizer",
    "rembert": "RemBertTokenizer",
    "t5": "T5Tokenizer",
    "xlm-roberta": "XLMRobertaTokenizer",
    "xlnet": "XLNetTokenizer",
}


@dataclass(frozen=True)
class FolderConfig:
    """The class, options and tokens that a folder's files name.

    class_name: without "Fast", or None where nothing names one. named: `unk_token` and its like,
    None where the config says null. added: in the order of their ids. own: tokens that this class
    alone has, such as Splinter's `question_token`. extra: special tokens without a name, or None
    where nothing names any.
    """

    folder: Path
    class_name: str | None
    options: Mapping[str, object] = field(default_factory=dict)
    named: Mapping[str, Token | None] = field(default_factory=dict)
    added: tuple[AddedToken, ...] = ()
    own: tuple[Token, ...] = ()
    extra: tuple[Token, ...] | None = None

    def flag(self, name: str, *, default: bool) -> bool:
        """Give an option that is true or false; null means the default."""
        value = self.options.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.error(f"{name} is {value!r}, expected true or false")
        return default if value is None else value

    def number(self, name: str, *, default: int) -> int:
        """Give an option that is a whole number; null means the default."""
        value = self.options.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.error(f"{name} is {value!r}, expected a whole number")
        return default if value is None else value

    def with_option(self, name: str, value: object) -> FolderConfig:
        return replace(self, options={**self.options, name: value})

    def error(self, what: str) -> ArtifactError:
        return ArtifactError(what, where=str(self.folder / CONFIG_JSON))


def read_config(folder: Path) -> FolderConfig:
    """Read the configuration files of a folder; a file that is not there says nothing.

    Raises ArtifactError that names the file and the field.
    """
    options = files.read_object(folder / CONFIG_JSON)
    named: dict[str, Token | None] = {
        name: _token(options[name], folder / CONFIG_JSON, name) for name in NAMED if name in options
    }
    extra_names = _tokens(options, folder / CONFIG_JSON)
    models = {
        name: _token(value, folder / CONFIG_JSON, name)
        for name, value in options.items()
        if name.endswith("_token") and name not in NAMED and isinstance(value, str | dict)
    }
    if "added_tokens_decoder" in options:
        added = _decoded(options["added_tokens_decoder"], folder / CONFIG_JSON)
    else:
        said = files.read_object(folder / SPECIAL_TOKENS_JSON)
        path = folder / SPECIAL_TOKENS_JSON
        named |= {
            name: _token(said[name], path, name, special=True) for name in NAMED if name in said
        }
        special = {str(token) for token in (*named.values(), *(extra_names or ())) if token}
        extra_names = extra_names or _tokens(said, path, special=True)
        added = _added(files.read_object(folder / ADDED_TOKENS_JSON), special, folder)
    by_name = {token.content: token for token in added}
    named = {
        name: None if token is None else by_name.get(str(token), token)
        for name, token in named.items()
    }
    return FolderConfig(
        folder,
        class_name(options, folder),
        options,
        {name: named[name] for name in NAMED if name in named},
        tuple(added),
        tuple(token for token in models.values() if token is not None),
        extra_names,
    )


def class_name(options: Mapping[str, object], folder: Path) -> str | None:
    """Name the class that a folder's tokenizer_config.json or config.json says, without Fast."""
    model = files.read_object(folder / "config.json")
    for name in (options.get("tokenizer_class"), model.get("tokenizer_class")):
        if isinstance(name, str) and name:
            return name.removesuffix("Fast") if name != "PreTrainedTokenizerFast" else name
    return CLASS_OF_MODEL_TYPE.get(str(model.get("model_type")))


def _token(value: object, path: Path, name: str, *, special: bool | None = None) -> Token | None:
    """Read a token: its text, or an object with its text and flags."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        flags = {
            flag: bool(value[flag])
            for flag in ("single_word", "lstrip", "rstrip", "normalized", "special")
            if flag in value
        }
        if special is not None:
            flags["special"] = special
        return AddedToken(value["content"], **flags)
    raise ArtifactError(f"{name} is {value!r}, expected a token", where=str(path))


def _tokens(
    said: Mapping[str, object], path: Path, *, special: bool | None = None
) -> tuple[Token, ...] | None:
    """Read the special tokens without a name of their own."""
    value = said.get("extra_special_tokens") or said.get("additional_special_tokens")
    if value is None:
        return None
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        raise ArtifactError("additional_special_tokens is no list of tokens", where=str(path))
    read = [_token(item, path, "additional_special_tokens", special=special) for item in value]
    return tuple(token for token in read if token is not None)


def _decoded(value: object, path: Path) -> list[AddedToken]:
    """Read `added_tokens_decoder`: id -> token with its flags."""
    tokens: dict[int, AddedToken] = {}
    for key, item in (value if isinstance(value, dict) else {"": value}).items():
        token = _token(item, path, "added_tokens_decoder")
        if not str(key).isdecimal() or not isinstance(token, AddedToken):
            raise ArtifactError(
                f"added_tokens_decoder has {key!r}: {item!r}, expected an id and a token",
                where=str(path),
            )
        tokens[int(key)] = token
    return [tokens[i] for i in sorted(tokens)]


def _added(said: Mapping[str, object], special: Iterable[str], folder: Path) -> list[AddedToken]:
    """Read added_tokens.json: token -> id; what no file calls special is ordinary."""
    known = set(special)
    ids: dict[int, str] = {}
    for name, i in said.items():
        if isinstance(i, bool) or not isinstance(i, int):
            raise ArtifactError(
                f"{name!r} has the id {i!r}, expected a whole number",
                where=str(folder / ADDED_TOKENS_JSON),
            )
        ids[i] = name
    return [
        AddedToken(ids[i], normalized=ids[i] not in known, special=ids[i] in known)
        for i in sorted(ids)
    ]
