"""Texts -> an index on disk that is asked by meaning, by words, or by both."""
