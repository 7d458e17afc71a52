"""Our DINOv2 equals facebookresearch/dinov2 (its outputs on random weights are stored)."""

from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit.errors import InputError
from toolkit.photo.vit import VisionTransformer, VitConfig

GOLDEN = np.load(Path(__file__).parent / "fixtures" / "dinov2_golden.npz")


def build(num_registers):
    """The net and the picture of the golden run, from numpy's frozen generator."""
    model = VisionTransformer(
        VitConfig(
            dim=64,
            depth=3,
            grid=5,
            num_registers=num_registers,
            offset=None if num_registers else 0.1,
            antialias=num_registers > 0,
        )
    )
    random = np.random.RandomState(num_registers)
    state = model.state_dict()
    state = {
        k: torch.from_numpy(
            (random.standard_normal(tuple(state[k].shape)) * 0.2).astype(np.float32)
        )
        for k in sorted(state)
    }
    model.load_state_dict(state)
    image = torch.from_numpy(random.standard_normal((1, 3, 56, 98)).astype(np.float32))
    return model.eval().requires_grad_(False), image


@pytest.mark.parametrize("num_registers", [0, 4])
def test_tokens_and_names_are_those_of_dinov2(num_registers):
    """56 x 98 pixels on a table of 5 x 5: the position table is resized, unevenly."""
    model, image = build(num_registers)
    assert sorted(model.state_dict()) == GOLDEN[f"keys_{num_registers}"].tolist()
    first, last = model.intermediate(image, [0, 2])
    np.testing.assert_allclose(first, GOLDEN[f"first_{num_registers}"], atol=1e-5)
    np.testing.assert_allclose(last, GOLDEN[f"last_{num_registers}"], atol=1e-5)
    assert torch.equal(model(image), last) and last.shape == (1, 4 * 7, 64)


@pytest.mark.parametrize("num_registers", [0, 4])
def test_sizes_are_read_off_the_weights(num_registers):
    model, image = build(num_registers)
    again = VisionTransformer.from_state(model.state_dict()).eval()
    assert again.config == model.config
    assert torch.equal(again(image), model(image))


def test_registers_and_class_token_matter_but_are_not_returned():
    model, image = build(4)
    before = model(image)
    model.register_tokens[..., :8] += 1.0
    assert model(image).shape == before.shape and (model(image) - before).abs().max() > 1e-3


def test_wrong_pictures_and_weights_are_refused():
    model, _ = build(0)
    with pytest.raises(InputError, match="multiples of 14"):
        model(torch.zeros(1, 3, 50, 56))
    with pytest.raises(InputError, match="SwiGLU"):
        VisionTransformer.from_state({"cls_token": torch.zeros(1, 1, 8)})
