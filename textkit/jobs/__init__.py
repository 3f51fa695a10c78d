"""Whole pieces of work as Python calls: what the shell does, without the shell."""
