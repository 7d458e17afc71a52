"""The CPU rasteriser against a dense float64 reference and gsplat's own torch functions."""

import sys
from pathlib import Path

import pytest
import torch

from toolkit.cameras import Cameras, orbit_cameras
from toolkit.errors import InputError, MissingCapabilityError
from toolkit.gaussians import Gaussians
from toolkit.render.api import rasterization, render
from toolkit.render.harmonics import spherical_harmonics

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
        scene, cameras.viewmats[c].double(), cameras.Ks[c].double(),
        (cameras.width, cameras.height),
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
    pairs += [(views.grad[:, :3], views64.grad[:, :3], "viewmats"),
              (backs.grad, backs64.grad, "backgrounds")]
    for a, b, name in pairs:
        assert b.abs().max() > 0
        error = (a.double() - b).abs() / (b.abs() + 0.05 * b.abs().max())
        assert error.max() < 1e-3, f"{name}: {error.max():.2e}"


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
    leaves = (means, coeffs) if degree else (coeffs,)
    for a, b in zip(torch.autograd.grad((got * weight).sum(), leaves),
                    torch.autograd.grad((want * weight).sum(), leaves), strict=True):
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
        scene["means"], covars, cameras.viewmats, cameras.Ks, *SIZE,
        calc_compensations=antialiased)
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


def test_many_channels_equal_one_at_a_time():
    scene, cameras = make_scene(channels=7), make_cameras()
    back = torch.rand(2, 7)
    picture, alpha, _ = ours(scene, cameras, backgrounds=back)
    for k in range(7):
        one = ours({**scene, "colors": scene["colors"][:, k:k + 1]}, cameras,
                   backgrounds=back[:, k:k + 1])
        torch.testing.assert_close(picture[..., k:k + 1], one[0])
        assert torch.equal(alpha, one[1])


def test_covars_batches_and_camera_colors_are_the_same_scene():
    scene, cameras = make_scene(), make_cameras(3)
    want, alpha, _ = ours(scene, cameras)
    M = reference.rotation_matrix(scene["quats"]) * scene["scales"][:, None]
    got = ours({k: scene[k] for k in ("means", "opacities", "colors")}, cameras, covars=M @ M.mT)[0]
    assert_close_but_flips(got, want, 1e-4)
    per_camera = scene["colors"].expand(3, -1, -1)
    assert torch.equal(ours({**scene, "colors": per_camera}, cameras)[0], want)
    batched = {k: v.expand(2, 1, *v.shape) for k, v in scene.items()}
    got, got_alpha, meta = rasterization(
        **batched, viewmats=cameras.viewmats.expand(2, 1, 3, 4, 4),
        Ks=cameras.Ks.expand(2, 1, 3, 3, 3), width=SIZE[0], height=SIZE[1])
    assert got.shape == (2, 1, 3, SIZE[1], SIZE[0], 3) and meta["radii"].shape == (2, 1, 3, 120, 2)
    assert torch.equal(got[1, 0], want) and torch.equal(got_alpha[0, 0], alpha)


def test_same_bits_every_run_and_for_every_number_of_threads():
    scene, cameras = make_scene(3000), make_cameras(2, size=(130, 90))

    def run(threads):
        torch.set_num_threads(threads)
        leaves = {k: v.clone().requires_grad_() for k, v in scene.items()}
        out = ours(leaves, cameras)[0]
        out.square().sum().backward()
        return [out.detach(), *(leaves[k].grad for k in LEAVES)]

    before = torch.get_num_threads()
    try:
        one, again, two = run(1), run(1), run(2)
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) and torch.equal(a, c)
               for a, b, c in zip(one, again, two, strict=True))


@pytest.mark.parametrize("case", ["none", "behind", "outside", "faint"])
def test_empty_pictures_show_the_background_and_have_zero_gradients(case):
    scene, cameras = make_scene(0 if case == "none" else 5), make_cameras(1)
    if case == "behind":
        scene["means"] = scene["means"] + 10 * cameras.centers
    if case == "outside":
        scene["means"] = scene["means"] + torch.tensor([0.0, 50.0, 0.0])
    if case == "faint":
        scene["opacities"] = scene["opacities"] * 0 + 0.003
    leaves = {k: v.requires_grad_() for k, v in scene.items()}
    back = torch.tensor([[0.2, 0.4, 0.6]])
    picture, alpha, meta = ours(leaves, cameras, backgrounds=back)
    assert torch.equal(alpha, torch.zeros_like(alpha)) and (meta["radii"] == 0).all()
    assert torch.equal(picture, back[:, None, None].expand_as(picture))
    picture.sum().backward()
    assert all((v.grad == 0).all() for v in leaves.values())


@pytest.mark.parametrize("scales", [[50.0, 50.0, 50.0], [1e-4, 1e-4, 2.0], [1e-7] * 3, [0.0] * 3])
def test_extreme_shapes_stay_finite_and_right(scales):
    scene, cameras = make_scene(40, seed=6), make_cameras(1)
    scene["scales"] = torch.tensor(scales).expand(40, 3).clone()
    leaves = {k: v.requires_grad_() for k, v in scene.items()}
    picture, alpha, _ = ours(leaves, cameras)
    want = dense(double(scene), cameras)
    assert_close_but_flips(picture, want[0], 1e-3, flips=0.02)
    (picture.sum() + alpha.sum()).backward()
    assert all(torch.isfinite(v.grad).all() for v in leaves.values())


def test_one_pixel_large_picture_and_odd_inputs():
    scene, cameras = make_scene(), make_cameras(1)
    assert ours(scene, cameras.resized(1, 1))[0].shape == (1, 1, 1, 3)
    assert ours(scene, cameras.resized(4096, 8))[0].shape == (1, 8, 4096, 3)
    want = ours(scene, cameras)[0]
    strided = {k: torch.stack([v, v], -1)[..., 0] for k, v in scene.items()}
    assert not strided["means"].is_contiguous() and torch.equal(ours(strided, cameras)[0], want)
    doubled = ours({k: v.double().requires_grad_() for k, v in scene.items()}, cameras)[0]
    assert doubled.dtype == torch.float64 and torch.equal(doubled.float(), want)
    doubled.sum().backward()


@pytest.mark.parametrize("name", ["means", "quats", "scales", "opacities", "colors"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_inf_are_named(name, value):
    scene = make_scene(10)
    scene[name].view(-1)[3] = value
    with pytest.raises(InputError, match=name):
        ours(scene, make_cameras(1))


@pytest.mark.parametrize("options", [{"camera_model": "fisheye"}, {"with_ut": True},
                                     {"distributed": True}, {"radial_coeffs": torch.zeros(2, 6)}])
def test_what_only_cuda_can_do_is_refused(options):
    with pytest.raises(MissingCapabilityError, match=next(iter(options))):
        ours(make_scene(5), make_cameras(), **options)


@pytest.mark.parametrize("options", [{"render_mode": "RGBA"}, {"rasterize_mode": "sharp"},
                                     {"sh_degree": 1}, {"backgrounds": torch.zeros(2, 4)}])
def test_wrong_arguments_are_input_errors(options):
    with pytest.raises(InputError):
        ours(make_scene(5), make_cameras(), **options)


def test_switches_of_cuda_are_ignored():
    scene, cameras = make_scene(), make_cameras()
    want = ours(scene, cameras)[0]
    got = ours(scene, cameras, packed=False, tile_size=8, absgrad=True, segmented=True,
               channel_chunk=1)[0]
    assert torch.equal(got, want)


def test_render_is_rasterization_of_the_type():
    scene, cameras = make_scene(), make_cameras()
    gaussians = Gaussians.from_colors(*(scene[k] for k in LEAVES))
    got = render(gaussians, cameras, background=(0.1, 0.2, 0.3))
    back = torch.tensor([0.1, 0.2, 0.3]).expand(2, 3)
    want, alpha, _ = ours(scene, cameras, backgrounds=back, render_mode="RGB+ED",
                          rasterize_mode="antialiased")
    torch.testing.assert_close(got.rgb, want[..., :3])
    assert torch.equal(got.alpha, alpha) and torch.allclose(got.depth, want[..., 3:])
