"""Open what has no tokenizer.json: a Hugging Face folder of vocabulary files, or such a file alone.

In: a folder, or one of its files. Out: a PipelineTokenizer with the ids of the class that the
folder names. What nothing names is decided here, and said in the tokenizer's notes:

1. a vocab.txt of no class is BERT's; whether it is lower-cased follows from how many of its whole
   words have a capital letter;
2. a vocab.json beside a merges.txt of no class is GPT-2's, unless its pieces end in '</w>';
3. a class that is not known is refused by name; its sentencepiece model can be opened alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textkit.errors import ArtifactError, UsageError
from textkit.tokenizers.engines.choice import EngineChoice
from textkit.tokenizers.folder_classes import VOCABULARY_CLASSES
from textkit.tokenizers.folder_config import FolderConfig, read_config
from textkit.tokenizers.folder_layouts import LOWERCASE, open_layout
from textkit.tokenizers.folder_sentencepiece import SENTENCEPIECE_CLASSES
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.vocabulary_files import VocabularyFiles

LAYOUTS = {**VOCABULARY_CLASSES, **SENTENCEPIECE_CLASSES}
# No whole word of bert-base-uncased has a capital letter; a lower-cased vocabulary may hold a few
# by accident, and a cased one holds names and the first words of sentences.
CASED_SHARE = 0.1


def open_named(
    vocabulary: VocabularyFiles, *, engine: EngineChoice, lowercase: bool | None
) -> PipelineTokenizer | None:
    """Open a folder as the class that it names.

    None where it names none, and where it holds no vocabulary of a kind that classes read.
    """
    config = read_config(vocabulary.folder)
    names = (vocabulary.txt, vocabulary.json, vocabulary.model_name())
    has_files = any(name and (vocabulary.folder / name).is_file() for name in names)
    if config.class_name is None or not has_files:
        return None
    return _open(config, config.class_name, vocabulary, engine=engine, lowercase=lowercase)


def open_wordpieces(
    vocabulary: VocabularyFiles, *, engine: EngineChoice, lowercase: bool | None
) -> PipelineTokenizer:
    """Open a vocab.txt as the class that is named beside it, or as BERT's.

    lowercase: overrides what the folder or the vocabulary says; UsageError for a class without
    that choice.
    """
    config = read_config(vocabulary.folder)
    return _open(config, "BertTokenizer", vocabulary, engine=engine, lowercase=lowercase)


def open_merged(
    vocabulary: VocabularyFiles, *, engine: EngineChoice, lowercase: bool | None
) -> PipelineTokenizer:
    """Open a vocab.json and a merges.txt as the class that is named beside them, or as GPT-2's."""
    config = read_config(vocabulary.folder)
    notes = [_assume_gpt2(vocabulary)] if config.class_name is None else []
    return _open(
        config, "GPT2Tokenizer", vocabulary, engine=engine, lowercase=lowercase, notes=notes
    )


def _open(
    config: FolderConfig,
    assumed: str,
    vocabulary: VocabularyFiles,
    *,
    engine: EngineChoice,
    lowercase: bool | None,
    notes: Sequence[str] = (),
) -> PipelineTokenizer:
    name = config.class_name or assumed
    if name not in LAYOUTS:
        raise _unknown(name, config)
    layout = LAYOUTS[name]
    if lowercase is not None:
        if LOWERCASE not in layout.options:
            raise UsageError(f"lowercase= has no meaning for a {name}, which decides it itself")
        config = config.with_option(LOWERCASE, lowercase)
    elif layout.kind == "wordpiece" and config.options.get(LOWERCASE) is None:
        config, note = _decide_case(config, vocabulary)
        notes = [*notes, *note]
    if layout.kind == "wordpiece":
        notes = [*notes, *vocabulary.doubled()]
    return open_layout(layout, vocabulary, config, engine=engine, notes=notes)


def _decide_case(
    config: FolderConfig, vocabulary: VocabularyFiles
) -> tuple[FolderConfig, list[str]]:
    """Decide whether texts are lower-cased where no file says it, and say so.

    A class that the config names lower-cases by default, whatever its vocabulary holds.
    """
    share = capital_share(vocabulary.wordpieces())
    is_named = isinstance(config.options.get("tokenizer_class"), str)
    lowercase = is_named or share < CASED_SHARE
    decided = config.with_option(LOWERCASE, lowercase)
    if is_named and share < CASED_SHARE:
        return decided, []
    return decided, [
        f"no file says whether {vocabulary.txt} is lower-cased; {share:.1%} of its whole words have"
        f" a capital letter{', but its class lower-cases by default' if is_named else ''}: texts"
        f" are {'lower-cased' if lowercase else 'taken as they stand'};"
        f" lowercase={not lowercase} reads it otherwise"
    ]


def capital_share(pieces: Iterable[str]) -> float:
    """Give the share of the whole words that have a capital letter, of those that have a letter of
    two cases; special tokens and inner pieces do not count.

    >>> capital_share(["[UNK]", "the", "The", "##X", "2", "cat", "sat"])
    0.25
    """
    words = [p for p in pieces if not p.startswith("##") and not (p[:1] in "[<" and p[-1:] in "]>")]
    cased = [word for word in words if word.lower() != word or word.upper() != word]
    return sum(word.lower() != word for word in cased) / len(cased) if cased else 0.0


def _assume_gpt2(vocabulary: VocabularyFiles) -> str:
    """Take a vocab.json of no class for GPT-2's, and say so; refuse one whose pieces end a word."""
    _, merges = vocabulary.merged()
    if any(second.endswith("</w>") for _, second in merges):
        raise ArtifactError(
            "its pieces end in '</w>', as those of CLIP, GPT-1 and others do, and no file beside"
            ' says which; write tokenizer_config.json with its "tokenizer_class"',
            where=vocabulary.where(vocabulary.json),
        )
    return (
        "no file says which class vocab.json and merges.txt are of; they are read as GPT-2's:"
        ' a tokenizer_config.json with "tokenizer_class" beside them decides it'
    )


def _unknown(name: str, config: FolderConfig) -> ArtifactError:
    return ArtifactError(
        f"the class {name!r} is not known without its tokenizer.json; write one with"
        f" transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER); a .model"
        f" file opened alone gives sentencepiece's own ids",
        where=str(config.folder),
    )
