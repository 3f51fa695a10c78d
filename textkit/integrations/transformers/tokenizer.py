"""The tokenizer of a model folder, by the methods of a transformers tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer
from transformers.tokenization_utils_base import BatchEncoding, PaddingStrategy, TruncationStrategy

from textkit.classify.model_config import CONFIG, check
from textkit.errors import UsageError
from textkit.integrations.transformers.config import open_fitted
from textkit.integrations.transformers.inputs import Inputs, inputs_of
from textkit.io import files
from textkit.tokenizers.protocol import check_texts

# What a caller may ask and a text classifier's ids have no answer to.
_NOT_OFFERED = (
    "text_pair",
    "is_split_into_words",
    "return_overflowing_tokens",
    "return_special_tokens_mask",
    "return_offsets_mapping",
    "stride",
)


class TextkitTokenizer(PreTrainedTokenizer):  # type: ignore[misc]
    """Texts -> the ids that a model of textkit's reads: its tokenizer, template and n-grams, cut at
    its max_length.

    `AutoTokenizer.from_pretrained(folder)` gives one, and it is saved with its model. A model that
    reads texts and no tokens gets bytes for ids, which TextkitForSequenceClassification turns back.
    An empty text is a row of no ids, or one masked padding where tensors are asked for.
    """

    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, inputs: Inputs | None = None, **options: Any) -> None:
        if inputs is None:
            raise UsageError(
                "a TextkitTokenizer is of a model: TextkitTokenizer.from_pretrained(FOLDER)"
            )
        self.inputs = inputs
        options.setdefault("model_max_length", inputs.longest)
        super().__init__(pad_token=inputs.pad_token, **options)

    @classmethod
    def from_pretrained(cls, name: str | Path, *_: Any, **options: Any) -> TextkitTokenizer:
        """Open the tokenizer of a model folder, or of a model on the hub.

        Raises ArtifactError for a folder that is no model of textkit's.
        """
        fitted, folder = open_fitted(name, options)
        given = {
            key: options[key] for key in ("padding_side", "model_max_length") if key in options
        }
        return cls(inputs_of(fitted), name_or_path=str(folder), **given)

    def save_pretrained(self, save_directory: str | Path, **_: Any) -> tuple[str, ...]:
        """Give the names of the files of a folder that holds its model; UsageError for any other,
        since ids without the model's cut, template and n-grams would be others.
        """
        folder = Path(save_directory)
        if not (folder / files.MANIFEST).is_file() or not (folder / CONFIG).is_file():
            raise UsageError(
                f"{folder} holds no model, and a tokenizer is saved with its model; call"
                " model.save_pretrained first"
            )
        check(folder)
        return tuple(str(file) for file in sorted(folder.glob("tokenizer*")))

    @property
    def vocab_size(self) -> int:
        """Number of ids: of tokens, and of buckets of n-grams."""
        return self.inputs.n_ids

    def __len__(self) -> int:
        return self.inputs.n_ids

    def get_vocab(self) -> dict[str, int]:
        """Token -> id."""
        return dict(self.inputs.vocabulary)

    def tokenize(self, text: str, **_: Any) -> list[str]:
        """Give the tokens of a text, without special ones of the model's template."""
        (row,) = self.inputs.encode([text], max_length=None, special=False)
        return [self._convert_id_to_token(i) for i in row]

    def _convert_token_to_id(self, token: str) -> int | None:
        return self.inputs.vocabulary.get(token)

    def _convert_id_to_token(self, index: int) -> str:
        names = self.__dict__.get("_names")
        if names is None:
            names = self._names = {i: token for token, i in self.inputs.vocabulary.items()}
        return str(names.get(index, f"[n-gram {index}]"))

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Join tokens to a text, as `decode` does."""
        return self.inputs.decode([self.inputs.vocabulary[token] for token in tokens])

    def _decode(
        self, token_ids: int | list[int], skip_special_tokens: bool = False, **_: Any
    ) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        if skip_special_tokens:
            ids = [i for i in ids if i != self.pad_token_id]
        return self.inputs.decode(ids)

    def _encode_plus(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        padding_strategy: PaddingStrategy = PaddingStrategy.DO_NOT_PAD,
        truncation_strategy: TruncationStrategy = TruncationStrategy.DO_NOT_TRUNCATE,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: Any = None,
        return_attention_mask: bool | None = None,
        return_length: bool = False,
        **others: Any,
    ) -> BatchEncoding:
        """Encode a text or a batch of them: what `__call__`, `encode` and `batch_encode_plus` do,
        of both main versions of transformers.
        """
        for name in _NOT_OFFERED:
            if others.get(name):
                raise UsageError(f"{name} is not offered by TextkitTokenizer; leave it out")
        is_cut = truncation_strategy != TruncationStrategy.DO_NOT_TRUNCATE
        rows = self.inputs.encode(
            check_texts([text] if isinstance(text, str) else text),
            max_length=max_length if is_cut else None,
            special=add_special_tokens,
        )
        encoded: dict[str, list[list[int]]] = {"input_ids": rows}
        encoded["attention_mask"] = [[1] * len(row) for row in rows]
        if return_tensors is not None and not any(rows):  # a tensor without columns has no type
            encoded = {
                key: [[0 if key == "attention_mask" else self.pad_token_id]] * len(rows)
                for key in encoded
            }
        if padding_strategy != PaddingStrategy.DO_NOT_PAD:
            options = {} if padding_side is None else {"padding_side": padding_side}
            encoded = dict(
                self.pad(
                    encoded,
                    padding=padding_strategy,
                    max_length=max_length,
                    pad_to_multiple_of=pad_to_multiple_of,
                    **options,
                )
            )
        if return_attention_mask is False:
            del encoded["attention_mask"]
        data: dict[str, Any] = dict(encoded)
        if return_length:
            data["length"] = [len(row) for row in encoded["input_ids"]]
        if isinstance(text, str) and return_tensors is None:
            data = {key: value[0] for key, value in data.items()}
        return BatchEncoding(data, tensor_type=return_tensors)

    def _batch_encode_plus(
        self, batch_text_or_text_pairs: Sequence[str], **options: Any
    ) -> BatchEncoding:
        """Encode a batch: the name in version 4."""
        return self._encode_plus(list(batch_text_or_text_pairs), **options)
