"""PipelineTokenizer: any tokenizer that a `tokenizer.json` can describe.

In: a list of texts. Out: a TokenBatch of ids and, when asked, spans in the caller's own text.
Hugging Face's `tokenizers` defines the ids, the spans and the file format, so every tool of that
ecosystem reads what we save. Longer than a file should be: what such a tokenizer can do stands in
one class.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np
import tokenizers as hf

from textkit.batch import TokenBatch, cut_rows
from textkit.errors import UsageError, unknown_name
from textkit.io import files
from textkit.threads import computed_once
from textkit.tokenizers import changes, chats, further, sampling, templates
from textkit.tokenizers.counting import count_texts, keep_frequent
from textkit.tokenizers.description import (
    CONFIG_JSON,
    NAMED,
    TOKENIZER_JSON,
    Description,
    unknown_token,
)
from textkit.tokenizers.engines.choice import EngineChoice, Engines
from textkit.tokenizers.engines.clock import Clock
from textkit.tokenizers.engines.reference import Encode, ReferenceEngine, native_errors
from textkit.tokenizers.lossless import is_lossless
from textkit.tokenizers.protocol import (
    PAD,
    Splitter,
    Tokenizer,
    check_texts,
    name_ids,
)
from textkit.tokenizers.special_text import SpecialText
from textkit.tokenizers.templates import Template

_PAD_NAMES = (PAD, "<pad>", "<|pad|>", "<|endoftext|>")
# What an engine is given at a time: the reference's Encoding objects take 100 times the memory of
# the ids.
CHUNK_ROWS, CHUNK_CHARACTERS = 1 << 18, 1 << 20


class PipelineTokenizer(Tokenizer):
    """A tokenizer that is a normaliser, a splitter and a vocabulary: all of it stands in its
    `tokenizer.json`.

    >>> from textkit import tokenizers
    >>> word = tokenizers.train("word", ["Vanity and pride are different things"])
    >>> batch = word.encode(["pride, vanity"], spans=True)
    >>> batch.spans.tolist()
    [[0, 5], [5, 6], [7, 13]]
    """

    def __init__(
        self,
        backend: hf.Tokenizer,
        *,
        kind: str,
        engine: EngineChoice = "auto",
        description: Description | None = None,
        named: Mapping[str, str] | None = None,
        notes: Sequence[str] = (),
        chat_template: str | None = None,
    ) -> None:
        known: Description = json.loads(backend.to_str()) if description is None else description
        self._description: Description = {**known, "truncation": None, "padding": None}
        self.json = json.dumps(self._description, ensure_ascii=False, separators=(",", ":"))
        if description is None and self._description["model"]["type"] == "Unigram":
            # tokenizers reads a score up to one bit off what it wrote: use what the saved file will
            # give.
            backend = hf.Tokenizer.from_str(self.json)
        backend.no_padding()
        backend.no_truncation()
        # Text that spells a special token is ordinary text.
        backend.encode_special_tokens = True
        self._backend = backend
        self.kind = kind
        self.vocabulary = backend.get_vocab(with_added_tokens=True)
        self._named = {
            role: token for role, token in (named or {}).items() if token in self.vocabulary
        }
        pads = (self._named.get("pad_token", ""), *_PAD_NAMES)
        self.pad_id = next((self.vocabulary[pad] for pad in pads if pad in self.vocabulary), None)
        unknown = unknown_token(self._description)
        self.unknown_id = None if unknown is None else self.vocabulary.get(unknown)
        self.lossless = is_lossless(self._description, self.vocabulary)
        self.fingerprint = hashlib.sha256(self.json.encode()).hexdigest()
        self._choice = engine
        self._reference = ReferenceEngine(backend, Clock.of(self._description))
        self._special_text = SpecialText(
            self._description,
            self.vocabulary,
            unknown_id=self.unknown_id,
            reference=self._reference,
        )
        self._engines = Engines(self._description, self.vocabulary, self._reference, choice=engine)
        self._notes = tuple(notes)
        self.chat_template = chat_template

    def __repr__(self) -> str:
        return f"PipelineTokenizer(kind='{self.kind}', n_tokens={len(self.vocabulary):,})"

    def __reduce__(
        self,
    ) -> tuple[
        Callable[..., PipelineTokenizer],
        tuple[str, str, EngineChoice, dict[str, str], tuple[str, ...], str | None],
    ]:
        """Go to another process as text: engines stay behind and are chosen anew."""
        said = (self._named, self._notes, self.chat_template)
        return _rebuild, (self.json, self.kind, self._choice, *said)

    @property
    def special_ids(self) -> frozenset[int]:
        """Ids of padding, the unknown token and what the tokenizer.json marks as special."""
        added = self._description["added_tokens"]
        return super().special_ids | {token["id"] for token in added if token["special"]}

    @computed_once
    def template(self) -> Template:
        """The special tokens that the tokenizer.json puts round a text or a pair."""
        return templates.read(self._description["post_processor"])

    def _encode_texts(
        self, texts: Sequence[str], *, spans: bool, allow_special: bool, words: bool
    ) -> TokenBatch:
        """Give the ids by the engine that serves such texts."""
        if words:
            reference = self._special_engine if allow_special else self._reference
            encode: Encode = partial(reference.encode, words=True)
        elif allow_special:
            encode = self._special_engine.encode
        else:
            encode = self._engines.choose(texts, spans=spans).encode
        if sum(map(len, texts)) < CHUNK_CHARACTERS:
            batch = encode(texts, spans=spans)
        else:
            chunks = cut_rows(texts, n_rows=CHUNK_ROWS, n_characters=CHUNK_CHARACTERS)
            batch = TokenBatch.concatenate([encode(part, spans=spans) for part in chunks])
        return batch if allow_special else self._special_text.as_text(texts, batch, spans=spans)

    def engine_for(self, texts: Sequence[str], *, spans: bool = False) -> str:
        """Name the engine that encodes such texts.

        `engine_notes` says why a faster one was not taken.

        >>> from textkit import tokenizers
        >>> tokenizers.create("char").engine_for(["pride"], spans=True)
        'native'
        """
        return self._engines.choose(check_texts(texts), spans=spans).name

    @property
    def engine_notes(self) -> list[str]:
        """Say why a fast engine was not taken, when it failed on texts, and where a foreign
        file's ids may differ.
        """
        return [*self._notes, *self._engines.notes]

    def sample(
        self,
        texts: Sequence[str],
        *,
        seed: int,
        dropout: float | None = None,
        alpha: float | None = None,
        nbest: int | None = None,
    ) -> TokenBatch:
        """Turn texts into ids of pieces drawn by chance, which spell the same words: for training.

        dropout: for BPE and WordPiece, the chance that a merge or a match is left out (default
        0.1). alpha, nbest: for unigram, a segmentation is drawn by its probability to the power of
        alpha (default 0.1), of all or of the likeliest. The same seed gives the same ids. Unknown
        and added tokens and bytes stay where `encode` has them.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.train("bpe", ["low lower lowest"] * 5, size=270)
        >>> batch = tok.sample(["lowest lower"], seed=0, dropout=0.5)
        >>> tok.decode(batch[0])
        'lowest lower'
        """
        cut = sampling.cut_of(self._description, dropout=dropout, alpha=alpha, nbest=nbest)
        names = {token["content"] for token in self._description["added_tokens"]}
        names |= changes.BYTE_PIECES & self.vocabulary.keys()
        fixed = self.special_ids | {self.vocabulary[name] for name in names}
        return sampling.resample(
            self.encode(texts, words=True),
            self._names,
            self.vocabulary,
            cut=cut,
            fixed=fixed,
            random=np.random.default_rng(seed),
        )

    def chat_text(
        self,
        messages: Sequence[chats.Message],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Mapping[str, object]] | None = None,
        variables: Mapping[str, object] | None = None,
    ) -> str:
        """Give the text of a conversation by the folder's chat template, as apply_chat_template of
        transformers does; encode it with `allow_special=True`.
        """
        if self.chat_template is None:
            raise UsageError("this tokenizer has no chat template")
        named = {role: token for role, token in self._named.items() if role in NAMED}
        if self.pad_id is not None:
            named.setdefault("pad_token", self._names[self.pad_id])
        return chats.render(
            self.chat_template,
            messages,
            add_generation_prompt=add_generation_prompt,
            tools=tools,
            variables={**named, **(variables or {})},
        )

    def normalize(self, text: str) -> str:
        """Give the text as the splitter sees it, lower-cased for instance.

        >>> from textkit import tokenizers
        >>> tokenizers.create("word", lowercase=True).normalize("Vanity")
        'vanity'
        """
        return self._reference.normalize(text)

    @computed_once
    def _special_engine(self) -> ReferenceEngine:
        """The reference engine that makes special tokens of the text that spells them."""
        backend = hf.Tokenizer.from_str(self.json)
        backend.encode_special_tokens = False
        return ReferenceEngine(backend, self._reference.clock)

    def splitter(self) -> Splitter | None:
        """Give what cuts a text into the pieces that are looked up, or that merges stay within."""
        from textkit.tokenizers.unicode_breaks import TILINGS  # 2 ms, and encoding may not need it

        step = self._description["pre_tokenizer"]
        if step is not None and step.get("behavior") == "Removed":
            tiling = TILINGS.get(step.get("pattern", {}).get("Regex", ""))
            if tiling is not None:
                find = tiling.compile()
                return Splitter(lambda text: find(self.normalize(text)), tiling.drop_space)
        return None if self._backend.pre_tokenizer is None else Splitter(self._reference.split)

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids back into text; special tokens are spelled out, so nothing disappears."""
        checked = [int(i) for i in ids]
        self.tokens(checked)
        with native_errors("this tokenizer cannot decode"):
            return str(self._backend.decode(checked, skip_special_tokens=False))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Name ids as the vocabulary spells them (byte-level BPE writes a leading space as 'Ġ')."""
        return name_ids(self._names, ids)

    @computed_once
    def _names(self) -> dict[int, str]:
        return {i: name for name, i in self.vocabulary.items()}

    def write(self, folder: Path) -> None:
        """Write tokenizer.json, and tokenizer_config.json for transformers' Auto classes, into a
        folder that the caller seals: `mask_token` and its like stand there as they were read.
        """
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "textkit_kind": self.kind}
        if self.pad_id is not None:
            config["pad_token"] = self._names[self.pad_id]
        if self.unknown_id is not None:
            config["unk_token"] = self._names[self.unknown_id]
        config |= self._named
        files.write_text(folder / TOKENIZER_JSON, self.json)
        files.write_json(folder / CONFIG_JSON, config)
        if self.chat_template is not None:
            files.write_text(folder / chats.CHAT_TEMPLATE, self.chat_template)

    def extend(self, words: Sequence[str]) -> PipelineTokenizer:
        """Give a tokenizer of whole words with more words behind its own.

        What it cannot give as one token is left out.

        >>> from textkit import tokenizers
        >>> few = tokenizers.create("word", vocabulary=["pride"], lowercase=True)
        >>> more = few.extend(["Vanity", "pride", "and so"])
        >>> more.encode(["Pride, vanity"])[0].tolist()
        [2, 1, 3]
        """
        if not self.holds_words:
            raise UsageError(
                f"a '{self.kind}' tokenizer is no list of words: words cannot be added to it"
            )
        normal = list(dict.fromkeys(map(self.normalize, words)))
        batch = self.encode(normal)
        is_new = np.zeros(len(normal), dtype=bool)
        single = batch.lengths == 1
        is_new[single] = batch.ids[batch.offsets[:-1][single]] == self.unknown_id
        return self._remade(
            changes.with_words(self._description, self.vocabulary, compress(normal, is_new))
        )

    def train_further(
        self,
        texts: Iterable[str],
        *,
        size: int,
        min_frequency: int = 2,
        memory_bytes: int | None = None,
        say: Callable[[str], None] | None = None,
    ) -> PipelineTokenizer:
        """Give a tokenizer of up to `size` tokens, the new ones learnt from further texts behind
        those that are there, which keep their ids and their merges.

        BPE and WordPiece go on merging, and take up characters that they did not know; lists of
        words, characters and the like get the most frequent new ones; Unigram is refused.
        min_frequency: of what becomes a token. memory_bytes, say: as `tokenizers.train` takes them.

        >>> from textkit import tokenizers
        >>> few = tokenizers.train("bpe", ["low lower lowest"] * 5, size=262)
        >>> more = few.train_further(["newest lowest"] * 5, size=268)
        >>> few.tokens(few.encode(["newest"])[0]), more.tokens(more.encode(["newest"])[0])
        (['n', 'e', 'w', 'e', 'st'], ['newest'])
        """
        find = further.word_finder(self._description, self.splitter(), self.normalize)
        counts = count_texts(texts, find, memory_bytes=memory_bytes)
        words = keep_frequent(counts, memory_bytes=memory_bytes, say=say)
        return self._remade(
            further.learn_further(self._description, words, size=size, min_frequency=min_frequency)
        )

    def shrink(self, size: int) -> PipelineTokenizer:
        """Give the smaller tokenizer that training to `size` would have given: vocabularies of a
        run nest.

        Holds for kinds that learn token after token: BPE, WordPiece, words, characters. Unigram
        prunes, and is refused.

        >>> from textkit import tokenizers
        >>> word = tokenizers.train("word", ["a a a b b c"])
        >>> word.shrink(3).encode(["a b"]).ids.tolist()
        [2, 1]
        """
        if size > len(self):
            raise UsageError(f"size is {size}, but only {len(self)} tokens were learnt")
        return self._remade(changes.shrunk(self._description, size=size))

    def add_tokens(
        self,
        tokens: Sequence[str | hf.AddedToken],
        *,
        special: bool = False,
    ) -> PipelineTokenizer:
        """Give a tokenizer that finds further tokens in texts before anything else, behind its own
        ids; those that it has stay where they are.

        An AddedToken of tokenizers says how it is found: `single_word`, `lstrip`, `rstrip`,
        `normalized`. `carry_rows` of this package gives the rows of a model.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.create("wordpiece", vocabulary=["[UNK]", "play", "##ing"])
        >>> tok.add_tokens(["<br>"]).encode(["play<br>playing"]).ids.tolist()
        [1, 3, 1, 2]
        """
        check_texts([str(token) for token in tokens] if not isinstance(tokens, str) else tokens)
        backend = hf.Tokenizer.from_str(self.json)
        if special:
            backend.add_special_tokens(list(tokens))
        else:
            backend.add_tokens(list(tokens))
        return self._remade(json.loads(backend.to_str()))

    def add_special_tokens(self, **named: str | hf.AddedToken) -> PipelineTokenizer:
        """Give a tokenizer with special tokens by their roles: `cls_token="[CLS]"` and its like.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.create("wordpiece", vocabulary=["[UNK]", "a"])
        >>> tok = tok.add_special_tokens(cls_token="[CLS]", sep_token="[SEP]")
        >>> tok.with_template("bert").encode(["a"], add_special_tokens=True).ids.tolist()
        [2, 1, 3]
        """
        for role in named:
            if role not in NAMED:
                raise UsageError(unknown_name("special token", role, NAMED))
        more = self.add_tokens(list(named.values()), special=True)
        return more._with_named({role: str(token) for role, token in named.items()})

    def with_template(self, template: str | Template, *, add: bool = False) -> PipelineTokenizer:
        """Give a tokenizer whose `template` is another: "bert", "roberta", "t5" or "llama".

        Saved, it is the post-processor of tokenizer.json, and its tokens stand by their roles in
        tokenizer_config.json, so that transformers puts the same tokens there. add: tokens that the
        vocabulary lacks are added by their usual names; without it UsageError names them.
        """
        named = dict(self._named)
        if add and isinstance(template, str):
            missing = templates.missing_roles(template, self.vocabulary, named=named)
            if missing:
                return self.add_special_tokens(**missing).with_template(template)
        if isinstance(template, str):
            bound = templates.bind(template, self.vocabulary, named=named)
            named |= templates.roles_of(template, self.vocabulary, named=named)
        else:
            bound = template
        description = copy.deepcopy(self._description)
        description["post_processor"] = bound.to_step()
        roles = [name for role, name in named.items() if role != "unk_token"]
        made = self._remade(description)._with_named(named)
        return made.add_tokens(roles, special=True)

    @property
    def holds_words(self) -> bool:
        """Whether it is a list of whole words, of which any may be left out."""
        return self._description["model"]["type"] == "WordLevel"

    def keep_words(self, ids: Iterable[int]) -> PipelineTokenizer:
        """Give the smaller tokenizer of whole words that has these tokens, and special and added
        ones; ids close up, and another word is unknown.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.create("word", vocabulary=["good", "bad", "film"])
        >>> small = tok.keep_words([tok.vocabulary["film"]])
        >>> small.tokens(small.encode(["bad film"])[0].tolist())
        ['[UNK]', 'film']
        """
        if not self.holds_words:
            raise UsageError(
                f"a '{self.kind}' tokenizer is no list of words: none can be left out of it"
            )
        names = set(self.tokens(list(ids)))
        return self._remade(changes.pruned(self._description, self.vocabulary, names))

    def prune(self, texts: Sequence[str]) -> PipelineTokenizer:
        """Give the smaller tokenizer that reads these texts as the same tokens; ids close up.

        Special and added tokens stay, and what a merge of BPE passes through. `carry_rows` of this
        package gives the rows of a model.

        >>> from textkit import tokenizers
        >>> tok = tokenizers.create("wordpiece", vocabulary=["[UNK]", "play", "##ed", "##ing"])
        >>> sorted(tok.prune(["playing"]).vocabulary)
        ['##ing', '[UNK]', 'play']
        """
        batch = self.encode(texts)
        keep = set(self.tokens(np.unique(batch.ids).tolist()))
        while True:
            small = self._remade(changes.pruned(self._description, self.vocabulary, keep))
            other = small.encode(texts)
            differ = [
                row
                for row in range(len(batch))
                if self.tokens(batch[row].tolist()) != small.tokens(other[row].tolist())
            ]
            if not differ:
                return small
            # A word of [UNK] may be read once a longer first piece has gone: keep what could be.
            read = "".join(self.normalize(texts[row]) for row in differ)
            more = {name for name in self.vocabulary if name.removeprefix("##") in read}
            if more <= keep:
                raise UsageError(f"text {differ[0]} has other tokens in any smaller vocabulary")
            keep |= more

    def _remade(self, description: Description) -> PipelineTokenizer:
        backend = hf.Tokenizer.from_str(json.dumps(description))
        return PipelineTokenizer(
            backend, kind=self.kind, named=self._named, chat_template=self.chat_template
        )

    def _with_named(self, named: Mapping[str, str]) -> PipelineTokenizer:
        backend = hf.Tokenizer.from_str(self.json)
        return PipelineTokenizer(
            backend,
            kind=self.kind,
            named={**self._named, **named},
            chat_template=self.chat_template,
        )


def _rebuild(
    described: str,
    kind: str,
    engine: EngineChoice,
    named: dict[str, str],
    notes: tuple[str, ...],
    chat_template: str | None,
) -> PipelineTokenizer:
    description: Description = json.loads(described)
    backend = hf.Tokenizer.from_str(described)
    return PipelineTokenizer(
        backend,
        kind=kind,
        engine=engine,
        description=description,
        named=named,
        notes=notes,
        chat_template=chat_template,
    )
