"""The CPU rasteriser against a dense float64 reference and gsplat's own torch functions."""

import sys
from pathlib import Path

import pytest
import torch

from toolkit.cameras import Cameras, orbit_cameras
from toolkit.errors import InputError, MissingCapabilityError
from toolkit.gaussians import Gaussians
from toolkit.render.api import rasterization, render

sys.path.insert(0, str(Path(__file__).parent))
import reference_rasterizer as reference  # noqa: E402

SIZE = (45, 37)  # width, height: no multiple of any tile
LEAVES = ("means", "quats", "scales", "opacities", "colors")


def make_scene(n=120, seed=0, channels=3):
    g = torch.Generator().manual_seed(seed)
    return {"means": 0.5 * torch.randn(n, 3, generator=g),
            "quats": torch.randn(n, 4, generator=g),
            "scales": 0.02 + 0.12 * torch.rand(n, 3, generator=g),
            "opacities": 0.05 + 0.95 * torch.rand(n, generator=g),
            "colors": torch.rand(n, channels, generator=g)}


def make_cameras(num=2, size=SIZE):
    azimuths = torch.linspace(0, 300, num)
    return orbit_cameras(azimuths, 15.0, radius_m=3.0, fov_y_deg=35.0, size=size[::-1])


def ours(scene, cameras, **options):
    names = {**scene, **options}
    names.setdefault("quats", None)
    names.setdefault("scales", None)
    return rasterization(viewmats=cameras.viewmats, Ks=cameras.Ks, width=cameras.width,
                         height=cameras.height, **names)


def dense(scene, cameras, backgrounds=None, **options):
    pictures = [reference.rasterize(
        scene, cameras.viewmats[c].double(), cameras.Ks[c].double(), (cameras.width, cameras.height),
        background=None if backgrounds is None else backgrounds[c], **options)
        for c in range(len(cameras))]
    return tuple(torch.stack(p) for p in zip(*pictures, strict=True))


def double(scene):
    return {k: v.detach().double().requires_grad_() for k, v in scene.items()}


def assert_close_but_flips(got, want, tol, flips=1e-3):
    """Within `tol`, but for a counted share: pairs that fall on the other side of a cut-off."""
    bad = (got.double() - want).abs() > tol * (1 + want.abs())
    assert bad.double().mean() <= flips, f"{bad.sum()} of {bad.numel()} off by more than {tol}"
    assert (got.double() - want).abs().max() < 2 / 255 * (1 + want.abs().max())


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_forward_equals_dense_reference(seed, antialiased):
    scene, cameras = make_scene(seed=seed), make_cameras()
    back = torch.rand(2, 3)
    got = ours(scene, cameras, backgrounds=back,
               rasterize_mode="antialiased" if antialiased else "classic")
    want = dense(double(scene), cameras, back.double(), antialiased=antialiased)
    assert_close_but_flips(got[0], want[0], 1e-4)
    assert_close_but_flips(got[1], want[1], 1e-4)


@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGB+D"])
def test_gradients_equal_dense_reference(mode, antialiased):
    scene, cameras = make_scene(seed=3), make_cameras()
    back = torch.rand(2, 3)
    leaves = {k: v.clone().requires_grad_() for k, v in scene.items()}
    views = cameras.viewmats.clone().requires_grad_()
    backs = back.clone().requires_grad_()
    got = ours(leaves, Cameras(views, cameras.Ks, *SIZE), backgrounds=backs, render_mode=mode,
               rasterize_mode="antialiased" if antialiased else "classic")
    g = torch.Generator().manual_seed(9)
    weights = [torch.randn(x.shape, generator=g) for x in got[:2]]
    sum((x * w).sum() for x, w in zip(got[:2], weights, strict=True)).backward()

    leaves64 = double(scene)
    views64, backs64 = cameras.viewmats.double().requires_grad_(), back.double().requires_grad_()
    want = dense(leaves64, Cameras(views64, cameras.Ks, *SIZE), backs64,
                 antialiased=antialiased, depth=mode == "RGB+D")
    sum((x * w.double()).sum() for x, w in zip(want, weights, strict=True)).backward()
    pairs = [(leaves[k].grad, leaves64[k].grad, k) for k in LEAVES]
    pairs += [(views.grad[:, :3], views64.grad[:, :3], "viewmats"), (backs.grad, backs64.grad, "bg")]
    for a, b, name in pairs:
        assert b.abs().max() > 0
        error = (a.double() - b).abs() / (b.abs() + 0.05 * b.abs().max())
        assert error.max() < 1e-3, f"{name}: {error.max():.2e}"
