"""What runs on the GPU keeps all of its tensors there; found out without one, see `pretend_gpu`."""

import inspect
from dataclasses import replace

import pytest
import torch
from pretend_gpu import DEVICE, pretend_gpu

from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.cameras import orbit_cameras
from toolkit.coarse.lhm.checkpoint import load_folder
from toolkit.coarse.lhm.from_photo import make_anchors, predict
from toolkit.coarse.lhm.tiny import write_tiny
from toolkit.gaussians import Gaussians
from toolkit.measure.ssim import _ssim_by_matrices
from toolkit.photo.multihmr.weights import tiny_multihmr
from toolkit.photo.photo_body import PhotoBody
from toolkit.prior.orbit import static_orbit
from toolkit.prior.prior import Condition
from toolkit.prior.sdedit import SDEditConfig
from toolkit.prior.wan.config import WanConfig
from toolkit.prior.wan.model import WanPrior
from toolkit.prior.wan.tiny import write_tiny_wan
from toolkit.refine import colors, losses
from toolkit.refine.edit import edit_clip
from toolkit.refine.refit import FitConfig, fit
from toolkit.refine.target import clip_target
from toolkit.refine.turntable import render_turntable
from toolkit.render import api


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture
def gsplat(monkeypatch):
    """In gsplat's place: our own rasteriser, which insists that all it gets is on the device."""
    ours = api.rasterization

    def rasterization(*args, **kwargs):
        given = inspect.signature(ours).bind(*args, **kwargs).arguments
        tensors = {name: x for name, x in given.items() if isinstance(x, torch.Tensor)}
        if not given["means"].is_meta:
            return ours(**given)
        assert all(x.is_meta for x in tensors.values()), "a tensor that stayed behind"
        picture, alpha, meta = ours(**given | {name: x.cpu() for name, x in tensors.items()})
        return picture.to(DEVICE), alpha.to(DEVICE), meta

    for module in (api, colors):
        monkeypatch.setattr(module, "rasterization", rasterization)


def seeded(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_it_refuses_what_a_gpu_refuses():
    with pretend_gpu():
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        assert (there + 1).cpu().tolist() == [2, 2, 2] and (2 * there).is_meta
        assert (there * torch.tensor(3.0)).is_meta, "a number may be on the CPU"
        assert there[torch.tensor([0, 2])].is_meta, "indices may be on the CPU"
        with pytest.raises(RuntimeError, match="two devices"):
            there + here
        weight = torch.ones(3, device=DEVICE, requires_grad=True)
        (weight * there).sum().backward()
        assert weight.grad.tolist() == [1, 1, 1]


@pytest.fixture
def one_ssim(monkeypatch):
    """The GPU's SSIM on both devices; the CPU's own kernel rounds otherwise (see test_metrics)."""
    monkeypatch.setattr(
        losses,
        "ssim_map",
        lambda first, second, sigma_px=1.5, stride=1: _ssim_by_matrices(
            first, second, sigma_px, stride
        ),
    )


def test_turntable_and_refit(body, gsplat, one_ssim):
    anchors = sample_anchors(body, 400)
    rig = Rig.build(body, anchors, torch.zeros(20))
    coarse = Gaussians.from_colors(
        rig.anchors_rest,
        torch.eye(4)[:1].repeat(400, 1),
        torch.full((400, 3), 0.03),
        torch.full((400,), 0.9),
        seeded(400, 3),
    )

    def run(device):
        turntable = render_turntable(
            Avatar(coarse, rig), static_orbit(5), seeded(400) > 0.5, size=(64, 32), device=device
        )
        target = clip_target(turntable, turntable.rgb * 0.5 + 0.3, -rig.joints[0])
        gaussians, history = fit(
            coarse.to(device), rig.to(device), [target.to(device)], FitConfig(steps=3)
        )
        return turntable, gaussians.to("cpu"), history

    turntable, gaussians, history = run("cpu")
    with pretend_gpu():
        their_turntable, their_gaussians, their_history = run(DEVICE)
    for name in ("rgb", "alpha", "seen"):
        assert torch.equal(getattr(turntable, name), getattr(their_turntable, name)), name
    assert torch.equal(history.loss, their_history.loss)
    for name, value in vars(gaussians).items():
        assert torch.equal(value, getattr(their_gaussians, name)), name


def test_multihmr():
    net, picture = tiny_multihmr(), seeded(3, 112, 112)
    people = net(picture)
    with pretend_gpu():
        theirs = net.to(DEVICE)(picture.to(DEVICE))
    assert len(people) == len(theirs) > 0
    for one, other in zip(people, theirs, strict=True):
        for name in ("head_px", "rotvec", "betas", "head"):
            torch.testing.assert_close(getattr(other, name), getattr(one, name))


def test_lhm(body, tmp_path):
    folder = write_tiny(tmp_path, body, num_points=400)
    still = torch.zeros(20)
    mask = torch.zeros(300, 200)
    mask[40:260, 70:130] = 1
    guess = PhotoBody(
        betas=still,
        pose=a_pose(),
        transl=-body.rest_joints(still)[0],
        camera=orbit_cameras([0.0], [0.0], radius_m=4.0, fov_y_deg=30.0, size=(300, 200)),
        keypoints=torch.zeros(33, 3),
        mask=mask.numpy(),
        seen=torch.ones(55, dtype=torch.bool),
    )

    def run(device):
        net = load_folder(folder, device=device, dtype=torch.float32)
        anchors = make_anchors(net, body)
        return predict(net, seeded(300, 200, 3), mask, guess, body, anchors)

    gaussians = run("cpu")
    with pretend_gpu():
        theirs = run(DEVICE)
    for name, value in vars(gaussians).items():
        torch.testing.assert_close(getattr(theirs, name), value, atol=1e-5, rtol=1e-4)


def test_wan(tmp_path):
    clip = 2 * seeded(1, 3, 5, 64, 32) - 1
    known = Condition(torch.arange(5.0), torch.zeros(5), reference=clip[:, :, 0], coarse=clip)
    config = WanConfig(write_tiny_wan(tmp_path), device="cpu", dtype=torch.float32)
    prior = WanPrior.load(config)

    def run():
        return edit_clip(
            prior, known, SDEditConfig(0.8, 3, 3.0), generator=torch.Generator().manual_seed(0)
        )

    here = run()
    with pretend_gpu():  # diffusers itself needs "meta" to load, so it is moved afterwards
        prior.device = torch.device(DEVICE)
        text, negative = (x.to(DEVICE) for x in (prior.base.text, prior.base.negative))
        prior.base = replace(prior.base, text=text, negative=negative)
        prior._settle()
        there = run()
    torch.testing.assert_close(there, here, atol=1e-4, rtol=1e-3)
