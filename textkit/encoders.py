"""Encoders and poolings as torch modules of your own network, made by name.

>>> import torch
>>> from textkit import encoders
>>> encoder = encoders.create("lstm", in_dim=8, dim=4)
>>> states = torch.zeros(2, 3, 8)  # (batch, time, in_dim)
>>> lengths = torch.tensor([3, 1])
>>> mask = torch.arange(3) < lengths[:, None]
>>> encoder(states, mask, lengths).shape, encoder.out_dim
(torch.Size([2, 3, 8]), 8)
"""

from textkit.nn.encoders import Encoder, create, create_pooling

__all__ = ["Encoder", "create", "create_pooling"]
