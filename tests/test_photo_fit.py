"""The fit finds back bodies that it is shown, and writes what it reads."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from toolkit.body.motion import a_pose, load_clip
from toolkit.body.npz import load_body
from toolkit.cameras import Cameras, intrinsics
from toolkit.errors import InputError, MissingFileError
from toolkit.photo.detection.keypoint_names import KEYPOINT_NAMES, MIRROR
from toolkit.photo.detection.keypoints import Detection
from toolkit.photo.photo_body import PhotoBody
from toolkit.photo.smplify.energy import geman_mcclure
from toolkit.photo.smplify.fit import fit_body
from toolkit.photo.smplify.optimise import STAGES
from toolkit.photo.smplify.pose_prior import pose_statistics, pose_term
from toolkit.photo.smplify.reduced_body import (
    ReducedBody,
    cloth_thickness,
    point_offsets,
    to_body_joints,
    vertex_normals,
)
from toolkit.photo.smplify.silhouette import Silhouette
from toolkit.photo.smplify.unknowns import VIEW
from toolkit.render.mesh import rasterize_mesh

SIZE = (256, 192)


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def small(body):
    return ReducedBody.of(body)


@pytest.fixture(scope="module")
def clothed(body):
    """The body with clothes of the usual thickness, which is what a mask shows."""
    thickness = cloth_thickness(to_body_joints(body))[:, None]
    return replace(body, v_template=body.v_template + thickness * vertex_normals(body))


def silhouette(clothed, fitted, camera):
    vertices = clothed(fitted.betas, fitted.pose, fitted.transl).vertices.numpy()
    return rasterize_mesh(vertices, clothed.faces_body.numpy(), camera).mask


def photograph(clothed, small, betas, pose, *, shift=(0.0, 0.05, 4.0)):
    """A detection without any error: points and metres as the net has them, and the mask."""
    viewmat = torch.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = VIEW, torch.tensor(shift)
    camera = Cameras(viewmat[None], intrinsics(30.0, SIZE[0], SIZE[0]), SIZE[1], SIZE[0])
    camera.Ks[0, 0, 2] = SIZE[1] / 2
    points = small.posed(betas, pose[:22])[0]
    (pixels,), _ = camera.project(points)
    inside = ((pixels > 0) & (pixels < torch.tensor([SIZE[1], SIZE[0]]))).all(dim=1)
    mask = rasterize_mesh(
        clothed(betas, pose, -clothed.rest_joints(betas)[0]).vertices.numpy(),
        clothed.faces_body.numpy(),
        camera,
    ).mask
    rows, cols = np.nonzero(mask)
    detection = Detection(
        torch.cat([pixels, inside[:, None].float()], dim=1).numpy(),
        (points - points[[23, 24]].mean(0)).numpy(),
        mask.astype(np.float32),
        np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1], np.float64),
    )
    return detection, camera, points


def poses():
    walk = load_clip("walk").poses[8].clone()
    walk[0] = torch.tensor([0.0, 0.5, 0.0])
    bent = a_pose()
    bent[18] = torch.tensor([0.0, -1.4, 0.0])
    bent[4], bent[1] = torch.tensor([0.9, 0.0, 0.0]), torch.tensor([-0.9, 0.0, 0.1])
    return {"a_pose": a_pose(), "walk": walk, "bent": bent}


@pytest.mark.parametrize("name", ["walk", "bent"])
def test_fit_finds_back_the_body(body, clothed, small, name):
    betas = 0.8 * torch.randn(body.num_betas, generator=torch.Generator().manual_seed(3))
    detection, camera, points = photograph(clothed, small, betas, poses()[name])
    fitted = fit_body(detection, SIZE, body)
    again = small.posed(fitted.betas, fitted.pose[:22])[0]
    (pixels,), _ = fitted.camera.project(again)
    error = np.linalg.norm(pixels.numpy() - detection.keypoints[:, :2], axis=1)
    assert error.mean() < 3 and error.max() < 12  # of 256
    ours, true = silhouette(clothed, fitted, fitted.camera), detection.mask > 0.5
    assert (ours & true).sum() / (ours | true).sum() > 0.88
    ours, theirs = (p - p[[23, 24]].mean(0) for p in (again, points))
    assert (ours - theirs).norm(dim=1).mean() < 0.12  # m; depth and size are only guessed


def test_result_keeps_the_photo_world(body, clothed, small):
    detection, camera, _ = photograph(clothed, small, torch.zeros(body.num_betas), a_pose())
    fitted = fit_body(detection, SIZE, body, stages=STAGES[:2])
    out = body(fitted.betas, fitted.pose, fitted.transl)
    torch.testing.assert_close(out.joints[0], torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(fitted.camera.viewmats[0, :3, :3], VIEW)
    torch.testing.assert_close(fitted.camera.Ks, camera.Ks)
    assert fitted.seen.all() and fitted.mask.shape == SIZE


def test_upper_body_photo_marks_the_legs_as_unseen(body, clothed, small):
    detection, _, _ = photograph(clothed, small, torch.zeros(20), a_pose(), shift=(0, 0.45, 2.2))
    fitted = fit_body(detection, SIZE, body, stages=STAGES[:2])
    seen = dict(zip(KEYPOINT_NAMES, detection.keypoints[:, 2] > 0, strict=True))
    assert seen["left_shoulder"] and not seen["left_knee"]
    assert fitted.seen[16] and fitted.seen[15] and not fitted.seen[[4, 5, 7, 8, 10, 11]].any()
    # Unseen legs stand: hardly bent, and below the pelvis.
    assert fitted.pose[[1, 2]].norm(dim=1).max() < 0.35
    joints = body(fitted.betas, fitted.pose, fitted.transl).joints
    assert (joints[[7, 8], 1] < -0.6).all()


def test_known_focal_length_is_used(body, clothed, small):
    detection, _, _ = photograph(clothed, small, torch.zeros(body.num_betas), a_pose())
    near = fit_body(detection, SIZE, body, focal_px=300.0, stages=STAGES[:1])
    far = fit_body(detection, SIZE, body, focal_px=600.0, stages=STAGES[:1])
    assert near.camera.Ks[0, 1, 1] == 300
    assert far.camera.viewmats[0, 2, 3] / near.camera.viewmats[0, 2, 3] == pytest.approx(2, rel=0.2)


def test_reduced_body_equals_the_body(body, small):
    generator = torch.Generator().manual_seed(0)
    betas, pose = torch.randn(body.num_betas, generator=generator), torch.zeros(55, 3)
    pose[:22] = 0.3 * torch.randn(22, 3, generator=generator)
    full = body(betas, pose, -body.rest_joints(betas)[0])
    points, _, joints = replace(small, offsets=torch.zeros(33, 3)).posed(betas, pose[:22])
    torch.testing.assert_close(joints, full.joints[:22], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        points, torch.from_numpy(body.extra["blazepose33"]) @ full.vertices, atol=1e-5, rtol=0
    )


def test_offsets_are_mirror_images():
    offsets = point_offsets()
    torch.testing.assert_close(offsets[MIRROR] * torch.tensor([-1.0, 1.0, 1.0]), offsets)


def test_robust_loss_is_quadratic_then_flat():
    small, large = geman_mcclure(torch.tensor([1e-6, 100.0]), sigma=0.1)
    assert small.item() == pytest.approx(1e-4, rel=1e-3)
    assert large.item() == pytest.approx(1, abs=1e-3)


def test_pose_prior_is_symmetric_and_least_at_its_mean():
    mean, spread = pose_statistics()
    pose = mean + 0.2 * torch.randn(22, 3, generator=torch.Generator().manual_seed(0))
    mirror = [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]
    flipped = pose[mirror] * torch.tensor([1.0, -1.0, -1.0])
    torch.testing.assert_close(pose_term(pose, mean, spread), pose_term(flipped, mean, spread))
    assert pose_term(mean, mean, spread) < pose_term(pose, mean, spread)


def test_silhouette_terms_are_zero_inside_and_grow_outside():
    mask = np.zeros((80, 80), np.float32)
    mask[20:60, 20:60] = 1
    silhouette = Silhouette(mask, scale_px=40.0)
    inner = torch.tensor([[40.0, 40.0], [25.0, 55.0]])
    outer = torch.tensor([[70.0, 40.0]])
    beyond = torch.tensor([[140.0, 40.0]])  # out of the picture: not known to be wrong
    assert silhouette.inside_term(inner) == 0 and silhouette.inside_term(beyond) == 0
    assert silhouette.inside_term(outer) > 0.5


@pytest.fixture(scope="module")
def fitted(body, clothed, small):
    detection, _, _ = photograph(clothed, small, torch.zeros(body.num_betas), a_pose())
    mask = np.linspace(0, 1, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)
    return replace(fit_body(detection, SIZE, body, stages=()), mask=mask)


def test_json_round_trip(fitted, tmp_path):
    fitted.save(tmp_path / "body.json")
    again = PhotoBody.load(tmp_path / "body.json")
    for name in ("betas", "pose", "transl", "keypoints", "seen"):
        assert torch.equal(getattr(fitted, name), getattr(again, name)), name
    assert torch.equal(fitted.camera.viewmats, again.camera.viewmats)
    assert torch.equal(fitted.camera.Ks, again.camera.Ks)
    np.testing.assert_allclose(fitted.mask, again.mask, atol=1e-5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["body.json", "body_mask.png"]


def test_json_errors_are_clear(fitted, tmp_path):
    with pytest.raises(MissingFileError, match="Fit the photo"):
        PhotoBody.load(tmp_path / "body.json")
    (tmp_path / "body.json").write_text("{}")
    with pytest.raises(InputError, match="toolkit-photo-body"):
        PhotoBody.load(tmp_path / "body.json")
    fitted.save(tmp_path / "body.json")
    (tmp_path / "body_mask.png").unlink()
    with pytest.raises(MissingFileError, match="mask"):
        PhotoBody.load(tmp_path / "body.json")
    with pytest.raises(InputError, match="mask of"):
        replace(fitted, mask=fitted.mask[:10])
