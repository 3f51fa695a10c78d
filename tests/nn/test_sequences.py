"""Encoders on sequences that are no texts: images in patches, series in windows."""

from __future__ import annotations

import pytest
import torch

from textkit.errors import UsageError
from textkit.nn.sequences import SequenceNetwork, cut_patches, cut_windows

NAMES = ("bag", "cnn", "gru", "lstm", "mixer", "rnn", "transformer")


@pytest.mark.parametrize("name", NAMES)
def test_every_encoder_reads_a_sequence_and_no_padding(name: str) -> None:
    torch.manual_seed(0)
    network = SequenceNetwork(name, in_dim=8, out_dim=3).eval()
    states = torch.randn(4, 5, 8)
    mask = torch.ones(4, 7, dtype=torch.bool)
    mask[:, 5:] = False
    padded = torch.cat([states, torch.randn(4, 2, 8)], dim=1)
    with torch.no_grad():
        assert network(states).shape == (4, 3)
        torch.testing.assert_close(network(padded, mask), network(states), atol=1e-5, rtol=1e-4)


def test_patches_are_those_that_a_loop_cuts() -> None:
    images = torch.randn(3, 6, 4)
    squares = [images[:, y : y + 2, x : x + 2].reshape(3, 4) for y in (0, 2, 4) for x in (0, 2)]
    assert torch.equal(cut_patches(images, 2), torch.stack(squares, dim=1))
    with pytest.raises(UsageError, match="4 do not fill an image of 6 x 4"):
        cut_patches(images, 4)


def test_no_window_holds_what_it_is_to_tell() -> None:
    series = torch.arange(10.0)
    windows, following = cut_windows(series, 3)
    assert windows.shape == (7, 3, 1) and (windows.amax(dim=(1, 2)) < following).all()
    with pytest.raises(UsageError, match="longer series"):
        cut_windows(series, 10)
