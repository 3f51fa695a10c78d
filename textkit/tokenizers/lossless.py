"""Whether the ids of every text give that text back, told from a tokenizer.json alone.

In: the parsed tokenizer.json and its vocabulary (token -> id, added tokens included). Out: True
where this follows from the layout, and False in every other case. The steps of the proof:

1. no normaliser changes the text, and the splitters cut it without removing or adding anything;
2. the model is BPE that spells the bytes of UTF-8, and has a token for each of them: the bytes as
   printable characters (GPT-2's way), or one token such as `<0x0A>` a byte for what has no other;
3. no two tokens share an id, so that an id names what was read;
4. the decoder turns that spelling back, and does nothing else;
5. no added token swallows the spaces beside it, or is spelt otherwise by the decoder.

sentencepiece's ways, Llama's included, are never lossless: a space and the character '▁' become the
same token. A lone surrogate is no text: encoding replaces it, and counts it.
"""

from __future__ import annotations

from textkit.tokenizers.description import AddedToken, Description, Step, TableModel, steps_of
from textkit.tokenizers.splitters import BYTES_OF_TEXT, byte_names

# Splitters that leave all of a text where it is, but for those that say "Removed".
_TILING = frozenset(("ByteLevel", "Digits", "Punctuation", "Split", "UnicodeScripts"))
_NAMES = byte_names()


def is_lossless(description: Description, vocabulary: dict[str, int]) -> bool:
    """Tell whether the ids of every text are known to give that text back.

    >>> from textkit import tokenizers
    >>> tokenizers.create("byte").lossless, tokenizers.create("char").lossless
    (True, False)
    """
    model = description["model"]
    if model["type"] != "BPE" or len(set(vocabulary.values())) < len(vocabulary):
        return False
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return False
    splitters = steps_of(description["pre_tokenizer"])
    if not all(map(_leaves_all, splitters)):
        return False
    normalizers = [step["type"] for step in steps_of(description["normalizer"])]
    decoders = [step["type"] for step in steps_of(description["decoder"])]
    spelt = normalizers + [step["type"] for step in splitters if step["type"] == "ByteLevel"]
    # What stands in a text spelling a special token is text.
    added = [token for token in description["added_tokens"] if not token["special"]]
    if any(token["lstrip"] or token["rstrip"] for token in added):
        return False
    if spelt == ["ByteLevel"]:
        known = all(_NAMES[byte] in model["vocab"] for byte in BYTES_OF_TEXT)
        return known and _is_then_joined(decoders, "ByteLevel") and all(map(_is_read_back, added))
    return not spelt and _is_then_joined(decoders, "ByteFallback") and _falls_back(model, added)


def _leaves_all(splitter: Step) -> bool:
    """Tell whether a splitter only cuts: it removes nothing and puts no space before the text."""
    return (
        splitter["type"] in _TILING
        and splitter.get("behavior") != "Removed"
        and not splitter.get("add_prefix_space", splitter["type"] == "ByteLevel")
    )


def _is_then_joined(decoders: list[str], spelling: str) -> bool:
    return decoders in ([spelling], [spelling, "Fuse"])


def _is_read_back(token: AddedToken) -> bool:
    """Tell whether a byte-level decoder gives an added token as it is spelt: it takes one that
    is all names of bytes, such as 'é', for those bytes.
    """
    content = token["content"]
    return content.isascii() or any(name not in _NAMES for name in content)


def _falls_back(model: TableModel, added: list[AddedToken]) -> bool:
    """Tell whether a character without a token becomes its bytes, and nothing else does."""
    names = {f"<0x{byte:02X}>" for byte in range(256)}
    wanted = {f"<0x{byte:02X}>" for byte in BYTES_OF_TEXT}
    if not model.get("byte_fallback") or not wanted <= model["vocab"].keys():
        return False
    if model.get("ignore_merges"):  # a piece that reads '<0x41>' would be that byte
        return False
    merges = model.get("merges", [])
    merged = {"".join(pair.split(" ", 1) if isinstance(pair, str) else pair) for pair in merges}
    return names.isdisjoint(merged) and names.isdisjoint(token["content"] for token in added)
