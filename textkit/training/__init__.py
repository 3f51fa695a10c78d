"""The loop, and what stands beside it: losses, optimisers, checkpoints, curves."""
