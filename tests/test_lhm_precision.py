"""What number types cost in accuracy: float32, Sapiens under autocast, and bfloat16 throughout."""

import pytest
import torch

from toolkit.body.npz import load_body
from toolkit.coarse.lhm.checkpoint import load_folder, load_network
from toolkit.coarse.lhm.config import LHMConfig
from toolkit.coarse.lhm.encoders import RESIZE, BodyEncoder, load_body_encoder, load_head_encoder
from toolkit.coarse.lhm.network import LHM, forward
from toolkit.coarse.lhm.tiny import HEAD_VIT, HeadEncoder, _sapiens_names, _shake, write_tiny
from toolkit.photo.vit import VitConfig

SIZES = LHMConfig(  # as deep as LHM-1B, else small
    15, 200, dim=128, heads=8, feed_dim=256, token_dim=128, motion_dim=64, decoder_dim=64
)
BODY = VitConfig(128, 12, patch=16, grid=16, scaled=False, mask_token=False, **RESIZE)


@pytest.fixture(scope="module")
def weights():
    """Random weights of the network and of both encoders, and what they look at."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = LHM(SIZES)
        body, head = BodyEncoder(BODY), HeadEncoder(HEAD_VIT, [16] * 4, SIZES.dim)
        for net in (model, body, head):
            _shake(net)
        octaves = torch.pi * 2.0 ** torch.arange(8)
        model.pcl_embed.basis.copy_(torch.block_diag(*[octaves[None]] * 3))
        model.skin.skinning_weight.fill_(1 / SIZES.joints)
        model.skin.smplx_layer.parents.copy_(torch.arange(SIZES.joints) - 1)
        pictures = torch.randn(1, 3, 256, 256), torch.rand(1, 3, 112, 112)
        points = torch.rand(SIZES.points, 3)
    return model.state_dict(), body.state_dict(), head.state_dict(), pictures, points


def latents(weights, dtype, autocast):
    network, body, head, (person, crop), points = weights
    body = load_body_encoder(_sapiens_names(body), dtype=dtype, autocast=autocast)
    head = load_head_encoder({f"encoder.{k}": v for k, v in head.items()}, dtype=dtype)
    model = load_network(network, dtype=dtype)
    return forward(model, body(person), head(crop), points).latent


def test_sapiens_under_autocast_errs_less_than_bfloat16_throughout(weights):
    """The first is what LHM was trained with, and our default on a GPU; the second an option."""
    exact = latents(weights, torch.float32, autocast=False)

    def error(dtype, autocast):
        difference = latents(weights, dtype, autocast) - exact
        return float(difference.norm() / exact.norm())

    ours, half = error(torch.float32, True), error(torch.bfloat16, False)
    print(f"\nrelative error of the latents: autocast {ours:.2%}, bfloat16 {half:.2%}")
    assert 0 < ours < half / 2 and half < 0.2


def test_autocast_keeps_the_weights_and_gives_other_tokens(weights):
    state, (person, _) = _sapiens_names(weights[1]), weights[3]
    plain, cast = load_body_encoder(state), load_body_encoder(state, autocast=True)
    assert {p.dtype for p in cast.parameters()} == {torch.float32}
    difference = (plain(person) - cast(person)).norm() / plain(person).norm()
    assert 1e-4 < difference < 0.05


def test_a_folder_is_read_as_float32_and_on_request_as_bfloat16(tmp_path):
    folder = write_tiny(tmp_path, load_body(), num_points=400)
    for dtype, loaded in (
        (torch.float32, load_folder(folder)),
        (torch.bfloat16, load_folder(folder, dtype=torch.bfloat16)),
    ):
        parts = loaded.model.transformer, loaded.body_encoder, loaded.head_encoder
        assert {p.dtype for part in parts for p in part.parameters()} == {dtype}
        assert not loaded.body_encoder.autocast  # only on a GPU
