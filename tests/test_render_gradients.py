"""Gradients of the CPU rasteriser against autograd through the dense float64 reference."""

import pytest
import reference_rasterizer as reference
import torch
from render_scenes import (
    LEAVES,
    SIZE,
    assert_same_gradients,
    backend,  # noqa: F401 - a fixture
    dense,
    leaves,
    make_cameras,
    make_scene,
    ours,
)

from toolkit.cameras import Cameras
from toolkit.render.rasterizer import rasterization


def with_camera_leaves(scene, cameras, backgrounds, dtype=torch.float32):
    """The scene's leaves and those of the cameras, and `Cameras` made of them."""
    given = leaves(scene, dtype)
    extra = leaves({"viewmats": cameras.viewmats, "backgrounds": backgrounds}, dtype)
    return given, extra, Cameras(extra["viewmats"], cameras.Ks, *SIZE)


def compare(scene, colors_of=lambda scene, cameras: scene["colors"], *, options, dense_options):
    """Backpropagate the same random weights through both; compare every leaf."""
    cameras = make_cameras()
    channels = scene["colors"].shape[-1]
    backs = torch.rand(2, channels, generator=torch.Generator().manual_seed(1))
    given, extra, cams = with_camera_leaves(scene, cameras, backs)
    truth, extra64, cams64 = with_camera_leaves(scene, cameras, backs, torch.float64)
    got = ours(given, cams, backgrounds=extra["backgrounds"], **options)
    want = dense(
        {**truth, "colors": colors_of(truth, cams64)},
        cams64,
        extra64["backgrounds"],
        **dense_options,
    )
    g = torch.Generator().manual_seed(9)
    # pixels on the edge of a cut-off have no derivative there: they are left out, and counted
    sure = ~want[2]
    assert sure.double().mean() > 0.98
    weights = [torch.randn(x.shape, generator=g) * sure for x in got[:2]]
    sum((x * w).sum() for x, w in zip(got[:2], weights, strict=True)).backward()
    sum((x * w.double()).sum() for x, w in zip(want[:2], weights, strict=True)).backward()
    for leaf in (extra, extra64):
        leaf["viewmats"].grad[:, 3] = 0  # (0, 0, 0, 1) is no parameter
    assert_same_gradients(given, truth, scene)
    assert_same_gradients(extra, extra64, extra)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "RGB+D"])
def test_gradients_of_all_leaves(mode, antialiased):
    compare(
        make_scene(seed=3),
        options={
            "render_mode": mode,
            "rasterize_mode": "antialiased" if antialiased else "classic",
        },
        dense_options={"antialiased": antialiased, "depth": mode == "RGB+D"},
    )


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_gradients_of_harmonics_reach_coefficients_means_and_cameras(degree):
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    scene, g = make_scene(seed=4), torch.Generator().manual_seed(degree)
    scene["colors"] = 0.4 * torch.randn(120, (degree + 1) ** 2, 3, generator=g)

    def colors_of(scene, cameras):
        offsets = scene["means"] - torch.linalg.inv(cameras.viewmats)[:, None, :3, 3]
        coeffs = scene["colors"].expand(len(cameras), -1, -1, -1)
        return (torch_impl._spherical_harmonics(degree, offsets, coeffs) + 0.5).clamp_min(0)

    compare(scene, colors_of, options={"sh_degree": degree}, dense_options={})


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("antialiased", [False, True])
def test_gradients_of_covariances(antialiased):
    scene = make_scene(seed=5)
    M = reference.rotation_matrix(scene.pop("quats")) * scene.pop("scales")[:, None]
    scene["covars"] = M @ M.mT
    cameras, grads = make_cameras(), []
    for rasterizer, dtype in ((ours, torch.float32), (dense, torch.float64)):
        given = leaves(scene, dtype)
        option = (
            {"rasterize_mode": "antialiased" if antialiased else "classic"}
            if rasterizer is ours
            else {"antialiased": antialiased}
        )
        rasterizer(given, cameras, **option)[0].square().sum().backward()
        given["covars"].grad = given["covars"].grad + given["covars"].grad.mT  # ours fills one half
        grads.append(given)
    assert_same_gradients(*grads, scene)


@pytest.mark.usefixtures("backend")
def test_gradients_of_wide_features():
    compare(make_scene(channels=7, seed=6), options={}, dense_options={})


def test_gradients_of_a_batch_are_those_of_its_scenes():
    cameras, scenes = make_cameras(), [make_scene(seed=s) for s in (1, 2)]
    alone = [leaves(s) for s in scenes]
    for given in alone:
        ours(given, cameras)[0].square().sum().backward()
    batch = leaves({k: torch.stack([s[k] for s in scenes]) for k in LEAVES})
    picture, _, _ = rasterization(
        **batch,
        viewmats=cameras.viewmats.expand(2, 2, 4, 4),
        Ks=cameras.Ks.expand(2, 2, 3, 3),
        width=SIZE[0],
        height=SIZE[1],
    )
    picture.square().sum().backward()
    for k in LEAVES:
        torch.testing.assert_close(batch[k].grad, torch.stack([g[k].grad for g in alone]))


@pytest.mark.usefixtures("backend")
def test_gradients_of_expected_depth():
    scene, cameras = make_scene(seed=7), make_cameras()
    given, truth = leaves(scene), leaves(scene, torch.float64)
    depth, alpha, edge = dense(truth, cameras, depth=True)
    inside = (alpha > 0.2) & ~edge
    ((depth[..., -1:] / alpha.clamp_min(1e-10)) * inside).square().sum().backward()
    (ours(given, cameras, render_mode="ED")[0] * inside).square().sum().backward()
    assert_same_gradients(given, truth, ("means", "quats", "scales", "opacities"))


@pytest.mark.parametrize("antialiased", [False, True])
def test_gradcheck_on_a_tiny_scene(antialiased):
    """Finite differences need a smooth picture: wide splats, no pair near a cut-off."""
    scene, cameras = make_scene(4, seed=2), make_cameras(1, size=(5, 4))
    scene["scales"] = 0.5 + scene["scales"]
    scene["opacities"] = torch.tensor([0.3, 0.5, 0.4, 0.6])
    assert not dense(leaves(scene, torch.float64), cameras)[2].any()

    def picture(*values):
        return ours(
            dict(zip(LEAVES, values, strict=True)),
            cameras,
            render_mode="RGB+ED",
            rasterize_mode="antialiased" if antialiased else "classic",
        )[:2]

    # the kernels are float32: steps of 1e-3, and what is left of the digits
    assert torch.autograd.gradcheck(
        picture,
        tuple(leaves(scene, torch.float64).values()),
        eps=2e-3,
        atol=2e-3,
        rtol=1e-2,
        nondet_tol=0.0,
    )
