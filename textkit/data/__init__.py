"""What stands between rows of text and a training: labels, splits, shards, batches,
augmentation, checks.
"""
