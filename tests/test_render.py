"""The CPU rasteriser against a dense float64 reference and gsplat's own torch functions."""

import pytest
import reference_rasterizer as reference
import torch
from render_scenes import (
    LEAVES,
    SIZE,
    assert_close_but_at_edges,
    backend,  # noqa: F401 - a fixture
    dense,
    leaves,
    make_cameras,
    make_scene,
    ours,
)

from toolkit.cameras import Cameras
from toolkit.errors import InputError, MissingCapabilityError
from toolkit.gaussians import Gaussians
from toolkit.render.api import render
from toolkit.render.harmonics import spherical_harmonics
from toolkit.render.rasterizer import rasterization


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("antialiased", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_forward_equals_dense_reference(seed, antialiased):
    scene, cameras = make_scene(seed=seed), make_cameras()
    back = torch.rand(2, 3)
    got = ours(
        scene, cameras, backgrounds=back, rasterize_mode="antialiased" if antialiased else "classic"
    )
    want = dense(leaves(scene, torch.float64), cameras, back.double(), antialiased=antialiased)
    assert_close_but_at_edges(got[0], want[0], want[2])
    assert_close_but_at_edges(got[1], want[1], want[2])


@pytest.mark.parametrize(
    "options", [{"near": 2.9}, {"far": 3.0}, {"radius_clip": 4.0}, {"eps2d": 2.0}]
)
@pytest.mark.usefixtures("backend")
def test_planes_blur_and_radius_clip_equal_dense_reference(options):
    scene, cameras = make_scene(seed=8), make_cameras()
    names = {"near": "near_plane", "far": "far_plane"}
    got = ours(scene, cameras, **{names.get(k, k): v for k, v in options.items()})
    want = dense(leaves(scene, torch.float64), cameras, **options)
    assert_close_but_at_edges(got[0], want[0], want[2])
    assert (got[0] - ours(scene, cameras)[0]).abs().max() > 0.05, "the option changed nothing"


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics_and_their_gradients_equal_gsplat(degree):
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    g = torch.Generator().manual_seed(degree)
    means = torch.randn(1, 50, 3, generator=g).requires_grad_()
    coeffs = torch.randn(1, 50, 16, 3, generator=g).requires_grad_()
    cameras = make_cameras(2)
    got = spherical_harmonics(degree, means, cameras.viewmats, coeffs)
    offsets = means - cameras.centers[:, None]
    want = torch_impl._spherical_harmonics(degree, offsets, coeffs.expand(2, -1, -1, -1))
    want = (want + 0.5).clamp_min(0.0)
    torch.testing.assert_close(got.expand_as(want), want, atol=1e-4, rtol=1e-4)
    weight = torch.randn(want.shape, generator=g)
    inputs = (means, coeffs) if degree else (coeffs,)
    for a, b in zip(
        torch.autograd.grad((got * weight).sum(), inputs),
        torch.autograd.grad((want * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("antialiased", [False, True])
def test_projection_equals_gsplat(antialiased):
    torch_impl = pytest.importorskip("gsplat.cuda._torch_impl")
    scene, cameras = make_scene(400, seed=5), make_cameras(3)
    scene["means"] = 4 * scene["means"]  # some behind, some outside, some clamped
    scene["opacities"] = torch.full((400,), 0.99)
    meta = ours(scene, cameras, rasterize_mode="antialiased" if antialiased else "classic")[2]
    covars, _ = torch_impl._quat_scale_to_covar_preci(scene["quats"], scene["scales"])
    radii, means2d, depths, conics, comp = torch_impl._fully_fused_projection(
        scene["means"], covars, cameras.viewmats, cameras.Ks, *SIZE, calc_compensations=antialiased
    )
    seen = (meta["radii"] > 0).all(-1)
    both = seen & (radii > 0).all(-1)
    # gsplat's torch radius ignores opacity: it may only keep a few more at the border
    assert both.sum() > 100 and (seen & ~both).sum() == 0
    assert ((radii > 0).all(-1) & ~seen).sum() <= 0.03 * both.sum()
    assert (meta["radii"] - radii)[both].abs().max() <= 1
    for name, want in (("means2d", means2d), ("depths", depths), ("conics", conics)):
        torch.testing.assert_close(meta[name][both], want[both], atol=1e-4, rtol=1e-4)
    if antialiased:
        torch.testing.assert_close(meta["opacities"][both], 0.99 * comp[both], atol=1e-3, rtol=1e-3)


@pytest.mark.usefixtures("backend")
def test_render_modes_agree_with_each_other():
    scene, cameras = make_scene(), make_cameras()
    rgbd, alpha, _ = ours(scene, cameras, render_mode="RGB+D")
    rgbed = ours(scene, cameras, render_mode="RGB+ED")[0]
    assert torch.equal(rgbd[..., :3], ours(scene, cameras)[0])
    assert torch.equal(rgbd[..., 3:], ours(scene, cameras, render_mode="D")[0])
    assert torch.equal(rgbed[..., 3:], ours(scene, cameras, render_mode="ED")[0])
    torch.testing.assert_close(rgbed[..., 3:] * alpha, rgbd[..., 3:])
    inside = rgbed[..., 3][alpha[..., 0] > 0.5]
    assert ((inside > 1) & (inside < 5)).all()  # the scene lies 3 m away


@pytest.mark.usefixtures("backend")
def test_many_channels_equal_one_at_a_time():
    scene, cameras = make_scene(channels=7), make_cameras()
    back = torch.rand(2, 7)
    picture, alpha, _ = ours(scene, cameras, backgrounds=back)
    for k in range(7):
        one = ours(
            {**scene, "colors": scene["colors"][:, k : k + 1]},
            cameras,
            backgrounds=back[:, k : k + 1],
        )
        torch.testing.assert_close(picture[..., k : k + 1], one[0])
        assert torch.equal(alpha, one[1])


def test_covars_batches_and_camera_colors_are_the_same_scene():
    scene, cameras = make_scene(), make_cameras(3)
    want, alpha, _ = ours(scene, cameras)
    M = reference.rotation_matrix(scene["quats"]) * scene["scales"][:, None]
    got = ours({k: scene[k] for k in ("means", "opacities", "colors")}, cameras, covars=M @ M.mT)[0]
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)
    per_camera = scene["colors"].expand(3, -1, -1)
    assert torch.equal(ours({**scene, "colors": per_camera}, cameras)[0], want)
    batched = {k: v.expand(2, 1, *v.shape) for k, v in scene.items()}
    got, got_alpha, meta = rasterization(
        **batched,
        viewmats=cameras.viewmats.expand(2, 1, 3, 4, 4),
        Ks=cameras.Ks.expand(2, 1, 3, 3, 3),
        width=SIZE[0],
        height=SIZE[1],
    )
    assert got.shape == (2, 1, 3, SIZE[1], SIZE[0], 3) and meta["radii"].shape == (2, 1, 3, 120, 2)
    assert torch.equal(got[1, 0], want) and torch.equal(got_alpha[0, 0], alpha)


def test_same_bits_every_run_and_for_every_number_of_threads():
    scene, cameras = make_scene(3000), make_cameras(2, size=(130, 90))

    def run(threads):
        torch.set_num_threads(threads)
        given = leaves(scene)
        out = ours(given, cameras)[0]
        out.square().sum().backward()
        return [out.detach(), *(given[k].grad for k in LEAVES)]

    before = torch.get_num_threads()
    try:
        one, again, two = run(1), run(1), run(2)
    finally:
        torch.set_num_threads(before)
    assert all(
        torch.equal(a, b) and torch.equal(a, c) for a, b, c in zip(one, again, two, strict=True)
    )


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("case", ["none", "behind", "outside", "faint"])
def test_empty_pictures_show_the_background_and_have_zero_gradients(case):
    scene, cameras = make_scene(0 if case == "none" else 5), make_cameras(1)
    if case == "behind":
        scene["means"] = scene["means"] + 10 * cameras.centers
    if case == "outside":
        scene["means"] = scene["means"] + torch.tensor([0.0, 50.0, 0.0])
    if case == "faint":
        scene["opacities"] = scene["opacities"] * 0 + 0.003
    given = leaves(scene)
    back = torch.tensor([[0.2, 0.4, 0.6]])
    picture, alpha, meta = ours(given, cameras, backgrounds=back)
    assert torch.equal(alpha, torch.zeros_like(alpha)) and (meta["radii"] == 0).all()
    assert torch.equal(picture, back[:, None, None].expand_as(picture))
    picture.sum().backward()
    assert all((v.grad == 0).all() for v in given.values())


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("scales", [[50.0, 50.0, 50.0], [1e-4, 1e-4, 2.0], [1e-7] * 3, [0.0] * 3])
def test_extreme_shapes_stay_finite_and_right(scales):
    scene, cameras = make_scene(40, seed=6), make_cameras(1)
    scene["scales"] = torch.tensor(scales).expand(40, 3).clone()
    given = leaves(scene)
    picture, alpha, _ = ours(given, cameras)
    want = dense(leaves(scene, torch.float64), cameras)
    assert_close_but_at_edges(picture, want[0], want[2], tol=1e-3)
    (picture.sum() + alpha.sum()).backward()
    assert all(torch.isfinite(v.grad).all() for v in given.values())


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("size", [(1, 1), (4096, 3), (3, 4096), (33, 1)])
def test_odd_picture_sizes_equal_dense_reference(size):
    scene, cameras = make_scene(30), make_cameras(1).resized(*size)
    got, want = ours(scene, cameras), dense(leaves(scene, torch.float64), cameras)
    assert got[0].shape == (1, size[1], size[0], 3)
    assert_close_but_at_edges(got[0], want[0], want[2])


def test_a_picture_of_4096_pixels_holds_the_small_one():
    """Every Gaussian far from the corner: the corner of the large picture is the small picture."""
    scene, cameras = make_scene(), make_cameras(1)
    large = Cameras(cameras.viewmats, cameras.Ks, 4096, 4096)
    got = ours(scene, large)[0]
    assert got.shape == (1, 4096, 4096, 3)
    torch.testing.assert_close(got[:, : SIZE[1], : SIZE[0]], ours(scene, cameras)[0])


def test_strided_and_float64_inputs():
    scene, cameras = make_scene(), make_cameras(1)
    want = ours(scene, cameras)[0]
    strided = {k: torch.stack([v, v], -1)[..., 0] for k, v in scene.items()}
    assert not strided["means"].is_contiguous() and torch.equal(ours(strided, cameras)[0], want)
    doubled = ours({k: v.double().requires_grad_() for k, v in scene.items()}, cameras)[0]
    assert doubled.dtype == torch.float64 and torch.equal(doubled.float(), want)
    doubled.sum().backward()


@pytest.mark.parametrize("name", LEAVES)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_inf_are_named(name, value):
    scene = make_scene(10)
    scene[name].view(-1)[3] = value
    with pytest.raises(InputError, match=name):
        ours(scene, make_cameras(1))


@pytest.mark.parametrize("name", ["viewmats", "Ks", "covars", "backgrounds"])
def test_nan_in_the_other_tensors_is_named(name):
    scene, cameras = make_scene(10), make_cameras(1)
    given = {
        **scene,
        "viewmats": cameras.viewmats,
        "Ks": cameras.Ks,
        "width": 8,
        "height": 8,
        "covars": torch.eye(3).expand(10, 3, 3),
        "backgrounds": torch.zeros(1, 3),
    }
    given[name] = given[name] * float("nan")
    with pytest.raises(InputError, match=name):
        rasterization(**given)


@pytest.mark.parametrize(
    "options",
    [
        {"camera_model": "fisheye"},
        {"with_ut": True},
        {"distributed": True},
        {"radial_coeffs": torch.zeros(2, 6)},
    ],
)
def test_what_only_cuda_can_do_is_refused(options):
    with pytest.raises(MissingCapabilityError, match=next(iter(options))):
        ours(make_scene(5), make_cameras(), **options)


@pytest.mark.parametrize(
    "options",
    [
        {"render_mode": "RGBA"},
        {"rasterize_mode": "sharp"},
        {"sh_degree": 1},
        {"backgrounds": torch.zeros(2, 4)},
    ],
)
def test_wrong_arguments_are_input_errors(options):
    with pytest.raises(InputError):
        ours(make_scene(5), make_cameras(), **options)


def test_switches_of_cuda_are_ignored():
    scene, cameras = make_scene(), make_cameras()
    want = ours(scene, cameras)[0]
    got = ours(
        scene, cameras, packed=False, tile_size=8, absgrad=True, segmented=True, channel_chunk=1
    )[0]
    assert torch.equal(got, want)


def test_render_is_rasterization_of_the_type():
    scene, cameras = make_scene(), make_cameras()
    gaussians = Gaussians.from_colors(*(scene[k] for k in LEAVES))
    got = render(gaussians, cameras, background=(0.1, 0.2, 0.3))
    back = torch.tensor([0.1, 0.2, 0.3]).expand(2, 3)
    want, alpha, _ = ours(
        scene, cameras, backgrounds=back, render_mode="RGB+ED", rasterize_mode="antialiased"
    )
    torch.testing.assert_close(got.rgb, want[..., :3])
    assert torch.equal(got.alpha, alpha) and torch.allclose(got.depth, want[..., 3:])
