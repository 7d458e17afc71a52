"""The whole path with a tiny checkpoint: folder, photo, Gaussians on our rig."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from toolkit.body.anchors import sample_anchors
from toolkit.body.motion import a_pose, load_clip
from toolkit.body.npz import load_body
from toolkit.body.rig import Avatar, Rig
from toolkit.cameras import orbit_cameras
from toolkit.coarse.lhm.checkpoint import load_folder
from toolkit.coarse.lhm.from_photo import head_vertices, make_anchors, predict, reconstruct
from toolkit.coarse.lhm.network import pose
from toolkit.coarse.lhm.tiny import write_tiny
from toolkit.errors import InputError, MissingFileError
from toolkit.photo.photo_body import PhotoBody
from toolkit.render.mesh import rasterize_mesh


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def folder(body, tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("tiny"), body, num_points=800)


@pytest.fixture(scope="module")
def tiny(folder):
    return load_folder(folder)


@pytest.fixture(scope="module")
def photo(body):
    """A body in the A-pose, coloured by a smooth gradient; image, mask and body estimate."""
    camera = orbit_cameras([0.0], [0.0], radius_m=4.0, fov_y_deg=30.0, size=(300, 200))
    betas = 0.5 * torch.randn(20, generator=torch.Generator().manual_seed(0))
    transl = -body.rest_joints(betas)[0]
    vertices = body(betas, a_pose(), transl).vertices
    mask = torch.from_numpy(rasterize_mesh(vertices.numpy(), np.asarray(body.faces), camera).mask)
    y, x = torch.meshgrid(torch.linspace(0, 1, 300), torch.linspace(0, 1, 200), indexing="ij")
    guess = PhotoBody(
        betas=betas,
        pose=a_pose(),
        transl=transl,
        camera=camera,
        keypoints=torch.zeros(33, 3),
        mask=mask.float().numpy(),
        seen=torch.ones(55, dtype=torch.bool),
    )
    return SimpleNamespace(image=torch.stack([x, y, 1 - x], -1), mask=mask.float(), guess=guess)


@pytest.fixture(scope="module")
def anchors(tiny, body):
    return make_anchors(tiny, body)


@pytest.fixture(scope="module")
def gaussians(tiny, photo, body, anchors):
    return predict(tiny, photo.image, photo.mask, photo.guess, body, anchors)


def test_one_gaussian_per_anchor_on_the_body(gaussians, anchors, photo, body):
    assert len(gaussians) == len(anchors) == 800
    assert all(v.isfinite().all() for v in vars(gaussians).values())
    rig = Rig.build(body, anchors, photo.guess.betas)
    assert (gaussians.means - rig.anchors_rest).norm(dim=1).max() < 0.1
    assert gaussians.scales.max() <= 0.05 and gaussians.opacities.max() <= 1


def test_same_photo_same_gaussians_and_background_is_ignored(gaussians, tiny, photo, body, anchors):
    def run(image, guess=photo.guess):
        return predict(tiny, image, photo.mask, guess, body, anchors)

    assert torch.equal(run(photo.image).means, gaussians.means)
    body_only = replace(photo.guess, transl=torch.tensor([0.0, 9.0, 0.0]))
    noise = torch.rand(photo.image.shape, generator=torch.Generator().manual_seed(0))
    behind = torch.where(photo.mask[..., None] > 0, photo.image, noise)
    first, second = run(photo.image, body_only), run(behind, body_only)  # no head crop to see it
    assert torch.equal(first.sh, second.sh)
    assert (run(1 - photo.image).sh - gaussians.sh).abs().max() > 1e-4


def test_shape_enters_after_the_network(gaussians, tiny, photo, body, anchors):
    """Colours, scales and opacities do not depend on betas; centres do by the shape directions."""

    def run(betas, transl):
        guess = replace(photo.guess, betas=betas, transl=transl)
        return predict(tiny, photo.image, photo.mask, guess, body, anchors)

    away = torch.tensor([0.0, 9.0, 0.0])  # the head's crop follows the betas; keep it out
    betas = torch.zeros(20)
    betas[[1, 15]] = 2.0
    first, second = run(torch.zeros(20), away), run(betas, away)
    for name in ("sh", "scales", "opacities"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    moved = second.means - first.means
    assert torch.allclose(moved, anchors.shapedirs @ betas, atol=1e-5) and moved.abs().max() > 0.005


def test_our_rig_moves_it_as_lhm_does(gaussians, tiny, photo, body, anchors):
    """Centres agree to the millimetre; our rig turns offsets by a rotation, LHM by the blend."""
    betas = photo.guess.betas.clone()
    betas[10:] = 0
    guess = replace(photo.guess, betas=betas)
    output = reconstruct(tiny, photo.image, photo.mask, head_vertices(guess, body), guess.camera)
    points = make_anchors(tiny, body)
    avatar = Avatar(
        predict(tiny, photo.image, photo.mask, guess, body, points), Rig.build(body, points, betas)
    )
    walking = load_clip("walk").poses[10]
    theirs = pose(tiny.model, output, betas[:10], walking, guess.transl).gaussians()
    ours = avatar.posed(walking, guess.transl)
    distance = (ours.means - theirs.means).norm(dim=1)
    assert distance.median() < 1e-3 and distance.max() < 0.02
    turned = (ours.quats * theirs.quats).sum(1).abs().clamp(max=1)
    assert 2 * torch.acos(turned).median() < 0.02


def test_anchors_carry_the_checkpoints_own_skinning(tiny, anchors):
    skin = tiny.model.skin
    assert torch.equal(anchors.lbs_weights, skin.skinning_weight)
    assert torch.equal(anchors.shapedirs[..., :10], skin.shape_dirs)
    assert torch.equal(anchors.points, tiny.points) and anchors.shapedirs.shape[2] == 20
    assert anchors.is_head[600:].float().mean() > 0.95 and not anchors.is_head[:600].any()


def test_another_body_is_refused(tiny, body):
    taller = replace(body, v_template=1.1 * body.v_template)
    with pytest.raises(InputError, match="cm away from the checkpoint's points"):
        make_anchors(tiny, taller)


def test_anchors_of_the_small_model_are_refused(tiny, photo, body):
    with pytest.raises(InputError, match="not this checkpoint's points"):
        predict(tiny, photo.image, photo.mask, photo.guess, body, sample_anchors(body, 800))


def test_an_empty_mask_is_named(tiny, photo, body, anchors):
    with pytest.raises(InputError, match="Mask"):
        predict(tiny, photo.image, 0 * photo.mask, photo.guess, body, anchors)


def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("pattern", ["config.json", "model.safetensors", "1_800.ply", "sapiens*"])
def test_each_missing_file_is_named(pattern, folder, tmp_path):
    copied = copy(folder, tmp_path)
    next(copied.glob(pattern)).unlink()
    with pytest.raises(MissingFileError, match=pattern.replace("*", r"\*")):
        load_folder(copied)
    with pytest.raises(MissingFileError, match="no such folder"):
        load_folder(copied / "absent")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "1_800.ply", "sapiens_tiny.safetensors"]
)
def test_each_damaged_file_is_named(name, folder, tmp_path):
    copied = copy(folder, tmp_path)
    (copied / name).write_bytes((copied / name).read_bytes()[:300])
    with pytest.raises(InputError, match=name):
        load_folder(copied)


def test_the_newest_step_and_nested_priors_are_found(folder, tmp_path, tiny):
    """ModelScope's layout: step folders; the points in the prior archive's own folder."""
    copied = copy(folder, tmp_path)
    (copied / "dense_sample_points").mkdir()
    (copied / "1_800.ply").rename(copied / "dense_sample_points" / "1_800.ply")
    for step in ("step_009000", "step_010000"):
        (copied / step).mkdir()
        for name in ("config.json", "model.safetensors"):
            shutil.copy(folder / name, copied / step / name)
    config = json.loads((folder / "config.json").read_text()) | {"gs_xyz_offset_max_step": 0.25}
    (copied / "step_010000" / "config.json").write_text(json.dumps(config))
    (copied / "config.json").unlink()
    (copied / "model.safetensors").unlink()
    loaded = load_folder(copied)
    assert loaded.model.config.max_offset_m == 0.25
    assert loaded.fingerprint != tiny.fingerprint
    assert loaded.source_px == tiny.source_px == 512


def test_tiny_is_reproducible_and_has_a_seed(body, tmp_path, tiny):
    again = load_folder(write_tiny(tmp_path / "a", body, num_points=800))
    other = load_folder(write_tiny(tmp_path / "b", body, num_points=800, seed=1))
    for key, value in tiny.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key
    assert not torch.equal(other.model.transformer.norm.weight, tiny.model.transformer.norm.weight)
