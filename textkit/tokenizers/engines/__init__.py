"""Engines: the ways to compute one tokenizer's ids. All give the same ids and spans.

They differ in speed.

`reference` is Hugging Face's `tokenizers`: it defines the result and does everything. `splintr` is
a faster engine for BPE, WordPiece and Unigram without spans; for byte-level BPE the pieces' byte
lengths give the spans too. `native` is our own regex and numpy path for word-like kinds. `table`
(word_table.py) looks up words that the reference, or `native`, has encoded before. A fast engine is
used only after `guard.certify` found it equal to the reference on hard strings and on a sample of
the user's own texts; rows it is not sure of go to the reference.
"""
