"""Text classifiers: fitting one, using it, keeping it in a folder."""
