"""Doors into other libraries: each makes textkit's parts of theirs, and nothing in textkit imports
one.
"""
