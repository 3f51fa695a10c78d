"""Word -> row tables: any format opened, neighbours, index, coverage, plots, training.

Numpy alone.
"""
