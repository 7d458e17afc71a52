"""The perceptual distance: zero for equal pictures, growing with damage, blind outside the mask."""

import pytest
import torch
import torch.nn.functional as F
from skimage import data

from toolkit.errors import InputError
from toolkit.measure.perceptual import load_features, perceptual_distance, pool_features


@pytest.fixture(scope="module")
def picture():
    rgb = torch.from_numpy(data.astronaut()[:256, 100:356].copy()).float()[None] / 255
    return F.avg_pool2d(rgb.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)


def blurred(rgb, reach):
    planes = F.pad(rgb.permute(0, 3, 1, 2), (reach,) * 4, mode="replicate")
    return F.avg_pool2d(planes, 2 * reach + 1, 1).permute(0, 2, 3, 1)


def test_zero_for_equal_pictures_and_symmetric(picture):
    other = blurred(picture, 2)
    assert perceptual_distance(picture, picture).item() == 0
    forth, back = perceptual_distance(picture, other), perceptual_distance(other, picture)
    assert forth.item() > 0.01 and torch.allclose(forth, back)


def test_grows_with_blur_and_with_noise(picture):
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(picture.shape, generator=g)
    for worse in (
        [blurred(picture, r) for r in (1, 2, 4)],
        [(picture + s * noise).clamp(0, 1) for s in (0.02, 0.05, 0.1)],
    ):
        scores = perceptual_distance(torch.cat(worse), picture.expand(3, -1, -1, -1))
        assert (scores.diff() > 0).all()


def test_sees_what_psnr_does_not(picture):
    """A brightness step of equal squared error is nearer than blur."""
    blur = blurred(picture, 3)
    step = (blur - picture).square().mean().sqrt()
    brighter = 0.2 + 0.6 * picture  # room for the step
    assert perceptual_distance(brighter, brighter + step) < 0.5 * perceptual_distance(blur, picture)


def test_only_the_mask_counts(picture):
    mask = torch.zeros(1, 128, 128)
    mask[:, :, :32] = 1
    broken = picture.clone()
    broken[:, :, 96:] = 0
    assert perceptual_distance(picture, broken, mask) < 0.05 * perceptual_distance(picture, broken)


def test_the_net_knows_what_it_looks_at(picture):
    """Half a cat is nearer to the other half than to a cup of coffee or a face."""
    cat = torch.from_numpy(data.chelsea().copy()).float()[None] / 255
    coffee = torch.from_numpy(data.coffee()[:300, :450].copy()).float()[None] / 255
    crops = [cat[:, 20:280, 10:230], cat[:, 20:280, 200:420], coffee[:, 20:280, 100:320]]
    with torch.no_grad():
        a, b, other = (F.normalize(pool_features(load_features()(c)), dim=1)[0] for c in crops)
        face = F.normalize(pool_features(load_features()(picture)), dim=1)[0]
    assert a @ b > max(a @ other, a @ face) + 0.05


def test_differentiable_and_sizes_are_checked(picture):
    moved = blurred(picture, 1).requires_grad_()
    perceptual_distance(moved, picture).sum().backward()
    assert moved.grad.abs().max() > 0
    with pytest.raises(InputError, match="one size"):
        perceptual_distance(picture, picture[:, :64])
