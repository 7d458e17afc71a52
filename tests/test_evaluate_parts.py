"""The parts of the evaluation against values known beforehand: alignment, folders, measures."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from toolkit.cameras import orbit_cameras
from toolkit.errors import InputError, MissingFileError
from toolkit.evaluate import esrgan
from toolkit.evaluate.align import Similarity, fit_similarity, joint_errors_mm
from toolkit.evaluate.case_folder import read_case, save_case
from toolkit.evaluate.crops import crop_square, person_square
from toolkit.evaluate.reference import Reference
from toolkit.evaluate.reprojection import consistency
from toolkit.evaluate.scenes import CLIPS, Scene, clip_poses
from toolkit.evaluate.scores import score_views
from toolkit.evaluate.variants import unsharp_mask
from toolkit.gaussians import Gaussians
from toolkit.measure import lpips
from toolkit.render.api import Render, render

EXAMPLE = Path(__file__).parent / "fixtures" / "evaluation"


def turn(angle_deg=40.0):
    a = torch.deg2rad(torch.tensor(angle_deg))
    about_y = torch.tensor([[a.cos(), 0, a.sin()], [0, 1, 0], [-a.sin(), 0, a.cos()]])
    about_x = torch.tensor([[1, 0, 0], [0, a.cos(), -a.sin()], [0, a.sin(), a.cos()]])
    return about_y @ about_x


KNOWN = Similarity(1.3, turn(), torch.tensor([0.1, -0.2, 0.4]))


@pytest.fixture(scope="module")
def case():
    return read_case(EXAMPLE / "person_0")


@pytest.fixture(scope="module")
def scene(case):
    """The truth as its own estimate: every error is zero."""
    views = case.views
    return Scene(
        "photo", torch.zeros(55, 3), torch.zeros(3), views.cameras, views, views.joints, 1.0
    )


def as_render(views):
    return Render(views.rgb, views.alpha, torch.zeros_like(views.alpha))


# --- alignment ---


def test_a_known_similarity_is_found_and_a_mirror_never_is():
    points = torch.randn(17, 3, generator=torch.Generator().manual_seed(0))
    similarity = fit_similarity(points, KNOWN(points))
    assert similarity.scale == pytest.approx(1.3, abs=1e-5)
    assert torch.allclose(similarity.rotation, KNOWN.rotation, atol=1e-5)
    assert torch.allclose(similarity.shift, KNOWN.shift, atol=1e-5)
    mirrored = fit_similarity(points, points * torch.tensor([-1.0, 1, 1]))
    assert torch.linalg.det(mirrored.rotation) == pytest.approx(1.0, abs=1e-4)


def test_the_residual_is_what_no_similarity_explains():
    points = torch.randn(17, 3, generator=torch.Generator().manual_seed(1))
    errors = joint_errors_mm(points, KNOWN(points))
    assert errors["pa_mpjpe_mm"] < 0.01 < 100 < errors["mpjpe_mm"]
    off = points.clone()
    off[0, 0] += 0.17  # one of 17 joints, 170 mm
    assert 10 < joint_errors_mm(points, off)["pa_mpjpe_mm"] < 30  # spread over all by the fit
    with pytest.raises(InputError, match="three points"):
        fit_similarity(points[:2], points[:2])


def blob(num=150):
    g = torch.Generator().manual_seed(2)
    means = F.normalize(torch.randn(num, 3, generator=g), dim=1) * 0.5
    return Gaussians.from_colors(
        means,
        F.normalize(torch.randn(num, 4, generator=g), dim=1),
        0.05 + 0.1 * torch.rand(num, 3, generator=g),
        torch.full((num,), 0.95),
        torch.rand(num, 3, generator=g),
    )


def test_moving_the_cameras_is_moving_the_gaussians():
    from toolkit.body.rotations import matrix_to_quat, multiply_quats

    gaussians = blob()
    cameras = orbit_cameras([0.0, 120.0], [10.0, -5.0], radius_m=4.0, size=(48, 48))
    quat = matrix_to_quat(KNOWN.rotation[None]).expand(len(gaussians), 4)
    moved = gaussians.replace(
        means=KNOWN(gaussians.means),
        scales=1.3 * gaussians.scales,
        quats=multiply_quats(quat, gaussians.quats),
    )
    wanted, got = render(moved, cameras), render(gaussians, KNOWN.into_estimated(cameras))
    assert torch.allclose(wanted.rgb, got.rgb, atol=2e-3)
    assert torch.allclose(wanted.depth, 1.3 * got.depth, atol=5e-3)
    back = KNOWN.into_true(KNOWN.into_estimated(cameras))
    assert torch.allclose(back.viewmats, cameras.viewmats, atol=1e-5)


# --- folders ---


def test_the_example_keeps_its_conventions(case):
    """World, axes and pixels are right where joints land on the person."""
    views = case.views
    pixels, depth = views.cameras.project(views.joints)
    landed = F.grid_sample(
        views.alpha.permute(0, 3, 1, 2), pixels[:, None] / 128 - 1, align_corners=False
    )[:, 0, 0]
    assert (depth > 0).all() and float((landed > 0.5).float().mean()) > 0.9
    assert views.joints[[11, 12]].mean(0).norm() < 0.15  # the pelvis is at the origin
    assert views.azimuths_deg[0] == 0 and case.person is None
    ears = pixels[0, [3, 4], 0]
    assert ears[0] > ears[1]  # a person who faces the camera has the left ear on the right


def test_what_is_saved_is_read_again(case, tmp_path):
    save_case(case, tmp_path / "person_7")
    again = read_case(tmp_path / "person_7")
    assert torch.allclose(again.views.rgb, case.views.rgb, atol=1.01 / 255)
    assert torch.allclose(again.views.alpha, case.views.alpha, atol=1e-6)
    for name in ("viewmats", "Ks"):
        assert torch.allclose(getattr(again.views.cameras, name), getattr(case.views.cameras, name))
    assert torch.allclose(again.views.joints, case.views.joints)
    first, second = (
        json.loads((folder / "cameras.json").read_text())
        for folder in (EXAMPLE / "person_0", tmp_path / "person_7")
    )
    elevations = [[c["elevation_deg"] for c in r["views"]] for r in (first, second)]
    assert elevations[0] == pytest.approx(elevations[1], abs=0.01)


def copied(tmp_path):
    folder = tmp_path / "person_0"
    shutil.copytree(EXAMPLE / "person_0", folder)
    return folder


def test_views_of_several_sizes_come_to_one(case, tmp_path):
    folder = copied(tmp_path)
    record = json.loads((folder / "cameras.json").read_text())
    view = record["views"][1]
    with Image.open(folder / view["file"]) as image:
        image.resize((128, 128), Image.Resampling.BOX).save(folder / view["file"])
    view |= {
        "width": 128,
        "height": 128,
        "K": [[v / 2 for v in r] for r in view["K"][:2]] + [[0, 0, 1]],
    }
    (folder / "cameras.json").write_text(json.dumps(record))
    views = read_case(folder).views
    assert torch.allclose(views.cameras.Ks, case.views.cameras.Ks, atol=1e-3)
    assert (views.alpha[1] - case.views.alpha[1]).abs().mean() < 0.01


@pytest.mark.parametrize("harm", ["no_truth", "joints", "rgb", "nan", "no_view"])
def test_a_folder_that_is_not_as_documented_is_refused(tmp_path, harm):
    folder = copied(tmp_path)
    cameras = json.loads((folder / "cameras.json").read_text())
    truth = json.loads((folder / "truth.json").read_text())
    if harm == "no_truth":
        (folder / "truth.json").unlink()
    elif harm == "joints":
        (folder / "truth.json").write_text(
            json.dumps({"joints_coco17": truth["joints_coco17"][:16]})
        )
    elif harm == "rgb":
        Image.new("RGB", (256, 256)).save(folder / "views" / "000.png")
    elif harm == "nan":
        cameras["views"][0]["viewmat"][0][0] = float("nan")
        (folder / "cameras.json").write_text(json.dumps(cameras))
    else:
        (folder / "views" / "003.png").unlink()
    kind = MissingFileError if harm.startswith("no_") else InputError
    with pytest.raises(kind, match="wanted"):
        read_case(folder)


# --- measures ---


def test_the_truth_scores_perfectly(scene):
    scores = score_views(as_render(scene.views), Reference.of(scene))
    assert scores["psnr"] == [100] * 8 and scores["iou"] == [1] * 8
    assert scores["psnr_common"] == [100] * 8
    assert min(scores["ssim"]) > 0.9999 and max(scores["perceptual"]) < 1e-6
    assert scores["keypoint_percent"] == pytest.approx([0] * 8, abs=1e-3)
    assert scores["energy"] == scores["energy_true"]
    faces = [scores["face_distance"][i] for i in (0, 1, 7)]
    assert faces == pytest.approx([0] * 3, abs=1e-5)
    assert scores["face_distance"][2:7] == [None] * 5  # no face from 90 to 270 degrees


def blurred(rgb, px):
    planes = F.pad(rgb.permute(0, 3, 1, 2), (px,) * 4, mode="replicate")
    return F.avg_pool2d(planes, 2 * px + 1, 1).permute(0, 2, 3, 1)


def test_every_measure_gets_worse_with_blur_and_sharpness_falls(scene):
    reference, views = Reference.of(scene), scene.views
    rows = [
        score_views(replace(as_render(views), rgb=blurred(views.rgb, px)), reference)
        for px in (1, 3)
    ]
    mild, strong = (
        {k: np.array(row[k], np.float64) for k in ("psnr", "ssim", "perceptual", "energy")}
        for row in rows
    )
    assert (strong["psnr"] < mild["psnr"]).all() and (strong["ssim"] < mild["ssim"]).all()
    assert (strong["perceptual"] > mild["perceptual"]).all()
    assert (strong["energy"][:, 0] < 0.5 * mild["energy"][:, 0]).all()
    assert (mild["energy"][:, 3] > 0.5 * np.array(rows[0]["energy_true"])[:, 3]).all()
    own = as_render(views)
    sharp = score_views(replace(own, rgb=unsharp_mask(views.rgb)), reference)
    assert np.sum(sharp["energy"]) > np.sum(sharp["energy_true"])


def test_an_outline_that_is_off_costs_psnr_but_not_the_common_one(scene):
    own, gone = as_render(scene.views), scene.views.alpha * 0
    left = torch.arange(256)[None, None, :, None] < 128
    half = Render(
        torch.where(left, own.rgb, torch.ones(())), torch.where(left, own.alpha, gone), own.depth
    )
    scores = score_views(half, Reference.of(scene))
    assert max(scores["psnr"]) < 25 and min(scores["psnr_common"]) == 100
    assert max(scores["iou"]) < 0.8
    nothing = score_views(Render(torch.ones_like(own.rgb), gone, own.depth), Reference.of(scene))
    assert nothing["psnr_common"] == [None] * 8 and nothing["iou"] == [0] * 8


def test_keypoints_that_are_off_by_a_known_length(scene):
    high = scene.joints + torch.tensor([0.0, 0.05, 0.0])
    percent = Reference.of(replace(scene, joints=high)).keypoint_percent
    height_m = 1.75  # of a grown-up, shoes and hair included, within 15 %
    assert percent == pytest.approx([100 * 0.05 / height_m] * 8, rel=0.2)


def test_the_square_holds_the_person_and_may_leave_the_picture(scene):
    alpha = torch.zeros(40, 60, 1)
    alpha[2:38, 50:58] = 1
    left, top, side = person_square(alpha[..., 0])
    assert side == round(36 * 1.24) and left + side > 60 and top < 0
    crop = crop_square(torch.ones(40, 60, 3), alpha, (left, top, side), 90)
    assert crop[..., 3].sum() / 90**2 == pytest.approx(36 * 8 / side**2, rel=0.02)
    assert (crop[..., :3] > 0.999).all()  # white stays white beyond the border


def test_consistency_sees_a_view_that_tells_another_story(scene):
    cameras = orbit_cameras(torch.arange(8) * 45.0, 5.0, radius_m=3.0, size=(96, 96))
    views = replace(scene.views, cameras=cameras, azimuths_deg=np.arange(8) * 45.0)
    ball = replace(scene, cameras=cameras, views=views)
    smooth = blob(600)
    smooth = Gaussians.from_colors(
        smooth.means, smooth.quats, smooth.scales, smooth.opacities, 0.5 + 0.4 * smooth.means
    )
    drawn = render(smooth, cameras)
    before = consistency(drawn, ball)
    assert max(before) < 4  # colours of the place on the ball: the same from everywhere
    rgb = drawn.rgb.clone()
    rgb[3] = 1 - rgb[3]
    after = consistency(replace(drawn, rgb=rgb), ball)
    assert after[2] > 2 * before[2] and after[3] > 2 * before[3]
    assert [after[i] for i in (0, 1, 4, 5, 6)] == [before[i] for i in (0, 1, 4, 5, 6)]
    far = replace(ball, views=replace(views, azimuths_deg=np.array([0, 90, 180, 270.0] * 2)))
    assert consistency(drawn, far).count(None) >= 4


def test_the_novel_poses_differ_from_each_other_and_face_the_camera():
    poses = clip_poses()
    assert len(poses) == len(CLIPS) == 8
    stacked = torch.stack(list(poses.values()))[:, 1:22].flatten(1)
    gaps = torch.cdist(stacked, stacked) + 10 * torch.eye(8)
    assert float(gaps.min()) > 0.3


# --- optional rivals and nets ---


def test_what_is_not_installed_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(esrgan, "find_spec", lambda name: None)
    assert "pip install" in esrgan.why_not()
    monkeypatch.delenv("TOOLKIT_LPIPS", raising=False)
    monkeypatch.setenv("TOOLKIT_WEIGHTS", str(tmp_path))
    assert lpips.lpips_places() == (tmp_path / "lpips-alexnet",)
    lpips.load_lpips.cache_clear()
    assert lpips.load_lpips() is None and "TOOLKIT_LPIPS" in lpips.why_no_lpips()


def test_lpips_reads_its_two_files_and_is_a_distance(tmp_path, monkeypatch, scene):
    """Random weights of AlexNet's shapes: zero for equals, symmetric, positive."""
    g = torch.Generator().manual_seed(0)
    shapes = {
        0: (64, 3, 11, 11),
        3: (192, 64, 5, 5),
        6: (384, 192, 3, 3),
        8: (256, 384, 3, 3),
        10: (256, 256, 3, 3),
    }
    trunk = {f"features.{k}.weight": 0.05 * torch.randn(s, generator=g) for k, s in shapes.items()}
    trunk |= {f"features.{k}.bias": torch.zeros(s[0]) for k, s in shapes.items()}
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, s[0], 1, 1, generator=g)
        for i, s in enumerate(shapes.values())
    }
    torch.save(trunk, tmp_path / "alexnet-owt-7be5be79.pth")
    torch.save(heads, tmp_path / "alex.pth")
    monkeypatch.setenv("TOOLKIT_LPIPS", str(tmp_path))
    lpips.load_lpips.cache_clear()
    distance, views = lpips.load_lpips(), scene.views.rgb[:2]
    lpips.load_lpips.cache_clear()
    assert (distance(views, views) == 0).all()
    forward, backward = distance(views, views.flip(0)), distance(views.flip(0), views)
    assert (forward > 0).all() and torch.allclose(forward, backward)
