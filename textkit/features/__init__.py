"""Texts -> the ids that a network reads: text input, templates, hashed n-grams."""
