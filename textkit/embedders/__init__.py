"""Texts -> vectors, by vectors of words or by a model."""
