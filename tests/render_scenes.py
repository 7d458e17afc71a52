"""Small random scenes, and the two rasterisers that the render tests compare on them."""

import sys

import pytest
import reference_rasterizer as reference
import torch

from toolkit.cameras import orbit_cameras
from toolkit.render.rasterizer import rasterization

SIZE = (45, 37)  # width, height: no multiple of any tile
LEAVES = ("means", "quats", "scales", "opacities", "colors")
DEVICE = "cpu"  # where `ours` computes: this module's rasteriser, or gsplat on CUDA
NO_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, gsplat's kernels")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=[pytest.mark.gpu, NO_CUDA])])
def backend(request, monkeypatch):
    """Run a test with our rasteriser, and again with gsplat behind the same function."""
    monkeypatch.setattr(sys.modules[__name__], "DEVICE", request.param)


def make_scene(n=120, seed=0, channels=3):
    g = torch.Generator().manual_seed(seed)
    return {
        "means": 0.5 * torch.randn(n, 3, generator=g),
        "quats": torch.randn(n, 4, generator=g),
        "scales": 0.02 + 0.12 * torch.rand(n, 3, generator=g),
        "opacities": 0.05 + 0.95 * torch.rand(n, generator=g),
        "colors": torch.rand(n, channels, generator=g),
    }


def make_cameras(num=2, size=SIZE):
    azimuths = torch.linspace(0, 300, num)
    return orbit_cameras(azimuths, 15.0, radius_m=3.0, fov_y_deg=35.0, size=size[::-1])


def ours(scene, cameras, **options):
    """`rasterization`; the scene may have covars instead of quats and scales."""
    names = {"quats": None, "scales": None, **scene, **options}
    names |= {"viewmats": cameras.viewmats, "Ks": cameras.Ks}
    if DEVICE != "cpu":
        names = {k: v.to(DEVICE) if isinstance(v, torch.Tensor) else v for k, v in names.items()}
    picture, alpha, meta = rasterization(width=cameras.width, height=cameras.height, **names)
    return (picture, alpha, meta) if DEVICE == "cpu" else (picture.cpu(), alpha.cpu(), meta)


def dense(scene, cameras, backgrounds=None, **options):
    """The float64 reference: pictures, alphas, and where a cut-off is too near to call.

    Colours may be one set for all cameras (N,D) or one each (C,N,D).
    """
    colors = scene["colors"].expand(len(cameras), *scene["colors"].shape[-2:])
    pictures = [
        reference.rasterize(
            {**scene, "colors": colors[c]},
            cameras.viewmats[c].double(),
            cameras.Ks[c].double(),
            (cameras.width, cameras.height),
            background=None if backgrounds is None else backgrounds[c],
            **options,
        )
        for c in range(len(cameras))
    ]
    return tuple(torch.stack(p) for p in zip(*pictures, strict=True))


def leaves(scene, dtype=torch.float32):
    """A copy of the scene that asks for gradients."""
    return {k: v.detach().clone().to(dtype).requires_grad_() for k, v in scene.items()}


def assert_close_but_at_edges(got, want, near_edge, *, tol=1e-4, most_edges=0.02, most_flips=1e-3):
    """Every value within `tol`, but in pixels that float64 puts on the edge of a cut-off.

    There a pair may fall on either side, which changes a pixel by about 1/255 of a splat. Such
    pixels must be few, really different ones fewer, and their error no more than two such pairs.
    """
    error = (got.double() - want).abs() / (1 + want.abs())
    sure = ~near_edge.expand_as(error)
    assert sure.double().mean() >= 1 - most_edges
    assert error[sure].max() < tol, f"{error[sure].max():.1e}"
    flips = error > tol
    assert flips.double().mean() <= most_flips and error.max() < 2 / 255


def assert_same_gradients(got: dict, want: dict, names=LEAVES, tol=1e-3):
    """`tol` relative to each value, or to 5 % of the largest where values are small."""
    for name in names:
        a, b = got[name].grad, want[name].grad
        assert b.abs().max() > 0, f"{name} has no gradient to compare"
        error = (a.double() - b).abs() / (b.abs() + 0.05 * b.abs().max())
        assert error.max() < tol, f"{name}: {error.max():.2e}"
