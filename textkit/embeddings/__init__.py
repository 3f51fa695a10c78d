"""Embeddings: the layer that turns ids into vectors."""
